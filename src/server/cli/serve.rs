//! `salus serve`

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::Arc;

use salus_audit::{AuditKind, AuditRecord};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tracing_subscriber::EnvFilter;

use super::parts::{self, Database};
use super::{Outcome, complain, say};
use crate::app::App;
use crate::front::Front;
use crate::settings::{Flags, Settings};
use crate::{connections, demo, http, limits, own_resources};

/// Runs the server until it is told to stop.
pub(super) async fn run(flags: &Flags, print_config: bool) -> Outcome {
    let settings = Settings::read(flags)?;
    if print_config {
        say(settings.shown().trim_end());
        return Ok(());
    }
    if settings.demo && !settings.listen.ip().is_loopback() {
        return Err(format!("demo mode hands out credentials and serves on loopback only, not on {}", settings.listen));
    }
    log_to_stderr();
    limits::log_panics_by_place();
    // Before the database is started: a port that is taken is known at once, and who watches the server hears of it.
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    let front = Front::starting();
    let sockets = connections::serve(listener, front.clone(), settings.limits.clone(), told_to_stop());
    let sockets = tokio::spawn(sockets);
    let database = Database::start(&settings).await?;
    let outcome = serve(&settings, &database, &front, sockets).await;
    complain("stopping");
    let stopped = database.stop().await;
    outcome.and(stopped)
}

fn log_to_stderr() {
    // That a connection ended, the pool says without a reason, and whoever used it with one.
    let usual = || EnvFilter::new("info,tract=warn,refinery_core=warn,deadpool=error");
    let filter = EnvFilter::try_from_env("SALUS_LOG").unwrap_or_else(|_| usual());
    // Colours are for eyes (https://no-color.org).
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
}

/// Makes the server ready, and waits until `sockets` end because it was told to stop.
async fn serve(settings: &Settings, database: &Database, front: &Front, mut sockets: JoinHandle<()>) -> Outcome {
    let app = tokio::select! {
        app = prepare(settings, database) => app?,
        // Told to stop before it was ready: what was begun is broken off, and goes on at the next start.
        _ = &mut sockets => return Ok(()),
    };
    let mut beside = work_beside(&app, settings, database);
    front.open(http::router(app.clone()));
    complain(&format!("serving FHIR at {}", settings.base()));
    if settings.demo {
        complain(&next_step(settings));
    }
    let outcome = tokio::select! {
        ended = sockets => ended.map_err(|error| format!("the server failed: {error}")),
        reason = database.failed() => Err(format!("the database ended: {reason}")),
    };
    if outcome.is_ok() {
        let stopped = AuditRecord { recorded: crate::account::now(), ..AuditRecord::new(AuditKind::ServerStopped, "") };
        app.store.audit().append(&[stopped]).await.map_err(|error| error.to_string())?;
        beside.shutdown().await;
        app.store.close().await;
    }
    outcome
}

/// Everything that has to be there before the first request.
async fn prepare(settings: &Settings, database: &Database) -> Result<Arc<App>, String> {
    let app = Arc::new(parts::app(settings, database).await?);
    own_resources::store(&app).await?;
    if settings.demo {
        demo::prepare(&app, settings).await?;
    }
    let started = AuditRecord { recorded: crate::account::now(), ..AuditRecord::new(AuditKind::ServerStarted, "") };
    app.store.audit().append(&[started]).await.map_err(|error| error.to_string())?;
    Ok(app)
}

/// What works beside the requests, for as long as they are answered.
fn work_beside(app: &App, settings: &Settings, database: &Database) -> JoinSet<()> {
    let database = database.config();
    let mut beside = JoinSet::new();
    beside.spawn(app.auth.clone().maintain());
    beside.spawn(app.auth.clone().follow_changes(database.config().clone(), database.tls()));
    beside.spawn(app.store.clone().follow_definitions(database.clone()));
    beside.spawn(app.store.clone().work_at_reindexing(settings.reindex_rate));
    beside
}

/// A first request to try, as the README has it.
fn next_step(settings: &Settings) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "salus".to_owned());
    let data_dir = match settings.data_dir.as_path() {
        usual if usual == Path::new(".salus") => String::new(),
        other => format!(" --data-dir {}", quoted(&other.to_string_lossy())),
    };
    format!(
        "to ask it something:\n  curl -H \"Authorization: Bearer $({} token{data_dir})\" '{}/Patient?_count=1'",
        quoted(&program),
        settings.base()
    )
}

/// A word as a shell reads it whole.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:".contains(&byte);
    if word.bytes().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Resolves at SIGTERM or SIGINT.
async fn told_to_stop() {
    let interrupted = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = interrupted => {}
                _ = terminated.recv() => {}
            }
        }
        Err(_) => _ = interrupted.await,
    }
}
