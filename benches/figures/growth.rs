//! Searches of every shape while the data grows: 1, 4 and 16 thousand patients, eleven resources each.
//!
//! Each search is selective: it finds as many whatever else there is. So its time should not grow.

use std::rc::Rc;

use crate::Fallible;
use crate::http::request;
use crate::lab::Lab;
use crate::load::{median, spread, turn};
use crate::report::{Report, Row};

/// Patients at each size.
const SIZES: [usize; 3] = [1_000, 4_000, 16_000];
/// Patients of one Bundle.
const TOGETHER: usize = 20;
/// How much the largest size may take of the smallest, and how long at all, milliseconds.
const FLAT: f64 = 1.4;
const LONGEST: f64 = 50.0;
const CODES: [&str; 8] = ["2160-0", "2345-7", "2823-3", "2951-2", "6690-2", "8867-4", "8480-6", "9279-1"];

/// One search of a shape, for the n-th patient.
type Search = fn(usize) -> String;

const SHAPES: [(&str, Search); 18] = [
    ("token (identifier)", |n| format!("Patient?identifier=urn:growth%7C{n}")),
    ("string prefix", |n| format!("Patient?family={}", family(n))),
    ("date range", |n| format!("Observation?date=ge{}&date=lt{}", day(n), day(n + 1))),
    ("period", |n| format!("Encounter?date=ge{}&date=lt{}", day(n), day(n + 1))),
    ("quantity", |n| format!("Observation?value-quantity={}.5%7C%7Cgrowth", 1000 + n)),
    ("reference", |n| format!("Observation?subject=Patient/growth-{n}")),
    ("patient, code, date sort", |n| format!("Observation?patient=growth-{n}&code=2160-0&_sort=-date")),
    ("chain", |n| format!("Observation?patient.identifier=urn:growth%7C{n}&code=2160-0")),
    ("_has", |n| format!("Patient?_has:Observation:patient:value-quantity={}.5%7C%7Cgrowth", 1000 + n)),
    ("_include", |n| format!("Observation?patient=growth-{n}&code=2160-0&_include=Observation:subject")),
    ("_revinclude", |n| format!("Patient?_id=growth-{n}&_revinclude=Observation:subject")),
    ("composite", |n| format!("Observation?code-value-quantity=2345-7${}.5%7C%7Cgrowth", 1000 + n)),
    ("count", |n| format!("Observation?patient=growth-{n}&_summary=count")),
    ("compartment", |n| format!("Patient/growth-{n}/*")),
    ("1,000 identifiers", |n| {
        let all: Vec<String> = (n..n + 1000).map(|n| format!("urn:growth%7C{n}")).collect();
        format!("Patient?identifier={}&_count=20", all.join(","))
    }),
    ("1,000 strings", |n| {
        let all: Vec<String> = (n..n + 1000).map(family).collect();
        format!("Patient?family={}&_count=20", all.join(","))
    }),
    ("1,000 quantities", |n| {
        let all: Vec<String> = (n..n + 1000).map(|n| format!("{}.5", 1000 + n)).collect();
        format!("Observation?value-quantity={}&_count=20", all.join(","))
    }),
    ("1,000 references", |n| {
        let all: Vec<String> = (n..n + 1000).map(|n| format!("Patient/growth-{n}")).collect();
        format!("Encounter?subject={}&_count=20", all.join(","))
    }),
];

/// Loads ever more, and measures at each size, one request after the other.
///
/// # Errors
/// A request that failed.
pub async fn measure(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let (mut loaded, mut found) = (0, vec![Vec::new(); SHAPES.len()]);
    for size in SIZES {
        crate::progress(&format!("loading until there are {size} patients more"));
        load(lab, loaded, size).await?;
        loaded = size;
        lab.database().await?.batch_execute("VACUUM ANALYZE").await?;
        for ((name, search), times) in SHAPES.iter().zip(&mut found) {
            let time = p50(lab, *search, size).await?;
            crate::progress(&format!("{size} patients more, {name}: {:.2} ms", time.0 * 1e3));
            times.push(time);
        }
    }
    for ((name, _), times) in SHAPES.iter().zip(found) {
        let (first, last) = (times[0].0, times[SIZES.len() - 1].0);
        let milliseconds: Vec<String> = times.iter().map(|(time, _)| format!("{:.2}", time * 1e3)).collect();
        let ratio = last / first;
        report.row(Row {
            figure: format!("growth: {name}"),
            salus: format!("p50 {} ms", milliseconds.join(", ")),
            beside: "at 1, 4 and 16 thousand patients".into(),
            ratio: format!("{ratio:.2}"),
            target: format!("≤ {FLAT}, ≤ {LONGEST} ms"),
            reached: Some(ratio <= FLAT && last * 1e3 <= LONGEST),
        });
        let slowest = times.iter().map(|(_, (_, high))| *high).fold(0.0, f64::max);
        report.note(format!("growth, {name}: the slowest turn's p50 was {:.2} ms.", slowest * 1e3));
    }
    Ok(())
}

/// The median over turns of the median latency, seconds, and its spread.
async fn p50(lab: &mut Lab, search: Search, size: usize) -> Fallible<(f64, (f64, f64))> {
    let searches = |offset: usize| (0..100).map(move |n| search((n * 7919 + offset) % (size - 1000).max(1)));
    // Warms up, and gives statements their plans.
    let warm = lab.gets(searches(1)).await?;
    turn(&lab.salus, 1, &warm, 30, 200).await?;
    let mut turns = Vec::new();
    for offset in 0..lab.scale.turns.min(5) {
        let requests = lab.gets(searches(offset)).await?;
        turns.push(turn(&lab.salus, 1, &requests, 100, 200).await?.percentile(0.5));
    }
    Ok((median(turns.iter().copied()), spread(turns)))
}

async fn load(lab: &mut Lab, from: usize, to: usize) -> Fallible<()> {
    for begin in (from..to).step_by(TOGETHER * 50) {
        let token = lab.token().await?.to_owned();
        let bundles = (begin..to.min(begin + TOGETHER * 50)).step_by(TOGETHER);
        let bundles = bundles.map(|first| request("POST", "/fhir", Some(&token), &bundle(first)));
        let requests = Rc::new(bundles.collect::<Vec<_>>());
        turn(&lab.salus, 4, &requests, requests.len(), 200).await?;
    }
    Ok(())
}

/// A transaction of the patients from `first` on.
fn bundle(first: usize) -> String {
    let mut entries = Vec::new();
    let mut put = |kind: &str, id: String, members: String| {
        entries.push(format!(
            r#"{{"resource":{{"resourceType":"{kind}","id":"{id}",{members}}},"request":{{"method":"PUT","url":"{kind}/{id}"}}}}"#
        ));
    };
    for n in first..first + TOGETHER {
        let subject = format!(r#""subject":{{"reference":"Patient/growth-{n}"}}"#);
        put(
            "Patient",
            format!("growth-{n}"),
            format!(
                r#""identifier":[{{"system":"urn:growth","value":"{n}"}}],"name":[{{"family":"{}","given":["Ada","Bo"]}}],"birthDate":"{}","gender":"female""#,
                family(n),
                day(n * 13)
            ),
        );
        put(
            "Encounter",
            format!("growth-{n}"),
            format!(
                r#""status":"finished","class":{{"code":"AMB"}},{subject},"period":{{"start":"{}","end":"{}"}}"#,
                day(n),
                day(n + 2)
            ),
        );
        put(
            "Condition",
            format!("growth-{n}"),
            format!(
                r#""code":{{"coding":[{{"system":"http://snomed.info/sct","code":"38341003"}}]}},{subject},"onsetDateTime":"{}""#,
                day(n)
            ),
        );
        for (position, code) in CODES.iter().enumerate() {
            // One value of its own, the others of everybody's.
            let value = if position == 1 { 1000.5 + n as f64 } else { (n % 50) as f64 + 0.5 };
            put(
                "Observation",
                format!("growth-{n}-{position}"),
                format!(
                    r#""status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"{code}"}}]}},{subject},"effectiveDateTime":"{}","valueQuantity":{{"value":{value},"unit":"growth","code":"growth"}}"#,
                    day(n)
                ),
            );
        }
    }
    format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":[{}]}}"#, entries.join(","))
}

/// A name of its own for each patient.
fn family(n: usize) -> String {
    // Letters, so that no name begins like another.
    let letters: String = n.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect();
    format!("Growth{letters}z")
}

/// Days that few resources share: one for each patient.
fn day(n: usize) -> String {
    let (year, rest) = (1900 + n / 336, n % 336);
    format!("{year}-{:02}-{:02}", rest / 28 + 1, rest % 28 + 1)
}
