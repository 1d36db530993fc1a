//! The rows of a set of changes, gathered while they are checked.

use deadpool_postgres::GenericClient;
use salus_access::ConsentRule;
use uuid::Uuid;

use super::change::{Change, Content, Method};
use super::columns::{Columns, WRITE_ROWS};
use super::look::Current;
use crate::facts::Facts;
use crate::sql::{uuid, uuids};
use crate::{Error, Result};

/// What a set of changes writes and removes.
#[derive(Default)]
pub(super) struct Batch {
    pub rows: Vec<Row>,
    /// Index rows to remove, and to insert.
    pub removed: Vec<IndexRow>,
    pub added: Vec<IndexRow>,
    pub strings: Vec<StringRow>,
    rules: Vec<ConsentRule>,
    /// Consents whose rules are replaced (or removed).
    consents: Vec<Uuid>,
    /// The oldest state of the search parameters that any of it was made with.
    pub made_with: Option<i64>,
    /// Whether facts of versions that are there are put right, rather than versions written.
    pub in_place: bool,
}

/// A row of `resource`. Version 1 is new, any other replaces the one before.
pub(super) struct Row {
    pub rid: Uuid,
    pub patient: Uuid,
    pub resource_type: String,
    pub id: String,
    pub version: i32,
    pub updated: i64,
    pub sort: i64,
    pub method: Method,
    pub keys: Vec<Uuid>,
    pub indexed: i32,
    pub patients: Vec<String>,
    pub body: Option<String>,
}

/// A row of `search_index`, in the order of its primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct IndexRow {
    pub key: Uuid,
    pub sort: i64,
    pub rid: Uuid,
    pub low: i64,
    pub high: Option<i64>,
    pub patient: Uuid,
}

/// A row of `search_string`.
pub(super) struct StringRow {
    pub key: Uuid,
    pub value: String,
    pub rid: Uuid,
    pub ordinal: i16,
    pub exact: String,
    pub sort: i64,
    pub patient: Uuid,
}

const INSERT_RULE: &str = "
    INSERT INTO consent_rule (tenant, patient, consent, node, parent, ancestors, path, deny, period_low, period_high,
                              actors, purposes, actions, classes, codes, labels, data, data_low, data_high)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

const REMOVE_RULES: &str = "DELETE FROM consent_rule WHERE tenant = $1 AND consent = ANY($2)";

impl Batch {
    /// One that puts the facts of versions right that are there.
    pub fn in_place(made_with: i64) -> Self {
        Self { in_place: true, made_with: Some(made_with), ..Self::default() }
    }

    /// Adds the version with this content and stored text, in place of `current`. Returns the ids of its patients.
    pub fn push(
        &mut self,
        change: &Change,
        content: &Content,
        (version, updated): (i32, i64),
        current: Option<&Current>,
        body: String,
    ) -> Vec<String> {
        let facts = &content.facts;
        self.made_with = Some(self.made_with.map_or(content.made_with, |other| other.min(content.made_with)));
        // What has no natural date stays where it was first stored.
        let sort = facts.sort.unwrap_or_else(|| current.map_or(updated, |row| row.sort));
        let row = Row {
            rid: uuid(facts.rid),
            patient: uuid(facts.patient),
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            version,
            updated,
            sort,
            method: change.method,
            keys: uuids(&facts.keys),
            indexed: i32::try_from(facts.indexed).unwrap_or(i32::MAX),
            patients: facts.patients.clone(),
            body: Some(body),
        };
        self.index(facts, &row, current);
        self.rows.push(row);
        if change.resource_type == "Consent" {
            self.consents.push(uuid(facts.rid));
            self.rules.extend(content.rules.iter().cloned());
        }
        facts.patients.clone()
    }

    /// Adds the version that records the deletion of `current`.
    pub fn push_deletion(&mut self, change: &Change, (version, updated): (i32, i64), current: &Current) {
        let rid = uuid(change.rid());
        self.rows.push(Row {
            rid,
            patient: current.patient,
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            version,
            updated,
            sort: current.sort,
            method: Method::Delete,
            // The row keeps those it has.
            keys: Vec::new(),
            indexed: 0,
            patients: current.patients.clone(),
            body: None,
        });
        self.removed.extend(current.index_rows(rid));
        if change.resource_type == "Consent" {
            self.consents.push(rid);
        }
    }

    /// Replaces what differs between the index rows that are there and those to be.
    pub fn index(&mut self, facts: &Facts, row: &Row, current: Option<&Current>) {
        let &Row { rid, sort, patient, .. } = row;
        let to_be = facts.entries.iter().map(|entry| IndexRow {
            key: uuid(entry.key),
            sort,
            rid,
            low: entry.low,
            high: entry.high,
            patient,
        });
        match current {
            Some(current) if current.sort == sort && current.patient == patient => {
                let to_be: Vec<IndexRow> = to_be.collect();
                let there: Vec<IndexRow> = current.index_rows(rid).collect();
                self.removed.extend(there.iter().filter(|row| !to_be.contains(row)));
                self.added.extend(to_be.iter().filter(|row| !there.contains(row)));
            }
            Some(current) => {
                self.removed.extend(current.index_rows(rid));
                self.added.extend(to_be);
            }
            None => self.added.extend(to_be),
        }
        self.strings.extend(facts.strings.iter().zip(0..).map(|(string, ordinal)| StringRow {
            key: uuid(string.key),
            value: string.value.clone(),
            rid,
            ordinal,
            exact: string.exact.clone(),
            sort,
            patient,
        }));
    }

    /// Whether Consent rules change with it.
    pub fn has_rules(&self) -> bool {
        !self.consents.is_empty()
    }

    /// Writes all of it in the transaction of `client`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where another transaction wrote one of the rows at the same time; the
    /// caller repeats the whole transaction.
    pub async fn write(&self, client: &impl GenericClient, tenant: i32) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        let columns = Columns::of([self]);
        let statement = client.prepare_cached(WRITE_ROWS).await?;
        client.execute(&statement, &columns.parameters(&tenant)).await.map_err(|error| {
            if is_race(&error) {
                Error::Unavailable("another request changed the same resource".to_owned())
            } else if is_outdated(&error) {
                Error::DefinitionsChanged
            } else {
                error.into()
            }
        })?;
        if self.has_rules() {
            self.write_rules(client, tenant).await?;
        }
        Ok(())
    }

    async fn write_rules(&self, client: &impl GenericClient, tenant: i32) -> Result<()> {
        client.execute(REMOVE_RULES, &[&tenant, &self.consents]).await?;
        for rule in &self.rules {
            let keys = |keys: &Option<Vec<salus_fhir::Key>>| keys.as_deref().map(uuids);
            client
                .execute(
                    INSERT_RULE,
                    &[
                        &tenant,
                        &uuid(rule.patient),
                        &uuid(rule.consent),
                        &rule.node,
                        &rule.parent,
                        &rule.ancestors,
                        &rule.path,
                        &(rule.effect == salus_access::Effect::Deny),
                        &rule.period.0,
                        &rule.period.1,
                        &keys(&rule.actors),
                        &rule.purposes,
                        &rule.actions,
                        &rule.classes,
                        &keys(&rule.codes),
                        &keys(&rule.labels),
                        &keys(&rule.data),
                        &rule.data_period.0,
                        &rule.data_period.1,
                    ],
                )
                .await?;
        }
        Ok(())
    }
}

/// Whether a write was undone because the search parameters have changed since its facts were taken.
pub(super) fn is_outdated(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.code().code() == "SD001")
}

/// Whether a write was undone because another transaction was first with one of its rows.
pub(super) fn is_race(error: &tokio_postgres::Error) -> bool {
    use tokio_postgres::error::SqlState;
    error.as_db_error().is_some_and(|error| match error.code() {
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => true,
        &SqlState::UNIQUE_VIOLATION => matches!(error.table(), Some("resource" | "resource_history")),
        _ => false,
    })
}
