//! Where and why a text is not the JSON that FHIR asks for.

use std::fmt;

/// Why a text was refused. Each becomes HTTP 400 with issue code `structure`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JsonErrorKind {
    /// The text ended inside a value.
    UnexpectedEnd,
    /// Something else stands where the grammar asks for what is described here.
    Expected(&'static str),
    /// A number that RFC 8259 does not allow: `1.`, `01`, `+1`, `.5`.
    InvalidNumber,
    /// A backslash followed by what is no escape.
    InvalidEscape,
    /// Half of a surrogate pair, which is no character.
    LoneSurrogate,
    /// U+0000 in a string or member name (R4 datatypes.html#string).
    Nul,
    /// An unescaped character below U+0020 in a string.
    ControlCharacter,
    /// A member name that the object has already.
    DuplicateName(String),
    /// More levels of arrays and objects than [`Limits`](super::Limits) allows.
    TooDeep(usize),
    /// Something follows the value.
    TrailingData,
    /// The bytes are not UTF-8.
    InvalidUtf8,
}

impl fmt::Display for JsonErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnexpectedEnd => f.write_str("the text ends before the JSON value does"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::InvalidNumber => f.write_str(
                "this is not a JSON number: digits, without leading zeros, then optionally a point \
                 followed by digits and an exponent",
            ),
            Self::InvalidEscape => f.write_str(
                r#"invalid escape: a backslash must be followed by one of " \ / b f n r t or u and four hex digits"#,
            ),
            Self::LoneSurrogate => {
                f.write_str("half of a surrogate pair: write the character itself or both halves as \\u escapes")
            }
            Self::Nul => f.write_str("strings must not contain U+0000"),
            Self::ControlCharacter => {
                f.write_str("control characters in strings must be written as escapes, such as \\n or \\t")
            }
            Self::DuplicateName(name) => {
                write!(f, "the member {name:?} occurs more than once in this object")
            }
            Self::TooDeep(limit) => {
                write!(f, "arrays and objects are nested more than {limit} levels deep")
            }
            Self::TrailingData => f.write_str("unexpected text after the end of the JSON value"),
            Self::InvalidUtf8 => f.write_str("the text is not valid UTF-8"),
        }
    }
}

/// A refused text: the reason and the place. Becomes HTTP 400 with issue code `structure`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} (line {line}, column {column}{})", at(.expression))]
pub struct JsonError {
    /// Why.
    pub kind: JsonErrorKind,
    /// Bytes before the fault.
    pub offset: usize,
    /// Line of the fault, from 1.
    pub line: usize,
    /// Column of the fault in characters, from 1.
    pub column: usize,
    /// The element at fault as a FHIRPath expression (`Patient.name[0].given[1]`), as far as the
    /// text before the fault tells; empty at the root of something that is no resource.
    pub expression: String,
}

fn at(expression: &str) -> String {
    if expression.is_empty() { String::new() } else { format!(", at {expression}") }
}

/// One step from a value to a part of it.
pub(super) enum Step {
    Member(String),
    Item(usize),
}

/// A fault on its way out of the parser, which adds a [`Step`] at each level.
pub(super) struct Fault {
    pub kind: JsonErrorKind,
    pub offset: usize,
    /// From the innermost to the outermost.
    pub steps: Vec<Step>,
    /// `resourceType` of the outermost object, where it stands before the fault.
    pub root: Option<String>,
}

impl Fault {
    pub(super) fn new(kind: JsonErrorKind, offset: usize) -> Box<Self> {
        Box::new(Self { kind, offset, steps: Vec::new(), root: None })
    }

    pub(super) fn within(mut self: Box<Self>, step: Step) -> Box<Self> {
        self.steps.push(step);
        self
    }

    pub(super) fn into_error(self, text: &str) -> JsonError {
        let mut expression = self.root.unwrap_or_default();
        for step in self.steps.iter().rev() {
            match step {
                Step::Member(name) if expression.is_empty() => expression.push_str(name),
                Step::Member(name) => expression.extend([".", name]),
                Step::Item(index) => expression.push_str(&format!("[{index}]")),
            }
        }
        let (line, column) = position(text, self.offset);
        JsonError { kind: self.kind, offset: self.offset, line, column, expression }
    }
}

/// Line and column (in characters), both from 1, of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}
