//! `If-Match`, `If-None-Match` and `If-Modified-Since` (R4 http.html#concurrency, #cread).

use salus_fhir::outcome::IssueCode;
use salus_store::{Precondition, Version};

use crate::failure::Failure;
use crate::request::FhirRequest;

/// What a write's headers demand of the current version.
///
/// # Errors
/// 400 for an `If-Match` that names no version of ours.
pub fn precondition(request: &FhirRequest<'_>) -> Result<Precondition, Failure> {
    match (&request.if_match, request.if_none_match.as_deref().map(str::trim)) {
        (Some(tag), _) if tag.trim() == "*" => Ok(Precondition::Present),
        (Some(tag), _) => version_of(tag).map(Precondition::Version).ok_or_else(|| {
            Failure::new(400, IssueCode::Invalid, format!("If-Match must be a version such as W/\"3\", not {tag}"))
        }),
        (None, Some("*")) => Ok(Precondition::Absent),
        (None, _) => Ok(Precondition::None),
    }
}

/// The version in an entity tag: `W/"3"`, and `"3"` or `3` as some clients send it.
fn version_of(tag: &str) -> Option<i32> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').parse().ok()
}

/// Whether the caller has this version already, so that 304 is the answer.
pub fn is_unchanged(request: &FhirRequest<'_>, version: &Version) -> bool {
    if let Some(tags) = &request.if_none_match {
        return tags.split(',').any(|tag| tag.trim() == "*" || version_of(tag) == Some(version.version));
    }
    let since = request.if_modified_since.as_deref().and_then(|since| httpdate::parse_http_date(since).ok());
    since.and_then(|since| since.duration_since(std::time::UNIX_EPOCH).ok()).is_some_and(|since| {
        // HTTP dates are whole seconds.
        version.updated / 1_000_000 <= i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    })
}
