//! What stands under the bare server: `pgbench`, and the disk.

use std::path::PathBuf;
use std::process::Command;

use salus_store::cluster::Cluster;

use crate::Fallible;
use crate::disk::Disk;
use crate::lab::Lab;
use crate::load::median;
use crate::report::{Report, Row};

/// Both, for scale; neither has a target.
///
/// # Errors
/// A disk that cannot be written.
pub fn measure(lab: &Lab, report: &mut Report) -> Fallible<()> {
    let mut seconds = Disk::open(&lab.bare.data_dir)?.writes(200)?;
    seconds.sort_by(f64::total_cmp);
    let (total, low, high) = (seconds.iter().sum::<f64>(), seconds[10] * 1e3, seconds[190] * 1e3);
    report.row(Row {
        figure: "for scale: fsync of this disk".into(),
        beside: format!("{:.0}/s, p50 {:.2} ms", 200.0 / total, median(seconds) * 1e3),
        ratio: format!("(p5 {low:.2} to p95 {high:.2} ms)"),
        ..Row::default()
    });
    match pgbench(lab) {
        Ok(rate) => report.row(Row {
            figure: "for scale: pgbench, prepared selects, 16 connections".into(),
            beside: format!("{rate:.0}/s"),
            ..Row::default()
        }),
        Err(reason) => report.note(format!("pgbench was skipped: {reason}")),
    }
    Ok(())
}

/// `pgbench -S` on the bare server's cluster, which is set up as that of Salus.
fn pgbench(lab: &Lab) -> Fallible<f64> {
    let cluster = Cluster::attach(&lab.bare.data_dir)?.ok_or("the cluster does not run")?;
    let program = find().ok_or("it is not installed")?;
    let url = cluster.url();
    run(&program, &["-i", "-q", "-s", "5", &url])?;
    let seconds = if lab.scale.turns > 3 { "5" } else { "2" };
    let printed = run(&program, &["-S", "-M", "prepared", "-n", "-c", "16", "-j", "2", "-T", seconds, &url])?;
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = ")).ok_or("it printed no rate")?;
    Ok(line.split_whitespace().next().unwrap_or_default().parse()?)
}

fn find() -> Option<PathBuf> {
    let packaged = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = packaged.filter_map(|entry| Some(entry.ok()?.path().join("bin/pgbench"))).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found.pop()
}

fn run(program: &PathBuf, words: &[&str]) -> Fallible<String> {
    let output = Command::new(program).args(words).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
