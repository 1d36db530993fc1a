//! AuditEvents: read and searched, never written (R4 auditevent.html; contract, "Audit").

use salus_access::Interaction;
use salus_audit::{AuditKind, AuditRecord, Server, render};
use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use salus_store::audit::{AuditQuery, StoredEvent};

use super::search::all_parameters;
use crate::bundle::BundleWriter;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::interactions::page_link::{self, CURSOR};
use crate::request::Body;
use crate::response::FhirResponse;
use crate::shown::Shown;

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
    let shown = Shown::of_read(act)?;
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
    let (shown, inapplicable) = Shown::read(&act.app.definitions, &["AuditEvent"], &filters)?;
    ignored.extend(inapplicable);
    let identity = page_link::identity(act, "AuditEvent", &filters);
    let cursor = cursor.first().map(|(_, text)| page_link::decode(&act.app.seal, text, identity));
    query.after = cursor.transpose()?;
    if let (true, Some(first)) = (act.request.strict(), ignored.first()) {
        return Err(Failure::new(400, IssueCode::NotSupported, first.reason.clone()));
    }
    if shown.is_count() {
        query.count = 0;
    }
    let page = act.app.store.audit().search(&act.access, &query).await?;
    let mut bundle = BundleWriter::new("searchset", Some(page.total));
    let used = filters.iter().filter(|(name, value)| !ignored.iter().any(|one| one.is(name, value)));
    let query_text = form_urlencoded::Serializer::new(String::new()).extend_pairs(used).finish();
    let own = format!("{}/AuditEvent?{query_text}", act.app.base);
    let mut links = vec![("self", own.clone())];
    if let Some(next) = page.next {
        links.push(("next", format!("{own}&{CURSOR}={}", page_link::encode(&act.app.seal, identity, &next)?)));
    }
    bundle.links(&links);
    for event in &page.events {
        let full_url = format!("{}/AuditEvent/{}", act.app.base, event.seq);
        bundle.search_entry(&full_url, &shown.of(&text(act, event)?, true), "match");
    }
    if !ignored.is_empty() {
        let issues = ignored.iter().map(|one| Issue::warning(IssueCode::NotSupported, one.reason.clone()));
        bundle.search_entry("", &OperationOutcome { issues: issues.collect() }.to_json(), "outcome");
    }
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
