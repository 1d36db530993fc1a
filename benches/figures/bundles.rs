//! The Synthea transaction Bundles of `../shared/data`, one after the other and four at a time.

use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use crate::Fallible;
use crate::http::request;
use crate::lab::Lab;
use crate::load::{Requests, median, spread, turn};
use crate::report::{Report, Row};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/synthea-r4-bundles");
/// A Bundle made by a much newer Synthea, which is not one of the twenty.
const NEWER: &str = "synthea_newer";

/// Loads them alternately; each time makes new resources, as Bundles of `POST` do.
///
/// # Errors
/// A Bundle that is refused.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let Some((bundles, resources)) = read(Path::new(FOLDER))? else {
        report.note("The Synthea Bundles were skipped: ../shared/data/synthea-r4-bundles is not here.".into());
        return Ok(());
    };
    let rounds = if lab.scale.turns > 3 { 3 } else { 1 };
    let (mut after, mut four) = (Vec::new(), Vec::new());
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (connections, rates, turns) in [(1, &mut after, &mut alone), (4, &mut four, &mut together)] {
            let requests = requests(lab, &bundles).await?;
            let one = turn(&lab.salus, connections, &requests, requests.len(), 200).await?;
            rates.push(resources as f64 / one.seconds);
            turns.push(one);
        }
    }
    for (name, rates, target) in [("one after the other", after, 2000.0), ("4 at a time", four, 3000.0)] {
        let (rate, (low, high)) = (median(rates.iter().copied()), spread(rates));
        report.row(Row {
            figure: format!("{} Synthea Bundles, {name}", bundles.len()),
            salus: format!("{rate:.0} resources/s"),
            beside: "the best peer on our machine 1070/s".into(),
            ratio: format!("{:.1} ({:.1} to {:.1})", rate / 1070.0, low / 1070.0, high / 1070.0),
            target: format!("≥ {target}/s"),
            reached: Some(rate >= target),
        });
    }
    report.cost("Bundle, one after the other", &alone);
    report.cost("Bundle, 4 at a time", &together);
    report.note(format!("The Bundles hold {resources} resources."));
    Ok(())
}

async fn requests(lab: &mut Lab, bundles: &[String]) -> Fallible<Requests> {
    let token = lab.token().await?.to_owned();
    Ok(Rc::new(bundles.iter().map(|bundle| request("POST", "/fhir", Some(&token), bundle)).collect()))
}

/// The Bundles and how many resources they hold; `None` where they are not here.
fn read(folder: &Path) -> Fallible<Option<(Vec<String>, usize)>> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(None) };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(".json.gz") && !path.to_string_lossy().contains(NEWER));
    paths.sort();
    let (mut bundles, mut resources) = (Vec::new(), 0);
    for path in paths {
        let mut text = String::new();
        flate2::read::GzDecoder::new(std::fs::File::open(path)?).read_to_string(&mut text)?;
        let bundle: serde_json::Value = serde_json::from_str(&text)?;
        resources += bundle["entry"].as_array().map_or(0, Vec::len);
        bundles.push(text);
    }
    Ok(Some((bundles, resources)))
}
