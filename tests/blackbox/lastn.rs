//! `$lastn` on Observation (R4 observation-operation-lastn.html).

use serde_json::{Value, json};

use crate::{Client, Salus};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";

/// An Observation with these codes on a day of March 2021.
fn observed(client: &Client, patient: &str, codes: &[&str], day: u32) -> String {
    let codings: Vec<Value> = codes.iter().map(|code| json!({"system": "urn:test", "code": code})).collect();
    client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"coding": codings},
        "category": [{"coding": [{"system": CATEGORY, "code": "vital-signs"}]}],
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": format!("2021-03-{day:02}T00:00:00Z")}))
}

#[test]
fn the_newest_of_each_code_with_ties() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let a: Vec<String> = [1, 2, 3, 3].iter().map(|&day| observed(&client, &patient, &["a"], day)).collect();
    let b = [4, 5].map(|day| observed(&client, &patient, &["b"], day));
    let path = format!("Observation/$lastn?patient={patient}&category=vital-signs");
    let found = client.ids(&path);
    assert_eq!(found[0], b[1], "the newest first");
    let mut ties = found[1..].to_vec();
    ties.sort();
    let mut expected = a[2..].to_vec();
    expected.sort();
    assert_eq!(ties, expected, "both of the third");
    assert_eq!(client.ids(&format!("{path}&max=2")).len(), 4);
    assert_eq!(
        client.ids(&format!("{path}&max=3")),
        [&b[1], &b[0]].into_iter().chain([&found[1], &found[2], &a[1]]).cloned().collect::<Vec<_>>()
    );
    assert_eq!(client.ids(&format!("Observation/$lastn?subject=Patient/{patient}&code=urn:test|a&max=1")).len(), 2);
    let posted = json!({"resourceType": "Parameters", "parameter": [{"name": "max", "valuePositiveInt": 1},
        {"name": "patient", "valueReference": {"reference": format!("Patient/{patient}")}},
        {"name": "code", "valueCoding": {"system": "urn:test", "code": "b"}}]});
    let answer = client.post("Observation/$lastn", &posted.to_string());
    assert_eq!(answer.json()["entry"][0]["resource"]["id"], json!(b[1]), "{}", answer.text);
}

#[test]
fn codes_that_any_observation_joins_are_one_group() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    observed(&client, &patient, &["c"], 1);
    // The oldest of all says that a and b are the same, and so does the next of b and c.
    observed(&client, &patient, &["a", "b"], 1);
    observed(&client, &patient, &["b", "c"], 2);
    observed(&client, &patient, &["a"], 3);
    let newest = observed(&client, &patient, &["b"], 4);
    let alone = observed(&client, &patient, &["d"], 2);
    let path = format!("Observation/$lastn?patient={patient}&category=vital-signs");
    assert_eq!(client.ids(&path), [newest, alone]);
    assert_eq!(client.ids(&format!("{path}&max=3")).len(), 4);
}

#[test]
fn what_may_not_be_seen_does_not_count() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let old = observed(&client, &patient, &["a"], 1);
    let new = observed(&client, &patient, &["a"], 2);
    let path = format!("Observation/$lastn?patient={patient}&category=vital-signs");
    assert_eq!(salus.client("system/Patient.rs").get(&path).status, 403);
    let narrow = salus.client("system/Observation.rs?date=lt2021-03-02");
    assert_eq!(narrow.ids(&path), std::slice::from_ref(&old), "the newest that it may see");
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny", "data": [{"meaning": "instance",
            "reference": {"reference": format!("Observation/{new}")}}]}]}}));
    assert_eq!(client.ids(&path), [old]);
}

#[test]
fn bad_requests_are_told_and_good_ones_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let path = format!("Observation/$lastn?patient={patient}&category=vital-signs");
    for query in ["max=0", "max=x", "_count=3", "_sort=date", "date=yesterday"] {
        assert_eq!(client.get(&format!("{path}&{query}")).status, 400, "{query}");
    }
    assert_eq!(client.get(&format!("Observation/$lastn?patient={patient}")).status, 400);
    assert_eq!(client.get("Observation/$lastn?category=vital-signs").status, 400);
    assert_eq!(client.get("Patient/$lastn").status, 404);
    let strict = client.get_with(&format!("{path}&colour=red"), &[("prefer", "handling=strict")]);
    assert_eq!(strict.status, 400);
    assert!(client.get(&format!("{path}&colour=red")).text.contains("'colour' was left out"));
    client.get_with(&path, &[("x-request-id", "lastn-audit")]);
    let events = client.audited(&client, "lastn-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert!(events[0].to_string().contains(&format!("Patient/{patient}")), "an empty answer tells something too");
}

/// The search of `$lastn` is the search of its type, sets of codes included.
#[test]
fn codes_may_be_given_as_a_set() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let newest = observed(&client, &patient, &["in-set"], 2);
    observed(&client, &patient, &["in-set"], 1);
    observed(&client, &patient, &["not-in-set"], 3);
    let set = client.create(&json!({"resourceType": "ValueSet", "status": "active", "url": "urn:test:lastn-set",
        "compose": {"include": [{"system": "urn:test", "concept": [{"code": "in-set"}]}]}}));
    let path = format!("Observation/$lastn?patient={patient}");
    for set in [format!("ValueSet/{set}"), "urn:test:lastn-set".to_owned()] {
        assert_eq!(client.ids(&format!("{path}&code:in={set}")), std::slice::from_ref(&newest), "{set}");
    }
    let unknown = client.get(&format!("{path}&code:in=ValueSet/lastn-unheard-of"));
    assert_eq!((unknown.status, unknown.issue().as_str()), (400, "invalid"));
    assert!(unknown.text.contains("not known here"), "{}", unknown.text);
}
