//! The command line, a file each command.

mod audit;
mod client;
mod doctor;
mod import;
mod keys;
mod model;
mod openapi;
mod packages;
mod parts;
mod serve;
mod token;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::Flags;

/// A SMART-on-FHIR R4 server with clinical models, enforced Consent and durable audit.
#[derive(Debug, Parser)]
#[command(name = "salus", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: Flags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    #[command(after_help = "Example:\n  salus serve --demo")]
    Serve {
        /// Print the settings with secrets hidden, and end
        #[arg(long)]
        print_config: bool,
    },
    /// Print an access token for the running demo server
    #[command(
        after_help = "Example:\n  curl -H \"Authorization: Bearer $(salus token)\" http://127.0.0.1:8080/fhir/Patient?_count=1"
    )]
    Token(token::Arguments),
    /// Register, list, disable and enable clients
    #[command(after_help = "Example:\n  salus client add pipeline --scope 'system/Observation.rs' --jwks keys.json")]
    Client {
        #[command(subcommand)]
        command: client::Command,
    },
    /// Load resources from files: Bundles (.json) and bulk data (.ndjson), gzipped or not
    #[command(after_help = "Example:\n  salus import bundles/")]
    Import(import::Arguments),
    /// Add and list FHIR packages
    #[command(after_help = "Example:\n  salus packages list")]
    Packages {
        #[command(subcommand)]
        command: packages::Command,
    },
    /// List and check the clinical models
    #[command(after_help = "Example:\n  salus model list")]
    Model {
        #[command(subcommand)]
        command: model::Command,
    },
    /// Prove that no audit record is missing or changed
    #[command(after_help = "Example:\n  salus audit verify")]
    Audit {
        #[command(subcommand)]
        command: audit::Command,
    },
    /// Print the OpenAPI description of the server
    #[command(after_help = "Example:\n  salus openapi > openapi.json")]
    Openapi,
    /// Rotate the keys that sign access tokens
    #[command(after_help = "Example:\n  salus keys rotate")]
    Keys {
        #[command(subcommand)]
        command: keys::Command,
    },
    /// Check what a start needs, and say what to do
    #[command(after_help = "Example:\n  salus doctor --database-url")]
    Doctor,
}

/// What a command ends with: nothing more to say, or what went wrong and what to do.
pub(crate) type Outcome = Result<(), String>;

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let flags = &cli.flags;
    let outcome = runtime.block_on(async {
        match cli.command {
            Command::Serve { print_config } => serve::run(flags, print_config).await,
            Command::Token(arguments) => token::run(flags, &arguments),
            Command::Client { command } => client::run(flags, command).await,
            Command::Import(arguments) => import::run(flags, &arguments).await,
            Command::Packages { command } => packages::run(flags, command),
            Command::Model { command } => model::run(flags, command),
            Command::Audit { command } => audit::run(flags, command).await,
            Command::Openapi => openapi::run(flags),
            Command::Keys { command } => keys::run(flags, command).await,
            Command::Doctor => doctor::run(flags).await,
        }
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            complain(&message);
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard output; a closed pipe is nobody's fault.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a line to standard error.
pub(crate) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "salus: {text}");
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Cli;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
