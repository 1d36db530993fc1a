//! `$meta`, `$meta-add` and `$meta-delete` (R4 resource-operation-meta.html and its neighbours).

use serde_json::{Value, json};

use crate::{Client, Salus};

const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";

fn parameters(meta: Value) -> String {
    json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}).to_string()
}

fn tag(code: &str) -> Value {
    json!({"system": "urn:test:tags", "code": code})
}

fn observation(client: &Client, tags: Value) -> String {
    let id = client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "meta": {"tag": tags}}));
    format!("Observation/{id}")
}

#[test]
fn lists_are_sets_and_each_change_is_a_version() {
    let client = Salus::shared().client("system/*.cruds");
    let path = observation(&client, json!([tag("a")]));
    let more = json!({"tag": [{"system": "urn:test:tags", "code": "a", "display": "again"}, tag("b")],
        "profile": ["http://example.org/p"], "versionId": "99"});
    let answer = client.post(&format!("{path}/$meta-add"), &parameters(more.clone()));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let meta = answer.json()["parameter"][0]["valueMeta"].clone();
    assert_eq!(meta["tag"], json!([tag("a"), tag("b")]));
    assert_eq!(meta["profile"], json!(["http://example.org/p"]));
    assert_eq!(meta["versionId"], "2");
    assert_eq!(client.get(&format!("{path}/_history/1")).json()["meta"]["tag"], json!([tag("a")]), "the past stays");
    // The same once more changes nothing.
    let again = client.post(&format!("{path}/$meta-add"), &parameters(more));
    assert_eq!(again.json()["parameter"][0]["valueMeta"]["versionId"], "2", "{}", again.text);
    // It is found by what was added.
    assert_eq!(client.ids(&format!("Observation?_id={}&_tag=urn:test:tags|b", &path[12..])).len(), 1);
    let gone = json!({"tag": [tag("a"), tag("b"), tag("never")]});
    let answer = client.post(&format!("{path}/$meta-delete"), &parameters(gone));
    let meta = answer.json()["parameter"][0]["valueMeta"].clone();
    assert!(meta.get("tag").is_none(), "{meta}");
    assert_eq!(meta["versionId"], "3");
    let shown = client.get(&format!("{path}/$meta"));
    assert_eq!(shown.json()["parameter"][0]["valueMeta"], meta, "{}", shown.text);
}

#[test]
fn what_is_in_use_is_what_the_caller_may_see() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let mine = uuid::Uuid::new_v4().to_string();
    observation(&client, json!([tag(&mine)]));
    for path in ["Observation/$meta", "$meta"] {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(answer.text.contains(&mine), "{path}");
    }
    assert!(!client.get("Patient/$meta").text.contains(&mine));
    let others = salus.client("system/Patient.rs").get("$meta");
    assert_eq!(others.status, 200, "{}", others.text);
    assert!(!others.text.contains(&mine), "tags of what may not be seen");
    let some = salus.client("system/Observation.rs?status=amended").get("Observation/$meta");
    assert!(!some.text.contains(&mine), "{}", some.text);
}

#[test]
fn changing_labels_takes_the_permission_to_update_and_reaches_no_further() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let path = observation(&client, json!([tag("a")]));
    let label = parameters(json!({"security": [{"system": CONFIDENTIALITY, "code": "R"}]}));
    assert_eq!(salus.client("system/*.rs").post(&format!("{path}/$meta-add"), &label).status, 403);
    assert_eq!(salus.client("system/Patient.u").post(&format!("{path}/$meta-add"), &label).status, 403);
    // What a scope does not reach does not exist, also where the change would bring it within reach.
    let narrow = salus.client("system/Observation.u?_tag=urn:test:tags|b");
    for operation in ["$meta-add", "$meta-delete"] {
        let answer = narrow.post(&format!("{path}/{operation}"), &parameters(json!({"tag": [tag("b")]})));
        assert_eq!(answer.status, 404, "{}", answer.text);
    }
    // Nor may it be moved out of reach.
    let within = salus.client("system/Observation.u?_tag=urn:test:tags|a");
    let answer = within.post(&format!("{path}/$meta-delete"), &parameters(json!({"tag": [tag("a")]})));
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert_eq!(client.get(&path).json()["meta"]["versionId"], "1");
    // Who may update but not read is not shown the result.
    let answer = salus.client("system/Observation.u").post(&format!("{path}/$meta-add"), &label);
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    assert_eq!(client.get(&path).json()["meta"]["security"][0]["code"], "R");
}

#[test]
fn a_consent_hides_what_is_labelled_so_at_once() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let subject = json!({"reference": format!("Patient/{patient}")});
    let id = client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": subject}));
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": subject,
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny",
            "securityLabel": [{"system": CONFIDENTIALITY, "code": "R"}]}]}}));
    let path = format!("Observation/{id}");
    assert_eq!(client.get(&path).status, 200);
    let label = parameters(json!({"security": [{"system": CONFIDENTIALITY, "code": "R"}]}));
    assert_eq!(client.post(&format!("{path}/$meta-add"), &label).status, 200);
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(client.get(&format!("{path}/_history/1")).status, 404, "nor what it was before");
    assert_eq!(client.get(&format!("{path}/$meta")).status, 404);
    assert_eq!(client.post(&format!("{path}/$meta-delete"), &label).status, 404, "no way back for who may not see");
}

#[test]
fn bad_requests_are_told_and_changes_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let path = observation(&client, json!([tag("a")]));
    let meta = parameters(json!({"tag": [tag("b")]}));
    for body in ["", "{}", r#"{"resourceType":"Parameters"}"#, r#"{"resourceType":"Patient"}"#] {
        assert_eq!(client.post(&format!("{path}/$meta-add"), body).status, 400, "{body}");
    }
    let wrong = client.post(&format!("{path}/$meta-add"), &parameters(json!({"tag": [{"code": 7}]})));
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert_eq!(client.get(&format!("{path}/$meta-add")).status, 405);
    assert_eq!(client.get(&format!("{path}/$meta?colour=red")).status, 400);
    assert_eq!(client.post("Observation/nobody/$meta-add", &meta).status, 404);
    assert_eq!(client.get("Observation/nobody/$meta").status, 404);
    assert_eq!(client.post("Observation/$meta-add", &meta).status, 404);
    let conflict = client.send_with("POST", &format!("{path}/$meta-add"), &meta, &[("if-match", "W/\"7\"")]);
    assert_eq!(conflict.status, 412, "{}", conflict.text);
    let headers = [("x-request-id", "meta-add-audit"), ("if-match", "W/\"1\"")];
    assert_eq!(client.send_with("POST", &format!("{path}/$meta-add"), &meta, &headers).status, 200);
    let events = client.audited(&client, "meta-add-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert_eq!(events[0]["action"], "U", "{}", events[0]);
    assert!(events[0].to_string().contains("meta-add"), "{}", events[0]);
    assert!(events[0].to_string().contains(&path), "{}", events[0]);
}
