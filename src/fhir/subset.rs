//! Parts of resources: what `_summary` and `_elements` ask for (R4 search.html#summary, #elements).
//!
//! Members are left out where they stand, so that the others keep their order and their digits. What the
//! definition makes mandatory stays, so that the rest is still valid, and so does what changes the meaning of
//! others (R4 conformance-rules.html#isModifier). Where something was left out, the resource says so by the tag
//! [`SUBSETTED`], and is not to be sent back: it would take the place of the whole ([`is_subsetted`]).

use crate::Definitions;
use crate::definitions::{ElementDefinition, TypeDefinition, TypeKind, Types};
use crate::json::{Object, Value};

/// The code of the tag of what is not whole.
pub const SUBSETTED: &str = "SUBSETTED";
/// Its code system.
const OBSERVATION_VALUE: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue";

/// A part of a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subset {
    /// `_summary=true`: the elements that the definitions mark as summary (`isSummary`), at every level.
    Summary,
    /// `_summary=text`: the narrative, and what is mandatory at the top.
    Text,
    /// `_summary=data`: all but the narrative.
    Data,
    /// `_elements`: these elements of the top, a choice named without its type (`value`) or with it
    /// (`valueQuantity`).
    Elements(Vec<String>),
}

impl Subset {
    /// Leaves of a resource only this part, and marks it where that is not all of it. What is no resource of a
    /// known type stays as it is.
    pub fn take(&self, resource: &mut Value<'_>, definitions: &Definitions) {
        let types = definitions.types();
        let Some(ty) = resource.get_str("resourceType").and_then(|name| types.get(name)) else { return };
        let Some(members) = resource.as_object_mut() else { return };
        let whole = members.len();
        members.0.retain(|(name, _)| match name.as_ref() {
            "resourceType" | "id" | "meta" => true,
            name => element_of(ty, name).is_none_or(|element| self.keeps(element, name)),
        });
        let mut left_out = members.len() < whole;
        if *self == Self::Summary {
            left_out |= summarize_below(types, ty, members);
        }
        if left_out {
            mark(members);
        }
    }

    /// Whether an element of the top stays; `member` is what it is called in the JSON.
    fn keeps(&self, element: &ElementDefinition, member: &str) -> bool {
        let listed = match self {
            Self::Summary => element.summary,
            Self::Text => element.name == "text",
            Self::Data => return element.name != "text",
            Self::Elements(names) => {
                let property = member.strip_prefix('_').unwrap_or(member);
                names.iter().any(|name| *name == element.name || name == property)
            }
        };
        listed || is_needed(element)
    }
}

/// Whether a resource says that it is not whole (`meta.tag`).
pub fn is_subsetted(resource: &Value<'_>) -> bool {
    let tags = resource.get("meta").map(|meta| meta.items("tag")).unwrap_or_default();
    tags.iter().any(|tag| {
        // Older servers name the system as in R3.
        let system = tag.get_str("system").unwrap_or_default();
        tag.get_str("code") == Some(SUBSETTED) && system.ends_with("ObservationValue")
    })
}

fn is_needed(element: &ElementDefinition) -> bool {
    element.min > 0 || element.modifier
}

/// The element that a member is, or whose id and extensions it holds.
fn element_of<'d>(ty: &'d TypeDefinition, member: &str) -> Option<&'d ElementDefinition> {
    ty.property(member.strip_prefix('_').unwrap_or(member)).map(|(element, _)| element)
}

/// Leaves out of what is inside these members whatever is not summary; whether that was anything.
fn summarize_below(types: &Types, ty: &TypeDefinition, members: &mut Object<'_>) -> bool {
    let mut left_out = false;
    members.0.retain_mut(|(name, value)| {
        // What changes the meaning of others is kept with all that it says.
        let content = ty.property(name).filter(|(element, _)| element.summary && !element.modifier);
        let Some((element, content)) = content.and_then(|(element, ty)| Some((element, types.resolve(ty)?))) else {
            return true;
        };
        if !matches!(content.kind, TypeKind::Complex | TypeKind::Backbone) {
            return true;
        }
        let whole = (element.min > 0).then(|| value.clone());
        left_out |= summarize(types, content, value);
        if !is_empty(value) {
            return true;
        }
        // Nothing of it is summary, but it has to be there.
        let mandatory = whole.is_some();
        *value = whole.unwrap_or(Value::Null);
        mandatory
    });
    left_out
}

/// The same for a value, or each of a list.
fn summarize(types: &Types, ty: &TypeDefinition, value: &mut Value<'_>) -> bool {
    match value {
        Value::Array(items) => {
            let mut left_out = false;
            items.retain_mut(|item| {
                left_out |= summarize(types, ty, item);
                !is_empty(item)
            });
            left_out
        }
        Value::Object(members) => {
            let whole = members.len();
            members
                .0
                .retain(|(name, _)| element_of(ty, name).is_none_or(|element| element.summary || is_needed(element)));
            summarize_below(types, ty, members) || members.len() < whole
        }
        _ => false,
    }
}

fn is_empty(value: &Value<'_>) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Adds the tag.
fn mark(members: &mut Object<'_>) {
    if !members.contains("meta") {
        members.insert_at(1, "meta", Object::new());
    }
    let Some(meta) = members.get_mut("meta").and_then(Value::as_object_mut) else { return };
    let tag: Object<'_> = [("system", OBSERVATION_VALUE), ("code", SUBSETTED)].into_iter().collect();
    match meta.get_mut("tag").and_then(Value::as_array_mut) {
        Some(tags) if tags.iter().any(|tag| tag.get_str("code") == Some(SUBSETTED)) => {}
        Some(tags) => tags.push(tag.into()),
        None => drop(meta.set("tag", vec![tag.into()])),
    }
}

#[cfg(test)]
mod tests;
