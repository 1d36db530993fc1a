//! FHIR XML to and from the JSON form, losslessly.
//!
//! Source: R4 xml.html, json.html, narrative.html; XML 1.0; Namespaces in XML.
//!
//! [`read`] makes of an XML document the [`Value`](crate::json::Value) that its JSON form has;
//! [`write`] goes the other way. Both are driven by the [`Definitions`](crate::Definitions): which
//! elements a type has and in which order, which are lists, which are primitives and of what kind.
//!
//! Kept: decimals to the digit, the narrative character by character, ids and extensions of
//! primitives, the order of repeated elements. Not kept, because the two forms do not share it:
//! comments and processing instructions of the XML, and the order in which JSON members stood
//! (XML has that of the definitions). What the definitions do not know is refused with its place,
//! never left out.
//!
//! A document type declaration is refused, and with it every entity but the five of XML itself.

mod error;
mod narrative;
mod read;
mod write;

use std::borrow::Cow;

pub use error::{XmlError, XmlErrorKind, XmlWriteError, XmlWriteErrorKind};
pub use read::{Limits, read, read_bytes};
pub use write::{Layout, write};

/// The namespace of FHIR's elements.
pub const NAMESPACE: &str = "http://hl7.org/fhir";

/// The namespace of the narrative's elements.
const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// The namespace of `xsi:schemaLocation`, which may stand in a document and says nothing about it.
const SCHEMA_INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// Whether a narrative is one well-formed `<div>` of XHTML (R4 narrative.html).
pub fn is_narrative(div: &str) -> bool {
    narrative::to_xml(div).is_ok()
}

/// Whether an element of a type is an attribute in XML: the `id` of what is no resource, and the
/// `url` of an extension (R4 xml.html#xml).
fn is_attribute(ty: &crate::definitions::TypeDefinition, name: &str) -> bool {
    match name {
        "id" => ty.kind != crate::definitions::TypeKind::Resource,
        "url" => ty.name == "Extension",
        _ => false,
    }
}

/// Whether a character may stand in an XML 1.0 document (XML 1.0, production 2).
fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// The text with its lines ended by a line feed alone, as whoever reads XML sees it (XML 1.0 section 2.11). A carriage
/// return that is meant is written as a character reference.
fn lines_ended(text: &str) -> Cow<'_, str> {
    match text.contains('\r') {
        true => Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests;
