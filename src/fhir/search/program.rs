//! Compiled expressions, and how they walk a resource.
//!
//! All names are resolved: a step is a JSON property, and a choice of types has become one path a
//! type. So walking allocates nothing and asks no definitions.

use serde::{Deserialize, Serialize};

use super::convert::Conversion;
use super::expression::Literal;
use crate::datatypes::Reference;
use crate::json::Value;

/// The property that extensions stand in.
const EXTENSION: &str = "extension";

/// What a search parameter does to a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Program {
    /// Finds elements and converts them.
    Values(Vec<Leaf>),
    /// Yields a boolean.
    Test(Condition),
    /// Finds elements and combines values from each.
    Composite(Vec<Composite>),
    /// Answered by the store from its own columns (`_id`, `_lastUpdated`).
    Stored,
}

/// A path to elements of one datatype.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Leaf {
    pub path: Vec<Step>,
    pub conversion: Conversion,
}

/// A composite parameter on one of its base paths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Composite {
    pub base: Vec<Step>,
    pub components: Vec<Component>,
}

/// One component of a composite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Component {
    /// Whether its paths start at the resource rather than at the base (`%resource`).
    pub from_resource: bool,
    pub leaves: Vec<Leaf>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Step {
    /// The values of a property; all items where it is an array.
    Property(Box<str>),
    /// The one item of an array property.
    Item(Box<str>, usize),
    /// The extensions with this URL.
    Extension(Box<str>),
    /// Only elements for which it holds.
    Filter(Condition),
}

/// A test of an element. `None` is FHIRPath's empty collection: neither true nor false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Condition {
    /// One of the paths leads somewhere.
    Exists(Vec<Vec<Step>>),
    /// What a path leads to equals the literal.
    Equals { paths: Vec<Vec<Step>>, literal: Literal },
    /// The negation.
    Not(Box<Condition>),
    /// All hold.
    All(Vec<Condition>),
    /// One holds.
    Any(Vec<Condition>),
    /// The element is a reference to a resource of this type.
    RefersTo(Box<str>),
}

/// Calls `found` with each element that `path` leads to from `value`.
pub(super) fn walk<'r, 'j, F: FnMut(&'r Value<'j>)>(
    path: &[Step],
    value: &'r Value<'j>,
    resource: &'r Value<'j>,
    found: &mut F,
) {
    let Some((step, rest)) = path.split_first() else {
        return found(value);
    };
    match step {
        Step::Filter(condition) => {
            if condition.holds(value, resource) == Some(true) {
                walk(rest, value, resource, found);
            }
        }
        Step::Property(name) | Step::Item(name, _) => {
            if let Some(member) = value.get(name) {
                enter(step, rest, member, resource, found);
            }
        }
        Step::Extension(_) => {
            if let Some(member) = value.get(EXTENSION) {
                enter(step, rest, member, resource, found);
            }
        }
    }
}

/// As [`walk`], where the member that `step` names was found already.
pub(super) fn enter<'r, 'j, F: FnMut(&'r Value<'j>)>(
    step: &Step,
    rest: &[Step],
    member: &'r Value<'j>,
    resource: &'r Value<'j>,
    found: &mut F,
) {
    let items = member.as_array();
    match step {
        Step::Item(_, index) => {
            if let Some(item) = items.and_then(|items| items.get(*index)) {
                walk(rest, item, resource, found);
            }
        }
        Step::Extension(url) => {
            let matching = items.unwrap_or_default().iter().filter(|one| one.get_str("url") == Some(url));
            matching.for_each(|extension| walk(rest, extension, resource, found));
        }
        Step::Property(_) | Step::Filter(_) => match items {
            Some(items) => items.iter().for_each(|item| walk(rest, item, resource, found)),
            None => walk(rest, member, resource, found),
        },
    }
}

impl Step {
    /// The property that the step enters; none for a filter.
    pub(super) fn property(&self) -> Option<&str> {
        match self {
            Self::Property(name) | Self::Item(name, _) => Some(name),
            Self::Extension(_) => Some(EXTENSION),
            Self::Filter(_) => None,
        }
    }
}

impl Condition {
    /// Whether it holds of `value`, an element of `resource`.
    pub(super) fn holds(&self, value: &Value<'_>, resource: &Value<'_>) -> Option<bool> {
        match self {
            Self::Exists(paths) => {
                let mut any = false;
                paths.iter().for_each(|path| walk(path, value, resource, &mut |_| any = true));
                Some(any)
            }
            Self::Equals { paths, literal } => {
                let mut equal = None;
                for path in paths {
                    walk(path, value, resource, &mut |found| {
                        equal = Some(equal.unwrap_or(true) && literal.equals(found));
                    });
                }
                equal
            }
            Self::Not(condition) => condition.holds(value, resource).map(|holds| !holds),
            Self::All(conditions) => combine(conditions, false, value, resource),
            Self::Any(conditions) => combine(conditions, true, value, resource),
            Self::RefersTo(resource_type) => Some(target_type(value, resource) == Some(resource_type)),
        }
    }
}

/// FHIRPath's three-valued `and` (decided by one false) and `or` (decided by one true).
fn combine(conditions: &[Condition], deciding: bool, value: &Value<'_>, resource: &Value<'_>) -> Option<bool> {
    let mut result = Some(!deciding);
    for condition in conditions {
        match condition.holds(value, resource) {
            Some(holds) if holds == deciding => return Some(deciding),
            Some(_) => {}
            None => result = None,
        }
    }
    result
}

impl Literal {
    fn equals(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Text(text) => value.as_str() == Some(text),
            Self::Boolean(boolean) => value.as_bool() == Some(*boolean),
        }
    }
}

/// The type of the resource that a Reference (or canonical) points at, as far as the resource itself
/// tells: by the text, by the contained resource, or by `Reference.type`.
fn target_type<'r>(reference: &'r Value<'_>, resource: &'r Value<'_>) -> Option<&'r str> {
    let text = reference.as_str().or_else(|| reference.get_str("reference"));
    let by_text = text.and_then(|text| match Reference::parse(text) {
        Reference::Fragment(id) => {
            let contained = resource.items("contained").iter();
            contained.filter(|one| one.get_str("id") == Some(id)).find_map(|one| one.get_str("resourceType"))
        }
        other => other.resource_type(),
    });
    by_text.or_else(|| reference.get_str("type").map(type_of_url))
}

/// `Reference.type` may be a URL relative to FHIR's own structure definitions, or the whole one.
pub(super) fn type_of_url(text: &str) -> &str {
    text.strip_prefix("http://hl7.org/fhir/StructureDefinition/").unwrap_or(text)
}

impl Program {
    /// The types that `resolve() is …` names on every one of the paths, if it does: narrower than
    /// what the definition lists for all of its bases.
    pub(super) fn referred_types(&self) -> Option<Vec<String>> {
        let Self::Values(leaves) = self else {
            return None;
        };
        let named = leaves.iter().map(|leaf| match leaf.path.last() {
            Some(Step::Filter(Condition::RefersTo(name))) => Some(name.to_string()),
            _ => None,
        });
        let mut named = named.collect::<Option<Vec<String>>>()?;
        named.sort();
        named.dedup();
        Some(named)
    }
}
