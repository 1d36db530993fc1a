//! Appends committed events to the Merkle log and signs its heads.
//!
//! Events commit in any order; the log takes them in the order it finds them. One node at a time does
//! this, holding an advisory lock. `pending` remembers below which sequence number nothing can come
//! any more, so that each round looks at few rows: a missing number is given up when every
//! transaction that was running when it was first missed has ended, and some seconds besides.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{Client, GenericClient, Pool};
use salus_audit::HeadKey;
use salus_audit::merkle::{CompactRange, event_hash};
use tokio::sync::watch;
use tokio_postgres::Row;

use crate::store::now;
use crate::{Error, Result};

const PAUSE: Duration = Duration::from_millis(200);
/// Events appended in one transaction.
const STEP: i64 = 5000;
/// How long a missing number is waited for beyond the transactions then running.
const GRACE: Duration = Duration::from_secs(5);
/// Advisory lock of the log ("SALA" and the tenant).
const LOCK: i32 = 0x5341_4c41;

/// Runs until the log is closed or dropped. A step that is broken off then is rolled back.
pub(super) async fn run(pool: Pool, tenant: i32, key: Arc<HeadKey>, mut closed: watch::Receiver<bool>) {
    let mut sequencer = Sequencer::new(pool, tenant, key);
    let extend = async {
        loop {
            if let Err(error) = sequencer.catch_up().await {
                tracing::warn!(%error, "the audit log could not be extended; trying again");
                tokio::time::sleep(PAUSE * 5).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    tokio::select! {
        () = extend => {}
        _ = closed.wait_for(|closed| *closed) => {}
    }
}

pub(super) struct Sequencer {
    pool: Pool,
    tenant: i32,
    key: Arc<HeadKey>,
    /// Runs of missing numbers, by their first.
    missing: BTreeMap<i64, Missing>,
}

/// A run of numbers that are missing.
#[derive(Clone, Copy)]
struct Missing {
    /// The first number after it.
    end: i64,
    /// When it was first missed.
    since: Instant,
    /// The first transaction that had not begun then.
    horizon: i64,
}

/// Where the log stands.
struct Position {
    range: CompactRange,
    pending: i64,
}

impl Sequencer {
    pub fn new(pool: Pool, tenant: i32, key: Arc<HeadKey>) -> Self {
        Self { pool, tenant, key, missing: BTreeMap::new() }
    }

    /// Appends everything committed so far, if no other node is at it.
    pub async fn catch_up(&mut self) -> Result<()> {
        let mut client = self.pool.get().await?;
        while self.step(&mut client).await? {}
        Ok(())
    }

    /// One transaction. True where there may be more.
    async fn step(&mut self, client: &mut Client) -> Result<bool> {
        let transaction = client.transaction().await?;
        let locked = transaction.query_one("SELECT pg_try_advisory_xact_lock($1, $2)", &[&LOCK, &self.tenant]).await?;
        if !locked.try_get::<_, bool>(0)? {
            return Ok(false);
        }
        let mut position = self.position(&transaction).await?;
        let events = self.unlogged(&transaction, position.pending).await?;
        if events.is_empty() {
            return Ok(false);
        }
        let (mut index, mut seqs, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
        for event in &events {
            let (seq, record): (i64, &str) = (event.try_get(0)?, event.try_get(1)?);
            let hash = event_hash(self.tenant, seq, record);
            index.push(position.range.size() as i64);
            seqs.push(seq);
            hashes.push(hash.to_vec());
            position.range.append(hash);
        }
        let statement = transaction
            .prepare_cached("INSERT INTO audit_leaf (tenant, index, seq, hash) SELECT $1, * FROM unnest($2::int8[], $3::int8[], $4::bytea[])")
            .await?;
        transaction.execute(&statement, &[&self.tenant, &index, &seqs, &hashes]).await?;
        let pending = self.pending(&transaction, position.pending, &seqs).await?;
        self.write_head(&transaction, &position.range, pending).await?;
        transaction.commit().await?;
        Ok(events.len() as i64 == STEP)
    }

    /// The next events that are not in the log. What was logged above `pending` is known by two plain walks of
    /// an index rather than by a join, whose plan would hang on statistics that a young table does not have.
    async fn unlogged(&self, client: &impl GenericClient, pending: i64) -> Result<Vec<Row>> {
        let logged =
            client.prepare_cached("SELECT seq FROM audit_leaf WHERE tenant = $1 AND seq >= $2 ORDER BY seq").await?;
        let logged = client.query(&logged, &[&self.tenant, &pending]).await?;
        let logged: HashSet<i64> = logged.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, _>>()?;
        let statement = client
            .prepare_cached("SELECT seq, record FROM audit_event WHERE tenant = $1 AND seq >= $2 ORDER BY seq LIMIT $3")
            .await?;
        let limit = STEP + logged.len() as i64;
        let mut events = client.query(&statement, &[&self.tenant, &pending, &limit]).await?;
        events.retain(|row| row.try_get(0).is_ok_and(|seq: i64| !logged.contains(&seq)));
        events.truncate(usize::try_from(STEP).unwrap_or(usize::MAX));
        Ok(events)
    }

    async fn position(&self, client: &impl GenericClient) -> Result<Position> {
        let head = client
            .query_opt(
                "SELECT peaks, pending FROM audit_head WHERE tenant = $1 ORDER BY size DESC LIMIT 1",
                &[&self.tenant],
            )
            .await?;
        let Some(head) = head else { return Ok(Position { range: CompactRange::new(), pending: 0 }) };
        let range = CompactRange::from_bytes(head.try_get(0)?).map_err(|error| Error::Audit(error.to_string()))?;
        Ok(Position { range, pending: head.try_get(1)? })
    }

    /// The number below which nothing can come any more, given that `appended` (ascending) now are in
    /// the log.
    async fn pending(&mut self, client: &impl GenericClient, from: i64, appended: &[i64]) -> Result<i64> {
        let row = client
            .query_one(
                "SELECT pg_snapshot_xmin(s)::text::int8, pg_snapshot_xmax(s)::text::int8 FROM pg_current_snapshot() s",
                &[],
            )
            .await?;
        let (oldest_running, next): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let last = appended.last().copied().unwrap_or(from);
        let mut pending = from;
        if self.missing.is_empty() && from > 0 && last - from + 1 == appended.len() as i64 {
            return Ok(last + 1);
        }
        let logged = client
            .query(
                "SELECT seq FROM audit_leaf WHERE tenant = $1 AND seq BETWEEN $2 AND $3 ORDER BY seq",
                &[&self.tenant, &from, &last],
            )
            .await?;
        let mut open = BTreeMap::new();
        let mut expected = if from == 0 { logged.first().map_or(0, |row| row.get(0)) } else { from };
        for row in &logged {
            let seq: i64 = row.try_get(0)?;
            if expected < seq {
                let missing = self.missed(expected, seq, next);
                if missing.since.elapsed() < GRACE || oldest_running < missing.horizon {
                    open.insert(expected, missing);
                }
            }
            expected = seq + 1;
            pending = expected;
        }
        if let Some((&first, _)) = open.first_key_value() {
            pending = first;
        }
        self.missing = open;
        Ok(pending)
    }

    /// The run from `first` to before `end`, missed before (what is left of a longer one) or from now on.
    fn missed(&self, first: i64, end: i64, next_transaction: i64) -> Missing {
        match self.missing.range(..=first).next_back() {
            Some((_, known)) if known.end >= end => Missing { end, ..*known },
            _ => Missing { end, since: Instant::now(), horizon: next_transaction },
        }
    }

    async fn write_head(&self, client: &impl GenericClient, range: &CompactRange, pending: i64) -> Result<()> {
        let head = self.key.sign(self.tenant, range.size(), range.root(), now());
        client
            .execute(
                "INSERT INTO audit_head (tenant, size, root, peaks, time, key_id, signature, pending)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &[
                    &self.tenant,
                    &(head.size as i64),
                    &head.root.as_slice(),
                    &range.to_bytes(),
                    &head.timestamp,
                    &head.key_id.as_slice(),
                    &head.signature,
                    &pending,
                ],
            )
            .await?;
        Ok(())
    }
}
