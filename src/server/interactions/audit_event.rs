//! AuditEvents: read and searched, never written (R4 auditevent.html; contract, "Audit").

use salus_access::Interaction;
use salus_audit::{AuditKind, AuditRecord, Server, render};
use salus_fhir::outcome::IssueCode;
use salus_store::audit::{AuditQuery, StoredEvent};

use super::search::{all_parameters, encode_query};
use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::handling;
use crate::interactions::page_link::{self, CURSOR};
use crate::projection::Projection;
use crate::request::Body;
use crate::response::FhirResponse;

/// The Device that stands for this server in AuditEvents.
pub const SERVER_DEVICE: &str = "Device/salus";

/// Reads or searches AuditEvents.
///
/// # Errors
/// 404 for an unknown event, 400 for parameters that cannot be used, 405 for other interactions.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    match act.route.interaction {
        Interaction::Read => read(act).await,
        Interaction::SearchType => search(act).await,
        _ => Err(Failure::new(405, IssueCode::NotSupported, "AuditEvents can be read and searched, nothing else")
            .with_header("Allow", "GET")),
    }
}

async fn read(act: &Act<'_>) -> Result<Done, Failure> {
    let shown = Projection::of_read(act)?;
    let event = act.app.store.audit().read(&act.access, act.route.id()).await?;
    let mut record = act.caller.shown(act.route, act.request, 1, &[]);
    record.kind = AuditKind::AuditLogUse;
    let mut response = FhirResponse::json(200, shown.of(&text(act, &event)?, true));
    response.version = Some(1);
    Ok(Done { response, records: vec![record] })
}

async fn search(act: &Act<'_>) -> Result<Done, Failure> {
    let parameters = all_parameters(act)?;
    let (cursor, mut filters): (Vec<_>, Vec<_>) = parameters.into_iter().partition(|(name, _)| name == CURSOR);
    match &act.route.compartment {
        None => {}
        Some(of) if of.owner == "Patient" => filters.push(("patient".to_owned(), of.id.clone())),
        Some(_) => {
            let message = "AuditEvents are found by the compartment of patients only";
            return Err(Failure::new(400, IssueCode::NotSupported, message));
        }
    }
    let (mut query, mut ignored) = AuditQuery::parse(&filters, crate::account::now())?;
    let (shown, inapplicable) = Projection::read(&act.app.definitions, &["AuditEvent"], &filters)?;
    ignored.extend(inapplicable);
    handling::refuse_if_strict(act, &ignored)?;
    let used = handling::used(&filters, &ignored);
    let identity = page_link::identity(act, "AuditEvent", &used);
    let cursor = cursor.first().map(|(_, text)| page_link::decode(&act.app.seal, text, identity));
    query.after = cursor.transpose()?;
    if shown.is_count() {
        query.count = 0;
    }
    let page = act.app.store.audit().search(&act.access, &query).await?;
    let mut bundle = BundleWriter::new("searchset", Some(page.total));
    let query_text = encode_query(&used);
    let url = |parameters: &[(String, String)]| page_link::url(&act.app.base, "AuditEvent", parameters);
    let mut links = vec![("self", url(&used))];
    if let Some(after) = page.next {
        let mut next = used.clone();
        next.push((CURSOR.to_owned(), page_link::encode(&act.app.seal, identity, &after)?));
        links.push(("next", url(&next)));
    }
    bundle.links(&links);
    for event in &page.events {
        let full_url = format!("{}/AuditEvent/{}", act.app.base, event.seq);
        bundle.search_entry(&full_url, &shown.of(&text(act, event)?, true), "match");
    }
    handling::report(&mut bundle, &ignored);
    let mut record = act.caller.listed(AuditKind::AuditLogUse, act.route, act.request, std::iter::empty());
    record.interaction = "search-type".into();
    if matches!(act.request.body, Body::Bytes(_)) {
        // The parameters of a POST stand in its body; the audit keeps them as a GET would say them.
        record.query = Some(format!("POST {}?{query_text}", act.request.path).into());
    }
    Ok(Done { response: FhirResponse::json(200, bundle.finish()), records: vec![record] })
}

fn text(act: &Act<'_>, event: &StoredEvent) -> Result<String, Failure> {
    let record = AuditRecord::from_text(&event.record).map_err(|error| {
        tracing::error!(%error, seq = event.seq, "a stored audit record cannot be read");
        Failure::new(500, IssueCode::Exception, "a stored audit record cannot be read; run 'salus audit verify'")
    })?;
    let server = Server { base: &act.app.base, device: SERVER_DEVICE };
    Ok(render(&record, &event.seq.to_string(), event.seq, &server))
}
