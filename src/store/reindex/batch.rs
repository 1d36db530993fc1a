//! A batch of resources: what their facts are and should be.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use salus_fhir::Definitions;
use salus_fhir::json::{Limits, parse};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::Result;
use crate::facts::Facts;
use crate::sql::{uuid, uuids};
use crate::write::{Entries, Rewrite, Strings, WITH_ENTRIES, entries};

/// Where in a type a job is: last change and key of the last row it has looked at.
pub(super) type Place = (i64, Uuid);

/// Resources in the order of their last change, with their index rows. Of a deleted one the body of its last version
/// is taken: its facts say who may know that it was there.
fn rows() -> String {
    format!(
        "SELECT r.rid, r.id, r.version, r.updated, r.sort, r.deleted, r.patient, r.patients, r.keys, r.indexed,
                coalesce(r.body, (SELECT h.body FROM resource_history h WHERE h.tenant = r.tenant AND h.rid = r.rid
                                  AND h.body IS NOT NULL ORDER BY h.version DESC LIMIT 1)),
                e.*
         FROM resource r {WITH_ENTRIES}
         WHERE r.tenant = $1 AND r.type COLLATE \"POSIX\" = $2 AND (r.updated, r.rid) > ($3, $4) AND r.updated <= $5
         ORDER BY r.updated, r.rid LIMIT $6"
    )
}

const STRINGS: &str = "SELECT rid, key, value, exact, sort, patient FROM search_string
                       WHERE tenant = $1 AND rid = ANY($2) ORDER BY rid, key, value, ordinal";

/// A resource as it is stored and indexed.
pub(super) struct Stored {
    pub rid: Uuid,
    pub updated: i64,
    id: String,
    version: i32,
    sort: i64,
    deleted: bool,
    patient: Uuid,
    patients: Vec<String>,
    keys: Vec<Uuid>,
    indexed: i32,
    body: Option<String>,
    entries: Entries,
    strings: Vec<Strings>,
}

impl Stored {
    fn from_row(row: &Row) -> Result<Self> {
        Ok(Self {
            rid: row.try_get(0)?,
            id: row.try_get(1)?,
            version: row.try_get(2)?,
            updated: row.try_get(3)?,
            sort: row.try_get(4)?,
            deleted: row.try_get(5)?,
            patient: row.try_get(6)?,
            patients: row.try_get(7)?,
            keys: row.try_get(8)?,
            indexed: row.try_get(9)?,
            body: row.try_get(10)?,
            entries: entries(row, 11)?,
            strings: Vec::new(),
        })
    }
}

/// The next resources of a type after `after` that last changed up to `bound`.
pub(super) async fn fetch(
    client: &impl GenericClient,
    tenant: i32,
    resource_type: &str,
    after: Place,
    bound: i64,
    most: i64,
) -> Result<Vec<Stored>> {
    let statement = client.prepare_cached(&rows()).await?;
    let rows = client.query(&statement, &[&tenant, &resource_type, &after.0, &after.1, &bound, &most]).await?;
    let mut stored: Vec<Stored> = rows.iter().map(Stored::from_row).collect::<Result<_>>()?;
    let rids: Vec<Uuid> = stored.iter().map(|one| one.rid).collect();
    let statement = client.prepare_cached(STRINGS).await?;
    let mut strings: HashMap<Uuid, Vec<_>> = HashMap::new();
    for row in client.query(&statement, &[&tenant, &rids]).await? {
        let text = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        strings.entry(row.try_get(0)?).or_default().push(text);
    }
    for one in &mut stored {
        one.strings = strings.remove(&one.rid).unwrap_or_default();
    }
    Ok(stored)
}

/// What has to be put right of a resource; `None` where nothing has, or can be.
pub(super) fn rewrite(definitions: &Arc<Definitions>, base: &str, kind: &str, stored: &Stored) -> Option<Rewrite> {
    let body = stored.body.as_ref()?;
    let resource = match parse(body, &Limits::default()) {
        Ok(resource) => resource,
        Err(error) => {
            // It stays as it is; the others are not to wait for it.
            tracing::error!(row = %stored.rid, error = %error.kind, "a stored resource cannot be read");
            return None;
        }
    };
    let mut facts = Facts::of(definitions, base, kind, &stored.id, &resource);
    if stored.deleted {
        // Searches do not find it.
        (facts.indexed, facts.sort) = (0, Some(stored.sort));
        facts.entries.clear();
        facts.strings.clear();
    }
    let sort = facts.sort.unwrap_or(stored.sort);
    let (keys, patient) = (uuids(&facts.keys), uuid(facts.patient));
    let mut there = stored.entries.clone();
    let mut to_be: Vec<_> = facts.entries.iter().map(|one| (uuid(one.key), one.low, one.high)).collect();
    there.sort_unstable();
    to_be.sort_unstable();
    let mut strings: Vec<Strings> =
        facts.strings.iter().map(|one| (uuid(one.key), one.value.clone(), one.exact.clone(), sort, patient)).collect();
    let mut strings_there = stored.strings.clone();
    strings.sort_unstable();
    strings_there.sort_unstable();
    let same = keys == stored.keys
        && i32::try_from(facts.indexed) == Ok(stored.indexed)
        && (patient, sort, &facts.patients) == (stored.patient, stored.sort, &stored.patients)
        && (there, strings_there) == (to_be, strings);
    (!same).then(|| Rewrite {
        resource_type: kind.to_owned(),
        id: stored.id.clone(),
        version: stored.version,
        updated: stored.updated,
        sort,
        deleted: stored.deleted,
        facts,
        there: (stored.patient, stored.sort, stored.entries.clone()),
    })
}
