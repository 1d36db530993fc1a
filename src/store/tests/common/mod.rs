//! A store on a cluster that goes with the test.

use std::path::PathBuf;
use std::sync::Arc;

use salus_access::Access;
use salus_fhir::Definitions;
use salus_fhir::json::{Limits, parse};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_store::cluster::Cluster;
use salus_store::write::Method;
use salus_store::{Change, DatabaseConfig, Precondition, Settings, Store};

pub const BASE: &str = "http://salus.test/fhir";

pub struct Server {
    pub store: Store,
    pub cluster: Cluster,
    pub definitions: Arc<Definitions>,
    data_dir: PathBuf,
}

impl Server {
    pub async fn start(definitions: Arc<Definitions>, name: &str) -> Self {
        let data_dir = std::env::temp_dir().join(format!("salus-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&data_dir);
        let cluster = Cluster::start(&data_dir, &|_| ()).await.unwrap();
        let store = Store::open(settings(&cluster, &data_dir, 0), definitions.clone()).await.unwrap();
        Self { store, cluster, definitions, data_dir }
    }

    /// Another store on the same cluster.
    #[allow(dead_code, reason = "not every test has several")]
    pub async fn of_tenant(&self, tenant: i32) -> Store {
        let settings = settings(&self.cluster, &self.data_dir, tenant);
        Store::open(settings, self.definitions.clone()).await.unwrap()
    }

    pub async fn stop(self) {
        drop(self.store);
        self.cluster.stop().await.unwrap();
        let _ = std::fs::remove_dir_all(&self.data_dir);
    }
}

fn settings(cluster: &Cluster, data_dir: &std::path::Path, tenant: i32) -> Settings {
    Settings {
        database: DatabaseConfig::local(cluster.config()).unwrap(),
        connections: 8,
        head_key: data_dir.join(format!("head-{tenant}.key")),
        base: BASE.to_owned(),
        tenant,
    }
}

/// `None` where the FHIR packages were never fetched.
pub fn definitions() -> Option<Arc<Definitions>> {
    let cache_dir = default_cache_dir()?;
    let package = R4_CORE.path(&cache_dir);
    if !package.exists() {
        println!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return None;
    }
    Some(Definitions::load_or_compile(&cache_dir, &[package]).unwrap())
}

pub fn put(store: &Store, access: &Arc<Access>, resource: &serde_json::Value) -> Change {
    let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
    let text = resource.to_string();
    let value = parse(&text, &Limits::default()).unwrap();
    let content = Some(store.content(kind, id, &value));
    Change { method: Method::Put, content, ..delete(access, kind, id) }
}

pub fn delete(access: &Arc<Access>, kind: &str, id: &str) -> Change {
    Change {
        access: access.clone(),
        resource_type: kind.to_owned(),
        id: id.to_owned(),
        method: Method::Delete,
        content: None,
        precondition: Precondition::None,
    }
}
