//! Searches of random resources, compared with a slow evaluation of the same parameters in memory.
//!
//! The reference ([`reference`]) knows nothing of keys, facts or SQL: it asks each resource's
//! extracted values what R4 search.html says. Each query must find the same resources, count the same
//! total, and give the same resources page by page, each once and in order.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;

mod accesses;
mod contexts;
mod generate;
mod reference;

use std::collections::BTreeSet;
use std::sync::Arc;

use common::{BASE, Server, definitions, delete, put};
use generate::Random;
use reference::World;
use salus_access::Access;
use salus_store::search::{SearchContext, SearchQuery, Total};
use salus_store::{Change, Store};

/// Resources of each run.
const RESOURCES: usize = 160;
/// Queries of each run.
const QUERIES: usize = 800;

/// Microseconds since 1970-01-01T00:00:00Z.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

/// What a search gives: all matches by following its pages, and the total that each page told.
async fn pages(store: &Store, access: &Access, query: &SearchQuery) -> (Vec<String>, BTreeSet<i64>) {
    let mut query = query.clone();
    let (mut ids, mut totals) = (Vec::new(), BTreeSet::new());
    loop {
        let page = store.search(access, &query).await.unwrap_or_else(|error| panic!("{error}: {query:?}"));
        ids.extend(page.entries.iter().map(|entry| entry.version.id.clone()));
        totals.extend(page.total);
        assert!(ids.len() <= RESOURCES, "pages without end: {query:?}");
        match page.next {
            Some(next) => query.after = Some(next),
            None => return (ids, totals),
        }
    }
}

async fn commit(store: &Store, change: Change) {
    store.commit(&[change], |_| Vec::new()).await.unwrap();
}

async fn compare(seed: u64) {
    let Some(definitions) = definitions() else { return };
    let server = Server::start(definitions.clone(), &format!("search-{seed}")).await;
    let access = Arc::new(Access::system("test", 0));
    let mut random = Random::new(seed);
    let mut resources = generate::resources(&mut random, RESOURCES);
    for resource in &resources {
        commit(&server.store, put(&server.store, &access, resource)).await;
    }
    // What was there before an update or a deletion must not be found any more.
    for resource in &mut resources {
        let member = |name: &str| resource[name].as_str().unwrap().to_owned();
        let (kind, id) = (member("resourceType"), member("id"));
        if random.chance(15) {
            *resource = generate::resource(&mut random, &kind, &id);
            commit(&server.store, put(&server.store, &access, resource)).await;
        } else if random.chance(5) {
            commit(&server.store, delete(&access, &kind, &id)).await;
            *resource = serde_json::Value::Null;
        }
    }
    resources.retain(|resource| !resource.is_null());
    let texts: Vec<String> = resources.iter().map(ToString::to_string).collect();
    let world = World::new(&definitions, BASE, &texts);
    let (mut found_some, mut failures) = (0, Vec::new());
    for _ in 0..QUERIES {
        let (kind, parameters) = generate::query(&mut random);
        let shown = generate::show(kind, &parameters);
        let (query, ignored) = SearchQuery::parse(&definitions, SearchContext::of_type(kind), &parameters)
            .unwrap_or_else(|error| panic!("seed {seed}: {shown}: {error}"));
        assert!(ignored.is_empty(), "seed {seed}: {shown}: {ignored:?}");
        let expected: BTreeSet<String> = world.search(kind, &parameters);
        let (ids, totals) = pages(&server.store, &access, &query).await;
        let found: BTreeSet<String> = ids.iter().cloned().collect();
        found_some += usize::from(!expected.is_empty());
        if found != expected {
            let more: Vec<_> = found.difference(&expected).collect();
            let less: Vec<_> = expected.difference(&found).collect();
            failures.push(format!("{shown}: wrongly found {more:?}, not found {less:?}"));
        } else if found.len() != ids.len() {
            failures.push(format!("{shown}: found twice: {ids:?}"));
        } else if totals != BTreeSet::from([expected.len() as i64]) {
            failures.push(format!("{shown}: totals {totals:?} for {}", expected.len()));
        } else if let Some(wrong) = world.out_of_order(kind, &parameters, &ids) {
            failures.push(format!("{shown}: out of order: {wrong}"));
        }
        let mut counted = query;
        (counted.count, counted.total) = (0, Total::Accurate);
        let total = server.store.search(&access, &counted).await.unwrap().total;
        if total != Some(expected.len() as i64) {
            failures.push(format!("{shown}: counts {total:?} for {}", expected.len()));
        }
    }
    failures.extend(contexts::compare(&server.store, &access, &definitions, &world).await);
    failures.extend(accesses::compare(&server.store, &access, &definitions, &resources, &mut random).await);
    server.stop().await;
    assert!(
        failures.is_empty(),
        "seed {seed}: {} failures:\n{}",
        failures.len(),
        failures[..failures.len().min(25)].join("\n")
    );
    assert!(found_some > QUERIES / 4, "the queries find too little to prove anything: {found_some}");
}

#[tokio::test]
async fn searches_find_what_a_slow_evaluation_finds() {
    compare(1).await;
}

#[tokio::test]
async fn searches_of_other_resources_do_too() {
    // Another seed may be tried by hand.
    let seed = std::env::var("SALUS_TEST_SEED").ok().and_then(|text| text.parse().ok());
    compare(seed.unwrap_or(20_261_125)).await;
}
