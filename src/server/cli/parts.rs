//! The server's parts, put together for a command.

use std::path::PathBuf;
use std::sync::Arc;

use salus_access::{Policy, Settings as PolicySettings};
use salus_analytics::Models;
use salus_auth::{AuthConfig, AuthServer};
use salus_fhir::Definitions;
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_store::cluster::{Cluster, ClusterError};
use salus_store::{DatabaseConfig, Settings as StoreSettings, Store};

use super::complain;
use crate::app::App;
use crate::interactions::capabilities::Capabilities;
use crate::limits::Slots;
use crate::middleware;
use crate::pages::Pages;
use crate::seal::{self, Seal};
use crate::settings::Settings;

/// Which tenant a server without further settings serves.
pub(crate) const TENANT: i32 = 0;

/// A database: the private cluster, started or attached to by this process, or the one that `DATABASE_URL` names.
pub(crate) struct Database {
    config: DatabaseConfig,
    cluster: Option<Cluster>,
}

impl Database {
    /// The server's: started, and owned by this process.
    pub async fn start(settings: &Settings) -> Result<Self, String> {
        match &settings.database_url {
            Some(url) => Self::url(url),
            None => Self::private(Cluster::start(&settings.data_dir, &|line| complain(line)).await),
        }
    }

    /// A command's: that of the running server, or started for the command's own time.
    pub async fn attach(settings: &Settings) -> Result<Self, String> {
        match &settings.database_url {
            Some(url) => Self::url(url),
            None => Self::private(Cluster::attach_or_start(&settings.data_dir, &|line| complain(line)).await),
        }
    }

    fn private(cluster: Result<Cluster, ClusterError>) -> Result<Self, String> {
        let cluster = cluster.map_err(|error| error.to_string())?;
        let config = DatabaseConfig::local(cluster.config()).map_err(|error| error.to_string())?;
        Ok(Self { config, cluster: Some(cluster) })
    }

    fn url(url: &str) -> Result<Self, String> {
        let config = url.parse().map_err(|error| format!("DATABASE_URL: {error}"))?;
        Ok(Self { config, cluster: None })
    }

    /// How to connect.
    pub fn config(&self) -> &DatabaseConfig {
        &self.config
    }

    /// Ends it, if this process started it.
    pub async fn stop(self) -> Result<(), String> {
        match self.cluster {
            Some(cluster) => cluster.stop().await.map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    /// Waits until the private cluster died for good, and says why.
    pub async fn failed(&self) -> String {
        match &self.cluster {
            Some(cluster) => cluster.failed().await,
            None => std::future::pending().await,
        }
    }
}

/// Where packages and their compiled form are.
pub(crate) fn cache_dir(settings: &Settings) -> Result<PathBuf, String> {
    let found = settings.cache_dir.clone().or_else(default_cache_dir);
    found.ok_or_else(|| "no cache directory: set SALUS_CACHE_DIR or HOME".to_owned())
}

/// The packages in use: the core first, then those that were added, by name.
pub(crate) fn package_files(settings: &Settings) -> Result<Vec<PathBuf>, String> {
    let cache = cache_dir(settings)?;
    let core = R4_CORE.path(&cache);
    if !core.is_file() {
        return Err(format!(
            "the FHIR definitions are not at {}; run 'make setup', which fetches them",
            core.display()
        ));
    }
    let mut added: Vec<PathBuf> = std::fs::read_dir(settings.data_dir.join("packages"))
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.path())).collect())
        .unwrap_or_default();
    added.retain(|path| path.extension().is_some_and(|extension| extension == "tgz"));
    added.sort();
    Ok(std::iter::once(core).chain(added).collect())
}

/// The compiled definitions.
pub(crate) fn definitions(settings: &Settings) -> Result<Arc<Definitions>, String> {
    Definitions::load_or_compile(&cache_dir(settings)?, &package_files(settings)?).map_err(|error| error.to_string())
}

/// The store on this database.
pub(crate) async fn store(
    settings: &Settings,
    database: &Database,
    definitions: Arc<Definitions>,
) -> Result<Store, String> {
    std::fs::create_dir_all(settings.data_dir.join("keys"))
        .map_err(|error| format!("{}: {error}", settings.data_dir.display()))?;
    let store = StoreSettings {
        database: database.config().clone(),
        connections: settings.connections,
        head_key: settings.data_dir.join("keys").join("audit-head.pk8"),
        base: settings.base(),
        tenant: TENANT,
    };
    Store::open(store, definitions).await.map_err(|error| error.to_string())
}

/// The authorization server on the store's database.
pub(crate) fn auth(settings: &Settings, store: &Store) -> Result<Arc<AuthServer>, String> {
    let wildcard = settings.wildcard()?;
    let definitions = store.definitions();
    let usual = AuthConfig::new(&settings.origin(), &settings.data_dir, definitions.resource_types());
    let config = AuthConfig { tenant: TENANT, wildcard, ..usual };
    AuthServer::open(config, store.pool().clone()).map_err(|error| error.to_string())
}

fn random_key() -> Result<[u8; seal::KEY], String> {
    let mut key = [0; seal::KEY];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| "this machine gives no random numbers".to_owned())?;
    Ok(key)
}

/// Everything a server needs.
pub(crate) async fn app(settings: &Settings, database: &Database) -> Result<App, String> {
    let definitions = definitions(settings)?;
    let models = Models::load(&settings.operations_dir).map_err(|error| error.to_string())?;
    let store = store(settings, database, definitions.clone()).await?;
    let auth = auth(settings, &store)?;
    let policy = PolicySettings {
        base: settings.base(),
        default_policy: settings.default_policy()?,
        wildcard: settings.wildcard()?,
        cached_tokens: 4096,
    };
    let policy = Policy::new(&definitions, policy).map_err(|error| error.to_string())?;
    let seal = store.secret("page-link", random_key()?).await.map_err(|error| error.to_string())?;
    let base = settings.base();
    let cors = middleware::cors(settings.cors_origins())?;
    Ok(App {
        capabilities: Capabilities::default(),
        pages: Pages::new(&definitions, &settings.origin(), settings.demo),
        metrics: Default::default(),
        intrusion_detection: Default::default(),
        seal: Seal::new(&seal)?,
        cors,
        limits: settings.limits.clone(),
        slots: Slots::new(settings.limits.most_requests),
        store,
        auth,
        policy,
        models,
        definitions,
        base,
    })
}
