//! From elements, by their datatype, to search values.
//!
//! Source: R4 search.html: the tables of which datatypes each parameter type applies to.

use serde::{Deserialize, Serialize};

use super::program::type_of_url;
use super::{NumericValue, ParameterType, SearchValue};
use crate::datatypes::{DateTime, Decimal, Reference, period_interval, timing_interval};
use crate::definitions::{Binding, BindingStrength, Types};
use crate::json::Value;

/// The system of booleans (R4 search.html#token).
pub(super) const SPECIAL_VALUES: &str = "http://terminology.hl7.org/CodeSystem/special-values";
/// The system of `Money.currency`.
const CURRENCIES: &str = "urn:iso:std:iso:4217";

/// The parts of a HumanName that a string search looks at.
const NAME_PARTS: [&str; 5] = ["family", "given", "prefix", "suffix", "text"];
/// The parts of an Address that a string search looks at.
const ADDRESS_PARTS: [&str; 7] = [
    "line",
    "city",
    "district",
    "state",
    "postalCode",
    "country",
    "text",
];

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
        let pairs = codes
            .codes()
            .filter_map(|code| Some((code.into(), codes.system(code)?.into())));
        let mut pairs: Vec<(Box<str>, Box<str>)> = pairs.collect();
        pairs.sort();
        match pairs.first() {
            None => Self::Unknown,
            Some((_, first)) if pairs.iter().all(|(_, system)| system == first) => {
                Self::One(first.clone())
            }
            Some(_) => Self::Each(pairs),
        }
    }

    fn of_code(&self, code: &str) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::One(system) => Some(system),
            Self::Each(pairs) => {
                let at = pairs
                    .binary_search_by(|(known, _)| known.as_ref().cmp(code))
                    .ok()?;
                Some(&pairs[at].1)
            }
        }
    }
}

impl Conversion {
    /// How a parameter of this type reads elements of datatype `code`; `None` where it cannot.
    pub(super) fn of(
        kind: ParameterType,
        code: &str,
        binding: Option<&Binding>,
        types: &Types,
    ) -> Option<Self> {
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
            (ParameterType::Number, "integer" | "positiveInt" | "unsignedInt" | "decimal") => {
                Self::Number
            }
            (ParameterType::Number, "Range") => Self::NumberRange,
            (ParameterType::Quantity, "Quantity" | "Age" | "Count" | "Distance" | "Duration") => {
                Self::Quantity
            }
            (ParameterType::Quantity, "SimpleQuantity" | "MoneyQuantity") => Self::Quantity,
            (ParameterType::Quantity, "Money") => Self::Money,
            (ParameterType::Quantity, "Range") => Self::QuantityRange,
            (ParameterType::Quantity, "SampledData") => Self::SampledData,
            (ParameterType::Reference, "Reference") => Self::Reference,
            (ParameterType::Reference, "canonical" | "uri" | "url" | "oid" | "uuid") => {
                Self::Canonical
            }
            (ParameterType::Reference, "Resource") => Self::Inline,
            (ParameterType::Reference, "Identifier") => Self::IdentifierReference,
            (ParameterType::Uri, "uri" | "url" | "canonical" | "oid" | "uuid") => Self::Uri,
            (ParameterType::Special, "Location.position") => Self::Position,
            _ => return None,
        })
    }

    /// Converts one element. Elements that are not of the datatype (validation refuses them
    /// elsewhere) give nothing.
    pub(super) fn convert<'r>(
        &'r self,
        value: &'r Value<'_>,
        base: &str,
        emit: &mut dyn FnMut(SearchValue<'r>),
    ) {
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
                let code = value
                    .as_bool()
                    .map(|boolean| if boolean { "true" } else { "false" });
                token(
                    Some(SPECIAL_VALUES).filter(|_| code.is_some()),
                    code,
                    None,
                    emit,
                );
            }
            Self::Literal => token(None, value.as_str(), None, emit),
            Self::Text => value
                .as_str()
                .into_iter()
                .for_each(|text| emit(SearchValue::String(text))),
            Self::HumanName => strings(value, &NAME_PARTS, emit),
            Self::Address => strings(value, &ADDRESS_PARTS, emit),
            Self::DateTime | Self::Period | Self::Timing => date(self, value, emit),
            Self::Number | Self::NumberRange => number(self, value, emit),
            Self::Quantity | Self::Money | Self::QuantityRange | Self::SampledData => {
                quantity(self, value, emit)
            }
            Self::Reference => reference(value, base, emit),
            Self::Canonical => value
                .as_str()
                .into_iter()
                .for_each(|text| canonical(text, base, emit)),
            Self::Inline => inline(value, emit),
            Self::IdentifierReference => {
                if let Some(value) = value
                    .get_str("value")
                    .map(|text| (value.get_str("system"), text))
                {
                    emit(SearchValue::Reference {
                        resource_type: None,
                        id: None,
                        url: None,
                        identifier: Some(value),
                    });
                }
            }
            Self::Uri => value
                .as_str()
                .into_iter()
                .for_each(|text| emit(SearchValue::Uri(text))),
            Self::Position => position(value, emit),
        }
    }
}

type Emit<'e, 'r> = &'e mut dyn FnMut(SearchValue<'r>);

fn token<'r>(
    system: Option<&'r str>,
    code: Option<&'r str>,
    text: Option<&'r str>,
    emit: Emit<'_, 'r>,
) {
    if system.is_some() || code.is_some() || text.is_some() {
        emit(SearchValue::Token { system, code, text });
    }
}

fn coding<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    token(
        value.get_str("system"),
        value.get_str("code"),
        value.get_str("display"),
        emit,
    );
}

fn codeable_concept<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    value
        .items("coding")
        .iter()
        .for_each(|one| coding(one, emit));
    token(None, None, value.get_str("text"), emit);
}

fn identifier<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let kind = value.get("type");
    let text = kind.and_then(|kind| kind.get_str("text"));
    let number = value.get_str("value");
    token(value.get_str("system"), number, text, emit);
    let codings = kind.map_or(&[][..], |kind| kind.items("coding"));
    for one in codings {
        if let (Some(code), Some(value)) = (one.get_str("code"), number) {
            emit(SearchValue::OfType {
                system: one.get_str("system"),
                code,
                value,
            });
        }
    }
}

fn strings<'r>(value: &'r Value<'_>, parts: &[&str], emit: Emit<'_, 'r>) {
    for part in parts {
        match value.get(part) {
            Some(Value::Array(items)) => {
                items
                    .iter()
                    .filter_map(Value::as_str)
                    .for_each(|text| emit(SearchValue::String(text)));
            }
            Some(one) => one
                .as_str()
                .into_iter()
                .for_each(|text| emit(SearchValue::String(text))),
            None => {}
        }
    }
}

fn date<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let interval = match conversion {
        Conversion::Period => period_interval(value),
        Conversion::Timing => timing_interval(value),
        _ => value
            .as_str()
            .and_then(|text| DateTime::parse(text).ok())
            .map(|date| date.interval),
    };
    interval
        .into_iter()
        .for_each(|interval| emit(SearchValue::Date(interval)));
}

fn decimal(value: &Value<'_>) -> Option<f64> {
    value.as_f64().filter(|value| value.is_finite())
}

fn number<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let number = match conversion {
        Conversion::NumberRange => {
            let end = |name| value.at(&[name, "value"]).and_then(decimal);
            range(end("low"), end("high"))
        }
        _ => decimal(value).map(NumericValue::point),
    };
    number
        .into_iter()
        .for_each(|number| emit(SearchValue::Number(number)));
}

/// A range with one end at least.
fn range(low: Option<f64>, high: Option<f64>) -> Option<NumericValue> {
    let ordered = low.zip(high).is_none_or(|(low, high)| low <= high);
    ((low.is_some() || high.is_some()) && ordered).then(|| NumericValue::range(low, high))
}

fn quantity<'r>(conversion: &Conversion, value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let (number, unit) = match conversion {
        Conversion::QuantityRange => {
            let (low, high) = (value.get("low"), value.get("high"));
            let end =
                |end: Option<&Value<'_>>| end.and_then(|end| end.get("value")).and_then(decimal);
            (range(end(low), end(high)), low.or(high))
        }
        Conversion::SampledData => (sampled_range(value), value.get("origin")),
        _ => (compared(value), Some(value)),
    };
    let (Some(value), Some(unit)) = (number, unit) else {
        return;
    };
    emit(match conversion {
        Conversion::Money => {
            let currency = unit.get_str("currency");
            SearchValue::Quantity {
                value,
                system: currency.map(|_| CURRENCIES),
                code: currency,
                unit: None,
            }
        }
        _ => SearchValue::Quantity {
            value,
            system: unit.get_str("system"),
            code: unit.get_str("code"),
            unit: unit.get_str("unit"),
        },
    });
}

/// A Quantity's value; with a comparator, all that it allows.
fn compared(quantity: &Value<'_>) -> Option<NumericValue> {
    let value = quantity.get("value").and_then(decimal)?;
    Some(match quantity.get_str("comparator") {
        Some("<") => NumericValue::range(None, Some(value.next_down())),
        Some("<=") => NumericValue::range(None, Some(value)),
        Some(">=") => NumericValue::range(Some(value), None),
        Some(">") => NumericValue::range(Some(value.next_up()), None),
        _ => NumericValue::point(value),
    })
}

/// From the lowest to the highest sample, as Observation-value-quantity asks ("just search on the
/// bounds of the values in sampled data"). `E`, `L` and `U` are no values.
fn sampled_range(sampled: &Value<'_>) -> Option<NumericValue> {
    let origin = sampled.at(&["origin", "value"]).and_then(decimal)?;
    let factor = sampled.get("factor").and_then(decimal).unwrap_or(1.0);
    let samples = sampled.get_str("data")?.split_ascii_whitespace();
    let values = samples
        .filter_map(|text| Decimal::parse(text).ok())
        .map(|one| origin + one.value * factor);
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    range(Some(low), Some(high))
}

fn reference<'r>(value: &'r Value<'_>, base: &str, emit: Emit<'_, 'r>) {
    let resource_type = value.get_str("type").map(type_of_url);
    let identifier = value.get("identifier");
    let identifier = identifier.and_then(|one| {
        one.get_str("value")
            .map(|text| (one.get_str("system"), text))
    });
    let target = value
        .get_str("reference")
        .map(|text| Target::of(text, base))
        .unwrap_or_default();
    // A contained resource is no resource of its own (R4 search.html#contained).
    if target.url.is_some() || identifier.is_some() {
        emit(SearchValue::Reference {
            resource_type: target.resource_type.or(resource_type),
            id: target.id,
            url: target.url,
            identifier,
        });
    }
}

/// What the text of a reference gives a search.
#[derive(Default)]
struct Target<'r> {
    resource_type: Option<&'r str>,
    id: Option<&'r str>,
    url: Option<&'r str>,
}

impl<'r> Target<'r> {
    fn of(text: &'r str, base: &str) -> Self {
        match Reference::parse_below(text, base) {
            Reference::Relative {
                resource_type,
                id,
                version,
            } => {
                let without = version.map_or(text.len(), |version| {
                    text.len() - version.len() - "/_history/".len()
                });
                Self {
                    resource_type: Some(resource_type),
                    id: Some(id),
                    url: Some(&text[..without]),
                }
            }
            Reference::Fragment(_) => Self::default(),
            other => Self {
                resource_type: other.resource_type(),
                id: None,
                url: Some(text),
            },
        }
    }
}

fn canonical<'r>(text: &'r str, base: &str, emit: Emit<'_, 'r>) {
    let target = Target::of(text, base);
    let (unversioned, resource_type, id) = match text.split_once('|') {
        Some((url, _)) => (Some(url), None, None),
        None => (None, target.resource_type, target.id),
    };
    for url in unversioned.into_iter().chain(target.url) {
        emit(SearchValue::Reference {
            resource_type,
            id,
            url: Some(url),
            identifier: None,
        });
    }
}

/// A resource in a Bundle: a reference to it by its own type and id.
fn inline<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    if let (Some(resource_type), Some(id)) = (value.get_str("resourceType"), value.get_str("id")) {
        emit(SearchValue::Reference {
            resource_type: Some(resource_type),
            id: Some(id),
            url: None,
            identifier: None,
        });
    }
}

fn position<'r>(value: &'r Value<'_>, emit: Emit<'_, 'r>) {
    let degrees = |name| value.get(name).and_then(decimal);
    if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
        emit(SearchValue::Position {
            latitude,
            longitude,
        });
    }
}
