//! `$graphql` on the system and on an instance (R4 graphql.html, resource-operation-graphql.html).
//!
//! The selection is walked over the JSON of resources ([`execute`]), again and again: each walk notes which resources
//! and searches it lacks, and these are fetched together before the next ([`fetch`]), so that a level of references
//! is one statement however many there are, and its searches are sent together. Every read and search of it goes by
//! the caller's own access, as it would by itself; what may not be seen is not found.
//!
//! What is not there is left out of the answer, as FHIR's JSON does, rather than told as `null`. An error fails the
//! whole, as an OperationOutcome. There are no mutations, and no introspection: the schema is FHIR's.

mod arguments;
mod document;
mod execute;
mod fetch;
mod output;
mod request;

use salus_audit::AuditKind;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::{Issue, IssueCode};

use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::{Body, FORM};
use crate::response::FhirResponse;
use document::Document;
use execute::{Run, Scope};
use fetch::Sources;
use request::GraphQlRequest;

/// Rounds of fetching: how many references deep an answer may lead.
const MOST_ROUNDS: usize = 10;

/// Answers a query.
///
/// # Errors
/// 400 for a query that is not well formed, asks for what R4 does not have, or is too large or too costly; 403 for a
/// search that the token does not allow; 404 where the instance, or what a reference names, is not there to see.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let request = GraphQlRequest::read(act)?;
    let document = Document::parse(&request)?;
    let instance = match act.route.id {
        Some(_) => Some(act.reads.read(&act.access, act.route.type_name(), act.route.id()).await?),
        None => None,
    };
    let mut sources = Sources::default();
    let root = match &instance {
        Some(version) => {
            sources.saw(&version.patients);
            let body = version.body.as_deref().unwrap_or("{}");
            Some(json::parse(body, &Limits::default()).map_err(super::unreadable)?)
        }
        None => None,
    };
    let mut rounds = 0;
    let data = loop {
        let scope = Scope { definitions: &act.app.definitions, base: &act.app.base, document: &document };
        let (data, lacking) = Run::new(scope, &sources).answer(root.as_ref())?;
        if lacking.is_empty() {
            break data;
        }
        rounds += 1;
        if rounds > MOST_ROUNDS {
            return Err(too_costly(&format!(
                "the query follows more than {MOST_ROUNDS} references one after the other"
            )));
        }
        sources.fetch(act, lacking).await?;
    };
    let mut record = act.caller.listed(AuditKind::Operation, act.route, act.request, sources.patients());
    if matches!(&act.request.body, Body::Bytes(bytes) if !bytes.is_empty()) {
        // The query of a POST stands in its body; the audit keeps it as a GET would say it.
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("query", &request.query).finish();
        record.query = Some(format!("POST {}?{query}", act.request.path).into());
    }
    let mut response = FhirResponse::json(200, format!(r#"{{"data":{}}}"#, Value::Object(data)));
    response.headers.push(("content-type", "application/json; charset=utf-8".to_owned()));
    Ok(Done { response, records: vec![record] })
}

/// A query that cannot be answered as it is.
fn refused(code: IssueCode, message: impl Into<String>) -> Failure {
    Failure::of(400, Issue::error(code, message))
}

fn too_costly(message: &str) -> Failure {
    refused(IssueCode::TooCostly, message)
}

/// Whether a body is of this kind of content.
fn is_form(act: &Act<'_>) -> bool {
    act.request.content_type == FORM
}
