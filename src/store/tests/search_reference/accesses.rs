//! Searches under random scopes and Consents, compared with the slow evaluation over what the caller can read one by
//! one. So neither matches, nor totals, nor what a chain or `_has` passes through tells of anything else.

use std::collections::BTreeSet;
use std::sync::Arc;

use salus_access::{
    Access, DefaultPolicy, Interaction, Policy, Principal, Settings, Wildcard, authorize, parse_scopes,
};
use salus_fhir::Definitions;
use salus_store::Store;
use salus_store::search::{SearchContext, SearchQuery, Total};
use serde_json::{Value, json};

use crate::common::{BASE, put};
use crate::generate::{self, Random};
use crate::reference::World;

/// Callers of each run, and the queries of each.
const CALLERS: usize = 14;
const QUERIES: usize = 60;

/// Scopes that a token may have one or more of.
const SCOPES: [&str; 12] = [
    "patient/*.rs",
    "patient/Observation.rs",
    "patient/Encounter.rs",
    "patient/Patient.rs",
    "system/*.rs",
    "system/Patient.rs",
    "system/Observation.rs",
    "system/Practitioner.rs",
    "system/Organization.rs",
    "system/Condition.rs",
    "system/Observation.rs?status=final",
    "system/Encounter.rs?status=finished",
];

/// What a Consent may withhold.
fn provision(random: &mut Random) -> Value {
    match random.below(5) {
        0 => json!({}),
        1 => json!({"class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}]}),
        2 => json!({"code": [{"coding": [{"system": "http://s.test/one", "code": random.pick(&["a", "b"])}]}]}),
        3 => json!({"dataPeriod": {"start": "2020-01-01", "end": "2020-12-31"}}),
        _ => json!({"purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}]}),
    }
}

/// A Consent of about every second patient.
async fn consent(store: &Store, everything: &Arc<Access>, random: &mut Random, patients: &BTreeSet<String>) {
    for (number, patient) in patients.iter().enumerate().filter(|(number, _)| number % 2 == 0) {
        let mut deny = provision(random);
        deny["type"] = json!("deny");
        let consent = json!({"resourceType": "Consent", "id": format!("consent{number}"), "status": "active",
            "patient": {"reference": format!("Patient/{patient}")},
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "policyRule": {"text": "opt in"}, "provision": {"type": "permit", "provision": [deny]}});
        store.commit(&[put(store, everything, &consent)], |_| Vec::new()).await.unwrap();
    }
}

fn principal(random: &mut Random, number: usize, patients: &BTreeSet<String>) -> Principal {
    let scopes: Vec<&str> = (0..1 + random.below(3)).map(|_| random.pick(&SCOPES)).collect();
    let launched = scopes.iter().any(|scope| scope.starts_with("patient/"));
    let patients: Vec<&String> = patients.iter().collect();
    Principal {
        tenant: 0,
        client_id: "test".to_owned(),
        user: None,
        patient: launched.then(|| patients[random.below(patients.len())].clone()),
        scopes: parse_scopes(&scopes.join(" ")),
        purpose_of_use: random.pick(&["TREAT", "HRESCH"]).to_owned(),
        actors: vec!["Organization/of-the-caller".to_owned()],
        token_id: number.to_string(),
        expires_at: i64::MAX,
    }
}

/// What differs, if anything. Adds Consents to the store.
pub async fn compare(
    store: &Store,
    everything: &Arc<Access>,
    definitions: &Definitions,
    resources: &[Value],
    random: &mut Random,
) -> Vec<String> {
    let of_patients = resources.iter().filter(|resource| resource["resourceType"] == "Patient");
    let patients: BTreeSet<String> = of_patients.map(|resource| resource["id"].as_str().unwrap().to_owned()).collect();
    consent(store, everything, random, &patients).await;
    let default_policy = DefaultPolicy::PermitNormal;
    let settings = Settings { base: BASE.to_owned(), default_policy, wildcard: Wildcard::AllTypes, cached_tokens: 64 };
    let policy = Policy::new(definitions, settings).unwrap();
    let (mut failures, mut found_some, mut hidden_some) = (Vec::new(), 0, 0);
    for number in 0..CALLERS {
        let principal = principal(random, number, &patients);
        let mut visible = Vec::new();
        for resource in resources {
            let (kind, id) = (resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
            let Ok(access) = authorize(&policy, &principal, Interaction::Read, Some(kind)) else { continue };
            if store.read(&access, kind, id).await.is_ok() {
                visible.push(resource.to_string());
            }
        }
        hidden_some += usize::from(visible.len() < resources.len());
        let world = World::new(definitions, BASE, &visible);
        for _ in 0..QUERIES {
            let (kind, parameters) = generate::query(random);
            let Ok(access) = authorize(&policy, &principal, Interaction::SearchType, Some(kind)) else { continue };
            let shown = format!("{:?} {:?} {}", principal.scopes, principal.patient, generate::show(kind, &parameters));
            let (mut query, _) = SearchQuery::parse(definitions, SearchContext::of_type(kind), &parameters).unwrap();
            let expected = world.search(kind, &parameters);
            found_some += usize::from(!expected.is_empty());
            let (ids, totals) = crate::pages(store, &access, &query).await;
            if ids.iter().cloned().collect::<BTreeSet<_>>() != expected || ids.len() != expected.len() {
                failures.push(format!("{shown}: {ids:?} for {expected:?}"));
            } else if totals != BTreeSet::from([expected.len() as i64]) {
                failures.push(format!("{shown}: totals {totals:?} for {}", expected.len()));
            }
            (query.count, query.total) = (0, Total::Accurate);
            let counted = store.search(&access, &query).await.unwrap().total;
            if counted != Some(expected.len() as i64) {
                failures.push(format!("{shown}: counts {counted:?} for {}", expected.len()));
            }
        }
    }
    assert!(found_some > CALLERS && hidden_some > CALLERS / 2, "proves too little: {found_some}, {hidden_some}");
    failures
}
