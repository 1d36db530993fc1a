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
use crate::limits::bounded;
use crate::media::Format;
use crate::presentation::{Presentation, Presented};
use crate::request::{Body, FhirRequest, Verb, percent_decoded};
use crate::response::FhirResponse;
use crate::{body, fallback, health, limits, media, metrics, middleware, oauth, pages};

/// The header by which a request is known.
pub static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    // Those that watch the server are answered however busy it is.
    let watched = Router::new()
        .route("/metrics", get(metrics::metrics))
        .route("/health/live", get(health::live))
        .route("/health/ready", get(health::ready));
    let documents = Router::new()
        .route("/", get(pages::index_page))
        .route("/docs", get(pages::docs_page))
        .route("/openapi.json", get(pages::openapi_json))
        .route("/fhir/metadata", any(metadata))
        .route_layer(middleware::compression());
    // Tokens are not compressed: what stands beside a secret would show in the length.
    let others = Router::new()
        .route("/auth/jwks", get(oauth::jwks))
        .route("/auth/token", post(oauth::token))
        .route("/auth/introspect", post(oauth::introspect))
        .route("/auth/revoke", post(oauth::revoke))
        .route("/fhir/.well-known/smart-configuration", get(oauth::smart_configuration))
        .merge(documents)
        .route_layer(from_fn_with_state(app.clone(), limits::in_a_slot))
        .merge(watched)
        .route_layer(from_fn_with_state(app.clone(), limits::in_short))
        .route_layer(from_fn_with_state(app.clone(), metrics::observe));
    let of_fhir = Router::new()
        .route("/fhir", any(fhir))
        .route("/fhir/", any(fhir))
        .route("/fhir/{*path}", any(fhir))
        .route_layer(middleware::compression())
        .route_layer(from_fn_with_state(app.clone(), limits::in_a_slot));
    let all = Router::new()
        .merge(others)
        .merge(of_fhir)
        .fallback(fallback::not_found)
        .method_not_allowed_fallback(fallback::method_not_allowed)
        .layer(DefaultBodyLimit::max(64 << 10));
    match app.cors.clone() {
        Some(cors) => all.layer(cors).with_state(app),
        None => all.with_state(app),
    }
}

/// `GET /fhir/metadata`, open to all (SMART App Launch: the statement is read before any token).
async fn metadata(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let caller = Caller { principal: None, address: Some(address.ip()), request_id: request_id(&parts.headers) };
    let fhir = fhir_request(&parts.method, parts.uri.path(), parts.uri.query().unwrap_or_default(), &parts.headers);
    let presentation = Presentation::of(&fhir, &parts.headers);
    let told = match &presentation {
        _ if fhir.verb != Some(Verb::Get) => {
            Err(Failure::new(405, IssueCode::NotSupported, "/fhir/metadata takes GET").with_header("Allow", "GET"))
        }
        Ok(_) => app.store.audit().append(&[caller.described(&fhir)]).await.map_err(Failure::from),
        Err(failure) => Err(failure.clone()),
    };
    let presentation = presentation.unwrap_or_default();
    let known = presentation.format_alone().filter(|_| told.is_ok());
    if let Some(Ok(bytes)) = known.map(|format| app.capabilities.current(&app).text(format)) {
        let media_type = known.unwrap_or_default().media_type().into();
        let presented = Presented { bytes, media_type, foreign: false };
        return write(&app, FhirResponse::json(200, ""), presented, &caller.request_id);
    }
    let json = || app.capabilities.current(&app).text(Format::Json);
    match told.and_then(|()| json()) {
        Ok(json) => {
            let statement = String::from_utf8_lossy(&json).into_owned();
            respond(&app, &caller, &fhir, &presentation, FhirResponse::json(200, statement)).await
        }
        Err(failure) => {
            let refusal = refuse(&app, &caller, &fhir, failure).await;
            respond(&app, &caller, &fhir, &presentation, refusal).await
        }
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
    let prepared = prepare(&app, &mut caller, &mut fhir, &parts.headers, &parts.method, body).await;
    // Only now, since the parameters of a POST stand in its body.
    let presentation = Presentation::of(&fhir, &parts.headers);
    let answer = match prepared.and(presentation.as_ref().map(|_| ()).map_err(Clone::clone)) {
        Ok(()) => bounded(app.limits.request(), answer(&app, &caller, &mut fhir, &parts.headers)).await,
        Err(failure) => Err(failure),
    };
    let response = match answer {
        Ok(response) => response,
        Err(failure) => refuse(&app, &caller, &fhir, failure).await,
    };
    app.metrics.observe_fhir(response.interaction, response.status, begun.elapsed());
    respond(&app, &caller, &fhir, &presentation.unwrap_or_default(), response).await
}

async fn answer(app: &App, caller: &Caller, fhir: &mut FhirRequest<'_>, headers: &HeaderMap) -> FhirResponse {
    match body::as_json(fhir, headers, &app.definitions) {
        Ok(()) => dispatch(app, caller, fhir).await,
        Err(failure) => refuse(app, caller, fhir, failure).await,
    }
}

/// The answer in the form that was asked for.
async fn respond(
    app: &App,
    caller: &Caller,
    fhir: &FhirRequest<'_>,
    presentation: &Presentation,
    mut response: FhirResponse,
) -> Response {
    let body = std::mem::take(&mut response.body);
    if presentation.is_plain() || body.is_empty() {
        return write(app, response, Presented::json(body), &caller.request_id);
    }
    let text = body.clone();
    let presented = bounded(app.limits.request(), async { presentation.present(text, &app.definitions) }).await;
    match presented.and_then(std::convert::identity) {
        Ok(presented) => write(app, response, presented, &caller.request_id),
        Err(failure) if fhir.verb == Some(Verb::Get) && !response.outcome => {
            let mut refusal = failure.into_response();
            let outcome = std::mem::take(&mut refusal.body);
            write(app, refusal, Presented::json(outcome), &caller.request_id)
        }
        // What was changed is changed, and what failed has failed: that is told as it can be.
        Err(_) => write(app, response, Presented::json(body), &caller.request_id),
    }
}

/// What has to be in order before anything is looked at: token, method, and body size.
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
    let bytes = body::received(app, fhir, headers, body).await?;
    if !bytes.is_empty() {
        fhir.body = Body::Bytes(bytes);
    }
    Ok(())
}

fn fhir_request(method: &Method, path: &str, query: &str, headers: &HeaderMap) -> FhirRequest<'static> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let path = path.strip_prefix("/fhir").unwrap_or(path).trim_matches('/');
    FhirRequest {
        verb: Verb::parse(method.as_str()),
        path: percent_decoded(path),
        query: query.to_owned(),
        body: Body::Empty,
        content_type: text(header::CONTENT_TYPE).map_or_else(String::new, |named| media::body_type(&named)),
        if_match: text(header::IF_MATCH),
        if_none_match: text(header::IF_NONE_MATCH),
        if_modified_since: text(header::IF_MODIFIED_SINCE),
        if_none_exist: text(HeaderName::from_static("if-none-exist")),
        prefer: text(HeaderName::from_static("prefer")),
    }
}

/// The caller's request id where it is well formed, else one of ours (contract, "Audit").
pub fn request_id(headers: &HeaderMap) -> String {
    let sent = headers.get(&X_REQUEST_ID).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let well_formed = (1..=64).contains(&sent.len())
        && sent.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if well_formed { sent.to_owned() } else { uuid::Uuid::new_v4().to_string() }
}

/// The bytes of an answer. Those to HEAD lose their body on the way out, and keep its length.
fn write(app: &App, response: FhirResponse, presented: Presented, request_id: &str) -> Response {
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (etag, modified) = (response.etag(), response.last_modified());
    let location = response.location.as_ref().map(|location| format!("{}/{location}", app.base));
    let Presented { bytes, media_type, foreign } = presented;
    let has_body = !bytes.is_empty();
    let body = match status {
        // Of no known length, so that nobody says it is 0 (RFC 9110 section 8.6).
        StatusCode::NOT_MODIFIED => HttpBody::from_stream(futures_util::stream::empty::<Result<Bytes, Infallible>>()),
        _ => HttpBody::from(bytes),
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
    if has_body {
        set(header::CONTENT_TYPE, Some(media_type.into_owned()));
    }
    for (name, value) in response.headers {
        if let Ok(name) = HeaderName::try_from(name) {
            set(name, Some(value));
        }
    }
    if foreign {
        // No browser is to run what somebody stored as if it came from us.
        set(header::CONTENT_SECURITY_POLICY, Some("sandbox; default-src 'none'".to_owned()));
    }
    // Patient data is nobody's to keep on the way.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}
