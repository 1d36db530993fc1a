//! Reading the trail: AuditEvents by id and by search, under the caller's access.
//!
//! AuditEvents live in a table of their own, so they have a small search of their own. Consent does not
//! hide them: they tell who did what, to those whose scopes and roles let them ask (decision 9). Who may
//! see those about one patient only gets an event about several as if it were about that patient alone:
//! other patients, the resources and the query are left out of it, and nothing of them can be asked for.

use salus_access::{Access, RowFilter};
use salus_audit::AuditRecord;
use salus_fhir::Key;
use salus_fhir::search::query::{DateQuery, TokenQuery, split_values};

use super::AuditLog;
use crate::search::Ignored;
use crate::sql::{SEVERAL_PATIENTS, Sql};
use crate::{Error, Result};

/// What to find.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    filters: Vec<Filter>,
    /// Of each of these sets a patient must be among those the event is about.
    patients: Vec<Vec<String>>,
    ascending: bool,
    /// Most events of the page.
    pub count: i64,
    /// Where the page starts: after this event.
    pub after: Option<i64>,
}

#[derive(Debug, Clone)]
enum Filter {
    Id(Vec<i64>),
    Recorded(Vec<salus_fhir::search::query::RangeCondition<i64>>),
    Action(Vec<String>),
    /// A member of the record equals one of these.
    Member(&'static str, Vec<String>),
    /// An entity of the record is one of these references.
    Entity(Vec<String>),
    /// The client or the user is one of these.
    Agent(Vec<String>),
}

/// A stored event.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Its sequence number, which is its FHIR id.
    pub seq: i64,
    /// Its record (`salus_audit::AuditRecord`), as far as the caller may see it.
    pub record: String,
}

/// A page of events, newest first unless asked otherwise.
#[derive(Debug, Clone)]
pub struct AuditPage {
    /// The events.
    pub events: Vec<StoredEvent>,
    /// How many match in all.
    pub total: i64,
    /// Where the next page starts, if there is one.
    pub next: Option<i64>,
}

impl AuditQuery {
    /// The search parameters of AuditEvent that are answered, by name.
    pub const PARAMETERS: &[&str] = &[
        "_id",
        "_lastUpdated",
        "action",
        "address",
        "agent",
        "agent-name",
        "altid",
        "date",
        "entity",
        "outcome",
        "patient",
        "subtype",
    ];

    /// Reads search parameters; those it does not know come back beside it.
    ///
    /// # Errors
    /// [`Error::Search`] for a value that is wrong.
    pub fn parse(parameters: &[(String, String)], now: i64) -> Result<(Self, Vec<Ignored>)> {
        crate::search::expect_few(parameters)?;
        let mut query = Self { count: 50, ..Self::default() };
        let mut ignored = Vec::new();
        for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
            let bad = |message: String| Error::Search { parameter: name.clone(), message };
            let plain = || split_values(value).map(str::to_owned).collect::<Vec<_>>();
            let tokens = || {
                split_values(value)
                    .map(|one| {
                        TokenQuery::parse(one)
                            .ok()
                            .and_then(|token| token.code)
                            .ok_or_else(|| bad(format!("'{one}' is not a code")))
                    })
                    .collect::<Result<Vec<_>>>()
            };
            match name.as_str() {
                "_id" => query.filters.push(Filter::Id(plain().iter().map(|id| id.parse().unwrap_or(-1)).collect())),
                "date" | "_lastUpdated" => {
                    let one = |one| {
                        DateQuery::parse(one).map(|date| date.condition(now)).map_err(|error| bad(error.to_string()))
                    };
                    query.filters.push(Filter::Recorded(split_values(value).map(one).collect::<Result<_>>()?));
                }
                "action" => query.filters.push(Filter::Action(tokens()?)),
                "outcome" => query.filters.push(Filter::Member("o", tokens()?)),
                "subtype" => query.filters.push(Filter::Member("i", tokens()?)),
                "entity" => query.filters.push(Filter::Entity(plain())),
                "agent" | "agent-name" | "altid" => query.filters.push(Filter::Agent(plain())),
                "address" => query.filters.push(Filter::Member("a", plain())),
                "patient" | "patient:Patient" => {
                    let id = |one: &str| one.strip_prefix("Patient/").unwrap_or(one).to_owned();
                    query.patients.push(split_values(value).map(id).collect());
                }
                "_count" => {
                    let count = value.parse::<i64>().ok().filter(|count| *count >= 0);
                    query.count =
                        count.ok_or_else(|| bad("'_count' takes a whole number, 0 or more".to_owned()))?.min(1000)
                }
                "_sort" if matches!(value.trim_start_matches('-'), "date" | "_lastUpdated") => {
                    query.ascending = !value.starts_with('-');
                }
                // The total is always told, and exact.
                "_total" if matches!(value.as_str(), "none" | "estimate" | "accurate") => {}
                "_total" => return Err(bad("'_total' takes none, estimate or accurate".to_owned())),
                "_format" | "_pretty" | "_summary" | "_elements" => {}
                // R4 search.html#modifiers: an unknown modifier is refused, unlike an unknown parameter.
                name if name.split_once(':').is_some_and(|(code, _)| Self::PARAMETERS.contains(&code)) => {
                    return Err(bad("AuditEvent takes no such modifier".to_owned()));
                }
                _ => ignored.push(Ignored {
                    parameter: name.clone(),
                    value: value.clone(),
                    reason: match name.as_str() {
                        "_sort" => "AuditEvents are sorted by their date only".to_owned(),
                        _ => format!("AuditEvent cannot be searched by '{name}' here yet"),
                    },
                }),
            }
        }
        Ok((query, ignored))
    }
}

impl AuditLog {
    /// One event.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none the caller may see.
    pub async fn read(&self, access: &Access, id: &str) -> Result<StoredEvent> {
        let query =
            AuditQuery { filters: vec![Filter::Id(vec![id.parse().unwrap_or(-1)])], count: 1, ..AuditQuery::default() };
        let mut page = self.search(access, &query).await?;
        page.events.pop().ok_or_else(|| Error::NotFound { resource_type: "AuditEvent".to_owned(), id: id.to_owned() })
    }

    /// A page of events.
    ///
    /// # Errors
    /// What the database says.
    pub async fn search(&self, access: &Access, query: &AuditQuery) -> Result<AuditPage> {
        let client = self.pool.get().await?;
        let confined = confinement(access.grants("AuditEvent"));
        let mut sql = Sql::default();
        sql.push("SELECT e.seq, e.record");
        self.write(access, query, &mut sql);
        if let Some(after) = query.after {
            sql.push(" AND e.seq ").push(if query.ascending { "> " } else { "< " }).bind(after);
        }
        sql.push(" ORDER BY e.seq")
            .push(if query.ascending { "" } else { " DESC" })
            .push(" LIMIT ")
            .bind(query.count + 1);
        let rows = client.query(&sql.text, &sql.params()).await?;
        let mut counting = Sql::default();
        counting.push("SELECT count(*)");
        self.write(access, query, &mut counting);
        let total = client.query_one(&counting.text, &counting.params()).await?.try_get(0)?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let record: String = row.try_get(1)?;
            let record = confined.as_deref().map_or(Ok(record.clone()), |own| confine(&record, own))?;
            events.push(StoredEvent { seq: row.try_get(0)?, record });
        }
        let more = events.len() as i64 > query.count;
        events.truncate(usize::try_from(query.count).unwrap_or(0));
        let next = events.last().filter(|_| more).map(|event| event.seq);
        Ok(AuditPage { events, total, next })
    }

    /// ` FROM` the events that match and that the caller may see, as `e`.
    fn write(&self, access: &Access, query: &AuditQuery, sql: &mut Sql) {
        let grants = access.grants("AuditEvent");
        let confined = confinement(grants);
        let keys = |ids: &Vec<String>| {
            let mut keys: Vec<Key> = ids.iter().map(|id| Key::resource("Patient", id)).collect();
            keys.retain(|key| confined.as_ref().is_none_or(|own| own.contains(key)));
            keys
        };
        let mut sets = query.patients.iter().map(keys);
        sql.push(" FROM ");
        match sets.next() {
            None => {
                sql.push("audit_event e WHERE e.tenant = ").bind(self.tenant);
            }
            Some(keys) => {
                let keys = keys.as_slice();
                sql.push("(SELECT tenant, seq, recorded, patient, action, record FROM audit_event WHERE tenant = ")
                    .bind(self.tenant);
                sql.push(" AND patient = ANY(")
                    .bind(keys)
                    .push(") AND patient <> '00000000-0000-0000-0000-000000000000'");
                sql.push(" UNION ALL SELECT a.tenant, a.seq, a.recorded, a.patient, a.action, a.record FROM (SELECT DISTINCT tenant, seq FROM audit_patient WHERE tenant = ");
                sql.bind(self.tenant).push(" AND patient = ANY(").bind(keys);
                sql.push(")) p JOIN audit_event a ON a.tenant = p.tenant AND a.seq = p.seq) e WHERE true");
            }
        }
        for keys in sets {
            sql.push(" AND (e.patient = ANY(").bind(keys.as_slice());
            sql.push(") OR EXISTS (SELECT FROM audit_patient p WHERE p.tenant = e.tenant AND p.seq = e.seq");
            sql.push(" AND p.patient = ANY(").bind(keys.as_slice()).push(")))");
        }
        sql.push(" AND (");
        for (position, grant) in grants.iter().enumerate() {
            sql.push(if position > 0 { " OR " } else { "" });
            write_grant(grant, sql);
        }
        sql.push(if grants.is_empty() { "false)" } else { ")" });
        for filter in &query.filters {
            sql.push(" AND (");
            filter.write(confined.is_some(), sql);
            sql.push(")");
        }
    }
}

/// The patients whose events are all that the caller may see; `None` where there is no such bound.
fn confinement(grants: &[RowFilter]) -> Option<Vec<Key>> {
    match grants.iter().any(RowFilter::is_unrestricted) {
        true => None,
        false => Some(grants.iter().filter_map(|grant| grant.compartment).collect()),
    }
}

/// The record as those may see it who may see these patients' events only.
fn confine(record: &str, own: &[Key]) -> Result<String> {
    let unreadable = |error: salus_audit::Error| Error::Internal(error.to_string());
    let mut record = AuditRecord::from_text(record).map_err(unreadable)?;
    if record.patients.len() < 2 {
        return Ok(record.to_text());
    }
    record.patients.retain(|id| own.contains(&Key::resource("Patient", id)));
    // Whose the resources are is not known here, and the query may name anybody.
    record.entities.clear();
    record.query = None;
    record.outcome_description = None;
    Ok(record.to_text())
}

/// A grant on AuditEvents: all, or those about one patient. Granular filters do not reach here.
fn write_grant(grant: &RowFilter, sql: &mut Sql) {
    match (grant.is_unrestricted(), grant.compartment, grant.search.is_empty()) {
        (true, ..) => _ = sql.push("true"),
        (false, Some(patient), true) => {
            sql.push("(e.patient = ").bind(patient).push(
                " OR EXISTS (SELECT FROM audit_patient p WHERE p.tenant = e.tenant AND p.seq = e.seq AND p.patient = ",
            );
            sql.bind(patient).push("))");
        }
        _ => _ = sql.push("false"),
    }
}

impl Filter {
    /// The condition on the event `e`; `confined` where what it tells of several patients is not the caller's
    /// to see.
    fn write(&self, confined: bool, sql: &mut Sql) {
        match self {
            Self::Id(ids) => {
                sql.push("false");
                for id in ids {
                    sql.push(" OR e.seq = ").bind(*id);
                }
            }
            Self::Recorded(tests) => {
                sql.push("false");
                for test in tests {
                    sql.push(" OR ");
                    crate::search::write_range(test, "e.recorded", "e.recorded + 1", sql);
                }
            }
            Self::Action(actions) => _ = sql.push("e.action = ANY(").bind(actions.clone()).push(")"),
            Self::Member(name, values) => {
                sql.push("e.record::jsonb ->> ").bind(*name).push(" = ANY(").bind(values.clone()).push(")");
            }
            Self::Entity(references) => {
                sql.push("EXISTS (SELECT FROM jsonb_array_elements(e.record::jsonb -> 'e') n WHERE n ->> 'w' = ANY(");
                sql.bind(references.clone()).push("))");
                if confined {
                    sql.push(" AND e.patient <> ").bind(SEVERAL_PATIENTS);
                }
                let patients: Vec<Key> = references
                    .iter()
                    .filter_map(|one| one.strip_prefix("Patient/"))
                    .map(|id| Key::resource("Patient", id))
                    .collect();
                sql.push(" OR e.patient = ANY(").bind(patients.as_slice()).push(")");
            }
            Self::Agent(names) => {
                sql.push("e.record::jsonb ->> 'c' = ANY(")
                    .bind(names.clone())
                    .push(") OR e.record::jsonb -> 'u' ->> 'i' = ANY(")
                    .bind(names.clone());
                sql.push(") OR e.record::jsonb -> 'u' ->> 'f' = ANY(").bind(names.clone()).push(")");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AuditQuery;

    #[test]
    fn every_parameter_that_is_said_to_be_answered_is() {
        for name in AuditQuery::PARAMETERS {
            let value = if matches!(*name, "date" | "_lastUpdated") { "2026" } else { "1" };
            let (_, ignored) = AuditQuery::parse(&[((*name).to_owned(), value.to_owned())], 0).unwrap();
            assert!(ignored.is_empty(), "{name}");
        }
        let (_, ignored) = AuditQuery::parse(&[("site".to_owned(), "1".to_owned())], 0).unwrap();
        assert_eq!(ignored.len(), 1);
    }
}
