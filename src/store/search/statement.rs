//! Conditions to SQL: choose where to start, then write one statement.
//!
//! In natural order, which is the order of `search_index`, the statement walks the index and stops
//! after a page. In any other order it has to look at all matches.

use salus_fhir::Key;
use salus_fhir::search::query::{Comparison, Joint, Operator, RangeCondition};

use super::bounds::{Bounds, natural_key};
use super::condition::write_updated;
use super::plan::{Codes, Fallback, OnePatient, Plan};
use super::sort::{Cursor, SortBy, SortKey, write_after, write_order};
use super::start::{Clause, KeyStart, Start, rank};
use crate::predicate::View;
use crate::row::columns;
use crate::sql::Sql;

/// A search of one type, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub resource_type: String,
    /// Where a page starts from.
    page: Plan,
    /// Where a count starts from, which need not go in order.
    pub(super) count: Plan,
    /// What the conditions on the natural date say of where in the natural order matches can be.
    bounds: Bounds,
    pub sort: Vec<SortKey>,
}

/// Walks of more keys than this are gathered and sorted instead of merged.
const MERGED_WALKS: usize = 8;

impl Compiled {
    /// Picks where to start.
    pub fn new(
        resource_type: &str,
        clauses: &[Clause],
        sort: Vec<SortKey>,
        patient: Option<OnePatient>,
        codes: Option<Codes<'_>>,
    ) -> Self {
        let otherwise = Fallback::of(resource_type, patient, codes);
        let natural = natural_key(resource_type);
        let is_natural = matches!(sort.as_slice(), [SortKey { by: SortBy::Natural, .. }]);
        // In natural order, dates bound the walk of another key.
        let walks = |start: &Start| !(is_natural && matches!(start, Start::Range { key, .. } if Some(*key) == natural));
        let bounds = match natural {
            Some(natural) if is_natural => Bounds::of(natural, clauses),
            _ => Bounds::default(),
        };
        let mut in_order = otherwise.clone();
        if let (rank::TYPE, [SortKey { by: SortBy::Updated, .. }]) = (in_order.rank, sort.as_slice()) {
            in_order.start = Start::Updated { resource_type: resource_type.to_owned(), test: None };
        }
        let page = Plan::choose(clauses, in_order, walks).with_codes(codes);
        let count = Plan::choose(clauses, otherwise, |_| true).with_codes(codes);
        Self { resource_type: resource_type.to_owned(), page, count, bounds, sort }
    }

    /// The statement for a page: row key, sort values, then the columns of a version.
    pub fn page(&self, view: &View<'_>, after: Option<&Cursor>, limit: i64) -> Sql {
        let mut sql = Sql::default();
        sql.push("SELECT v.* FROM (");
        match &self.page.start {
            Start::Keys(keys) if self.is_natural() && (1..=MERGED_WALKS).contains(&keys.len()) => {
                for (position, key) in keys.iter().enumerate() {
                    sql.push(if position > 0 { " UNION ALL (" } else { "(" });
                    self.write_walk(*key, &keys[..position], view, after, limit, &mut sql);
                    sql.push(")");
                }
                self.write_unbounded(view, &mut sql);
            }
            Start::Updated { test, .. } if self.is_updated() => {
                self.write_updated(test.as_ref(), view, after, limit, &mut sql)
            }
            _ => self.write_gathered(&self.page, view, &mut sql),
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

    fn is_updated(&self) -> bool {
        matches!(self.sort.as_slice(), [SortKey { by: SortBy::Updated, .. }])
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
        self.bounds.write("s.sort", sql);
        if !before.is_empty() {
            let facts: Vec<Key> = before.iter().map(|start| start.fact).collect();
            sql.push(" AND NOT r.keys && ").bind(facts.as_slice());
        }
        self.write_filters(&self.page, view, sql);
        if let Some(cursor) = after {
            sql.push(" AND ");
            write_after(&self.sort, cursor, &|_| "s.sort".to_owned(), "s.rid", sql);
        }
        sql.push(" ORDER BY s.sort").push(order).push(", s.rid").push(order).push(" LIMIT ").bind(limit);
    }

    /// Periods without a beginning match by it wherever in the natural order their end has put them: those
    /// that lie above the bound of the walk.
    fn write_unbounded(&self, view: &View<'_>, sql: &mut Sql) {
        let (Some(upper), Some(key)) = (self.bounds.upper, natural_key(&self.resource_type)) else { return };
        let test = RangeCondition {
            low: Some(Comparison { operator: Operator::Le, value: i64::MIN }),
            high: None,
            joint: Joint::And,
        };
        let conditions = self.page.implied.iter().chain(&self.page.conditions).cloned().collect();
        let plan = Plan { start: Start::Range { key, test }, implied: Vec::new(), conditions };
        sql.push(" UNION ALL (");
        self.write_gathered(&plan, view, sql);
        sql.push(" AND r.sort > ").bind(upper).push(")");
    }

    /// A walk in the order of change that ends after a page.
    fn write_updated(
        &self,
        test: Option<&RangeCondition<i64>>,
        view: &View<'_>,
        after: Option<&Cursor>,
        limit: i64,
        sql: &mut Sql,
    ) {
        sql.push("SELECT r.rid, r.updated AS s0, ").push(&columns("r")).push(" FROM resource r WHERE true");
        self.write_filters(&self.page, view, sql);
        if let Some(test) = test {
            sql.push(" AND ");
            write_updated(test, "r", sql);
        }
        if let Some(cursor) = after {
            sql.push(" AND ");
            write_after(&self.sort, cursor, &|_| "r.updated".to_owned(), "r.rid", sql);
        }
        let order = if self.sort[0].descending { " DESC" } else { "" };
        sql.push(" ORDER BY r.updated").push(order).push(", r.rid").push(order).push(" LIMIT ").bind(limit);
    }

    /// All matches with their sort values.
    fn write_gathered(&self, plan: &Plan, view: &View<'_>, sql: &mut Sql) {
        sql.push("SELECT r.rid");
        for (position, key) in self.sort.iter().enumerate() {
            sql.push(", ");
            key.write("r", sql);
            sql.push(&format!(" AS s{position}"));
        }
        sql.push(", ").push(&columns("r"));
        write_candidates(&plan.start, view, sql);
        sql.push(" WHERE true");
        self.write_filters(plan, view, sql);
    }

    /// ` AND` everything that must hold of row `r`: it is current, of the type, the caller may see it, and the
    /// conditions.
    pub(super) fn write_filters(&self, plan: &Plan, view: &View<'_>, sql: &mut Sql) {
        sql.push(" AND r.tenant = ").bind(view.access.tenant());
        sql.push(" AND NOT r.deleted AND r.type = ").bind(self.resource_type.as_str());
        sql.push(" AND ");
        view.write(&self.resource_type, "r", sql);
        for condition in &plan.conditions {
            sql.push(" AND ");
            condition.write("r", view, sql);
        }
    }
}

/// ` FROM` the candidates, each once, as `r`.
pub(super) fn write_candidates(start: &Start, view: &View<'_>, sql: &mut Sql) {
    sql.push(" FROM ");
    start.write(view, sql);
    sql.push(" s JOIN resource r ON r.tenant = s.tenant AND r.rid = s.rid");
}
