//! Group commit of writes: the rows of many requests in one transaction, which is one statement.
//!
//! While one group is being committed the next one gathers; only where several wait does another connection
//! help, since switching between processes costs more than a group's own work. A group that the database refuses
//! is written in halves, so that one request's fault is nobody else's.
//!
//! A request says which versions its rows replace. Where one of them is no longer current nothing of the request is
//! written, and it has to look again.

use std::collections::HashSet;

use deadpool_postgres::{Client, Pool};
use futures_util::stream::{FuturesUnordered, StreamExt};
use salus_audit::AuditRecord;
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, is_outdated, is_race};
use super::change::{Change, Content};
use super::columns::{Columns, WRITE_ROWS_AND_AUDIT};
use crate::audit::AuditRows;
use crate::definitions::SEARCH_PARAMETER;
use crate::gather::Gatherer;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 1024;
/// Most changes of one request that joins a group, and requests of a group.
const GROUP: usize = 64;
/// Groups committed at a time.
const WRITERS: usize = 3;
/// So many waiting requests are worth another connection.
const WORTH_ANOTHER: usize = 8;

/// Most text of one request that joins a group, in bytes: a group is one message, and those have a limit of 1 GiB.
const TEXT: usize = 1 << 20;

/// Whether changes may join a group: few and short, and no Consent or SearchParameter, which take statements of their
/// own.
pub(super) fn accepts(changes: &[Change]) -> bool {
    let text: usize = changes.iter().filter_map(|change| change.content.as_ref()).map(Content::len).sum();
    changes.len() <= GROUP && text <= TEXT && changes.iter().all(|change| !alone(&change.resource_type))
}

fn alone(resource_type: &str) -> bool {
    matches!(resource_type, "Consent" | SEARCH_PARAMETER)
}

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All of it is durable.
    Committed,
    /// Another request was first with one of its rows. Nothing was written.
    Raced,
    /// The search parameters have changed since its facts were taken. Nothing was written.
    Outdated,
}

struct Request {
    batch: Batch,
    rows: AuditRows,
    answer: oneshot::Sender<Result<Outcome>>,
}

/// Writes in groups.
pub(crate) struct Groups {
    requests: mpsc::Sender<Request>,
}

impl Groups {
    pub(crate) fn start(pool: Pool, tenant: i32) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, tenant, Gatherer::new(receiver)));
        Self { requests }
    }

    /// Writes one request's rows together with others', and returns when they are durable.
    pub(super) async fn write(&self, batch: Batch, records: &[AuditRecord<'_>]) -> Result<Outcome> {
        let (answer, committed) = oneshot::channel();
        let stopped = |_| Error::Unavailable("the writer has stopped".to_owned());
        let request = Request { batch, rows: AuditRows::of(records), answer };
        self.requests.send(request).await.map_err(|_| stopped(()))?;
        committed.await.map_err(|_| stopped(()))?
    }
}

async fn run(pool: Pool, tenant: i32, mut requests: Gatherer<Request>) {
    let mut waiting = Vec::with_capacity(GROUP);
    let mut under_way = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(()) = under_way.next() => {}
            first = requests.first(), if waiting.len() < GROUP => {
                let Some(first) = first else { return };
                waiting.push(first);
            }
        }
        match under_way.is_empty() {
            true => requests.fill(&mut waiting, GROUP).await,
            false => requests.take(&mut waiting, GROUP),
        }
        let most = if waiting.len() < WORTH_ANOTHER { 1 } else { WRITERS };
        if !waiting.is_empty() && under_way.len() < most {
            let group = apart(std::mem::take(&mut waiting));
            under_way.push(write(pool.clone(), tenant, group));
        }
    }
}

/// Of requests that replace the same version one can succeed; the others are told so at once.
fn apart(requests: Vec<Request>) -> Vec<Request> {
    let mut taken = HashSet::new();
    let mut group = Vec::with_capacity(requests.len());
    for request in requests {
        match request.batch.rows.iter().any(|row| taken.contains(&row.rid)) {
            true => _ = request.answer.send(Ok(Outcome::Raced)),
            false => {
                taken.extend(request.batch.rows.iter().map(|row| row.rid));
                group.push(request);
            }
        }
    }
    group
}

async fn write(pool: Pool, tenant: i32, group: Vec<Request>) {
    let client = match pool.get().await {
        Ok(client) => client,
        Err(error) => {
            let message = error.to_string();
            return answer_all(group, || Err(Error::Unavailable(message.clone())));
        }
    };
    let mut parts = vec![group];
    while let Some(mut part) = parts.pop() {
        match commit(&client, tenant, &part).await {
            Ok(()) => answer_all(part, || Ok(Outcome::Committed)),
            // Only where the database says that it has undone the group may it be repeated.
            Err(Failure { undone: true, error, .. }) if part.len() > 1 => {
                tracing::debug!(%error, requests = part.len(), "a group of writes is halved");
                let rest = part.split_off(part.len() / 2);
                parts.extend([rest, part]);
            }
            Err(failure) => answer_all(part, || failure.outcome()),
        }
    }
}

fn answer_all(requests: Vec<Request>, outcome: impl Fn() -> Result<Outcome>) {
    for request in requests {
        // A caller that went away needs no answer; what it wrote stays.
        let _ = request.answer.send(outcome());
    }
}

/// Why a group was not committed.
struct Failure {
    error: Error,
    /// The database answered, and nothing of the group is left.
    undone: bool,
    /// Because another transaction was first.
    raced: bool,
    /// Because the search parameters changed.
    outdated: bool,
}

impl Failure {
    fn outcome(&self) -> Result<Outcome> {
        match (self.raced, self.outdated) {
            (true, _) => Ok(Outcome::Raced),
            (_, true) => Ok(Outcome::Outdated),
            _ => Err(self.error.for_another()),
        }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        use tokio_postgres::error::Severity;
        let severity = error.as_db_error().and_then(|error| error.parsed_severity());
        Self {
            undone: severity == Some(Severity::Error),
            raced: is_race(&error),
            outdated: is_outdated(&error),
            error: AuditRows::told_apart(error),
        }
    }
}

/// One statement, which is a transaction of its own.
async fn commit(client: &Client, tenant: i32, group: &[Request]) -> std::result::Result<(), Failure> {
    let statement = client.prepare_cached(WRITE_ROWS_AND_AUDIT).await?;
    let mut rows = AuditRows::default();
    group.iter().for_each(|request| rows.append(request.rows.clone()));
    let columns = Columns::of(group.iter().map(|request| &request.batch));
    let mut parameters = columns.parameters(&tenant);
    parameters.extend(rows.parameters());
    client.execute(&statement, &parameters).await?;
    Ok(())
}
