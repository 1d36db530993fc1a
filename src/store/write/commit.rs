//! Committing changes: lock, check, write, audit, in one transaction.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use salus_audit::AuditRecord;
use uuid::Uuid;

use super::batch::{Batch, Remains, Retired};
use super::change::{Change, Precondition, Written};
use super::group;
use super::transaction::EntryError;
use crate::sql::{Sql, uuid};
use crate::{Error, Result, Store};

/// How often a transaction is repeated that lost a race.
pub(super) const ATTEMPTS: usize = 8;

/// The current row of something about to be changed.
struct Current {
    version: i32,
    updated: i64,
    deleted: bool,
    /// Whether the caller's predicate admits it.
    visible: bool,
    remains: Remains,
}

impl Store {
    /// Makes `changes` and commits them together with the records that `audit` derives from what came
    /// of them. Nothing is written unless everything is.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::VersionConflict`], [`Error::OutsideGrant`],
    /// [`Error::DuplicateChange`], or what the database says.
    pub async fn commit(
        &self,
        changes: &[Change],
        audit: impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> Result<Vec<Written>> {
        if group::accepts(changes) {
            return self.create(changes, audit).await;
        }
        for attempt in 0..ATTEMPTS {
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            match self.commit_in(&transaction, changes, &audit).await {
                Ok(written) => {
                    transaction.commit().await?;
                    self.changed(&written);
                    return Ok(written);
                }
                Err(error) if error.is_race() && attempt + 1 < ATTEMPTS => transaction.rollback().await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable("too many requests change the same resources; try again".to_owned()))
    }

    /// Creates resources in one transaction with those of other requests: there is nothing to lock and
    /// nothing to lose a race for, and a commit costs the same for one row as for fifty.
    async fn create(
        &self,
        changes: &[Change],
        audit: impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> Result<Vec<Written>> {
        let mut batch = Batch::default();
        let written: Vec<Written> = changes
            .iter()
            .map(|change| self.apply(change, None, &mut batch).map(|(written, _)| written))
            .collect::<Result<_>>()?;
        self.creations().write(batch, &audit(&written)).await?;
        self.changed(&written);
        Ok(written)
    }

    async fn commit_in(
        &self,
        transaction: &Transaction<'_>,
        changes: &[Change],
        audit: &impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> Result<Vec<Written>> {
        refuse_duplicates(changes)?;
        let written = self.write_in(transaction, changes).await.map_err(|error| error.error)?;
        self.audit().insert(transaction, &audit(&written)).await?;
        Ok(written)
    }

    /// Makes changes inside a transaction, without audit records.
    /// [`EntryError::entry`] is the position among `changes`.
    pub(super) async fn write_in(
        &self,
        transaction: &Transaction<'_>,
        changes: &[Change],
    ) -> std::result::Result<Vec<Written>, EntryError> {
        let current = self.lock(transaction, changes).await?;
        let mut batch = Batch::default();
        let mut written = Vec::with_capacity(changes.len());
        let mut retired = Retired::default();
        for (position, change) in changes.iter().enumerate() {
            let row = current.get(&uuid(change.rid()));
            let (outcome, replaces) = self.apply(change, row, &mut batch).map_err(|error| error.at(position))?;
            if let (true, Some(row)) = (replaces, row) {
                retired.push(uuid(change.rid()), &row.remains);
            }
            written.push(outcome);
        }
        if !batch.is_empty() {
            batch.write(transaction, self.tenant(), &retired).await?;
        }
        Ok(written)
    }

    /// Locks the rows that may exist already, in one order everywhere so that no two requests wait for
    /// each other, and says whether the caller may see each.
    async fn lock(&self, transaction: &Transaction<'_>, changes: &[Change]) -> Result<HashMap<Uuid, Current>> {
        let mut groups: HashMap<(&str, salus_fhir::Key), Vec<&Change>> = HashMap::new();
        for change in changes.iter().filter(|change| !change.is_new()) {
            groups.entry((change.resource_type.as_str(), change.access.fingerprint())).or_default().push(change);
        }
        if groups.is_empty() {
            return Ok(HashMap::new());
        }
        if groups.len() > 1 {
            let mut all: Vec<Uuid> = groups.values().flatten().map(|change| uuid(change.rid())).collect();
            all.sort_unstable();
            let statement = transaction
                .prepare_cached("SELECT FROM resource WHERE tenant = $1 AND rid = ANY($2) ORDER BY rid FOR UPDATE")
                .await?;
            transaction.execute(&statement, &[&self.tenant(), &all]).await?;
        }
        let mut current = HashMap::new();
        for ((resource_type, _), group) in groups {
            let rids: Vec<_> = group.iter().map(|change| change.rid()).collect();
            let view = self.view(&group[0].access);
            let mut sql = Sql::default();
            sql.push("SELECT r.rid, r.version, r.updated, r.deleted, r.patient, r.keys, r.patients, r.sort, (");
            view.write(resource_type, "r", &mut sql);
            sql.push(") FROM resource r WHERE r.tenant = ").bind(self.tenant());
            sql.push(" AND r.rid = ANY(").bind(rids.as_slice()).push(") ORDER BY r.rid FOR UPDATE OF r");
            let statement = transaction.prepare_cached(&sql.text).await?;
            for row in transaction.query(&statement, &sql.params()).await? {
                let remains = Remains {
                    patient: row.try_get(4)?,
                    keys: row.try_get(5)?,
                    patients: row.try_get(6)?,
                    sort: row.try_get(7)?,
                };
                current.insert(
                    row.try_get(0)?,
                    Current {
                        version: row.try_get(1)?,
                        updated: row.try_get(2)?,
                        deleted: row.try_get(3)?,
                        visible: row.try_get(8)?,
                        remains,
                    },
                );
            }
        }
        Ok(current)
    }

    /// Checks one change against the current row and adds what it writes to `batch`. The second value
    /// says whether a current version has to be retired.
    fn apply(&self, change: &Change, current: Option<&Current>, batch: &mut Batch) -> Result<(Written, bool)> {
        let live = current.filter(|row| !row.deleted);
        // What never was cannot be told from what may not be seen, whatever If-Match says.
        let demands = matches!(change.precondition, Precondition::Version(_) | Precondition::Present);
        if current.map_or(demands, |row| !row.visible) {
            return Err(not_found(change));
        }
        check_precondition(change, live)?;
        let version = current.map_or(0, |row| row.version) + 1;
        // Times are kept to the millisecond that `meta.lastUpdated` shows, and never run backwards.
        let updated = current.map_or(self.now(), |row| self.now().max(row.updated + 1000));
        let mut outcome = Written {
            resource_type: change.resource_type.clone(),
            id: change.id.clone(),
            version,
            updated,
            method: change.method,
            created: live.is_none(),
            changed: true,
            body: None,
            patients: current.map(|row| row.remains.patients.clone()).unwrap_or_default(),
        };
        match (&change.content, live, current) {
            (Some(content), ..) => {
                if !self.view(&change.access).grants(&change.resource_type).holds(&content.facts) {
                    return Err(Error::OutsideGrant { resource_type: change.resource_type.clone() });
                }
                let body = content.text(version, updated);
                let sort = current.map_or(updated, |row| row.remains.sort);
                outcome.patients = batch.push(change, version, updated, sort, body.clone());
                outcome.body = Some(body);
            }
            (None, Some(row), _) => batch.push_deletion(change, version, updated, &row.remains),
            // Deleting what is gone already changes nothing (R4 http.html#delete).
            (None, None, Some(row)) => {
                (outcome.version, outcome.updated, outcome.created, outcome.changed) =
                    (row.version, row.updated, false, false);
                return Ok((outcome, false));
            }
            (None, None, None) => return Err(not_found(change)),
        }
        Ok((outcome, current.is_some()))
    }
}

fn not_found(change: &Change) -> Error {
    Error::NotFound { resource_type: change.resource_type.clone(), id: change.id.clone() }
}

fn check_precondition(change: &Change, live: Option<&Current>) -> Result<()> {
    let holds = match change.precondition {
        Precondition::None => true,
        Precondition::Version(version) => live.is_some_and(|row| row.version == version),
        Precondition::Present => live.is_some(),
        Precondition::Absent => live.is_none(),
    };
    if holds {
        return Ok(());
    }
    Err(Error::VersionConflict {
        resource_type: change.resource_type.clone(),
        id: change.id.clone(),
        current: live.map_or(0, |row| row.version),
    })
}

/// Two changes of one resource in one transaction have no order (R4 http.html#trules).
pub(super) fn refuse_duplicates(changes: &[Change]) -> Result<()> {
    let mut seen = std::collections::HashSet::with_capacity(changes.len());
    match changes.iter().find(|change| !change.is_new() && !seen.insert((&change.resource_type, &change.id))) {
        None => Ok(()),
        Some(change) => {
            Err(Error::DuplicateChange { resource_type: change.resource_type.clone(), id: change.id.clone() })
        }
    }
}

impl Error {
    /// Whether repeating the transaction can succeed: it lost a race.
    pub(super) fn is_race(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
