//! SearchParameters as the packages carry them, before [`crate::search`] compiles them.

use serde::{Deserialize, Serialize};

use crate::search::ParameterType;

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
