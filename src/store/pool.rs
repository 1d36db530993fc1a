//! Connections, and the schema's migrations.

use deadpool_postgres::{Client, Hook, Manager, ManagerConfig, Pool, QueueMode, RecyclingMethod, Runtime, Transaction};
use tokio_postgres::IsolationLevel;

use crate::{DatabaseConfig, Error, Result};

mod embedded {
    // Files under migrations/, each with the reason for every index it makes.
    refinery::embed_migrations!("../../migrations");
}

/// Our statements start from one index walk and probe others row by row. Plans that read whole tables suit none
/// of them, and the planner only takes to them where a young table has no statistics yet. Nor is any so long that
/// starting parallel workers pays. One that has run for two minutes is ended: whoever asked has gone.
const PLANNER: &str = "-c enable_seqscan=off -c enable_mergejoin=off \
     -c max_parallel_workers_per_gather=0 -c plan_cache_mode=force_generic_plan \
     -c statement_timeout=120s -c idle_in_transaction_session_timeout=120s";

/// Most prepared statements a connection keeps. Callers choose the shapes of searches, of which there is no end,
/// and each costs memory on both sides; a server's own statements and the common searches are far fewer.
const MOST_STATEMENTS: usize = 250;

/// Opens a pool of at most `size` connections. Nothing is connected yet.
///
/// # Errors
/// [`Error::Internal`] where the pool cannot be built.
pub(crate) fn open(database: &DatabaseConfig, size: usize) -> Result<Pool> {
    let mut config = database.config().clone();
    let options = [config.get_options().unwrap_or_default(), PLANNER].join(" ");
    config.options(options);
    let manager =
        Manager::from_config(config, database.tls(), ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(size)
        // The connection used last has its statements planned and its caches warm.
        .queue_mode(QueueMode::Lifo)
        .pre_recycle(Hook::sync_fn(|client, _| {
            if client.statement_cache.size() > MOST_STATEMENTS {
                client.statement_cache.clear();
            }
            Ok(())
        }))
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(std::time::Duration::from_secs(10)))
        .create_timeout(Some(std::time::Duration::from_secs(10)))
        .build()
        .map_err(|error| Error::Internal(error.to_string()))
}

/// A transaction whose statements all see the same, and change nothing.
///
/// # Errors
/// [`Error::Unavailable`] where the database does not answer.
pub(crate) async fn snapshot(client: &mut Client) -> Result<Transaction<'_>> {
    let begun = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true).start();
    Ok(begun.await?)
}

/// Brings the schema up to date. Several nodes may start at once: an advisory lock lets one work.
///
/// # Errors
/// [`Error::Unavailable`] without a database, [`Error::Internal`] where a migration fails.
pub(crate) async fn migrate(pool: &Pool) -> Result<()> {
    let mut client = pool.get().await?;
    client.batch_execute("SELECT pg_advisory_lock(7236573)").await?;
    let outcome = embedded::migrations::runner()
        .run_async(&mut **client)
        .await
        .map_err(|error| Error::Internal(format!("migration failed: {error}")));
    client.batch_execute("SELECT pg_advisory_unlock(7236573)").await?;
    outcome.map(|_| ())
}
