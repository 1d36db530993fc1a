//! Searches at 16 connections, in the shapes that applications use most.

use serde_json::Value;

use crate::Fallible;
use crate::lab::Lab;
use crate::load::{Turn, calibrate, median, spread, turn};
use crate::report::{Report, Row};

const CONNECTIONS: usize = 16;
/// Searches a second asked for: five times the best peer, as it was measured on our machine.
const TARGET: f64 = 5.0 * 1140.0;

/// A kind of search: its name, and one search for each patient.
struct Shape {
    name: &'static str,
    searches: Vec<String>,
}

/// All shapes, with the number of Observations there are beside each name.
///
/// # Errors
/// A turn that failed.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    const COUNT: &str = "SELECT count(*) FROM resource WHERE type = 'Observation' AND NOT deleted";
    let observations: i64 = lab.database().await?.query_one(COUNT, &[]).await?.try_get(0)?;
    for shape in shapes(lab).await? {
        let requests = lab.gets(shape.searches.clone()).await?;
        let count = calibrate(&lab.salus, CONNECTIONS, &requests, 200, lab.scale.seconds / 2.0).await?;
        let mut turns: Vec<Turn> = Vec::new();
        for _ in 0..lab.scale.turns.min(5) {
            let requests = lab.gets(shape.searches.clone()).await?;
            turns.push(turn(&lab.salus, CONNECTIONS, &requests, count, 200).await?);
        }
        let name = format!("{}, {} thousand Observations", shape.name, (observations + 500) / 1000);
        let (rate, (low, high)) = (median(turns.iter().map(Turn::rate)), spread(turns.iter().map(Turn::rate)));
        report.row(Row {
            figure: format!("search {name}, 16 connections"),
            salus: format!("{rate:.0}/s"),
            beside: "the best peer on our machine 1140/s".into(),
            ratio: format!("{:.1} ({:.1} to {:.1})", rate / 1140.0, low / 1140.0, high / 1140.0),
            target: format!("≥ {TARGET:.0}/s"),
            reached: Some(rate >= TARGET),
        });
        report.cost(&format!("search {name}"), &turns);
    }
    Ok(())
}

async fn shapes(lab: &mut Lab) -> Fallible<Vec<Shape>> {
    const PATIENTS: &str =
        "SELECT id, body FROM resource WHERE type = 'Patient' AND NOT deleted ORDER BY rid LIMIT 100";
    let rows = lab.database().await?.query(PATIENTS, &[]).await?;
    let (mut ids, mut identifiers) = (Vec::new(), Vec::new());
    for row in rows {
        let patient: Value = serde_json::from_str(row.try_get::<_, &str>(1)?)?;
        ids.push(row.try_get::<_, String>(0)?);
        let identifier = &patient["identifier"][0];
        if let (Some(system), Some(value)) = (identifier["system"].as_str(), identifier["value"].as_str()) {
            identifiers.push(format!("{}%7C{value}", escaped(system)));
        }
    }
    const CREATININE: &str = "http%3A%2F%2Floinc.org%7C2160-0";
    let newest = |id: &String| format!("Observation?patient={id}&code={CREATININE}&_sort=-date&_count=20");
    let included = |id: &String| format!("{}&_include=Observation:subject", newest(id));
    let codes = ["2160-0", "2345-7", "2823-3", "2951-2", "6690-2"];
    let counted = |code: &&str| format!("Observation?code=http%3A%2F%2Floinc.org%7C{code}&_summary=count");
    Ok(vec![
        Shape { name: "patient and code, newest 20", searches: ids.iter().map(newest).collect() },
        Shape { name: "the same with _include", searches: ids.iter().map(included).collect() },
        Shape { name: "count by code", searches: codes.iter().map(counted).collect() },
        Shape {
            name: "by identifier",
            searches: identifiers.iter().map(|identifier| format!("Patient?identifier={identifier}")).collect(),
        },
    ])
}

fn escaped(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
