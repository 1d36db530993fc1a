//! `salus doctor`: checks everything a start needs, and says what to do.

use salus_analytics::Models;
use salus_store::cluster::Cluster;

use super::parts::{self, Database};
use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Checks.
pub(super) async fn run(flags: &Flags) -> Outcome {
    let print_database_url = flags.database_url.as_deref() == Some("");
    let settings = match print_database_url {
        true => Settings::read(&Flags { database_url: None, ..flags.clone() })?,
        false => Settings::read(flags)?,
    };
    if print_database_url {
        let running = Cluster::attach(&settings.data_dir).map_err(|error| error.to_string())?;
        let cluster = running.ok_or_else(|| format!("no server runs on {}", settings.data_dir.display()))?;
        say(&cluster.url());
        return Ok(());
    }
    let mut failed = false;
    let mut check = |what: &str, outcome: Result<String, String>| match outcome {
        Ok(detail) => say(&format!("ok    {what}: {detail}")),
        Err(message) => {
            failed = true;
            say(&format!("WRONG {what}: {message}"));
        }
    };
    check(
        "FHIR definitions",
        parts::definitions(&settings).map(|found| format!("{} resource types", found.resource_types().count())),
    );
    let models = Models::load(&settings.operations_dir).map_err(|error| error.to_string());
    check("models", models.map(|models| format!("{} loaded and checked", models.iter().count())));
    check("database", database(&settings).await);
    if failed { Err("not everything is in order; see above".to_owned()) } else { Ok(()) }
}

async fn database(settings: &Settings) -> Result<String, String> {
    let database = Database::attach(settings).await?;
    let config = database.config().clone();
    let answer = async {
        let (client, connection) = config.config().connect(config.tls()).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        let row = client.query_one("SELECT version()", &[]).await.map_err(|error| error.to_string())?;
        row.try_get::<_, String>(0).map_err(|error| error.to_string())
    }
    .await;
    database.stop().await?;
    answer
}
