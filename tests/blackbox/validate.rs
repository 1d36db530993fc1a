//! `$validate` (R4 resource-operation-validate.html).

use serde_json::{Value, json};

use crate::{Answer, Salus};

fn errors(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let outcome = answer.json();
    assert_eq!(outcome["resourceType"], "OperationOutcome");
    let issues = outcome["issue"].as_array().unwrap().iter();
    issues.filter(|issue| issue["severity"] == "error").cloned().collect()
}

#[test]
fn faults_are_told_and_nothing_is_stored() {
    let client = Salus::shared().client("system/*.cruds");
    let mark = uuid::Uuid::new_v4().to_string();
    let patient = json!({"resourceType": "Patient", "identifier": [{"value": mark}]});
    assert!(errors(&client.post("Patient/$validate", &patient.to_string())).is_empty());
    assert!(client.ids(&format!("Patient?identifier={mark}")).is_empty(), "nothing is stored");
    let wrong = json!({"resourceType": "Patient", "gender": "unheard-of", "birthDate": "yesterday"});
    for body in [
        wrong.to_string(),
        json!({"resourceType": "Parameters", "parameter": [{"name": "resource", "resource": wrong},
            {"name": "mode", "valueCode": "create"}]})
        .to_string(),
    ] {
        assert_eq!(errors(&client.post("Patient/$validate", &body)).len(), 2, "{body}");
    }
    let other = errors(&client.post("Observation/$validate", &patient.to_string()));
    assert!(!other.is_empty(), "a Patient is no Observation");
    assert_eq!(errors(&client.post("Patient/$validate", "{\"resourceType\":\"Patient\",")).len(), 1, "no JSON");
}

#[test]
fn what_was_not_checked_is_said() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = json!({"resourceType": "Patient", "meta": {"profile": ["http://example.org/declared"]}});
    let answer = client.post("Patient/$validate?profile=http://example.org/asked", &patient.to_string());
    assert!(errors(&answer).is_empty());
    for said in ["http://example.org/declared", "http://example.org/asked", "not checked: invariants"] {
        assert!(answer.text.contains(said), "{said}: {}", answer.text);
    }
}

#[test]
fn modes_of_an_instance_heed_what_the_caller_may_do() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient", "active": true}));
    let path = format!("Patient/{id}/$validate");
    let same = json!({"resourceType": "Patient", "id": id}).to_string();
    assert!(errors(&client.post(&format!("{path}?mode=update"), &same)).is_empty());
    let another = json!({"resourceType": "Patient", "id": "another"}).to_string();
    assert_eq!(errors(&client.post(&format!("{path}?mode=update"), &another)).len(), 1);
    assert!(errors(&client.get(&format!("{path}?mode=delete"))).is_empty());
    assert!(errors(&client.get(&path)).is_empty(), "what is stored");
    let reader = salus.client("system/Patient.rs");
    for mode in ["update", "delete", "create"] {
        let found = errors(&reader.post(&format!("{path}?mode={mode}"), &same));
        assert_eq!(found.len(), 1, "{mode}");
        assert_eq!(found[0]["code"], "forbidden");
    }
    // May read all, change those that are not active.
    let narrow = salus.client("system/Patient.r system/Patient.d?active=false");
    assert_eq!(errors(&narrow.get(&format!("{path}?mode=delete"))).len(), 1);
    // What may not be seen is not there.
    let blind = salus.client("system/Patient.r?active=false");
    assert_eq!(blind.get(&path).status, 404);
    assert_eq!(blind.get("Patient/nobody/$validate").status, 404);
    assert_eq!(client.get(&format!("Patient/{id}")).json()["meta"]["versionId"], "1");
}

#[test]
fn bad_requests_are_told_and_good_ones_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = json!({"resourceType": "Patient"}).to_string();
    for query in ["mode=update", "mode=delete", "mode=dance", "colour=red"] {
        assert_eq!(client.post(&format!("Patient/$validate?{query}"), &patient).status, 400, "{query}");
    }
    assert_eq!(client.get("Patient/$validate").status, 400, "nothing to validate");
    assert_eq!(Salus::shared().client("system/Observation.rs").post("Patient/$validate", &patient).status, 403);
    let headers = [("x-request-id", "validate-audit")];
    assert_eq!(client.send_with("POST", "Patient/$validate", &patient, &headers).status, 200);
    assert_eq!(client.audited(&client, "validate-audit").len(), 1);
}
