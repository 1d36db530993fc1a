//! SearchParameters as the packages carry them, before [`crate::search`] compiles them.

use serde::{Deserialize, Serialize};

use crate::json::Value;
use crate::search::{Key, ParameterType};

use super::value_sets::without_version;

/// One SearchParameter, its expression not yet understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RawSearchParameter {
    /// Canonical URL, without version.
    pub url: String,
    /// The name it has in a search URL: `birthdate`.
    pub code: String,
    /// The resource types it is for; `Resource` and `DomainResource` stand for all of theirs.
    pub base: Vec<String>,
    /// Its type.
    pub kind: ParameterType,
    /// The FHIRPath expression of its values, for all of its bases at once.
    pub expression: Option<String>,
    /// For references: the resource types they can point to.
    pub target: Vec<String>,
    /// For composites: the definition URL and expression of each component.
    pub components: Vec<(String, String)>,
}

/// Canonical base of the SearchParameters of FHIR itself.
const CORE: &str = "http://hl7.org/fhir/SearchParameter/";

/// The groups of SearchParameters that several resource types share.
const SHARED: [&str; 4] = ["clinical-", "conformance-", "individual-", "medications-"];

impl RawSearchParameter {
    /// Reads a SearchParameter. None for what is not part of the base specification although it
    /// shares its canonical base: examples, and parameters for extensions.
    pub(super) fn from_json(resource: &Value<'_>) -> Option<Self> {
        let read = Self::read(resource)?;
        let is_part = read.url.strip_prefix(CORE).is_none_or(|name| is_base(name, &read.base));
        is_part.then_some(read)
    }

    /// Reads any SearchParameter; none where it lacks what each must have.
    pub(super) fn read(resource: &Value<'_>) -> Option<Self> {
        let strings = |name: &str| -> Vec<String> {
            let texts = resource.items(name).iter().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        let base = strings("base");
        if base.is_empty() {
            return None;
        }
        Some(Self {
            url: without_version(resource.get_str("url")?).to_owned(),
            code: resource.get_str("code")?.to_owned(),
            base,
            kind: parameter_type(resource.get_str("type")?)?,
            expression: resource.get_str("expression").map(str::to_owned),
            target: strings("target"),
            components: resource.items("component").iter().filter_map(component).collect(),
        })
    }

    /// A hash of all that decides what it finds: where it is the same, so is what is found.
    pub fn fingerprint(&self) -> Key {
        let mut parts = vec![self.code.as_str(), self.kind.name(), self.expression.as_deref().unwrap_or_default()];
        for list in [&self.base, &self.target] {
            parts.push("/");
            parts.extend(list.iter().map(String::as_str));
        }
        parts.push("/");
        parts.extend(self.components.iter().flat_map(|(url, expression)| [url.as_str(), expression.as_str()]));
        Key::of(&parts)
    }
}

/// Whether a name below the core's canonical base is of the form that the base specification's own
/// parameters have: `<Type>-<code>`, or one of the shared groups.
fn is_base(name: &str, base: &[String]) -> bool {
    let of_type = |ty: &String| name.strip_prefix(ty.as_str()).is_some_and(|rest| rest.starts_with('-'));
    base.iter().any(of_type) || SHARED.iter().any(|group| name.starts_with(group))
}

fn component(component: &Value<'_>) -> Option<(String, String)> {
    let definition = without_version(component.get_str("definition")?).to_owned();
    Some((definition, component.get_str("expression")?.to_owned()))
}

fn parameter_type(code: &str) -> Option<ParameterType> {
    Some(match code {
        "number" => ParameterType::Number,
        "date" => ParameterType::Date,
        "string" => ParameterType::String,
        "token" => ParameterType::Token,
        "reference" => ParameterType::Reference,
        "composite" => ParameterType::Composite,
        "quantity" => ParameterType::Quantity,
        "uri" => ParameterType::Uri,
        "special" => ParameterType::Special,
        _ => return None,
    })
}
