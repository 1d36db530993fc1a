//! Reads of many requests in one statement.
//!
//! A read by id is so cheap for PostgreSQL that receiving, starting and answering the statement is most of its
//! cost. While one group is being read the next one gathers; a read that comes alone goes alone. Only reads
//! under the very same predicate share a statement, so nobody's rows are found under somebody else's.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::{Client, Pool};
use salus_fhir::Key;
use tokio::sync::{Mutex, mpsc, oneshot};
use uuid::Uuid;

use crate::row::{Version, columns};
use crate::sql::Sql;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 4096;
/// Requests of one group.
const GROUP: usize = 128;
const READERS: usize = 3;

struct Request {
    /// The predicate on the row `r`.
    predicate: Sql,
    rid: Key,
    answer: oneshot::Sender<Result<Option<Version>>>,
}

/// Reads current versions in groups.
pub(crate) struct Reader {
    requests: mpsc::Sender<Request>,
}

impl Reader {
    pub fn start(pool: Pool, tenant: i32) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..READERS {
            tokio::spawn(run(pool.clone(), tenant, receiver.clone()));
        }
        Self { requests }
    }

    /// The current version of a row, deleted or not, if `predicate` (on `r`) admits it.
    pub async fn read(&self, predicate: Sql, rid: Key) -> Result<Option<Version>> {
        let (answer, found) = oneshot::channel();
        let stopped = |_| Error::Unavailable("the reader has stopped".to_owned());
        self.requests.send(Request { predicate, rid, answer }).await.map_err(|_| stopped(()))?;
        found.await.map_err(|_| stopped(()))?
    }
}

async fn run(pool: Pool, tenant: i32, receiver: Arc<Mutex<mpsc::Receiver<Request>>>) {
    loop {
        let Some(requests) = gather(&receiver).await else { return };
        let mut groups: Vec<Vec<Request>> = Vec::new();
        for request in requests {
            match groups.iter_mut().find(|group| group[0].predicate == request.predicate) {
                Some(group) => group.push(request),
                None => groups.push(vec![request]),
            }
        }
        match pool.get().await {
            Ok(client) => {
                // All statements are sent before the first answer is awaited.
                let reads = groups.into_iter().map(|group| read(&client, tenant, group));
                futures_util::future::join_all(reads).await;
            }
            Err(error) => {
                let message = error.to_string();
                for request in groups.into_iter().flatten() {
                    let _ = request.answer.send(Err(Error::Unavailable(message.clone())));
                }
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

async fn read(client: &Client, tenant: i32, group: Vec<Request>) {
    let rids: Vec<Key> = group.iter().map(|request| request.rid).collect();
    let found = select(client, tenant, &group[0].predicate, &rids).await;
    for request in group {
        let answer = match &found {
            Ok(found) => Ok(found.get(&crate::sql::uuid(request.rid)).cloned()),
            Err(error) => Err(error.for_another()),
        };
        // A caller that went away needs no answer.
        let _ = request.answer.send(answer);
    }
}

async fn select(client: &Client, tenant: i32, predicate: &Sql, rids: &[Key]) -> Result<HashMap<Uuid, Version>> {
    let mut sql = predicate.clone();
    let predicate = std::mem::take(&mut sql.text);
    sql.push("SELECT r.rid, ").push(&columns("r")).push(" FROM resource r WHERE r.tenant = ").bind(tenant);
    sql.push(" AND r.rid = ANY(").bind(rids).push(") AND ").push(&predicate);
    let statement = client.prepare_cached(&sql.text).await?;
    let rows = client.query(&statement, &sql.params()).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, Version::from_row(row, 1)?))).collect()
}
