//! `$risk-score` (contract, "`$risk-score`").

use serde_json::json;

use crate::Salus;

#[test]
fn too_few_inputs_are_refused_and_named() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient", "gender": "female", "birthDate": "1950-01-01"}));
    let answer = client.get(&format!("Patient/{patient}/$risk-score"));
    assert_eq!((answer.status, answer.issue().as_str()), (422, "incomplete"));
    assert!(answer.text.contains("missing"), "{}", answer.text);
}

#[test]
fn an_unknown_patient_and_an_unknown_parameter_are_told_apart() {
    let client = Salus::shared().client("system/*.cruds");
    assert_eq!(client.get("Patient/nobody/$risk-score").status, 404);
    let answer = client.get("Patient/nobody/$risk-score?unknown=1");
    assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"));
}
