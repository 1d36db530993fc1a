//! How much work a patch may be.

use super::error::PatchErrorKind;
use crate::json::Value;

/// Operations of one patch.
pub(super) const MAX_OPERATIONS: usize = 10_000;

/// Levels of arrays and objects that a patched resource may have: as many as one that is parsed
/// ([`Limits`](crate::json::Limits)).
pub(super) const MAX_DEPTH: usize = 128;

/// Units of work, some tenths of a second's worth: a thousand operations on a resource of twenty
/// thousand values. A unit is about what reading a value costs.
const UNITS: usize = 50_000_000;

/// Bytes of text that count as much as a value.
const TEXT: usize = 64;

/// Members of an object, or moved items of an array, that count as much as a value.
const SCAN: usize = 8;

/// The work that is left. What copies and searches takes from it, so that a patch of a few kilobytes
/// can neither grow a resource without end nor keep the server busy.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Budget {
    pub fn new() -> Self {
        Self(UNITS)
    }

    /// Takes so many units.
    pub fn charge(&mut self, units: usize) -> Result<(), PatchErrorKind> {
        self.0 = self.0.checked_sub(units).ok_or(PatchErrorKind::TooCostly)?;
        Ok(())
    }

    /// Takes what looking through so many members or items costs.
    pub fn scan(&mut self, count: usize) -> Result<(), PatchErrorKind> {
        self.charge(1 + count / SCAN)
    }

    /// Takes what copying a value costs, and says how many levels it has.
    pub fn weigh(&mut self, value: &Value<'_>) -> Result<usize, PatchErrorKind> {
        let text = match value {
            Value::String(text) | Value::Number(text) => text.len(),
            _ => 0,
        };
        self.charge(1 + text / TEXT)?;
        match value {
            Value::Array(items) => self.deepest(items.iter()),
            Value::Object(members) => self.deepest(members.iter().map(|(_, value)| value)),
            _ => Ok(0),
        }
    }

    fn deepest<'v, 'a: 'v>(&mut self, values: impl Iterator<Item = &'v Value<'a>>) -> Result<usize, PatchErrorKind> {
        let mut depth = 0;
        for value in values {
            depth = depth.max(self.weigh(value)?);
        }
        Ok(depth + 1)
    }
}

/// Refuses a value of `depth` levels below `above` others if that is too deep.
pub(super) fn check_depth(above: usize, depth: usize) -> Result<(), PatchErrorKind> {
    if above + depth > MAX_DEPTH { Err(PatchErrorKind::TooDeep(MAX_DEPTH)) } else { Ok(()) }
}
