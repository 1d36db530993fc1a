//! Audit records as columns, and the statement that inserts them.

use deadpool_postgres::GenericClient;
use salus_audit::AuditRecord;
use salus_fhir::Key;
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
    patients: Vec<Uuid>,
    patients_end: Vec<i32>,
}

// Patients of events with several lie end to end in $5, each event knowing its slice.
const INSERT: &str = "
    WITH u AS MATERIALIZED (
        SELECT nextval('audit_seq') AS seq, recorded, patient, action, record, first, last
        FROM unnest($2::int8[], $3::uuid[], $8::text[], $4::text[], $6::int4[], $7::int4[])
             AS u(recorded, patient, action, record, first, last)
    ), event AS (
        INSERT INTO audit_event (tenant, seq, recorded, patient, action, record)
        SELECT $1, seq, recorded, patient, action, record FROM u
    )
    INSERT INTO audit_patient (tenant, patient, seq)
    SELECT $1, p, u.seq FROM u, unnest(($5::uuid[])[u.first:u.last]) AS p";

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
        self.patients_end.extend(other.patients_end.iter().map(|end| end + shift));
    }

    pub fn len(&self) -> usize {
        self.recorded.len()
    }

    pub fn is_empty(&self) -> bool {
        self.recorded.is_empty()
    }

    /// Prepares the statement, so that [`Self::insert`] sends it when first polled.
    pub async fn prepare(&self, client: &impl GenericClient) -> Result<()> {
        client.prepare_cached(INSERT).await.map_err(unwritable)?;
        Ok(())
    }

    /// Inserts all rows: one statement, so durable as a whole when run by itself.
    pub async fn insert(&self, client: &impl GenericClient, tenant: i32) -> Result<()> {
        let first: Vec<i32> =
            std::iter::once(0).chain(self.patients_end.iter().copied()).map(|end| end + 1).take(self.len()).collect();
        let statement = client.prepare_cached(INSERT).await.map_err(unwritable)?;
        client
            .execute(
                &statement,
                &[
                    &tenant,
                    &self.recorded,
                    &self.patient,
                    &self.record,
                    &self.patients,
                    &first,
                    &self.patients_end,
                    &self.action,
                ],
            )
            .await
            .map_err(unwritable)?;
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
