//! `Patient/[id]/$everything`: how many resources a second it gives.

use crate::Fallible;
use crate::lab::Lab;
use crate::load::{self, calibrate, median, spread, turn};
use crate::report::{Report, Row};

/// Resources a second.
const TARGET: f64 = 20_000.0;

/// Measures it over the demo patients, a first page of up to 1,000 matches of each.
///
/// # Errors
/// A turn that failed.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let paths: Vec<String> = lab.patients.iter().map(|id| format!("Patient/{id}/$everything?_count=1000")).collect();
    let requests = lab.gets(paths.clone()).await?;
    let answers = load::fetch(lab.salus.address, 8, &requests).await?;
    let given: usize = answers.iter().map(|(_, text)| text.matches("\"fullUrl\"").count()).sum();
    let each = given as f64 / paths.len() as f64;
    for connections in [1, 4] {
        let count = calibrate(&lab.salus, connections, &requests, 200, lab.scale.seconds).await?;
        let mut turns = Vec::new();
        for _ in 0..lab.scale.turns {
            let requests = lab.gets(paths.clone()).await?;
            turns.push(turn(&lab.salus, connections, &requests, count, 200).await?);
        }
        let rates: Vec<f64> = turns.iter().map(|turn| turn.rate() * each).collect();
        let (rate, (low, high)) = (median(rates.iter().copied()), spread(rates));
        report.row(Row {
            figure: format!("$everything of a patient, {connections} at a time"),
            salus: format!("{rate:.0} resources/s"),
            beside: String::new(),
            ratio: format!("({low:.0} to {high:.0})"),
            target: format!("≥ {TARGET}/s"),
            reached: Some(rate >= TARGET),
        });
        report.cost(&format!("$everything, {connections} at a time"), &turns);
    }
    report.note(format!("$everything is asked of {} demo patients, {each:.0} resources each on average.", paths.len()));
    Ok(())
}
