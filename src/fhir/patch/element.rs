//! Where an element stands in a resource, and what can be done there.

use super::budget::Budget;
use super::error::PatchErrorKind as Kind;
use super::value::{Element, set};
use crate::Definitions;
use crate::definitions::{ElementDefinition, TypeDefinition, TypeKind};
use crate::fhirpath::Node;
use crate::json::{Object, Value};

/// One step from a JSON value to a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Member(String),
    Item(usize),
}

/// The way from the resource to an element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// To the object that has the element.
    parent: Vec<Step>,
    /// The JSON property, without the `_` of what stands beside a primitive; None for the resource.
    property: Option<String>,
    /// The position, where the property is a list.
    pub index: Option<usize>,
}

impl Place {
    /// Finds where a node of `resource` stands. The node must borrow from it.
    pub fn of(node: &Node<'_>, resource: &Value<'_>, budget: &mut Budget) -> Result<Self, Kind> {
        let target: *const Value<'_> = node.value.or(node.sibling).ok_or(Kind::NoPlace)?;
        let mut steps = Vec::new();
        if !find(resource, target.cast(), &mut steps, budget)? {
            return Err(Kind::NoPlace);
        }
        let index = match steps.last() {
            Some(Step::Item(index)) => Some(*index),
            _ => None,
        };
        if index.is_some() {
            steps.pop();
        }
        let property = match steps.pop() {
            None => None,
            Some(Step::Member(name)) if node.value.is_none() => name.strip_prefix('_').map(str::to_owned),
            Some(Step::Member(name)) => Some(name),
            Some(Step::Item(_)) => return Err(Kind::NoPlace),
        };
        Ok(Self { parent: steps, property, index })
    }

    /// Whether the other one is in the same list.
    pub fn is_beside(&self, other: &Self) -> bool {
        self.index.is_some() && other.index.is_some() && self.parent == other.parent && self.property == other.property
    }

    /// The JSON property of the list or element.
    pub fn property(&self) -> Result<&str, Kind> {
        self.property.as_deref().ok_or(Kind::WholeResource)
    }

    /// The type of the object that has the element.
    pub fn parent_type<'d>(&self, resource: &Value<'_>, definitions: &'d Definitions) -> Option<&'d TypeDefinition> {
        type_at(resource, &self.parent, definitions)
    }

    /// What the definitions say of the element.
    pub fn definition<'d>(&self, resource: &Value<'_>, definitions: &'d Definitions) -> Option<&'d ElementDefinition> {
        let ty = self.parent_type(resource, definitions)?;
        Some(ty.property(self.property.as_deref()?)?.0)
    }

    /// The object that has the element.
    pub fn parent<'v, 'a>(&self, resource: &'v mut Value<'a>) -> Result<&'v mut Object<'a>, Kind> {
        object_at(resource, &self.parent)
    }

    /// The object that holds the element's own elements, and its type: for a primitive the one beside
    /// it, which is made where there is none.
    pub fn content<'v, 'a, 'd>(
        &self,
        node_is_primitive: bool,
        resource: &'v mut Value<'a>,
        definitions: &'d Definitions,
    ) -> Result<(&'v mut Object<'a>, &'d TypeDefinition), Kind> {
        let mut steps = self.parent.clone();
        if let Some(property) = &self.property {
            let name = if node_is_primitive { format!("_{property}") } else { property.clone() };
            steps.push(Step::Member(name));
            steps.extend(self.index.map(Step::Item));
        }
        let ty = match node_is_primitive {
            true => definitions.type_definition("Element"),
            false => type_at(resource, &steps, definitions),
        };
        let ty = ty.ok_or(Kind::NoPlace)?;
        if node_is_primitive {
            self.make_sibling(resource)?;
        }
        Ok((object_at(resource, &steps)?, ty))
    }

    fn make_sibling(&self, resource: &mut Value<'_>) -> Result<(), Kind> {
        let name = format!("_{}", self.property()?);
        let parent = self.parent(resource)?;
        let Some(index) = self.index else {
            if !parent.contains(&name) {
                parent.set(name, Object::new());
            }
            return Ok(());
        };
        if !parent.contains(&name) {
            parent.set(name.clone(), Vec::new());
        }
        let items = parent.get_mut(&name).and_then(Value::as_array_mut).ok_or(Kind::NoList)?;
        while items.len() <= index {
            items.push(Value::Null);
        }
        if items[index].is_null() {
            items[index] = Value::Object(Object::new());
        }
        Ok(())
    }

    /// Takes the element out, and with it what has nothing in it without the element.
    pub fn delete(&self, resource: &mut Value<'_>) -> Result<(), Kind> {
        let property = self.property()?;
        let parent = self.parent(resource)?;
        for name in [property.to_owned(), format!("_{property}")] {
            match (self.index, parent.get_mut(&name)) {
                (Some(index), Some(Value::Array(items))) if index < items.len() => {
                    items.remove(index);
                    // Of a list of primitives one side may be left with nulls only.
                    if items.iter().all(Value::is_null) {
                        parent.remove(&name);
                    }
                }
                (Some(_), _) => {}
                (None, _) => {
                    parent.remove(&name);
                }
            }
        }
        if parent.is_empty() { remove_empty(resource, &self.parent) } else { Ok(()) }
    }

    /// Puts another value in the element's place, under the property that its type asks for.
    pub fn replace<'a>(&self, resource: &mut Value<'a>, property: &str, element: Element<'a>) -> Result<(), Kind> {
        let old = self.property()?.to_owned();
        let parent = self.parent(resource)?;
        let Some(index) = self.index else {
            let at = parent.iter().position(|(name, _)| name == old || name.strip_prefix('_') == Some(&old));
            parent.remove(&old);
            parent.remove(&format!("_{old}"));
            // In the place of the old one.
            let mut members = Object::new();
            set(&mut members, property, element);
            for (offset, (name, value)) in members.0.into_iter().enumerate() {
                parent.insert_at(at.unwrap_or(usize::MAX).saturating_add(offset), name, value);
            }
            return Ok(());
        };
        let length = super::value::list_length(parent, &old)?;
        for (name, item) in [(old.clone(), element.value), (format!("_{old}"), element.sibling)] {
            if item.is_some() && !parent.contains(&name) {
                parent.set(name.clone(), vec![Value::Null; length]);
            }
            let Some(items) = parent.get_mut(&name).and_then(Value::as_array_mut) else { continue };
            if items.len() <= index {
                items.resize(length, Value::Null);
            }
            items[index] = item.unwrap_or(Value::Null);
            if items.iter().all(Value::is_null) {
                parent.remove(&name);
            }
        }
        Ok(())
    }

    /// Moves an item of the list to another position in it.
    pub fn reorder(&self, resource: &mut Value<'_>, source: usize, destination: usize) -> Result<(), Kind> {
        let property = self.property()?;
        let parent = self.parent(resource)?;
        let length = super::value::list_length(parent, property)?;
        for name in [property.to_owned(), format!("_{property}")] {
            if let Some(items) = parent.get_mut(&name).and_then(Value::as_array_mut) {
                items.resize(length, Value::Null);
                let item = items.remove(source);
                items.insert(destination, item);
            }
        }
        Ok(())
    }
}

/// Looks for the very value that `target` points to, and notes the way to it.
fn find(value: &Value<'_>, target: *const (), steps: &mut Vec<Step>, budget: &mut Budget) -> Result<bool, Kind> {
    budget.charge(1)?;
    if std::ptr::from_ref(value).cast() == target {
        return Ok(true);
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                if find(item, target, steps, budget)? {
                    steps.insert(0, Step::Item(index));
                    return Ok(true);
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members.iter() {
                if find(member, target, steps, budget)? {
                    steps.insert(0, Step::Member(name.to_owned()));
                    return Ok(true);
                }
            }
        }
        _ => {}
    }
    Ok(false)
}

fn object_at<'v, 'a>(resource: &'v mut Value<'a>, steps: &[Step]) -> Result<&'v mut Object<'a>, Kind> {
    let found = steps.iter().try_fold(resource, |value, step| match step {
        Step::Member(name) => value.as_object_mut()?.get_mut(name),
        Step::Item(index) => value.as_array_mut()?.get_mut(*index),
    });
    found.and_then(Value::as_object_mut).ok_or(Kind::NoPlace)
}

/// The type of the object at the end of the way.
fn type_at<'d>(resource: &Value<'_>, steps: &[Step], definitions: &'d Definitions) -> Option<&'d TypeDefinition> {
    let types = definitions.types();
    let of_resource = |value: &Value<'_>| types.get(value.get_str("resourceType")?);
    let (mut value, mut ty) = (resource, of_resource(resource)?);
    for step in steps {
        match step {
            Step::Item(index) => value = value.as_array()?.get(*index)?,
            Step::Member(name) => {
                ty = match name.strip_prefix('_') {
                    Some(_) => types.get("Element")?,
                    None => types.resolve(ty.property(name)?.1)?,
                };
                value = value.get(name)?;
            }
        }
        if ty.kind == TypeKind::Resource && value.as_object().is_some() {
            ty = of_resource(value)?;
        }
    }
    Some(ty)
}

/// Takes out an object that has nothing in it, and with it what has nothing in it without the object.
fn remove_empty(resource: &mut Value<'_>, steps: &[Step]) -> Result<(), Kind> {
    let Some((last, above)) = steps.split_last() else { return Ok(()) };
    match last {
        Step::Member(name) => {
            let parent = object_at(resource, above)?;
            parent.remove(name);
            if parent.is_empty() { remove_empty(resource, above) } else { Ok(()) }
        }
        Step::Item(index) => {
            let Some((Step::Member(name), above)) = above.split_last() else { return Err(Kind::NoPlace) };
            let parent = object_at(resource, above)?;
            let Some(Value::Array(items)) = parent.get_mut(name) else { return Err(Kind::NoPlace) };
            if name.starts_with('_') {
                items[*index] = Value::Null;
            } else {
                items.remove(*index);
            }
            if items.iter().all(Value::is_null) {
                parent.remove(name);
            }
            if parent.is_empty() { remove_empty(resource, above) } else { Ok(()) }
        }
    }
}
