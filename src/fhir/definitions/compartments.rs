//! Compartments: which resources belong to a patient, an encounter, a practitioner, …

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::json::Value;

/// A compartment: which resources belong to its owner, and by which search parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compartment {
    /// For each resource type that can be in the compartment, the codes of the search parameters
    /// whose references place it there. The owner's own type (`Patient` in the Patient compartment)
    /// is in it by its id as well, whatever stands here.
    pub members: BTreeMap<String, Vec<String>>,
}

impl Compartment {
    /// The search parameters that place a resource of this type in the compartment; empty where
    /// the type is never in it by reference.
    pub fn parameters(&self, resource_type: &str) -> &[String] {
        self.members.get(resource_type).map(Vec::as_slice).unwrap_or_default()
    }

    /// Reads a CompartmentDefinition: the owner's type and the compartment. None for examples,
    /// which stand beside the five compartments of R4 in its package.
    pub(super) fn from_json(resource: &Value<'_>) -> Option<(String, Self)> {
        let owner = resource.get_str("code")?;
        let name = resource.get_str("url")?.strip_prefix("http://hl7.org/fhir/CompartmentDefinition/")?;
        if !name.eq_ignore_ascii_case(owner) {
            return None;
        }
        let members = resource.items("resource").iter().filter_map(member).collect();
        Some((owner.to_owned(), Self { members }))
    }
}

fn member(resource: &Value<'_>) -> Option<(String, Vec<String>)> {
    let params = resource.items("param").iter().filter_map(Value::as_str);
    // `{def}` stands for the owner itself, which needs no parameter.
    let params: Vec<String> = params.filter(|code| *code != "{def}").map(str::to_owned).collect();
    (!params.is_empty()).then(|| Some((resource.get_str("code")?.to_owned(), params)))?
}
