//! The router's fallbacks: answers to paths and methods that no route takes: FHIR's way below `/fhir`, OAuth's way elsewhere.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use salus_fhir::outcome::IssueCode;
use serde_json::json;

use crate::app::App;
use crate::failure::Failure;
use crate::presentation::{Presentation, Presented};
use crate::request::FhirRequest;

/// 404, where no route has the path.
pub async fn not_found(State(app): State<Arc<App>>, uri: Uri, headers: HeaderMap) -> Response {
    let message = format!("nothing is at {}; FHIR is at /fhir", uri.path());
    Asked::of(&uri, &headers).failed(Some(&app), Failure::new(404, IssueCode::NotFound, message))
}

/// 405, where a route has the path but does not take the method; the router adds `Allow`.
pub async fn method_not_allowed(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let message = format!("{} does not take {method}", uri.path());
    Asked::of(&uri, &headers).failed(Some(&app), Failure::new(405, IssueCode::NotSupported, message))
}

/// Whom a failure is told: those who speak FHIR, in the form they accept, or others.
pub(crate) struct Asked(Option<Presentation>);

impl Asked {
    /// Reads it from a request that may be consumed before it fails.
    pub fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let speaks_fhir = uri.path().strip_prefix("/fhir").is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let query = uri.query().unwrap_or_default().to_owned();
        let request = FhirRequest { query, ..FhirRequest::default() };
        Self(speaks_fhir.then(|| Presentation::of(&request, headers).unwrap_or_default()))
    }

    /// A failure as the path it belongs to tells one: an OperationOutcome below `/fhir`, RFC 6749's error
    /// elsewhere. Before there is an `app` with definitions to write XML by, it is told in JSON.
    pub fn failed(&self, app: Option<&App>, failure: Failure) -> Response {
        let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = match &self.0 {
            Some(presentation) => {
                let outcome = failure.outcome();
                let presented = app.and_then(|app| presentation.present(outcome.clone(), &app.definitions).ok());
                let Presented { bytes, media_type, .. } = presented.unwrap_or_else(|| Presented::json(outcome));
                ([(header::CONTENT_TYPE, media_type.into_owned())], bytes).into_response()
            }
            None => Json(json!({"error": error_code(failure.status), "error_description": failure.summary()}))
                .into_response(),
        };
        *response.status_mut() = status;
        for (name, value) in &failure.headers {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// RFC 6749 section 5.2, and 4.1.2.1 for faults of the server.
fn error_code(status: u16) -> &'static str {
    match status {
        503 => "temporarily_unavailable",
        500 => "server_error",
        _ => "invalid_request",
    }
}
