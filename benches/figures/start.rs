//! Start-up, cold and warm, and memory at rest.

use std::path::Path;
use std::time::Duration;

use salus_fhir::packages::{R4_CORE, default_cache_dir};

use crate::Fallible;
use crate::lab::Scale;
use crate::load::{median, spread};
use crate::process::Place;
use crate::report::{Report, Row};

const PATIENCE: Duration = Duration::from_secs(60);
/// How long a started server is left alone before its memory is read.
const SETTLED: Duration = Duration::from_secs(2);

/// Starts Salus again and again: on nothing, without its compiled definitions, with them.
///
/// # Errors
/// A server that does not start, or no FHIR package.
pub async fn measure(program: &Path, dir: &Path, scale: Scale, report: &mut Report) -> Fallible<()> {
    let (cache, home) = (dir.join("cache"), dir.join("start"));
    let package = R4_CORE.path(&default_cache().ok_or("no cache directory: set SALUS_CACHE_DIR or HOME")?);
    let copy = R4_CORE.path(&cache);
    std::fs::create_dir_all(copy.parent().unwrap_or(&cache))?;
    std::fs::copy(&package, &copy).map_err(|error| format!("{}: {error}", package.display()))?;
    let environment = [("SALUS_CACHE_DIR", cache.as_path())];
    let start = || Place::start(program, &["serve"], &home, &environment, PATIENCE);
    let first = start().await?.start_up;
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for _ in 0..scale.turns.min(5) {
        forget_compiled(&cache)?;
        cold.push(start().await?.start_up);
        warm.push(start().await?.start_up);
    }
    report.row(row("start on a new data directory, cold", &[first], None));
    report.row(row("start, cold (definitions not yet compiled)", &cold, Some(2.0)));
    report.row(row("start, warm", &warm, Some(0.5)));
    let server = start().await?;
    tokio::time::sleep(SETTLED).await;
    let memory = server.memory("VmRSS");
    report.row(Row {
        figure: "memory at rest, without PostgreSQL".into(),
        salus: format!("{memory:.0} MB"),
        target: "< 150 MB".into(),
        reached: Some(memory < 150.0),
        ..Row::default()
    });
    Ok(())
}

fn default_cache() -> Option<std::path::PathBuf> {
    std::env::var_os("SALUS_CACHE_DIR").map(Into::into).or_else(default_cache_dir)
}

fn forget_compiled(cache: &Path) -> Fallible<()> {
    for entry in std::fs::read_dir(cache)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "bin") {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn row(figure: &str, times: &[Duration], target: Option<f64>) -> Row {
    let seconds = || times.iter().map(Duration::as_secs_f64);
    let (middle, (low, high)) = (median(seconds()), spread(seconds()));
    Row {
        figure: figure.to_owned(),
        salus: format!("{middle:.2} s"),
        ratio: format!("({low:.2} to {high:.2} s)"),
        target: target.map(|target| format!("< {target} s")).unwrap_or_default(),
        reached: target.map(|target| middle < target),
        ..Row::default()
    }
}
