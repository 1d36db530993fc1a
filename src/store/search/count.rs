//! How many resources match: the total of a search.
//!
//! Where the index alone tells what matches, the matches are counted by patient, and Consent is asked once a
//! patient: rows are looked at only of patients who have Consents, or labels that ask for one.

use super::condition::Condition;
use super::start::Start;
use super::statement::{Compiled, write_candidates};
use crate::facts::code_key;
use crate::predicate::{Unruled, View};
use crate::sql::{NO_PATIENT, PROBE, PROBED, SEVERAL_PATIENTS, Sql};

impl Compiled {
    /// The statement that counts the matches: one row with the count, or null where there are more than `most`.
    pub fn count(&self, view: &View<'_>, most: Option<i64>) -> Sql {
        let mut sql = Sql::default();
        let plan = &self.count;
        if plan.start.is_indexed()
            && !plan.conditions.iter().any(Condition::needs_row)
            && self.types.iter().all(|name| view.grants(name) == Condition::Everything)
        {
            self.write_by_patient(view, most, &mut sql);
            return sql;
        }
        sql.push("SELECT ");
        write_at_most("count(*)", most, &mut sql);
        sql.push(" FROM (SELECT r.rid");
        write_candidates(&plan.start, view, &mut sql);
        sql.push(" WHERE true");
        self.write_filters(plan, view, &mut sql);
        write_limit(most, &mut sql);
        sql.push(") v");
        sql
    }

    /// Counts in the index: `m` the matches, `g` how many of each patient, `h` whether the rows have to be
    /// asked, `k` the matches whose rows are.
    fn write_by_patient(&self, view: &View<'_>, most: Option<i64>, sql: &mut Sql) {
        // Without a limit the matches may be many; walking the index again costs less than keeping them.
        sql.push(if most.is_some() { "WITH m AS MATERIALIZED (" } else { "WITH m AS NOT MATERIALIZED (" });
        self.write_matches(view, sql);
        write_limit(most, sql);
        sql.push(")");
        if view.is_exempt() {
            sql.push(" SELECT ");
            write_at_most("count(*)", most, sql);
            sql.push(" FROM m");
            return;
        }
        sql.push(", g AS MATERIALIZED (SELECT m.patient, count(*) AS n FROM m GROUP BY m.patient)");
        sql.push(", h AS MATERIALIZED (SELECT g.patient, g.n, ");
        self.write_asks_rows(view, sql);
        // `IS TRUE` keeps the planner from joining: the few patients are hashed, and most matches passed over.
        sql.push(" AS asks FROM g), k AS MATERIALIZED (SELECT m.rid FROM m");
        sql.push(" WHERE (m.patient IN (SELECT h.patient FROM h WHERE h.asks)) IS TRUE) SELECT CASE WHEN ");
        write_exceeds("sum(h.n)", most, sql);
        sql.push(" THEN NULL ELSE coalesce(sum(h.n) FILTER (WHERE NOT h.asks), 0)::int8 + CASE WHEN bool_or(h.asks)");
        sql.push(" THEN (SELECT count(*) FROM k JOIN resource r ON r.rid = k.rid WHERE r.tenant = ");
        sql.bind(view.access.tenant()).push(" AND ");
        view.write_searched(&self.types, "r", sql);
        sql.push(") ELSE 0 END END FROM h");
    }

    /// The matches, each once.
    fn write_matches(&self, view: &View<'_>, sql: &mut Sql) {
        match &self.count.start {
            Start::Keys(keys) if keys.len() == 1 => {
                sql.push(if keys[0].unique { "SELECT s.rid, s.patient" } else { "SELECT DISTINCT s.rid, s.patient" });
                sql.push(" FROM search_index s WHERE ");
                keys[0].write(view.access.tenant(), sql);
            }
            start => {
                sql.push("SELECT s.rid, s.patient FROM ");
                start.write_with(", s.sort, s.patient", view, sql);
                sql.push(" s WHERE true");
            }
        }
        for condition in &self.count.conditions {
            sql.push(" AND ");
            condition.write("s", view, sql);
        }
    }

    /// Whether of the rows of patient `g` not all are visible.
    fn write_asks_rows(&self, view: &View<'_>, sql: &mut Sql) {
        sql.push("(g.patient = ")
            .bind(SEVERAL_PATIENTS)
            .push(" OR ")
            .push(PROBE)
            .push("consent_rule c WHERE c.tenant = ");
        sql.bind(view.access.tenant()).push(" AND c.patient = g.patient").push(PROBED);
        match view.unruled() {
            Unruled::Visible => {}
            Unruled::Unlabelled(labels) => {
                let keys: Vec<_> = (self.types.iter())
                    .flat_map(|name| labels.iter().map(|code| code_key(name, "_security", code)))
                    .collect();
                sql.push(" OR g.patient IN (SELECT x.patient FROM search_index x WHERE x.tenant = ");
                sql.bind(view.access.tenant()).push(" AND x.key = ANY(").bind(keys.as_slice()).push("))");
            }
            Unruled::OfNobody => _ = sql.push(" OR g.patient <> ").bind(NO_PATIENT),
        }
        sql.push(")");
    }
}

/// One more than `most` tells that there are more.
fn write_limit(most: Option<i64>, sql: &mut Sql) {
    if let Some(most) = most {
        sql.push(" LIMIT ").bind(most + 1);
    }
}

fn write_at_most(count: &str, most: Option<i64>, sql: &mut Sql) {
    sql.push("CASE WHEN ");
    write_exceeds(count, most, sql);
    sql.push(" THEN NULL ELSE ").push(count).push(" END");
}

fn write_exceeds(count: &str, most: Option<i64>, sql: &mut Sql) {
    match most {
        Some(most) => _ = sql.push(count).push(" > ").bind(most),
        None => _ = sql.push("false"),
    }
}
