//! Where a search starts: the index walk that yields the candidates.

use salus_fhir::Key;
use salus_fhir::search::query::RangeCondition;

use super::condition::{Condition, TextTest};

/// One way to find candidates for a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Start {
    /// Rows with these keys.
    Rows(Vec<Key>),
    /// Entries of these keys in `search_index`, in natural order.
    Keys(Vec<KeyStart>),
    /// Entries whose interval lies as demanded.
    Range { key: Key, test: RangeCondition<i64> },
    /// Entries of `search_string`.
    Text { key: Key, test: TextTest },
}

/// A key to walk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct KeyStart {
    /// The key.
    pub key: Key,
    /// Only entries with this `low` (a token's system).
    pub low: Option<i64>,
    /// Whether a resource has at most one entry under the key.
    pub unique: bool,
}

/// What one parameter asks: a condition, and perhaps a way to start from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Clause {
    /// What must hold.
    pub condition: Condition,
    /// How candidates for it are found.
    pub start: Option<Start>,
    /// How selective the start usually is; the lowest is taken.
    pub rank: u8,
}

/// Usual selectivity of a start, best first.
pub(crate) mod rank {
    pub const ROWS: u8 = 0;
    pub const IDENTIFIER: u8 = 1;
    pub const PATIENT_AND_CODE: u8 = 2;
    pub const REFERENCE: u8 = 3;
    pub const COMPARTMENT: u8 = 4;
    pub const TEXT: u8 = 5;
    pub const CODE: u8 = 6;
    pub const RANGE: u8 = 7;
    pub const CATEGORY: u8 = 8;
    pub const TYPE: u8 = 9;
}

impl Clause {
    /// A condition that no index walk serves.
    pub fn filter(condition: Condition) -> Self {
        Self { condition, start: None, rank: u8::MAX }
    }
}
