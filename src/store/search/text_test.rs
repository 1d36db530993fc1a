//! How texts must match: indexed strings, texts of the body, and words.

use salus_fhir::search::query::Operator;

use crate::facts::{StringEntry, indexed_string};
use crate::sql::Sql;

/// Words that stand in the narrative, or anywhere, as `websearch_to_tsquery` takes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordTest {
    /// Whether only the narrative counts.
    pub narrative: bool,
    /// The words.
    pub query: String,
}

/// How a string must match. `value`s are normalised, except for `Exact`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TextTest {
    /// Starts with this (the default).
    StartsWith(String),
    /// Contains this.
    Contains(String),
    /// Ends with this.
    EndsWith(String),
    /// Is this.
    Equals(String),
    /// Is exactly this, letter by letter.
    Exact(String),
    /// Comes before or after this, in the order of code points.
    Compares(Operator, String),
}

/// How a text of a body must match; letter case says nothing, but in [`BodyTest::Below`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum BodyTest {
    /// Contains this.
    Contains(String),
    /// Starts with this.
    StartsWith(String),
    /// Ends with this.
    EndsWith(String),
    /// Is this URL, or one below it in its path.
    Below(String),
}

impl WordTest {
    /// Appends all words of a row that count.
    pub fn write_words(&self, row: &str, sql: &mut Sql) {
        sql.push(if self.narrative { "narrative_words(" } else { "body_words(" }).push(row).push(".body)");
    }

    /// Appends the words that are searched.
    pub fn write_query(&self, sql: &mut Sql) {
        sql.push("websearch_to_tsquery('simple', ").bind(self.query.as_str()).push(")");
    }
}

impl BodyTest {
    /// Appends that the text that is the SQL expression `value` passes.
    pub fn write(&self, value: &str, sql: &mut Sql) {
        match self {
            Self::Contains(part) => {
                sql.push("position(lower(").bind(part.as_str()).push(") IN lower(").push(value).push(")) > 0");
            }
            Self::StartsWith(part) => {
                sql.push("starts_with(lower(").push(value).push("), lower(").bind(part.as_str()).push("))");
            }
            Self::EndsWith(part) => {
                sql.push("right(lower(").push(value).push("), length(").bind(part.as_str()).push(")) = lower(");
                sql.bind(part.as_str()).push(")");
            }
            Self::Below(url) => {
                let url = url.trim_end_matches('/');
                sql.push("(").push(value).push(" = ").bind(url).push(" OR starts_with(").push(value).push(", ");
                sql.bind(format!("{url}/").as_str()).push("))");
            }
        }
    }
}

impl TextTest {
    /// Where in the order of values those that pass are: from the first text, before the second, and what they have
    /// to be exactly (`""`: anything). None where they are anywhere.
    pub fn stretch(&self) -> Option<(String, String, String)> {
        // The first string after all that start with a prefix, and after one alone, in code point order.
        let (after_all, after) = ("\u{10FFFF}", "\u{1}");
        Some(match self {
            Self::StartsWith(prefix) => (prefix.clone(), format!("{prefix}{after_all}"), String::new()),
            Self::Equals(text) => (text.clone(), format!("{text}{after}"), String::new()),
            Self::Exact(exact) => {
                let value = indexed_string(exact);
                (value.clone(), format!("{value}{after}"), exact.clone())
            }
            Self::Contains(_) | Self::EndsWith(_) | Self::Compares(..) => return None,
        })
    }

    /// Whether a string that is about to be written passes.
    pub fn matches(&self, string: &StringEntry) -> bool {
        match self {
            Self::StartsWith(value) => string.value.starts_with(value.as_str()),
            Self::Contains(value) => string.value.contains(value.as_str()),
            Self::EndsWith(value) => string.value.ends_with(value.as_str()),
            Self::Equals(value) => string.value == *value,
            Self::Exact(value) => string.exact == *value,
            Self::Compares(operator, value) => operator.holds(&string.value, value),
        }
    }
}

/// Appends how a string entry must match.
pub(crate) fn write_text(test: &TextTest, entry: &str, sql: &mut Sql) {
    let value = format!("{entry}.value");
    match test {
        TextTest::StartsWith(prefix) => {
            sql.push(&value).push(" >= ").bind(prefix.as_str());
            // The first string after all that start with the prefix, in code point order.
            sql.push(" AND ").push(&value).push(" < ").bind(format!("{prefix}\u{10FFFF}").as_str());
        }
        TextTest::Contains(part) => {
            _ = sql.push("position(").bind(part.as_str()).push(" IN ").push(&value).push(") > 0")
        }
        TextTest::EndsWith(part) => {
            _ = sql.push("right(").push(&value).push(", length(").bind(part.as_str()).push(")) = ").bind(part.as_str());
        }
        TextTest::Equals(text) => _ = sql.push(&value).push(" = ").bind(text.as_str()),
        TextTest::Compares(operator, text) => {
            sql.push(&value).push(operator.sql()).bind(text.as_str());
        }
        TextTest::Exact(exact) => {
            sql.push(&value).push(" = ").bind(indexed_string(exact).as_str());
            sql.push(" AND ").push(entry).push(".exact = ").bind(exact.as_str());
        }
    }
}
