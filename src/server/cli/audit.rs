//! `salus audit`

use super::parts::{self, Database};
use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Subcommands of `salus audit`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Recompute the log from the stored events and check every signed head
    Verify,
}

/// Runs one.
pub(super) async fn run(flags: &Flags, command: Command) -> Outcome {
    let Command::Verify = command;
    let settings = Settings::read(flags)?;
    let database = Database::attach(&settings).await?;
    let outcome = verify(&settings, &database).await;
    let stopped = database.stop().await;
    outcome.and(stopped)
}

async fn verify(settings: &Settings, database: &Database) -> Outcome {
    let store = parts::store(settings, database, parts::definitions(settings)?).await?;
    let verified = store.audit().verify().await.map_err(|error| format!("audit log does NOT hold: {error}"))?;
    let root: String = verified.root.iter().map(|byte| format!("{byte:02x}")).collect();
    say(&format!(
        "audit log holds: {} events, {} signed heads, the last covering {} events, root {root}",
        verified.events, verified.heads, verified.covered
    ));
    Ok(())
}
