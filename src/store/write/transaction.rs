//! Interactions that have to look before they write: transaction Bundles, and the conditional
//! interactions, which are transactions of one entry (R4 http.html#trules).
//!
//! Deletions come first, then creates and updates as one set; the order of the entries does not
//! matter. Criteria are resolved and references rewritten inside the database transaction.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::Transaction;
use salus_access::Access;
use salus_audit::AuditRecord;
use salus_fhir::json::Value;

use super::change::{Change, Method, Precondition, Written};
use super::conditional::{canonical, most_deletions};
use super::patch::Revise;
use crate::definitions::Effects;
use crate::row::Version;
use crate::{Error, Reads, Result, Store};

/// What an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// This resource.
    Id(String),
    /// Whatever matches these criteria (a query string).
    Criteria(String),
    /// A new resource.
    New,
    /// A new resource, unless one matches these criteria (`If-None-Exist`).
    NewUnless(String),
}

/// One write of a transaction.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// What the caller may see and write, for this entry's interaction.
    pub access: Arc<Access>,
    /// Where it stands in the request (`Bundle.entry[3]`), for errors.
    pub location: String,
    /// `Bundle.entry.fullUrl`, by which other entries refer to it.
    pub full_url: Option<String>,
    /// Resource type.
    pub resource_type: String,
    /// What it is about.
    pub target: Target,
    /// How.
    pub method: Method,
    /// The content; `None` to delete or revise.
    pub resource: Option<Value<'a>>,
    /// What makes the content from the current version, in place of `resource`: a patch.
    pub revision: Option<Arc<dyn Revise + 'a>>,
    /// What must hold of the current version.
    pub precondition: Precondition,
}

/// What is read when a transaction has written everything and not yet committed.
pub trait BeforeCommit: Sync {
    /// What was read.
    type Seen: Send;
    /// Why the transaction fails.
    type Failure: From<EntryError> + Send;

    /// Reads, and says what to record of it. May be called again, where the transaction lost a race.
    fn read(
        &self,
        within: Reads<'_>,
    ) -> impl Future<Output = std::result::Result<(Self::Seen, Vec<AuditRecord<'static>>), Self::Failure>> + Send;
}

struct NothingElse;

impl BeforeCommit for NothingElse {
    type Seen = ();
    type Failure = EntryError;

    async fn read(&self, _: Reads<'_>) -> std::result::Result<((), Vec<AuditRecord<'static>>), EntryError> {
        Ok(((), Vec::new()))
    }
}

fn database(error: tokio_postgres::Error) -> EntryError {
    Error::from(error).into()
}

/// Makes a new logical id.
pub fn new_id() -> String {
    // Version 7 begins with the time, so that ids made together lie together.
    uuid::Uuid::now_v7().to_string()
}

/// What an entry turned out to be about.
pub(super) enum Resolved {
    /// Nothing to write: a conditional create found this, or a patch left it as it is.
    Found(Version),
    /// Nothing to write: the entry at this position creates what these criteria ask for.
    Same(usize, String),
    /// A new resource under an id of ours.
    Create(String),
    /// Whatever is or is not under this id.
    Put(String),
    /// A new resource under an id of the client's.
    PutNew(String),
    /// These go; none, where a conditional deletion matches nothing.
    Delete(Vec<String>),
}

impl Resolved {
    /// The id that references to the entry lead to.
    fn id(&self) -> Option<&str> {
        match self {
            Self::Found(version) => Some(&version.id),
            Self::Same(_, id) | Self::Create(id) | Self::Put(id) | Self::PutNew(id) => Some(id),
            Self::Delete(ids) => ids.first().map(String::as_str),
        }
    }
}

impl Store {
    /// Makes all writes of `entries`, in one transaction together with their audit records. The
    /// outcomes come in the order of the entries.
    ///
    /// # Errors
    /// Those of [`Store::commit`]; [`Error::MultipleMatches`] and [`Error::UnresolvedReference`] for
    /// criteria that do not lead to one resource. [`EntryError`] says which entry it was.
    pub async fn transaction(
        &self,
        entries: &[Entry<'_>],
        audit: impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> std::result::Result<Vec<Written>, EntryError> {
        Ok(self.transaction_with(entries, audit, &NothingElse).await?.0)
    }

    /// As [`Store::transaction`], and `before_commit` has its say when everything is written: what it
    /// reads is answered with what was written, and where it fails, nothing is.
    ///
    /// # Errors
    /// Those of [`Store::transaction`], and those of `before_commit`.
    pub async fn transaction_with<B: BeforeCommit>(
        &self,
        entries: &[Entry<'_>],
        audit: impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
        before_commit: &B,
    ) -> std::result::Result<(Vec<Written>, B::Seen), B::Failure> {
        let mut last = None;
        for _ in 0..super::commit::ATTEMPTS {
            let mut client = self.client().await.map_err(EntryError::from)?;
            let transaction = client.transaction().await.map_err(database)?;
            match self.transaction_in(&transaction, entries).await {
                Ok((written, all)) => {
                    let (seen, read) = before_commit.read(Reads::within(self, &transaction)).await?;
                    let records = [audit(&all), read].concat();
                    self.audit().insert(&transaction, &records).await.map_err(EntryError::from)?;
                    transaction.commit().await.map_err(database)?;
                    drop(client);
                    self.follow_up(&all).await;
                    return Ok((written, seen));
                }
                Err(error) if error.error.is_race() => {
                    transaction.rollback().await.map_err(database)?;
                    last = Some(error);
                }
                Err(error) if matches!(error.error, Error::DefinitionsChanged) => {
                    transaction.rollback().await.map_err(database)?;
                    drop(client);
                    self.refresh_definitions().await.map_err(EntryError::from)?;
                    last = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(last.unwrap_or_else(|| Error::Internal("no attempt was made".to_owned()).into()).into())
    }

    /// Writes everything; the outcome of each entry, and everything that was written.
    async fn transaction_in(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
    ) -> std::result::Result<(Vec<Written>, Vec<Written>), EntryError> {
        let criteria: Vec<(&str, &str)> = entries
            .iter()
            .filter_map(|entry| match &entry.target {
                Target::Criteria(query) | Target::NewUnless(query) => {
                    Some((entry.resource_type.as_str(), query.as_str()))
                }
                Target::Id(_) | Target::New => None,
            })
            .collect();
        self.lock_criteria(transaction, &criteria).await?;
        let mut outcomes: Vec<Vec<Written>> = vec![Vec::new(); entries.len()];
        let (deletions, rest): (Vec<usize>, Vec<usize>) =
            (0..entries.len()).partition(|&position| entries[position].method == Method::Delete);
        let mut changes = Vec::with_capacity(entries.len());
        let mut effects = Effects::default();
        for positions in [&deletions, &rest] {
            let mut resolved = self.resolve(transaction, entries, positions).await?;
            let revised = self.revise(transaction, entries, positions, &mut resolved).await?;
            let (group, origins) = self.changes(transaction, entries, positions, &resolved, revised).await?;
            let done = changes.len();
            changes.extend(group);
            super::commit::refuse_duplicates(&changes)?;
            let written = self.write_in(transaction, &changes[done..], &mut effects).await;
            let written = written.map_err(|error| blame(error, &origins, &resolved, positions))?;
            for (position, written) in origins.into_iter().zip(written) {
                outcomes[position].push(written);
            }
            unchanged(entries, positions, &resolved, &mut outcomes);
        }
        effects.apply(self, transaction).await?;
        let all: Vec<Written> = outcomes.iter().flatten().cloned().collect();
        Ok((outcomes.into_iter().filter_map(|mut of_entry| of_entry.pop()).collect(), all))
    }

    /// Finds what each entry is about.
    async fn resolve(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
    ) -> std::result::Result<Vec<Resolved>, EntryError> {
        let mut resolved: Vec<Resolved> = Vec::with_capacity(positions.len());
        // Criteria that matched nothing, and the entry that will create what they ask for.
        let mut created: HashMap<String, (usize, String)> = HashMap::new();
        for &position in positions {
            let entry = &entries[position];
            let mut one = self.resolve_entry(transaction, entry).await.map_err(|error| error.at(position))?;
            if let (
                Target::NewUnless(criteria) | Target::Criteria(criteria),
                Resolved::Create(id) | Resolved::PutNew(id),
            ) = (&entry.target, &one)
            {
                let criteria = canonical(&entry.resource_type, criteria);
                match created.get(&criteria) {
                    None => _ = created.insert(criteria, (position, id.clone())),
                    Some((first, id)) if both_create(entry, &entries[*first]) => {
                        one = Resolved::Same(*first, id.clone())
                    }
                    Some(_) => return Err(Error::DuplicateCriteria { criteria }.at(position)),
                }
            }
            resolved.push(one);
        }
        Ok(resolved)
    }

    async fn resolve_entry(&self, transaction: &Transaction<'_>, entry: &Entry<'_>) -> Result<Resolved> {
        let find = |criteria, most| self.find(transaction, &entry.access, &entry.resource_type, criteria, most);
        let deletes = entry.method == Method::Delete;
        Ok(match &entry.target {
            Target::Id(id) if deletes => Resolved::Delete(vec![id.clone()]),
            Target::Id(id) => Resolved::Put(id.clone()),
            Target::New => Resolved::Create(new_id()),
            Target::NewUnless(criteria) => match find(criteria, 1).await?.pop() {
                Some(version) => Resolved::Found(version),
                None => Resolved::Create(new_id()),
            },
            Target::Criteria(criteria) if deletes => {
                let most = most_deletions(&entry.resource_type, criteria)?;
                Resolved::Delete(find(criteria, most).await?.into_iter().map(|version| version.id).collect())
            }
            Target::Criteria(criteria) if entry.method == Method::Patch => match find(criteria, 1).await?.pop() {
                Some(version) => Resolved::Put(version.id),
                None => return Err(Error::NoMatch { resource_type: entry.resource_type.clone() }),
            },
            Target::Criteria(criteria) => {
                let sent = entry.resource.as_ref().and_then(|resource| resource.get_str("id")).map(str::to_owned);
                match (find(criteria, 1).await?.pop(), sent) {
                    (Some(version), Some(sent)) if sent != version.id => {
                        return Err(Error::IdMismatch { sent, found: version.id });
                    }
                    (Some(version), _) => Resolved::Put(version.id),
                    // R4 http.html#cond-update: no match creates, under the client's id if it gives one.
                    (None, Some(sent)) => Resolved::PutNew(sent),
                    (None, None) => Resolved::Create(new_id()),
                }
            }
        })
    }

    /// The changes of the entries at `positions`, their references rewritten, and the position that each
    /// comes from.
    async fn changes(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
        resolved: &[Resolved],
        mut revised: HashMap<usize, Value<'static>>,
    ) -> std::result::Result<(Vec<Change>, Vec<usize>), EntryError> {
        let mut references: HashMap<String, String> = HashMap::new();
        for (&position, resolved) in positions.iter().zip(resolved) {
            let entry = &entries[position];
            if let (Some(url), Some(id)) = (&entry.full_url, resolved.id())
                && references.insert(url.clone(), format!("{}/{id}", entry.resource_type)).is_some()
            {
                return Err(Error::DuplicateFullUrl { url: url.clone() }.at(position));
            }
        }
        let mut changes = Vec::with_capacity(positions.len());
        let mut origins = Vec::with_capacity(positions.len());
        for (&position, resolved) in positions.iter().zip(resolved) {
            let entry = &entries[position];
            let change = |id: &str, method, precondition, content| Change {
                access: entry.access.clone(),
                resource_type: entry.resource_type.clone(),
                id: id.to_owned(),
                method,
                content,
                precondition,
            };
            let (id, method, precondition) = match resolved {
                Resolved::Found(_) | Resolved::Same(..) => continue,
                Resolved::Delete(ids) => {
                    changes.extend(ids.iter().map(|id| change(id, Method::Delete, entry.precondition, None)));
                    origins.extend(ids.iter().map(|_| position));
                    continue;
                }
                Resolved::Create(id) => (id, Method::Post, entry.precondition),
                Resolved::Put(id) => (id, entry.method, entry.precondition),
                Resolved::PutNew(id) => (id, entry.method, Precondition::Absent),
            };
            let Some(mut resource) = revised.remove(&position).or_else(|| entry.resource.clone()) else { continue };
            self.resolve_references(transaction, entry, &mut resource, &mut references)
                .await
                .map_err(|error| error.at(position))?;
            let content = self.content(&entry.resource_type, id, &resource);
            changes.push(change(id, method, precondition, Some(content)));
            origins.push(position);
        }
        Ok((changes, origins))
    }
}

/// Adds the outcomes of those entries at `positions` that turned out to write nothing.
fn unchanged(entries: &[Entry<'_>], positions: &[usize], resolved: &[Resolved], outcomes: &mut [Vec<Written>]) {
    for (&position, resolved) in positions.iter().zip(resolved) {
        match resolved {
            Resolved::Found(version) => {
                outcomes[position].push(Written { method: entries[position].method, ..found(version) });
            }
            Resolved::Same(first, _) => {
                let same = outcomes[*first].first().cloned();
                outcomes[position].extend(same.map(|one| Written { created: false, changed: false, ..one }));
            }
            Resolved::Delete(ids) if ids.is_empty() => outcomes[position].push(nothing(&entries[position])),
            _ => {}
        }
    }
}

/// Whether both are conditional creates, of which the second finds what the first makes.
fn both_create(one: &Entry<'_>, other: &Entry<'_>) -> bool {
    [one, other].iter().all(|entry| matches!(entry.target, Target::NewUnless(_)))
}

fn found(version: &Version) -> Written {
    Written {
        resource_type: version.resource_type.clone(),
        id: version.id.clone(),
        version: version.version,
        updated: version.updated,
        method: Method::Post,
        created: false,
        changed: false,
        body: version.body.clone(),
        patients: version.patients.clone(),
    }
}

/// The outcome of a conditional deletion that matched nothing.
fn nothing(entry: &Entry<'_>) -> Written {
    Written {
        resource_type: entry.resource_type.clone(),
        id: String::new(),
        version: 0,
        updated: 0,
        method: Method::Delete,
        created: false,
        changed: false,
        body: None,
        patients: Vec::new(),
    }
}

/// Says of a change that failed which entry it came from, in that entry's terms.
fn blame(error: EntryError, origins: &[usize], resolved: &[Resolved], positions: &[usize]) -> EntryError {
    let Some(position) = error.entry.and_then(|change| origins.get(change).copied()) else { return error };
    let of_entry = positions.iter().position(|&known| known == position).map(|index| &resolved[index]);
    let error = match (error.error, of_entry) {
        (Error::VersionConflict { resource_type, id, .. }, Some(Resolved::PutNew(_))) => {
            Error::IdTaken { resource_type, id }
        }
        (error, _) => error,
    };
    error.at(position)
}

/// A failure, and the entry it is about, if it is about one.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct EntryError {
    /// Position of the entry.
    pub entry: Option<usize>,
    /// What is wrong.
    pub error: Error,
}

impl From<Error> for EntryError {
    fn from(error: Error) -> Self {
        Self { entry: None, error }
    }
}

impl Error {
    pub(super) fn at(self, entry: usize) -> EntryError {
        EntryError { entry: Some(entry), error: self }
    }
}
