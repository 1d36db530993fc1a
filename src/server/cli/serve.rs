//! `salus serve`

use std::sync::Arc;

use salus_audit::{AuditKind, AuditRecord};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use super::parts::{self, Database};
use super::{Outcome, complain, say};
use crate::settings::{Flags, Settings};
use crate::{connections, demo, devices, http, limits};

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
    let filter =
        EnvFilter::try_from_env("SALUS_LOG").unwrap_or_else(|_| EnvFilter::new("info,tract=warn,refinery_core=warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    limits::log_panics_by_place();
    // Before the database is started: a port that is taken is known at once.
    let listener = TcpListener::bind(settings.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", settings.listen))?;
    let database = Database::start(&settings).await?;
    let outcome = serve(&settings, &database, listener).await;
    complain("stopping");
    let stopped = database.stop().await;
    outcome.and(stopped)
}

async fn serve(settings: &Settings, database: &Database, listener: TcpListener) -> Outcome {
    let app = Arc::new(parts::app(settings, database).await?);
    devices::register(&app).await?;
    if settings.demo {
        demo::prepare(&app, settings).await?;
    }
    let started = AuditRecord { recorded: crate::account::now(), ..AuditRecord::new(AuditKind::ServerStarted, "") };
    app.store.audit().append(&[started]).await.map_err(|error| error.to_string())?;
    tokio::spawn(app.auth.clone().maintain());
    tokio::spawn(app.auth.clone().follow_changes(database.config(), tokio_postgres::NoTls));
    tokio::spawn(app.store.clone().follow_definitions(database.config()));
    tokio::spawn(app.store.clone().work_at_reindexing(settings.reindex_rate));
    complain(&format!("serving FHIR at {}", settings.base()));
    let server = connections::serve(listener, http::router(app.clone()), &app.limits, told_to_stop());
    let outcome = tokio::select! {
        () = server => Ok(()),
        reason = database.failed() => Err(format!("the database ended: {reason}")),
    };
    let stopped = AuditRecord { recorded: crate::account::now(), ..AuditRecord::new(AuditKind::ServerStopped, "") };
    if outcome.is_ok() {
        app.store.audit().append(&[stopped]).await.map_err(|error| error.to_string())?;
    }
    outcome
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
