//! A search reduced to what can be asked of a row: the form that becomes SQL.
//!
//! The same conditions serve searches (on `resource`), history and granular scopes; those of a scope
//! are also tested in memory, on the facts of a resource that is about to be written.

use salus_access::Permission;
use salus_fhir::Key;
use salus_fhir::search::query::{Operator, Piece, RangeCondition};

use super::intervals::IntervalTest;
use super::start::Clause;
use crate::facts::{Facts, indexed_string, type_key};
use crate::predicate::View;
use crate::sql::{PROBE, PROBED, Sql};

/// What is asked of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// Every row.
    Everything,
    /// No row.
    Nothing,
    /// The row has any of these facts.
    AnyFact(Vec<Key>),
    /// All of these hold.
    All(Vec<Condition>),
    /// Any of these holds.
    Any(Vec<Condition>),
    /// This does not hold.
    Not(Box<Condition>),
    /// An index entry of `key` lies as `test` demands.
    Range {
        /// Key of the parameter (or of the composite's exact part).
        key: Key,
        /// How the entry's interval must lie.
        test: IntervalTest,
    },
    /// A string value of the parameter with this key.
    Text {
        /// Key of the parameter.
        key: Key,
        /// How it must match.
        test: TextTest,
    },
    /// A text that stands in the body where one of the paths leads passes the test.
    Body {
        /// Paths of SQL/JSON.
        paths: Vec<String>,
        /// How the text must match.
        test: BodyTest,
    },
    /// These words stand in the row.
    Words(WordTest),
    /// The row has a position so far away at most (degrees, metres).
    Near { latitude: f64, longitude: f64, metres: f64 },
    /// The row is one of these.
    Rows(Vec<Key>),
    /// The row is a resource of this type.
    OfType(String),
    /// The row's natural date lies as demanded. Only where the parameter is the type's natural date.
    Updated(RangeCondition<i64>),
    /// A resource of `target_type` that the row points at by `parameter` satisfies `of` (a chain).
    Chain {
        /// Key of the reference parameter.
        parameter: Key,
        /// Type of the target.
        target_type: String,
        /// What is asked of the target.
        of: Box<Clause>,
    },
    /// A resource of `source_type` points at the row by `parameter` and satisfies `of` (`_has`).
    ReverseChain {
        /// Key of the reference parameter on the source.
        parameter: Key,
        /// Keys that sources are indexed under together with the row's key, narrower than `parameter`; empty for
        /// none.
        codes: Vec<Key>,
        /// Type of the source.
        source_type: String,
        /// What is asked of the source.
        of: Box<Clause>,
    },
}

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

impl Condition {
    /// Whether anything but the facts and the index has to be asked.
    pub fn asks_body(&self) -> bool {
        match self {
            Self::Body { .. } | Self::Words(_) | Self::Near { .. } => true,
            Self::All(all) | Self::Any(all) => all.iter().any(Self::asks_body),
            Self::Not(not) => not.asks_body(),
            Self::Chain { of, .. } | Self::ReverseChain { of, .. } => of.condition.asks_body(),
            _ => false,
        }
    }

    /// Appends the condition on the row with alias `row` (of `resource` or `resource_history`).
    /// Rows that a chain passes through must satisfy the `view` too, or chains would be an oracle.
    pub fn write(&self, row: &str, view: &View<'_>, sql: &mut Sql) {
        match self {
            Self::Everything => _ = sql.push("true"),
            Self::Nothing => _ = sql.push("false"),
            Self::AnyFact(keys) => match keys.as_slice() {
                [key] => _ = sql.bind(*key).push(" = ANY(").push(row).push(".keys)"),
                keys => _ = sql.push(row).push(".keys && ").bind(keys),
            },
            Self::All(all) => write_joined(all, " AND ", row, view, sql),
            Self::Any(any) => write_joined(any, " OR ", row, view, sql),
            Self::Not(not) => {
                sql.push("NOT (");
                not.write(row, view, sql);
                sql.push(")");
            }
            Self::Range { key, test } => {
                let entry = sql.alias("x");
                sql.push(PROBE).push("search_index ").push(&entry).push(" WHERE ");
                same_row(&entry, row, sql);
                sql.push(&entry).push(".key = ").bind(*key);
                sql.push(" AND ").push(&entry).push(".high IS NOT NULL AND ");
                test.write(&entry, sql);
                sql.push(PROBED);
            }
            Self::Text { key, test } => {
                let entry = sql.alias("x");
                sql.push(PROBE).push("search_string ").push(&entry).push(" WHERE ").push(&entry);
                sql.push(".tenant = ").push(row).push(".tenant AND ").push(&entry).push(".rid = ").push(row);
                sql.push(".rid AND ").push(&entry).push(".key = ").bind(*key).push(" AND ");
                write_text(test, &entry, sql);
                sql.push(PROBED);
            }
            Self::Body { paths, test } => {
                let text = sql.alias("b");
                sql.push("EXISTS (SELECT FROM body_texts(").push(row).push(".body, ").bind(paths.clone()).push(") ");
                sql.push(&text).push("(value) WHERE ");
                test.write(&format!("{text}.value"), sql);
                sql.push(")");
            }
            Self::Words(test) => {
                test.write_words(row, sql);
                sql.push(" @@ ");
                test.write_query(sql);
            }
            Self::Near { latitude, longitude, metres } => {
                sql.push("coalesce(metres_to(").push(row).push(".body, ").bind(*latitude).push(", ");
                sql.bind(*longitude).push(") <= ").bind(*metres).push(", false)");
            }
            Self::Rows(rows) => _ = sql.push(row).push(".rid = ANY(").bind(rows.as_slice()).push(")"),
            Self::OfType(name) => _ = sql.push(row).push(".type = ").bind(name.as_str()),
            Self::Updated(test) => write_updated(test, row, sql),
            Self::Chain { parameter, target_type, of } => {
                // `IS TRUE` keeps the planner from joining: the matching targets are hashed once, and each
                // row's facts looked up among them.
                sql.push("EXISTS (SELECT FROM unnest(")
                    .push(row)
                    .push(".keys) k(key) WHERE (k.key IN (SELECT reference_key(");
                sql.bind(*parameter).push(", q.rid) FROM (");
                of.write_rows("t.rid", target_type, view, sql);
                sql.push(") q)) IS TRUE)");
            }
            Self::ReverseChain { parameter, codes, source_type, of } => {
                let (entry, source) = (sql.alias("x"), sql.alias("t"));
                sql.push(PROBE).push("search_index ").push(&entry).push(" JOIN resource ").push(&source);
                sql.push(" ON ").push(&source).push(".tenant = ").push(&entry).push(".tenant AND ").push(&source);
                sql.push(".rid = ").push(&entry).push(".rid WHERE ").push(&entry).push(".tenant = ").push(row);
                sql.push(".tenant AND ").push(&entry).push(".key = ");
                let pointed = |parameter: Key, sql: &mut Sql| {
                    _ = sql.push("reference_key(").bind(parameter).push(", ").push(row).push(".rid)");
                };
                match codes.as_slice() {
                    [] => pointed(*parameter, sql),
                    codes => {
                        for (position, code) in codes.iter().enumerate() {
                            sql.push(if position > 0 { ", " } else { "ANY(ARRAY[" });
                            pointed(*code, sql);
                        }
                        sql.push("]) AND ");
                        pointed(*parameter, sql);
                        sql.push(" = ANY(").push(&source).push(".keys)");
                    }
                }
                sql.push(" AND NOT ").push(&source).push(".deleted AND ").push(&source).push(".type = ");
                sql.bind(source_type.as_str()).push(" AND ");
                view.write_related(Permission::Search, source_type, &source, sql);
                sql.push(" AND ");
                of.condition.write(&source, view, sql);
                sql.push(PROBED);
            }
        }
    }

    /// Whether it takes the row itself to tell; otherwise an entry of the index will do, which has its tenant,
    /// key and natural date.
    pub fn needs_row(&self) -> bool {
        match self {
            Self::Everything | Self::Nothing | Self::Range { .. } | Self::Text { .. } | Self::Rows(_) => false,
            Self::All(all) | Self::Any(all) => all.iter().any(Self::needs_row),
            Self::Not(not) => not.needs_row(),
            Self::Words(_) | Self::Near { .. } => true,
            Self::AnyFact(_)
            | Self::Body { .. }
            | Self::OfType(_)
            | Self::Updated(_)
            | Self::Chain { .. }
            | Self::ReverseChain { .. } => true,
        }
    }

    /// Whether facts that are about to be written satisfy the condition, for the conditions a scope
    /// may hold. Chains cannot be known here and count as not satisfied.
    pub fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::Everything => true,
            Self::Nothing
            | Self::Body { .. }
            | Self::Words(_)
            | Self::Near { .. }
            | Self::Chain { .. }
            | Self::ReverseChain { .. }
            | Self::Updated(_) => false,
            Self::AnyFact(keys) => keys.iter().any(|key| facts.keys.contains(key)),
            Self::All(all) => all.iter().all(|one| one.holds(facts)),
            Self::Any(any) => any.iter().any(|one| one.holds(facts)),
            Self::Not(not) => !not.holds(facts),
            Self::Range { key, test } => facts
                .entries
                .iter()
                .any(|entry| entry.key == *key && entry.high.is_some_and(|high| test.matches(entry.low, high))),
            Self::Text { key, test } => facts.strings.iter().any(|string| string.key == *key && test.matches(string)),
            Self::Rows(rows) => rows.contains(&facts.rid),
            Self::OfType(name) => facts.keys.contains(&type_key(name)),
        }
    }
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
    fn write(&self, value: &str, sql: &mut Sql) {
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

    fn matches(&self, string: &crate::facts::StringEntry) -> bool {
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

fn write_joined(parts: &[Condition], joint: &str, row: &str, view: &View<'_>, sql: &mut Sql) {
    sql.push("(");
    for (position, part) in parts.iter().enumerate() {
        if position > 0 {
            sql.push(joint);
        }
        part.write(row, view, sql);
    }
    if parts.is_empty() {
        sql.push(if joint == " AND " { "true" } else { "false" });
    }
    sql.push(")");
}

/// Ties an index entry to the row, but for its key, with which it is a point lookup in the primary key; ends with `AND`.
pub(crate) fn same_row(entry: &str, row: &str, sql: &mut Sql) {
    for column in ["tenant", "sort", "rid"] {
        sql.push(entry).push(".").push(column).push(" = ").push(row).push(".").push(column).push(" AND ");
    }
}

/// Appends how an interval `[low, high)` must lie.
pub(crate) fn write_range(test: &RangeCondition<i64>, low: &str, high: &str, sql: &mut Sql) {
    test.write(&mut |piece| match piece {
        Piece::Text(text) => _ = sql.push(text),
        Piece::Low => _ = sql.push(low),
        Piece::High => _ = sql.push(high),
        Piece::Value(value) => _ = sql.bind(value),
    });
}

/// Appends when `row` must have changed. A change has the width of the millisecond that tells it.
pub(crate) fn write_updated(test: &RangeCondition<i64>, row: &str, sql: &mut Sql) {
    let mut test = *test;
    // On the bare column, which is indexed.
    if let Some(high) = &mut test.high {
        high.value = high.value.saturating_sub(1000);
    }
    let updated = format!("{row}.updated");
    write_range(&test, &updated, &updated, sql);
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
