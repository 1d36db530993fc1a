//! Answers to paths and methods that no route takes: FHIR's way below `/fhir`, OAuth's way elsewhere.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use salus_fhir::outcome::IssueCode;
use serde_json::json;

use crate::failure::Failure;
use crate::response::FHIR_JSON;

/// 404, where no route has the path.
pub async fn not_found(uri: Uri) -> Response {
    let message = format!("nothing is at {}; FHIR is at /fhir", uri.path());
    answer(&uri, StatusCode::NOT_FOUND, IssueCode::NotFound, message)
}

/// 405, where a route has the path but does not take the method; the router adds `Allow`.
pub async fn method_not_allowed(method: Method, uri: Uri) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    answer(&uri, StatusCode::METHOD_NOT_ALLOWED, IssueCode::NotSupported, message)
}

fn answer(uri: &Uri, status: StatusCode, code: IssueCode, message: String) -> Response {
    failed(uri, Failure::new(status.as_u16(), code, message))
}

/// A failure as the path it belongs to tells one: an OperationOutcome below `/fhir`, RFC 6749's error
/// elsewhere.
pub(crate) fn failed(uri: &Uri, failure: Failure) -> Response {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let speaks_fhir = uri.path().strip_prefix("/fhir").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut response = if speaks_fhir {
        ([(header::CONTENT_TYPE, FHIR_JSON)], failure.outcome()).into_response()
    } else {
        let error = match failure.status {
            503 => "temporarily_unavailable",
            500 => "server_error",
            _ => "invalid_request",
        };
        Json(json!({"error": error, "error_description": failure.summary()})).into_response()
    };
    *response.status_mut() = status;
    for (name, value) in &failure.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}
