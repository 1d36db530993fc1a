//! `$docref` on DocumentReference (US Core 6.1.0 OperationDefinition-docref.html).

use serde_json::{Value, json};

use crate::{Client, Salus};

struct World {
    patient: String,
    /// Two summaries, of 2020 and 2021; a note of 2021; a superseded summary of 2022.
    documents: Vec<String>,
}

fn world(client: &Client) -> World {
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let document = |status: &str, code: &str, year: u32, care: bool| {
        let mut document = json!({"resourceType": "DocumentReference", "status": status,
            "type": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "subject": {"reference": format!("Patient/{patient}")}, "date": format!("{year}-07-01T00:00:00Z"),
            "content": [{"attachment": {"contentType": "text/plain", "url": "Binary/x"}}]});
        if care {
            document["context"] = json!({"period": {"start": format!("{year}-01-01"), "end": format!("{year}-02-01")}});
        }
        client.create(&document)
    };
    let documents = vec![
        document("current", "34133-9", 2020, true),
        document("current", "34133-9", 2021, true),
        document("current", "11506-3", 2021, false),
        document("superseded", "34133-9", 2022, true),
    ];
    World { patient, documents }
}

fn found(client: &Client, path: &str) -> Vec<String> {
    let mut ids = client.ids(path);
    ids.sort();
    ids
}

impl World {
    fn named(&self, positions: &[usize]) -> Vec<String> {
        let mut ids: Vec<String> = positions.iter().map(|&position| self.documents[position].clone()).collect();
        ids.sort();
        ids
    }
}

#[test]
fn documents_are_found_by_care_dates_and_type() {
    let client = Salus::shared().client("system/*.cruds");
    let (own, _other) = (world(&client), world(&client));
    let path = format!("DocumentReference/$docref?patient={}", own.patient);
    assert_eq!(found(&client, &path), own.named(&[1, 2]), "the newest of each type");
    assert_eq!(found(&client, &format!("{path}&type=http://loinc.org|34133-9")), own.named(&[1]));
    assert_eq!(found(&client, &format!("{path}&start=2020-01-15")), own.named(&[0, 1, 2]));
    assert_eq!(found(&client, &format!("{path}&start=2020-03-01")), own.named(&[1, 2]));
    assert_eq!(found(&client, &format!("{path}&end=2020-12-31")), own.named(&[0]));
    assert_eq!(found(&client, &format!("{path}&start=2021-03-01&end=2021-12-31")), own.named(&[2]), "by its date");
    let posted = json!({"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueId": own.patient},
        {"name": "type", "valueCoding": {"system": "http://loinc.org", "code": "11506-3"}}]});
    let answer = client.post("DocumentReference/$docref", &posted.to_string());
    assert_eq!(answer.json()["entry"][0]["resource"]["id"], json!(own.documents[2]), "{}", answer.text);
    // Page by page.
    let mut page = client.get(&format!("{path}&start=2020-01-01&_count=2"));
    let mut ids: Vec<Value> = Vec::new();
    loop {
        let bundle = page.json();
        ids.extend(bundle["entry"].as_array().unwrap().iter().map(|entry| entry["resource"]["id"].clone()));
        let next = bundle["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").cloned();
        let Some(next) = next else { break };
        page = client.get(next["url"].as_str().unwrap());
    }
    assert_eq!(ids.len(), 3);
}

#[test]
fn nothing_is_made_on_demand_and_that_is_said() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("DocumentReference/$docref?patient={}", own.patient);
    assert!(client.ids(&format!("{path}&on-demand=true")).is_empty());
    let answer = client.get(&format!("{path}&on-demand=true"));
    assert_eq!(answer.json()["entry"][0]["search"]["mode"], "outcome");
    let answer = client.get(&format!("{path}&profile=http://example.org/p"));
    assert!(answer.text.contains("'profile' was left out"), "{}", answer.text);
    assert!(client.ids("DocumentReference/$docref?patient=nobody").is_empty());
}

#[test]
fn what_may_not_be_seen_is_not_found() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let own = world(&client);
    let path = format!("DocumentReference/$docref?patient={}&start=2020-01-01", own.patient);
    assert_eq!(salus.client("system/Patient.rs").get(&path).status, 403);
    let narrow = salus.client("system/DocumentReference.rs?type=http://loinc.org|11506-3");
    assert_eq!(found(&narrow, &path), own.named(&[2]));
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": format!("Patient/{}", own.patient)},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny", "data": [{"meaning": "instance",
            "reference": {"reference": format!("DocumentReference/{}", own.documents[1])}}]}]}}));
    assert_eq!(found(&client, &path), own.named(&[0, 2]));
}

#[test]
fn bad_requests_are_told_and_good_ones_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("DocumentReference/$docref?patient={}", own.patient);
    for query in ["start=yesterday", "end=x", "_count=0", "colour=red", "on-demand=perhaps", "patient=b"] {
        assert_eq!(client.get(&format!("{path}&{query}")).status, 400, "{query}");
    }
    assert_eq!(client.get("DocumentReference/$docref").status, 400);
    assert_eq!(client.get("DocumentReference/$docref?patient=a%7Cb").status, 400);
    assert_eq!(client.get("Patient/$docref?patient=a").status, 404);
    client.get_with(&path, &[("x-request-id", "docref-audit")]);
    let events = client.audited(&client, "docref-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert!(events[0].to_string().contains(&format!("Patient/{}", own.patient)), "{}", events[0]);
}
