//! Searches of random resources, compared with a slow evaluation of the same parameters in memory.
//!
//! The reference ([`reference`]) knows nothing of keys, facts or SQL: it asks each resource's
//! extracted values what R4 search.html says. Each query must find the same resources, count the same
//! total, and give the same resources page by page, each once and in order.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod contexts;
mod generate;
mod reference;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use generate::Random;
use reference::World;
use salus_access::Access;
use salus_fhir::Definitions;
use salus_fhir::json::{Limits, parse};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_store::cluster::Cluster;
use salus_store::search::{SearchContext, SearchQuery, Total};
use salus_store::write::Method;
use salus_store::{Change, Precondition, Settings, Store};

const BASE: &str = "http://salus.test/fhir";
/// Resources of each run.
const RESOURCES: usize = 160;
/// Queries of each run.
const QUERIES: usize = 800;

struct Server {
    store: Store,
    cluster: Cluster,
    data_dir: PathBuf,
}

impl Server {
    async fn start(definitions: Arc<Definitions>, name: &str) -> Self {
        let data_dir = std::env::temp_dir().join(format!("salus-search-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data_dir);
        let cluster = Cluster::start(&data_dir, &|_| ()).await.unwrap();
        let settings = Settings {
            database: cluster.config(),
            connections: 4,
            head_key: data_dir.join("head.key"),
            base: BASE.to_owned(),
            tenant: 0,
        };
        Self { store: Store::open(settings, definitions).await.unwrap(), cluster, data_dir }
    }

    async fn stop(self) {
        drop(self.store);
        self.cluster.stop().await.unwrap();
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }

    async fn put(&self, access: &Arc<Access>, resource: &serde_json::Value) {
        let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let text = resource.to_string();
        let value = parse(&text, &Limits::default()).unwrap();
        let change = Change {
            access: access.clone(),
            resource_type: kind.to_owned(),
            id: id.to_owned(),
            method: Method::Put,
            content: Some(self.store.content(kind, id, &value)),
            precondition: Precondition::None,
        };
        self.store.commit(&[change], |_| Vec::new()).await.unwrap();
    }

    async fn delete(&self, access: &Arc<Access>, kind: &str, id: &str) {
        let change = Change {
            access: access.clone(),
            resource_type: kind.to_owned(),
            id: id.to_owned(),
            method: Method::Delete,
            content: None,
            precondition: Precondition::None,
        };
        self.store.commit(&[change], |_| Vec::new()).await.unwrap();
    }
}

/// Microseconds since 1970-01-01T00:00:00Z.
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_micros()).unwrap()
}

fn definitions() -> Option<Arc<Definitions>> {
    let cache_dir = default_cache_dir()?;
    let package = R4_CORE.path(&cache_dir);
    if !package.exists() {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return None;
    }
    Some(Definitions::load_or_compile(&cache_dir, &[package]).unwrap())
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

async fn compare(seed: u64) {
    let Some(definitions) = definitions() else { return };
    let server = Server::start(definitions.clone(), &seed.to_string()).await;
    let access = Arc::new(Access::system("test", 0));
    let mut random = Random::new(seed);
    let mut resources = generate::resources(&mut random, RESOURCES);
    for resource in &resources {
        server.put(&access, resource).await;
    }
    // What was there before an update or a deletion must not be found any more.
    for resource in &mut resources {
        let member = |name: &str| resource[name].as_str().unwrap().to_owned();
        let (kind, id) = (member("resourceType"), member("id"));
        if random.chance(15) {
            *resource = generate::resource(&mut random, &kind, &id);
            server.put(&access, resource).await;
        } else if random.chance(5) {
            server.delete(&access, &kind, &id).await;
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
