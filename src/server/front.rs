//! What answers on the socket from its first moment on: that the server is starting, until it is ready.
//!
//! The port is taken before the database is started and demo data are loaded. Whoever connects meanwhile is told so at
//! once rather than kept waiting, and whoever watches the server sees that it lives. What is turned away is not on
//! record: there is no trail yet to put it in, and nothing of it was looked at.

use std::sync::{Arc, OnceLock};

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use salus_fhir::outcome::IssueCode;
use serde_json::json;

use crate::failure::Failure;
use crate::fallback::Asked;
use crate::health;
use crate::http::{X_REQUEST_ID, request_id};

/// The router of the moment. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Front {
    starting: Router,
    ready: Arc<OnceLock<Router>>,
}

impl Front {
    /// One that says the server is starting.
    pub fn starting() -> Self {
        let starting = Router::new()
            .route("/health/live", get(health::live))
            .route("/health/ready", get(not_ready))
            .fallback(turned_away);
        Self { starting, ready: Arc::default() }
    }

    /// From now on `router` answers. The first one stays.
    pub fn open(&self, router: Router) {
        let _ = self.ready.set(router);
    }

    /// What answers now.
    pub fn router(&self) -> &Router {
        self.ready.get().unwrap_or(&self.starting)
    }
}

async fn not_ready() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [("Retry-After", "1")], Json(json!({"status": "starting"}))).into_response()
}

async fn turned_away(uri: Uri, headers: HeaderMap) -> Response {
    let failure = Failure::new(503, IssueCode::Transient, "the server is starting; try again in a moment")
        .with_header("Retry-After", "1");
    let mut response = Asked::of(&uri, &headers).failed(None, failure);
    if let Ok(id) = HeaderValue::try_from(request_id(&headers)) {
        response.headers_mut().insert(X_REQUEST_ID.clone(), id);
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use tower::Service as _;

    use super::*;

    async fn ask(front: &Front, path: &str) -> (u16, String, String) {
        let request = Request::get(path).header("x-request-id", "asked").body(Body::empty()).unwrap();
        let answer = front.router().clone().call(request).await.unwrap();
        let id = answer.headers().get("x-request-id").map_or(String::new(), |id| id.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 16).await.unwrap();
        (status, id, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn it_lives_before_it_is_ready() {
        let front = Front::starting();
        assert_eq!(ask(&front, "/health/live").await.0, 200);
        assert_eq!(ask(&front, "/health/ready").await.0, 503);
        let (status, id, body) = ask(&front, "/fhir/Patient?_format=xml").await;
        assert_eq!((status, id.as_str()), (503, "asked"));
        assert!(body.starts_with(r#"{"resourceType":"OperationOutcome""#) && body.contains("transient"), "{body}");
        let (status, _, body) = ask(&front, "/auth/token").await;
        assert_eq!(status, 503);
        assert!(body.contains("temporarily_unavailable"), "{body}");
        front.clone().open(Router::new().route("/auth/token", get(|| async { "here" })));
        assert_eq!(ask(&front, "/auth/token").await.2, "here");
        assert_eq!(ask(&front, "/fhir/Patient").await.0, 404);
    }
}
