//! Writes of many at once: what they leave in the tables, whoever was first, and whose fault is whose.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../search_reference/generate.rs"]
#[allow(dead_code, reason = "queries are the other test's")]
mod generate;

mod races;
mod rows;

use std::sync::Arc;

use common::{BASE, Server};
use salus_access::Access;
use salus_audit::{AuditKind, AuditRecord, Entity};
use salus_store::{Change, Result, Store, Written};
use tokio_postgres::{Client, NoTls};

/// As the generator of resources asks for it: microseconds since 1970-01-01T00:00:00Z.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

fn access(tenant: i32) -> Arc<Access> {
    Arc::new(Access::system("test", tenant))
}

/// A record a change, as the server makes them.
fn records(written: &[Written]) -> Vec<AuditRecord<'static>> {
    let record = |one: &Written| AuditRecord {
        patients: one.patients.iter().map(|id| id.clone().into()).collect(),
        entities: vec![Entity::data(
            format!("{}/{}", one.resource_type, one.id),
            Some(u64::try_from(one.version).unwrap()),
        )],
        ..AuditRecord::new(AuditKind::Update, "update")
    };
    written.iter().map(record).collect()
}

/// Makes each set of changes as a request of its own, all at once.
async fn at_once(store: &Store, requests: Vec<Vec<Change>>) -> Vec<Result<Vec<Written>>> {
    let tasks: Vec<_> = requests
        .into_iter()
        .map(|changes| {
            let store = store.clone();
            tokio::spawn(async move { store.commit(&changes, records).await })
        })
        .collect();
    let mut outcomes = Vec::with_capacity(tasks.len());
    for task in tasks {
        outcomes.push(task.await.unwrap());
    }
    outcomes
}

async fn database(server: &Server) -> Client {
    let (client, connection) = server.cluster.config().connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn count(database: &Client, sql: &str) -> i64 {
    database.query_one(sql, &[]).await.unwrap().get(0)
}
