//! Which codes a required binding allows.

use serde::{Deserialize, Serialize};

/// The expansion of a value set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CodeSet {
    /// Canonical URL of the value set, without version.
    pub value_set: String,
    /// The code systems its codes come from.
    systems: Vec<String>,
    /// Codes, each with the index of its system; sorted by code.
    codes: Vec<(String, u16)>,
}

impl CodeSet {
    /// Whether `code` is in it.
    pub fn contains(&self, code: &str) -> bool {
        self.position(code).is_some()
    }

    /// The system `code` belongs to, if it is in the set.
    pub fn system(&self, code: &str) -> Option<&str> {
        let system = self.codes[self.position(code)?].1;
        self.systems.get(usize::from(system)).map(String::as_str)
    }

    /// All codes, sorted.
    pub fn codes(&self) -> impl ExactSizeIterator<Item = &str> {
        self.codes.iter().map(|(code, _)| code.as_str())
    }

    fn position(&self, code: &str) -> Option<usize> {
        self.codes
            .binary_search_by(|(present, _)| present.as_str().cmp(code))
            .ok()
    }
}
