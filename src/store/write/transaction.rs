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
use crate::row::Version;
use crate::{Error, Result, Store};

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
    /// The content; `None` to delete.
    pub resource: Option<Value<'a>>,
    /// What must hold of the current version.
    pub precondition: Precondition,
}

/// Makes a new logical id.
pub fn new_id() -> String {
    // Version 7 begins with the time, so that ids made together lie together.
    uuid::Uuid::now_v7().to_string()
}

/// What an entry turned out to be about.
enum Resolved {
    /// Nothing to write: a conditional create found this.
    Found(Version),
    /// This resource is to be written.
    Write { id: String, new: bool },
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
        let mut last = None;
        for _ in 0..super::commit::ATTEMPTS {
            let mut client = self.client().await?;
            let transaction = client.transaction().await.map_err(Error::from)?;
            match self.transaction_in(&transaction, entries, &audit).await {
                Ok(written) => {
                    transaction.commit().await.map_err(Error::from)?;
                    self.changed(&written);
                    return Ok(written);
                }
                Err(error) if error.error.is_race() => {
                    transaction.rollback().await.map_err(Error::from)?;
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Internal("no attempt was made".to_owned()).into()))
    }

    async fn transaction_in(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        audit: &impl Fn(&[Written]) -> Vec<AuditRecord<'static>>,
    ) -> std::result::Result<Vec<Written>, EntryError> {
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
        let mut outcomes: Vec<Option<Written>> = vec![None; entries.len()];
        let (deletions, rest): (Vec<usize>, Vec<usize>) =
            (0..entries.len()).partition(|&position| entries[position].method == Method::Delete);
        let mut changes = Vec::with_capacity(entries.len());
        for positions in [&deletions, &rest] {
            let resolved = self.resolve(transaction, entries, positions).await?;
            let group = self.changes(transaction, entries, positions, &resolved).await?;
            let written = self.write_in(transaction, &group).await?;
            let mut written = written.into_iter();
            for (&position, resolved) in positions.iter().zip(&resolved) {
                outcomes[position] = match resolved {
                    Some(Resolved::Found(version)) => Some(found(version)),
                    Some(Resolved::Write { .. }) => written.next(),
                    None => Some(nothing(&entries[position])),
                };
            }
            changes.extend(group);
        }
        super::commit::refuse_duplicates(&changes)?;
        let written: Vec<Written> = outcomes.into_iter().flatten().collect();
        self.audit().insert(transaction, &audit(&written)).await?;
        Ok(written)
    }

    /// Finds what each entry is about. `None`: a conditional deletion that matches nothing.
    async fn resolve(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
    ) -> std::result::Result<Vec<Option<Resolved>>, EntryError> {
        let mut resolved = Vec::with_capacity(positions.len());
        for &position in positions {
            let entry = &entries[position];
            let one = self.resolve_entry(transaction, entry).await.map_err(|error| error.at(position))?;
            resolved.push(one);
        }
        Ok(resolved)
    }

    async fn resolve_entry(&self, transaction: &Transaction<'_>, entry: &Entry<'_>) -> Result<Option<Resolved>> {
        let find = |criteria| self.find_one(transaction, &entry.access, &entry.resource_type, criteria);
        Ok(match &entry.target {
            Target::Id(id) => Some(Resolved::Write { id: id.clone(), new: false }),
            Target::New => Some(Resolved::Write { id: new_id(), new: true }),
            Target::NewUnless(criteria) => Some(match find(criteria).await? {
                Some(version) => Resolved::Found(version),
                None => Resolved::Write { id: new_id(), new: true },
            }),
            Target::Criteria(criteria) => match find(criteria).await? {
                Some(version) => {
                    let named = entry.resource.as_ref().and_then(|resource| resource.get_str("id"));
                    if named.is_some_and(|id| id != version.id) {
                        let message = format!(
                            "the resource has id {}, but the criteria match {}",
                            named.unwrap_or(""),
                            version.id
                        );
                        return Err(Error::UnresolvedReference { location: entry.location.clone(), message });
                    }
                    Some(Resolved::Write { id: version.id, new: false })
                }
                None if entry.method == Method::Delete => None,
                // R4 http.html#cond-update: no match creates, under the client's id if it gives one.
                None => Some(match entry.resource.as_ref().and_then(|resource| resource.get_str("id")) {
                    Some(id) => Resolved::Write { id: id.to_owned(), new: false },
                    None => Resolved::Write { id: new_id(), new: true },
                }),
            },
        })
    }

    /// The changes of the entries at `positions`, their references rewritten.
    async fn changes(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
        resolved: &[Option<Resolved>],
    ) -> std::result::Result<Vec<Change>, EntryError> {
        let mut references: HashMap<String, String> = HashMap::new();
        for (&position, resolved) in positions.iter().zip(resolved) {
            let entry = &entries[position];
            let id = match resolved {
                Some(Resolved::Write { id, .. }) => id,
                Some(Resolved::Found(version)) => &version.id,
                None => continue,
            };
            if let Some(full_url) = &entry.full_url {
                references.insert(full_url.clone(), format!("{}/{id}", entry.resource_type));
            }
        }
        let mut changes = Vec::with_capacity(positions.len());
        for (&position, resolved) in positions.iter().zip(resolved) {
            let entry = &entries[position];
            let Some(Resolved::Write { id, new }) = resolved else { continue };
            let content = match &entry.resource {
                None => None,
                Some(resource) => {
                    let mut resource = resource.clone();
                    self.resolve_references(transaction, entry, &mut resource, &mut references)
                        .await
                        .map_err(|error| error.at(position))?;
                    Some(self.content(&entry.resource_type, id, &resource))
                }
            };
            let method = if *new {
                Method::Post
            } else if entry.method == Method::Post {
                Method::Put
            } else {
                entry.method
            };
            changes.push(Change {
                access: entry.access.clone(),
                resource_type: entry.resource_type.clone(),
                id: id.clone(),
                method,
                content,
                precondition: entry.precondition,
            });
        }
        Ok(changes)
    }

    /// Rewrites what points at other entries or is a conditional reference (`Type?criteria`).
    async fn resolve_references(
        &self,
        transaction: &Transaction<'_>,
        entry: &Entry<'_>,
        resource: &mut Value<'_>,
        references: &mut HashMap<String, String>,
    ) -> Result<()> {
        let mut conditional = Vec::new();
        rewrite(resource, references, &mut |reference| conditional.push(reference.to_owned()));
        if conditional.is_empty() {
            return Ok(());
        }
        for reference in conditional {
            if references.contains_key(&reference) {
                continue;
            }
            let Some((kind, criteria)) = reference.split_once('?') else { continue };
            let found = self.find_one(transaction, &entry.access, kind, criteria).await?;
            let Some(version) = found else {
                let message = format!("the conditional reference {reference} matches no resource");
                return Err(Error::UnresolvedReference { location: entry.location.clone(), message });
            };
            let target = format!("{kind}/{}", version.id);
            references.insert(reference, target);
        }
        rewrite(resource, references, &mut |_| {});
        Ok(())
    }
}

/// Elements whose value may be the `fullUrl` of another entry, beside `reference` (R4
/// http.html#trules: "any references, url, oid, uuid").
const LINKS: [&str; 6] = ["reference", "url", "valueUri", "valueUrl", "valueUuid", "valueOid"];

/// Replaces every link that `references` knows; tells `conditional` of the conditional ones it does
/// not know.
fn rewrite(value: &mut Value<'_>, references: &HashMap<String, String>, conditional: &mut impl FnMut(&str)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, references, conditional)),
        Value::Object(members) => {
            for (name, member) in &mut members.0 {
                match member {
                    Value::String(text) if LINKS.contains(&name.as_ref()) => match references.get(text.as_ref()) {
                        Some(target) => *text = target.clone().into(),
                        None if name == "reference" && is_conditional(text) => conditional(text),
                        None => {}
                    },
                    member => rewrite(member, references, conditional),
                }
            }
        }
        _ => {}
    }
}

fn is_conditional(reference: &str) -> bool {
    reference.split_once('?').is_some_and(|(kind, criteria)| {
        !criteria.is_empty()
            && kind.chars().all(|c| c.is_ascii_alphabetic())
            && kind.starts_with(|c: char| c.is_ascii_uppercase())
    })
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
    fn at(self, entry: usize) -> EntryError {
        EntryError { entry: Some(entry), error: self }
    }
}
