//! The audit log of one tenant.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{GenericClient, Pool};
use salus_audit::{AuditRecord, HeadKey};
use tokio::sync::watch;
use tokio::time::timeout;

use super::append::{Appender, AuditStatistics};
use super::rows::Rows;
use super::sequencer;
use crate::{Error, Result};

/// Writes audit records durably, keeps their Merkle log, and answers questions about them.
pub struct AuditLog {
    pub(super) pool: Pool,
    pub(super) tenant: i32,
    pub(super) key: Arc<HeadKey>,
    appender: Appender,
    /// Ends the sequencer, as does its being dropped.
    closed: watch::Sender<bool>,
}

/// How long a closing log may take to bring its Merkle tree up to date.
const CLOSING: Duration = Duration::from_secs(5);

impl AuditLog {
    /// Connections the log needs: two group commits in turn, the sequencer, and one to verify.
    pub(crate) const CONNECTIONS: usize = 4;

    pub(crate) fn start(pool: Pool, tenant: i32, head_key: &Path) -> Result<Self> {
        let key = Arc::new(HeadKey::load_or_generate(head_key).map_err(|error| Error::Audit(error.to_string()))?);
        let appender = Appender::start(pool.clone(), tenant);
        let (closed, open) = watch::channel(false);
        tokio::spawn(sequencer::run(pool.clone(), tenant, key.clone(), open));
        Ok(Self { pool, tenant, key, appender, closed })
    }

    /// Ends what works in the background, as before the database is stopped, with the Merkle log as far as the records
    /// are. What the database cannot do in time the next start does.
    pub(crate) async fn close(&self) {
        self.closed.send_replace(true);
        self.closed.closed().await;
        let _ = timeout(CLOSING, self.sequence_now()).await;
        self.pool.close();
    }

    /// Commits records together with those of other requests, and returns when they are durable.
    ///
    /// # Errors
    /// [`Error::Audit`]: they are not; nothing may be disclosed.
    pub async fn append(&self, records: &[AuditRecord<'_>]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        self.appender.append(Rows::of(records)).await
    }

    /// What the group commit has done since the start.
    pub fn statistics(&self) -> AuditStatistics {
        self.appender.statistics()
    }

    /// Inserts records in the transaction of the change they tell of.
    pub(crate) async fn insert(&self, client: &impl GenericClient, records: &[AuditRecord<'_>]) -> Result<()> {
        let rows = Rows::of(records);
        if rows.is_empty() { Ok(()) } else { rows.insert(client, self.tenant).await }
    }

    /// Appends what is committed and not yet in the Merkle log, now rather than within the next
    /// fraction of a second. For commands and tests; does nothing where another node does it.
    ///
    /// # Errors
    /// What the database says.
    pub async fn sequence_now(&self) -> Result<()> {
        sequencer::Sequencer::new(self.pool.clone(), self.tenant, self.key.clone()).catch_up().await
    }
}
