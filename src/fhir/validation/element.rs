//! Objects and their members against the elements of a type.

use crate::definitions::{ElementDefinition, TypeDefinition, TypeKind, TypeRef};
use crate::json::{Object, Value};
use crate::outcome::IssueCode;

use super::path::Path;
use super::{Inside, Run, primitive};

/// A member of an object that stands for an element.
struct Member<'m, 'd> {
    parent: &'d TypeDefinition,
    element: &'d ElementDefinition,
    type_ref: &'d TypeRef,
    /// None where the packages do not define it; its values are then not looked at.
    ty: Option<&'d TypeDefinition>,
    /// The value; None where only the sibling is there.
    value: Option<&'m Value<'m>>,
    /// For primitives: the sibling `_name` with id and extensions.
    sibling: Option<&'m Value<'m>>,
}

impl<'d> Run<'d> {
    /// An object of a known type: its members, and what is missing.
    pub(super) fn object(&mut self, path: &Path<'_>, ty: &'d TypeDefinition, object: &Object<'_>) {
        if object.is_empty() {
            let message = "an object must not be empty: leave out what has no content";
            return self.error(IssueCode::Structure, path, message);
        }
        let base = self.seen.len();
        self.seen.resize(base + ty.elements.len(), 0);
        for (name, value) in object.iter() {
            self.member(path, ty, object, (name, value), base);
        }
        for (index, element) in ty.elements.iter().enumerate() {
            if element.min > 0 && self.seen[base + index] == 0 {
                let name = &element.name;
                let choice = if element.choice { "[x]" } else { "" };
                let message = format!("{}.{name}{choice} is required", ty.name);
                self.error(IssueCode::Required, &path.element(name), message);
            }
        }
        self.seen.truncate(base);
        if ty.name == "Extension" && object.contains("extension") == has_value(object) {
            let message = "an extension must have either a value or extensions, not both (ext-1)";
            self.error(IssueCode::Invariant, path, message);
        }
    }

    fn member(
        &mut self,
        path: &Path<'_>,
        ty: &'d TypeDefinition,
        object: &Object<'_>,
        (name, value): (&str, &Value<'_>),
        base: usize,
    ) {
        if name == "resourceType" && ty.kind == TypeKind::Resource {
            return;
        }
        let property = name.strip_prefix('_').unwrap_or(name);
        let is_sibling = property.len() < name.len();
        let Some((element_index, type_index)) = ty.property_index(property) else {
            return self.unknown(path, ty, name);
        };
        let element = &ty.elements[element_index];
        let type_ref = &element.types[type_index];
        let definition = self.types.resolve(type_ref);
        let is_primitive = definition.is_some_and(|ty| ty.kind == TypeKind::Primitive);
        if is_sibling && !is_primitive {
            return self.unknown(path, ty, name);
        }
        let seen = &mut self.seen[base + element_index];
        let met = (type_index as u8).saturating_add(1);
        let conflict = *seen != 0 && *seen != met;
        *seen = met;
        if conflict {
            let message = format!("{} has more than one {}[x]", ty.name, element.name);
            self.error(IssueCode::Structure, &path.element(&element.name), message);
        }
        let other = if is_primitive { counterpart(object, property, is_sibling) } else { None };
        if is_sibling && other.is_some() {
            // Looked at together with the value it belongs to.
            return;
        }
        let (value, sibling) = if is_sibling { (None, Some(value)) } else { (Some(value), other) };
        let member = Member { parent: ty, element, type_ref, ty: definition, value, sibling };
        self.occurrences(&path.element(&element.name), &member);
    }

    #[cold]
    fn unknown(&mut self, path: &Path<'_>, ty: &TypeDefinition, name: &str) {
        let choice = ty.elements.iter().find(|element| element.choice && element.name == name);
        let message = match choice {
            Some(element) => format!(
                "{}.{name} is a choice of types: name the type, as in {name}{}",
                ty.name,
                crate::definitions::choice_property("", &element.types[0].code)
            ),
            None => format!("{} has no element {name:?}", ty.name),
        };
        self.error(IssueCode::Structure, &path.element(name), message);
    }

    /// The occurrences of one element: how many there are, and each.
    fn occurrences(&mut self, path: &Path<'_>, member: &Member<'_, 'd>) {
        let element = member.element;
        if element.max == Some(0) {
            let message = format!("{} must not have {}", member.parent.name, element.name);
            return self.error(IssueCode::Structure, path, message);
        }
        if !element.is_list() {
            return self.single(path, member);
        }
        let Some(values) = self.list(path, member.value) else {
            return;
        };
        let Some(siblings) = self.list(path, member.sibling) else {
            return;
        };
        if member.value.is_some() && member.sibling.is_some() && values.len() != siblings.len() {
            let message =
                format!("the arrays {0} and _{0} must be of one length, with null where one has nothing", element.name);
            self.error(IssueCode::Structure, path, message);
        }
        let count = values.len().max(siblings.len());
        let too_few = count < element.min as usize;
        if too_few || element.max.is_some_and(|max| count > max as usize) {
            let max = element.max.map_or_else(|| "*".to_owned(), |max| max.to_string());
            let message = format!("{} occurs {count} times; allowed are {}..{max}", element.name, element.min);
            self.error(if too_few { IssueCode::Required } else { IssueCode::Structure }, path, message);
        }
        let or_null = |value: Option<&'_ Value<'_>>| value.is_none_or(Value::is_null);
        for index in 0..count {
            let (value, sibling) = (values.get(index), siblings.get(index));
            let path = path.item(index);
            if or_null(value) && or_null(sibling) {
                let message = "null stands only where a primitive has an id or extension beside it";
                self.error(IssueCode::Structure, &path, message);
            } else {
                self.occurrence(&path, member, value.filter(|v| !v.is_null()), sibling.filter(|v| !v.is_null()));
            }
        }
    }

    /// The items of what must be an array, which may be absent but not empty.
    fn list<'m>(&mut self, path: &Path<'_>, value: Option<&'m Value<'m>>) -> Option<&'m [Value<'m>]> {
        match value {
            None => Some(&[]),
            Some(Value::Array(items)) if items.is_empty() => {
                let message = "an array must not be empty: leave out what has no content";
                self.error(IssueCode::Structure, path, message);
                None
            }
            Some(Value::Array(items)) => Some(items),
            Some(other) => {
                let message = format!("this element may repeat, so it must be an array; this is {}", other.kind());
                self.error(IssueCode::Structure, path, message);
                None
            }
        }
    }

    fn single(&mut self, path: &Path<'_>, member: &Member<'_, 'd>) {
        for value in [member.value, member.sibling].into_iter().flatten() {
            let message = match value {
                Value::Array(_) => "this element does not repeat, so it must not be an array",
                Value::Null => "null is not allowed here: leave out what has no value",
                _ => continue,
            };
            return self.error(IssueCode::Structure, path, message);
        }
        self.occurrence(path, member, member.value, member.sibling);
    }

    /// One occurrence: a value, its sibling, or both.
    fn occurrence(
        &mut self,
        path: &Path<'_>,
        member: &Member<'_, 'd>,
        value: Option<&Value<'_>>,
        sibling: Option<&Value<'_>>,
    ) {
        if let Some(sibling) = sibling {
            self.sibling(path, sibling);
        }
        let (Some(value), Some(ty)) = (value, member.ty) else {
            return;
        };
        if ty.kind == TypeKind::Primitive {
            return match primitive::check(&ty.name, value) {
                Ok(()) => self.binding(path, member.element, member.type_ref, value),
                Err(fault) => self.error(fault.code, path, fault.message),
            };
        }
        if ty.kind == TypeKind::Resource {
            return self.nested_resource(path, member, value);
        }
        match value {
            Value::Object(object) => {
                self.object(path, ty, object);
                self.binding(path, member.element, member.type_ref, value);
            }
            other => {
                let message = format!("{} must be an object; this is {}", ty.name, other.kind());
                self.error(IssueCode::Structure, path, message);
            }
        }
    }

    fn nested_resource(&mut self, path: &Path<'_>, member: &Member<'_, 'd>, value: &Value<'_>) {
        if member.parent.name == "Bundle.entry" && !self.entries {
            return;
        }
        let contained = member.element.name == "contained";
        let inside = if contained { Inside::Contained } else { Inside::Other };
        self.resource(path, value, Some(inside));
    }

    /// The object `_name` beside a primitive: an Element with id and extensions only.
    fn sibling(&mut self, path: &Path<'_>, sibling: &Value<'_>) {
        match (sibling, self.types.get("Element")) {
            (Value::Object(object), Some(element)) => self.object(path, element, object),
            (Value::Object(_), None) => {}
            (other, _) => {
                let message = format!(
                    "what stands beside a primitive must be an object with id or extension; this is {}",
                    other.kind()
                );
                self.error(IssueCode::Structure, path, message);
            }
        }
    }
}

/// For `_name` the member `name`, and the other way round.
fn counterpart<'m>(object: &'m Object<'_>, property: &str, is_sibling: bool) -> Option<&'m Value<'m>> {
    if is_sibling {
        return object.get(property);
    }
    let is_sibling = |name: &str| name.strip_prefix('_') == Some(property);
    object.iter().find(|(name, _)| is_sibling(name)).map(|(_, value)| value)
}

/// Whether an Extension has `value[x]`.
fn has_value(object: &Object<'_>) -> bool {
    object.iter().any(|(name, _)| name.strip_prefix('_').unwrap_or(name).starts_with("value"))
}
