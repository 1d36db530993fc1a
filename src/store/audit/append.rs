//! Group commit: the audit records of many requests in one statement and one fsync.
//!
//! While one group is being committed the next one gathers, so the wait of a request is at most the
//! rest of a commit and its own. Two writers take turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deadpool_postgres::Pool;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::rows::Rows;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 4096;
/// Rows of one group.
const GROUP: usize = 1024;
const WRITERS: usize = 1;

type Outcome = std::result::Result<(), String>;
type Request = (Rows, oneshot::Sender<Outcome>);

pub(super) struct Appender {
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
}

/// What the group commit has done since the server started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditStatistics {
    /// Requests that wait to be taken into a group.
    pub waiting: usize,
    /// Groups committed.
    pub commits: u64,
    /// Records in them.
    pub records: u64,
    /// Groups that could not be committed.
    pub failures: u64,
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    records: AtomicU64,
    failures: AtomicU64,
}

impl Counters {
    fn count(&self, records: usize, committed: bool) {
        if committed {
            self.commits.fetch_add(1, Ordering::Relaxed);
            self.records.fetch_add(records as u64, Ordering::Relaxed);
        } else {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Appender {
    pub fn start(pool: Pool, tenant: i32) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        let receiver = Arc::new(Mutex::new(receiver));
        let counters = Arc::new(Counters::default());
        for _ in 0..WRITERS {
            tokio::spawn(write(pool.clone(), tenant, receiver.clone(), counters.clone()));
        }
        Self { requests, counters }
    }

    pub fn statistics(&self) -> AuditStatistics {
        AuditStatistics {
            waiting: self.requests.max_capacity() - self.requests.capacity(),
            commits: self.counters.commits.load(Ordering::Relaxed),
            records: self.counters.records.load(Ordering::Relaxed),
            failures: self.counters.failures.load(Ordering::Relaxed),
        }
    }

    pub async fn append(&self, rows: Rows) -> Result<()> {
        let (answer, committed) = oneshot::channel();
        let stopped = |_| Error::Audit("the audit writer has stopped".to_owned());
        self.requests.send((rows, answer)).await.map_err(|_| stopped(()))?;
        committed.await.map_err(|_| stopped(()))?.map_err(Error::Audit)
    }
}

async fn write(pool: Pool, tenant: i32, receiver: Arc<Mutex<mpsc::Receiver<Request>>>, counters: Arc<Counters>) {
    loop {
        let Some((rows, answers)) = gather(&receiver).await else { return };
        let outcome = commit(&pool, tenant, &rows).await.map_err(|error| error.to_string());
        counters.count(rows.len(), outcome.is_ok());
        if let Err(message) = &outcome {
            tracing::error!(rows = rows.len(), message, "audit records could not be committed");
        }
        for answer in answers {
            // A caller that went away needs no answer; its record stays.
            let _ = answer.send(outcome.clone());
        }
    }
}

/// Waits for the first request, then takes all that wait already.
async fn gather(receiver: &Mutex<mpsc::Receiver<Request>>) -> Option<(Rows, Vec<oneshot::Sender<Outcome>>)> {
    let mut receiver = receiver.lock().await;
    let (mut rows, answer) = receiver.recv().await?;
    // Those who are about to ask have their turn first.
    tokio::task::yield_now().await;
    let mut answers = vec![answer];
    while rows.len() < GROUP {
        let Ok((more, answer)) = receiver.try_recv() else { break };
        rows.append(more);
        answers.push(answer);
    }
    Some((rows, answers))
}

async fn commit(pool: &Pool, tenant: i32, rows: &Rows) -> Result<()> {
    let client = pool.get().await?;
    rows.insert(&client, tenant).await
}
