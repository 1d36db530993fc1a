//! HTTP: from bytes to a [`FhirRequest`] and back.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::{any, get, post};
use salus_fhir::outcome::IssueCode;

use crate::account::Caller;
use crate::app::App;
use crate::dispatch::{dispatch, refuse};
use crate::failure::Failure;
use crate::limits::{bounded, too_large};
use crate::request::{Body, FhirRequest, LARGEST_BUNDLE, LARGEST_RESOURCE, Verb, percent_decoded};
use crate::response::{FHIR_JSON, FhirResponse};
use crate::{health, limits, metrics, misses, oauth, pages};

static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    // Those that watch the server are answered however busy it is.
    let watched = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready));
    let others = Router::new()
        .route("/", get(pages::index_page))
        .route("/docs", get(pages::docs_page))
        .route("/openapi.json", get(pages::openapi_json))
        .route("/auth/jwks", get(oauth::jwks))
        .route("/auth/token", post(oauth::token))
        .route("/auth/introspect", post(oauth::introspect))
        .route("/auth/revoke", post(oauth::revoke))
        .route("/fhir/.well-known/smart-configuration", get(oauth::smart_configuration))
        .route("/fhir/metadata", any(metadata))
        .route_layer(from_fn_with_state(app.clone(), limits::in_a_slot))
        .merge(watched)
        .route_layer(from_fn_with_state(app.clone(), limits::in_short))
        .route_layer(from_fn_with_state(app.clone(), metrics::observe));
    let of_fhir = Router::new()
        .route("/fhir", any(fhir))
        .route("/fhir/", any(fhir))
        .route("/fhir/{*path}", any(fhir))
        .route_layer(from_fn_with_state(app.clone(), limits::in_a_slot));
    Router::new()
        .merge(others)
        .merge(of_fhir)
        .fallback(misses::not_found)
        .method_not_allowed_fallback(misses::method_not_allowed)
        .layer(DefaultBodyLimit::max(64 << 10))
        .with_state(app)
}

/// `GET /fhir/metadata`, open to all (SMART App Launch: the statement is read before any token).
async fn metadata(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let caller = Caller { principal: None, address: Some(address.ip()), request_id: request_id(&parts.headers) };
    let query = parts.uri.query().unwrap_or_default();
    let fhir = fhir_request(&parts.method, parts.uri.path(), query, &parts.headers);
    let acceptable = match fhir.verb {
        Some(Verb::Get) => acceptable(query, &parts.headers),
        _ => Err(Failure::new(405, IssueCode::NotSupported, "/fhir/metadata takes GET").with_header("Allow", "GET")),
    };
    let told = match acceptable {
        Ok(()) => app.store.audit().append(&[caller.described(&fhir)]).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    match told {
        Ok(()) => {
            let mut answer = write(&app, FhirResponse::json(200, String::new()), &caller.request_id);
            *answer.body_mut() = HttpBody::from(app.capabilities.clone());
            answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
            answer
        }
        Err(failure) => write(&app, refuse(&app, &caller, &fhir, failure).await, &caller.request_id),
    }
}

/// Every other request below `/fhir`.
async fn fhir(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let begun = Instant::now();
    let (parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    let mut caller = Caller { principal: None, address: Some(address.ip()), request_id: id };
    let mut fhir = fhir_request(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default(), &parts.headers);
    let answer = match prepare(&app, &mut caller, &mut fhir, &parts.headers, &parts.method, body).await {
        Ok(()) => bounded(app.limits.request(), dispatch(&app, &caller, &fhir)).await,
        Err(failure) => Err(failure),
    };
    let response = match answer {
        Ok(response) => response,
        Err(failure) => refuse(&app, &caller, &fhir, failure).await,
    };
    app.metrics.observe_fhir(response.interaction, response.status, begun.elapsed());
    let response = if fhir.pretty() { response.laid_out() } else { response };
    write(&app, response, &caller.request_id)
}

/// What has to be in order before anything is looked at: token, method, media types, and body size.
async fn prepare(
    app: &App,
    caller: &mut Caller,
    fhir: &mut FhirRequest<'_>,
    headers: &HeaderMap,
    method: &Method,
    body: HttpBody,
) -> Result<(), Failure> {
    FhirRequest::expect_no_token(&fhir.parameters())?;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    caller.principal = Some(app.auth.authenticate(authorization).await?);
    if fhir.verb.is_none() {
        let message = format!("method {method} is not part of FHIR");
        return Err(
            Failure::new(405, IssueCode::NotSupported, message).with_header("Allow", "GET, POST, PUT, PATCH, DELETE")
        );
    }
    acceptable(&fhir.query, headers)?;
    let bytes = read_body(app, fhir, headers, body).await?;
    if !bytes.is_empty() {
        fhir.body = Body::Bytes(bytes);
    }
    Ok(())
}

async fn read_body(app: &App, fhir: &FhirRequest<'_>, headers: &HeaderMap, body: HttpBody) -> Result<Bytes, Failure> {
    let most = if fhir.path.is_empty() { LARGEST_BUNDLE } else { LARGEST_RESOURCE };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    match announced {
        Some(length) if length > most => Err(too_large(most)),
        _ => app.limits.body(body, most).await,
    }
}

fn fhir_request(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> FhirRequest<'static> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let path = path.strip_prefix("/fhir").unwrap_or(path).trim_matches('/');
    let content_type = text(header::CONTENT_TYPE).unwrap_or_default();
    FhirRequest {
        verb: Verb::parse(method.as_str()),
        path: percent_decoded(path),
        query: query.to_owned(),
        body: Body::Empty,
        content_type: content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase(),
        if_match: text(header::IF_MATCH),
        if_none_match: text(header::IF_NONE_MATCH),
        if_modified_since: text(header::IF_MODIFIED_SINCE),
        if_none_exist: text(HeaderName::from_static("if-none-exist")),
        prefer: text(HeaderName::from_static("prefer")),
    }
}

/// Whether FHIR JSON is an answer the caller takes; `_format` overrides `Accept`
/// (R4 http.html#mime-type).
fn acceptable(query: &str, headers: &HeaderMap) -> Result<(), Failure> {
    let is_json = |kind: &str| {
        let mut parts = kind.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        // RFC 9110 section 12.4.2: a weight of 0 means "not acceptable".
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        weight.is_ok_and(|weight| weight > 0.0)
            && matches!(
                kind,
                "json"
                    | "application/json"
                    | "application/fhir+json"
                    | "application/json+fhir"
                    | "text/json"
                    | "*/*"
                    | "application/*"
            )
    };
    let refused = |kind: &str| {
        let message = format!("'{kind}' is not a format this server answers in; it answers in application/fhir+json");
        Err(Failure::new(406, IssueCode::NotSupported, message))
    };
    // A plus sign in a query is a space, and clients leave it unescaped.
    let format = form_urlencoded::parse(query.as_bytes())
        .find(|(name, _)| name == "_format")
        .map(|(_, value)| value.replace(' ', "+"));
    if let Some(format) = format {
        return if is_json(&format) { Ok(()) } else { refused(&format) };
    }
    let Some(accept) = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    if accept.split(',').any(is_json) { Ok(()) } else { refused(accept) }
}

/// The caller's request id where it is well formed, else one of ours (contract, "Audit").
pub fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let well_formed = (1..=64).contains(&sent.len())
        && sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if well_formed { sent.to_owned() } else { uuid::Uuid::new_v4().to_string() }
}

/// The bytes of an answer. Those to HEAD lose their body on the way out, and keep its length.
fn write(app: &App, response: FhirResponse, request_id: &str) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (etag, modified) = (response.etag(), response.last_modified());
    let location = response.location.as_ref().map(|location| format!("{}/{location}", app.base));
    let has_body = !response.body.is_empty();
    let body = match status {
        // Of no known length, so that nobody says it is 0 (RFC 9110 section 8.6).
        StatusCode::NOT_MODIFIED => HttpBody::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>()),
        _ => HttpBody::from(response.body),
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    let mut set = |name: HeaderName, value: Option<String>| {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    };
    set(X_REQUEST_ID.clone(), Some(request_id.to_owned()));
    set(header::ETAG, etag);
    set(header::LAST_MODIFIED, modified);
    set(header::LOCATION, location);
    for (name, value) in response.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            set(name, Some(value));
        }
    }
    if has_body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(FHIR_JSON));
    }
    // Patient data is nobody's to keep on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
