//! Committing changes: lock, check, write, audit, in one transaction.

use std::borrow::Cow;

use deadpool_postgres::Transaction;
use futures_util::future::try_join_all;
use salus_audit::AuditRecord;
use salus_fhir::json::{Limits, parse};

use super::batch::Batch;
use super::change::{Change, Precondition, Written};
use super::group::{self, Outcome};
use super::look::Current;
use super::transaction::EntryError;
use crate::definitions::{Effects, SEARCH_PARAMETER};
use crate::sql::uuid;
use crate::{Error, Result, Store};

/// How often a transaction is repeated that lost a race.
pub(super) const ATTEMPTS: usize = 8;

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
        refuse_duplicates(changes)?;
        // Where somebody else is at the same resource, one waits for the other.
        if group::accepts(changes)
            && let Some(written) = self.commit_in_group(changes, &audit).await?
        {
            return Ok(written);
        }
        for attempt in 0..ATTEMPTS {
            let changes = self.up_to_date(changes);
            let mut client = self.client().await?;
            let transaction = client.transaction().await?;
            match self.commit_in(&transaction, &changes, &audit).await {
                Ok(written) => {
                    transaction.commit().await?;
                    drop(client);
                    self.follow_up(&written).await;
                    return Ok(written);
                }
                Err(Error::DefinitionsChanged) if attempt + 1 < ATTEMPTS => {
                    transaction.rollback().await?;
                    drop(client);
                    self.refresh_definitions().await?;
                }
                Err(error) if error.is_race() && attempt + 1 < ATTEMPTS => transaction.rollback().await?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Unavailable("too many requests change the same resources; try again".to_owned()))
    }

    /// Makes changes in one transaction with those of other requests, which costs the same for one as for fifty.
    /// Nothing is locked: what they replace is looked at first, and where that is no longer current when they are
    /// written, nothing is and the answer is `None`.
    async fn commit_in_group(
        &self,
        changes: &[Change],
        audit: impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> Result<Option<Vec<Written>>> {
        let current = try_join_all(changes.iter().map(|change| self.look(change))).await?;
        let mut batch = Batch::default();
        let apply = |(change, row): (&Change, &Option<Current>)| self.apply(change, row.as_ref(), &mut batch);
        let written: Vec<Written> = changes.iter().zip(&current).map(apply).collect::<Result<_>>()?;
        match self.groups().write(batch, &audit(&written)).await? {
            Outcome::Committed => Ok(Some(written)),
            Outcome::Raced => Ok(None),
            Outcome::Outdated => {
                self.refresh_definitions().await?;
                Ok(None)
            }
        }
    }

    /// The changes, with facts by the definitions in force.
    fn up_to_date<'c>(&self, changes: &'c [Change]) -> Cow<'c, [Change]> {
        let version = self.registry().current().version;
        let is_outdated = |change: &Change| change.content.as_ref().is_some_and(|one| one.made_with < version);
        if !changes.iter().any(is_outdated) {
            return Cow::Borrowed(changes);
        }
        let mut changes = changes.to_vec();
        for change in &mut changes {
            if let Some(content) = &mut change.content
                && let Ok(resource) = parse(&content.text(0, 0), &Limits::default())
            {
                *content = self.content(&change.resource_type, &change.id, &resource);
            }
        }
        Cow::Owned(changes)
    }

    /// Puts SearchParameters in force that were written.
    pub(super) async fn follow_up(&self, written: &[Written]) {
        if written.iter().any(|one| one.resource_type == SEARCH_PARAMETER) {
            // They are stored: where this fails, it is made up for when the database can be reached again.
            if let Err(error) = self.refresh_definitions().await {
                tracing::warn!(%error, "changed search parameters are not in force yet");
            }
        }
    }

    async fn commit_in(
        &self,
        transaction: &Transaction<'_>,
        changes: &[Change],
        audit: &impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> Result<Vec<Written>> {
        let mut effects = Effects::default();
        let written = self.write_in(transaction, changes, &mut effects).await.map_err(|error| error.error)?;
        effects.apply(self, transaction).await?;
        self.audit().insert(transaction, &audit(&written)).await?;
        Ok(written)
    }

    /// Makes changes inside a transaction, without audit records; `effects` are to be applied when all is written.
    /// [`EntryError::entry`] is the position among `changes`.
    pub(super) async fn write_in(
        &self,
        transaction: &Transaction<'_>,
        changes: &[Change],
        effects: &mut Effects,
    ) -> std::result::Result<Vec<Written>, EntryError> {
        let current = self.lock(transaction, changes).await?;
        effects.look(transaction, self.tenant(), changes).await?;
        let mut batch = Batch::default();
        let mut written = Vec::with_capacity(changes.len());
        for (position, change) in changes.iter().enumerate() {
            let row = current.get(&uuid(change.rid()));
            written.push(self.apply(change, row, &mut batch).map_err(|error| error.at(position))?);
        }
        batch.write(transaction, self.tenant()).await?;
        Ok(written)
    }

    /// Checks one change against the current row and adds what it writes to `batch`.
    fn apply(&self, change: &Change, current: Option<&Current>, batch: &mut Batch) -> Result<Written> {
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
            patients: current.map(|row| row.patients.clone()).unwrap_or_default(),
        };
        match (&change.content, live, current) {
            (Some(content), ..) => {
                if !self.view(&change.access).grants(&change.resource_type).holds(&content.facts) {
                    return Err(Error::OutsideGrant { resource_type: change.resource_type.clone() });
                }
                let body = content.text(version, updated);
                outcome.patients = batch.push(change, content, (version, updated), current, body.clone());
                outcome.body = Some(body);
            }
            (None, Some(row), _) => batch.push_deletion(change, (version, updated), row),
            // Deleting what is gone already changes nothing (R4 http.html#delete).
            (None, None, Some(row)) => {
                (outcome.version, outcome.updated, outcome.created, outcome.changed) =
                    (row.version, row.updated, false, false);
            }
            (None, None, None) => return Err(not_found(change)),
        }
        Ok(outcome)
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
