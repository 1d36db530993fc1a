//! Conditions to SQL: choose where to start, then write one statement.
//!
//! In natural order, which is the order of `search_index`, the statement walks the index and stops
//! after a page. In any other order it has to look at all matches.

use salus_fhir::Key;

use super::condition::Condition;
use super::sort::{Cursor, SortBy, SortKey, write_after, write_order};
use super::start::{Clause, KeyStart, Start, rank};
use crate::facts::{compartment_key, patient_code_key, type_key};
use crate::predicate::View;
use crate::row::columns;
use crate::sql::{SEVERAL_PATIENTS, Sql};

/// A search of one type, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub resource_type: String,
    start: Start,
    /// Conditions that the start does not already imply.
    conditions: Vec<Condition>,
    pub sort: Vec<SortKey>,
}

/// Walks of more keys than this are gathered and sorted instead of merged.
const MERGED_WALKS: usize = 8;

impl Compiled {
    /// Picks where to start. `patient` is the one patient whose compartment the search is confined to,
    /// by a parameter or by the caller's access, and `codes` the tokens asked of the parameters that
    /// are indexed together with a patient.
    pub fn new(
        resource_type: &str,
        clauses: Vec<Clause>,
        sort: Vec<SortKey>,
        patient: Option<Key>,
        codes: &[(String, Vec<String>)],
    ) -> Self {
        let mut best: (u8, Option<usize>, Start) = match (patient, codes.first()) {
            (Some(patient), Some((parameter, codes))) => {
                let keys = codes.iter().map(|code| patient_code_key(resource_type, patient, parameter, code));
                let keys = keys.map(|key| KeyStart::of(key, false)).collect();
                (rank::PATIENT_AND_CODE, None, Start::Keys(keys))
            }
            (Some(patient), None) => (rank::COMPARTMENT, None, one_key(compartment_key(resource_type, patient))),
            _ => (rank::TYPE, None, one_key(type_key(resource_type))),
        };
        for (position, clause) in clauses.iter().enumerate() {
            if let Some(start) = &clause.start
                && clause.rank < best.0
            {
                best = (clause.rank, Some(position), start.clone());
            }
        }
        let (_, implied, start) = best;
        let conditions = clauses
            .into_iter()
            .enumerate()
            .filter(|(position, clause)| !(clause.implied && Some(*position) == implied))
            .map(|(_, clause)| clause.condition)
            .collect();
        Self { resource_type: resource_type.to_owned(), start, conditions, sort }
    }

    /// The statement for a page: row key, sort values, then the columns of a version.
    pub fn page(&self, view: &View<'_>, after: Option<&Cursor>, limit: i64) -> Sql {
        let mut sql = Sql::default();
        sql.push("SELECT v.* FROM (");
        match &self.start {
            Start::Keys(keys) if self.is_natural() && keys.len() <= MERGED_WALKS => {
                for (position, key) in keys.iter().enumerate() {
                    sql.push(if position > 0 { " UNION ALL (" } else { "(" });
                    self.write_walk(*key, &keys[..position], view, after, limit, &mut sql);
                    sql.push(")");
                }
            }
            _ => {
                self.write_gathered(view, &mut sql);
                sql.push(" WHERE true");
                self.write_filters(view, "r", &mut sql);
            }
        }
        sql.push(") v");
        if let Some(cursor) = after {
            sql.push(" WHERE ");
            write_after(&self.sort, cursor, &|position| format!("v.s{position}"), "v.rid", &mut sql);
        }
        sql.push(" ORDER BY ");
        write_order(&self.sort, &mut sql);
        sql.push(" LIMIT ").bind(limit);
        sql
    }

    /// The statement that counts all matches.
    pub fn count(&self, view: &View<'_>) -> Sql {
        let mut sql = Sql::default();
        if let (Start::Keys(keys), true) = (&self.start, self.conditions.is_empty())
            && let [key] = keys.as_slice()
            && view.grants(&self.resource_type) == Condition::Everything
        {
            self.write_index_count(*key, view, &mut sql);
            return sql;
        }
        sql.push("SELECT count(*) FROM (SELECT r.rid");
        self.write_candidates(view, &mut sql);
        sql.push(" WHERE true");
        self.write_filters(view, "r", &mut sql);
        sql.push(") v");
        sql
    }

    /// Counts in the index alone; only rows of patients with Consent rules are looked at themselves.
    fn write_index_count(&self, key: KeyStart, view: &View<'_>, sql: &mut Sql) {
        sql.push(if key.unique { "SELECT count(*)" } else { "SELECT count(DISTINCT s.rid)" });
        sql.push(" FROM search_index s WHERE ");
        key.write(view.access.tenant(), sql);
        sql.push(" AND ((s.patient <> ").bind(SEVERAL_PATIENTS).push(" AND NOT EXISTS (SELECT FROM consent_rule c");
        sql.push(" WHERE c.tenant = s.tenant AND c.patient = s.patient)");
        if !view.permits_by_default() {
            sql.push(" AND false");
        }
        sql.push(") OR EXISTS (SELECT FROM resource r WHERE r.tenant = s.tenant AND r.rid = s.rid AND ");
        view.write(&self.resource_type, "r", sql);
        sql.push("))");
    }

    fn is_natural(&self) -> bool {
        matches!(self.sort.as_slice(), [SortKey { by: SortBy::Natural, .. }])
    }

    /// One index walk in natural order that ends after a page; matches of the walks `before` it are
    /// left to them.
    fn write_walk(
        &self,
        key: KeyStart,
        before: &[KeyStart],
        view: &View<'_>,
        after: Option<&Cursor>,
        limit: i64,
        sql: &mut Sql,
    ) {
        let order = if self.sort[0].descending { " DESC" } else { "" };
        sql.push(if key.unique { "SELECT r.rid" } else { "SELECT DISTINCT ON (s.sort, s.rid) r.rid" });
        sql.push(", s.sort AS s0, ").push(&columns("r")).push(" FROM search_index s JOIN resource r");
        sql.push(" ON r.tenant = s.tenant AND r.rid = s.rid WHERE ");
        key.write(view.access.tenant(), sql);
        if let Some(cursor) = after
            && let Some(super::sort::CursorValue::Long(sort)) = cursor.values.first()
        {
            // Lets the walk begin where the last page ended; the outer condition settles ties.
            sql.push(" AND s.sort ").push(if self.sort[0].descending { "<= " } else { ">= " }).bind(*sort);
        }
        if !before.is_empty() {
            let facts: Vec<Key> = before.iter().map(|start| start.fact).collect();
            sql.push(" AND NOT r.keys && ").bind(facts.as_slice());
        }
        self.write_filters(view, "r", sql);
        if let Some(cursor) = after {
            sql.push(" AND ");
            write_after(&self.sort, cursor, &|_| "s.sort".to_owned(), "s.rid", sql);
        }
        sql.push(" ORDER BY s.sort").push(order).push(", s.rid").push(order).push(" LIMIT ").bind(limit);
    }

    /// All matches with their sort values.
    fn write_gathered(&self, view: &View<'_>, sql: &mut Sql) {
        sql.push("SELECT r.rid");
        for (position, key) in self.sort.iter().enumerate() {
            sql.push(", ");
            key.write("r", sql);
            sql.push(&format!(" AS s{position}"));
        }
        sql.push(", ").push(&columns("r"));
        self.write_candidates(view, sql);
    }

    /// ` FROM` the candidates, each once, as `r`.
    fn write_candidates(&self, view: &View<'_>, sql: &mut Sql) {
        sql.push(" FROM ");
        self.start.write(view, sql);
        sql.push(" s JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid");
    }

    /// ` AND` everything else that must hold of `row`: it is current, of the type, the caller may see
    /// it, and the conditions.
    fn write_filters(&self, view: &View<'_>, row: &str, sql: &mut Sql) {
        sql.push(" AND ").push(row).push(".tenant = ").bind(view.access.tenant());
        sql.push(" AND NOT ")
            .push(row)
            .push(".deleted AND ")
            .push(row)
            .push(".type = ")
            .bind(self.resource_type.as_str());
        sql.push(" AND ");
        view.write(&self.resource_type, row, sql);
        for condition in &self.conditions {
            sql.push(" AND ");
            condition.write(row, view, sql);
        }
    }
}

fn one_key(key: Key) -> Start {
    Start::Keys(vec![KeyStart::of(key, true)])
}
