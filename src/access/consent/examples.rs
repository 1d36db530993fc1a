//! The Consent examples of R4 (consent-examples.html), compiled and decided.

use super::keys::row_label_keys;
use super::tests::{BASE, compiled};
use super::*;

fn example(name: &str) -> Option<Vec<ConsentRule>> {
    let path =
        format!("{}/../../../shared/data/r4-examples/Consent-consent-example-{name}.json", env!("CARGO_MANIFEST_DIR"));
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {path} is not there");
        return None;
    };
    Some(compiled(&text))
}

/// 2015-01-15T12:00:00Z.
const JANUARY_2015: i64 = 1_421_323_200_000_000;
/// 2016-06-23T07:10:00Z, within the half hour of the smartonfhir example.
const JUNE_2016: i64 = 1_466_665_800_000_000;

/// `(example, caller's actor, purpose, now, row's type, what is decided)`. The machine-readable part
/// counts: the narratives of notAuthor, notThem, notThis and notTime tell of withholding, but what
/// they encode is an opt-in.
#[test]
fn the_r4_examples_decide_as_they_are_encoded() {
    for (name, actor, purpose, now, row, expected) in [
        ("basic", "Practitioner/1", "TREAT", JANUARY_2015, "Observation", "permit Consent.provision"),
        ("basic", "Practitioner/1", "TREAT", JUNE_2016, "Observation", "none"),
        ("Out", "Organization/f001", "TREAT", JANUARY_2015, "Observation", "deny Consent.provision"),
        ("Out", "Organization/other", "TREAT", JANUARY_2015, "Observation", "none"),
        (
            "Emergency",
            "Organization/f001",
            "ETREAT",
            JANUARY_2015,
            "Observation",
            "deny Consent.provision.provision[0]",
        ),
        ("Emergency", "Organization/f001", "TREAT", JANUARY_2015, "Observation", "none"),
        ("grantor", "Patient/example", "TREAT", JANUARY_2015, "Observation", "deny Consent.provision"),
        ("grantor", "Patient/example2", "TREAT", JANUARY_2015, "Observation", "none"),
        ("notAuthor", "Organization/f001", "TREAT", JANUARY_2015, "Observation", "permit Consent.provision"),
        ("notOrg", "Organization/f001", "TREAT", JANUARY_2015, "Observation", "deny Consent.provision"),
        ("notOrg", "Organization/f002", "TREAT", JANUARY_2015, "Observation", "none"),
        ("notThem", "Practitioner/f204", "TREAT", JANUARY_2015, "Observation", "permit Consent.provision"),
        ("notThis", "Practitioner/1", "TREAT", JANUARY_2015, "Task", "none"),
        ("notTime", "Practitioner/1", "TREAT", JANUARY_2015, "Observation", "permit Consent.provision"),
        ("notTime", "Practitioner/1", "TREAT", JUNE_2016, "Observation", "none"),
        ("pkb", "Organization/f001", "TREAT", JANUARY_2015, "Observation", "deny Consent.provision.provision[2]"),
        ("pkb", "Organization/f002", "TREAT", JANUARY_2015, "Observation", "none"),
        ("signature", "Practitioner/13", "TREAT", 1_450_000_000_000_000, "Observation", "permit Consent.provision"),
        ("smartonfhir", "Practitioner/1", "TREAT", JUNE_2016, "Observation", "permit Consent.provision"),
        (
            "smartonfhir",
            "Practitioner/1",
            "TREAT",
            JUNE_2016,
            "MedicationRequest",
            "permit Consent.provision.provision[0]",
        ),
        ("smartonfhir", "Practitioner/1", "TREAT", JANUARY_2015, "MedicationRequest", "none"),
    ] {
        let Some(rules) = example(name) else { return };
        let actors = [keys::reference_key(actor, BASE)];
        let ctx = ConsentContext { purpose, actors: &actors, now, break_glass: false };
        let keys = row_label_keys([]);
        let facts = RowFacts { resource_type: row, keys: &keys, sort: now, rid: Key::resource(row, "1") };
        let decided = match decide(&rules, &facts, &ctx) {
            Decision::Permit { path, .. } => format!("permit {path}"),
            Decision::Deny { path, .. } => format!("deny {path}"),
            Decision::NoRule => "none".to_owned(),
        };
        assert_eq!(decided, expected, "{name}, {actor}, {purpose}, {row}");
    }
}
