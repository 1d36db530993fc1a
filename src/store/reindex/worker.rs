//! Doing the jobs: one at a time on a database, whichever process has it.

use std::time::Duration;

use deadpool_postgres::{GenericClient, Transaction};
use salus_audit::{AuditKind, AuditRecord};
use salus_fhir::search::Progress;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::batch::{self, Place};
use super::{Job, enqueue, without_job};
use crate::definitions::{Snapshot, announce, mark, without_rows};
use crate::store::now;
use crate::{Error, Result, Store};

/// How long a worker holds a job without saying anything.
const LEASE: &str = "8 seconds";
/// How often is looked for what others left.
const LOOK: Duration = Duration::from_secs(3);
/// How often is looked whether the writers of a former state have ended.
const HORIZON: Duration = Duration::from_millis(50);
/// Most resources of a batch.
const BATCH: i64 = 100;
/// How long to wait when something failed.
const PAUSE: Duration = Duration::from_secs(2);

/// A job at work.
struct Work {
    id: Uuid,
    types: Vec<String>,
    place: usize,
    /// Whether nobody has worked at it yet.
    is_new: bool,
    worker: Uuid,
    /// Most resources a second.
    rate: u32,
}

/// How far the type at work is.
struct Walk {
    bound: i64,
    total: i64,
    seen: i64,
    after: Place,
    /// The definitions it is gone through with.
    made_by: Uuid,
}

/// What became of a type.
enum Ended {
    /// All of it is done.
    Done,
    /// The definitions have changed: it begins anew.
    Again,
    /// The job is cancelled, or somebody else's.
    Lost,
}

const CLAIM: &str = "
    UPDATE reindex_job SET state = 'running', worker = $2, lease = clock_timestamp() + $3::text::interval
    WHERE tenant = $1 AND id = (
        SELECT id FROM reindex_job WHERE tenant = $1 AND state IN ('queued', 'running') ORDER BY created LIMIT 1)
      AND NOT EXISTS (SELECT FROM reindex_job WHERE tenant = $1 AND state = 'running' AND lease > clock_timestamp())
    RETURNING id, types, place, examined = 0 AND bound IS NULL AND place = 0";

impl Store {
    /// Does the jobs that there are and that come, for as long as the process runs: `rate` resources a second at most.
    pub async fn work_at_reindexing(self, rate: u32) {
        loop {
            match self.next_job(rate.max(1)).await {
                Ok(Some(work)) => {
                    if let Err(error) = self.work(work).await {
                        tracing::warn!(%error, "a reindex job is interrupted");
                        sleep(PAUSE).await;
                    }
                }
                Ok(None) => _ = timeout(LOOK, self.registry().work.notified()).await,
                Err(error) => {
                    tracing::debug!(%error, "no reindex job can be looked for");
                    sleep(PAUSE).await;
                }
            }
            if let Err(error) = self.learn_progress().await {
                tracing::debug!(%error, "the progress of reindexing is not known");
            }
        }
    }

    /// Takes the first job that nobody works at; none where one is worked at.
    async fn next_job(&self, rate: u32) -> Result<Option<Work>> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let lock = "SELECT pg_advisory_xact_lock(hashtextextended('reindex', $1::int4))";
        transaction.execute(lock, &[&self.tenant()]).await?;
        self.enqueue_missing(&transaction).await?;
        let worker = Uuid::new_v4();
        let row = transaction.query_opt(CLAIM, &[&self.tenant(), &worker, &LEASE]).await?;
        transaction.commit().await?;
        let Some(row) = row else { return Ok(None) };
        let place: i32 = row.try_get(2)?;
        let work = Work {
            id: row.try_get(0)?,
            types: row.try_get(1)?,
            place: usize::try_from(place).unwrap_or_default(),
            is_new: row.try_get(3)?,
            worker,
            rate,
        };
        if work.is_new {
            self.account(&work, "begun").await?;
        }
        Ok(Some(work))
    }

    /// Asks for a job where types are behind the definitions in force and no job will see to it.
    async fn enqueue_missing(&self, client: &impl GenericClient) -> Result<()> {
        let snapshot = self.registry().current();
        let missing = without_job(client, self.tenant(), &snapshot.behind).await?;
        if missing.is_empty() { Ok(()) } else { enqueue(client, self.tenant(), &missing).await }
    }

    async fn work(&self, mut work: Work) -> Result<()> {
        if work.is_new && work.types.len() > 1 && !self.pass_empty(&mut work).await? {
            return Ok(());
        }
        while let Some(name) = work.types.get(work.place).cloned() {
            match self.reindex_type(&work, &name).await {
                Ok(Ended::Done) => work.place += 1,
                Ok(Ended::Lost) => return Ok(()),
                Ok(Ended::Again) | Err(Error::DefinitionsChanged) => {
                    self.registry().refresh(self.pool()).await?;
                    if !self.advance(&work, work.place, None).await? {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let sql = "UPDATE reindex_job SET state = 'done', ended = $4 WHERE tenant = $1 AND id = $2 AND worker = $3
                   AND state = 'running'";
        let client = self.client().await?;
        if client.execute(sql, &[&self.tenant(), &work.id, &work.worker, &now()]).await? > 0 {
            self.account(&work, "done").await?;
        }
        Ok(())
    }

    /// Puts the resources of a type right, from where the job is.
    async fn reindex_type(&self, work: &Work, name: &str) -> Result<Ended> {
        let snapshot = self.registry().current();
        let mut walk = match self.resume(work, name, &snapshot).await? {
            Some(walk) => walk,
            None => match self.begin(work, name, &snapshot).await? {
                Some(walk) => walk,
                None => return Ok(Ended::Lost),
            },
        };
        let most = BATCH.min(i64::from(work.rate)).max(1);
        loop {
            let begun = Instant::now();
            let stored = {
                let client = self.client().await?;
                batch::fetch(&client, self.tenant(), name, walk.after, walk.bound, most).await?
            };
            let Some(last) = stored.last() else { break };
            walk.after = (last.updated, last.rid);
            let examined = stored.len() as i64;
            walk.seen += examined;
            if !self.put_right(work, name, &snapshot, stored, &walk).await? {
                return Ok(Ended::Lost);
            }
            let definitions = self.registry().current();
            tell(definitions.definitions.search().pending(name).1, walk.seen, walk.total);
            // Requests have at least half of the time to themselves.
            let due = Duration::from_secs_f64(examined as f64 / f64::from(work.rate));
            let taken = begun.elapsed();
            sleep(due.saturating_sub(taken).max(taken.min(PAUSE))).await;
        }
        self.finish(work, name, &snapshot).await
    }

    /// Where the type at work was left; none where it has to be begun.
    async fn resume(&self, work: &Work, name: &str, snapshot: &Snapshot) -> Result<Option<Walk>> {
        let sql = "SELECT bound, total, seen, after_updated, after_rid, made_by FROM reindex_job
                   WHERE tenant = $1 AND id = $2 AND bound IS NOT NULL AND made_by = $3";
        let client = self.client().await?;
        let row = client.query_opt(sql, &[&self.tenant(), &work.id, &snapshot.made_by(name)]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Walk {
            bound: row.try_get(0)?,
            total: row.try_get(1)?,
            seen: row.try_get(2)?,
            after: (row.try_get(3)?, row.try_get(4)?),
            made_by: row.try_get(5)?,
        }))
    }

    /// Waits until all have ended who may be writing by former definitions. False where the job is no longer this
    /// worker's.
    async fn horizon(&self, work: &Work) -> Result<bool> {
        let client = self.client().await?;
        let next = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::int8";
        let next: i64 = client.query_one(next, &[]).await?.try_get(0)?;
        loop {
            if !self.advance(work, work.place, None).await? {
                return Ok(false);
            }
            let oldest = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::int8";
            if client.query_one(oldest, &[]).await?.try_get::<_, i64>(0)? >= next {
                return Ok(true);
            }
            sleep(HORIZON).await;
        }
    }

    /// Sees to the types at once of which nothing is stored: they are put first, as done. False where the job is no
    /// longer this worker's.
    async fn pass_empty(&self, work: &mut Work) -> Result<bool> {
        let snapshot = self.registry().current();
        if !self.horizon(work).await? {
            return Ok(false);
        }
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        if !self.is_in_force(&transaction, &snapshot).await? {
            return Ok(true);
        }
        let empty = without_rows(&transaction, self.tenant(), &work.types).await?;
        mark(&transaction, self.tenant(), &empty, &snapshot.definitions).await?;
        let rest = work.types.iter().filter(|name| !empty.contains(name)).cloned();
        let types: Vec<String> = empty.iter().cloned().chain(rest).collect();
        let order = "UPDATE reindex_job SET types = $3 WHERE tenant = $1 AND id = $2";
        transaction.execute(order, &[&self.tenant(), &work.id, &types]).await?;
        if !self.advance_in(&transaction, work, empty.len(), None).await? {
            return Ok(false);
        }
        announce(&transaction, self.tenant()).await?;
        transaction.commit().await?;
        drop(client);
        (work.place, work.types) = (empty.len(), types);
        self.registry().refresh(self.pool()).await?;
        Ok(true)
    }

    /// Whether the search parameters are those of this snapshot, which they then stay until the transaction ends.
    async fn is_in_force(&self, transaction: &Transaction<'_>, snapshot: &Snapshot) -> Result<bool> {
        let state = "SELECT version FROM search_definitions WHERE tenant = $1 FOR SHARE";
        let version: i64 = transaction.query_one(state, &[&self.tenant()]).await?.try_get(0)?;
        Ok(version == snapshot.version)
    }

    /// Begins a type, from the [horizon](Self::horizon) on: whoever comes later writes by these definitions, so that what
    /// is stored now is all there is to do.
    async fn begin(&self, work: &Work, name: &str, snapshot: &Snapshot) -> Result<Option<Walk>> {
        if !self.horizon(work).await? {
            return Ok(None);
        }
        let client = self.client().await?;
        let count = "SELECT count(*), coalesce(max(updated), 0) FROM resource WHERE tenant = $1 AND type COLLATE \"POSIX\" = $2";
        let row = client.query_one(count, &[&self.tenant(), &name]).await?;
        let walk = Walk {
            total: row.try_get(0)?,
            bound: row.try_get(1)?,
            seen: 0,
            after: (i64::MIN, Uuid::nil()),
            made_by: snapshot.made_by(name),
        };
        tell(snapshot.definitions.search().pending(name).1, walk.seen, walk.total);
        let mine = self.advance(work, work.place, Some(&walk)).await?;
        Ok(mine.then_some(walk))
    }

    /// Puts a batch right, and says so, in one transaction. False where the job is no longer this worker's.
    async fn put_right(
        &self,
        work: &Work,
        name: &str,
        snapshot: &Snapshot,
        stored: Vec<batch::Stored>,
        walk: &Walk,
    ) -> Result<bool> {
        let (definitions, base, kind) = (snapshot.definitions.clone(), self.base().to_owned(), name.to_owned());
        let examined = stored.len() as i64;
        // Long work for a thread that has requests to answer.
        let rewrites = tokio::task::spawn_blocking(move || {
            stored.iter().filter_map(|one| batch::rewrite(&definitions, &base, &kind, one)).collect::<Vec<_>>()
        });
        let rewrites = rewrites.await.map_err(|_| Error::Internal("facts could not be taken".to_owned()))?;
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        let changed = self.rewrite(&transaction, &rewrites, snapshot.version).await?;
        let sql = "UPDATE reindex_job SET seen = $4, after_updated = $5, after_rid = $6, examined = examined + $7,
                   changed = changed + $8, lease = clock_timestamp() + $9::text::interval
                   WHERE tenant = $1 AND id = $2 AND worker = $3 AND state = 'running'";
        let (updated, rid) = walk.after;
        let mine = transaction
            .execute(
                sql,
                &[&self.tenant(), &work.id, &work.worker, &walk.seen, &updated, &rid, &examined, &changed, &LEASE],
            )
            .await?;
        if mine == 0 {
            transaction.rollback().await?;
            return Ok(false);
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Says that all of a type is indexed by the definitions it was gone through with.
    async fn finish(&self, work: &Work, name: &str, snapshot: &Snapshot) -> Result<Ended> {
        let mut client = self.client().await?;
        let transaction = client.transaction().await?;
        if !self.is_in_force(&transaction, snapshot).await? {
            return Ok(Ended::Again);
        }
        mark(&transaction, self.tenant(), &[name.to_owned()], &snapshot.definitions).await?;
        if !self.advance_in(&transaction, work, work.place + 1, None).await? {
            return Ok(Ended::Lost);
        }
        announce(&transaction, self.tenant()).await?;
        transaction.commit().await?;
        drop(client);
        self.registry().refresh(self.pool()).await?;
        Ok(Ended::Done)
    }

    async fn advance(&self, work: &Work, place: usize, walk: Option<&Walk>) -> Result<bool> {
        let client = self.client().await?;
        self.advance_in(&client, work, place, walk).await
    }

    /// Says where the job is: at the beginning of a type, or before it where there is no `walk` yet. False where it is
    /// no longer this worker's.
    async fn advance_in(
        &self,
        client: &impl GenericClient,
        work: &Work,
        place: usize,
        walk: Option<&Walk>,
    ) -> Result<bool> {
        let sql = "UPDATE reindex_job SET place = $4, bound = $5, total = $6, made_by = $7, seen = 0,
                   after_updated = $8, after_rid = '00000000-0000-0000-0000-000000000000',
                   lease = clock_timestamp() + $9::text::interval
                   WHERE tenant = $1 AND id = $2 AND worker = $3 AND state = 'running'";
        let place = i32::try_from(place).unwrap_or(i32::MAX);
        let bound = walk.map(|walk| walk.bound);
        let (total, made_by) = walk.map_or((0, Uuid::nil()), |walk| (walk.total, walk.made_by));
        let rows = client
            .execute(
                sql,
                &[&self.tenant(), &work.id, &work.worker, &place, &bound, &total, &made_by, &i64::MIN, &LEASE],
            )
            .await?;
        Ok(rows > 0)
    }

    /// What other processes' jobs have come to.
    async fn learn_progress(&self) -> Result<()> {
        let current = self.registry().current();
        let search = current.definitions.search();
        if current.definitions.resource_types().all(|name| search.pending(name).0.is_empty()) {
            return Ok(());
        }
        for job in self.reindex_jobs(1).await? {
            let Job { types, place, total, seen, .. } = &job;
            if let (false, Some(name)) = (job.state.is_over(), types.get(*place)) {
                tell(search.pending(name).1, *seen, *total);
            }
        }
        Ok(())
    }

    /// The server acts by itself, and its trail says so.
    async fn account(&self, work: &Work, what: &str) -> Result<()> {
        let mut record = AuditRecord::new(AuditKind::Operation, "operation");
        record.recorded = now();
        record.operation = Some("reindex".into());
        record.outcome_description = Some(format!("job {} {what}: {}", work.id, work.types.join(", ")).into());
        self.audit().append(&[record]).await
    }
}

fn tell(progress: Option<&Progress>, seen: i64, total: i64) {
    if let Some(progress) = progress {
        let per_cent = seen.saturating_mul(100) / total.max(1);
        // All are done when it is said that they are.
        progress.set(u8::try_from(per_cent.clamp(0, 99)).unwrap_or(99));
    }
}
