//! Where a search starts: the index walk that yields the candidates.

use salus_access::Permission;
use salus_fhir::Key;
use salus_fhir::search::query::RangeCondition;

use super::condition::{Condition, write_updated};
use super::intervals::{IN_STRETCH, IntervalTest};
use super::text_test::{TextTest, write_text};
use crate::predicate::View;
use crate::sql::{SEVERAL_PATIENTS, Sql, TYPE_AS_CHANGED};

/// Alternatives that are written one by one.
const FEW: usize = 8;

/// One way to find candidates for a condition.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Start {
    /// Rows with these keys.
    Rows(Vec<Key>),
    /// Entries of these keys in `search_index`, in natural order.
    Keys(Vec<KeyStart>),
    /// Entries whose interval lies as demanded.
    Range {
        key: Key,
        test: IntervalTest,
        /// Whether a resource has at most one entry under the key.
        unique: bool,
    },
    /// Entries of `search_string` that pass any of the tests.
    Text { key: Key, tests: Vec<TextTest> },
    /// What any of these yields.
    Any(Vec<Start>),
    /// What points at the resources of any of these.
    Pointing(Vec<Pointing>),
    /// Resources of types by when they changed.
    Updated { types: Vec<String>, test: Option<RangeCondition<i64>> },
    /// The patients in whose compartments the resources of this type that satisfy the clause are.
    PatientsOf { source_type: String, of: Box<Clause> },
}

/// References by one parameter to resources of one type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pointing {
    /// Key of the reference parameter, or another that resources are indexed under together with the target.
    pub parameter: Key,
    /// The code of the parameter, if such a reference places a resource in the compartment of its target, a patient.
    pub compartment: Option<String>,
    /// Type of the targets.
    pub target_type: String,
    /// What is asked of the targets.
    pub of: Box<Clause>,
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
    /// The fact that just the rows of these entries have.
    pub fact: Key,
}

impl KeyStart {
    /// The entries of a key that is a fact itself.
    pub fn of(key: Key, unique: bool) -> Self {
        Self { key, low: None, unique, fact: key }
    }
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
    /// Whether all that the start yields satisfies the condition, so that it need not be tested.
    pub implied: bool,
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
    /// One number, or one day.
    pub const VALUE: u8 = 7;
    pub const RANGE: u8 = 8;
    pub const CATEGORY: u8 = 9;
    pub const TYPE: u8 = 10;
}

impl Clause {
    /// A condition that no index walk serves.
    pub fn filter(condition: Condition) -> Self {
        Self { condition, start: None, rank: u8::MAX, implied: false }
    }

    /// A condition that holds of all that `start` yields.
    pub fn implied(condition: Condition, start: Option<Start>, rank: u8) -> Self {
        Self { condition, start, rank, implied: true }
    }

    /// Whether its start yields few rows as a rule, few enough to go on from.
    pub fn is_selective(&self) -> bool {
        self.start.is_some() && (self.rank <= rank::TEXT || self.rank == rank::VALUE)
    }

    /// Appends a SELECT of `columns` (of alias `t`) of the current rows of a type that satisfy the clause and
    /// that the caller may search: what a chain passes through.
    pub fn write_rows(&self, columns: &str, resource_type: &str, view: &View<'_>, sql: &mut Sql) {
        sql.push("SELECT ").push(columns).push(" FROM ");
        if let Some(start) = &self.start {
            start.write(view, sql);
            sql.push(" s JOIN resource t ON t.tenant = s.tenant AND t.rid = s.rid");
        } else {
            sql.push("resource t");
        }
        sql.push(" WHERE t.tenant = ").bind(view.access.tenant()).push(" AND NOT t.deleted AND t.type = ");
        sql.bind(resource_type).push(" AND ");
        view.write_related(Permission::Search, resource_type, "t", sql);
        if !(self.implied && self.start.is_some()) {
            sql.push(" AND ");
            self.condition.write("t", view, sql);
        }
    }
}

impl Start {
    /// Any of the starts.
    pub fn any(mut starts: Vec<Self>) -> Self {
        if starts.len() == 1 {
            return starts.remove(0);
        }
        Self::Any(starts)
    }

    /// Whether entries of an index tell all candidates, so that these have columns beside `tenant` and `rid`.
    pub fn is_indexed(&self) -> bool {
        match self {
            Self::Keys(_) | Self::Range { .. } | Self::Text { .. } => true,
            Self::Any(starts) => starts.iter().all(Self::is_indexed),
            Self::Rows(_) | Self::Pointing(_) | Self::Updated { .. } | Self::PatientsOf { .. } => false,
        }
    }

    /// Appends a subselect of `tenant` and `rid` of the candidates, each once.
    pub fn write(&self, view: &View<'_>, sql: &mut Sql) {
        self.write_with("", view, sql);
    }

    /// The same with further columns of the index's entries `s`, where it starts from those.
    pub fn write_with(&self, further: &str, view: &View<'_>, sql: &mut Sql) {
        let tenant = view.access.tenant();
        match self {
            Self::Rows(rows) => {
                sql.push("(SELECT tenant, rid FROM resource WHERE tenant = ").bind(tenant);
                sql.push(" AND rid = ANY(").bind(rows.as_slice()).push("))");
            }
            Self::Keys(keys) => write_keys(keys, further, tenant, sql),
            Self::Range { key, test, .. } => {
                // `OFFSET 0` keeps each stretch a walk of its own, whatever the planner thinks of their number.
                sql.push("(SELECT DISTINCT s.* FROM ");
                test.write_stretches(sql);
                sql.push(", LATERAL (SELECT s.tenant, s.rid")
                    .push(further)
                    .push(" FROM search_index s WHERE s.tenant = ");
                sql.bind(tenant).push(" AND s.key = ").bind(*key).push(" AND ").push(IN_STRETCH);
                sql.push(" OFFSET 0) s)");
            }
            Self::Text { key, tests } => write_texts(*key, tests, further, tenant, sql),
            Self::Any(starts) => {
                sql.push("(");
                for (position, start) in starts.iter().enumerate() {
                    sql.push(if position > 0 { " UNION SELECT * FROM " } else { "SELECT * FROM " });
                    start.write_with(further, view, sql);
                    sql.push(&format!(" u{position}"));
                }
                sql.push(")");
            }
            Self::Updated { types, test } => {
                sql.push("(SELECT u.tenant, u.rid FROM resource u WHERE u.tenant = ").bind(tenant);
                sql.push(" AND u").push(TYPE_AS_CHANGED).push(" = ANY(").bind(types.clone()).push(")");
                if let Some(test) = test {
                    sql.push(" AND ");
                    write_updated(test, "u", sql);
                }
                sql.push(")");
            }
            Self::Pointing(all) => write_pointing(all, view, sql),
            Self::PatientsOf { source_type, of } => {
                sql.push("(SELECT DISTINCT ").bind(tenant).push(" AS tenant, p.rid FROM (");
                of.write_rows("t.patient, t.keys", source_type, view, sql);
                // A row in several compartments has the patients among its facts; a row is found by none of
                // the others.
                sql.push(") q, unnest(CASE WHEN q.patient = ").bind(SEVERAL_PATIENTS);
                sql.push(" THEN q.keys ELSE ARRAY[q.patient] END) p(rid))");
            }
        }
    }
}

/// Appends a subselect of the entries of any of the keys.
fn write_keys(keys: &[KeyStart], further: &str, tenant: i32, sql: &mut Sql) {
    sql.push("(SELECT DISTINCT s.tenant, s.rid").push(further).push(" FROM search_index s");
    let lows = keys.iter().map(|key| key.low).collect::<Option<Vec<i64>>>();
    // Very many alternatives are quick to look up, but not to plan.
    if let Some(lows) = lows.filter(|lows| lows.len() > FEW) {
        let keys: Vec<Key> = keys.iter().map(|key| key.key).collect();
        sql.push(" JOIN unnest(").bind(keys.as_slice()).push(", ").bind(lows.as_slice());
        sql.push(") k(key, low) ON s.key = k.key AND s.low = k.low WHERE s.tenant = ").bind(tenant);
        sql.push(")");
        return;
    }
    sql.push(" WHERE ");
    match keys.iter().all(|key| key.low.is_none()) {
        true => {
            let keys: Vec<Key> = keys.iter().map(|key| key.key).collect();
            sql.push("s.tenant = ").bind(tenant).push(" AND s.key = ANY(").bind(keys.as_slice()).push(")");
        }
        false => keys.iter().enumerate().for_each(|(position, key)| {
            sql.push(if position > 0 { " OR (" } else { "(" });
            key.write(tenant, sql);
            sql.push(")");
        }),
    }
    sql.push(")");
}

/// Appends a subselect of what points at the resources of any of these.
fn write_pointing(all: &[Pointing], view: &View<'_>, sql: &mut Sql) {
    let tenant = view.access.tenant();
    sql.push("(");
    for (position, Pointing { parameter, target_type, of, .. }) in all.iter().enumerate() {
        sql.push(if position > 0 { " UNION " } else { "" });
        sql.push("SELECT DISTINCT x.tenant, x.rid FROM (");
        of.write_rows("t.rid", target_type, view, sql);
        sql.push(") q JOIN search_index x ON x.tenant = ").bind(tenant).push(" AND x.key = reference_key(");
        sql.bind(*parameter).push(", q.rid)");
    }
    sql.push(")");
}

/// Appends a subselect of the strings of a key that pass any of the tests.
fn write_texts(key: Key, tests: &[TextTest], further: &str, tenant: i32, sql: &mut Sql) {
    sql.push("(SELECT DISTINCT s.tenant, s.rid").push(further).push(" FROM ");
    let stretches = tests.iter().map(TextTest::stretch).collect::<Option<Vec<_>>>();
    if let Some(stretches) = stretches.filter(|stretches| stretches.len() > FEW) {
        let (from, rest): (Vec<String>, Vec<(String, String)>) =
            stretches.into_iter().map(|(from, before, exact)| (from, (before, exact))).unzip();
        let (before, exact): (Vec<String>, Vec<String>) = rest.into_iter().unzip();
        sql.push("unnest(").bind(from).push(", ").bind(before).push(", ").bind(exact).push(") k(a, b, exact), LATERAL");
        sql.push(" (SELECT s.* FROM search_string s WHERE s.tenant = ").bind(tenant).push(" AND s.key = ").bind(key);
        sql.push(" AND s.value >= k.a AND s.value < k.b AND (k.exact = '' OR s.exact = k.exact) OFFSET 0) s)");
        return;
    }
    sql.push("search_string s WHERE s.tenant = ").bind(tenant).push(" AND s.key = ").bind(key).push(" AND (");
    for (position, test) in tests.iter().enumerate() {
        sql.push(if position > 0 { " OR (" } else { "(" });
        write_text(test, "s", sql);
        sql.push(")");
    }
    sql.push("))");
}

impl KeyStart {
    /// Appends the condition on entries `s`.
    pub fn write(&self, tenant: i32, sql: &mut Sql) {
        sql.push("s.tenant = ").bind(tenant).push(" AND s.key = ").bind(self.key);
        if let Some(low) = self.low {
            sql.push(" AND s.low = ").bind(low);
        }
    }
}
