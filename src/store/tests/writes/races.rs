//! Requests that want the same resource at the same time, and requests whose group fails for another's sake.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_postgres::Client;

use crate::common::{Server, definitions, delete, put};
use crate::{access, at_once, count, database};
use salus_store::{Change, Error, Precondition, Store};

/// At once; more than a group takes.
const REQUESTS: usize = 100;

fn patient(id: &str, name: usize) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": format!("name {name}")}]})
}

fn put_patient(store: &Store, id: &str, name: usize) -> Change {
    put(store, &access(0), &patient(id, name))
}

/// Index rows that are of no current version, or audit rows that are not one a version.
async fn inconsistencies(database: &Client, id: &str) -> Vec<i64> {
    let versions = format!(
        "SELECT (SELECT version FROM resource WHERE id = '{id}') - (SELECT count(*) FROM resource_history WHERE id = \
         '{id}') - 1"
    );
    let records = format!(
        "SELECT (SELECT version FROM resource WHERE id = '{id}') - count(*) FROM audit_event WHERE record LIKE \
         '%Patient/{id}\"%'"
    );
    let strings = format!(
        "SELECT count(*) FROM search_string x JOIN resource r USING (tenant, rid) WHERE r.id = '{id}' AND (r.deleted \
         OR position(x.exact IN r.body) = 0)"
    );
    vec![count(database, &versions).await, count(database, &records).await, count(database, &strings).await]
}

async fn updates_of_one_all_happen(server: &Server, database: &Client) {
    let requests = (0..REQUESTS).map(|name| vec![put_patient(&server.store, "one", name)]).collect();
    let outcomes = at_once(&server.store, requests).await;
    let versions: BTreeSet<i32> = outcomes.into_iter().map(|outcome| outcome.unwrap()[0].version).collect();
    assert_eq!(versions, (1..=i32::try_from(REQUESTS).unwrap()).collect(), "each is a version of its own");
    assert_eq!(inconsistencies(database, "one").await, [0, 0, 0]);
}

async fn one_if_match_wins(server: &Server, database: &Client) {
    at_once(&server.store, vec![vec![put_patient(&server.store, "matched", 0)]]).await;
    let request = |number: usize| {
        let change = match number % 10 {
            0 => delete(&access(0), "Patient", "matched"),
            _ => put_patient(&server.store, "matched", number),
        };
        vec![Change { precondition: Precondition::Version(1), ..change }]
    };
    let outcomes = at_once(&server.store, (0..REQUESTS).map(request).collect()).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let lost = |outcome: &&_| matches!(outcome, Err(Error::VersionConflict { .. }));
    assert_eq!(outcomes.iter().filter(lost).count(), REQUESTS - 1, "{outcomes:?}");
    assert_eq!(inconsistencies(database, "matched").await, [0, 0, 0]);
}

async fn one_creates_under_an_id(server: &Server, database: &Client) {
    let request = |name| vec![Change { precondition: Precondition::Absent, ..put_patient(&server.store, "new", name) }];
    let outcomes = at_once(&server.store, (0..REQUESTS).map(request).collect()).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert_eq!(inconsistencies(database, "new").await, [0, 0, 0]);
}

/// Sets of changes that overlap, in any order, are each made whole.
async fn sets_that_overlap_all_happen(server: &Server, database: &Client) {
    let ids = ["a", "b", "c", "d"];
    let request = |number: usize| {
        let (one, other) = (ids[number % 4], ids[(number + 1 + number / 4 % 3) % 4]);
        vec![put_patient(&server.store, one, number), put_patient(&server.store, other, number)]
    };
    let outcomes = at_once(&server.store, (0..REQUESTS).map(request).collect()).await;
    outcomes.into_iter().for_each(|outcome| assert_eq!(outcome.unwrap().len(), 2));
    for id in ids {
        assert_eq!(inconsistencies(database, id).await, [0, 0, 0], "{id}");
    }
    assert_eq!(
        count(database, "SELECT sum(version) FROM resource WHERE id IN ('a', 'b', 'c', 'd')").await,
        2 * REQUESTS as i64
    );
}

/// What the database refuses, be it the row or its record, fails alone and leaves nothing.
async fn a_fault_is_nobody_elses(server: &Server, database: &Client) {
    const REFUSE: &str = "
        ALTER TABLE resource ADD CONSTRAINT row_refused CHECK (id NOT LIKE 'refused-%') NOT VALID;
        ALTER TABLE audit_event ADD CONSTRAINT record_refused CHECK (record NOT LIKE '%untold-%') NOT VALID;";
    database.batch_execute(REFUSE).await.unwrap();
    let id = |number: usize| match number {
        7 | 50 | 51 => format!("refused-{number}"),
        20 | 99 => format!("untold-{number}"),
        number => format!("fine-{number}"),
    };
    let request = |number: usize| vec![put_patient(&server.store, &id(number), number)];
    let outcomes = at_once(&server.store, (0..REQUESTS).map(request).collect()).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let id = id(number);
        match (id.split_once('-').unwrap().0, &outcome) {
            ("fine", Ok(_)) | ("refused", Err(Error::Internal(_))) | ("untold", Err(Error::Audit(_))) => {}
            _ => panic!("{id}: {outcome:?}"),
        }
        if id.starts_with("fine") {
            assert_eq!(inconsistencies(database, &id).await, [0, 0, 0], "{id}");
        }
    }
    const LEFT: &str = "SELECT (SELECT count(*) FROM resource WHERE id ~ '^(refused|untold)-') + (SELECT count(*) FROM \
        search_index x WHERE NOT EXISTS (SELECT FROM resource r WHERE r.rid = x.rid)) + (SELECT count(*) FROM \
        audit_event WHERE record ~ '/(refused|untold)-')";
    assert_eq!(count(database, LEFT).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_won_by_one_and_lost_by_nobody_else() {
    let Some(definitions) = definitions() else { return };
    let server = Server::start(definitions, "write-races").await;
    let database = database(&server).await;
    updates_of_one_all_happen(&server, &database).await;
    one_if_match_wins(&server, &database).await;
    one_creates_under_an_id(&server, &database).await;
    sets_that_overlap_all_happen(&server, &database).await;
    a_fault_is_nobody_elses(&server, &database).await;
    server.stop().await;
}
