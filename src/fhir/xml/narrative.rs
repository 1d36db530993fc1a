//! The XHTML of a narrative, which both forms carry character by character but for how lines end.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{Namespace, NamespaceResolver, PrefixDeclaration, ResolveResult};
use quick_xml::reader::NsReader;

use super::{XHTML, is_xml_char, lines_ended};

/// An XHTML element under way: reads the events after its start tag until its end.
///
/// What was written is kept as it stands, unless its names have prefixes or its namespace was
/// declared further out: then the element is written anew, so that it stands by itself as the JSON
/// form needs it.
pub(super) struct Narrative {
    depth: usize,
    rewritten: String,
    must_rewrite: bool,
}

impl Narrative {
    /// Begins with the start tag of the `<div>`; `empty` where it is `<div/>`.
    pub(super) fn start(start: &BytesStart<'_>, empty: bool, names: &NamespaceResolver) -> Result<Self, String> {
        let mut narrative = Self { depth: 0, rewritten: String::new(), must_rewrite: false };
        narrative.open(start, empty, names)?;
        let declared = start.attributes().flatten().any(|attribute| attribute.key.as_ref() == "xmlns");
        narrative.must_rewrite |= !declared;
        Ok(narrative)
    }

    /// Whether the end of the `<div>` has been read.
    pub(super) fn is_complete(&self) -> bool {
        self.depth == 0
    }

    /// The next event.
    pub(super) fn event(&mut self, event: &Event<'_>, names: &NamespaceResolver) -> Result<(), String> {
        match event {
            Event::Start(start) => self.open(start, false, names)?,
            Event::Empty(start) => self.open(start, true, names)?,
            Event::End(end) => {
                self.depth -= 1;
                self.push(&["</", end.local_name().as_ref(), ">"]);
            }
            Event::Text(text) => self.text(text.as_ref())?,
            Event::CData(text) => {
                check_characters(text.as_ref())?;
                self.push(&["<![CDATA[", text.as_ref(), "]]>"]);
            }
            Event::GeneralRef(reference) => {
                check_reference(reference)?;
                self.push(&["&", reference.as_ref(), ";"]);
            }
            Event::Comment(comment) => self.push(&["<!--", comment.as_ref(), "-->"]),
            Event::PI(_) | Event::Decl(_) | Event::DocType(_) => {
                return Err("it may hold elements, text and comments only".to_owned());
            }
            Event::Eof => return Err("it ends before its <div> does".to_owned()),
        }
        Ok(())
    }

    /// The element as the JSON form has it; `written` is what stands in the document.
    pub(super) fn finish(self, written: &str) -> String {
        if self.must_rewrite { self.rewritten } else { written.to_owned() }
    }

    fn push(&mut self, parts: &[&str]) {
        self.rewritten.extend(parts.iter().copied());
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        check_characters(text)?;
        if text.contains("]]>") {
            return Err("']]>' must not stand in text".to_owned());
        }
        self.push(&[text]);
        Ok(())
    }

    fn open(&mut self, start: &BytesStart<'_>, empty: bool, names: &NamespaceResolver) -> Result<(), String> {
        let (namespace, local) = names.resolve_element(start.name());
        let is_root = self.rewritten.is_empty();
        match namespace {
            ResolveResult::Bound(Namespace(XHTML)) => {}
            // A narrative in JSON that forgot to say its namespace.
            ResolveResult::Unbound => self.must_rewrite = true,
            _ => return Err(format!("<{}> is not in the namespace {XHTML}", start.name().as_ref())),
        }
        check_name(start.name().as_ref())?;
        self.must_rewrite |= start.name().prefix().is_some();
        self.push(&["<", local.as_ref()]);
        if is_root {
            self.push(&[" xmlns=\"", XHTML, "\""]);
        }
        self.attributes(start, names)?;
        self.push(&[if empty { "/>" } else { ">" }]);
        self.depth += usize::from(!empty);
        Ok(())
    }

    fn attributes(&mut self, start: &BytesStart<'_>, names: &NamespaceResolver) -> Result<(), String> {
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            check_attribute(attribute.value.as_ref())?;
            check_name(attribute.key.as_ref())?;
            match attribute.key.as_namespace_binding() {
                Some(PrefixDeclaration::Default) => continue,
                Some(PrefixDeclaration::Named(_)) => {
                    self.must_rewrite = true;
                    continue;
                }
                None => {}
            }
            if matches!(names.resolve_attribute(attribute.key).0, ResolveResult::Unknown(_)) {
                return Err(format!("the prefix of {:?} is not declared", attribute.key.as_ref()));
            }
            let prefix = attribute.key.prefix().map(|prefix| prefix.as_ref().to_owned());
            let name = match prefix.as_deref() {
                // `xml:` is the one prefix that needs no declaration.
                Some("xml") => attribute.key.as_ref().to_owned(),
                _ => attribute.key.local_name().as_ref().to_owned(),
            };
            let quote = if attribute.value.contains('"') { "'" } else { "\"" };
            self.push(&[" ", &name, "=", quote, attribute.value.as_ref(), quote]);
        }
        Ok(())
    }
}

/// The narrative of a resource in JSON as it stands in XML: HTML's named entities, which XML does
/// not know, become character references, a missing namespace is declared, and lines end with a line feed (as they do for whoever
/// reads the XML); all else is kept.
///
/// # Errors
/// Why it is not one well-formed XHTML `<div>`.
pub(super) fn to_xml(div: &str) -> Result<Cow<'_, str>, String> {
    let div = match lines_ended(div.trim()) {
        Cow::Borrowed(div) => resolve_entities(div)?,
        Cow::Owned(div) => Cow::Owned(resolve_entities(&div)?.into_owned()),
    };
    let mut reader = NsReader::from_str(&div);
    reader.config_mut().check_comments = true;
    let mut narrative = match reader.read_event().map_err(|error| error.to_string())? {
        Event::Start(start) if start.local_name().as_ref() == "div" => {
            Narrative::start(&start, false, reader.resolver())?
        }
        Event::Empty(start) if start.local_name().as_ref() == "div" => {
            Narrative::start(&start, true, reader.resolver())?
        }
        _ => return Err("it does not begin with <div".to_owned()),
    };
    while !narrative.is_complete() {
        let event = reader.read_event().map_err(|error| error.to_string())?;
        narrative.event(&event, reader.resolver())?;
    }
    match reader.read_event() {
        Ok(Event::Eof) => {}
        _ => return Err("something follows its </div>".to_owned()),
    }
    if !narrative.must_rewrite {
        return Ok(div);
    }
    Ok(Cow::Owned(narrative.rewritten))
}

/// Replaces HTML's named entities, but for the five that XML has too.
fn resolve_entities(text: &str) -> Result<Cow<'_, str>, String> {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(start) = rest.find('&') {
        let (before, reference) = rest.split_at(start);
        let end = reference.find(';').ok_or("an & begins no reference")?;
        let name = &reference[1..end];
        out.push_str(before);
        if name.starts_with('#') || is_xml_entity(name) {
            out.push_str(&reference[..=end]);
        } else {
            let characters = quick_xml::escape::resolve_html5_entity(name);
            let characters = characters.ok_or_else(|| format!("&{name}; is no entity of XML or HTML"))?;
            out.extend(characters.chars().map(|c| format!("&#{};", u32::from(c))));
        }
        rest = &reference[end + 1..];
    }
    if out.is_empty() && rest.len() == text.len() {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

fn is_xml_entity(name: &str) -> bool {
    quick_xml::escape::resolve_xml_entity(name).is_some()
}

/// Checks that a reference is one of XML's own entities, or names a character.
pub(super) fn check_reference(reference: &BytesRef<'_>) -> Result<(), String> {
    let valid = match reference.resolve_char_ref() {
        Ok(Some(c)) => is_xml_char(c),
        Ok(None) => is_xml_entity(reference.as_ref()),
        Err(_) => false,
    };
    if valid { Ok(()) } else { Err(format!("&{}; is no reference that XML knows", reference.as_ref())) }
}

/// Checks the raw value of an attribute: no `<`, no character that XML excludes, and no reference
/// but to a character or one of XML's own entities.
pub(super) fn check_attribute(raw: &str) -> Result<(), String> {
    if raw.contains('<') {
        return Err("'<' must be written &lt; in an attribute".to_owned());
    }
    check_characters(raw)?;
    let mut rest = raw;
    while let Some(start) = rest.find('&') {
        rest = &rest[start + 1..];
        let end = rest.find(';').ok_or("an & begins no reference")?;
        check_reference(&BytesRef::new(&rest[..end]))?;
        rest = &rest[end + 1..];
    }
    Ok(())
}

/// Checks that all characters are ones that XML allows.
pub(super) fn check_characters(text: &str) -> Result<(), String> {
    // Most text has neither control characters nor what begins with the byte EF (U+F000 to U+FFFF),
    // and there are no surrogates in a str.
    if text.bytes().all(|byte| byte >= 0x20 && byte != 0xef) {
        return Ok(());
    }
    match text.chars().find(|c| !is_xml_char(*c)) {
        Some(c) => Err(format!("the character U+{:04X} cannot stand in XML", u32::from(c))),
        None => Ok(()),
    }
}

/// Checks a qualified name as far as it matters: what could end a tag early cannot stand in it.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_start = |c: char| c.is_alphabetic() || c == '_';
    let is_inner = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '\u{b7}');
    let is_part = |part: &str| part.starts_with(is_start) && part.chars().all(is_inner);
    let mut parts = name.split(':');
    if parts.clone().count() <= 2 && parts.all(is_part) {
        return Ok(());
    }
    Err(format!("{name:?} is no name"))
}
