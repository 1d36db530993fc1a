//! Group commit of creates: the rows of many requests in one transaction.
//!
//! As for audit records: while one group is being committed the next one gathers. A group that the
//! database refuses is written request by request, so that one request's fault is nobody else's.

use std::sync::Arc;

use deadpool_postgres::{Client, GenericClient, Pool};
use salus_audit::AuditRecord;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::batch::{Batch, Retired};
use super::change::{Change, Method};
use crate::audit::AuditRows;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 1024;
/// Requests of one group.
const GROUP: usize = 64;
const WRITERS: usize = 2;

/// Whether changes may join a group: creates under new ids, and no Consent, whose rules take
/// statements of their own.
pub(super) fn accepts(changes: &[Change]) -> bool {
    let joins = |change: &Change| {
        change.method == Method::Post && change.content.is_some() && change.resource_type != "Consent"
    };
    !changes.is_empty() && changes.len() <= GROUP && changes.iter().all(joins)
}

struct Request {
    batch: Batch,
    rows: AuditRows,
    answer: oneshot::Sender<Result<()>>,
}

/// Writes creates in groups.
pub(crate) struct Creations {
    requests: mpsc::Sender<Request>,
}

impl Creations {
    pub(crate) fn start(pool: Pool, tenant: i32) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..WRITERS {
            tokio::spawn(run(pool.clone(), tenant, receiver.clone()));
        }
        Self { requests }
    }

    /// Writes one request's rows together with others', and returns when they are durable.
    pub(super) async fn write(&self, batch: Batch, records: &[AuditRecord<'_>]) -> Result<()> {
        let (answer, committed) = oneshot::channel();
        let stopped = |_| Error::Unavailable("the writer has stopped".to_owned());
        let request = Request { batch, rows: AuditRows::of(records), answer };
        self.requests.send(request).await.map_err(|_| stopped(()))?;
        committed.await.map_err(|_| stopped(()))?
    }
}

async fn run(pool: Pool, tenant: i32, receiver: Arc<Mutex<mpsc::Receiver<Request>>>) {
    loop {
        let Some(requests) = gather(&receiver).await else { return };
        let client = match pool.get().await {
            Ok(client) => client,
            Err(error) => {
                let message = error.to_string();
                answer_all(requests, || Err(Error::Unavailable(message.clone())));
                continue;
            }
        };
        if let [_] = requests.as_slice() {
            one_by_one(&client, tenant, requests).await;
            continue;
        }
        let (mut batch, mut rows) = (Batch::default(), AuditRows::default());
        for request in &requests {
            batch.append(request.batch.clone());
            rows.append(request.rows.clone());
        }
        match commit(&client, tenant, &batch, &rows).await {
            Ok(()) => answer_all(requests, || Ok(())),
            Err(error) => {
                tracing::debug!(%error, requests = requests.len(), "a group of creates is written one by one");
                one_by_one(&client, tenant, requests).await;
            }
        }
    }
}

/// Waits for the first request, then takes all that wait already.
async fn gather(receiver: &Mutex<mpsc::Receiver<Request>>) -> Option<Vec<Request>> {
    let mut receiver = receiver.lock().await;
    let mut requests = vec![receiver.recv().await?];
    while requests.len() < GROUP {
        let Ok(more) = receiver.try_recv() else { break };
        requests.push(more);
    }
    Some(requests)
}

async fn one_by_one(client: &Client, tenant: i32, requests: Vec<Request>) {
    for request in requests {
        let outcome = commit(client, tenant, &request.batch, &request.rows).await;
        // A caller that went away needs no answer; what it wrote stays.
        let _ = request.answer.send(outcome);
    }
}

fn answer_all(requests: Vec<Request>, outcome: impl Fn() -> Result<()>) {
    for request in requests {
        let _ = request.answer.send(outcome());
    }
}

/// One transaction, all of it sent before the first answer is awaited. Where a statement fails, the
/// database turns the COMMIT into a rollback.
async fn commit(client: &Client, tenant: i32, batch: &Batch, rows: &AuditRows) -> Result<()> {
    batch.prepare(client).await?;
    rows.prepare(client).await?;
    let nothing = Retired::default();
    let (begun, written, audited, committed) = futures_util::join!(
        client.batch_execute("BEGIN"),
        batch.write(client, tenant, &nothing),
        rows.insert(client, tenant),
        client.batch_execute("COMMIT"),
    );
    begun?;
    written?;
    audited?;
    Ok(committed?)
}
