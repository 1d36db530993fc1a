//! XML to JSON.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;
use quick_xml::{XmlVersion, events::BytesDecl};

use crate::definitions::{Definitions, ElementDefinition, TypeDefinition, TypeKind, Types};
use crate::json::{self, Object, Value};

use super::error::Steps;
use super::narrative::{self, Narrative};
use super::{NAMESPACE, SCHEMA_INSTANCE, XHTML, XmlError, XmlErrorKind as Kind, is_attribute, lines_ended};

/// What the reader refuses to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of arrays and objects in the JSON form, as of [`json::Limits`].
    pub depth: usize,
    /// Size of the document in bytes.
    pub bytes: usize,
}

impl Default for Limits {
    /// The depth that JSON may have, and 64 MiB.
    fn default() -> Self {
        Self { depth: json::Limits::default().depth, bytes: 64 * 1024 * 1024 }
    }
}

/// The JSON form of the resource in an XML document. A byte order mark before it is skipped.
///
/// Elements may stand in any order, though the specification has one; their JSON members stand in
/// the order in which they were first met, so that nothing depends on it.
///
/// # Errors
/// [`XmlError`] with the reason and place of the first fault.
pub fn read(text: &str, definitions: &Definitions, limits: &Limits) -> Result<Value<'static>, XmlError> {
    if text.len() > limits.bytes {
        return Err(XmlError::new(Kind::TooLarge(limits.bytes), text, 0, String::new()));
    }
    let text = lines_ended(text.strip_prefix('\u{feff}').unwrap_or(text));
    let text = &*text;
    let mut xml = NsReader::from_str(text);
    xml.config_mut().check_comments = true;
    let types = definitions.types();
    let mut reader = Reader { xml, text, types, limits, at: 0, depth: 0, steps: Steps::default() };
    let value = reader.document();
    value.map_err(|kind| XmlError::new(kind, text, reader.at, reader.steps.to_string()))
}

/// As [`read`], from bytes, which must be UTF-8.
///
/// # Errors
/// As [`read`], and [`XmlErrorKind::Encoding`](Kind::Encoding) at the first byte that is no part
/// of a character.
pub fn read_bytes(bytes: &[u8], definitions: &Definitions, limits: &Limits) -> Result<Value<'static>, XmlError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => read(text, definitions, limits),
        Err(error) => {
            let offset = error.valid_up_to();
            let valid = std::str::from_utf8(&bytes[..offset]).unwrap_or_default();
            Err(XmlError::new(Kind::Encoding("not UTF-8".to_owned()), valid, offset, String::new()))
        }
    }
}

type Read<T> = Result<T, Kind>;

struct Reader<'x, 'd, 'l> {
    xml: NsReader<&'x [u8]>,
    text: &'x str,
    types: &'d Types,
    limits: &'l Limits,
    /// Where the last event began.
    at: usize,
    /// Levels of JSON above.
    depth: usize,
    steps: Steps<'d>,
}

/// An element's occurrence: its value, and for a primitive its id and extensions.
#[derive(Default)]
struct Occurrence {
    value: Option<Value<'static>>,
    sibling: Option<Value<'static>>,
}

impl<'x, 'd> Reader<'x, 'd, '_> {
    fn next(&mut self) -> Read<Event<'x>> {
        self.at = self.xml.buffer_position() as usize;
        self.xml.read_event().map_err(|error| malformed(error.to_string()))
    }

    fn document(&mut self) -> Read<Value<'static>> {
        let mut first = true;
        let resource = loop {
            match self.next()? {
                Event::Decl(declaration) if first => check_declaration(&declaration)?,
                Event::Start(start) => break self.resource(&start, false)?,
                Event::Empty(start) => break self.resource(&start, true)?,
                other => self.between(&other)?,
            }
            first = false;
        };
        loop {
            match self.next()? {
                Event::Eof => return Ok(resource),
                Event::Start(_) | Event::Empty(_) => return Err(malformed("a document has one root element")),
                other => self.between(&other)?,
            }
        }
    }

    /// What may stand between elements: comments, processing instructions and white space.
    fn between(&self, event: &Event<'_>) -> Read<()> {
        match event {
            Event::Comment(_) | Event::PI(_) => Ok(()),
            Event::Text(text) if text.as_ref().bytes().all(|byte| byte.is_ascii_whitespace()) => Ok(()),
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => Err(Kind::Text),
            Event::DocType(_) => Err(Kind::DocumentType),
            Event::Decl(_) => Err(malformed("the XML declaration must come first")),
            Event::Eof => Err(malformed("the document ends too early")),
            Event::Start(_) | Event::Empty(_) | Event::End(_) => Err(malformed("a tag is out of place")),
        }
    }

    /// A resource whose start tag has been read.
    fn resource(&mut self, start: &BytesStart<'_>, empty: bool) -> Read<Value<'static>> {
        let name = self.name(start)?;
        let ty = match self.types.get(&name) {
            Some(ty) if ty.kind == TypeKind::Resource && !ty.abstract_ => ty,
            _ => return Err(Kind::NoResource(name)),
        };
        let is_root = self.depth == 0;
        if is_root {
            self.steps.push(&ty.name, None);
        }
        let mut object = Object::new();
        object.set("resourceType", name);
        self.attributes(start, |name, _| Err(Kind::UnknownAttribute(name.to_owned())))?;
        self.content(ty, &mut object, empty)?;
        if is_root {
            self.steps.pop();
        }
        Ok(Value::Object(object))
    }

    /// The local name of an element, which must be one of FHIR's.
    fn name(&self, start: &BytesStart<'_>) -> Read<String> {
        let (namespace, local) = self.xml.resolver().resolve_element(start.name());
        match namespace {
            ResolveResult::Bound(Namespace(NAMESPACE)) => Ok(local.as_ref().to_owned()),
            _ => Err(Kind::Namespace { element: local.as_ref().to_owned(), expected: NAMESPACE }),
        }
    }

    /// Hands each attribute that is FHIR's to `each`, with its value.
    fn attributes(&self, start: &BytesStart<'_>, mut each: impl FnMut(&str, String) -> Read<()>) -> Read<()> {
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| malformed(error.to_string()))?;
            narrative::check_attribute(&attribute.value).map_err(malformed)?;
            if attribute.key.as_namespace_binding().is_some() {
                continue;
            }
            match self.xml.resolver().resolve_attribute(attribute.key).0 {
                ResolveResult::Unbound => {}
                ResolveResult::Bound(Namespace(SCHEMA_INSTANCE)) => continue,
                _ => return Err(Kind::UnknownAttribute(attribute.key.as_ref().to_owned())),
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| malformed(error.to_string()))?;
            each(attribute.key.as_ref(), value.into_owned())?;
        }
        Ok(())
    }

    /// The elements of an object until its end tag; none where the tag was an `empty` one.
    fn content(&mut self, ty: &'d TypeDefinition, object: &mut Object<'static>, empty: bool) -> Read<()> {
        self.depth += 1;
        if self.depth > self.limits.depth {
            return Err(Kind::TooDeep(self.limits.depth));
        }
        let mut open = !empty;
        while open {
            match self.next()? {
                Event::Start(start) => self.element(ty, object, &start, false)?,
                Event::Empty(start) => self.element(ty, object, &start, true)?,
                Event::End(_) => open = false,
                other => self.between(&other)?,
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// One element of `ty`, whose start tag has been read.
    fn element(
        &mut self,
        ty: &'d TypeDefinition,
        object: &mut Object<'static>,
        start: &BytesStart<'_>,
        empty: bool,
    ) -> Read<()> {
        if ty.name == "Narrative" && start.local_name().as_ref() == "div" {
            let div = self.narrative(start, empty)?;
            return add(object, "div", false, Occurrence { value: Some(div.into()), sibling: None });
        }
        let name = self.name(start)?;
        let known = ty.property_index(&name).filter(|_| !is_attribute(ty, &name));
        let Some((element, type_index)) = known else {
            return Err(Kind::UnknownElement { ty: ty.name.clone(), element: name });
        };
        let element: &'d ElementDefinition = &ty.elements[element];
        let index = element.is_list().then(|| count(object, &name));
        self.steps.push(&element.name, index);
        self.depth += usize::from(element.is_list());
        let content = self.types.resolve(&element.types[type_index]);
        let occurrence = match content {
            Some(content) if content.kind == TypeKind::Primitive => self.primitive(content, start, empty)?,
            Some(content) if content.kind == TypeKind::Resource => self.nested_resource(start, empty)?,
            Some(content) => self.complex(content, start, empty)?,
            None => return Err(Kind::UnknownElement { ty: ty.name.clone(), element: name }),
        };
        self.depth -= usize::from(element.is_list());
        add(object, &name, element.is_list(), occurrence)?;
        self.steps.pop();
        Ok(())
    }

    fn primitive(&mut self, ty: &'d TypeDefinition, start: &BytesStart<'_>, empty: bool) -> Read<Occurrence> {
        let (mut value, mut sibling) = (None, Object::new());
        self.attributes(start, |name, text| {
            match name {
                "value" => value = Some(primitive_value(&ty.name, text)?),
                "id" => _ = sibling.set("id", text),
                _ => return Err(Kind::UnknownAttribute(name.to_owned())),
            }
            Ok(())
        })?;
        if let Some(element) = self.types.get("Element") {
            self.content(element, &mut sibling, empty)?;
        }
        let sibling = (!sibling.is_empty()).then_some(Value::Object(sibling));
        if value.is_none() && sibling.is_none() {
            return Err(Kind::Empty);
        }
        Ok(Occurrence { value, sibling })
    }

    fn complex(&mut self, ty: &'d TypeDefinition, start: &BytesStart<'_>, empty: bool) -> Read<Occurrence> {
        let mut object = Object::new();
        self.attributes(start, |name, text| {
            if !is_attribute(ty, name) {
                return Err(Kind::UnknownAttribute(name.to_owned()));
            }
            object.set(name.to_owned(), text);
            Ok(())
        })?;
        self.content(ty, &mut object, empty)?;
        if object.is_empty() {
            return Err(Kind::Empty);
        }
        Ok(Occurrence { value: Some(Value::Object(object)), sibling: None })
    }

    /// A resource inside an element: `<contained><Patient>…</Patient></contained>`.
    fn nested_resource(&mut self, start: &BytesStart<'_>, empty: bool) -> Read<Occurrence> {
        self.attributes(start, |name, _| Err(Kind::UnknownAttribute(name.to_owned())))?;
        let (mut value, mut open) = (None, !empty);
        while open {
            let event = self.next()?;
            match &event {
                Event::Start(start) | Event::Empty(start) if value.is_none() => {
                    value = Some(self.resource(start, matches!(event, Event::Empty(_)))?);
                }
                Event::Start(_) | Event::Empty(_) => return Err(malformed("one resource must stand here, not two")),
                Event::End(_) => open = false,
                other => self.between(other)?,
            }
        }
        if value.is_none() {
            return Err(Kind::Empty);
        }
        Ok(Occurrence { value, sibling: None })
    }

    /// A narrative's `<div>`, as it was written.
    fn narrative(&mut self, start: &BytesStart<'_>, empty: bool) -> Read<String> {
        let from = self.at;
        let (namespace, _) = self.xml.resolver().resolve_element(start.name());
        if namespace != ResolveResult::Bound(Namespace(XHTML)) {
            return Err(Kind::Namespace { element: "div".to_owned(), expected: XHTML });
        }
        let mut narrative = Narrative::start(start, empty, self.xml.resolver()).map_err(malformed)?;
        while !narrative.is_complete() {
            let event = self.next()?;
            narrative.event(&event, self.xml.resolver()).map_err(malformed)?;
        }
        let written = self.text.get(from..self.xml.buffer_position() as usize).unwrap_or_default();
        Ok(narrative.finish(written))
    }
}

fn malformed(reason: impl Into<String>) -> Kind {
    Kind::Malformed(reason.into())
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Read<()> {
    let version = declaration.version().map_err(|error| malformed(error.to_string()))?;
    if version != "1.0" {
        return Err(malformed(format!("XML {version} is not read, only 1.0")));
    }
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") || name.eq_ignore_ascii_case("us-ascii") => Ok(()),
        Some(Ok(name)) => Err(Kind::Encoding(name.into_owned())),
        Some(Err(error)) => Err(malformed(error.to_string())),
    }
}

/// The JSON value of a primitive's text.
fn primitive_value(type_name: &str, text: String) -> Read<Value<'static>> {
    let expected = match type_name {
        "boolean" => match text.as_str() {
            "true" => return Ok(Value::Bool(true)),
            "false" => return Ok(Value::Bool(false)),
            _ => "true or false",
        },
        "integer" | "positiveInt" | "unsignedInt" | "decimal" => match json::parse(&text, &json::Limits { depth: 0 }) {
            Ok(Value::Number(digits)) if digits.len() == text.len() => return Ok(Value::Number(text.into())),
            _ => "a number",
        },
        _ => return Ok(text.into()),
    };
    Err(Kind::Value { text: text.chars().take(64).collect(), expected })
}

/// How often the list `name` stands in `object`, as values or as what stands beside them.
fn count(object: &Object<'_>, name: &str) -> usize {
    let is_list = |other: &str| other.strip_prefix('_').unwrap_or(other) == name;
    let lists = object.iter().filter(|(other, _)| is_list(other));
    lists.filter_map(|(_, value)| value.as_array()).map(<[_]>::len).max().unwrap_or(0)
}

/// Adds an occurrence of the element `name` to its object.
fn add(object: &mut Object<'static>, name: &str, is_list: bool, occurrence: Occurrence) -> Read<()> {
    let sibling_name = format!("_{name}");
    if !is_list {
        if object.contains(name) || object.contains(&sibling_name) {
            return Err(Kind::Repeated(name.to_owned()));
        }
        occurrence.value.map(|value| object.set(name.to_owned(), value));
        occurrence.sibling.map(|sibling| object.set(sibling_name, sibling));
        return Ok(());
    }
    let before = count(object, name);
    let sibling_at = object.iter().position(|(other, _)| other == sibling_name);
    if occurrence.value.is_some() && !object.contains(name) {
        object.insert_at(sibling_at.unwrap_or(object.len()), name.to_owned(), vec![Value::Null; before]);
    }
    if occurrence.sibling.is_some() && sibling_at.is_none() {
        let after = object.iter().position(|(other, _)| other == name).map_or(object.len(), |at| at + 1);
        object.insert_at(after, sibling_name.clone(), vec![Value::Null; before]);
    }
    for (name, value) in [(name, occurrence.value), (&sibling_name, occurrence.sibling)] {
        if let Some(items) = object.get_mut(name).and_then(Value::as_array_mut) {
            items.push(value.unwrap_or(Value::Null));
        }
    }
    Ok(())
}
