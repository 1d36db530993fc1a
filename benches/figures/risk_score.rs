//! `$risk-score` beside a plain read, both at one connection.

use crate::Fallible;
use crate::lab::Lab;
use crate::load::{self, Turn, calibrate, median, spread, turn};
use crate::report::{Report, Row};

/// How many times a read's p50 it may take.
const TARGET: f64 = 3.0;

/// Measures it over the demo patients who have enough inputs.
///
/// # Errors
/// A turn that failed, or no patient with a score.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let paths = scored(lab).await?;
    let scores = lab.gets(paths.clone()).await?;
    let count = calibrate(&lab.salus, 1, &scores, 200, lab.scale.seconds / 2.0).await?;
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..lab.scale.turns {
        let (scores, reads) = (lab.gets(paths.clone()).await?, lab.reads().await?);
        turns[0].push(turn(&lab.salus, 1, &scores, count, 200).await?);
        turns[1].push(turn(&lab.salus, 1, &reads, count, 200).await?);
    }
    let [scores, reads] = &turns;
    let ratios: Vec<f64> = scores.iter().zip(reads).map(|(a, b)| a.percentile(0.5) / b.percentile(0.5)).collect();
    let (ratio, (low, high)) = (median(ratios.iter().copied()), spread(ratios));
    let p50 = |turns: &[Turn]| median(turns.iter().map(|turn| turn.percentile(0.5))) * 1e3;
    report.row(Row {
        figure: "$risk-score, 1 connection, p50".into(),
        salus: format!("{:.2} ms", p50(scores)),
        beside: format!("a read {:.2} ms", p50(reads)),
        ratio: format!("{ratio:.2} ({low:.2} to {high:.2})"),
        target: format!("≤ {TARGET}"),
        reached: Some(ratio <= TARGET),
    });
    report.cost("$risk-score, 1 connection", scores);
    let scores = lab.gets(paths.clone()).await?;
    let count = calibrate(&lab.salus, 16, &scores, 200, lab.scale.seconds).await?;
    let busy = turn(&lab.salus, 16, &scores, count, 200).await?;
    report.cost("$risk-score, 16 connections", &[busy]);
    report.note(format!("$risk-score is asked of {} patients of the demo population.", paths.len()));
    Ok(())
}

/// The requests that are answered with a score; others lack inputs.
async fn scored(lab: &mut Lab) -> Fallible<Vec<String>> {
    let paths: Vec<String> = lab.patients.iter().map(|id| format!("Patient/{id}/$risk-score")).collect();
    let requests = lab.gets(paths.clone()).await?;
    let answers = load::fetch(lab.salus.address, 8, &requests).await?;
    let (mut scored, mut said) = (Vec::new(), String::new());
    for (path, (status, text)) in paths.into_iter().zip(answers) {
        match status {
            200 => scored.push(path),
            _ => said = text,
        }
    }
    if scored.is_empty() { Err(format!("no patient has a score: {said}").into()) } else { Ok(scored) }
}
