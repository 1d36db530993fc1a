//! Accounting: what a request disclosed, changed or was refused, as audit records.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use salus_access::{Interaction, Principal};
use salus_audit::{Alert, AuditKind, AuditRecord, Entity, Outcome};
use salus_store::Written;
use salus_store::write::Method;

use crate::failure::Failure;
use crate::request::FhirRequest;
use crate::route::Route;

/// Who asks, from where, under which request id.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The principal of the access token; `None` where there was no valid one.
    pub principal: Option<std::sync::Arc<Principal>>,
    /// Network address.
    pub address: Option<IpAddr>,
    /// `X-Request-Id`, the caller's or ours.
    pub request_id: String,
}

/// Most patients or entities that a record names one by one before it is split.
const UNKNOWN_TARGET: &str = "";

impl Caller {
    /// A record of `kind` for this caller, nothing else filled in but when.
    pub fn record(&self, kind: AuditKind, interaction: Interaction) -> AuditRecord<'static> {
        let record = AuditRecord::new(kind, interaction.code());
        let mut record = match &self.principal {
            Some(principal) => record.by(principal),
            None => record,
        };
        record.recorded = now();
        record.address = self.address.map(|address| address.to_string().into());
        record.request_id = self.request_id.as_str().into();
        if let Interaction::Operation(operation) = interaction {
            record.operation = Some(operation.name.into());
        }
        record.into_owned()
    }

    /// The record of one resource shown.
    pub fn shown(
        &self,
        route: &Route,
        request: &FhirRequest<'_>,
        version: i32,
        patients: &[String],
    ) -> AuditRecord<'static> {
        let mut record = self.record(AuditKind::Read, route.interaction);
        record.status = 200;
        record.patients = patients.iter().map(|id| id.clone().into()).collect();
        if let Some(reference) = route.reference() {
            record.entities.push(Entity::data(reference, u64::try_from(version).ok()));
        }
        record.query = Some(format!("{} {}", verb(request), request.target()).into());
        record
    }

    /// The record of a search or history that showed these patients' data.
    pub fn listed<'p>(
        &self,
        kind: AuditKind,
        route: &Route,
        request: &FhirRequest<'_>,
        patients: impl Iterator<Item = &'p String>,
    ) -> AuditRecord<'static> {
        let mut record = self.record(kind, route.interaction);
        record.status = 200;
        let mut patients: Vec<&String> = patients.collect();
        patients.sort_unstable();
        patients.dedup();
        record.patients = patients.into_iter().map(|id| id.clone().into()).collect();
        record.query = Some(format!("{} {}", verb(request), request.target()).into());
        record
    }

    /// The record of one write.
    pub fn wrote(&self, interaction: Interaction, written: &Written) -> AuditRecord<'static> {
        let kind = match written.method {
            _ if !written.changed => AuditKind::Query,
            Method::Delete => AuditKind::Delete,
            _ if written.created => AuditKind::Create,
            _ => AuditKind::Update,
        };
        let mut record = self.record(kind, interaction);
        record.status = match (written.method, written.created) {
            (Method::Delete, _) => 204,
            (_, true) => 201,
            (_, false) => 200,
        };
        record.patients = written.patients.iter().map(|id| id.clone().into()).collect();
        if !written.id.is_empty() {
            let reference = format!("{}/{}", written.resource_type, written.id);
            record.entities.push(Entity::data(reference, u64::try_from(written.version).ok()));
        }
        record
    }

    /// The record of a request that failed or was refused.
    pub fn failed(&self, route: Option<&Route>, request: &FhirRequest<'_>, failure: &Failure) -> AuditRecord<'static> {
        let interaction = route.map_or(Interaction::Capabilities, |route| route.interaction);
        let kind = match (failure.status, interaction) {
            (401 | 403, _) => AuditKind::AccessDenied,
            (_, Interaction::Read | Interaction::Vread) => AuditKind::Read,
            (_, Interaction::HistoryInstance | Interaction::HistoryType | Interaction::HistorySystem) => {
                AuditKind::History
            }
            (_, Interaction::Create | Interaction::ConditionalCreate) => AuditKind::Create,
            (
                _,
                Interaction::Update
                | Interaction::ConditionalUpdate
                | Interaction::Patch
                | Interaction::ConditionalPatch,
            ) => AuditKind::Update,
            (_, Interaction::Delete | Interaction::ConditionalDelete) => AuditKind::Delete,
            (_, Interaction::Operation(_) | Interaction::Batch | Interaction::Transaction) => AuditKind::Operation,
            (_, Interaction::SearchType | Interaction::SearchSystem | Interaction::Capabilities) => AuditKind::Query,
        };
        let mut record = self.record(kind, interaction);
        record.status = failure.status;
        record.outcome = Outcome::of_status(failure.status);
        record.outcome_description = Some(failure.summary().into());
        record.query = Some(format!("{} {}", verb(request), request.target()).into());
        if let Some(reference) = route.and_then(Route::reference) {
            record.entities.push(Entity::data(reference, None));
        }
        record
    }
}

fn verb(request: &FhirRequest<'_>) -> &'static str {
    request.verb.map_or(UNKNOWN_TARGET, crate::request::Verb::as_str)
}

/// Now, microseconds since 1970-01-01T00:00:00Z.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Notices many unknown ids or bad tokens of one client or address in a minute (contract, "Audit").
#[derive(Debug, Default)]
pub struct Probing(Mutex<HashMap<(String, bool), (Instant, u32)>>);

/// Unknown ids in a minute that are worth an alert.
const UNKNOWN_IDS: u32 = 50;
/// Bad tokens in a minute that are worth an alert.
const BAD_TOKENS: u32 = 20;
const MINUTE: Duration = Duration::from_secs(60);
/// Most clients and addresses watched at a time.
const WATCHED: usize = 10_000;

impl Probing {
    /// Counts a failed request; `Some` when this one crosses the line, once a minute.
    pub fn count(&self, caller: &Caller, failure: &Failure) -> Option<Alert> {
        let bad_token = match failure.status {
            401 => true,
            404 | 410 => false,
            _ => return None,
        };
        let who = match (&caller.principal, caller.address) {
            (Some(principal), _) => principal.client_id.clone(),
            (None, Some(address)) => address.to_string(),
            (None, None) => return None,
        };
        let mut watched = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if watched.len() >= WATCHED {
            watched.retain(|_, (since, _)| since.elapsed() < MINUTE);
        }
        let (since, count) = watched.entry((who, bad_token)).or_insert((Instant::now(), 0));
        if since.elapsed() >= MINUTE {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
        match (bad_token, *count) {
            (true, BAD_TOKENS) => Some(Alert::TokenGuessing),
            (false, UNKNOWN_IDS) => Some(Alert::IdProbing),
            _ => None,
        }
    }
}
