//! Reads of Observations: at 64 connections beside the bare server and its audited form, and at one
//! connection beside the disk's fsync.

use crate::Fallible;
use crate::disk::Disk;
use crate::lab::Lab;
use crate::load::{Turn, calibrate, median, turn};
use crate::report::{Report, Row};

/// Connections of a busy server.
pub const BUSY: usize = 64;

/// Both.
///
/// # Errors
/// A turn that failed.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    busy(lab, report).await?;
    alone(lab, report).await
}

async fn busy(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let (bare, audited) = (lab.bare_reads("r"), lab.bare_reads("a"));
    let reads = lab.reads().await?;
    let count = calibrate(&lab.salus, BUSY, &reads, 200, lab.scale.seconds).await?;
    calibrate(&lab.bare, BUSY, &bare, 200, 0.1).await?;
    let mut turns = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..lab.scale.turns {
        let reads = lab.reads().await?;
        turns[0].push(turn(&lab.salus, BUSY, &reads, count, 200).await?);
        turns[1].push(turn(&lab.bare, BUSY, &bare, count, 200).await?);
        turns[2].push(turn(&lab.bare, BUSY, &audited, count, 200).await?);
    }
    let [salus, bare, audited] = &turns;
    report.ratio("read, 64 connections", "bare", salus, bare, Some(0.6));
    report.ratio("read, 64 connections", "bare, audited", salus, audited, Some(0.75));
    report.cost("read, 64 connections", salus);
    report.cost("— bare", bare);
    report.cost("— bare, audited", audited);
    let bytes: usize = lab.observations.iter().map(|(_, body)| body.len()).sum();
    report.note(format!(
        "Reads are of {} Observations of {} bytes on average; the audit row of a read is {} bytes.",
        lab.observations.len(),
        bytes / lab.observations.len().max(1),
        lab.audit_bytes
    ));
    Ok(())
}

/// What a read alone may take beyond one fsync, seconds.
const BEYOND: f64 = 0.0005;

/// Reads of one turn alone: few, so that reads and fsyncs alternate quickly and meet the same disk.
const SHORT: usize = 25;

async fn alone(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let mut disk = Disk::open(&lab.salus.data_dir)?;
    let audited = lab.bare_reads("a");
    let reads = lab.reads().await?;
    calibrate(&lab.salus, 1, &reads, 200, 0.1).await?;
    let (mut salus, mut bare, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..lab.scale.turns * 8 {
        let reads = lab.reads().await?;
        syncs.extend(disk.writes(SHORT)?);
        salus.push(turn(&lab.salus, 1, &reads, SHORT, 200).await?);
        bare.push(turn(&lab.bare, 1, &audited, SHORT, 200).await?);
    }
    // The disk answers at the ticks of a clock (0.2 or 4 ms here), so a median alone says little.
    let (read, read_mean) = middle_and_mean(&latencies(&salus));
    let (other, other_mean) = middle_and_mean(&latencies(&bare));
    let (sync, sync_mean) = middle_and_mean(&syncs);
    report.row(Row {
        figure: "read, 1 connection, p50 (mean)".into(),
        salus: format!("{:.2} ({:.2}) ms", read * 1e3, read_mean * 1e3),
        beside: format!(
            "fsync of this disk {:.2} ({:.2}) ms; bare, audited {:.2} ({:.2}) ms",
            sync * 1e3,
            sync_mean * 1e3,
            other * 1e3,
            other_mean * 1e3
        ),
        ratio: format!("fsync + {:.2} ms (+ {:.2} ms)", (read - sync) * 1e3, (read_mean - sync_mean) * 1e3),
        target: "≤ fsync + 0.5 ms".into(),
        reached: Some(read - sync <= BEYOND),
    });
    report.cost("read, 1 connection", &salus);
    report.cost("— bare, audited", &bare);
    Ok(())
}

fn latencies(turns: &[Turn]) -> Vec<f64> {
    turns.iter().flat_map(|turn| turn.latencies.iter().copied()).collect()
}

fn middle_and_mean(values: &[f64]) -> (f64, f64) {
    (median(values.iter().copied()), values.iter().sum::<f64>() / values.len() as f64)
}
