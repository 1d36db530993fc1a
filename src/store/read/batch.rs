//! Batched reads: those of many requests in one statement.
//!
//! A read by id is so cheap for PostgreSQL that receiving, starting and answering the statement is most of its
//! cost, and switching between processes most of the machine's. So one connection reads for everybody: while one
//! group is being read the next one gathers and is sent after it. Only reads under the very same predicate share
//! a statement, so nobody's rows are found under somebody else's.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::{Client, Pool};
use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use salus_access::Access;
use salus_fhir::Key;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::definitions::Registry;
use crate::gather::Gatherer;
use crate::predicate::View;
use crate::row::Version;
use crate::sql::Sql;
use crate::{Error, Result};

/// Requests that may wait for a group; beyond, callers wait to be let in.
const QUEUE: usize = 4096;
/// Requests of one group.
const GROUP: usize = 256;
/// Groups on their way at a time: one that PostgreSQL works at, and one that it finds when it is done.
const UNDER_WAY: usize = 2;

/// What is read of a row.
pub(crate) trait Reading: Send + Sync + Sized + 'static {
    /// Appends a SELECT of the rows `rids` as `r`, whose first column is `r.rid`, under `predicate`.
    fn write(tenant: i32, rids: &[Uuid], predicate: &str, sql: &mut Sql);

    /// What was read of the resource with this type and id.
    fn from_row(row: &Row, resource_type: String, id: String) -> Result<Self>;
}

struct Request<R> {
    access: Arc<Access>,
    resource_type: String,
    id: String,
    answer: oneshot::Sender<Result<Option<R>>>,
}

/// Reads current versions in groups.
pub(crate) struct Reader<R> {
    requests: mpsc::Sender<Request<R>>,
}

impl<R: Reading> Reader<R> {
    pub fn start(pool: Pool, tenant: i32, registry: Arc<Registry>, base: String) -> Self {
        let (requests, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(Groups { pool, tenant, registry, base }.run(Gatherer::new(receiver)));
        Self { requests }
    }

    /// The current version of a resource, deleted or not, if `access` admits it.
    pub async fn read(&self, access: &Arc<Access>, resource_type: &str, id: &str) -> Result<Option<R>> {
        let (answer, found) = oneshot::channel();
        let stopped = |_| Error::Unavailable("the reader has stopped".to_owned());
        let (access, resource_type, id) = (access.clone(), resource_type.to_owned(), id.to_owned());
        let request = Request { access, resource_type, id, answer };
        self.requests.send(request).await.map_err(|_| stopped(()))?;
        found.await.map_err(|_| stopped(()))?
    }
}

/// What the groups are read with.
struct Groups {
    pool: Pool,
    tenant: i32,
    registry: Arc<Registry>,
    base: String,
}

impl Groups {
    async fn run<R: Reading>(self, mut requests: Gatherer<Request<R>>) {
        let mut connection: Option<Arc<Client>> = None;
        let mut under_way = FuturesUnordered::new();
        loop {
            tokio::select! {
                Some(()) = under_way.next() => {}
                first = requests.first(), if under_way.len() < UNDER_WAY => {
                    let Some(first) = first else { return };
                    let mut group = vec![first];
                    requests.fill(&mut group, GROUP).await;
                    if connection.as_ref().is_none_or(|client| client.is_closed()) {
                        connection = self.connect(&group).await;
                    }
                    match &connection {
                        Some(client) => under_way.push(self.read(client.clone(), group)),
                        None => refuse(group),
                    }
                }
            }
        }
    }

    async fn connect<R>(&self, group: &[Request<R>]) -> Option<Arc<Client>> {
        match self.pool.get().await {
            Ok(client) => Some(Arc::new(client)),
            Err(error) => {
                tracing::warn!(%error, waiting = group.len(), "no connection to read with");
                None
            }
        }
    }

    /// Reads and answers a group. The statements of all its predicates are sent before the first answer is awaited.
    async fn read<R: Reading>(&self, client: Arc<Client>, group: Vec<Request<R>>) {
        let mut statements: Vec<(Sql, Vec<Request<R>>)> = Vec::new();
        for request in group {
            let same = |other: &Request<R>| {
                Arc::ptr_eq(&other.access, &request.access) && other.resource_type == request.resource_type
            };
            if let Some((_, requests)) = statements.iter_mut().find(|(_, requests)| same(&requests[0])) {
                requests.push(request);
                continue;
            }
            let predicate = self.predicate(&request);
            match statements.iter_mut().find(|(other, _)| *other == predicate) {
                Some((_, requests)) => requests.push(request),
                None => statements.push((predicate, vec![request])),
            }
        }
        join_all(statements.into_iter().map(|(predicate, requests)| self.answer(&client, predicate, requests))).await;
    }

    fn predicate<R>(&self, request: &Request<R>) -> Sql {
        let mut predicate = Sql::default();
        let view = View::new(&request.access, self.registry.current().definitions.clone(), &self.base);
        view.write(&request.resource_type, "r", &mut predicate);
        predicate
    }

    async fn answer<R: Reading>(&self, client: &Client, predicate: Sql, requests: Vec<Request<R>>) {
        let rid = |request: &Request<R>| crate::sql::uuid(Key::resource(&request.resource_type, &request.id));
        let rids: Vec<Uuid> = requests.iter().map(rid).collect();
        let found = self.select::<R>(client, predicate, &rids).await;
        for (request, rid) in requests.into_iter().zip(rids) {
            let answer = match &found {
                Ok(found) => Ok(found.get(&rid).map(|row| R::from_row(row, request.resource_type, request.id))),
                Err(error) => Err(error.for_another()),
            };
            // A caller that went away needs no answer.
            let _ = request.answer.send(answer.and_then(Option::transpose));
        }
    }

    async fn select<R: Reading>(&self, client: &Client, mut sql: Sql, rids: &[Uuid]) -> Result<HashMap<Uuid, Row>> {
        let predicate = std::mem::take(&mut sql.text);
        R::write(self.tenant, rids, &predicate, &mut sql);
        let statement = client.prepare_cached(&sql.text).await?;
        let rows = client.query(&statement, &sql.params()).await?;
        rows.into_iter().map(|row| Ok((row.try_get(0)?, row))).collect()
    }
}

impl Reading for Version {
    fn write(tenant: i32, rids: &[Uuid], predicate: &str, sql: &mut Sql) {
        sql.push("SELECT r.rid, r.version, r.updated, r.method, r.body, r.patients FROM resource r WHERE r.tenant = ");
        sql.bind(tenant).push(" AND r.rid = ANY(").bind(rids).push(") AND ").push(predicate);
    }

    fn from_row(row: &Row, resource_type: String, id: String) -> Result<Self> {
        Ok(Self {
            resource_type,
            id,
            version: row.try_get(1)?,
            updated: row.try_get(2)?,
            method: row.try_get(3)?,
            body: row.try_get(4)?,
            patients: row.try_get(5)?,
        })
    }
}

fn refuse<R>(group: Vec<Request<R>>) {
    for request in group {
        let _ = request.answer.send(Err(Error::Unavailable("the database cannot be reached".to_owned())));
    }
}
