//! A strict recursive-descent parser that borrows from its input.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use super::error::{Fault, JsonError, JsonErrorKind as Kind, Step};
use super::{Object, Value};

/// What the parser refuses to follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Levels of arrays and objects, the outermost counting as 1.
    pub depth: usize,
}

impl Default for Limits {
    /// 128 levels: a nested Questionnaire or extension takes two levels a step, inside a Bundle
    /// four more, so this leaves room for some 60 steps of nesting, and little stack is used.
    fn default() -> Self {
        Self { depth: 128 }
    }
}

/// Objects up to this size look for duplicate names one by one; larger ones hash them.
const LINEAR_MEMBERS: usize = 24;

pub(super) type Parsed<T> = Result<T, Box<Fault>>;

/// Parses one JSON value that fills `text`. A byte order mark before it is skipped.
///
/// # Errors
/// [`JsonError`] with the reason and place of the first fault.
pub fn parse<'a>(text: &'a str, limits: &Limits) -> Result<Value<'a>, JsonError> {
    Parser::new(text, limits).document(Parser::value).map_err(|fault| fault.into_error(text))
}

/// Parses bytes, which must be UTF-8.
///
/// # Errors
/// As [`parse`], and [`JsonErrorKind::InvalidUtf8`](super::JsonErrorKind::InvalidUtf8) at the first
/// byte that is no part of a character.
pub fn parse_bytes<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Value<'a>, JsonError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text, limits),
        Err(error) => {
            let offset = error.valid_up_to();
            let valid = std::str::from_utf8(&bytes[..offset]).unwrap_or_default();
            Err(Fault::new(Kind::InvalidUtf8, offset).into_error(valid))
        }
    }
}

pub(super) struct Parser<'a, 'l> {
    text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    depth_left: usize,
    limits: &'l Limits,
}

impl<'a, 'l> Parser<'a, 'l> {
    pub(super) fn new(text: &'a str, limits: &'l Limits) -> Self {
        Self { text, bytes: text.as_bytes(), at: 0, depth_left: limits.depth, limits }
    }

    /// The one value that fills the text, read by `value`.
    pub(super) fn document(&mut self, value: impl FnOnce(&mut Self) -> Parsed<Value<'a>>) -> Parsed<Value<'a>> {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        self.skip_space();
        let value = value(self)?;
        self.skip_space();
        if self.at < self.bytes.len() {
            return Err(self.fault(Kind::TrailingData));
        }
        Ok(value)
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    #[cold]
    pub(super) fn fault(&self, kind: Kind) -> Box<Fault> {
        let kind = if self.at >= self.bytes.len() { Kind::UnexpectedEnd } else { kind };
        Fault::new(kind, self.at)
    }

    pub(super) fn value(&mut self) -> Parsed<Value<'a>> {
        match self.peek() {
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'-' | b'0'..=b'9') => Ok(Value::Number(Cow::Borrowed(self.number()?))),
            Some(b't') => self.literal("true", Value::Bool(true)),
            Some(b'f') => self.literal("false", Value::Bool(false)),
            Some(b'n') => self.literal("null", Value::Null),
            Some(b'+' | b'.') => Err(self.fault(Kind::InvalidNumber)),
            _ => Err(self.fault(Kind::Expected("a JSON value"))),
        }
    }

    fn literal(&mut self, word: &str, value: Value<'a>) -> Parsed<Value<'a>> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault(Kind::Expected("true, false, null or another JSON value")));
        }
        self.at += word.len();
        Ok(value)
    }

    #[inline]
    pub(super) fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<Value<'a>>) -> Parsed<Value<'a>> {
        if self.depth_left == 0 {
            return Err(self.fault(Kind::TooDeep(self.limits.depth)));
        }
        self.depth_left -= 1;
        self.at += 1;
        let value = parse(self)?;
        self.depth_left += 1;
        Ok(value)
    }

    fn array(&mut self) -> Parsed<Value<'a>> {
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            self.skip_space();
            let item = self.value().map_err(|fault| fault.within(Step::Item(items.len())))?;
            items.push(item);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => {
                    return Err(self.fault(Kind::Expected("a comma or the array's closing bracket")));
                }
            }
        }
    }

    fn object(&mut self) -> Parsed<Value<'a>> {
        let mut members = Members::default();
        match self.members(&mut members) {
            Ok(()) => Ok(Value::Object(Object(members.list))),
            Err(mut fault) => {
                // Each level overwrites what the one below said, so that the outermost stands.
                fault.root = members.resource_type();
                Err(fault)
            }
        }
    }

    fn members(&mut self, members: &mut Members<'a>) -> Parsed<()> {
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.skip_space();
            self.member(members)?;
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => {
                    return Err(self.fault(Kind::Expected("a comma or the object's closing brace")));
                }
            }
        }
    }

    #[inline]
    fn member(&mut self, members: &mut Members<'a>) -> Parsed<()> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.fault(Kind::Expected("a member name in double quotes")));
        }
        let name = self.string()?;
        if members.is_duplicate(&name) {
            let step = Step::Member(name.clone().into_owned());
            return Err(Fault::new(Kind::DuplicateName(name.into_owned()), start).within(step));
        }
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.fault(Kind::Expected("a colon after the member name")));
        }
        self.at += 1;
        self.skip_space();
        match self.value() {
            Ok(value) => members.list.push((name, value)),
            Err(fault) => return Err(fault.within(Step::Member(name.into_owned()))),
        }
        Ok(())
    }

    /// RFC 8259 section 6: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
    fn number(&mut self) -> Parsed<&'a str> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading_zero = self.peek() == Some(b'0');
        let mut valid = match self.skip_digits() {
            0 => false,
            1 => true,
            _ => !leading_zero,
        };
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= self.skip_digits() > 0;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            valid &= self.skip_digits() > 0;
        }
        if valid { Ok(&self.text[start..self.at]) } else { Err(Fault::new(Kind::InvalidNumber, start)) }
    }

    #[inline]
    fn skip_digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    /// A string from its opening quote to its closing one.
    pub(super) fn string(&mut self) -> Parsed<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.skip_plain()?;
        if self.bytes[self.at] == b'"' {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut owned = String::from(&self.text[start..self.at]);
        loop {
            if self.bytes[self.at] == b'"' {
                self.at += 1;
                return Ok(Cow::Owned(owned));
            }
            owned.push(self.escape()?);
            let start = self.at;
            self.skip_plain()?;
            owned.push_str(&self.text[start..self.at]);
        }
    }

    /// Moves to the next quote or backslash, one of which is then under the cursor.
    #[inline]
    fn skip_plain(&mut self) -> Parsed<()> {
        // Most strings are short: a plain loop beats a vectorised search on them.
        const SHORT: usize = 24;
        let short_end = self.bytes.len().min(self.at + SHORT);
        while self.at < short_end {
            match self.bytes[self.at] {
                b'"' | b'\\' => return Ok(()),
                0 => return Err(self.fault(Kind::Nul)),
                1..0x20 => return Err(self.fault(Kind::ControlCharacter)),
                _ => self.at += 1,
            }
        }
        self.skip_plain_long()
    }

    fn skip_plain_long(&mut self) -> Parsed<()> {
        let rest = &self.bytes[self.at..];
        let length = memchr::memchr2(b'"', b'\\', rest);
        let plain = &rest[..length.unwrap_or(rest.len())];
        // Folded without an early exit, so that the compiler vectorises it.
        if plain.iter().fold(false, |found, byte| found | (*byte < 0x20)) {
            let index = plain.iter().position(|byte| *byte < 0x20).unwrap_or_default();
            let kind = if plain[index] == 0 { Kind::Nul } else { Kind::ControlCharacter };
            return Err(Fault::new(kind, self.at + index));
        }
        self.at += plain.len();
        match length {
            Some(_) => Ok(()),
            None => Err(self.fault(Kind::UnexpectedEnd)),
        }
    }

    /// One escape, from its backslash.
    fn escape(&mut self) -> Parsed<char> {
        let start = self.at;
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => Ok(char::from(letter)),
            Some(b'b') => Ok('\u{8}'),
            Some(b'f') => Ok('\u{c}'),
            Some(b'n') => Ok('\n'),
            Some(b'r') => Ok('\r'),
            Some(b't') => Ok('\t'),
            Some(b'u') => self.unicode_escape(start),
            Some(_) => Err(Fault::new(Kind::InvalidEscape, start)),
            None => Err(Fault::new(Kind::UnexpectedEnd, self.bytes.len())),
        }
    }

    /// The rest of `\uXXXX`, and of a second one where the first is a high surrogate.
    fn unicode_escape(&mut self, start: usize) -> Parsed<char> {
        let unit = self.hex4(start)?;
        let code = match unit {
            0 => return Err(Fault::new(Kind::Nul, start)),
            0xD800..=0xDBFF if self.bytes[self.at..].starts_with(b"\\u") => {
                self.at += 2;
                match self.hex4(start)? {
                    low @ 0xDC00..=0xDFFF => 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00),
                    _ => unit,
                }
            }
            _ => unit,
        };
        char::from_u32(code).ok_or_else(|| Fault::new(Kind::LoneSurrogate, start))
    }

    fn hex4(&mut self, start: usize) -> Parsed<u32> {
        let Some(digits) = self.bytes.get(self.at..self.at + 4) else {
            return Err(Fault::new(Kind::InvalidEscape, start));
        };
        let mut code = 0;
        for digit in digits {
            let Some(value) = char::from(*digit).to_digit(16) else {
                return Err(Fault::new(Kind::InvalidEscape, start));
            };
            code = code * 16 + value;
        }
        self.at += 4;
        Ok(code)
    }
}

/// The members of an object being read.
#[derive(Default)]
struct Members<'a> {
    list: Vec<(Cow<'a, str>, Value<'a>)>,
    /// Hashes of all names, once there are too many to compare one by one. Keyed at random, so that
    /// nobody can choose names that collide.
    hashes: Option<Box<(RandomState, HashSet<u64>)>>,
}

impl Members<'_> {
    #[inline]
    fn is_duplicate(&mut self, name: &str) -> bool {
        if self.list.len() < LINEAR_MEMBERS {
            return self.has(name);
        }
        self.is_duplicate_among_many(name)
    }

    #[inline]
    fn has(&self, name: &str) -> bool {
        self.list.iter().any(|(present, _)| present == name)
    }

    fn is_duplicate_among_many(&mut self, name: &str) -> bool {
        let (state, hashes) = &mut **self.hashes.get_or_insert_with(|| {
            let state = RandomState::new();
            let hashes = self.list.iter().map(|(name, _)| state.hash_one(&**name)).collect();
            Box::new((state, hashes))
        });
        !hashes.insert(state.hash_one(name)) && self.has(name)
    }

    fn resource_type(&self) -> Option<String> {
        let (_, value) = self.list.iter().find(|(name, _)| name == "resourceType")?;
        value.as_str().map(str::to_owned)
    }
}
