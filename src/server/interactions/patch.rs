//! `patch` (R4 http.html#patch): JSON Patch and FHIRPath Patch, conditional too.
//!
//! The store applies the patch under the lock of what it changes, so that no update between is lost;
//! see [`Revise`]. A patch that changes nothing makes no new version.
//!
//! It takes the permission to update, no more (SMART App Launch 2.2, "Scopes"). Who may not read as well is not
//! shown the result; but whether a `test` holds or a path leads anywhere is told, since the patch is of no use
//! otherwise. Each such question is on record, as any failed or done patch is.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use salus_access::Interaction;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::{Issue, IssueCode};
use salus_fhir::patch::{Patch, PatchError};
use salus_fhir::subset::is_subsetted;
use salus_store::Error as StoreError;
use salus_store::Written;
use salus_store::write::transaction::{Entry, Target};
use salus_store::write::{Method, Revise};

use super::update::expect_still_whole;
use super::{answer, only, validated};
use crate::app::App;
use crate::conditional::precondition;
use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::{Body, FhirRequest, Return};
use crate::response::FhirResponse;

/// Media type of JSON Patch (RFC 6902).
pub const JSON_PATCH: &str = "application/json-patch+json";
/// The media types of patches that are taken, as `Accept-Patch` lists them (RFC 5789, section 3.1).
pub const ACCEPT_PATCH: &str = "application/json-patch+json, application/fhir+json, application/fhir+xml";

/// Changes a resource that is there.
///
/// # Errors
/// 400 for what is no patch, 404 and 410 where there is nothing to change, 412 for a version conflict or
/// criteria with several matches, 415 for another media type, 422 for a patch that cannot be applied or
/// does not leave a valid resource.
pub async fn act(act: &Act<'_>) -> Result<Done, Failure> {
    let revision = revision(act.app, act.request, act.route.type_name())?;
    let target = match act.route.interaction {
        Interaction::ConditionalPatch => Target::Criteria(act.request.query.clone()),
        _ => Target::Id(act.route.id().to_owned()),
    };
    let entry = Entry {
        access: act.access.clone(),
        location: String::new(),
        full_url: None,
        resource_type: act.route.type_name().to_owned(),
        target,
        method: Method::Patch,
        resource: None,
        revision: Some(revision),
        precondition: precondition(act.request)?,
    };
    let audit = |written: &[Written]| written.iter().map(|one| act.caller.wrote(act.route.interaction, one)).collect();
    let written = act.app.store.transaction(&[entry], audit).await.map_err(|error| error.error)?;
    Ok(answered(act, act.request, only(&written)?, Return::Representation).await.into())
}

/// The answer to a patch, without the resource for who may not read it: unlike an update, which brings all
/// there is, a patch would be told what was there before.
pub(super) async fn answered(
    act: &Act<'_>,
    request: &FhirRequest<'_>,
    written: &Written,
    usual: Return,
) -> FhirResponse {
    let mut response = answer(request, written, usual);
    if !response.outcome && !response.body.is_empty() && !may_read(act, written).await {
        response.body.clear();
    }
    response
}

pub(crate) async fn may_read(act: &Act<'_>, written: &Written) -> bool {
    let Some(principal) = &act.caller.principal else { return false };
    match act.app.access(principal, Interaction::Read, Some(&written.resource_type)).await {
        Ok(access) => act.app.store.read(&access, &written.resource_type, &written.id).await.is_ok(),
        Err(_) => false,
    }
}

/// How the patch in a request changes a resource of this type.
///
/// # Errors
/// 400 for what is no patch, 415 for another media type.
pub(super) fn revision<'a>(
    app: &'a App,
    request: &'a FhirRequest<'a>,
    resource_type: &str,
) -> Result<Arc<dyn Revise + 'a>, Failure> {
    let patch = patch(app, request)?;
    Ok(Arc::new(Patched { app, patch, resource_type: resource_type.to_owned() }))
}

/// A patch, and what its result has to hold to.
struct Patched<'a> {
    app: &'a App,
    patch: Patch<'a>,
    resource_type: String,
}

impl std::fmt::Debug for Patched<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The patch holds what a client sent.
        f.debug_struct("Patched").field("resource_type", &self.resource_type).finish_non_exhaustive()
    }
}

impl Revise for Patched<'_> {
    fn revise<'v>(&'v self, current: Value<'v>) -> Result<Value<'v>, StoreError> {
        let held = ["resourceType", "id"].map(|name| (name, current.get(name).cloned()));
        let was_part = is_subsetted(&current);
        let next = self.patch.apply(current, &self.app.definitions)?;
        for (name, value) in &held {
            if next.get(name) != value.as_ref() {
                let message = format!("a patch cannot change the {name} of a resource");
                let place = match *name {
                    "id" => format!("{}.id", self.resource_type),
                    _ => self.resource_type.clone(),
                };
                return Err(StoreError::Invalid(vec![Issue::error(IssueCode::BusinessRule, message).at(place)]));
            }
        }
        expect_still_whole(was_part, &next)?;
        validated(self.app, &self.resource_type, &next).map_err(|failure| StoreError::Invalid(failure.issues))?;
        Ok(next)
    }
}

impl From<PatchError> for Failure {
    fn from(error: PatchError) -> Self {
        Self::of(error.status(), error.issue())
    }
}

fn patch<'b>(app: &App, request: &'b FhirRequest<'b>) -> Result<Patch<'b>, Failure> {
    match &request.body {
        Body::Empty => Err(Failure::new(400, IssueCode::Required, "the request needs a patch in its body")),
        Body::Resource(resource) => of_entry(app, resource),
        Body::Bytes(bytes) if request.content_type == JSON_PATCH => Ok(Patch::json(document(bytes)?)?),
        Body::Bytes(_) => {
            let parameters = request.resource().map_err(|failure| match failure.status {
                415 => unsupported(&request.content_type),
                _ => failure,
            })?;
            Ok(Patch::fhir_path(parameters, &app.definitions)?)
        }
    }
}

fn document(bytes: &[u8]) -> Result<Value<'_>, Failure> {
    json::parse_bytes(bytes, &Limits::default()).map_err(|error| Failure::of(400, Issue::from(&error)))
}

fn unsupported(media: &str) -> Failure {
    let message = format!(
        "media type '{media}' is no patch that is supported here; send {JSON_PATCH}, or a FHIRPath Patch as \
         application/fhir+json"
    );
    Failure::new(415, IssueCode::NotSupported, message).with_header("Accept-Patch", ACCEPT_PATCH)
}

/// The patch in an entry of a Bundle: a FHIRPath Patch stands there as it is, a JSON Patch in a Binary
/// (R4 http.html#patch).
fn of_entry<'b>(app: &App, resource: &Value<'b>) -> Result<Patch<'b>, Failure> {
    let invalid = |message: &str| Failure::of(400, Issue::error(IssueCode::Invalid, message).at("Binary.data"));
    if resource.get_str("resourceType") != Some("Binary") {
        return Ok(Patch::fhir_path(resource.clone(), &app.definitions)?);
    }
    let media = resource.get_str("contentType").unwrap_or_default();
    if media.split(';').next().is_none_or(|media| media.trim() != JSON_PATCH) {
        return Err(unsupported(media));
    }
    let data = resource.get_str("data").ok_or_else(|| invalid("the Binary has no data"))?;
    let spaceless: String = data.split_ascii_whitespace().collect();
    let bytes = STANDARD.decode(spaceless).map_err(|_| invalid("Binary.data is not base64"))?;
    Ok(Patch::json(document(&bytes)?.into_static())?)
}
