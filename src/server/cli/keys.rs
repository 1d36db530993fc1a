//! `salus keys`: the keys that sign access tokens.

use super::parts::{self, Database};
use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Subcommands of `salus keys`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Sign with a new key; tokens signed with the old one hold until they expire
    Rotate,
}

/// Runs a subcommand of `salus keys`.
pub(super) async fn run(flags: &Flags, command: Command) -> Outcome {
    let Command::Rotate = command;
    let settings = Settings::read(flags)?;
    let database = Database::attach(&settings).await?;
    let outcome = async {
        let store = parts::store(&settings, &database, parts::definitions(&settings)?).await?;
        let key = parts::auth(&settings, &store)?.rotate_keys().await.map_err(|error| error.to_string())?;
        say(&format!("access tokens are now signed with key {}", key.kid));
        Ok(())
    }
    .await;
    let stopped = database.stop().await;
    outcome.and(stopped)
}
