//! Patches: JSON Patch (RFC 6902) and FHIRPath Patch (R4 fhirpatch.html), on the lossless JSON form.
//!
//! [`Patch`] is either; it is read once and can be applied to any version of a resource, which it
//! takes and gives back changed, or not at all. Numbers keep their digits and members their order;
//! what is added comes last. The result may be no valid resource: that is for
//! [`validation`](crate::validation) to say, as for any other content.
//!
//! How much a patch may copy, compare and search is bounded, and so is how deep its result may be.

mod budget;
mod element;
mod equality;
mod error;
mod fhirpath_patch;
mod json_patch;
mod pointer;
mod value;

pub use error::{PatchError, PatchErrorKind};
pub use fhirpath_patch::FhirPathPatch;
pub use json_patch::JsonPatch;

use crate::Definitions;
use crate::json::Value;

/// A patch of a resource.
#[derive(Debug, Clone)]
pub enum Patch<'a> {
    /// A JSON Patch.
    Json(JsonPatch<'a>),
    /// A FHIRPath Patch.
    FhirPath(FhirPathPatch<'a>),
}

impl<'a> Patch<'a> {
    /// Reads a JSON Patch.
    ///
    /// # Errors
    /// As [`JsonPatch::parse`].
    pub fn json(document: Value<'a>) -> Result<Self, PatchError> {
        JsonPatch::parse(document).map(Self::Json)
    }

    /// Reads a FHIRPath Patch, a Parameters resource.
    ///
    /// # Errors
    /// As [`FhirPathPatch::parse`].
    pub fn fhir_path(parameters: Value<'a>, definitions: &Definitions) -> Result<Self, PatchError> {
        FhirPathPatch::parse(parameters, definitions).map(Self::FhirPath)
    }

    /// Applies it to a resource.
    ///
    /// FHIR has no empty arrays and objects, so what a JSON Patch emptied by its operations is left
    /// out; what it brings in empty is not, and validation will refuse it.
    ///
    /// # Errors
    /// [`PatchError`] at the first operation that cannot be done.
    pub fn apply<'r>(&self, resource: Value<'r>, definitions: &Definitions) -> Result<Value<'r>, PatchError>
    where
        'a: 'r,
    {
        match self {
            Self::FhirPath(patch) => patch.apply(resource, definitions),
            Self::Json(patch) => {
                let mut patched = patch.apply(resource)?;
                if !patch.brings_empty() {
                    prune(&mut patched);
                }
                Ok(patched)
            }
        }
    }
}

/// Takes out arrays and objects with nothing in them. Says whether the value is one itself.
fn prune(value: &mut Value<'_>) -> bool {
    match value {
        Value::Array(items) => {
            items.retain_mut(|item| !prune(item));
            items.is_empty()
        }
        Value::Object(members) => {
            members.0.retain_mut(|(_, value)| !prune(value));
            members.is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
