//! The OAuth endpoints: thin handlers over `salus-auth` (SMART App Launch 2.2; RFC 6749, 7009, 7662).

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use salus_access::Interaction;
use salus_audit::{AuditKind, Outcome};
use salus_auth::{IntrospectionRequest, OAuthError, RevocationRequest, TokenRequest};

use crate::account::Caller;
use crate::app::App;
use crate::http::request_id;

/// `GET /fhir/.well-known/smart-configuration`
pub async fn smart_configuration(State(app): State<Arc<App>>) -> Response {
    Json(app.auth.smart_configuration()).into_response()
}

/// `GET /auth/jwks`
pub async fn jwks(State(app): State<Arc<App>>) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(app.auth.jwks())).into_response()
}

/// `POST /auth/token`
pub async fn token(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = TokenRequest::from_form(&body);
    let client_id = request.as_ref().ok().and_then(|request| request.assertion.claimed_client());
    let id = request_id(&headers);
    let asked = request.as_ref().ok().map(asked);
    let result = match request {
        Ok(request) => app.auth.token(&request, Some(address.ip())).await,
        Err(error) => Err(error),
    };
    let kind = if result.is_ok() { AuditKind::TokenIssued } else { AuditKind::TokenRefused };
    let event = TokenEvent {
        kind,
        client_id,
        asked,
        token_id: result.as_ref().ok().map(|response| response.token_id.clone()),
        failed: result.as_ref().err(),
    };
    let response = match &result {
        Ok(response) => no_store(Json(response).into_response()),
        Err(error) => refusal(error),
    };
    accounted(&app, address, &id, event, response).await
}

/// `POST /auth/introspect`
pub async fn introspect(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let request = IntrospectionRequest::from_form(&body);
    let mut client_id = request.as_ref().ok().and_then(|request| request.assertion.claimed_client());
    let result = match request {
        Ok(request) => app.auth.introspect(&request, authorization, Some(address.ip())).await,
        Err(error) => Err(error),
    };
    if let (Ok(_), Some(_)) = (&result, authorization) {
        client_id = app.auth.authenticate(authorization).await.ok().map(|principal| principal.client_id.clone());
    }
    let event = TokenEvent {
        kind: AuditKind::TokenIntrospected,
        client_id,
        asked: Some("POST auth/introspect".to_owned()),
        token_id: result.as_ref().ok().and_then(|answer| Some(answer.token.as_ref()?.jti.clone())),
        failed: result.as_ref().err(),
    };
    let response = match &result {
        Ok(response) => no_store(Json(response).into_response()),
        Err(error) => refusal(error),
    };
    accounted(&app, address, &request_id(&headers), event, response).await
}

/// `POST /auth/revoke`
pub async fn revoke(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let request = RevocationRequest::from_form(&body);
    let client_id = request.as_ref().ok().and_then(|request| request.assertion.claimed_client());
    let result = match request {
        Ok(request) => app.auth.revoke(&request, Some(address.ip())).await,
        Err(error) => Err(error),
    };
    let event = TokenEvent {
        kind: AuditKind::TokenRevoked,
        client_id,
        asked: Some("POST auth/revoke".to_owned()),
        token_id: result.as_ref().ok().cloned().flatten(),
        failed: result.as_ref().err(),
    };
    let response = match &result {
        Ok(_) => no_store(StatusCode::OK.into_response()),
        Err(error) => refusal(error),
    };
    accounted(&app, address, &request_id(&headers), event, response).await
}

/// What was asked for, for the audit: nothing secret.
fn asked(request: &TokenRequest) -> String {
    let parameters =
        [("grant_type", &request.grant_type), ("scope", &request.scope), ("purpose_of_use", &request.purpose_of_use)];
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let path = "POST auth/token?";
    let mut form = form_urlencoded::Serializer::for_suffix(path.to_owned(), path.len());
    form.extend_pairs(given.map(|(name, value)| (name, value.chars().take(2048).collect::<String>())));
    form.finish()
}

/// What happened at a token endpoint.
struct TokenEvent<'a> {
    kind: AuditKind,
    /// Unproven where the request failed, but what a compliance officer looks for.
    client_id: Option<String>,
    asked: Option<String>,
    token_id: Option<String>,
    failed: Option<&'a OAuthError>,
}

/// The answer, once the record of what it tells is durable.
async fn accounted(
    app: &App,
    address: SocketAddr,
    request_id: &str,
    event: TokenEvent<'_>,
    response: Response,
) -> Response {
    match account(app, address, request_id, event).await {
        Ok(()) => identified(response, request_id),
        Err(unavailable) => identified(unavailable, request_id),
    }
}

/// Makes the record of a token event durable; the answer to give where that fails.
async fn account(app: &App, address: SocketAddr, request_id: &str, event: TokenEvent<'_>) -> Result<(), Response> {
    let caller = Caller { principal: None, address: Some(address.ip()), request_id: request_id.to_owned() };
    let mut record = caller.record(event.kind, Interaction::Capabilities);
    record.interaction = "".into();
    record.client_id = event.client_id.map(|id| id.chars().take(256).collect::<String>().into());
    record.query = event.asked.map(Into::into);
    record.token_id = event.token_id.map(Into::into);
    record.status = event.failed.map_or(200, OAuthError::status);
    if let Some(error) = event.failed {
        record.outcome = Outcome::SeriousFailure;
        record.outcome_description = Some(error.description().to_owned().into());
    }
    app.store.audit().append(&[record]).await.map_err(|error| {
        tracing::warn!(%error, "token event could not be audited");
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    })
}

fn refusal(error: &OAuthError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, Json(error)).into_response();
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    no_store(response)
}

/// The request's id goes back to the caller (contract, "Audit").
fn identified(mut response: Response, id: &str) -> Response {
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// RFC 6749 section 5.1: tokens are never cached.
fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(HeaderName::from_static("pragma"), HeaderValue::from_static("no-cache"));
    response
}
