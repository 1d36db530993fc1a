//! Lossless JSON: what was sent comes back, decimals to the digit and members in their order.
//!
//! Source: R4 json.html; RFC 8259. Stricter than RFC 8259 where FHIR is: no duplicate member names,
//! no U+0000 and no lone surrogates in strings, bounded nesting.

use std::borrow::Cow;

/// A JSON value that borrows from the text it was parsed from.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, verbatim as written (`1.00`, `1E+2`).
    Number(Cow<'a, str>),
    /// A string, unescaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Value<'a>>),
    /// An object; members stand in the order they were written.
    Object(Object<'a>),
}

/// The members of a JSON object, in order, names unique.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<'a>(pub Vec<(Cow<'a, str>, Value<'a>)>);
