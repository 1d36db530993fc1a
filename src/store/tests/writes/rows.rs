//! Whatever became of a resource, its rows are those that creating it as it now is would make.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio_postgres::Client;
use uuid::Uuid;

use crate::common::{Server, definitions, delete, put};
use crate::generate::{self, Random};
use crate::{access, at_once, database};
use salus_store::write::Method;
use salus_store::write::transaction::{Entry, Target};
use salus_store::{Precondition, Store};

const RESOURCES: usize = 90;
const ROUNDS: usize = 8;

/// A row of an index as text, without what only the moment of its creation decides.
type Rows = Vec<String>;

/// What is stored of a resource.
#[derive(Debug, PartialEq)]
struct Stored {
    patient: Uuid,
    keys: Vec<Uuid>,
    indexed: i32,
    patients: Vec<String>,
    /// `None` where it is when the resource was first stored.
    natural_date: Option<i64>,
    index: Rows,
    strings: Rows,
}

async fn rows(database: &Client, table: &str, columns: &str, tenant: i32, rid: Uuid, sort: i64) -> Rows {
    let sql = format!("SELECT sort, ({columns})::text FROM {table} WHERE tenant = $1 AND rid = $2 ORDER BY 2");
    let rows = database.query(&sql, &[&tenant, &rid]).await.unwrap();
    let text = |row: &tokio_postgres::Row| {
        assert_eq!(row.get::<_, i64>(0), sort, "a row of {table} stands where the resource does not");
        row.get(1)
    };
    rows.iter().map(text).collect()
}

/// The live resources of a tenant by type and id. Those without a natural date are told by `undated`, or by
/// having been stored just once.
async fn stored(
    database: &Client,
    tenant: i32,
    undated: Option<&BTreeMap<String, Stored>>,
) -> BTreeMap<String, Stored> {
    const LIVE: &str = "SELECT rid, type || '/' || id, patient, keys, indexed, patients, sort, updated
        FROM resource WHERE tenant = $1 AND NOT deleted";
    let mut all = BTreeMap::new();
    for row in database.query(LIVE, &[&tenant]).await.unwrap() {
        let (rid, name, sort, updated): (Uuid, String, i64, i64) = (row.get(0), row.get(1), row.get(6), row.get(7));
        let is_dated = match undated {
            Some(fresh) => fresh.get(&name).is_some_and(|fresh| fresh.natural_date.is_some()),
            None => sort != updated,
        };
        let one = Stored {
            patient: row.get(2),
            keys: row.get(3),
            indexed: row.get(4),
            patients: row.get(5),
            natural_date: is_dated.then_some(sort),
            index: rows(database, "search_index", "key, low, high, patient", tenant, rid, sort).await,
            strings: rows(database, "search_string", "key, value, ordinal, exact, patient", tenant, rid, sort).await,
        };
        all.insert(name, one);
    }
    all
}

/// Without references that in a transaction would be to another of its entries.
fn no_entry(resource: Value) -> Value {
    resource.to_string().replace("urn:uuid:", "http://other.test/fhir/Patient/").parse().unwrap()
}

/// Another content, sometimes with little changed, as most updates are.
fn changed(random: &mut Random, resource: &Value) -> Value {
    let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let mut other = no_entry(generate::resource(random, kind, id));
    if random.chance(50) {
        let member = random.pick(&["identifier", "name", "code", "subject", "valueQuantity", "category", "meta"]);
        let value = other[member].take();
        other = resource.clone();
        match value {
            Value::Null => _ = other.as_object_mut().unwrap().remove(member),
            value => other[member] = value,
        }
    }
    other
}

/// As a transaction Bundle does it.
async fn put_in_transaction(store: &Store, resources: &[&Value]) {
    let texts: Vec<String> = resources.iter().map(ToString::to_string).collect();
    let access = access(0);
    let entries: Vec<Entry<'_>> = resources
        .iter()
        .zip(&texts)
        .map(|(resource, text)| Entry {
            access: access.clone(),
            location: "Bundle.entry".to_owned(),
            full_url: None,
            resource_type: resource["resourceType"].as_str().unwrap().to_owned(),
            target: Target::Id(resource["id"].as_str().unwrap().to_owned()),
            method: Method::Put,
            resource: Some(salus_fhir::json::parse(text, &salus_fhir::json::Limits::default()).unwrap()),
            revision: None,
            precondition: Precondition::None,
        })
        .collect();
    store.transaction(&entries, crate::records).await.unwrap();
}

/// Updates, deletions and creations of what was deleted, by requests at once and by a transaction.
async fn change_at_random(server: &Server, random: &mut Random, resources: &mut [Value]) -> Vec<bool> {
    let access = access(0);
    let mut live = vec![true; resources.len()];
    for _ in 0..ROUNDS {
        let (mut requests, mut in_transaction) = (Vec::new(), Vec::new());
        for position in 0..resources.len() {
            let resource = &mut resources[position];
            let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
            match random.below(10) {
                0 => {
                    requests.push(vec![delete(&access, kind, id)]);
                    live[position] = false;
                }
                1 | 2 => {}
                3 => {
                    *resource = changed(random, resource);
                    in_transaction.push(position);
                    live[position] = true;
                }
                _ => {
                    *resource = changed(random, resource);
                    requests.push(vec![put(&server.store, &access, resource)]);
                    live[position] = true;
                }
            }
        }
        at_once(&server.store, requests).await.into_iter().for_each(|outcome| _ = outcome.unwrap());
        put_in_transaction(
            &server.store,
            &in_transaction.iter().map(|&position| &resources[position]).collect::<Vec<_>>(),
        )
        .await;
    }
    live
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn are_those_of_a_fresh_create() {
    let Some(definitions) = definitions() else { return };
    let server = Server::start(definitions, "write-rows").await;
    let mut random = Random::new(20_261_125);
    let mut resources: Vec<Value> = generate::resources(&mut random, RESOURCES).into_iter().map(no_entry).collect();
    let access_of_first = access(0);
    let creates = resources.iter().map(|one| vec![put(&server.store, &access_of_first, one)]).collect();
    at_once(&server.store, creates).await.into_iter().for_each(|outcome| _ = outcome.unwrap());
    let live = change_at_random(&server, &mut random, &mut resources).await;

    let fresh = server.of_tenant(1).await;
    let access_of_fresh = access(1);
    for resource in resources.iter().zip(&live).filter_map(|(resource, live)| live.then_some(resource)) {
        fresh.commit(&[put(&fresh, &access_of_fresh, resource)], crate::records).await.unwrap();
    }
    let database = database(&server).await;
    let expected = stored(&database, 1, None).await;
    let found = stored(&database, 0, Some(&expected)).await;
    assert!(expected.len() > RESOURCES / 3 && expected.len() < RESOURCES, "{} of them live", expected.len());
    assert!(
        expected.values().any(|one| one.natural_date.is_some() && one.index.len() > 10 && !one.patients.is_empty())
    );
    for (name, expected) in &expected {
        assert_eq!(found.get(name), Some(expected), "{name}");
    }
    assert_eq!(found.len(), expected.len());
    for table in ["search_index", "search_string"] {
        let sql = format!("SELECT count(*) FROM {table} x JOIN resource r USING (tenant, rid) WHERE NOT r.deleted");
        let all = format!("SELECT count(*) FROM {table}");
        assert_eq!(crate::count(&database, &sql).await, crate::count(&database, &all).await, "{table} of the deleted");
    }
    const FORMER: &str = "SELECT count(*) FROM resource r WHERE r.version - 1 <>
        (SELECT count(*) FROM resource_history h WHERE h.tenant = r.tenant AND h.rid = r.rid AND h.version < r.version)";
    assert_eq!(crate::count(&database, FORMER).await, 0, "every former version is in the history, once");
    drop(fresh);
    server.stop().await;
}
