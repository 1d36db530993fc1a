//! Patches: the next version made from the current one, under its lock (R4 http.html#patch).
//!
//! The current version is read once its row is locked, and the row stays locked until the transaction
//! ends, so that nothing comes between what a patch saw and what it writes.

use std::collections::HashMap;
use std::fmt;

use deadpool_postgres::Transaction;
use salus_fhir::Key;
use salus_fhir::json::{Limits, Value, parse};
use uuid::Uuid;

use super::change::Precondition;
use super::look::LOCK;
use super::transaction::{Entry, EntryError, Resolved};
use crate::row::Version;
use crate::sql::uuid;
use crate::{Error, Result, Store};

/// Makes the next version of a resource from the current one.
pub trait Revise: Send + Sync + fmt::Debug {
    /// The next version. May be called again, where the transaction lost a race.
    ///
    /// # Errors
    /// [`Error::Patch`] where it cannot be made from this one, [`Error::Invalid`] where it would be no
    /// resource that can be stored.
    fn revise<'v>(&'v self, current: Value<'v>) -> Result<Value<'v>>;
}

impl Store {
    /// The new contents of those entries at `positions` that revise what is there. One that leaves it as
    /// it is turns out to write nothing, and is [`Resolved::Found`] from then on.
    pub(super) async fn revise(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
        resolved: &mut [Resolved],
    ) -> std::result::Result<HashMap<usize, Value<'static>>, EntryError> {
        let mut revised = HashMap::new();
        if positions.iter().all(|&position| entries[position].revision.is_none()) {
            return Ok(revised);
        }
        self.lock_all(transaction, entries, positions, resolved).await?;
        for (&position, resolved) in positions.iter().zip(resolved) {
            let (entry, Resolved::Put(id)) = (&entries[position], &*resolved) else { continue };
            let Some(revision) = &entry.revision else { continue };
            let current = self.read_with(transaction, &entry.access, &entry.resource_type, id).await;
            let current = current.map_err(|error| error.at(position))?;
            expect(entry, &current).map_err(|error| error.at(position))?;
            match next(&**revision, &current).map_err(|error| error.at(position))? {
                Some(next) => _ = revised.insert(position, next),
                None => *resolved = Resolved::Found(current),
            }
        }
        Ok(revised)
    }

    /// Locks every row that the entries may change, in one order everywhere, before the first is read.
    async fn lock_all(
        &self,
        transaction: &Transaction<'_>,
        entries: &[Entry<'_>],
        positions: &[usize],
        resolved: &[Resolved],
    ) -> Result<()> {
        let rid = |(&position, resolved): (&usize, &Resolved)| match resolved {
            Resolved::Put(id) => Some(uuid(Key::resource(&entries[position].resource_type, id))),
            _ => None,
        };
        let rids: Vec<Uuid> = positions.iter().zip(resolved).filter_map(rid).collect();
        let lock = transaction.prepare_cached(LOCK).await?;
        transaction.execute(&lock, &[&self.tenant(), &rids]).await?;
        Ok(())
    }
}

/// `If-Match` comes before the patch: one for another version is not tried on this.
fn expect(entry: &Entry<'_>, current: &Version) -> Result<()> {
    match entry.precondition {
        Precondition::None | Precondition::Present => Ok(()),
        Precondition::Version(version) if version == current.version => Ok(()),
        Precondition::Version(_) | Precondition::Absent => Err(Error::VersionConflict {
            resource_type: current.resource_type.clone(),
            id: current.id.clone(),
            current: current.version,
        }),
    }
}

/// The next version; None where it is the current one.
fn next(revision: &dyn Revise, current: &Version) -> Result<Option<Value<'static>>> {
    let body = current.body.as_deref().unwrap_or_default();
    let stored = parse(body, &Limits::default());
    let stored =
        stored.map_err(|error| Error::Internal(format!("a stored resource cannot be read: {}", error.kind)))?;
    let next = revision.revise(stored.clone())?;
    Ok((next != stored).then(|| next.into_static()))
}
