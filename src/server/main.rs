//! The `salus` command.

use std::process::ExitCode;

use clap::Parser as _;

/// Two threads that allocate all the time gain much from an allocator made for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    salus::cli::run(salus::cli::Cli::parse())
}
