//! What the event was about: the resource, the query, the patients, and the request.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::resource::{Coding, Detail, EntityElement, Reference};
use super::{codes, text};
use crate::record::{AuditKind, AuditRecord, Entity, EntityKind};

/// The entities of an event.
///
/// BALP tells its slices apart by `entity.type` alone and allows one System Object an event: the
/// query of a query, else the resource acted on. Further resources carry their resource type instead.
pub(super) fn entities<'r>(record: &'r AuditRecord<'_>) -> Vec<EntityElement<'r>> {
    if record.kind == AuditKind::TokenIssued {
        return token_request(record).into_iter().collect();
    }
    let mut entities = Vec::with_capacity(record.entities.len() + record.patients.len() + 3);
    // Kept as sent, whatever it holds: base64 takes it.
    let mut query = record.query.as_deref().filter(|query| !query.is_empty());
    let mut system_object = codes::attempted(record) == AuditKind::Query;
    if system_object {
        entities.extend(query.take().map(query_entity));
    }
    for entity in &record.entities {
        let role = data_role(entity.kind).filter(|_| !system_object && !is_consent(record));
        entities.push(match role {
            Some(role) => {
                system_object = true;
                let query = query.take().map(|query| STANDARD.encode(query));
                EntityElement { query, ..element(what(entity), codes::SYSTEM_OBJECT, role) }
            }
            None => related(entity),
        });
    }
    if let Some(query) = query.filter(|_| !is_consent(record)) {
        entities.push(query_entity(query));
    }
    entities.extend(token(record));
    entities.extend(record.patients.iter().map(|id| patient(id)));
    entities.extend(model(record));
    entities.extend(request(record));
    entities
}

fn is_consent(record: &AuditRecord<'_>) -> bool {
    record.kind == AuditKind::ConsentDecision
}

fn data_role(kind: EntityKind) -> Option<Coding<'static>> {
    match kind {
        EntityKind::Data => Some(codes::ROLE_DOMAIN),
        EntityKind::Report => Some(codes::ROLE_REPORT),
        EntityKind::Job => Some(codes::ROLE_JOB),
        EntityKind::Consent | EntityKind::Related => None,
    }
}

fn element<'r>(what: Reference<'r>, kind: Coding<'r>, role: Coding<'r>) -> EntityElement<'r> {
    EntityElement { what: Some(what), kind, role: Some(role), query: None, detail: Vec::new() }
}

fn what<'r>(entity: &'r Entity<'_>) -> Reference<'r> {
    Reference::to(match entity.version {
        Some(version) => Cow::Owned(format!("{}/_history/{version}", entity.what)),
        None => Cow::Borrowed(entity.what.as_ref()),
    })
}

fn related<'r>(entity: &'r Entity<'_>) -> EntityElement<'r> {
    let role = match entity.kind {
        EntityKind::Consent => codes::ROLE_SECURITY,
        EntityKind::Report => codes::ROLE_REPORT,
        EntityKind::Job => codes::ROLE_JOB,
        EntityKind::Data | EntityKind::Related => codes::ROLE_DOMAIN,
    };
    element(what(entity), codes::resource_type(entity.resource_type()), role)
}

fn query_entity<'r>(query: &str) -> EntityElement<'r> {
    EntityElement {
        what: None,
        kind: codes::SYSTEM_OBJECT,
        role: Some(codes::ROLE_QUERY),
        query: Some(STANDARD.encode(query)),
        detail: Vec::new(),
    }
}

fn patient(id: &str) -> EntityElement<'_> {
    let what = Reference::to(Cow::Owned(format!("Patient/{id}")));
    element(what, codes::PERSON, codes::ROLE_PATIENT)
}

/// The token that was revoked or introspected, by its id.
fn token<'r>(record: &'r AuditRecord<'_>) -> Option<EntityElement<'r>> {
    if !matches!(record.kind, AuditKind::TokenRevoked | AuditKind::TokenIntrospected) {
        return None;
    }
    let id = text(&record.token_id)?;
    Some(element(Reference::identified(id), codes::SYSTEM_OBJECT, codes::ROLE_SECURITY))
}

/// The model that was run: its Device by name, its version as a detail.
fn model<'r>(record: &'r AuditRecord<'_>) -> Option<EntityElement<'r>> {
    let model = record.model.as_ref()?;
    Some(EntityElement {
        what: Some(Reference::identified(Cow::Borrowed(&model.name))),
        kind: codes::resource_type("Device"),
        role: None,
        query: None,
        detail: vec![Detail { kind: "version", value: Cow::Borrowed(&model.version) }],
    })
}

/// The request by its `X-Request-Id`, with the HTTP status it got. A Consent decision's slices are
/// closed (BALP 1.1.4, AuthZconsent) and know no request.
fn request<'r>(record: &'r AuditRecord<'_>) -> Option<EntityElement<'r>> {
    if record.request_id.is_empty() || is_consent(record) {
        return None;
    }
    Some(EntityElement {
        what: Some(Reference::identified(Cow::Borrowed(&record.request_id))),
        kind: codes::REQUEST_ID,
        role: None,
        query: None,
        detail: status(record).into_iter().collect(),
    })
}

fn status<'r>(record: &AuditRecord<'_>) -> Option<Detail<'r>> {
    (record.status != 0).then(|| Detail { kind: "http-status", value: Cow::Owned(record.status.to_string()) })
}

/// The one entity that the profile of ITI-71 allows: the request for the token; the token's id and
/// the request's stand in its details.
fn token_request<'r>(record: &'r AuditRecord<'_>) -> Option<EntityElement<'r>> {
    let mut entity = query_entity(record.query.as_deref().filter(|query| !query.is_empty())?);
    if let Some(value) = text(&record.token_id) {
        entity.detail.push(Detail { kind: "jti", value });
    }
    if !record.request_id.is_empty() {
        entity.detail.push(Detail { kind: "X-Request-Id", value: Cow::Borrowed(&record.request_id) });
    }
    entity.detail.extend(status(record));
    Some(entity)
}
