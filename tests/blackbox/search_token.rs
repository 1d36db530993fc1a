//! Token parameters (R4 search.html#token; cases A6, A7 and A9).

#![allow(clippy::cloned_ref_to_slice_refs, reason = "an array of ids reads as what is expected")]

use serde_json::{Value, json};

use crate::{Client, Salus};

fn condition(client: &Client, patient: &str, coding: Value) -> String {
    client.create(&json!({
        "resourceType": "Condition", "subject": {"reference": format!("Patient/{patient}")},
        "code": {"coding": coding}}))
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

/// A6: no system, any system, this system, any code of it.
#[test]
fn systems_are_told_from_their_absence() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let bare = condition(&client, &patient, json!([{"code": "X"}]));
    let one = condition(&client, &patient, json!([{"system": "http://s.test/1", "code": "X"}]));
    let two = condition(&client, &patient, json!([{"system": "http://s.test/2", "code": "X"}]));
    let find = |query: &str| sorted(client.ids(&format!("Condition?patient={patient}&code={query}")));
    assert_eq!(find("X"), sorted(vec![bare.clone(), one.clone(), two.clone()]));
    assert_eq!(find("|X"), [bare.clone()]);
    assert_eq!(find("http://s.test/1|X"), [one.clone()]);
    assert_eq!(find("http://s.test/1|"), [one.clone()]);
    assert_eq!(find("http://s.test/3|X"), Vec::<String>::new());
    assert_eq!(find("http://s.test/1|X,http://s.test/2|X"), sorted(vec![one.clone(), two.clone()]));
    assert_eq!(find("http://s.test/1|X,Y"), [one.clone()]);
    assert_eq!(find("x"), Vec::<String>::new(), "codes are told apart by case");
    // The same under `:not`, at the end of chains, and of identifiers.
    let not = |query: &str| sorted(client.ids(&format!("Condition?patient={patient}&code:not={query}")));
    assert_eq!(not("|X"), sorted(vec![one.clone(), two.clone()]));
    assert_eq!(not("http://s.test/1|"), sorted(vec![bare.clone(), two.clone()]));
    let patients = |query: &str| client.ids(&format!("Patient?_id={patient}&{query}")).len();
    assert_eq!(patients("_has:Condition:patient:code=|X"), 1);
    assert_eq!(patients("_has:Condition:patient:code=http://s.test/2|"), 1);
    assert_eq!(patients("_has:Condition:patient:code=|Y"), 0);
    assert_eq!(patients("_has:Condition:patient:code=http://s.test/3|"), 0);
    let marked = client.create(&json!({"resourceType": "Patient", "identifier": [
        {"value": "token-bare"}, {"system": "http://s.test/1", "value": "token-of-one"}]}));
    for (query, found) in [
        ("|token-bare", 1),
        ("|token-of-one", 0),
        ("http://s.test/1|token-of-one", 1),
        ("http://s.test/1|token-bare", 0),
        ("http://s.test/1|", 1),
        ("http://s.test/2|", 0),
    ] {
        assert_eq!(client.ids(&format!("Patient?_id={marked}&identifier={query}")).len(), found, "{query}");
    }
    // The same without a patient: other walks of the index.
    let everywhere = client.ids("Condition?code=http://s.test/1|X,http://s.test/2|X&_count=1000");
    assert!(everywhere.contains(&two) && !everywhere.contains(&bare));
}

/// A7: the system of a `code` element is the one its binding implies.
#[test]
fn codes_have_the_system_of_their_binding() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient", "gender": "female", "active": true}));
    let finds = |query: &str| client.ids(&format!("Patient?_id={id}&{query}")).len();
    assert_eq!(finds("gender=http://hl7.org/fhir/administrative-gender|female"), 1);
    assert_eq!(finds("gender=female"), 1);
    assert_eq!(finds("gender=http://other.test|female"), 0);
    assert_eq!(finds("gender=|female"), 0);
    assert_eq!(finds("active=true"), 1);
    assert_eq!(finds("active=http://terminology.hl7.org/CodeSystem/special-values|true"), 1);
    assert_eq!(finds("active=false"), 0);
    assert_eq!(finds("gender:not=http://hl7.org/fhir/administrative-gender|female"), 0);
    assert_eq!(finds("gender:not=http://other.test|female"), 1);
    // Of other types, and at the end of chains.
    let encounter = client.create(&json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": format!("Patient/{id}")}}));
    let encounters = |query: &str| client.ids(&format!("Encounter?_id={encounter}&{query}")).len();
    assert_eq!(encounters("status=http://hl7.org/fhir/encounter-status|finished"), 1);
    assert_eq!(encounters("status=http://hl7.org/fhir/observation-status|finished"), 0);
    assert_eq!(encounters("subject:Patient.gender=http://hl7.org/fhir/administrative-gender|female"), 1);
    assert_eq!(encounters("subject:Patient.gender=http://other.test|female"), 0);
    assert_eq!(finds("_has:Encounter:subject:status=http://hl7.org/fhir/encounter-status|finished"), 1);
    assert_eq!(finds("_has:Encounter:subject:status=http://other.test|finished"), 0);
}

/// A9: `:not` is about the resource, not about one of its codings.
#[test]
fn not_means_that_none_is() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient", "gender": "male"}));
    let none = client.create(&json!({"resourceType": "Patient"}));
    let both = condition(&client, &patient, json!([{"code": "A"}, {"code": "B"}]));
    let other = condition(&client, &patient, json!([{"code": "B"}]));
    let uncoded = client.create(&json!({
        "resourceType": "Condition", "subject": {"reference": format!("Patient/{patient}")}}));
    let find = |query: &str| sorted(client.ids(&format!("Condition?patient={patient}&{query}")));
    assert_eq!(find("code:not=A"), sorted(vec![other.clone(), uncoded.clone()]));
    assert_eq!(find("code:not=A,B"), [uncoded]);
    assert_eq!(find("code:not=A&code=B"), [other.clone()]);
    assert_eq!(client.ids(&format!("Patient?_id={none}&gender:not=male")), [none.clone()]);
    assert_eq!(client.ids(&format!("Patient?_id={patient}&gender:not=male")), Vec::<String>::new());
    // Inside chains too.
    assert_eq!(find("patient.gender:not=male"), Vec::<String>::new());
    assert_eq!(find("patient.gender:not=female").len(), 3);
    assert_eq!(find("patient.gender:not=female,male"), Vec::<String>::new());
    let of_none = condition(&client, &none, json!([{"code": "A"}]));
    assert_eq!(client.ids(&format!("Condition?patient={none}&patient.gender:not=male")), [of_none], "it has none");
    assert_eq!(client.ids(&format!("Patient?_id={none}&_has:Condition:patient:code:not=A")), Vec::<String>::new());
    assert_eq!(client.ids(&format!("Patient?_id={none}&_has:Condition:patient:code:not=B,C")), [none.clone()]);
    assert_eq!(client.ids(&format!("Patient?_id={patient}&_has:Condition:patient:code:not=A")), [patient.clone()]);
    let _ = both;
}

#[test]
fn missing_and_of_type() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient", "identifier": [
        {"type": {"coding": [{"system": "http://t.test", "code": "MR"}]}, "system": "http://i.test", "value": "v,1"}]}));
    let finds = |query: &str| client.ids(&format!("Patient?_id={id}&{query}")).len();
    assert_eq!(finds("identifier:missing=false"), 1);
    assert_eq!(finds("identifier:missing=true"), 0);
    assert_eq!(finds("gender:missing=true"), 1);
    assert_eq!(finds(r"identifier:of-type=http://t.test|MR|v\,1"), 1);
    assert_eq!(finds("identifier:of-type=http://t.test|DL|v"), 0);
    assert_eq!(finds(r"identifier=http://i.test|v\,1"), 1, "an escaped comma is part of the value");
    assert_eq!(finds("identifier=http://i.test|v,1"), 0, "a bare one separates values");
    for bad in ["gender:missing=perhaps", "identifier:of-type=MR|v", "gender=|", "gender:text=x", "gender:exact=male"] {
        assert_eq!(client.get(&format!("Patient?{bad}")).status, 400, "{bad}");
    }
}
