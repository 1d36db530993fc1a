//! A search reduced to what can be asked of a row: the form that becomes SQL.
//!
//! The same conditions serve searches (on `resource`), history and granular scopes; those of a scope
//! are also tested in memory, on the facts of a resource that is about to be written.

use salus_access::Permission;
use salus_fhir::Key;
use salus_fhir::search::query::{Piece, RangeCondition};

use super::intervals::IntervalTest;
use super::start::Clause;
use super::text_test::{BodyTest, TextTest, WordTest, write_text};
use crate::facts::{Facts, type_key};
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
            Self::Range { key, test } => write_interval(*key, test, row, sql),
            Self::Text { key, test } => write_string(*key, test, row, sql),
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
                write_reverse_chain(*parameter, codes, (source_type, of), row, view, sql);
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

/// Appends that an entry of the index lies as demanded.
fn write_interval(key: Key, test: &IntervalTest, row: &str, sql: &mut Sql) {
    let entry = sql.alias("x");
    sql.push(PROBE).push("search_index ").push(&entry).push(" WHERE ");
    same_row(&entry, row, sql);
    sql.push(&entry).push(".key = ").bind(key);
    sql.push(" AND ").push(&entry).push(".high IS NOT NULL AND ");
    test.write(&entry, sql);
    sql.push(PROBED);
}

/// Appends that an indexed string matches.
fn write_string(key: Key, test: &TextTest, row: &str, sql: &mut Sql) {
    let entry = sql.alias("x");
    sql.push(PROBE).push("search_string ").push(&entry).push(" WHERE ").push(&entry);
    sql.push(".tenant = ").push(row).push(".tenant AND ").push(&entry).push(".rid = ").push(row);
    sql.push(".rid AND ").push(&entry).push(".key = ").bind(key).push(" AND ");
    write_text(test, &entry, sql);
    sql.push(PROBED);
}

/// Appends that a source, of a type and of which a clause holds, points at the row.
fn write_reverse_chain(
    parameter: Key,
    codes: &[Key],
    (source_type, of): (&str, &Clause),
    row: &str,
    view: &View<'_>,
    sql: &mut Sql,
) {
    let (entry, source) = (sql.alias("x"), sql.alias("t"));
    sql.push(PROBE).push("search_index ").push(&entry).push(" JOIN resource ").push(&source);
    sql.push(" ON ").push(&source).push(".tenant = ").push(&entry).push(".tenant AND ").push(&source);
    sql.push(".rid = ").push(&entry).push(".rid WHERE ").push(&entry).push(".tenant = ").push(row);
    sql.push(".tenant AND ").push(&entry).push(".key = ");
    let pointed = |parameter: Key, sql: &mut Sql| {
        _ = sql.push("reference_key(").bind(parameter).push(", ").push(row).push(".rid)");
    };
    match codes {
        [] => pointed(parameter, sql),
        codes => {
            for (position, code) in codes.iter().enumerate() {
                sql.push(if position > 0 { ", " } else { "ANY(ARRAY[" });
                pointed(*code, sql);
            }
            sql.push("]) AND ");
            pointed(parameter, sql);
            sql.push(" = ANY(").push(&source).push(".keys)");
        }
    }
    sql.push(" AND NOT ").push(&source).push(".deleted AND ").push(&source).push(".type = ");
    sql.bind(source_type).push(" AND ");
    view.write_related(Permission::Search, source_type, &source, sql);
    sql.push(" AND ");
    of.condition.write(&source, view, sql);
    sql.push(PROBED);
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
