//! JSON to XML.

use crate::definitions::{Definitions, TypeDefinition, TypeKind, Types};
use crate::json::{Object, Value};

use super::error::Steps;
use super::{NAMESPACE, XmlWriteError, XmlWriteErrorKind as Kind, is_attribute, is_xml_char, narrative};

/// How the document is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// Nothing between the elements.
    #[default]
    Compact,
    /// An element a line, indented by two spaces a level; the narrative stays as it is.
    Pretty,
}

/// The XML form of a resource, elements in the order of the definitions, with XML declaration.
///
/// # Errors
/// [`XmlWriteError`] with the reason and the element, where the resource has no XML form.
pub fn write(resource: &Value<'_>, definitions: &Definitions, layout: Layout) -> Result<String, XmlWriteError> {
    let out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    let mut writer = Writer { types: definitions.types(), layout, out, level: 0, steps: Steps::default() };
    let written = writer.resource(resource);
    written.map_err(|kind| XmlWriteError { kind, expression: writer.steps.to_string() })?;
    Ok(writer.out)
}

type Written = Result<(), Kind>;

struct Writer<'d> {
    types: &'d Types,
    layout: Layout,
    out: String,
    level: usize,
    steps: Steps<'d>,
}

/// The value of an element and, for a primitive, what stands beside it.
#[derive(Clone, Copy)]
struct Pair<'v> {
    value: Option<&'v Value<'v>>,
    sibling: Option<&'v Value<'v>>,
}

impl<'v> Pair<'v> {
    fn new(value: Option<&'v Value<'v>>, sibling: Option<&'v Value<'v>>) -> Self {
        Self { value: value.filter(|value| !value.is_null()), sibling: sibling.filter(|sibling| !sibling.is_null()) }
    }
}

impl<'d> Writer<'d> {
    fn resource(&mut self, resource: &Value<'_>) -> Written {
        let name = resource.get_str("resourceType").ok_or(Kind::NoResource)?;
        let (Some(ty), Value::Object(object)) = (self.types.get(name), resource) else {
            return Err(Kind::NoResource);
        };
        if ty.kind != TypeKind::Resource || ty.abstract_ {
            return Err(Kind::NoResource);
        }
        let is_root = self.level == 0;
        if is_root {
            self.steps.push(&ty.name, None);
        }
        self.open(&ty.name);
        if is_root {
            self.out.push_str(" xmlns=\"");
            self.out.push_str(NAMESPACE);
            self.out.push('"');
        }
        self.content(&ty.name, |writer| writer.members(ty, object))?;
        if is_root {
            self.steps.pop();
        }
        Ok(())
    }

    /// Begins a start tag, on a line of its own where the layout says so.
    fn open(&mut self, name: &str) {
        self.line();
        self.out.push('<');
        self.out.push_str(name);
    }

    fn line(&mut self) {
        if self.layout == Layout::Pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", self.level));
        }
    }

    /// Ends the start tag, writes what is inside, and the end tag; an empty-element tag where
    /// nothing is inside.
    fn content(&mut self, name: &str, inside: impl FnOnce(&mut Self) -> Written) -> Written {
        self.out.push('>');
        let start = self.out.len();
        self.level += 1;
        inside(self)?;
        self.level -= 1;
        if self.out.len() == start {
            self.out.pop();
            self.out.push_str("/>");
            return Ok(());
        }
        self.line();
        self.out.push_str("</");
        self.out.push_str(name);
        self.out.push('>');
        Ok(())
    }

    fn attribute(&mut self, name: &str, value: &str) -> Written {
        self.out.push(' ');
        self.out.push_str(name);
        self.out.push_str("=\"");
        escape(value, &mut self.out)?;
        self.out.push('"');
        Ok(())
    }

    /// The members of an object that are elements in XML, in the order of the definition.
    fn members(&mut self, ty: &'d TypeDefinition, object: &Object<'_>) -> Written {
        let mut elements: Vec<(usize, usize, &str, Pair<'_>)> = Vec::with_capacity(object.len());
        for (member, value) in object.iter() {
            if member == "resourceType" && ty.kind == TypeKind::Resource {
                continue;
            }
            let property = member.strip_prefix('_').unwrap_or(member);
            let unknown = || Kind::UnknownElement { ty: ty.name.clone(), member: member.to_owned() };
            let (element, type_index) = ty.property_index(property).ok_or_else(unknown)?;
            if is_attribute(ty, property) {
                if member.len() > property.len() {
                    return Err(Kind::Attribute);
                }
                continue;
            }
            let pair = if member.len() == property.len() {
                Pair::new(Some(value), object.get(&format!("_{property}")))
            } else if object.contains(property) {
                continue;
            } else {
                Pair::new(None, Some(value))
            };
            elements.push((element, type_index, property, pair));
        }
        elements.sort_by_key(|(element, ..)| *element);
        elements.into_iter().try_for_each(|(element, type_index, property, pair)| {
            self.element(ty, (element, type_index), property, pair)
        })
    }

    fn element(
        &mut self,
        ty: &'d TypeDefinition,
        (element, type_index): (usize, usize),
        property: &str,
        pair: Pair<'_>,
    ) -> Written {
        let element = &ty.elements[element];
        let content = self.types.resolve(&element.types[type_index]);
        let content = content.ok_or_else(|| Kind::UnknownElement { ty: ty.name.clone(), member: property.into() })?;
        if !element.is_list() {
            self.steps.push(&element.name, None);
            self.occurrence(property, content, pair)?;
            self.steps.pop();
            return Ok(());
        }
        self.steps.push(&element.name, None);
        let (values, siblings) = (items(pair.value)?, items(pair.sibling)?);
        let count = values.len().max(siblings.len());
        if count == 0 {
            return Err(Kind::Empty);
        }
        self.steps.pop();
        for index in 0..count {
            self.steps.push(&element.name, Some(index));
            self.occurrence(property, content, Pair::new(values.get(index), siblings.get(index)))?;
            self.steps.pop();
        }
        Ok(())
    }

    fn occurrence(&mut self, property: &str, ty: &'d TypeDefinition, pair: Pair<'_>) -> Written {
        if pair.value.is_none() && pair.sibling.is_none() {
            return Err(Kind::Empty);
        }
        match ty.kind {
            TypeKind::Primitive if ty.name == "xhtml" => self.narrative(pair),
            TypeKind::Primitive => self.primitive(property, ty, pair),
            _ if pair.sibling.is_some() => {
                Err(Kind::UnknownElement { ty: ty.name.clone(), member: format!("_{property}") })
            }
            TypeKind::Resource => {
                self.open(property);
                self.content(property, |writer| writer.resource(pair.value.unwrap_or(&Value::Null)))
            }
            TypeKind::Complex | TypeKind::Backbone => self.complex(property, ty, pair.value),
        }
    }

    fn primitive(&mut self, property: &str, ty: &TypeDefinition, pair: Pair<'_>) -> Written {
        self.open(property);
        let sibling = match pair.sibling {
            None => None,
            Some(Value::Object(object)) if !object.is_empty() => Some(object),
            Some(_) => return Err(Kind::Shape { expected: "an object with id or extension" }),
        };
        let element = self.types.get("Element");
        if let Some(object) = sibling {
            self.own_attributes(element, object)?;
        }
        if let Some(value) = pair.value {
            self.attribute("value", primitive_text(&ty.name, value)?)?;
        }
        self.content(property, |writer| match (element, sibling) {
            (Some(element), Some(object)) => writer.members(element, object),
            _ => Ok(()),
        })
    }

    fn complex(&mut self, property: &str, ty: &'d TypeDefinition, value: Option<&Value<'_>>) -> Written {
        let Some(Value::Object(object)) = value else {
            return Err(Kind::Shape { expected: "an object" });
        };
        if object.is_empty() {
            return Err(Kind::Empty);
        }
        self.open(property);
        self.own_attributes(Some(ty), object)?;
        self.content(property, |writer| writer.members(ty, object))
    }

    /// The members of an object that are attributes in XML.
    fn own_attributes(&mut self, ty: Option<&TypeDefinition>, object: &Object<'_>) -> Written {
        for name in ["id", "url"] {
            if let Some(value) = object.get(name).filter(|_| ty.is_some_and(|ty| is_attribute(ty, name))) {
                self.attribute(name, value.as_str().ok_or(Kind::Shape { expected: "a string" })?)?;
            }
        }
        Ok(())
    }

    fn narrative(&mut self, pair: Pair<'_>) -> Written {
        if pair.sibling.is_some() {
            return Err(Kind::Attribute);
        }
        let div = pair.value.and_then(Value::as_str).ok_or(Kind::Shape { expected: "a string" })?;
        let div = narrative::to_xml(div).map_err(Kind::Narrative)?;
        self.line();
        self.out.push_str(&div);
        Ok(())
    }
}

/// The occurrences of a list, or none where it is absent.
fn items<'v>(list: Option<&'v Value<'v>>) -> Result<&'v [Value<'v>], Kind> {
    list.map_or(Ok(&[]), |list| list.as_array().ok_or(Kind::Shape { expected: "an array" }))
}

/// The text of a primitive, which must be the JSON value its type has.
fn primitive_text<'v>(type_name: &str, value: &'v Value<'_>) -> Result<&'v str, Kind> {
    let (text, expected) = match type_name {
        "boolean" => (value.as_bool().map(|value| if value { "true" } else { "false" }), "true or false"),
        "integer" | "positiveInt" | "unsignedInt" | "decimal" => (value.as_number(), "a number"),
        _ => (value.as_str(), "a string"),
    };
    text.ok_or(Kind::Shape { expected })
}

/// Appends `text` as the value of an attribute, so that a parser gives back just that.
fn escape(text: &str, out: &mut String) -> Written {
    let mut rest = text;
    while let Some(index) = rest.find(|c: char| matches!(c, '&' | '<' | '>' | '"' | ..' ') || !is_xml_char(c)) {
        out.push_str(&rest[..index]);
        let c = rest[index..].chars().next().unwrap_or_default();
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // As they are, a parser would make spaces of them.
            '\t' => out.push_str("&#9;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            c => return Err(Kind::Character(c)),
        }
        rest = &rest[index + c.len_utf8()..];
    }
    out.push_str(rest);
    Ok(())
}
