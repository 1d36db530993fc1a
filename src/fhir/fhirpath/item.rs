//! What expressions work on: elements of resources, and values of FHIRPath's own types.
//!
//! Source: FHIRPath N1, section 4; R4 fhirpath.html#types.

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::quantity::{Quantity, parse_decimal};
use super::temporal::{Temporal, TemporalKind};
use crate::definitions::{Definitions, TypeDefinition, TypeKind, Types};
use crate::json::{Object, Value};

/// One member of a collection.
#[derive(Debug, Clone)]
pub enum Item<'a> {
    /// An element of a resource, or a resource.
    Node(Node<'a>),
    /// A value of one of FHIRPath's own types.
    System(System<'a>),
    /// What `type()` tells of an item.
    Type(TypeInfo<'a>),
}

/// A value of one of FHIRPath's own types.
#[derive(Debug, Clone, PartialEq)]
pub enum System<'a> {
    /// `true` or `false`
    Boolean(bool),
    /// Text.
    String(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A decimal with its digits, at most 28.
    Decimal(Decimal),
    /// A Date, DateTime or Time.
    Temporal(Temporal),
    /// A number with a unit.
    Quantity(Quantity),
}

/// The name of a type and where it is from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeInfo<'a> {
    /// `System` or `FHIR`.
    pub namespace: &'static str,
    /// `Integer`, `Patient`, `code`.
    pub name: Cow<'a, str>,
}

/// An element of a resource with its type.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The JSON value; None for a primitive that has only an id or extensions.
    pub value: Option<&'a Value<'a>>,
    /// For a primitive: the object `_name` with its id and extensions.
    pub sibling: Option<&'a Value<'a>>,
    /// Its type; None where the definitions do not know it.
    pub ty: Option<&'a TypeDefinition>,
}

impl<'a> System<'a> {
    /// The name of its type.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "Boolean",
            Self::String(_) => "String",
            Self::Integer(_) => "Integer",
            Self::Decimal(_) => "Decimal",
            Self::Quantity(_) => "Quantity",
            Self::Temporal(value) => match value.kind {
                TemporalKind::Date => "Date",
                TemporalKind::DateTime => "DateTime",
                TemporalKind::Time => "Time",
            },
        }
    }

    /// The same value, its text borrowed.
    pub(super) fn borrowed(&'a self) -> System<'a> {
        match self {
            Self::String(text) => System::String(Cow::Borrowed(text)),
            other => other.clone(),
        }
    }

    /// The text that `toString()` gives.
    pub fn text(&self) -> Cow<'a, str> {
        match self {
            Self::Boolean(value) => Cow::Borrowed(if *value { "true" } else { "false" }),
            Self::String(text) => text.clone(),
            Self::Integer(number) => number.to_string().into(),
            Self::Decimal(number) => number.to_string().into(),
            Self::Temporal(value) => value.to_string().into(),
            Self::Quantity(quantity) => quantity.to_string().into(),
        }
    }

    /// A number as a decimal.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Integer(number) => Some(Decimal::from(*number)),
            Self::Decimal(number) => Some(*number),
            _ => None,
        }
    }

    /// A quantity, or a number as one.
    pub(super) fn quantity(&self) -> Option<Cow<'_, Quantity>> {
        match self {
            Self::Quantity(quantity) => Some(Cow::Borrowed(quantity)),
            other => other.decimal().map(|number| Cow::Owned(Quantity::number(number))),
        }
    }
}

impl<'a> Node<'a> {
    /// A resource, typed by its `resourceType`.
    pub fn resource(resource: &'a Value<'a>, definitions: &'a Definitions) -> Self {
        Self::typed_resource(resource, definitions.types())
    }

    pub(super) fn typed_resource(resource: &'a Value<'a>, types: &'a Types) -> Self {
        let ty = resource.get_str("resourceType").and_then(|name| types.get(name));
        Self { value: Some(resource), sibling: None, ty }
    }

    /// An element of the type `type_name`: a datatype, or the path of a backbone element.
    pub fn element(value: &'a Value<'a>, type_name: &str, definitions: &'a Definitions) -> Self {
        Self { value: Some(value), sibling: None, ty: definitions.type_definition(type_name) }
    }

    /// Whether it is of a primitive type.
    pub fn is_primitive(&self) -> bool {
        match self.ty {
            Some(ty) => ty.kind == TypeKind::Primitive,
            None => !matches!(self.value, Some(Value::Object(_)) | None),
        }
    }

    /// The object that holds its elements.
    pub(super) fn object(&self) -> Option<&'a Object<'a>> {
        let value = if self.is_primitive() { self.sibling } else { self.value };
        value.and_then(Value::as_object)
    }

    /// The type of its elements.
    fn content(&self, types: &'a Types) -> Option<&'a TypeDefinition> {
        if self.is_primitive() { types.get("Element") } else { self.ty }
    }

    /// Appends the elements `name`. False where the type is known and has no such element.
    pub(super) fn children(&self, name: &str, types: &'a Types, out: &mut Vec<Item<'a>>) -> bool {
        let content = self.content(types);
        let Some(ty) = content else {
            if let Some(object) = self.object() {
                push_member(object, name, None, types, out);
            }
            return true;
        };
        let Some(element) = ty.element(name) else { return false };
        let Some(object) = self.object() else { return true };
        if !element.choice {
            let ty = element.types.first().and_then(|ty| types.resolve(ty));
            push_member(object, name, ty, types, out);
            return true;
        }
        // At most one of a choice's properties is there, perhaps as `_name` only.
        for (member, _) in object.iter() {
            let property = member.strip_prefix('_').unwrap_or(member);
            if let Some((found, ty)) = ty.property(property).filter(|(found, _)| found.name == name) {
                debug_assert!(found.choice);
                push_member(object, property, types.resolve(ty), types, out);
                break;
            }
        }
        true
    }

    /// Appends all elements, in the order they were written.
    pub(super) fn all_children(&self, types: &'a Types, out: &mut Vec<Item<'a>>) {
        let Some(object) = self.object() else { return };
        let content = self.content(types);
        for (member, _) in object.iter() {
            let property = member.strip_prefix('_').unwrap_or(member);
            let counted_already = property.len() < member.len() && object.contains(property);
            if member == "resourceType" || counted_already {
                continue;
            }
            let ty = content.and_then(|ty| ty.property(property)).and_then(|(_, ty)| types.resolve(ty));
            push_member(object, property, ty, types, out);
        }
    }

    /// The value of a primitive or a Quantity as FHIRPath's own type; None for others.
    pub(super) fn system(&self) -> Option<System<'a>> {
        let value = self.value?;
        let name = self.ty.map_or("", |ty| ty.name.as_str());
        match value {
            Value::Bool(value) => Some(System::Boolean(*value)),
            Value::Number(digits) if name != "decimal" && digits.bytes().all(|b| b.is_ascii_digit() || b == b'-') => {
                digits.parse().ok().map(System::Integer)
            }
            Value::Number(digits) => parse_decimal(digits).map(System::Decimal),
            Value::String(text) => Some(primitive(name, text)),
            Value::Object(_) if self.is_quantity() => Quantity::from_json(value).map(System::Quantity),
            _ => None,
        }
    }

    fn is_quantity(&self) -> bool {
        self.ty.is_some_and(|ty| ty.name == "Quantity" || ty.base.as_deref() == Some("Quantity"))
    }
}

/// The value of a primitive that JSON writes as a string.
fn primitive<'a>(type_name: &str, text: &'a str) -> System<'a> {
    let temporal = match type_name {
        "date" => Temporal::parse_date_time(text),
        "dateTime" | "instant" => Temporal::parse_date_time(text).map(Temporal::date_time),
        "time" => Temporal::parse_time(text),
        _ => None,
    };
    // What is no valid date can still be looked at as text.
    temporal.map_or(System::String(Cow::Borrowed(text)), System::Temporal)
}

/// Appends what stands under a member and beside it, an item for each of a list.
fn push_member<'a>(
    object: &'a Object<'a>,
    name: &str,
    ty: Option<&'a TypeDefinition>,
    types: &'a Types,
    out: &mut Vec<Item<'a>>,
) {
    let is_primitive = ty.is_none_or(|ty| ty.kind == TypeKind::Primitive);
    let is_sibling = |member: &str| member.strip_prefix('_') == Some(name);
    let sibling = || object.iter().find(|(member, _)| is_sibling(member)).map(|(_, value)| value);
    let sibling = if is_primitive { sibling() } else { None };
    let node = |value: Option<&'a Value<'a>>, sibling: Option<&'a Value<'a>>| {
        let value = value.filter(|value| !value.is_null());
        let resource = ty.filter(|ty| ty.kind == TypeKind::Resource).and(value);
        match resource {
            Some(resource) => Item::Node(Node::typed_resource(resource, types)),
            None => Item::Node(Node { value, sibling: sibling.filter(|sibling| !sibling.is_null()), ty }),
        }
    };
    match (object.get(name), sibling) {
        (Some(Value::Array(values)), siblings) => {
            let siblings = siblings.and_then(Value::as_array).unwrap_or_default();
            out.extend(values.iter().enumerate().map(|(index, value)| node(Some(value), siblings.get(index))));
        }
        (None, Some(Value::Array(siblings))) => out.extend(siblings.iter().map(|sibling| node(None, Some(sibling)))),
        (None, None) => {}
        (value, sibling) => out.push(node(value, sibling)),
    }
}

impl<'a> Item<'a> {
    /// The value as FHIRPath's own type, where it has one.
    pub fn system(&self) -> Option<System<'a>> {
        match self {
            Item::Node(node) => node.system(),
            Item::System(value) => Some(value.clone()),
            Item::Type(_) => None,
        }
    }

    /// Its type.
    pub fn type_info(&self) -> TypeInfo<'a> {
        match self {
            Item::System(value) => TypeInfo { namespace: "System", name: value.type_name().into() },
            Item::Type(_) => TypeInfo { namespace: "System", name: "SimpleTypeInfo".into() },
            Item::Node(node) => {
                let name = match node.ty {
                    Some(ty) if ty.kind == TypeKind::Backbone => ty.base.as_deref().unwrap_or("BackboneElement"),
                    Some(ty) => ty.name.as_str(),
                    None => "Element",
                };
                TypeInfo { namespace: "FHIR", name: name.into() }
            }
        }
    }

    /// Whether it is of the type `namespace.name` or one that specialises it.
    pub(super) fn is(&self, namespace: Option<&str>, name: &str, types: &Types) -> bool {
        match self {
            Item::Node(node) if namespace.is_none_or(|namespace| namespace == "FHIR") => {
                node.ty.is_some_and(|ty| types.is_a(&ty.name, name))
            }
            Item::System(value) => namespace.is_none_or(|namespace| namespace == "System") && value.type_name() == name,
            _ => false,
        }
    }

    /// As [`is`](Self::is), but for `as` and `ofType`: a primitive must be of the very type, as the
    /// R4 suite has it (`gender.as(string)` is empty).
    pub(super) fn casts_to(&self, namespace: Option<&str>, name: &str, types: &Types) -> bool {
        let exact = match self {
            Item::Node(Node { ty: Some(ty), .. }) => ty.kind != TypeKind::Primitive || ty.name == name,
            _ => true,
        };
        exact && self.is(namespace, name, types)
    }
}

impl<'a> From<System<'a>> for Item<'a> {
    fn from(value: System<'a>) -> Self {
        Item::System(value)
    }
}

impl<'a> From<Node<'a>> for Item<'a> {
    fn from(node: Node<'a>) -> Self {
        Item::Node(node)
    }
}
