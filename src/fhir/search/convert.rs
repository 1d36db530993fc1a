//! From elements, by their datatype, to search values.
//!
//! Source: R4 search.html: the tables of which datatypes each parameter type applies to.

mod read;

use serde::{Deserialize, Serialize};

use super::{ParameterType, SearchValue};
use crate::definitions::{Binding, BindingStrength, Types};
use crate::json::Value;
use read::{
    ADDRESS_PARTS, NAME_PARTS, canonical, codeable_concept, coding, date, identifier, inline, number, position,
    quantity, reference, strings, token,
};

/// The system of booleans (R4 search.html#token).
pub(super) const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";

/// How the elements at the end of a path become search values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Conversion {
    Coding,
    CodeableConcept,
    Identifier,
    ContactPoint,
    Code(Systems),
    Boolean,
    Literal,
    Text,
    HumanName,
    Address,
    DateTime,
    Period,
    Timing,
    Number,
    NumberRange,
    Quantity,
    Money,
    QuantityRange,
    SampledData,
    Reference,
    Canonical,
    Inline,
    IdentifierReference,
    Uri,
    Position,
}

/// The systems that a required binding implies for codes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Systems {
    /// Not known.
    Unknown,
    /// All codes are of one system.
    One(Box<str>),
    /// Each code with its system, sorted by code.
    Each(Vec<(Box<str>, Box<str>)>),
}

impl Systems {
    /// The systems that the codes of `binding` imply.
    pub(super) fn of(binding: Option<&Binding>, types: &Types) -> Self {
        let required = binding.filter(|binding| binding.strength == BindingStrength::Required);
        let Some(codes) = required.and_then(|binding| types.codes(binding)) else {
            return Self::Unknown;
        };
        let pairs = codes.codes().filter_map(|code| Some((code.into(), codes.system(code)?.into())));
        let mut pairs: Vec<(Box<str>, Box<str>)> = pairs.collect();
        pairs.sort();
        match pairs.first() {
            None => Self::Unknown,
            Some((_, first)) if pairs.iter().all(|(_, system)| system == first) => Self::One(first.clone()),
            Some(_) => Self::Each(pairs),
        }
    }

    fn of_code(&self, code: &str) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::One(system) => Some(system),
            Self::Each(pairs) => {
                let at = pairs.binary_search_by(|(known, _)| known.as_ref().cmp(code)).ok()?;
                Some(&pairs[at].1)
            }
        }
    }
}

impl Conversion {
    /// How a parameter of this type reads elements of datatype `code`; `None` where it cannot.
    pub(super) fn of(kind: ParameterType, code: &str, binding: Option<&Binding>, types: &Types) -> Option<Self> {
        Some(match (kind, code) {
            (ParameterType::Token, "Coding") => Self::Coding,
            (ParameterType::Token, "CodeableConcept") => Self::CodeableConcept,
            (ParameterType::Token, "Identifier") => Self::Identifier,
            (ParameterType::Token, "ContactPoint") => Self::ContactPoint,
            (ParameterType::Token, "code") => Self::Code(Systems::of(binding, types)),
            (ParameterType::Token, "boolean") => Self::Boolean,
            (ParameterType::Token, "string" | "id" | "markdown") => Self::Literal,
            (ParameterType::Token, "uri" | "url" | "canonical" | "oid" | "uuid") => Self::Literal,
            (ParameterType::String, "string" | "markdown" | "id" | "code") => Self::Text,
            (ParameterType::String, "uri" | "url" | "canonical" | "oid" | "uuid") => Self::Text,
            (ParameterType::String, "HumanName") => Self::HumanName,
            (ParameterType::String, "Address") => Self::Address,
            (ParameterType::Date, "date" | "dateTime" | "instant") => Self::DateTime,
            (ParameterType::Date, "Period") => Self::Period,
            (ParameterType::Date, "Timing") => Self::Timing,
            (ParameterType::Number, "integer" | "positiveInt" | "unsignedInt" | "decimal") => Self::Number,
            (ParameterType::Number, "Range") => Self::NumberRange,
            (ParameterType::Quantity, "Quantity" | "Age" | "Count" | "Distance" | "Duration") => Self::Quantity,
            (ParameterType::Quantity, "SimpleQuantity" | "MoneyQuantity") => Self::Quantity,
            (ParameterType::Quantity, "Money") => Self::Money,
            (ParameterType::Quantity, "Range") => Self::QuantityRange,
            (ParameterType::Quantity, "SampledData") => Self::SampledData,
            (ParameterType::Reference, "Reference") => Self::Reference,
            (ParameterType::Reference, "canonical" | "uri" | "url" | "oid" | "uuid") => Self::Canonical,
            (ParameterType::Reference, "Resource") => Self::Inline,
            (ParameterType::Reference, "Identifier") => Self::IdentifierReference,
            (ParameterType::Uri, "uri" | "url" | "canonical" | "oid" | "uuid") => Self::Uri,
            (ParameterType::Special, "Location.position") => Self::Position,
            _ => return None,
        })
    }

    /// Converts one element. Elements that are not of the datatype (validation refuses them
    /// elsewhere) give nothing.
    pub(super) fn convert<'r>(&'r self, value: &'r Value<'_>, base: &str, emit: &mut dyn FnMut(SearchValue<'r>)) {
        match self {
            Self::Coding => coding(value, emit),
            Self::CodeableConcept => codeable_concept(value, emit),
            Self::Identifier => identifier(value, emit),
            Self::ContactPoint => token(None, value.get_str("value"), None, emit),
            Self::Code(systems) => {
                if let Some(code) = value.as_str() {
                    token(systems.of_code(code), Some(code), None, emit);
                }
            }
            Self::Boolean => {
                let code = value.as_bool().map(|boolean| if boolean { "true" } else { "false" });
                token(Some(SPECIAL_VALUES).filter(|_| code.is_some()), code, None, emit);
            }
            Self::Literal => token(None, value.as_str(), None, emit),
            Self::Text => value.as_str().into_iter().for_each(|text| emit(SearchValue::String(text))),
            Self::HumanName => strings(value, &NAME_PARTS, emit),
            Self::Address => strings(value, &ADDRESS_PARTS, emit),
            Self::DateTime | Self::Period | Self::Timing => date(self, value, emit),
            Self::Number | Self::NumberRange => number(self, value, emit),
            Self::Quantity | Self::Money | Self::QuantityRange | Self::SampledData => quantity(self, value, emit),
            Self::Reference => reference(value, base, emit),
            Self::Canonical => value.as_str().into_iter().for_each(|text| canonical(text, base, emit)),
            Self::Inline => inline(value, emit),
            Self::IdentifierReference => {
                if let Some(value) = value.get_str("value").map(|text| (value.get_str("system"), text)) {
                    emit(SearchValue::Reference { resource_type: None, id: None, url: None, identifier: Some(value) });
                }
            }
            Self::Uri => value.as_str().into_iter().for_each(|text| emit(SearchValue::Uri(text))),
            Self::Position => position(value, emit),
        }
    }
}
