//! Conditions to SQL: choose where to start, then write one statement.
//!
//! In natural order, which is the order of `search_index`, the statement walks the index and stops
//! after a page. In any other order it has to look at all matches.

use salus_fhir::Key;
use salus_fhir::search::query::RangeCondition;

use super::bounds::Bounds;
use super::condition::write_updated;
use super::plan::{Codes, Fallback, OnePatient, Plan, intersected};
use super::sort::{Cursor, SortBy, SortKey, write_after, write_order};
use super::start::{Clause, KeyStart, Start, rank};
use crate::predicate::View;
use crate::row::columns;
use crate::sql::{Sql, TYPE_AS_CHANGED};

/// A search, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Compiled {
    pub types: Vec<String>,
    /// Where a page starts from.
    page: Plan,
    /// Where a count starts from, which need not go in order.
    pub(super) count: Plan,
    /// What the conditions on the natural date say of where in the natural order matches can be.
    bounds: Option<Bounds>,
    pub sort: Vec<SortKey>,
}

/// Walks of more keys than this are written once for all instead of one by one.
const WALKS: usize = 8;

impl Compiled {
    /// Picks where to start; `natural` is the key of the types' natural date, where that bounds the natural order.
    pub fn new(
        types: &[String],
        clauses: &[Clause],
        sort: Vec<SortKey>,
        natural: Option<Key>,
        patient: Option<OnePatient>,
        codes: Option<Codes<'_>>,
    ) -> Self {
        let otherwise = Fallback::of(types, patient, codes);
        let is_natural = matches!(sort.as_slice(), [SortKey { by: SortBy::Natural, .. }]);
        // In natural order, dates bound the walk of another key.
        let walks = |start: &Start| !(is_natural && matches!(start, Start::Range { key, .. } if Some(*key) == natural));
        let bounds = natural.filter(|_| is_natural).and_then(|natural| Bounds::of(natural, clauses));
        let clauses = &intersected(clauses);
        let mut in_order = otherwise.clone();
        if let (rank::TYPE, [SortKey { by: SortBy::Updated, .. }]) = (in_order.rank, sort.as_slice()) {
            in_order.start = Start::Updated { types: types.to_vec(), test: None };
        }
        let page = Plan::choose(clauses, in_order, walks).with_codes(codes);
        let count = Plan::choose(clauses, otherwise, |_| true).with_codes(codes);
        Self { types: types.to_vec(), page, count, bounds, sort }
    }

    /// The statement for a page: row key, sort values, then the columns of a version.
    pub fn page(&self, view: &View<'_>, after: Option<&Cursor>, limit: i64) -> Sql {
        let mut sql = Sql::default();
        if let Some(key) = self.one_walk() {
            self.write_walk(key.unique, &[], view, after, limit, &mut sql, &|sql| key.write(view.access.tenant(), sql));
            return sql;
        }
        sql.push("SELECT v.* FROM (");
        match &self.page.start {
            Start::Keys(keys) if self.is_natural() && !keys.is_empty() => {
                self.write_walks(keys, view, after, limit, &mut sql);
                self.write_beyond(view, &mut sql);
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

    /// All matches, in no order: row key, sort values, then the columns of a version.
    pub(super) fn write_all(&self, view: &View<'_>, sql: &mut Sql) {
        self.write_gathered(&self.count, view, sql);
    }

    fn is_updated(&self) -> bool {
        matches!(self.sort.as_slice(), [SortKey { by: SortBy::Updated, .. }])
    }

    fn is_natural(&self) -> bool {
        matches!(self.sort.as_slice(), [SortKey { by: SortBy::Natural, .. }])
    }

    /// The key whose walk in natural order is the whole page, where there is one.
    fn one_walk(&self) -> Option<&KeyStart> {
        match &self.page.start {
            Start::Keys(keys) if self.is_natural() && self.bounds.as_ref().is_none_or(|b| b.beyond().is_none()) => {
                <&[KeyStart; 1]>::try_from(keys.as_slice()).ok().map(|[key]| key)
            }
            _ => None,
        }
    }

    /// A walk of each key in natural order, each ending after a page.
    fn write_walks(&self, keys: &[KeyStart], view: &View<'_>, after: Option<&Cursor>, limit: i64, sql: &mut Sql) {
        if keys.len() > WALKS {
            let lows = keys.iter().map(|start| start.low).collect::<Option<Vec<i64>>>();
            let all: Vec<Key> = keys.iter().map(|start| start.key).collect();
            // What several walks come to is one match.
            sql.push("SELECT DISTINCT ON (w.s0, w.rid) w.* FROM unnest(").bind(all.as_slice());
            match &lows {
                Some(lows) => _ = sql.push(", ").bind(lows.as_slice()).push(") k(key, low)"),
                None => _ = sql.push(") k(key)"),
            }
            sql.push(", LATERAL (");
            let unique = keys.iter().all(|start| start.unique);
            self.write_walk(unique, &[], view, after, limit, sql, &|sql| {
                sql.push("s.tenant = ").bind(view.access.tenant()).push(" AND s.key = k.key");
                sql.push(if lows.is_some() { " AND s.low = k.low" } else { "" });
            });
            sql.push(") w");
            return;
        }
        for (position, key) in keys.iter().enumerate() {
            sql.push(if position > 0 { " UNION ALL (" } else { "(" });
            let facts: Vec<Key> = keys[..position].iter().map(|start| start.fact).collect();
            self.write_walk(key.unique, &facts, view, after, limit, sql, &|sql| key.write(view.access.tenant(), sql));
            sql.push(")");
        }
    }

    /// One index walk in natural order, of the entries of `key`, that ends after a page; matches of the walks
    /// before it, which have the facts `before`, are left to them.
    #[allow(clippy::too_many_arguments, reason = "what a walk is made of")]
    fn write_walk(
        &self,
        unique: bool,
        before: &[Key],
        view: &View<'_>,
        after: Option<&Cursor>,
        limit: i64,
        sql: &mut Sql,
        key: &dyn Fn(&mut Sql),
    ) {
        let order = if self.sort[0].descending { " DESC" } else { "" };
        sql.push(if unique { "SELECT r.rid" } else { "SELECT DISTINCT ON (s.sort, s.rid) r.rid" });
        sql.push(", s.sort AS s0, ").push(&columns("r")).push(" FROM search_index s");
        sql.join_resource(view.access.tenant(), "s").push(" WHERE ");
        key(sql);
        if let Some(cursor) = after
            && let Some(super::sort::CursorValue::Long(sort)) = cursor.values.first()
        {
            // Lets the walk begin where the last page ended; the outer condition settles ties.
            sql.push(" AND s.sort ").push(if self.sort[0].descending { "<= " } else { ">= " }).bind(*sort);
        }
        if let Some(bounds) = &self.bounds {
            bounds.write("s.sort", sql);
        }
        if !before.is_empty() {
            sql.push(" AND NOT r.keys && ").bind(before);
        }
        self.write_filters(&self.page, view, sql);
        if let Some(cursor) = after {
            sql.push(" AND ");
            write_after(&self.sort, cursor, &|_| "s.sort".to_owned(), "s.rid", sql);
        }
        sql.push(" ORDER BY s.sort").push(order).push(", s.rid").push(order).push(" LIMIT ").bind(limit);
    }

    /// Matches that lie outside the bounds of the walk.
    fn write_beyond(&self, view: &View<'_>, sql: &mut Sql) {
        let Some(bounds) = &self.bounds else { return };
        let Some((key, test)) = bounds.beyond() else { return };
        let conditions = self.page.implied.iter().chain(&self.page.conditions).cloned().collect();
        let start = Start::Range { key, test, unique: true };
        sql.push(" UNION ALL (");
        self.write_gathered(&Plan { start, implied: Vec::new(), conditions }, view, sql);
        bounds.write_beyond("r.sort", sql);
        sql.push(")");
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
        let several = self.types.len() > 1;
        if several {
            sql.push("SELECT w.* FROM unnest(").bind(self.types.clone()).push(") k(type), LATERAL (");
        }
        sql.push("SELECT r.rid, r.updated AS s0, ").push(&columns("r")).push(" FROM resource r WHERE true");
        match self.types.as_slice() {
            [] => {}
            [one] => _ = sql.push(" AND r").push(TYPE_AS_CHANGED).push(" = ").bind(one.as_str()),
            _ => _ = sql.push(" AND r").push(TYPE_AS_CHANGED).push(" = k.type"),
        }
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
        sql.push(if several { ") w" } else { "" });
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
        sql.push(" AND NOT r.deleted AND ");
        view.write_searched(&self.types, "r", sql);
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
    sql.push(" s").join_resource(view.access.tenant(), "s");
}
