//! Putting the facts of stored versions right, without writing new ones.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use uuid::Uuid;

use super::batch::{Batch, Row};
use super::change::Method;
use super::look::{Current, Entries};
use crate::facts::Facts;
use crate::sql::{uuid, uuids};
use crate::{Result, Store};

/// An entry of `search_string`: key, value, exact value, natural date and patient.
pub(crate) type Strings = (Uuid, String, String, i64, Uuid);

/// A version whose facts are not what they should be.
pub(crate) struct Rewrite {
    pub resource_type: String,
    pub id: String,
    pub version: i32,
    pub updated: i64,
    pub sort: i64,
    pub deleted: bool,
    /// What they should be.
    pub facts: Facts,
    /// Under which patient and natural date its index entries stand, and which these are.
    pub there: (Uuid, i64, Entries),
}

/// Locks those rows that are at these versions still, in the order that all lock rows in.
const LOCK: &str = "
    SELECT r.rid FROM resource r JOIN unnest($2::uuid[], $3::int4[]) u(rid, version) USING (rid, version)
    WHERE r.tenant = $1 ORDER BY r.rid FOR NO KEY UPDATE OF r";

impl Store {
    /// Puts these right as far as they are the current versions still: the others were written with what is in force.
    /// `made_with` is the state of the search parameters that the facts were taken by. Gives how many it were.
    ///
    /// # Errors
    /// [`crate::Error::DefinitionsChanged`] where the state is another.
    pub(crate) async fn rewrite(
        &self,
        transaction: &Transaction<'_>,
        rewrites: &[Rewrite],
        made_with: i64,
    ) -> Result<i64> {
        if rewrites.is_empty() {
            return Ok(0);
        }
        let rids: Vec<Uuid> = rewrites.iter().map(|one| uuid(one.facts.rid)).collect();
        let versions: Vec<i32> = rewrites.iter().map(|one| one.version).collect();
        let statement = transaction.prepare_cached(LOCK).await?;
        let locked = transaction.query(&statement, &[&self.tenant(), &rids, &versions]).await?;
        let locked: HashSet<Uuid> =
            locked.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, tokio_postgres::Error>>()?;
        let mut batch = Batch::in_place(made_with);
        for one in rewrites.iter().filter(|one| locked.contains(&uuid(one.facts.rid))) {
            one.push(&mut batch);
        }
        batch.write(transaction, self.tenant()).await?;
        Ok(locked.len() as i64)
    }
}

impl Rewrite {
    fn push(&self, batch: &mut Batch) {
        let row = Row {
            rid: uuid(self.facts.rid),
            patient: uuid(self.facts.patient),
            resource_type: self.resource_type.clone(),
            id: self.id.clone(),
            version: self.version,
            updated: self.updated,
            sort: self.sort,
            method: if self.deleted { Method::Delete } else { Method::Put },
            keys: uuids(&self.facts.keys),
            indexed: i32::try_from(self.facts.indexed).unwrap_or(i32::MAX),
            patients: self.facts.patients.clone(),
            body: None,
        };
        let (patient, sort, entries) = &self.there;
        batch.index(&self.facts, &row, Some(&Current::indexed(*patient, *sort, entries.clone())));
        batch.rows.push(row);
    }
}
