//! Rows laid out as columns: one statement writes them all, however many changes they come from.

use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::batch::{Batch, IndexRow, Row, StringRow};
use super::change::Method;

/// Writes the columns as a statement of its own; see `write_rows` in `migrations/V1__store.sql`.
pub(super) const WRITE_ROWS: &str = "SELECT write_rows($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, \
    $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38)";

/// The same with the audit records of the changes (`append_audit`): a statement that is a transaction.
pub(super) const WRITE_ROWS_AND_AUDIT: &str = "SELECT write_rows($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, \
    $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, \
    $35, $36, $37, $38), append_audit($1, $39, $40, $41, $42, $43, $44, $45)";

/// The columns of some batches. Arrays of arrays do not unnest, so keys and patients lie end to end in one array,
/// each row knowing its slice.
pub(super) struct Columns<'a> {
    rid: Vec<Uuid>,
    patient: Vec<Uuid>,
    resource_type: Vec<&'a str>,
    id: Vec<&'a str>,
    version: Vec<i32>,
    updated: Vec<i64>,
    sort: Vec<i64>,
    deleted: Vec<bool>,
    method: Vec<&'static str>,
    body: Vec<Option<&'a str>>,
    keys: Vec<Uuid>,
    key_slices: Slices,
    indexed: Vec<i32>,
    patients: Vec<&'a str>,
    patient_slices: Slices,
    replaced: Vec<Uuid>,
    removed: IndexColumns,
    added: IndexColumns,
    strings: StringColumns<'a>,
    made_with: i64,
    in_place: bool,
}

/// Where each row's slice of an array begins and ends, as SQL counts: from one, both included.
#[derive(Default)]
struct Slices {
    start: Vec<i32>,
    end: Vec<i32>,
}

#[derive(Default)]
struct IndexColumns {
    key: Vec<Uuid>,
    sort: Vec<i64>,
    rid: Vec<Uuid>,
    low: Vec<i64>,
    high: Vec<Option<i64>>,
    patient: Vec<Uuid>,
}

struct StringColumns<'a> {
    key: Vec<Uuid>,
    value: Vec<&'a str>,
    rid: Vec<Uuid>,
    ordinal: Vec<i16>,
    exact: Vec<&'a str>,
    sort: Vec<i64>,
    patient: Vec<Uuid>,
}

impl<'a> Columns<'a> {
    /// The rows of all batches in the order of their primary keys: no two transactions wait for each other's
    /// locks, and what lies together in the index is written together.
    pub fn of(batches: impl IntoIterator<Item = &'a Batch> + Clone) -> Self {
        let mut rows: Vec<&Row> = batches.clone().into_iter().flat_map(|batch| &batch.rows).collect();
        rows.sort_unstable_by_key(|row| row.rid);
        let index = |of: fn(&Batch) -> &Vec<IndexRow>| {
            let mut rows: Vec<IndexRow> = batches.clone().into_iter().flat_map(of).copied().collect();
            rows.sort_unstable();
            IndexColumns::of(&rows)
        };
        let (removed, added) = (index(|batch| &batch.removed), index(|batch| &batch.added));
        let made_with = batches.clone().into_iter().filter_map(|batch| batch.made_with).min().unwrap_or(i64::MAX);
        let in_place = batches.clone().into_iter().any(|batch| batch.in_place);
        let strings: Vec<&StringRow> = batches.into_iter().flat_map(|batch| &batch.strings).collect();
        Self {
            rid: column(&rows, |row| row.rid),
            patient: column(&rows, |row| row.patient),
            resource_type: column(&rows, |row| row.resource_type.as_str()),
            id: column(&rows, |row| row.id.as_str()),
            version: column(&rows, |row| row.version),
            updated: column(&rows, |row| row.updated),
            sort: column(&rows, |row| row.sort),
            deleted: column(&rows, |row| row.method == Method::Delete),
            method: column(&rows, |row| row.method.as_str()),
            body: column(&rows, |row| row.body.as_deref()),
            keys: rows.iter().flat_map(|row| row.keys.iter().copied()).collect(),
            key_slices: Slices::of(rows.iter().map(|row| row.keys.len())),
            indexed: column(&rows, |row| row.indexed),
            patients: rows.iter().flat_map(|row| row.patients.iter().map(String::as_str)).collect(),
            patient_slices: Slices::of(rows.iter().map(|row| row.patients.len())),
            replaced: rows.iter().filter(|row| row.version > 1).map(|row| row.rid).collect(),
            removed,
            added,
            strings: StringColumns::of(&strings),
            made_with,
            in_place,
        }
    }

    /// The parameters of [`WRITE_ROWS`].
    pub fn parameters<'p>(&'p self, tenant: &'p i32) -> Vec<&'p (dyn ToSql + Sync)> {
        let Self { removed, added, strings, .. } = self;
        let mut parameters: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(PARAMETERS);
        parameters.extend_from_slice(&[
            tenant,
            &self.rid,
            &self.patient,
            &self.resource_type,
            &self.id,
            &self.version,
            &self.updated,
            &self.sort,
            &self.deleted,
            &self.method,
            &self.body,
            &self.keys,
            &self.key_slices.start,
            &self.key_slices.end,
            &self.indexed,
            &self.patients,
            &self.patient_slices.start,
            &self.patient_slices.end,
            &self.replaced,
        ]);
        parameters.extend_from_slice(&[&removed.key, &removed.sort, &removed.rid, &removed.low]);
        parameters.extend_from_slice(&[&added.key, &added.sort, &added.rid, &added.low, &added.high, &added.patient]);
        parameters.extend_from_slice(&[
            &strings.key,
            &strings.value,
            &strings.rid,
            &strings.ordinal,
            &strings.exact,
            &strings.sort,
            &strings.patient,
            &self.made_with,
            &self.in_place,
        ]);
        parameters
    }
}

/// How many there are, with those of the audit.
const PARAMETERS: usize = 45;

fn column<'a, T>(rows: &[&'a Row], of: impl Fn(&'a Row) -> T) -> Vec<T> {
    rows.iter().map(|row| of(row)).collect()
}

impl Slices {
    fn of(lengths: impl Iterator<Item = usize>) -> Self {
        let mut slices = Self::default();
        let mut end = 0;
        for length in lengths {
            slices.start.push(end + 1);
            end += i32::try_from(length).unwrap_or(i32::MAX);
            slices.end.push(end);
        }
        slices
    }
}

impl IndexColumns {
    fn of(rows: &[IndexRow]) -> Self {
        Self {
            key: rows.iter().map(|row| row.key).collect(),
            sort: rows.iter().map(|row| row.sort).collect(),
            rid: rows.iter().map(|row| row.rid).collect(),
            low: rows.iter().map(|row| row.low).collect(),
            high: rows.iter().map(|row| row.high).collect(),
            patient: rows.iter().map(|row| row.patient).collect(),
        }
    }
}

impl<'a> StringColumns<'a> {
    fn of(rows: &[&'a StringRow]) -> Self {
        Self {
            key: rows.iter().map(|row| row.key).collect(),
            value: rows.iter().map(|row| row.value.as_str()).collect(),
            rid: rows.iter().map(|row| row.rid).collect(),
            ordinal: rows.iter().map(|row| row.ordinal).collect(),
            exact: rows.iter().map(|row| row.exact.as_str()).collect(),
            sort: rows.iter().map(|row| row.sort).collect(),
            patient: rows.iter().map(|row| row.patient).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_follow_each_other() {
        let slices = Slices::of([2, 0, 3].into_iter());
        assert_eq!((slices.start, slices.end), (vec![1, 3, 3], vec![2, 2, 5]));
    }
}
