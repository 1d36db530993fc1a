//! Jobs that index stored resources anew: where the definitions of search parameters change, and where somebody asks.
//!
//! A job is a row of `reindex_job`. A [worker](worker) holds it by a lease, goes through each of its types in the order
//! of the last change, and commits with every [batch](batch) how far it is; when it dies, another process goes on from
//! there. What is written meanwhile is indexed by the definitions in force (see [`crate::definitions`]), so a batch
//! leaves rows alone that are no longer at the version it has read.

mod batch;
mod worker;

use deadpool_postgres::GenericClient;
use tokio_postgres::Row;
use uuid::Uuid;

use crate::store::now;
use crate::{Error, Result, Store};

/// Jobs that are kept to be looked at when they have ended.
const KEPT: i64 = 100;
/// The server's own jobs.
const DEFINITIONS: &str = "definitions";
/// Those that somebody asked for.
const REQUEST: &str = "request";

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits for those before it.
    Queued,
    /// It is worked at, or will be again when another worker takes it over.
    Running,
    /// It has gone through everything.
    Done,
    /// Somebody ended it.
    Cancelled,
}

impl JobState {
    /// As it stands in the row.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    fn of(text: &str) -> Result<Self> {
        let all = [Self::Queued, Self::Running, Self::Done, Self::Cancelled];
        let found = all.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| Error::Internal("a reindex job is in no known state".to_owned()))
    }

    /// Whether nothing more will be done.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// A job.
#[derive(Debug, Clone)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub state: JobState,
    /// Whether the server began it by itself, since definitions changed.
    pub own: bool,
    /// The types it goes through, in order.
    pub types: Vec<String>,
    /// Resources it has looked at.
    pub examined: i64,
    /// Of these, those that were not indexed as they should be.
    pub changed: i64,
    /// When it was asked for, microseconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// When it ended.
    pub ended: Option<i64>,
    /// Which of the types is at work, from 0, and how many of its resources there are and are done.
    place: usize,
    total: i64,
    seen: i64,
}

const COLUMNS: &str = "id, state, reason, types, examined, changed, created, ended, place, total, seen";

impl Job {
    fn from_row(row: &Row) -> Result<Self> {
        let id: Uuid = row.try_get(0)?;
        Ok(Self {
            id: id.to_string(),
            state: JobState::of(row.try_get(1)?)?,
            own: row.try_get::<_, &str>(2)? == DEFINITIONS,
            types: row.try_get(3)?,
            examined: row.try_get(4)?,
            changed: row.try_get(5)?,
            created: row.try_get(6)?,
            ended: row.try_get(7)?,
            place: usize::try_from(row.try_get::<_, i32>(8)?).unwrap_or_default(),
            total: row.try_get(9)?,
            seen: row.try_get(10)?,
        })
    }

    /// How far it is, in words (`X-Progress` of an asynchronous request).
    pub fn progress(&self) -> String {
        match (self.state, self.types.get(self.place)) {
            (JobState::Running, Some(name)) => format!(
                "{name}: {} of {} resources, type {} of {}",
                self.seen.min(self.total),
                self.total,
                self.place + 1,
                self.types.len()
            ),
            (state, _) => state.as_str().to_owned(),
        }
    }
}

/// Asks for a job by the server itself, in the transaction of what makes it needed: it joins one that has not begun.
pub(crate) async fn enqueue(client: &impl GenericClient, tenant: i32, types: &[String]) -> Result<()> {
    let join = "UPDATE reindex_job SET types = ARRAY(SELECT DISTINCT t FROM unnest(types || $3::text[]) t ORDER BY t)
                WHERE tenant = $1 AND id = (SELECT id FROM reindex_job WHERE tenant = $1 AND state = 'queued'
                                            AND reason = $2 ORDER BY created LIMIT 1 FOR UPDATE)
                  AND state = 'queued'";
    if client.execute(join, &[&tenant, &DEFINITIONS, &types]).await? == 0 {
        insert(client, tenant, DEFINITIONS, None, types).await?;
    }
    Ok(())
}

/// Those of the types that no job is to go through.
pub(crate) async fn without_job(client: &impl GenericClient, tenant: i32, types: &[String]) -> Result<Vec<String>> {
    if types.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT t FROM unnest($2::text[]) t WHERE NOT EXISTS (
                   SELECT FROM reindex_job j WHERE j.tenant = $1 AND j.state IN ('queued', 'running')
                   AND t = ANY (j.types[j.place + 1:]))";
    let rows = client.query(sql, &[&tenant, &types]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, tokio_postgres::Error>>()?)
}

async fn insert(
    client: &impl GenericClient,
    tenant: i32,
    reason: &str,
    client_id: Option<&str>,
    types: &[String],
) -> Result<Uuid> {
    let id = Uuid::now_v7();
    let sql = "INSERT INTO reindex_job (tenant, id, reason, client_id, types, state, created)
               VALUES ($1, $2, $3, $4, $5, 'queued', $6)";
    client.execute(sql, &[&tenant, &id, &reason, &client_id, &types, &now()]).await?;
    // Old ones go when new ones come.
    let prune = "DELETE FROM reindex_job WHERE tenant = $1 AND state IN ('done', 'cancelled') AND created <
                 (SELECT created FROM reindex_job WHERE tenant = $1 ORDER BY created DESC OFFSET $2 LIMIT 1)";
    client.execute(prune, &[&tenant, &KEPT]).await?;
    Ok(id)
}

impl Store {
    /// Asks for a job that goes through these types, for a client. Gives its id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the database does not answer.
    pub async fn start_reindex(&self, types: &[String], client_id: Option<&str>) -> Result<String> {
        let client = self.client().await?;
        let id = insert(&client, self.tenant(), REQUEST, client_id, types).await?;
        self.registry().work.notify_one();
        Ok(id.to_string())
    }

    /// A job.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the database does not answer.
    pub async fn reindex_job(&self, id: &str) -> Result<Option<Job>> {
        let Ok(id) = Uuid::try_parse(id) else { return Ok(None) };
        let sql = format!("SELECT {COLUMNS} FROM reindex_job WHERE tenant = $1 AND id = $2");
        let row = self.client().await?.query_opt(&sql, &[&self.tenant(), &id]).await?;
        row.map(|row| Job::from_row(&row)).transpose()
    }

    /// The last jobs, newest first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the database does not answer.
    pub async fn reindex_jobs(&self, most: i64) -> Result<Vec<Job>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM reindex_job WHERE tenant = $1 ORDER BY state IN ('done', 'cancelled'),
             created DESC LIMIT $2"
        );
        let rows = self.client().await?.query(&sql, &[&self.tenant(), &most]).await?;
        rows.iter().map(Job::from_row).collect()
    }

    /// Ends a job that somebody asked for; one that is over stays as it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the database does not answer.
    pub async fn cancel_reindex(&self, id: &str) -> Result<()> {
        let Ok(id) = Uuid::try_parse(id) else { return Ok(()) };
        let sql = "UPDATE reindex_job SET state = 'cancelled', ended = $3
                   WHERE tenant = $1 AND id = $2 AND state IN ('queued', 'running') AND reason = $4";
        self.client().await?.execute(sql, &[&self.tenant(), &id, &now(), &REQUEST]).await?;
        Ok(())
    }
}
