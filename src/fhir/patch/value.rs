//! Values of a FHIRPath Patch: `value[x]`, or parts that make up an element without a type of its own.
//!
//! Source: R4 fhirpatch.html; parameters.html.

use super::budget::Budget;
use super::error::PatchErrorKind as Kind;
use crate::Definitions;
use crate::definitions::{ElementDefinition, TypeDefinition, TypeKind, choice_property};
use crate::json::{Object, Value};

/// An element as JSON writes it: the value, and for a primitive the object `_name` beside it.
#[derive(Debug, Clone, Default)]
pub(super) struct Element<'a> {
    pub value: Option<Value<'a>>,
    pub sibling: Option<Value<'a>>,
}

/// What a part of a Parameters resource says a new element is.
#[derive(Debug, Clone)]
pub(super) enum Given<'a> {
    /// `value[x]`, with the name of its type.
    Typed(String, Element<'a>),
    /// `part`, each with its name.
    Parts(Vec<(String, Given<'a>)>),
    /// `resource`.
    Resource(Value<'a>),
}

const CONTENT: &str = "one value[x], part or resource";

impl<'a> Given<'a> {
    /// Reads it from the part called `name`.
    pub fn parse(name: &str, part: &mut Object<'a>, definitions: &Definitions) -> Result<Self, Kind> {
        let fault = || Kind::Part { part: name.to_owned(), expected: CONTENT };
        let (mut given, mut element, mut found) = (None, Element::default(), None);
        for (member, value) in std::mem::take(&mut part.0) {
            match member.as_ref() {
                "name" | "id" | "extension" | "_name" => {}
                "part" if given.is_none() => given = Some(Self::Parts(parts(name, value, definitions)?)),
                "resource" if given.is_none() => given = Some(Self::Resource(value)),
                other => {
                    let property = other.strip_prefix('_').unwrap_or(other);
                    let ty = type_of(property, definitions).ok_or_else(fault)?;
                    if found.as_ref().is_some_and(|found| *found != ty) {
                        return Err(fault());
                    }
                    found = Some(ty);
                    let slot = if other.starts_with('_') { &mut element.sibling } else { &mut element.value };
                    *slot = Some(value);
                }
            }
        }
        match (given, found) {
            (Some(given), None) => Ok(given),
            (None, Some(ty)) => Ok(Self::Typed(ty, element)),
            _ => Err(fault()),
        }
    }

    /// The JSON property that an element `name` has with this value, and the value as JSON.
    ///
    /// # Errors
    /// Where the element cannot be of this type.
    pub fn place(
        self,
        element: &ElementDefinition,
        definitions: &Definitions,
        budget: &mut Budget,
    ) -> Result<(String, Element<'a>), Kind> {
        let unfit = |found: &str| Kind::Type { element: element.name.clone(), found: found.to_owned() };
        match self {
            Self::Typed(ty, value) if element.choice => {
                let fits = element.types.iter().any(|allowed| allowed.code == ty);
                if fits { Ok((choice_property(&element.name, &ty), value)) } else { Err(unfit(&ty)) }
            }
            Self::Typed(ty, value) => {
                let found = definitions.type_definition(&ty);
                let expected = element.types.first().and_then(|ty| definitions.types().resolve(ty));
                match (found, expected) {
                    (Some(found), Some(expected)) if is_fit(found, expected, &value, definitions) => {
                        Ok((element.name.clone(), value))
                    }
                    _ => Err(unfit(&ty)),
                }
            }
            Self::Parts(parts) => {
                let ty = element.types.first().filter(|_| element.types.len() == 1);
                let ty = ty.and_then(|ty| definitions.types().resolve(ty));
                let ty = ty.filter(|ty| matches!(ty.kind, TypeKind::Backbone | TypeKind::Complex));
                let ty = ty.ok_or_else(|| unfit("a group of parts"))?;
                let object = object(parts, ty, definitions, budget)?;
                let value = Some(Value::Object(object));
                Ok((element.name.clone(), Element { value, sibling: None }))
            }
            Self::Resource(value) => {
                let takes = element.types.iter().any(|ty| definitions.types().is_a(&ty.code, "Resource"));
                let value = if takes { Some(value) } else { return Err(unfit("a resource")) };
                Ok((element.name.clone(), Element { value, sibling: None }))
            }
        }
    }
}

/// The type that a property `value…` of a part says. `valueExtension` is none that R4 has there, but
/// clients send it, and it says what is meant.
fn type_of(property: &str, definitions: &Definitions) -> Option<String> {
    let name = property.strip_prefix("value")?;
    match definitions.element("Parameters.parameter", property) {
        Some((_, ty)) => Some(ty.code.clone()),
        None => (name == "Extension").then(|| name.to_owned()),
    }
}

/// Whether an element that is no choice can have a value: primitives of the same JSON kind, complex
/// types of one family.
fn is_fit(found: &TypeDefinition, expected: &TypeDefinition, value: &Element<'_>, definitions: &Definitions) -> bool {
    if expected.kind != TypeKind::Primitive || found.kind != TypeKind::Primitive {
        let types = definitions.types();
        return types.is_a(&found.name, &expected.name) || types.is_a(&expected.name, &found.name);
    }
    match (&value.value, expected.name.as_str()) {
        (None, _) => true,
        (Some(value), "boolean") => value.as_bool().is_some(),
        (Some(value), "integer" | "decimal" | "positiveInt" | "unsignedInt") => value.as_number().is_some(),
        (Some(value), _) => value.as_str().is_some(),
    }
}

fn parts<'a>(name: &str, value: Value<'a>, definitions: &Definitions) -> Result<Vec<(String, Given<'a>)>, Kind> {
    let fault = || Kind::Part { part: name.to_owned(), expected: CONTENT };
    let Value::Array(items) = value else { return Err(fault()) };
    let part = |item| {
        let Value::Object(mut part) = item else { return Err(fault()) };
        let name = part.get("name").and_then(Value::as_str).ok_or(Kind::Missing("name"))?.to_owned();
        Ok((name.clone(), Given::parse(&name, &mut part, definitions)?))
    };
    items.into_iter().map(part).collect()
}

/// The element that parts make up.
fn object<'a>(
    parts: Vec<(String, Given<'a>)>,
    ty: &TypeDefinition,
    definitions: &Definitions,
    budget: &mut Budget,
) -> Result<Object<'a>, Kind> {
    let mut object = Object::new();
    for (name, given) in parts {
        budget.scan(object.len())?;
        add(&mut object, ty, &name, given, definitions, budget)?;
    }
    Ok(object)
}

/// Adds an element `name` to an object of the type `ty`: as the last of a list, or where there is none
/// yet (R4 fhirpatch.html, `add`).
pub(super) fn add<'a>(
    object: &mut Object<'a>,
    ty: &TypeDefinition,
    name: &str,
    given: Given<'a>,
    definitions: &Definitions,
    budget: &mut Budget,
) -> Result<(), Kind> {
    let element = element_of(ty, name)?;
    let (property, value) = given.place(element, definitions, budget)?;
    let plain = name.strip_suffix("[x]").unwrap_or(name);
    if plain != element.name && plain != property {
        return Err(Kind::Type { element: name.chars().take(64).collect(), found: property });
    }
    budget.scan(object.len())?;
    if element.is_list() {
        let length = list_length(object, &property)?;
        return insert(object, &property, length, value);
    }
    let is_there = |member: &str| {
        let member = member.strip_prefix('_').unwrap_or(member);
        ty.property(member).is_some_and(|(found, _)| found.name == element.name)
    };
    if object.iter().any(|(member, _)| is_there(member)) {
        return Err(Kind::Exists(element.name.clone()));
    }
    set(object, &property, value);
    Ok(())
}

/// The element that `name` means: `value`, `value[x]` or `valueString`.
pub(super) fn element_of<'t>(ty: &'t TypeDefinition, name: &str) -> Result<&'t ElementDefinition, Kind> {
    let plain = name.strip_suffix("[x]").unwrap_or(name);
    let found = ty.element(plain).or_else(|| ty.property(name).map(|(element, _)| element));
    found.ok_or_else(|| Kind::UnknownElement { ty: ty.name.clone(), name: name.chars().take(64).collect() })
}

/// Sets a member and the one beside it.
pub(super) fn set<'a>(object: &mut Object<'a>, property: &str, element: Element<'a>) {
    if let Some(value) = element.value {
        object.set(property.to_owned(), value);
    }
    if let Some(sibling) = element.sibling {
        object.set(format!("_{property}"), sibling);
    }
}

/// How many items a list has, those included that only have an id or extensions.
pub(super) fn list_length(object: &Object<'_>, property: &str) -> Result<usize, Kind> {
    let length = |name: &str| match object.get(name) {
        None => Ok(0),
        Some(Value::Array(items)) => Ok(items.len()),
        Some(_) => Err(Kind::NoList),
    };
    Ok(length(property)?.max(length(&format!("_{property}"))?))
}

/// Inserts an item into a list, which is made where there is none.
pub(super) fn insert<'a>(
    object: &mut Object<'a>,
    property: &str,
    index: usize,
    element: Element<'a>,
) -> Result<(), Kind> {
    let length = list_length(object, property)?;
    if index > length {
        return Err(Kind::Index("index"));
    }
    let mut put = |name: String, item: Option<Value<'a>>| {
        if item.is_none() && !object.contains(&name) {
            return;
        }
        if !object.contains(&name) {
            object.set(name.clone(), Vec::new());
        }
        if let Some(items) = object.get_mut(&name).and_then(Value::as_array_mut) {
            // The two lists of a primitive run side by side.
            while items.len() < length {
                items.push(Value::Null);
            }
            items.insert(index, item.unwrap_or(Value::Null));
        }
    };
    put(property.to_owned(), element.value);
    put(format!("_{property}"), element.sibling);
    Ok(())
}
