//! Group commit: the audit records of many requests in one statement and one fsync.
//!
//! While one group is being committed the next one gathers, so the wait of a request is at most the
//! rest of a commit and its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use deadpool_postgres::Pool;
use tokio::sync::{mpsc, oneshot};

use super::rows::Rows;
use crate::gather::Gatherer;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 4096;
/// Requests of one group.
const GROUP: usize = 1024;

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
        let counters = Arc::new(Counters::default());
        tokio::spawn(write(pool, tenant, Gatherer::new(receiver), counters.clone()));
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

async fn write(pool: Pool, tenant: i32, mut requests: Gatherer<Request>, counters: Arc<Counters>) {
    while let Some(first) = requests.first().await {
        let mut group = vec![first];
        requests.fill(&mut group, GROUP).await;
        let (mut rows, mut answers) = (Rows::default(), Vec::with_capacity(group.len()));
        for (more, answer) in group {
            rows.append(more);
            answers.push(answer);
        }
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

async fn commit(pool: &Pool, tenant: i32, rows: &Rows) -> Result<()> {
    let client = pool.get().await?;
    rows.insert(&client, tenant).await
}
