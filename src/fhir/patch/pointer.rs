//! JSON Pointer (RFC 6901).

use super::budget::{Budget, check_depth};
use super::error::PatchErrorKind as Kind;
use crate::json::{Object, Value};

/// A JSON Pointer; without tokens it names the whole document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pointer {
    tokens: Vec<String>,
    /// The member of the operation that it came from, for messages.
    part: &'static str,
}

impl Pointer {
    /// Reads `text`, which stood in the member `part`.
    pub fn parse(text: &str, part: &'static str) -> Result<Self, Kind> {
        let fault = |expected| Kind::Part { part: part.to_owned(), expected };
        let rest = match text.strip_prefix('/') {
            Some(rest) => rest,
            None if text.is_empty() => return Ok(Self { tokens: Vec::new(), part }),
            None => return Err(fault("a JSON Pointer, which begins with '/'")),
        };
        let tokens = rest.split('/').map(unescaped).collect::<Option<Vec<_>>>();
        let tokens = tokens.ok_or(fault("a JSON Pointer, in which '~' is followed by 0 or 1"))?;
        check_depth(tokens.len(), 0)?;
        Ok(Self { tokens, part })
    }

    /// Whether it names the whole document.
    pub fn is_root(&self) -> bool {
        self.tokens.is_empty()
    }

    /// How many levels lie above what it names.
    pub fn depth(&self) -> usize {
        self.tokens.len()
    }

    /// Whether `other` names a part of what this names.
    pub fn holds(&self, other: &Self) -> bool {
        other.tokens.len() > self.tokens.len() && other.tokens.starts_with(&self.tokens)
    }

    /// What it names.
    pub fn get<'v, 'a>(&self, document: &'v Value<'a>, budget: &mut Budget) -> Result<&'v Value<'a>, Kind> {
        self.tokens.iter().try_fold(document, |value, token| {
            let found = match value {
                Value::Object(members) => {
                    budget.scan(members.len())?;
                    members.get(token)
                }
                Value::Array(items) => items.get(self.index(token)?),
                _ => None,
            };
            found.ok_or(Kind::NotFound(self.part))
        })
    }

    /// What holds the value that it names, or would, and the last token.
    pub fn holder<'v, 'a>(
        &self,
        document: &'v mut Value<'a>,
        budget: &mut Budget,
    ) -> Result<(Holder<'v, 'a>, &str), Kind> {
        let (last, above) = self.tokens.split_last().ok_or(Kind::WholeResource)?;
        let mut value = document;
        for token in above {
            let found = match value {
                Value::Object(members) => {
                    budget.scan(members.len())?;
                    members.get_mut(token)
                }
                Value::Array(items) => {
                    let index = self.index(token)?;
                    items.get_mut(index)
                }
                _ => None,
            };
            value = found.ok_or(Kind::NotFound(self.part))?;
        }
        match value {
            Value::Object(members) => {
                budget.scan(members.len())?;
                Ok((Holder::Object(members), last))
            }
            Value::Array(items) => {
                budget.scan(items.len())?;
                Ok((Holder::Array(items), last))
            }
            _ => Err(Kind::NotFound(self.part)),
        }
    }

    /// The position that a token names: digits without leading zeros. `-` is beyond the end of any list.
    pub fn index(&self, token: &str) -> Result<usize, Kind> {
        let leading_zero = token.len() > 1 && token.starts_with('0');
        match token.parse() {
            Ok(index) if !leading_zero && token.bytes().all(|byte| byte.is_ascii_digit()) => Ok(index),
            _ if token == "-" => Ok(usize::MAX),
            _ => Err(Kind::Index(self.part)),
        }
    }
}

/// An array or object in which an operation works.
pub(super) enum Holder<'v, 'a> {
    Array(&'v mut Vec<Value<'a>>),
    Object(&'v mut Object<'a>),
}

fn unescaped(token: &str) -> Option<String> {
    let mut out = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, c == '~') {
            (_, true) => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            (c, false) => c,
        });
    }
    Some(out)
}
