//! What the loaded FHIR packages say, compiled: types, required codes, search parameters,
//! compartments.
//!
//! Source: R4 structuredefinition.html, elementdefinition.html, valueset.html, searchparameter.html,
//! compartmentdefinition.html.
//!
//! [`Definitions::load_or_compile`] reads the packages once and keeps the result in a cache file.

mod cache;
mod compartments;
mod compile;
mod custom;
mod search_parameters;
mod shared;
mod structure;
mod types;
mod value_sets;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::packages::{Package, PackageError};
use crate::search::{ParameterTable, SearchError};
use shared::Shared;

pub use compartments::Compartment;
pub use custom::CustomParameter;
pub use search_parameters::RawSearchParameter;
pub(crate) use shared::Shared as SharedPart;
pub use types::{
    Binding, BindingStrength, ElementDefinition, TypeDefinition, TypeKind, TypeRef, Types, choice_property,
};
pub use value_sets::CodeSet;

/// Everything the loaded packages say, compiled. Shared, never changed; [`with_custom`](Self::with_custom) makes
/// others of it, which share all that is the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Definitions {
    types: Shared<Types>,
    raw_search_parameters: Shared<Vec<RawSearchParameter>>,
    search: ParameterTable,
    compartments: Shared<BTreeMap<String, Compartment>>,
}

/// Why there are no definitions. All become a failed start.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionsError {
    /// A package could not be read.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// A search parameter has an expression that this build cannot compile.
    #[error(transparent)]
    SearchParameter(#[from] SearchError),
    /// None of the packages defines the types of FHIR.
    #[error("none of the FHIR packages holds the core definitions: hl7.fhir.r4.examples 4.0.1 must be among them")]
    NoTypes,
}

impl Definitions {
    /// What `packages` (paths of `.tgz` files, the core package first) say: from the cache where an
    /// earlier start of this build left it, else compiled and left there. The core package
    /// must be the pinned one, to the byte. A cache that cannot be written costs
    /// time at the next start, and nothing else.
    ///
    /// # Errors
    /// [`DefinitionsError`] where a package cannot be read, is not the pinned one, or the core is
    /// missing.
    pub fn load_or_compile(cache_dir: &Path, packages: &[PathBuf]) -> Result<Arc<Self>, DefinitionsError> {
        let packages: Vec<Package> = packages.iter().map(|path| Package::open(path)).collect::<Result<_, _>>()?;
        let cached = cache::path(cache_dir, &packages);
        if let Some(definitions) = cache::load(&cached) {
            return Ok(Arc::new(definitions));
        }
        let definitions = compile::compile(&packages)?;
        // The result stands without its cache.
        let _ = cache::store(&cached, &definitions);
        Ok(Arc::new(definitions))
    }

    /// Builds what the cache does not hold.
    fn link(&mut self) {
        self.types.edit(Types::link);
    }

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
        self.types.iter().filter(|ty| is_concrete_resource(ty)).map(|ty| ty.name.as_str())
    }

    /// Whether `name` is a resource type that can have instances.
    pub fn is_resource_type(&self, name: &str) -> bool {
        self.types.get(name).is_some_and(is_concrete_resource)
    }

    /// The element behind a JSON property of a type, and which of its types the property says it
    /// has: `("Observation", "valueQuantity")` gives `value` and `Quantity`.
    pub fn element(&self, type_name: &str, property: &str) -> Option<(&ElementDefinition, &TypeRef)> {
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

    /// The search parameters, compiled.
    pub fn search(&self) -> &ParameterTable {
        &self.search
    }

    /// The search parameters as the packages define them.
    pub fn raw_search_parameters(&self) -> &[RawSearchParameter] {
        &self.raw_search_parameters
    }
}

fn is_concrete_resource(ty: &TypeDefinition) -> bool {
    ty.kind == TypeKind::Resource && !ty.abstract_
}

#[cfg(test)]
pub(crate) mod tests;
