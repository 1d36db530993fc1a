//! `_sort`: what the rows of a page are ordered by, and where the next page goes on (R4 search.html#sort).

use salus_fhir::search::{ParameterType, Part, SearchParameter};
use salus_fhir::{Definitions, Key};
use serde::{Deserialize, Serialize};

use super::text_test::WordTest;
use crate::facts::{is_ranged, natural_date_parameters, parameter_key, stored_as};
use crate::sql::Sql;

/// One sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct SortKey {
    /// What to sort by.
    pub(crate) by: SortBy,
    /// Whether the greatest comes first.
    pub(crate) descending: bool,
}

/// What to sort by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SortBy {
    /// The natural date, which index entries are kept in.
    Natural,
    /// `_id`
    Id,
    /// `_lastUpdated`
    Updated,
    /// A date, number or quantity parameter, indexed under these keys: its lowest value ascending, its highest
    /// descending.
    Range(Vec<Key>),
    /// A string parameter, likewise.
    Text(Vec<Key>),
    /// How well a resource fits the words that are searched (`_score`), in millionths.
    Score(Vec<WordTest>),
    /// A parameter whose values stand where these paths of SQL/JSON lead, by their text, likewise.
    Body(Vec<String>),
}

/// The sort values of the last row of a page, and its key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    pub(crate) values: Vec<CursorValue>,
    pub(crate) rid: String,
}

/// One sort value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum CursorValue {
    Long(i64),
    Text(String),
}

impl SortKey {
    /// Whether the values are text rather than integers.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self.by, SortBy::Id | SortBy::Text(_) | SortBy::Body(_))
    }

    /// What stands after all texts.
    fn last_text(&self) -> &'static str {
        if self.descending { "" } else { "\u{10FFFF}" }
    }

    /// Appends the sort value of `row`, never null: what has no value comes last either way.
    pub(crate) fn write(&self, row: &str, sql: &mut Sql) {
        let (best, column) = if self.descending { ("max", "high") } else { ("min", "low") };
        match &self.by {
            SortBy::Natural => _ = sql.push(row).push(".sort"),
            SortBy::Id => _ = sql.push(row).push(".id"),
            SortBy::Updated => _ = sql.push(row).push(".updated"),
            SortBy::Range(keys) => {
                sql.push("coalesce((SELECT ").push(best).push("(x.").push(column).push(") FROM search_index x WHERE ");
                super::condition::same_row("x", row, sql);
                sql.push("x.key = ANY(").bind(keys.as_slice()).push(")");
                let last = if self.descending { i64::MIN } else { i64::MAX };
                sql.push(" AND x.high IS NOT NULL), ").bind(last).push(")");
            }
            SortBy::Text(keys) => {
                sql.push("coalesce((SELECT ")
                    .push(best)
                    .push("(x.value) FROM search_string x WHERE x.tenant = ")
                    .push(row);
                sql.push(".tenant AND x.rid = ").push(row).push(".rid AND x.key = ANY(");
                sql.bind(keys.as_slice()).push(")), ").bind(self.last_text()).push(")");
            }
            SortBy::Score(tests) => {
                sql.push("(1000000 * greatest(0");
                for test in tests {
                    sql.push(", ts_rank(");
                    test.write_words(row, sql);
                    sql.push(", ");
                    test.write_query(sql);
                    // 32: from 0 to 1.
                    sql.push(", 32)");
                }
                sql.push("))::int8");
            }
            SortBy::Body(paths) => {
                sql.push("coalesce((SELECT ").push(best).push("(lower(x.value)) FROM body_texts(").push(row);
                sql.push(".body, ").bind(paths.clone()).push(") x(value)), ").bind(self.last_text()).push(")");
                sql.push(" COLLATE \"C\"");
            }
        }
    }
}

/// Appends the order of the sort values `v.s0`, `v.s1`, … and the row's key, which breaks ties.
pub(crate) fn write_order(keys: &[SortKey], sql: &mut Sql) {
    for (position, key) in keys.iter().enumerate() {
        sql.push(&format!("v.s{position}")).push(if key.descending { " DESC, " } else { ", " });
    }
    sql.push("v.rid").push(if ties_descend(keys) { " DESC" } else { "" });
}

fn ties_descend(keys: &[SortKey]) -> bool {
    keys.last().is_none_or(|key| key.descending)
}

/// Appends that a row comes after the cursor; `value(i)` names the i-th sort value, `rid` the key.
pub(crate) fn write_after(
    keys: &[SortKey],
    cursor: &Cursor,
    value: &dyn Fn(usize) -> String,
    rid: &str,
    sql: &mut Sql,
) {
    let last = Key(u128::from_str_radix(&cursor.rid, 16).unwrap_or_default());
    if let [key] = keys {
        // As a row, which an index can seek to.
        sql.push("(").push(&value(0)).push(", ").push(rid).push(if key.descending { ") < (" } else { ") > (" });
        bind(&cursor.values[0], sql);
        sql.push(", ").bind(last).push(")");
        return;
    }
    sql.push("(");
    for (position, key) in keys.iter().enumerate() {
        sql.push(&value(position)).push(if key.descending { " < " } else { " > " });
        bind(&cursor.values[position], sql);
        sql.push(" OR (").push(&value(position)).push(" = ");
        bind(&cursor.values[position], sql);
        sql.push(" AND (");
    }
    sql.push(rid).push(if ties_descend(keys) { " < " } else { " > " }).bind(last);
    sql.push(&"))".repeat(keys.len())).push(")");
}

fn bind(value: &CursorValue, sql: &mut Sql) {
    match value {
        CursorValue::Long(value) => _ = sql.bind(*value),
        CursorValue::Text(value) => _ = sql.bind(value.as_str()),
    }
}

impl Cursor {
    /// Whether the cursor can be one of a search sorted by `keys`.
    pub(crate) fn fits(&self, keys: &[SortKey]) -> bool {
        self.values.len() == keys.len()
            && u128::from_str_radix(&self.rid, 16).is_ok()
            && self.values.iter().zip(keys).all(|(value, key)| matches!(value, CursorValue::Text(_)) == key.is_text())
    }
}

/// A key that says the same of resources of all the types.
pub(super) fn keys(
    definitions: &Definitions,
    types: &[String],
    words: &[WordTest],
    text: &str,
) -> std::result::Result<SortKey, String> {
    let mut keys = types.iter().map(|name| key(definitions, name, words, text));
    let first = keys.next().unwrap_or_else(|| Err("there is nothing to sort".to_owned()))?;
    match keys.all(|key| key.as_ref() == Ok(&first)) {
        true => Ok(first),
        false => Err(format!("resources of several types cannot be sorted by '{}'", text.trim_start_matches('-'))),
    }
}

fn key(
    definitions: &Definitions,
    resource_type: &str,
    words: &[WordTest],
    text: &str,
) -> std::result::Result<SortKey, String> {
    let (code, descending) = match text.strip_prefix('-') {
        Some(code) => (code, true),
        None => (text, false),
    };
    let by = match code {
        "_id" => SortBy::Id,
        "_lastUpdated" => SortBy::Updated,
        "_score" if words.is_empty() => {
            return Err("there is a score only where '_text' or '_content' is searched".to_owned());
        }
        "_score" => SortBy::Score(words.to_vec()),
        code => {
            let parameter: &SearchParameter = definitions
                .search()
                .get(resource_type, code)
                .ok_or_else(|| definitions.search().why_not(resource_type, code))
                .map_err(|why| {
                    why.unwrap_or_else(|| format!("{resource_type} has no search parameter '{code}' to sort by"))
                })?;
            match parameter.kind {
                _ if is_natural_date(resource_type, parameter) => SortBy::Natural,
                kind if is_ranged(kind) => SortBy::Range(stored_keys(resource_type, parameter)),
                ParameterType::String => SortBy::Text(stored_keys(resource_type, parameter)),
                _ => match parameter.json_paths(Part::Value) {
                    paths if paths.is_empty() => return Err(format!("'{code}' has no values to sort by")),
                    paths => SortBy::Body(paths),
                },
            }
        }
    };
    Ok(SortKey { by, descending })
}

/// Whether the index is kept in the order of this parameter.
fn is_natural_date(resource_type: &str, parameter: &SearchParameter) -> bool {
    parameter.custom.is_none() && natural_date_parameters(resource_type).first() == Some(&parameter.code.as_str())
}

fn stored_keys(resource_type: &str, parameter: &SearchParameter) -> Vec<Key> {
    stored_as(parameter).into_iter().map(|code| parameter_key(resource_type, code)).collect()
}
