//! `salus model`

use salus_analytics::Models;

use super::{Outcome, say};
use crate::settings::{Flags, Settings};

/// Subcommands of `salus model`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Load every model, which checks its hash and its stored examples, and list them
    List,
}

/// Runs one.
pub(super) fn run(flags: &Flags, command: Command) -> Outcome {
    let Command::List = command;
    let settings = Settings::read(flags)?;
    let models = Models::load(&settings.operations_dir).map_err(|error| error.to_string())?;
    for model in models.iter() {
        let description = &model.description;
        let default = if description.default { "default of" } else { "for" };
        say(&format!(
            "{}\t{default} ${}\t{} inputs\t{}",
            model.canonical(),
            description.operation,
            description.inputs.len(),
            description.title
        ));
    }
    Ok(())
}
