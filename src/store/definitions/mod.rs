//! The search parameters in force: those of the packages, and those that are stored as SearchParameter resources.
//!
//! Each process holds a [`Snapshot`] behind an atomic pointer. What was made with a former one is not written
//! (`made_with` of `write_rows`), so that no process need be told in time; that it is told at all (`NOTIFY`) is for
//! searches.

mod effects;
mod follow;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use deadpool_postgres::{Client, GenericClient, Pool};
use salus_fhir::definitions::CustomParameter;
use salus_fhir::json::{Limits, Value, parse};
use salus_fhir::outcome::Issue;
use salus_fhir::search::SearchParameter;
use salus_fhir::{Definitions, Key};
use tokio::sync::{Mutex, Notify};
use uuid::Uuid;

use crate::sql::uuid;
use crate::{Error, Result, Store, reindex};

pub(crate) use effects::Effects;

/// The type whose resources define search parameters.
pub(crate) const SEARCH_PARAMETER: &str = "SearchParameter";

/// The channel on which processes tell each other that they are to look again.
pub(crate) const CHANNEL: &str = "salus_definitions";

/// How facts are taken from resources, beside the definitions: counted up with every change of [`crate::facts`] that
/// gives other facts of the same resource, so that stored ones are indexed anew.
const EXTRACTION: &str = "2";

/// The definitions in force, and the state of the custom ones that they were made from.
pub(crate) struct Snapshot {
    pub definitions: Arc<Definitions>,
    pub version: i64,
    custom: Vec<CustomParameter>,
    /// The types whose stored resources are not all indexed by these definitions.
    pub behind: Vec<String>,
}

/// What the rows of one type have to be indexed by: code and definition of each parameter.
pub(crate) fn wanted(definitions: &Definitions, resource_type: &str) -> Vec<(String, Uuid)> {
    let parameters = definitions.search().all_of_type(resource_type);
    let parameters = parameters.map(|parameter| (parameter.code.clone(), uuid(parameter.definition)));
    parameters.chain([(String::new(), uuid(Key::of(&["extraction", EXTRACTION])))]).collect()
}

impl Snapshot {
    /// A hash of all that the facts of a type's resources follow from.
    pub fn made_by(&self, resource_type: &str) -> Uuid {
        let mut key = Key::of(&["made by", &self.version.to_string()]);
        for (code, definition) in wanted(&self.definitions, resource_type) {
            key = key.with(&[&code, &definition.to_string()]);
        }
        uuid(key)
    }
}

/// By what all stored resources of a type are indexed: type and code to the definition.
type Indexed = HashMap<(String, String), Uuid>;

fn behind(definitions: &Definitions, indexed: &Indexed) -> Vec<String> {
    let is_behind = |name: &&str| {
        let is_there = |(code, definition)| indexed.get(&((*name).to_owned(), code)) == Some(&definition);
        !wanted(definitions, name).into_iter().all(is_there)
    };
    definitions.resource_types().filter(is_behind).map(str::to_owned).collect()
}

/// Holds the snapshot in force.
pub(crate) struct Registry {
    /// Those of the packages alone.
    packages: Arc<Definitions>,
    current: ArcSwap<Snapshot>,
    /// How many times it was asked to load, and how many of these are answered.
    asked: AtomicU64,
    loading: Mutex<u64>,
    /// Something may have to be indexed.
    pub work: Notify,
    tenant: i32,
}

impl Registry {
    /// The definitions of the packages, with what is stored. Where nothing of a type is stored, it counts as indexed.
    pub async fn open(pool: &Pool, packages: Arc<Definitions>, tenant: i32) -> Result<Self> {
        let nothing = Snapshot { definitions: packages.clone(), version: 0, custom: Vec::new(), behind: Vec::new() };
        let registry = Self {
            packages,
            current: ArcSwap::from_pointee(nothing),
            asked: AtomicU64::new(0),
            loading: Mutex::new(0),
            work: Notify::new(),
            tenant,
        };
        let mut client = pool.get().await?;
        let version = "INSERT INTO search_definitions (tenant, version) VALUES ($1, 0) ON CONFLICT DO NOTHING";
        client.execute(version, &[&tenant]).await?;
        registry.load(&mut client).await?;
        let behind = registry.current().behind.clone();
        if !behind.is_empty() {
            // Where a job is to come, somebody may be about to store the first.
            let unasked = reindex::without_job(&client, tenant, &behind).await?;
            let empty = without_rows(&client, tenant, &unasked).await?;
            let definitions = registry.current().definitions.clone();
            let transaction = client.transaction().await?;
            mark(&transaction, tenant, &empty, &definitions).await?;
            transaction.commit().await?;
            registry.load(&mut client).await?;
        }
        Ok(registry)
    }

    /// What is in force.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Reads what is stored, and puts it in force.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the database does not answer.
    pub async fn refresh(&self, pool: &Pool) -> Result<()> {
        self.load(&mut pool.get().await?).await
    }

    async fn load(&self, client: &mut Client) -> Result<()> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        // One after the other, so that no former state replaces a later one. Who has waited for a load that began after
        // asking needs none.
        let mut loaded = self.loading.lock().await;
        if *loaded >= asked {
            return Ok(());
        }
        let answers = self.asked.load(Ordering::SeqCst);
        let transaction = crate::pool::snapshot(client).await?;
        let version = transaction
            .query_opt("SELECT version FROM search_definitions WHERE tenant = $1", &[&self.tenant])
            .await?
            .map_or(Ok(0), |row| row.try_get(0))?;
        let bodies = "SELECT id, body FROM resource WHERE tenant = $1 AND type COLLATE \"POSIX\" = $2 AND NOT deleted";
        let mut custom = Vec::new();
        for row in transaction.query(bodies, &[&self.tenant, &SEARCH_PARAMETER]).await? {
            let (id, body): (String, Option<String>) = (row.try_get(0)?, row.try_get(1)?);
            custom.extend(read(&id, body.as_deref().unwrap_or_default()));
        }
        let marks = "SELECT type, code, definition FROM indexed_parameter WHERE tenant = $1";
        let marks = transaction.query(marks, &[&self.tenant]).await?;
        transaction.commit().await?;
        let indexed = marks.iter().map(|row| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?)));
        let indexed: Indexed = indexed.collect::<std::result::Result<_, tokio_postgres::Error>>()?;
        self.current.store(Arc::new(self.snapshot(version, custom, indexed)));
        *loaded = answers;
        Ok(())
    }

    fn snapshot(&self, version: i64, custom: Vec<CustomParameter>, indexed: Indexed) -> Snapshot {
        let (all, refused) = self.packages.with_custom(custom.clone());
        for error in refused {
            tracing::warn!(%error, "a stored SearchParameter is not used");
        }
        let is_ready = |name: &str, parameter: &SearchParameter| {
            let mark = indexed.get(&(name.to_owned(), parameter.code.clone()));
            mark == Some(&uuid(parameter.definition))
        };
        let before = self.current.load();
        let search = all.search().ready(is_ready);
        for name in all.resource_types() {
            if let ((_, Some(now)), (_, Some(then))) = (search.pending(name), before.definitions.search().pending(name))
            {
                now.set(then.get());
            }
        }
        let behind = behind(&all, &indexed);
        Snapshot { definitions: Arc::new(all.with_search(search)), version, custom, behind }
    }
}

/// Those of the types of which nothing is stored, nor was.
pub(crate) async fn without_rows(client: &impl GenericClient, tenant: i32, types: &[String]) -> Result<Vec<String>> {
    let sql = "SELECT t FROM unnest($2::text[]) t WHERE NOT coalesce(
                   (SELECT true FROM resource r WHERE r.tenant = $1 AND r.type COLLATE \"POSIX\" = t LIMIT 1), false)";
    let rows = client.query(sql, &[&tenant, &types]).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<std::result::Result<_, tokio_postgres::Error>>()?)
}

/// Says that all rows of these types are indexed by these definitions.
pub(crate) async fn mark(client: &impl GenericClient, tenant: i32, types: &[String], by: &Definitions) -> Result<()> {
    let forget = "DELETE FROM indexed_parameter WHERE tenant = $1 AND type = ANY($2)";
    client.execute(forget, &[&tenant, &types]).await?;
    let (mut kinds, mut codes, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for name in types {
        for (code, key) in wanted(by, name) {
            kinds.push(name.as_str());
            codes.push(code);
            keys.push(key);
        }
    }
    // Processes that start together on a new database do the same.
    let insert = "INSERT INTO indexed_parameter (tenant, type, code, definition)
                  SELECT $1, u.type, u.code, u.definition
                  FROM unnest($2::text[], $3::text[], $4::uuid[]) u(type, code, definition)
                  ON CONFLICT (tenant, type, code) DO UPDATE SET definition = excluded.definition";
    client.execute(insert, &[&tenant, &kinds, &codes, &keys]).await?;
    Ok(())
}

/// The search parameter that a stored resource defines, if it is in use.
fn read(id: &str, body: &str) -> Option<CustomParameter> {
    CustomParameter::read(id, &parse(body, &Limits::default()).ok()?)
}

impl Store {
    /// The definitions in force: those of the packages with the SearchParameters that are stored.
    pub fn definitions(&self) -> Arc<Definitions> {
        self.registry().current().definitions.clone()
    }

    /// What keeps a SearchParameter, to be stored under `id` where that is known, from being used; nothing of
    /// resources of other types.
    pub fn check_search_parameter(&self, id: Option<&str>, resource: &Value<'_>) -> Vec<Issue> {
        if resource.get_str("resourceType") != Some(SEARCH_PARAMETER) {
            return Vec::new();
        }
        let current = self.registry().current();
        current.definitions.check_search_parameter(id, resource, &current.custom)
    }

    /// Puts in force what is stored now.
    pub(crate) async fn refresh_definitions(&self) -> Result<()> {
        self.registry().refresh(self.pool()).await?;
        self.registry().work.notify_one();
        Ok(())
    }
}

/// Tells all processes that they are to look again, when the transaction commits.
pub(crate) async fn announce(client: &impl GenericClient, tenant: i32) -> Result<()> {
    client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &tenant.to_string()]).await.map_err(Error::from)?;
    Ok(())
}
