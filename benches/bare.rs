//! The floor: the least a server can do that keeps JSON in PostgreSQL. The same axum, pool and
//! PostgreSQL as Salus, one prepared statement a request; no authentication, no checks, no parsing.
//!
//! | route | does |
//! |---|---|
//! | `GET /r/{id}` | one prepared `SELECT` by primary key |
//! | `POST /r` | one committed `INSERT` of the body |
//! | `PUT /r/{id}` | one committed `UPDATE` with the body |
//! | `GET /a/{id}` | the `SELECT`, and an audit row committed in a group before the answer |

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use salus_store::cluster::Cluster;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_postgres::NoTls;

use crate::Fallible;

/// Connections for requests: as many as Salus takes by default.
pub const CONNECTIONS: usize = 16;
/// Group commits under way at a time, as in Salus.
const AUDIT_WRITERS: usize = 2;
/// Rows of one group, as in Salus.
const GROUP: usize = 1024;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS r (id text COLLATE \"C\" PRIMARY KEY, body text COLLATE \"C\" NOT NULL);
    CREATE TABLE IF NOT EXISTS a (seq bigserial PRIMARY KEY, record text COLLATE \"C\" NOT NULL);";

/// Arguments of `salus-bench bare`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Where to listen
    #[arg(long)]
    listen: SocketAddr,
    /// Directory of its own private cluster
    #[arg(long)]
    data_dir: PathBuf,
    /// File with the text of one audit record
    #[arg(long)]
    audit_record: PathBuf,
}

struct Bare {
    pool: Pool,
    audit: mpsc::Sender<oneshot::Sender<bool>>,
}

type Answer = Result<Response, StatusCode>;

/// Serves until SIGTERM.
///
/// # Errors
/// A cluster that cannot be started, or a port that is taken.
pub async fn serve(arguments: Arguments) -> Fallible<()> {
    let record = std::fs::read_to_string(&arguments.audit_record)?;
    let cluster = Cluster::start(&arguments.data_dir, &|_| {}).await?;
    let pool = open(&cluster, CONNECTIONS)?;
    pool.get().await?.batch_execute(SCHEMA).await?;
    // As in Salus: a burst of reads must not keep the commits waiting.
    let audit_pool = open(&cluster, AUDIT_WRITERS)?;
    let (audit, waiting) = mpsc::channel(4096);
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..AUDIT_WRITERS {
        tokio::spawn(write_audit(audit_pool.clone(), record.clone(), waiting.clone()));
    }
    let router = Router::new()
        .route("/health/ready", get(async || "ready"))
        .route("/r", post(create))
        .route("/r/{id}", get(read))
        .route("/r/{id}", put(update))
        .route("/a/{id}", get(read_audited))
        .with_state(Arc::new(Bare { pool, audit }));
    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    let mut terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let told = async move { _ = terminated.recv().await };
    axum::serve(listener, router).with_graceful_shutdown(told).await?;
    cluster.stop().await?;
    Ok(())
}

fn open(cluster: &Cluster, size: usize) -> Fallible<Pool> {
    let manager =
        Manager::from_config(cluster.config(), NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Ok(Pool::builder(manager).max_size(size).runtime(Runtime::Tokio1).build()?)
}

async fn read(State(bare): State<Arc<Bare>>, Path(id): Path<String>) -> Answer {
    let body = bare.body(&id).await.map_err(unavailable)?.ok_or(StatusCode::NOT_FOUND)?;
    Ok(([(header::CONTENT_TYPE, "application/fhir+json")], body).into_response())
}

async fn read_audited(State(bare): State<Arc<Bare>>, Path(id): Path<String>) -> Answer {
    let body = bare.body(&id).await.map_err(unavailable)?.ok_or(StatusCode::NOT_FOUND)?;
    let (answer, committed) = oneshot::channel();
    bare.audit.send(answer).await.map_err(unavailable)?;
    match committed.await {
        Ok(true) => Ok(([(header::CONTENT_TYPE, "application/fhir+json")], body).into_response()),
        _ => Err(StatusCode::SERVICE_UNAVAILABLE),
    }
}

async fn create(State(bare): State<Arc<Bare>>, body: String) -> Answer {
    let id = uuid::Uuid::now_v7().to_string();
    bare.execute("INSERT INTO r (id, body) VALUES ($1, $2)", &id, &body).await.map_err(unavailable)?;
    Ok((StatusCode::CREATED, [(header::LOCATION, format!("/r/{id}"))]).into_response())
}

async fn update(State(bare): State<Arc<Bare>>, Path(id): Path<String>, body: String) -> Answer {
    match bare.execute("UPDATE r SET body = $2 WHERE id = $1", &id, &body).await.map_err(unavailable)? {
        1 => Ok(StatusCode::OK.into_response()),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

impl Bare {
    async fn body(&self, id: &str) -> Fallible<Option<String>> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached("SELECT body FROM r WHERE id = $1").await?;
        Ok(client.query_opt(&statement, &[&id]).await?.map(|row| row.try_get(0)).transpose()?)
    }

    async fn execute(&self, sql: &str, id: &str, body: &str) -> Fallible<u64> {
        let client = self.pool.get().await?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.execute(&statement, &[&id, &body]).await?)
    }
}

/// Commits the records of all requests that wait, in one statement, then answers them.
async fn write_audit(pool: Pool, record: String, waiting: Arc<Mutex<mpsc::Receiver<oneshot::Sender<bool>>>>) {
    loop {
        let mut answers = Vec::new();
        if waiting.lock().await.recv_many(&mut answers, GROUP).await == 0 {
            return;
        }
        let records: Vec<&str> = answers.iter().map(|_| record.as_str()).collect();
        let committed = insert_audit(&pool, &records).await.is_ok();
        for answer in answers {
            let _ = answer.send(committed);
        }
    }
}

async fn insert_audit(pool: &Pool, records: &[&str]) -> Fallible<()> {
    let client = pool.get().await?;
    let statement = client.prepare_cached("INSERT INTO a (record) SELECT * FROM unnest($1::text[])").await?;
    client.execute(&statement, &[&records]).await?;
    Ok(())
}

fn unavailable(_: impl std::fmt::Display) -> StatusCode {
    StatusCode::SERVICE_UNAVAILABLE
}
