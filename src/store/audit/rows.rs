//! Audit records as columns, and the statement that inserts them.

use deadpool_postgres::GenericClient;
use salus_audit::AuditRecord;
use salus_fhir::Key;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::sql::{NO_PATIENT, SEVERAL_PATIENTS, uuid};
use crate::{Error, Result};

/// More patients than this in one event are split over several (contract, "Audit").
const PATIENTS_AN_EVENT: usize = 100;

/// Rows of `audit_event` about to be inserted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    recorded: Vec<i64>,
    patient: Vec<Uuid>,
    action: Vec<&'static str>,
    record: Vec<String>,
    // Patients of events with several lie end to end, each event knowing its slice.
    patients: Vec<Uuid>,
    patients_start: Vec<i32>,
    patients_end: Vec<i32>,
}

const APPEND: &str = "SELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8)";

impl Rows {
    /// The rows of these records, splitting those about very many patients.
    pub fn of(records: &[AuditRecord<'_>]) -> Self {
        let mut rows = Self::default();
        for record in records {
            if record.patients.len() > PATIENTS_AN_EVENT {
                record.clone().split(PATIENTS_AN_EVENT).iter().for_each(|part| rows.push(part));
            } else {
                rows.push(record);
            }
        }
        rows
    }

    fn push(&mut self, record: &AuditRecord<'_>) {
        self.recorded.push(record.recorded);
        let key = |id: &str| uuid(Key::resource("Patient", id));
        self.patient.push(match record.patients.as_slice() {
            [] => uuid(NO_PATIENT),
            [one] => key(one),
            _ => uuid(SEVERAL_PATIENTS),
        });
        self.patients_start.push(self.patients.len() as i32 + 1);
        if record.patients.len() > 1 {
            let mut keys: Vec<Uuid> = record.patients.iter().map(|id| key(id)).collect();
            keys.sort_unstable();
            keys.dedup();
            self.patients.extend(keys);
        }
        self.patients_end.push(self.patients.len() as i32);
        self.action.push(record.action());
        self.record.push(record.to_text());
    }

    /// Adds the rows of another request.
    pub fn append(&mut self, mut other: Self) {
        let shift = self.patients.len() as i32;
        self.recorded.append(&mut other.recorded);
        self.patient.append(&mut other.patient);
        self.action.append(&mut other.action);
        self.record.append(&mut other.record);
        self.patients.append(&mut other.patients);
        self.patients_start.extend(other.patients_start.iter().map(|start| start + shift));
        self.patients_end.extend(other.patients_end.iter().map(|end| end + shift));
    }

    pub fn len(&self) -> usize {
        self.recorded.len()
    }

    pub fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// The parameters of `append_audit` (`migrations/V1__store.sql`) after the tenant.
    pub fn parameters(&self) -> [&(dyn ToSql + Sync); 7] {
        [
            &self.recorded,
            &self.patient,
            &self.action,
            &self.record,
            &self.patients,
            &self.patients_start,
            &self.patients_end,
        ]
    }

    /// The error of a statement that writes rows and other things as well.
    pub fn told_apart(error: tokio_postgres::Error) -> Error {
        let context = error.as_db_error().and_then(|error| error.where_()).unwrap_or_default();
        if context.contains("append_audit") { unwritable(error) } else { error.into() }
    }

    /// Inserts all rows: one statement, so durable as a whole when run by itself.
    pub async fn insert(&self, client: &impl GenericClient, tenant: i32) -> Result<()> {
        let statement = client.prepare_cached(APPEND).await.map_err(unwritable)?;
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&tenant];
        parameters.extend(self.parameters());
        client.execute(&statement, &parameters).await.map_err(unwritable)?;
        Ok(())
    }
}

/// That the trail cannot be written is no fault of the request: it is to be told as such, and no change stays
/// without its record. A race that was lost stays one.
fn unwritable(error: tokio_postgres::Error) -> Error {
    match Error::from(error) {
        Error::Internal(message) => Error::Audit(message),
        other => other,
    }
}
