//! Answers to paths and methods that no route takes: FHIR's way below `/fhir`, OAuth's way elsewhere.

use axum::Json;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use salus_fhir::outcome::{Issue, IssueCode, OperationOutcome};
use serde_json::json;

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
    let speaks_fhir = uri.path().strip_prefix("/fhir").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if !speaks_fhir {
        return (status, Json(json!({"error": "invalid_request", "error_description": message}))).into_response();
    }
    let outcome = OperationOutcome { issues: vec![Issue::error(code, message)] };
    let mut response = (status, outcome.to_json()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    response
}
