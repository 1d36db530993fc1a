//! What an Access says about rows.

use salus_fhir::Key;

use super::*;
use crate::policy::tests::{caller, policy};

fn access(who: &str, scopes: &str, launch: Option<&str>, on: &str) -> Arc<Access> {
    authorize(policy(), &caller(who, scopes, launch), Interaction::SearchType, Some(on)).unwrap()
}

fn compartment(patient: &str, search: &[(&str, &str)]) -> RowFilter {
    let search = search.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RowFilter { compartment: Some(Key::resource("Patient", patient)), search }
}

#[test]
fn a_patient_scope_reaches_the_launch_patients_compartment() {
    let access = access("clinician", "patient/*.rs", Some("2"), "Observation");
    assert_eq!(access.grants("Observation"), [compartment("2", &[])]);
    assert_eq!(access.grants("Patient"), [compartment("2", &[])]);
    let device = RowFilter { compartment: None, search: vec![("patient".into(), "Patient/2".into())] };
    assert_eq!(access.grants("Device"), [device]);
    assert_eq!(access.grants("Practitioner"), [RowFilter::default()]);
    assert!(access.grants("Binary").is_empty());
    assert!(access.grants("Group").is_empty(), "a Group names other patients");
    assert!(!access.types().contains("Binary"));
}

#[test]
fn a_patient_user_reaches_their_own_compartment_with_a_user_scope() {
    let access = access("patient", "user/*.rs", Some("2"), "Observation");
    assert_eq!(access.grants("Observation"), [compartment("1", &[])]);
}

#[test]
fn scopes_are_alternatives_and_filters_of_one_scope_hold_together() {
    let scopes = "patient/Observation.rs?category=a&status=final patient/Observation.rs?category=b user/Patient.r";
    let access = access("clinician", scopes, Some("2"), "Observation");
    let expected =
        [compartment("2", &[("category", "a"), ("status", "final")]), compartment("2", &[("category", "b")])];
    assert_eq!(access.grants("Observation"), expected);
    assert_eq!(access.grants_for(Permission::Read, "Patient"), [RowFilter::default()]);
    assert!(access.grants_for(Permission::Search, "Patient").is_empty());
}

#[test]
fn an_unrestricted_alternative_stands_alone() {
    let access = access("clinician", "patient/Observation.rs user/Observation.s", Some("2"), "Observation");
    assert_eq!(access.grants("Observation"), [RowFilter::default()]);
    assert_eq!(access.grants_for(Permission::Read, "Observation"), [compartment("2", &[])]);
}

#[test]
fn writes_take_all_their_permissions() {
    let access = access("client", "system/Observation.cs system/Patient.c", None, "Observation");
    assert!(access.permits_write("Observation", Interaction::ConditionalCreate));
    assert!(access.permits_write("Patient", Interaction::Create));
    assert!(!access.permits_write("Patient", Interaction::ConditionalCreate));
    assert!(!access.permits_write("Observation", Interaction::Update));
    assert!(!access.permits_write("Observation", Interaction::SearchType), "no write");
}

#[test]
fn consent_sees_purpose_actors_and_broken_glass() {
    let mut principal = caller("clinician", "user/*.rs", None);
    principal.purpose_of_use = "BTG".to_owned();
    principal.actors = vec!["Organization/1".to_owned(), "Practitioner/1".to_owned()];
    let access = authorize(policy(), &principal, Interaction::Read, Some("Patient")).unwrap();
    let ConsentView::Enforce { purpose, actors, break_glass, .. } = access.consent() else {
        panic!("Consent binds a caller");
    };
    assert_eq!((purpose.as_str(), *break_glass), ("BTG", true));
    let mut expected = vec![Key::resource("Organization", "1"), Key::resource("Practitioner", "1")];
    expected.sort_unstable();
    assert_eq!(*actors, expected);
}

#[test]
fn fingerprints_differ_where_the_rows_do() {
    let of = |who: &str, scopes: &str, launch| access(who, scopes, launch, "Observation").fingerprint();
    let one = of("clinician", "patient/*.rs", Some("2"));
    assert_eq!(one, of("clinician", "patient/*.rs", Some("2")));
    assert_ne!(one, of("clinician", "patient/*.rs", Some("3")));
    assert_ne!(one, of("clinician", "patient/*.s", Some("2")));
    assert_ne!(one, of("client", "patient/*.rs", Some("2")));
}

#[test]
fn an_internal_job_sees_everything_and_is_named() {
    let access = Access::system("demo-load", 3);
    assert_eq!(access.grants("Anything"), [RowFilter::default()]);
    assert_eq!(access.types(), TypeSelector::All);
    assert_eq!(access.consent(), &ConsentView::Exempt);
    assert_eq!((access.tenant(), access.job()), (3, Some("demo-load")));
    assert!(access.principal().is_none());
}

#[test]
fn the_compartment_part_of_a_filter_is_tested_by_keys() {
    let filter = compartment("2", &[]);
    assert!(filter.admits_keys(&[Key::resource("Patient", "1"), Key::resource("Patient", "2")]));
    assert!(!filter.admits_keys(&[Key::resource("Patient", "1")]));
    assert!(RowFilter::default().admits_keys(&[]));
}
