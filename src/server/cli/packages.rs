//! `salus packages`

use std::path::PathBuf;

use salus_fhir::packages::Package;

use super::{Outcome, parts, say};
use crate::settings::{Flags, Settings};

/// Subcommands of `salus packages`.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a package archive (.tgz); it is used from the next start
    Add {
        /// The archive
        file: PathBuf,
    },
    /// List the packages in use
    List,
}

/// Runs one.
pub(super) fn run(flags: &Flags, command: Command) -> Outcome {
    let settings = Settings::read(flags)?;
    match command {
        Command::Add { file } => {
            let package = Package::open(&file).map_err(|error| error.to_string())?;
            let manifest = package.manifest().map_err(|error| error.to_string())?;
            let directory = settings.data_dir.join("packages");
            std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
            let target = directory.join(format!("{}-{}.tgz", manifest.name, manifest.version));
            std::fs::write(&target, package.bytes()).map_err(|error| format!("{}: {error}", target.display()))?;
            // Compiled now, so that what is wrong with it shows here and not at the next start.
            if let Err(error) = parts::definitions(&settings) {
                let _ = std::fs::remove_file(&target);
                return Err(error);
            }
            say(&format!("added {} {}; it is used from the next start", manifest.name, manifest.version));
        }
        Command::List => {
            for file in parts::package_files(&settings)? {
                let manifest =
                    Package::open(&file).and_then(|package| package.manifest()).map_err(|error| error.to_string())?;
                say(&format!("{}\t{}", manifest.name, manifest.version));
            }
        }
    }
    Ok(())
}
