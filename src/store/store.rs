//! The store itself: what every function of this crate hangs on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use deadpool_postgres::{Client, Pool};
use salus_access::Access;
use salus_fhir::json::Value;
use salus_fhir::{Definitions, Key};

use crate::audit::AuditLog;
use crate::definitions::Registry;
use crate::facts::Facts;
use crate::predicate::View;
use crate::read::Reader;
use crate::row::Version;
use crate::write::{Content, Current, Groups};
use crate::{DatabaseConfig, Result, pool};

/// How to open a [`Store`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where PostgreSQL is.
    pub database: DatabaseConfig,
    /// Most connections at a time.
    pub connections: usize,
    /// The key that signs the audit log's tree heads (created where there is none).
    pub head_key: PathBuf,
    /// The server's FHIR base URL, below which absolute references are ours.
    pub base: String,
    /// Which tenant's rows this store sees and writes.
    pub tenant: i32,
}

/// FHIR resources in PostgreSQL. Cheap to clone; all clones share the connections.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    pool: Pool,
    registry: Arc<Registry>,
    audit: AuditLog,
    groups: Groups,
    reader: Reader<Version>,
    looker: Reader<Current>,
    tenant: i32,
    base: String,
}

impl Store {
    /// The secret of this name that all servers of the database share: the one that is there, else `new`, which is kept.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] without a database.
    pub async fn secret(&self, name: &str, new: [u8; 32]) -> Result<Vec<u8>> {
        let client = self.client().await?;
        let (tenant, new) = (self.tenant(), new.as_slice());
        let insert = "INSERT INTO server_secret VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
        client.execute(insert, &[&tenant, &name, &new]).await?;
        let select = "SELECT value FROM server_secret WHERE tenant = $1 AND name = $2";
        Ok(client.query_one(select, &[&tenant, &name]).await?.try_get(0)?)
    }

    /// Connects, migrates the schema and starts the audit writers.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] without a database, [`crate::Error::Internal`] where a migration
    /// fails, [`crate::Error::Audit`] where the head key cannot be read or made.
    pub async fn open(settings: Settings, definitions: Arc<Definitions>) -> Result<Self> {
        let pool = pool::open(&settings.database, settings.connections)?;
        pool::migrate(&pool).await?;
        // Audit commits have connections of their own: a burst of reads must not keep them waiting.
        let audit_pool = pool::open(&settings.database, AuditLog::CONNECTIONS)?;
        let audit = AuditLog::start(audit_pool, settings.tenant, &settings.head_key)?;
        let registry = Arc::new(Registry::open(&pool, definitions, settings.tenant).await?);
        let groups = Groups::start(pool.clone(), settings.tenant);
        let reader = Reader::start(pool.clone(), settings.tenant, registry.clone(), settings.base.clone());
        let looker = Reader::start(pool.clone(), settings.tenant, registry.clone(), settings.base.clone());
        Ok(Self(Arc::new(Inner {
            groups,
            reader,
            looker,
            pool,
            registry,
            audit,
            tenant: settings.tenant,
            base: settings.base,
        })))
    }

    /// The definitions resources are stored and searched by, as they change.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    /// The audit log.
    pub fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// The connections, for tables that other crates own (clients, tokens).
    pub fn pool(&self) -> &Pool {
        &self.0.pool
    }

    /// Whose rows these are.
    pub fn tenant(&self) -> i32 {
        self.0.tenant
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] where it does not.
    pub async fn ping(&self) -> Result<()> {
        self.client().await?.simple_query("SELECT 1").await?;
        Ok(())
    }

    /// Ends the audit log's work and all connections, as before the database is stopped. Nothing can be asked of the
    /// store any more.
    pub async fn close(&self) {
        self.audit().close().await;
        self.0.pool.close();
    }

    /// Prepares `resource` to be stored as `resource_type/id`.
    pub fn content(&self, resource_type: &str, id: &str, resource: &Value<'_>) -> Content {
        let current = self.registry().current();
        let facts = Facts::of(&current.definitions, &self.0.base, resource_type, id, resource);
        Content::new(resource_type, id, resource, facts, current.version, &self.0.base)
    }

    /// The patients in whose compartment a resource lies, as stored or as sent; ids as it names them.
    pub fn patients_of(&self, resource_type: &str, id: &str, resource: &Value<'_>) -> Vec<String> {
        Facts::of(&self.definitions(), &self.0.base, resource_type, id, resource).patients
    }

    /// The server's FHIR base URL.
    pub(crate) fn base(&self) -> &str {
        &self.0.base
    }

    pub(crate) fn groups(&self) -> &Groups {
        &self.0.groups
    }

    pub(crate) fn reader(&self) -> &Reader<Version> {
        &self.0.reader
    }

    pub(crate) fn looker(&self) -> &Reader<Current> {
        &self.0.looker
    }

    pub(crate) async fn client(&self) -> Result<Client> {
        Ok(self.0.pool.get().await?)
    }

    pub(crate) fn view<'a>(&'a self, access: &'a Access) -> View<'a> {
        View::new(access, self.definitions(), &self.0.base)
    }

    /// Now, to the millisecond, in microseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn now(&self) -> i64 {
        now() / 1000 * 1000
    }

    pub(crate) fn rid(resource_type: &str, id: &str) -> Key {
        Key::resource(resource_type, id)
    }
}

/// Now, in microseconds since 1970-01-01T00:00:00Z.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}
