//! `salus client`: the clients that may ask for tokens.

use std::path::PathBuf;

use salus_auth::{JwkSet, NewClient};

use super::parts::{self, Database};
use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Subcommands of `salus client`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Register a backend service
    Add {
        /// Its client_id
        id: String,
        /// A name for people
        #[arg(long)]
        name: Option<String>,
        /// The most it may be granted
        #[arg(long)]
        scope: String,
        /// File with its public keys (a JWK Set)
        #[arg(long, value_name = "FILE")]
        jwks: PathBuf,
        /// Purpose of use of its tokens, an ActReason code
        #[arg(long, default_value = "TREAT")]
        purpose: String,
        /// Further purposes it may ask for
        #[arg(long = "also", value_name = "PURPOSE")]
        purposes: Vec<String>,
        /// References by which a Consent may name it, such as Organization/1
        #[arg(long = "actor", value_name = "REFERENCE")]
        actors: Vec<String>,
    },
    /// List all clients
    List,
    /// Refuse a client, and its tokens at once
    Disable {
        /// Its client_id
        id: String,
    },
    /// Let a disabled client be used again
    Enable {
        /// Its client_id
        id: String,
    },
}

/// Runs a subcommand of `salus client`.
pub(super) async fn run(flags: &Flags, command: Command) -> Outcome {
    let settings = Settings::read(flags)?;
    let database = Database::attach(&settings).await?;
    let outcome = act(&settings, &database, command).await;
    let stopped = database.stop().await;
    outcome.and(stopped)
}

async fn act(settings: &Settings, database: &Database, command: Command) -> Outcome {
    let store = parts::store(settings, database, parts::definitions(settings)?).await?;
    let auth = parts::auth(settings, &store)?;
    let clients = auth.clients();
    match command {
        Command::Add { id, name, scope, jwks, purpose, purposes, actors } => {
            let text = std::fs::read_to_string(&jwks).map_err(|error| format!("{}: {error}", jwks.display()))?;
            let jwks: JwkSet = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", jwks.display()))?;
            let name = name.unwrap_or_else(|| id.clone());
            let new = NewClient {
                client_id: id,
                name,
                jwks,
                jwks_uri: None,
                scope,
                purpose_of_use: purpose,
                purposes,
                actors,
            };
            let client = clients.add(new).await.map_err(|error| error.to_string())?;
            say(&format!("registered {} for {}", client.client_id, client.scope));
        }
        Command::List => {
            for client in clients.list().await.map_err(|error| error.to_string())? {
                let state = if client.disabled.is_some() { "disabled" } else { "enabled" };
                say(&format!("{}\t{state}\t{}\t{}", client.client_id, client.purpose_of_use, client.scope));
            }
        }
        Command::Disable { id } => {
            clients.disable(&id).await.map_err(|error| error.to_string())?;
            say(&format!("{id} is disabled, and its tokens are refused"));
        }
        Command::Enable { id } => {
            clients.enable(&id).await.map_err(|error| error.to_string())?;
            say(&format!("{id} is enabled"));
        }
    }
    Ok(())
}
