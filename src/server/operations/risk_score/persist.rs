//! `persist=true`: the RiskAssessment and its Provenance, stored in one transaction with the records.

use salus_access::Interaction;
use salus_analytics::Model;
use salus_analytics::risk_assessment::{ProvenanceContext, Requester, provenance};
use salus_audit::{AuditRecord, Entity};
use salus_fhir::json::{self, Limits};
use salus_fhir::outcome::IssueCode;
use salus_store::write::transaction::new_id;
use salus_store::write::{Change, Method};
use salus_store::{Precondition, Written};

use super::{Scored, record};
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::response::FhirResponse;

/// Stores what was scored, if the caller may create both resources.
pub(super) async fn store(act: &Act<'_>, model: &Model, scored: &Scored) -> Result<Done, Failure> {
    let assessment = change(act, "RiskAssessment", &scored.text).await?;
    let context = ProvenanceContext {
        id: Some(new_id()),
        target: format!("RiskAssessment/{}", assessment.id),
        recorded: crate::account::now(),
        requester: requester(act),
    };
    let provenance = change(act, "Provenance", &provenance(model, &scored.prediction, &context)).await?;
    let audit = |written: &[Written]| {
        let mut records: Vec<AuditRecord<'static>> =
            written.iter().map(|one| act.caller.wrote(Interaction::Create, one)).collect();
        let mut used = record(act, model, std::slice::from_ref(scored));
        used.entities.extend(written.first().map(|one| Entity::data(format!("RiskAssessment/{}", one.id), Some(1))));
        records.push(used);
        records
    };
    let written = act.app.store.commit(&[assessment, provenance], audit).await?;
    let stored = written.first().ok_or_else(|| Failure::new(500, IssueCode::Exception, "nothing was stored"))?;
    let mut response = FhirResponse::written(stored);
    response.body = stored.body.clone().unwrap_or_default();
    Ok(response.into())
}

async fn change(act: &Act<'_>, resource_type: &str, text: &str) -> Result<Change, Failure> {
    let principal = act
        .caller
        .principal
        .as_ref()
        .ok_or_else(|| Failure::new(401, IssueCode::Login, "this request needs an access token"))?;
    let access = act.app.access(principal, Interaction::Create, Some(resource_type)).await?;
    let value = json::parse(text, &Limits::default())
        .map_err(|error| Failure::new(500, IssueCode::Exception, error.to_string()))?;
    let id = value.get_str("id").map_or_else(new_id, str::to_owned);
    Ok(Change {
        access,
        resource_type: resource_type.to_owned(),
        content: Some(act.app.store.content(resource_type, &id, &value)),
        id,
        method: Method::Post,
        precondition: Precondition::None,
    })
}

/// Who asked: the user, else the client by the resource it stands for, else by name.
fn requester(act: &Act<'_>) -> Requester {
    let principal = act.caller.principal.as_deref();
    let user = principal.and_then(|principal| principal.user.as_ref()?.fhir_user.clone());
    match user.or_else(|| principal.and_then(|principal| principal.actors.first().cloned())) {
        Some(reference) => Requester::Reference(reference),
        None => Requester::Display(principal.map_or_else(String::new, |principal| principal.client_id.clone())),
    }
}
