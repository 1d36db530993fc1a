//! The interactions of the RESTful API, a file each (R4 http.html).

pub mod audit_event;
pub mod bundle;
pub mod capabilities;
pub mod create;
pub mod delete;
pub mod history;
pub(crate) mod page_link;
pub mod patch;
pub mod read;
pub mod search;
pub mod update;
pub mod vread;

use salus_fhir::json::Value;
use salus_fhir::outcome::{Issue, IssueCode};
use salus_store::Written;

use crate::app::App;
use crate::failure::Failure;
use crate::request::{FhirRequest, Return};
use crate::response::FhirResponse;
use crate::validation::faults;

/// Checks a resource that is about to be stored as `resource_type`: its type, and its structure
/// against the base definitions (contract, "Defaults": errors refuse with 422). A SearchParameter must be one that
/// can be used.
pub(crate) fn validated(app: &App, resource_type: &str, resource: &Value<'_>) -> Result<(), Failure> {
    expect_type(resource_type, resource)?;
    let issues = faults(app, resource);
    if issues.iter().any(Issue::is_error) { Err(Failure::all(422, issues)) } else { Ok(()) }
}

/// The body must be a resource of the type in the path.
pub(crate) fn expect_type(resource_type: &str, resource: &Value<'_>) -> Result<(), Failure> {
    match resource.get_str("resourceType") {
        Some(kind) if kind == resource_type => Ok(()),
        Some(kind) => {
            let message = format!("the resource is a {kind}, but the path says {resource_type}");
            Err(Failure::of(400, Issue::error(IssueCode::Invalid, message).at(resource_type)))
        }
        None => {
            let issue = Issue::error(IssueCode::Structure, "the resource has no resourceType");
            Err(Failure::of(400, issue.at(resource_type)))
        }
    }
}

/// The answer to a write, with the body that `Prefer: return=` asks for, else with what is `usual`.
fn answer(request: &FhirRequest<'_>, written: &Written, usual: Return) -> FhirResponse {
    let mut response = FhirResponse::written(written);
    match (request.wanted_return().unwrap_or(usual), &written.body) {
        (_, None) | (Return::Minimal, _) => {}
        (Return::Representation, Some(body)) => response.body.clone_from(body),
        (Return::OperationOutcome, Some(_)) => {
            let done = format!("{}/{} is now at version {}", written.resource_type, written.id, written.version);
            response.body = salus_fhir::outcome::OperationOutcome::information(done).to_json();
            response.outcome = true;
        }
    }
    response
}

/// The outcome of a write of one resource.
pub(crate) fn only(written: &[Written]) -> Result<&Written, Failure> {
    written.first().ok_or_else(|| Failure::new(500, IssueCode::Exception, "nothing was written"))
}
