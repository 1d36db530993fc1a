//! Figures for operators, as Prometheus text (`GET /metrics`).
//!
//! A request costs two additions to atomics that were made at start: nothing is looked up by name,
//! locked or allocated on its way. What other parts count themselves is asked when somebody looks.

mod exposition;
mod histogram;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use salus_access::{Interaction, OPERATIONS};

use crate::app::App;
use exposition::Exposition;
use histogram::Histogram;

/// FHIR interactions by their codes, then what could not be routed.
const INTERACTIONS: [&str; 16] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "history-system",
    "create",
    "search-type",
    "search-system",
    "capabilities",
    "transaction",
    "batch",
    "operation",
    "unrouted",
];

/// Route templates outside FHIR's own; the last stands for any other.
const ROUTES: [&str; 13] = [
    "/",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/health/live",
    "/health/ready",
    "/auth/jwks",
    "/auth/token",
    "/auth/introspect",
    "/auth/revoke",
    "/fhir/.well-known/smart-configuration",
    "/fhir/metadata",
    "other",
];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
type ByClass = [Histogram; CLASSES.len()];

/// What was counted since the start.
pub struct Metrics {
    started: Instant,
    interactions: [ByClass; INTERACTIONS.len()],
    operations: Vec<ByClass>,
    routes: [ByClass; ROUTES.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            interactions: Default::default(),
            operations: OPERATIONS.iter().map(|_| ByClass::default()).collect(),
            routes: Default::default(),
        }
    }
}

impl Metrics {
    /// Counts a FHIR request; `None` for one that led nowhere.
    pub fn observe_fhir(&self, interaction: Option<Interaction>, status: u16, took: Duration) {
        let series = match interaction {
            Some(Interaction::Operation(operation)) => {
                OPERATIONS.iter().position(|known| known == operation).and_then(|at| self.operations.get(at))
            }
            Some(interaction) => position(&INTERACTIONS, interaction.code()).map(|at| &self.interactions[at]),
            None => None,
        };
        series.unwrap_or(&self.interactions[INTERACTIONS.len() - 1])[class(status)].observe(took);
    }

    fn observe_route(&self, template: &str, status: u16, took: Duration) {
        let at = position(&ROUTES, template).unwrap_or(ROUTES.len() - 1);
        self.routes[at][class(status)].observe(took);
    }

    /// Everything, as text.
    fn write(&self, app: &App) -> String {
        let mut out = Exposition::default();
        let operations = OPERATIONS.iter().map(|operation| format!("${}", operation.name));
        let by_interaction: Vec<(String, &ByClass)> = INTERACTIONS
            .iter()
            .map(|&name| name.to_owned())
            .zip(&self.interactions)
            .chain(operations.zip(&self.operations))
            .collect();
        let by_route: Vec<(String, &ByClass)> = ROUTES.iter().map(|&name| name.to_owned()).zip(&self.routes).collect();
        out.histograms(
            "salus_fhir_request_duration_seconds",
            "FHIR requests by interaction or operation and status class, from the last byte of the head to the answer.",
            "interaction",
            &by_interaction,
        );
        out.histograms(
            "salus_http_request_duration_seconds",
            "Other requests by route and status class.",
            "route",
            &by_route,
        );
        self.write_parts(app, &mut out);
        out.finish()
    }

    fn write_parts(&self, app: &App, out: &mut Exposition) {
        out.gauge("salus_requests_at_work", "Requests that are worked on.", app.slots.taken());
        out.counter(
            "salus_requests_turned_away_total",
            "Requests for which there was no room.",
            app.slots.turned_away(),
        );
        let audit = app.store.audit().statistics();
        out.gauge("salus_audit_waiting_requests", "Requests that wait for their audit records' commit.", audit.waiting);
        out.counter("salus_audit_commits_total", "Group commits of audit records.", audit.commits);
        out.counter("salus_audit_records_total", "Audit records committed in groups.", audit.records);
        out.counter("salus_audit_failures_total", "Group commits of audit records that failed.", audit.failures);
        let pool = app.store.pool().status();
        out.gauge("salus_database_connections_max", "Most database connections for requests.", pool.max_size);
        out.gauge("salus_database_connections_open", "Database connections that are open.", pool.size);
        out.gauge("salus_database_connections_idle", "Open database connections that nobody uses.", pool.available);
        out.gauge("salus_database_waiting_requests", "Requests that wait for a database connection.", pool.waiting);
        if let Some(bytes) = resident_bytes() {
            out.gauge("process_resident_memory_bytes", "Resident memory of this process, without PostgreSQL.", bytes);
        }
        out.gauge("salus_uptime_seconds", "Seconds since the start.", self.started.elapsed().as_secs());
        out.info("salus_build_info", "The version that runs.", "version", env!("CARGO_PKG_VERSION"));
    }
}

fn position(names: &[&str], name: &str) -> Option<usize> {
    names.iter().position(|known| *known == name)
}

fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// `VmRSS` of proc(5).
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Counts a request outside FHIR's own routes.
pub async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let template = request.extensions().get::<MatchedPath>().cloned();
    let response = next.run(request).await;
    let template = template.as_ref().map_or("other", MatchedPath::as_str);
    app.metrics.observe_route(template, response.status().as_u16(), begun.elapsed());
    response
}

/// `GET /metrics`, for who is on this machine (contract, "Demo mode"). A request that a proxy on this
/// machine passes on comes from elsewhere.
pub async fn metrics(
    State(app): State<Arc<App>>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
) -> Response {
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"].iter().any(|&name| headers.contains_key(name));
    if forwarded || !address.ip().to_canonical().is_loopback() {
        return (StatusCode::FORBIDDEN, "metrics are for callers on this machine\n").into_response();
    }
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], app.metrics.write(&app)).into_response()
}

#[cfg(test)]
mod tests {
    use super::histogram::BOUNDS;
    use super::*;

    #[test]
    fn every_interaction_has_a_series_of_its_own() {
        let metrics = Metrics::default();
        let took = Duration::from_millis(3);
        metrics.observe_fhir(Some(Interaction::Read), 200, took);
        metrics.observe_fhir(Some(Interaction::ConditionalCreate), 201, took);
        metrics.observe_fhir(Interaction::operation("risk-score"), 422, took);
        metrics.observe_fhir(None, 404, took);
        let count = |name: &str, class: usize| {
            metrics.interactions[position(&INTERACTIONS, name).unwrap()][class].cumulative()[BOUNDS.len()]
        };
        assert_eq!((count("read", 1), count("create", 1), count("unrouted", 3)), (1, 1, 1));
        let risk_score = OPERATIONS.iter().position(|operation| operation.name == "risk-score").unwrap();
        assert_eq!(metrics.operations[risk_score][3].cumulative()[BOUNDS.len()], 1);
    }

    #[test]
    fn a_status_outside_http_counts_with_its_neighbours() {
        assert_eq!([class(0), class(99), class(200), class(599), class(999)], [0, 0, 1, 4, 4]);
    }

    #[test]
    fn this_process_is_resident() {
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
