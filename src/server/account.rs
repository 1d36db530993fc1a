//! Accounting: what a request disclosed, changed or was refused, as audit records.

use std::net::IpAddr;

use salus_access::{Interaction, Principal};
use salus_audit::{AuditKind, AuditRecord, Entity, Outcome};
use salus_store::Written;
use salus_store::write::Method;

use crate::failure::Failure;
use crate::request::FhirRequest;
use crate::request_patients::Attempt;
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

    /// The record of the CapabilityStatement shown.
    pub fn described(&self, request: &FhirRequest<'_>) -> AuditRecord<'static> {
        let mut record = self.record(AuditKind::Read, Interaction::Capabilities);
        record.status = 200;
        record.query = Some(format!("{} {}", verb(request), request.target()).into());
        record
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

    /// The record of a request that failed or was refused, about the patients it named.
    pub fn failed(
        &self,
        route: Option<&Route>,
        request: &FhirRequest<'_>,
        attempt: Attempt,
        failure: &Failure,
    ) -> AuditRecord<'static> {
        let interaction = attempt.interaction.or(route.map(|route| route.interaction));
        let interaction = interaction.unwrap_or(Interaction::Capabilities);
        let kind = match failure.status {
            401 | 403 => AuditKind::AccessDenied,
            _ => kind_of(interaction),
        };
        let mut record = self.record(kind, interaction);
        record.status = failure.status;
        record.outcome = Outcome::of_status(failure.status);
        record.outcome_description = Some(failure.summary().into());
        record.patients = attempt.patients.into_iter().map(Into::into).collect();
        record.query = Some(format!("{} {}", verb(request), request.target()).into());
        if let Some(reference) = route.and_then(Route::reference) {
            record.entities.push(Entity::data(reference, None));
        }
        record
    }
}

/// What an interaction would have come to.
fn kind_of(interaction: Interaction) -> AuditKind {
    match interaction {
        Interaction::Read | Interaction::Vread | Interaction::Capabilities => AuditKind::Read,
        Interaction::HistoryInstance | Interaction::HistoryType | Interaction::HistorySystem => AuditKind::History,
        Interaction::Create | Interaction::ConditionalCreate => AuditKind::Create,
        Interaction::Update | Interaction::ConditionalUpdate | Interaction::Patch | Interaction::ConditionalPatch => {
            AuditKind::Update
        }
        Interaction::Delete | Interaction::ConditionalDelete => AuditKind::Delete,
        Interaction::Operation(_) | Interaction::Batch | Interaction::Transaction => AuditKind::Operation,
        Interaction::SearchType | Interaction::SearchSystem => AuditKind::Query,
    }
}

/// The method; empty where it is none of HTTP's that FHIR knows.
fn verb(request: &FhirRequest<'_>) -> &'static str {
    request.verb.map_or("", crate::request::Verb::as_str)
}

/// Now, microseconds since 1970-01-01T00:00:00Z.
pub fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
