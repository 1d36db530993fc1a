//! Creates and updates of Observations of about a kilobyte, each unlike the others.

use std::rc::Rc;

use crate::Fallible;
use crate::figures::read::BUSY;
use crate::http::request;
use crate::lab::Lab;
use crate::load::{Requests, calibrate, turn};
use crate::report::Report;

/// Most Observations that updates choose among; more than connections, so that no two meet.
const UPDATED: i64 = 2000;

/// Creates, 64 connections.
///
/// # Errors
/// A turn that failed.
pub async fn creates(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let mut number = 0;
    let (salus, bare) = posts(lab, &mut number, BUSY * 13).await?;
    let count = calibrate(&lab.salus, BUSY, &salus, 201, lab.scale.seconds).await?;
    calibrate(&lab.bare, BUSY, &bare, 201, 0.1).await?;
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..lab.scale.turns {
        let (salus, bare) = posts(lab, &mut number, count).await?;
        turns[0].push(turn(&lab.salus, BUSY, &salus, count, 201).await?);
        turns[1].push(turn(&lab.bare, BUSY, &bare, count, 201).await?);
    }
    let [salus, bare] = &turns;
    report.ratio("create, 64 connections", "bare", salus, bare, Some(0.5));
    report.cost("create, 64 connections", salus);
    report.cost("— bare", bare);
    report.note(format!("A created Observation is {} bytes as sent.", observation(&lab.patients[0], 0, "").len()));
    Ok(())
}

/// Creates at one connection, which is what a commit takes.
///
/// # Errors
/// A turn that failed.
pub async fn alone(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    let mut number = 50_000_000;
    let (salus, _) = posts(lab, &mut number, 200).await?;
    let count = calibrate(&lab.salus, 1, &salus, 201, lab.scale.seconds / 2.0).await?;
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..lab.scale.turns {
        let (salus, bare) = posts(lab, &mut number, count).await?;
        turns[0].push(turn(&lab.salus, 1, &salus, count, 201).await?);
        turns[1].push(turn(&lab.bare, 1, &bare, count, 201).await?);
    }
    let [salus, bare] = &turns;
    report.ratio("create, 1 connection", "bare", salus, bare, None);
    report.cost("create, 1 connection", salus);
    report.cost("— bare", bare);
    Ok(())
}

/// Updates, 64 connections.
///
/// # Errors
/// A turn that failed.
pub async fn updates(lab: &mut Lab, report: &mut Report) -> Fallible<()> {
    const NEWEST: &str =
        "SELECT id FROM resource WHERE type = 'Observation' AND NOT deleted ORDER BY updated DESC LIMIT $1";
    let rows = lab.database().await?.query(NEWEST, &[&UPDATED]).await?;
    let ids = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let known: Vec<String> = lab.observations.iter().map(|(id, _)| id.clone()).collect();
    let mut number = 100_000_000;
    let salus = puts(lab, "/fhir/Observation", &ids, &mut number, ids.len()).await?;
    let count = calibrate(&lab.salus, BUSY, &salus, 200, lab.scale.seconds).await?;
    let mut turns = [Vec::new(), Vec::new()];
    for _ in 0..lab.scale.turns {
        let salus = puts(lab, "/fhir/Observation", &ids, &mut number, count).await?;
        let bare = puts(lab, "/r", &known, &mut number, count).await?;
        turns[0].push(turn(&lab.salus, BUSY, &salus, count, 200).await?);
        turns[1].push(turn(&lab.bare, BUSY, &bare, count, 200).await?);
    }
    let [salus, bare] = &turns;
    report.ratio("update, 64 connections", "bare", salus, bare, None);
    report.cost("update, 64 connections", salus);
    report.cost("— bare", bare);
    Ok(())
}

/// The same `count` creates for both servers.
async fn posts(lab: &mut Lab, number: &mut usize, count: usize) -> Fallible<(Requests, Requests)> {
    let token = lab.token().await?.to_owned();
    let (mut salus, mut bare) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for _ in 0..count {
        *number += 1;
        let body = observation(&lab.patients[*number % lab.patients.len()], *number, "");
        salus.push(request("POST", "/fhir/Observation", Some(&token), &body));
        bare.push(request("POST", "/r", None, &body));
    }
    Ok((Rc::new(salus), Rc::new(bare)))
}

async fn puts(lab: &mut Lab, below: &str, ids: &[String], number: &mut usize, count: usize) -> Fallible<Requests> {
    let token = lab.token().await?.to_owned();
    let mut requests = Vec::with_capacity(count);
    for index in 0..count {
        *number += 1;
        let id = &ids[index % ids.len()];
        let body = observation(&lab.patients[*number % lab.patients.len()], *number, &format!("\"id\":\"{id}\","));
        requests.push(request("PUT", &format!("{below}/{id}"), Some(&token), &body));
    }
    Ok(Rc::new(requests))
}

/// A laboratory result as a laboratory would send it, about a kilobyte.
pub fn observation(patient: &str, number: usize, id: &str) -> String {
    const CODES: [(&str, &str, &str, f64); 5] = [
        ("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 1.1),
        ("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 104.0),
        ("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 4.1),
        ("2951-2", "Sodium [Moles/volume] in Serum or Plasma", "mmol/L", 139.0),
        ("6690-2", "Leukocytes [#/volume] in Blood by Automated count", "10*3/uL", 7.6),
    ];
    let (code, display, unit, usual) = CODES[number % CODES.len()];
    let (day, hour, minute) = (number / 1440 % 28 + 1, number / 60 % 24, number % 60);
    let value = usual * (0.8 + (number % 41) as f64 / 100.0);
    format!(
        "{{\"resourceType\":\"Observation\",{id}\"identifier\":[{{\"system\":\"urn:oid:2.16.840.1.113883.3.72.5.9\",\
         \"value\":\"bench-{number}\"}}],\"status\":\"final\",\"category\":[{{\"coding\":[{{\"system\":\
         \"http://terminology.hl7.org/CodeSystem/observation-category\",\"code\":\"laboratory\",\"display\":\
         \"Laboratory\"}}]}}],\"code\":{{\"coding\":[{{\"system\":\"http://loinc.org\",\"code\":\"{code}\",\"display\":\
         \"{display}\"}}],\"text\":\"{display}\"}},\"subject\":{{\"reference\":\"Patient/{patient}\"}},\
         \"effectiveDateTime\":\"2025-03-{day:02}T{hour:02}:{minute:02}:00+01:00\",\
         \"issued\":\"2025-03-{day:02}T{hour:02}:{minute:02}:30.000+01:00\",\
         \"valueQuantity\":{{\"value\":{value:.2},\"unit\":\"{unit}\",\"system\":\"http://unitsofmeasure.org\",\
         \"code\":\"{unit}\"}},\"interpretation\":[{{\"coding\":[{{\"system\":\
         \"http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation\",\"code\":\"N\",\"display\":\
         \"Normal\"}}]}}],\"referenceRange\":[{{\"low\":{{\"value\":{:.2},\"unit\":\"{unit}\"}},\"high\":{{\"value\":\
         {:.2},\"unit\":\"{unit}\"}}}}],\"note\":[{{\"text\":\"Measured on the central analyser, run {number}.\"}}]}}",
        usual * 0.7,
        usual * 1.3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_json_of_about_a_kilobyte() {
        let text = observation("p", 7, "\"id\":\"x\",");
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["id"], "x");
        assert!((900..1400).contains(&text.len()), "{}", text.len());
        assert_ne!(text, observation("p", 8, "\"id\":\"x\","));
    }
}
