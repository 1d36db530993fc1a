//! What the loaded FHIR packages say, compiled: types, required codes, search parameters,
//! compartments.
//!
//! Source: R4 structuredefinition.html, elementdefinition.html, valueset.html, searchparameter.html,
//! compartmentdefinition.html.
//!
//! [`Definitions::load_or_compile`] reads the packages once and keeps the result in a cache file.

mod search_parameters;
mod types;
mod value_sets;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use search_parameters::RawSearchParameter;
pub use types::{
    Binding, BindingStrength, ElementDefinition, TypeDefinition, TypeKind, TypeRef, Types,
    choice_property,
};
pub use value_sets::CodeSet;

/// Everything the loaded packages say, compiled. Shared, never changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definitions {
    types: Types,
    raw_search_parameters: Vec<RawSearchParameter>,
    compartments: BTreeMap<String, Compartment>,
}

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
    /// the type is never in it.
    pub fn parameters(&self, resource_type: &str) -> &[String] {
        self.members
            .get(resource_type)
            .map(Vec::as_slice)
            .unwrap_or_default()
    }
}

impl Definitions {
    /// All types.
    pub fn types(&self) -> &Types {
        &self.types
    }

    /// The type `name`: a resource, complex type, primitive, or backbone element by its path.
    pub fn type_definition(&self, name: &str) -> Option<&TypeDefinition> {
        self.types.get(name)
    }

    /// The names of all resource types that can have instances, sorted.
    pub fn resource_types(&self) -> impl Iterator<Item = &str> {
        self.types
            .iter()
            .filter(|ty| is_concrete_resource(ty))
            .map(|ty| ty.name.as_str())
    }

    /// Whether `name` is a resource type that can have instances.
    pub fn is_resource_type(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(is_concrete_resource)
    }

    /// The element behind a JSON property of a type, and which of its types the property says it
    /// has: `("Observation", "valueQuantity")` gives `value` and `Quantity`.
    pub fn element(
        &self,
        type_name: &str,
        property: &str,
    ) -> Option<(&ElementDefinition, &TypeRef)> {
        self.types.element(type_name, property)
    }

    /// The code system that a `code` element implies by its required binding: `("Patient",
    /// "gender", "male")` gives `http://hl7.org/fhir/administrative-gender` (R4 search.html#token).
    pub fn implicit_system(&self, type_name: &str, property: &str, code: &str) -> Option<&str> {
        let (element, _) = self.types.element(type_name, property)?;
        self.types.codes(element.binding.as_ref()?)?.system(code)
    }

    /// The compartment of `owner` (`Patient`, `Encounter`, `Practitioner`, …).
    pub fn compartment(&self, owner: &str) -> Option<&Compartment> {
        self.compartments.get(owner)
    }

    /// The search parameters as the packages define them.
    pub fn raw_search_parameters(&self) -> &[RawSearchParameter] {
        &self.raw_search_parameters
    }
}

fn is_concrete_resource(ty: &TypeDefinition) -> bool {
    ty.kind == TypeKind::Resource && !ty.abstract_
}
