//! Reference parameters, chains and `_has` (R4 search.html#reference, #chaining, #has; cases A10 and A11).

#![allow(clippy::cloned_ref_to_slice_refs, reason = "an array of ids reads as what is expected")]

use serde_json::{Value, json};

use crate::{Client, Salus};

fn observation(client: &Client, subject: Value, code: &str) -> String {
    client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": code}]},
        "subject": subject}))
}

fn reference(kind: &str, id: &str) -> Value {
    json!({"reference": format!("{kind}/{id}")})
}

#[test]
fn references_in_every_form() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let own = observation(&client, reference("Patient", &patient), "a");
    let absolute = observation(&client, json!({"reference": format!("{}/Patient/{patient}", salus.base())}), "a");
    let foreign_url = format!("http://elsewhere.test/fhir/Patient/{patient}");
    let foreign = observation(&client, json!({"reference": foreign_url}), "a");
    let mark = format!("id-of-{patient}");
    let logical = observation(&client, json!({"identifier": {"system": "http://i.test", "value": mark}}), "a");
    let find = |query: &str| {
        let mut ids = client.ids(&format!("Observation?{query}"));
        ids.sort();
        ids
    };
    let mut ours = vec![own, absolute];
    ours.sort();
    for query in [
        format!("subject=Patient/{patient}"),
        format!("subject={patient}"),
        format!("patient={patient}"),
        format!("patient=Patient/{patient}"),
        format!("subject:Patient={patient}"),
        format!("subject={}/Patient/{patient}", salus.base()),
        format!("subject=Patient/{patient}&code=a"),
        format!("subject=Patient/{patient},Patient/nobody"),
    ] {
        assert_eq!(find(&query), ours, "{query}");
    }
    assert_eq!(find(&format!("subject={foreign_url}")), [foreign]);
    assert_eq!(find(&format!("subject:identifier=http://i.test|{mark}")), [logical.clone()]);
    assert_eq!(find(&format!("subject:identifier={mark}")), [logical]);
    for query in [
        format!("subject=Group/{patient}"),
        format!("subject:Group={patient}"),
        format!("subject:identifier=http://other.test|{mark}"),
        format!("patient:identifier={mark}"),
        format!("patient=Group/{patient}"),
    ] {
        assert_eq!(find(&query), Vec::<String>::new(), "{query}");
    }
    for bad in ["subject=no%20reference%20", "subject:Nonsense=1", "subject:Patient=Group/1", "subject:contains=x"] {
        assert_eq!(client.get(&format!("Observation?{bad}")).status, 400, "{bad}");
    }
}

/// A11: chains know the types that an expression narrows to, and go to every other that has the parameter.
#[test]
fn chains_follow_what_can_be_followed() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient", "name": [{"family": "Chainpeter"}],
        "identifier": [{"system": "http://chain.test", "value": "1"}]}));
    let location = client.create(&json!({"resourceType": "Location", "name": "Chainpeter House"}));
    let document = client.create(&json!({"resourceType": "DocumentReference", "status": "current",
        "subject": reference("Patient", &patient), "content": [{"attachment": {"url": "http://x.test/1"}}]}));
    let report = |subject: Value| {
        client.create(&json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"},
            "subject": subject}))
    };
    let of_patient = report(reference("Patient", &patient));
    let of_location = report(reference("Location", &location));
    assert_eq!(client.ids("DocumentReference?patient.identifier=http://chain.test|1"), [document]);
    let mut everywhere = client.ids("DiagnosticReport?subject.name=chainpeter");
    everywhere.sort();
    let mut both = vec![of_patient.clone(), of_location];
    both.sort();
    assert_eq!(everywhere, both);
    assert_eq!(client.ids("DiagnosticReport?subject:Patient.name=chainpeter"), [of_patient]);
    assert_eq!(client.ids("DiagnosticReport?subject.name=nobody-of-that-name"), Vec::<String>::new());
    assert_eq!(client.get("DiagnosticReport?subject.name=nobody-of-that-name").json()["total"], 0);
}

#[test]
fn chains_of_several_steps() {
    let client = Salus::shared().client("system/*.cruds");
    let above = client.create(&json!({"resourceType": "Organization", "name": "Chain Trust"}));
    let below = client.create(&json!({"resourceType": "Organization", "name": "Chain Clinic",
        "partOf": reference("Organization", &above)}));
    let patient =
        client.create(&json!({"resourceType": "Patient", "managingOrganization": reference("Organization", &below)}));
    let observation = observation(&client, reference("Patient", &patient), "a");
    for query in [
        "subject:Patient.organization.name=chain%20clinic",
        "patient.organization.partof.name=chain%20trust",
        "patient.organization.partof:Organization.name:exact=Chain%20Trust",
    ] {
        assert_eq!(client.ids(&format!("Observation?{query}")), [observation.clone()], "{query}");
    }
    assert_eq!(client.ids("Observation?patient.organization.partof.name=chain%20clinic"), Vec::<String>::new());
}

/// A10: `_has` with `_id`, ending in a chain, after a chain, several of them.
#[test]
fn has_nests_both_ways() {
    let client = Salus::shared().client("system/*.cruds");
    let practitioner = client.create(&json!({"resourceType": "Practitioner"}));
    let patient = client.create(&json!({"resourceType": "Patient",
        "generalPractitioner": [reference("Practitioner", &practitioner)]}));
    let other = client.create(&json!({"resourceType": "Patient"}));
    let first = observation(&client, reference("Patient", &patient), "has-a");
    let second = observation(&client, reference("Patient", &patient), "has-b");
    observation(&client, reference("Patient", &other), "has-a");
    let payor = client.create(&json!({"resourceType": "Organization", "name": "Has Payor"}));
    let coverage = client.create(&json!({"resourceType": "Coverage", "status": "active",
        "beneficiary": reference("Patient", &patient), "payor": [reference("Organization", &payor)]}));
    client.create(&json!({"resourceType": "ExplanationOfBenefit", "status": "active", "use": "claim",
        "type": {"text": "x"}, "patient": reference("Patient", &patient), "created": "2020-01-01",
        "insurer": reference("Organization", &payor), "provider": reference("Practitioner", &practitioner),
        "outcome": "complete", "insurance": [{"focal": true, "coverage": reference("Coverage", &coverage)}],
        "careTeam": [{"sequence": 1, "provider": reference("Practitioner", &practitioner)}]}));
    let list = client.create(&json!({"resourceType": "List", "status": "current", "mode": "working",
        "entry": [{"item": reference("Organization", &payor)}]}));
    for (search, expected) in [
        (format!("Patient?_has:Observation:subject:_id={first}"), &patient),
        (format!("Patient?_has:Observation:patient:_id={first}"), &patient),
        ("Patient?_has:Observation:patient:code=has-b".to_owned(), &patient),
        ("Patient?_has:Observation:patient:code=has-a&_has:Observation:patient:code=has-b".to_owned(), &patient),
        (format!("Patient?_has:Observation:patient:code=has-a&general-practitioner={practitioner}"), &patient),
        (format!("Observation?patient._has:Observation:patient:_id={second}&code=has-a"), &first),
        (format!("Practitioner?_has:Patient:general-practitioner:_has:Observation:patient:_id={first}"), &practitioner),
        ("Practitioner?_has:ExplanationOfBenefit:care-team:coverage.payor.name=has%20payor".to_owned(), &practitioner),
        (
            format!("Practitioner?_has:ExplanationOfBenefit:care-team:coverage.payor._has:List:item:_id={list}"),
            &practitioner,
        ),
        (format!("Organization?_has:List:item:_id={list}"), &payor),
    ] {
        assert_eq!(client.ids(&search), [expected.clone()], "{search}");
    }
    for search in [
        "Patient?_has:Observation:patient:_id=nothing".to_owned(),
        format!("Patient?_has:Observation:performer:_id={first}"),
        format!("Patient?_id={other}&_has:Observation:patient:code=has-b"),
    ] {
        assert_eq!(client.ids(&search), Vec::<String>::new(), "{search}");
    }
    for bad in ["_has:Observation:code:_id=1", "_has:Observation:patient:code:above=1"] {
        assert_eq!(client.get(&format!("Patient?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn chains_through_very_many_types_ask_for_names() {
    let client = Salus::shared().client("system/*.cruds");
    let answer = client.get("Composition?subject.subject.subject._id=x");
    assert_eq!(answer.status, 400, "{}", answer.text);
    assert!(answer.text.contains("name them"), "{}", answer.text);
    assert_eq!(client.get("Composition?subject.name=x").status, 200);
}

#[test]
fn searches_of_very_many_values_are_refused() {
    let client = Salus::shared().client("system/*.cruds");
    let many = vec!["1"; 3000].join(",");
    for search in [format!("Patient?_id={many}"), format!("AuditEvent?_id={many}")] {
        assert_eq!(client.get(&search).status, 400);
    }
}
