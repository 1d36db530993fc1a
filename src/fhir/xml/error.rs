//! Where and why a document is not FHIR XML, or a resource has no XML form.

use std::fmt::{self, Write};

use crate::outcome::{Issue, IssueCode};

/// Why an XML document was refused. Each becomes HTTP 400 with issue code `structure`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlErrorKind {
    /// It is not well-formed XML.
    #[error("this is not well-formed XML: {0}")]
    Malformed(String),
    /// It has a document type declaration, which could name files or grow without end.
    #[error("a document type declaration (<!DOCTYPE …>) is not allowed")]
    DocumentType,
    /// It says that it is in another encoding than UTF-8, or its bytes are no UTF-8.
    #[error("only UTF-8 is read, and this is {0}")]
    Encoding(String),
    /// It is larger than [`Limits`](super::Limits) allows.
    #[error("the document is larger than {0} bytes")]
    TooLarge(usize),
    /// Elements are nested deeper than [`Limits`](super::Limits) allows.
    #[error("elements are nested too deeply: their JSON form has more than {0} levels")]
    TooDeep(usize),
    /// An element is in a namespace where it does not belong.
    #[error("the element {element:?} must be in the namespace {expected}")]
    Namespace {
        /// Its local name.
        element: String,
        /// Where it belongs.
        expected: &'static str,
    },
    /// Where a resource must stand is something else.
    #[error("{0:?} is no resource type of FHIR R4")]
    NoResource(String),
    /// The type has no such element.
    #[error("{ty} has no element {element:?}")]
    UnknownElement {
        /// The type, or the path of a backbone element.
        ty: String,
        /// The element.
        element: String,
    },
    /// An attribute that the element does not have.
    #[error("the attribute {0:?} is not allowed here")]
    UnknownAttribute(String),
    /// An element that may stand once stands again.
    #[error("the element {0:?} must not be repeated")]
    Repeated(String),
    /// Characters between elements: a value belongs in the attribute `value`.
    #[error("text is not allowed here: values stand in the attribute value")]
    Text,
    /// An element without value, id, extension or content.
    #[error("an element must not be empty: leave out what has no content")]
    Empty,
    /// The value does not have the form of its type.
    #[error("{text:?} is not {expected}")]
    Value {
        /// What was written, at most its first 64 characters.
        text: String,
        /// What the type asks for.
        expected: &'static str,
    },
}

/// A refused document: the reason and the place. Becomes HTTP 400 with issue code `structure`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, column {column}{})", at(.expression))]
pub struct XmlError {
    /// Why.
    pub kind: XmlErrorKind,
    /// Bytes before the fault.
    pub offset: usize,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in characters, from 1.
    pub column: usize,
    /// The element at fault as a FHIRPath expression; empty outside the resource.
    pub expression: String,
}

impl XmlError {
    pub(super) fn new(kind: XmlErrorKind, text: &str, offset: usize, expression: String) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            kind,
            offset: before.len(),
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            expression,
        }
    }
}

impl From<&XmlError> for Issue {
    fn from(error: &XmlError) -> Self {
        Issue::error(IssueCode::Structure, error.to_string()).at(error.expression.clone())
    }
}

/// Why a resource has no XML form. Stored resources were validated and have one, but for
/// [`Character`](XmlWriteErrorKind::Character) and [`Narrative`](XmlWriteErrorKind::Narrative):
/// those become HTTP 406 with issue code `not-supported`, as the JSON form can be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum XmlWriteErrorKind {
    /// It is no object with a known `resourceType`.
    #[error("this is no resource of FHIR R4")]
    NoResource,
    /// A member that the type does not have.
    #[error("{ty} has no element {member:?}")]
    UnknownElement {
        /// The type, or the path of a backbone element.
        ty: String,
        /// The JSON member.
        member: String,
    },
    /// Another JSON value than the element has.
    #[error("this must be {expected}")]
    Shape {
        /// What it must be.
        expected: &'static str,
    },
    /// A member with an empty array or object, which XML cannot show.
    #[error("this is empty, which XML cannot show")]
    Empty,
    /// An extension of an element that XML writes as an attribute.
    #[error("an attribute in XML cannot have an id or extensions of its own")]
    Attribute,
    /// A control character that XML 1.0 does not allow even as a reference.
    #[error("the character U+{:04X} cannot stand in XML", u32::from(*.0))]
    Character(char),
    /// The narrative is not one well-formed XHTML `<div>`.
    #[error("the narrative is not one well-formed XHTML <div>: {0}")]
    Narrative(String),
}

/// A resource without XML form: the reason and the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}{}", at(.expression))]
pub struct XmlWriteError {
    /// Why.
    pub kind: XmlWriteErrorKind,
    /// The element as a FHIRPath expression.
    pub expression: String,
}

fn at(expression: &str) -> String {
    if expression.is_empty() { String::new() } else { format!(", at {expression}") }
}

/// The way from the root to where a reader or writer stands.
#[derive(Default)]
pub(super) struct Steps<'d> {
    steps: Vec<(&'d str, Option<usize>)>,
}

impl<'d> Steps<'d> {
    /// Steps down to the element `name`, the occurrence number `index` where it is a list.
    pub(super) fn push(&mut self, name: &'d str, index: Option<usize>) {
        self.steps.push((name, index));
    }

    /// Steps back up.
    pub(super) fn pop(&mut self) {
        self.steps.pop();
    }
}

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, index)) in self.steps.iter().enumerate() {
            if number > 0 {
                f.write_char('.')?;
            }
            f.write_str(name)?;
            if let Some(index) = index {
                write!(f, "[{index}]")?;
            }
        }
        Ok(())
    }
}
