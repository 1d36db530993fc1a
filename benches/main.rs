//! `make bench`: Salus against the least that a server can do.
//!
//! Starts a fresh Salus (release build, demo population, authentication, Consent and audit on) and a
//! bare server ([`bare`]) with a PostgreSQL of its own, set up alike, and lets them take turns on the
//! same machine: what counts are ratios within one run, with their spread. See `docs/performance.md`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bare;
mod disk;
mod figures;
mod http;
mod lab;
mod load;
mod machine;
mod process;
mod report;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;
use lab::{Lab, Scale};
use report::Report;

/// Both servers have the same allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A result whose error is a message for whoever ran the command.
pub type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Measures Salus against a bare server and a bare PostgreSQL.
///
/// Example: salus-bench --quick --only read,create
#[derive(Debug, clap::Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Fewer and shorter turns: under two minutes
    #[arg(long)]
    quick: bool,
    /// Only these figures
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Figure>,
    /// The program to measure [default: salus beside this one]
    #[arg(long)]
    salus: Option<PathBuf>,
    /// Data directory of a running demo server to measure instead of a fresh one, as under a profiler
    #[arg(long)]
    attach: Option<PathBuf>,
    /// Where data directories are made, and removed again [default: the system's temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Serve as the bare server (started by the measurement itself)
    Bare(bare::Arguments),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Figure {
    Read,
    Search,
    RiskScore,
    Everything,
    Create,
    Update,
    Bundles,
    Growth,
    Floor,
    Start,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        // The bare server has the runtime that Salus has; the generator stays on one thread.
        Some(Command::Bare(arguments)) => tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(bare::serve(arguments))),
        None => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(measure(&cli))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn measure(cli: &Cli) -> Fallible<()> {
    let program = match &cli.salus {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("salus"),
    };
    let base = cli.dir.clone().unwrap_or_else(std::env::temp_dir);
    let dir = base.join(format!("salus-bench-{}", std::process::id()));
    let outcome = measure_in(cli, &program, &dir).await;
    let _ = std::fs::remove_dir_all(&dir);
    outcome
}

async fn measure_in(cli: &Cli, program: &Path, dir: &Path) -> Fallible<()> {
    let (begun, load_before) = (Instant::now(), machine::load());
    let scale = if cli.quick { Scale { turns: 3, seconds: 0.7 } } else { Scale { turns: 7, seconds: 1.5 } };
    progress("starting Salus with its demo population, and the bare server");
    std::fs::create_dir_all(dir)?;
    let mut lab = Lab::open(program, dir, cli.attach.as_deref(), scale).await?;
    progress("measuring");
    let mut report = Report::default();
    let wanted = |figure| cli.only.is_empty() || cli.only.contains(&figure);
    if wanted(Figure::Read) {
        figures::read::measure(&mut lab, &mut report).await?;
    }
    if wanted(Figure::RiskScore) {
        figures::risk_score::measure(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Everything) {
        figures::everything::measure(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Search) {
        figures::search::measure(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Create) {
        figures::create::creates(&mut lab, &mut report).await?;
        figures::create::alone(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Update) {
        figures::create::updates(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Bundles) {
        figures::bundles::measure(&mut lab, &mut report).await?;
    }
    // Again, now that creates have made the tables larger: searches should not notice.
    if wanted(Figure::Search) && wanted(Figure::Create) {
        figures::search::measure(&mut lab, &mut report).await?;
    }
    // Minutes long, so not of a quick run unless it is asked for.
    if if cli.quick { cli.only.contains(&Figure::Growth) } else { wanted(Figure::Growth) } {
        figures::growth::measure(&mut lab, &mut report).await?;
    }
    if wanted(Figure::Floor) {
        figures::floor::measure(&lab, &mut report)?;
    }
    let (now, most) = (lab.salus.memory("VmRSS"), lab.salus.memory("VmHWM"));
    report.note(format!(
        "Memory of Salus after all of this: {now:.0} MB; at most {most:.0} MB. Started with demo data in {:.1} s.",
        lab.salus.start_up.as_secs_f64()
    ));
    drop(lab);
    if wanted(Figure::Start) {
        figures::start::measure(program, dir, scale, &mut report).await?;
    }
    progress(&format!("measured in {:.0} s", begun.elapsed().as_secs_f64()));
    report.note(format!("Load average before {load_before}, after {}.", machine::load()));
    writeln!(std::io::stdout(), "{}\n", machine::described())?;
    std::io::stdout().write_all(report.markdown().as_bytes())?;
    Ok(())
}

/// A line for who waits.
pub fn progress(line: &str) {
    let _ = writeln!(std::io::stderr(), "bench: {line}");
}
