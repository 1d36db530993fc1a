//! The predicate in SQL against its definition in memory, on a real PostgreSQL: random Consents, rows
//! and callers, and random scopes over random resources. One cluster serves the whole module.

mod consents;
mod plans;
mod scopes;
mod trail;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use salus_access::{Access, DefaultPolicy, Interaction, Policy, Principal, Settings as PolicySettings, User, Wildcard};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::{Definitions, Key};
use uuid::Uuid;

use crate::cluster::Cluster;
use crate::predicate::View;
use crate::sql::Sql;
use crate::{DatabaseConfig, Settings, Store};

const BASE: &str = "http://salus.test/fhir";
/// Whose resources the scopes are tested on; the random Consents have tenants of their own.
const TENANT: i32 = 1_000_000;

const POLICIES: [DefaultPolicy; 4] =
    [DefaultPolicy::PermitNormal, DefaultPolicy::PermitAll, DefaultPolicy::BreakGlassOnly, DefaultPolicy::Deny];

/// A store on a cluster that goes with the test.
struct Bench {
    store: Store,
    definitions: Arc<Definitions>,
    policies: Vec<Policy>,
    cluster: Cluster,
    directory: Directory,
}

/// A data directory that goes with the test, however it ends.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Bench {
    /// `None` where the FHIR packages were never fetched.
    async fn start() -> Option<Self> {
        let cache = std::env::var_os("SALUS_CACHE_DIR").map(PathBuf::from).or_else(default_cache_dir)?;
        let core = R4_CORE.path(&cache);
        if !core.is_file() {
            println!("SKIPPED: the FHIR definitions are not in the cache; 'make setup' fetches them");
            return None;
        }
        let definitions = Definitions::load_or_compile(&cache, &[core]).unwrap();
        let directory = Directory(std::env::temp_dir().join(format!("salus-predicate-{}", std::process::id())));
        let cluster = Cluster::start(&directory.0, &|_| ()).await.unwrap();
        let settings = Settings {
            database: DatabaseConfig::local(cluster.config()).unwrap(),
            connections: 4,
            head_key: directory.0.join("head.pk8"),
            base: BASE.to_owned(),
            tenant: TENANT,
        };
        let store = Store::open(settings, definitions.clone()).await.unwrap();
        let policies = POLICIES
            .iter()
            .map(|&default_policy| {
                let settings = PolicySettings {
                    base: BASE.to_owned(),
                    default_policy,
                    wildcard: Wildcard::AllTypes,
                    cached_tokens: 64,
                };
                Policy::new(&definitions, settings).unwrap()
            })
            .collect();
        Some(Self { store, definitions, policies, cluster, directory })
    }

    async fn stop(self) {
        self.cluster.stop().await.unwrap();
        drop(self.directory);
    }

    fn access(&self, default_policy: DefaultPolicy, principal: &Principal) -> Arc<Access> {
        let position = POLICIES.iter().position(|one| *one == default_policy).unwrap();
        let interaction = Interaction::SearchType;
        salus_access::authorize(&self.policies[position], principal, interaction, Some("Observation")).unwrap()
    }

    fn view<'a>(&'a self, access: &'a Access) -> View<'a> {
        self.store.view(access)
    }

    /// Keys of the rows that a statement gives.
    async fn rows(&self, sql: &Sql) -> BTreeSet<Key> {
        let client = self.store.client().await.unwrap();
        let statement =
            client.prepare_cached(&sql.text).await.unwrap_or_else(|error| panic!("{error:?}\n{}", sql.text));
        let rows = client.query(&statement, &sql.params()).await.unwrap();
        rows.iter().map(|row| Key(row.get::<_, Uuid>(0).as_u128())).collect()
    }

    /// The number that a statement gives.
    async fn count(&self, sql: &Sql) -> Option<i64> {
        let client = self.store.client().await.unwrap();
        let statement =
            client.prepare_cached(&sql.text).await.unwrap_or_else(|error| panic!("{error:?}\n{}", sql.text));
        client.query_one(&statement, &sql.params()).await.unwrap().get(0)
    }
}

/// The same cases on every run.
fn runner(seed: u8) -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

fn draw<S: Strategy>(runner: &mut TestRunner, strategy: &S) -> S::Value {
    strategy.new_tree(runner).unwrap().current()
}

fn principal(tenant: i32, scopes: &str, patient: Option<&str>, purpose: &str, actors: &[&str]) -> Principal {
    // Only a person may break the glass.
    let user = (purpose == "BTG").then(|| User {
        id: "anna".to_owned(),
        fhir_user: None,
        roles: vec!["clinician".to_owned()],
    });
    let scopes = if user.is_some() { scopes.replace("system/", "user/") } else { scopes.to_owned() };
    Principal {
        tenant,
        client_id: "test".to_owned(),
        user,
        patient: patient.map(str::to_owned),
        scopes: salus_access::parse_scopes(&scopes),
        purpose_of_use: purpose.to_owned(),
        actors: actors.iter().map(|&actor| actor.to_owned()).collect(),
        token_id: format!("{tenant} {scopes} {patient:?} {purpose} {actors:?}"),
        expires_at: i64::MAX,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sql_shows_is_what_memory_permits() {
    let Some(bench) = Bench::start().await else { return };
    consents::agree(&bench).await;
    scopes::agree(&bench).await;
    trail::is_confined_to_a_patient(&bench).await;
    plans::read_no_whole_table(&bench).await;
    bench.stop().await;
}
