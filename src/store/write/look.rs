//! Looking at what is about to be changed.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;
use uuid::Uuid;

use super::batch::IndexRow;
use super::change::Change;
use crate::predicate::View;
use crate::read::Reading;
use crate::sql::{Sql, uuid};
use crate::{Error, Result, Store};

/// What is particular of rows in `search_index`: `key`, `low` and `high`.
pub(crate) type Entries = Vec<(Uuid, i64, Option<i64>)>;

/// Joins to `resource r` the entries of each row as `e`, an array of each column, as [`entries`] reads them.
pub(crate) const WITH_ENTRIES: &str = "LEFT JOIN LATERAL (SELECT array_agg(x.key), array_agg(x.low), array_agg(x.high) \
     FROM unnest(r.keys[1:r.indexed]) k(key) JOIN search_index x ON x.tenant = r.tenant AND x.key = k.key \
     AND x.sort = r.sort AND x.rid = r.rid) e ON true";

/// The entries that [`WITH_ENTRIES`] joined, the first of their columns at `first`.
pub(crate) fn entries(row: &Row, first: usize) -> Result<Entries> {
    let keys: Option<Vec<Uuid>> = row.try_get(first)?;
    let lows: Option<Vec<i64>> = row.try_get(first + 1)?;
    let highs: Option<Vec<Option<i64>>> = row.try_get(first + 2)?;
    let (keys, lows, highs) = (keys.into_iter().flatten(), lows.into_iter().flatten(), highs.into_iter().flatten());
    Ok(keys.zip(lows).zip(highs).map(|((key, low), high)| (key, low, high)).collect())
}

/// The current row of something about to be changed.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub version: i32,
    pub updated: i64,
    pub deleted: bool,
    /// Whether the caller's predicate admits it.
    pub visible: bool,
    pub patient: Uuid,
    pub patients: Vec<String>,
    pub sort: i64,
    /// What is particular of its rows in `search_index`: `key`, `low` and `high`.
    entries: Entries,
}

impl Current {
    /// A row of which only its place in the index matters: under which patient and natural date its entries stand.
    pub(super) fn indexed(patient: Uuid, sort: i64, entries: Entries) -> Self {
        let (version, updated, deleted, visible, patients) = (0, 0, false, true, Vec::new());
        Self { version, updated, deleted, visible, patient, patients, sort, entries }
    }

    /// Its rows in `search_index`.
    pub(super) fn index_rows(&self, rid: Uuid) -> impl Iterator<Item = IndexRow> {
        let &Self { sort, patient, .. } = self;
        self.entries.iter().map(move |&(key, low, high)| IndexRow { key, sort, rid, low, high, patient })
    }
}

// The index rows are those of the very version that was found: it is one statement with one snapshot, so it must
// not lock, which could bring a newer version.
impl Reading for Current {
    fn write(tenant: i32, rids: &[Uuid], predicate: &str, sql: &mut Sql) {
        sql.push("SELECT r.rid, r.version, r.updated, r.deleted, r.patient, r.patients, r.sort, (").push(predicate);
        sql.push("), e.* FROM resource r ").push(WITH_ENTRIES).push(" WHERE r.tenant = ");
        sql.bind(tenant).push(" AND r.rid = ANY(").bind(rids).push(")");
    }

    fn from_row(row: &Row, _resource_type: String, _id: String) -> Result<Self> {
        Ok(Self {
            version: row.try_get(1)?,
            updated: row.try_get(2)?,
            deleted: row.try_get(3)?,
            patient: row.try_get(4)?,
            patients: row.try_get(5)?,
            sort: row.try_get(6)?,
            visible: row.try_get(7)?,
            entries: entries(row, 8)?,
        })
    }
}

/// Locks rows, in one order everywhere, so that no two requests wait for each other.
pub(super) const LOCK: &str = "SELECT FROM resource WHERE tenant = $1 AND rid = ANY($2) ORDER BY rid FOR UPDATE";

impl Store {
    /// The current row of what `change` is about, as far as there can be one, at some moment: whoever acts on it
    /// has to see to it that it still is current.
    pub(super) async fn look(&self, change: &Change) -> Result<Option<Current>> {
        match change.is_new() {
            true => Ok(None),
            false => self.looker().read(&change.access, &change.resource_type, &change.id).await,
        }
    }

    /// Locks the rows that may exist already, in one order everywhere so that no two requests wait for
    /// each other, and says what they are and whether the caller may see each.
    pub(super) async fn lock(
        &self,
        transaction: &Transaction<'_>,
        changes: &[Change],
    ) -> Result<HashMap<Uuid, Current>> {
        let mut groups: HashMap<(&str, salus_fhir::Key), Vec<&Change>> = HashMap::new();
        for change in changes.iter().filter(|change| !change.is_new()) {
            groups.entry((change.resource_type.as_str(), change.access.fingerprint())).or_default().push(change);
        }
        let rids: Vec<Uuid> = groups.values().flatten().map(|change| uuid(change.rid())).collect();
        if rids.is_empty() {
            return Ok(HashMap::new());
        }
        let lock = transaction.prepare_cached(LOCK).await?;
        transaction.execute(&lock, &[&self.tenant(), &rids]).await?;
        let mut current = HashMap::new();
        for ((resource_type, _), group) in groups {
            let rids: Vec<Uuid> = group.iter().map(|change| uuid(change.rid())).collect();
            let sql = looking(&self.view(&group[0].access), resource_type, &rids);
            let statement = transaction.prepare_cached(&sql.text).await?;
            for row in transaction.query(&statement, &sql.params()).await? {
                let found = Current::from_row(&row, String::new(), String::new())?;
                current.insert(row.try_get(0).map_err(Error::from)?, found);
            }
        }
        Ok(current)
    }
}

fn looking(view: &View<'_>, resource_type: &str, rids: &[Uuid]) -> Sql {
    let mut sql = Sql::default();
    view.write(resource_type, "r", &mut sql);
    let predicate = std::mem::take(&mut sql.text);
    Current::write(view.access.tenant(), rids, &predicate, &mut sql);
    sql
}
