//! Whether a resource has the structure its type demands.
//!
//! Source: R4 validation.html (structure, cardinality, value domains, required bindings), json.html
//! (arrays, primitive siblings, no empty values), datatypes.html#primitive, references.html#contained.
//!
//! Covered: what the base definitions say of elements, their types, cardinalities, formats and
//! required codes, and the rules dom-2 and ext-1. Not covered: other FHIRPath invariants, profiles,
//! the targets of references, and bindings whose codes the packages do not list.
//!
//! It runs on each write, so nothing is allocated until a fault is found.

mod binding;
mod element;
mod path;
mod primitive;

use crate::definitions::{Definitions, TypeDefinition, TypeKind, Types};
use crate::json::{Object, Value};
use crate::outcome::{Issue, IssueCode};

use path::Path;
pub use primitive::is_id;

/// Issues reported for one resource, before the rest is only counted.
const MAX_ISSUES: usize = 100;

/// Checks resources against the base definitions.
#[derive(Debug, Clone, Copy)]
pub struct Validator<'d> {
    types: &'d Types,
    entries: bool,
}

impl<'d> Validator<'d> {
    /// A validator that knows the types of `definitions`.
    pub fn new(definitions: &'d Definitions) -> Self {
        Self { types: definitions.types(), entries: true }
    }

    /// The same validator, but one that leaves out the resources in a Bundle's entries: for those
    /// that are judged one by one, as in a batch.
    pub fn without_entries(self) -> Self {
        Self { entries: false, ..self }
    }

    /// All faults of a resource, up to a hundred; none if it is valid.
    pub fn validate(&self, resource: &Value<'_>) -> Vec<Issue> {
        let mut run = Run {
            types: self.types,
            entries: self.entries,
            issues: Vec::new(),
            omitted: 0,
            seen: Vec::with_capacity(128),
        };
        let root = Path::root(resource.get_str("resourceType").unwrap_or_default());
        run.resource(&root, resource, None);
        run.finish()
    }
}

/// Checks a resource against the base definitions: all faults, up to a hundred; none if it is valid.
pub fn validate(resource: &Value<'_>, definitions: &Definitions) -> Vec<Issue> {
    Validator::new(definitions).validate(resource)
}

/// One validation under way.
struct Run<'d> {
    types: &'d Types,
    entries: bool,
    issues: Vec<Issue>,
    omitted: usize,
    /// For the objects being read, innermost last: for each element of the type, 0 if it was not
    /// met, else 1 + the index of the type it has.
    seen: Vec<u8>,
}

/// How a resource stands in another one.
#[derive(Clone, Copy, PartialEq)]
enum Inside {
    Contained,
    Other,
}

impl<'d> Run<'d> {
    /// Notes an error at `path`.
    #[cold]
    fn error(&mut self, code: IssueCode, path: &Path<'_>, message: impl Into<String>) {
        if self.issues.len() < MAX_ISSUES {
            self.issues.push(Issue::error(code, message).at(path.expression()));
        } else {
            self.omitted += 1;
        }
    }

    fn finish(mut self) -> Vec<Issue> {
        if self.omitted > 0 {
            let message = format!("{} further issues are not listed", self.omitted);
            self.issues.push(Issue::information(IssueCode::Incomplete, message));
        }
        self.issues
    }

    /// A resource, at the root (`inside` None) or in another one.
    fn resource(&mut self, path: &Path<'_>, value: &Value<'_>, inside: Option<Inside>) {
        let Value::Object(object) = value else {
            let message = format!("a resource must be an object; this is {}", value.kind());
            return self.error(IssueCode::Structure, path, message);
        };
        let Some(resource_type) = self.resource_type(path, object) else {
            return;
        };
        if inside == Some(Inside::Contained) && object.contains("contained") {
            let message = "a contained resource must not contain others (dom-2)";
            self.error(IssueCode::Invariant, &path.element("contained"), message);
        }
        self.object(path, resource_type, object);
    }

    /// The definition of the type that `resourceType` names.
    fn resource_type(&mut self, path: &Path<'_>, object: &Object<'_>) -> Option<&'d TypeDefinition> {
        let (code, message) = match object.get("resourceType") {
            None => (IssueCode::Required, "a resource must have a resourceType".to_owned()),
            Some(Value::String(name)) => match self.types.get(name) {
                Some(ty) if ty.kind == TypeKind::Resource && !ty.abstract_ => return Some(ty),
                _ => (IssueCode::Structure, format!("{name:?} is no resource type of FHIR R4")),
            },
            Some(other) => {
                let message = format!("resourceType must be a string; this is {}", other.kind());
                (IssueCode::Structure, message)
            }
        };
        self.error(code, path, message);
        None
    }
}

#[cfg(test)]
mod tests;
