//! `$reindex`: jobs that index stored resources anew, asynchronous (R4 async.html).

use salus_access::{Permission, RowFilter};
use salus_audit::AuditKind;
use salus_fhir::datatypes::instant;
use salus_fhir::outcome::IssueCode;
use salus_store::reindex::Job;

use super::parameters::{bad, primitive};
use crate::bundle::quoted;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::Verb;
use crate::response::FhirResponse;

/// The type on which the caller needs the permission to update: what is indexed is what it defines.
const GOVERNED_BY: &str = "SearchParameter";
/// The type whose resources are not indexed so.
const TRAIL: &str = "AuditEvent";
/// How many jobs the list has.
const LISTED: i64 = 20;
/// When to ask again, in seconds.
const RETRY_AFTER: &str = "2";

/// Begins a job, says how far one is, ends one, or lists the last.
///
/// # Errors
/// 400 for parameters that are wrong, 403 where not all SearchParameters may be changed, 404 for an unknown job, 405
/// for other methods, 409 for the end of a job that the server needs.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    if !act.access.grants_for(Permission::Update, GOVERNED_BY).iter().any(RowFilter::is_unrestricted) {
        let message = "this takes the permission to update every SearchParameter";
        return Err(Failure::new(403, IssueCode::Forbidden, message));
    }
    let response = match (act.request.verb, act.route.id.as_deref()) {
        (Some(Verb::Post), None) => begin(act).await?,
        (Some(Verb::Get), None) if act.route.resource_type.is_none() => list(act).await?,
        (Some(Verb::Get), Some(id)) => status(act, id).await?,
        (Some(Verb::Delete), Some(id)) => cancel(act, id).await?,
        (_, id) => {
            let allow = if id.is_some() { "GET, DELETE" } else { "POST" };
            let message = format!("this path takes {allow}");
            return Err(Failure::new(405, IssueCode::NotSupported, message).with_header("Allow", allow));
        }
    };
    let record = act.caller.listed(AuditKind::Operation, act.route, act.request, std::iter::empty());
    Ok(Done { response, records: vec![record] })
}

async fn begin(act: &Act<'_>) -> Result<FhirResponse, Failure> {
    let mut types: Vec<String> = act.route.resource_type.iter().cloned().collect();
    for (name, value) in primitive(act)? {
        match name.as_str() {
            "type" if act.route.resource_type.is_none() => types.extend(value.split(',').map(str::to_owned)),
            "_format" | "_pretty" => {}
            _ => return Err(bad(&name, "$reindex has no such parameter here")),
        }
    }
    let definitions = &act.app.definitions;
    if let Some(unknown) = types.iter().find(|name| *name == TRAIL || !definitions.is_resource_type(name)) {
        return Err(bad("type", &format!("'{unknown}' is not a resource type that is indexed")));
    }
    if types.is_empty() {
        types = definitions.resource_types().filter(|name| *name != TRAIL).map(str::to_owned).collect();
    }
    types.sort_unstable();
    types.dedup();
    let client = act.caller.principal.as_ref().map(|principal| principal.client_id.as_str());
    let id = act.app.store.start_reindex(&types, client).await?;
    let mut response = FhirResponse { status: 202, ..FhirResponse::default() };
    response.headers.push(("Content-Location", url(act, &id)));
    Ok(response)
}

async fn status(act: &Act<'_>, id: &str) -> Result<FhirResponse, Failure> {
    let job = found(act, id).await?;
    if job.state.is_over() {
        return Ok(FhirResponse::json(200, parameters([&job])));
    }
    let mut response = FhirResponse { status: 202, ..FhirResponse::default() };
    response.headers.push(("X-Progress", job.progress()));
    response.headers.push(("Retry-After", RETRY_AFTER.to_owned()));
    Ok(response)
}

async fn cancel(act: &Act<'_>, id: &str) -> Result<FhirResponse, Failure> {
    let job = found(act, id).await?;
    if job.own && !job.state.is_over() {
        let message = "the search parameters in force need this job; retire the SearchParameter to be rid of it";
        return Err(Failure::new(409, IssueCode::Conflict, message));
    }
    act.app.store.cancel_reindex(id).await?;
    Ok(FhirResponse { status: 202, ..FhirResponse::default() })
}

async fn list(act: &Act<'_>) -> Result<FhirResponse, Failure> {
    let jobs = act.app.store.reindex_jobs(LISTED).await?;
    Ok(FhirResponse::json(200, parameters(&jobs)))
}

async fn found(act: &Act<'_>, id: &str) -> Result<Job, Failure> {
    let unknown = || Failure::new(404, IssueCode::NotFound, "there is no such job, or no longer");
    act.app.store.reindex_job(id).await?.ok_or_else(unknown)
}

fn url(act: &Act<'_>, id: &str) -> String {
    format!("{}/$reindex/{id}", act.app.base)
}

/// Jobs as a Parameters resource.
fn parameters<'j>(jobs: impl IntoIterator<Item = &'j Job>) -> String {
    let jobs: Vec<String> = jobs.into_iter().map(job).collect();
    if jobs.is_empty() {
        return r#"{"resourceType":"Parameters"}"#.to_owned();
    }
    format!(r#"{{"resourceType":"Parameters","parameter":[{}]}}"#, jobs.join(","))
}

fn job(job: &Job) -> String {
    let part = |name: &str, kind: &str, value: String| format!(r#"{{"name":"{name}","value{kind}":{value}}}"#);
    let mut parts = vec![
        part("id", "Id", quoted(&job.id)),
        part("status", "Code", quoted(job.state.as_str())),
        part("cause", "Code", quoted(if job.own { "definitions" } else { "request" })),
    ];
    parts.extend(job.types.iter().map(|name| part("type", "Code", quoted(name))));
    parts.extend([
        part("progress", "String", quoted(&job.progress())),
        part("examined", "Decimal", job.examined.to_string()),
        part("changed", "Decimal", job.changed.to_string()),
        part("created", "Instant", quoted(&instant(job.created))),
    ]);
    parts.extend(job.ended.map(|ended| part("ended", "Instant", quoted(&instant(ended)))));
    format!(r#"{{"name":"job","part":[{}]}}"#, parts.join(","))
}
