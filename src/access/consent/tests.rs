//! What a Consent compiles to, dimension by dimension, and what becomes of what is malformed.

use salus_fhir::json::parse;

use super::keys::{CONFIDENTIALITY, code_key, label_key, row_label_keys};
use super::*;

pub(super) const BASE: &str = "http://127.0.0.1:8080/fhir";
const DAY: i64 = 86_400_000_000;

pub(super) fn compiled(text: &str) -> Vec<ConsentRule> {
    compile(&parse(text, &Default::default()).unwrap(), BASE)
}

/// An active privacy Consent of Patient/1 with this policy code and these members of `provision`.
fn consent(policy: &str, provision: &str) -> Vec<ConsentRule> {
    compiled(&format!(
        r#"{{"resourceType":"Consent","id":"c","status":"active",
            "scope":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/consentscope","code":"patient-privacy"}}]}},
            "patient":{{"reference":"Patient/1"}},
            "policyRule":{{"coding":[{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"{policy}"}}]}},
            "provision":{provision}}}"#
    ))
}

/// What the rules say about a row to a caller with purpose TREAT: `Permit`, `Deny` or `NoRule`, with the path.
fn verdict(rules: &[ConsentRule], row: (&str, &[Key], i64), actors: &[&str], purpose: &str) -> String {
    let actors: Vec<_> = actors.iter().map(|actor| keys::reference_key(actor, BASE)).collect();
    let ctx = ConsentContext { purpose, actors: &actors, now: 0, break_glass: purpose == BREAK_GLASS };
    let row = RowFacts { resource_type: row.0, keys: row.1, sort: row.2, rid: Key::resource(row.0, "x") };
    match decide(rules, &row, &ctx) {
        Decision::Permit { path, .. } => format!("permit {path}"),
        Decision::Deny { path, .. } => format!("deny {path}"),
        Decision::NoRule => "none".to_owned(),
    }
}

#[test]
fn only_an_active_privacy_consent_of_a_patient_here_binds() {
    let text = |status: &str, scope: &str, patient: &str| {
        format!(
            r#"{{"resourceType":"Consent","id":"c","status":"{status}","scope":{{"coding":[{{"code":"{scope}"}}]}},
                "patient":{{"reference":"{patient}"}},"policyRule":{{"coding":[{{"code":"OPTOUT"}}]}}}}"#
        )
    };
    for (status, scope, patient, count) in [
        ("active", "patient-privacy", "Patient/1", 1),
        ("active", "patient-privacy", "http://127.0.0.1:8080/fhir/Patient/1", 1),
        ("inactive", "patient-privacy", "Patient/1", 0),
        ("entered-in-error", "patient-privacy", "Patient/1", 0),
        ("active", "research", "Patient/1", 0),
        ("active", "patient-privacy", "https://elsewhere.example/fhir/Patient/1", 0),
        ("active", "patient-privacy", "Group/1", 0),
    ] {
        assert_eq!(compiled(&text(status, scope, patient)).len(), count, "{status} {scope} {patient}");
    }
    let whole = compiled(&text("active", "patient-privacy", "Patient/1"));
    assert_eq!((whole[0].effect, whole[0].path.as_str()), (Effect::Deny, "Consent.provision"));
    assert_eq!(whole[0].patient, Key::resource("Patient", "1"));
}

#[test]
fn a_nested_permit_is_an_exception_to_its_parent_only() {
    let rules = consent(
        "OPTOUT",
        r#"{"type":"deny","class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}],
            "provision":[{"type":"permit","code":[{"coding":[{"system":"http://loinc.org","code":"8867-4"}]}]}]}"#,
    );
    let heart_rate = [code_key(Some("http://loinc.org"), "8867-4")];
    let of = |row: &str, keys: &[Key]| verdict(&rules, (row, keys, 0), &[], "TREAT");
    assert_eq!(of("Observation", &[]), "deny Consent.provision");
    assert_eq!(of("Observation", &heart_rate), "permit Consent.provision.provision[0]");
    assert_eq!(of("Condition", &heart_rate), "none");
    assert_eq!(rules[1].ancestors, [0]);
    assert_eq!(rules[1].parent, Some(0));
}

#[test]
fn each_dimension_narrows_a_deny() {
    let hiv = code_key(Some("http://snomed.info/sct"), "86406008");
    let restricted = label_key(CONFIDENTIALITY, "R");
    let very = label_key(CONFIDENTIALITY, "V");
    for (dimension, hidden, seen) in [
        (
            r#""code":[{"coding":[{"system":"http://snomed.info/sct","code":"86406008"}]}]"#,
            ("Condition", hiv, 0),
            ("Condition", very, 0),
        ),
        (
            r#""securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]"#,
            ("Condition", restricted, 0),
            ("Condition", hiv, 0),
        ),
        (
            r#""securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"R"}]"#,
            ("Condition", very, 0),
            ("Condition", hiv, 0),
        ),
        (
            r#""securityLabel":[{"system":"http://terminology.hl7.org/CodeSystem/v3-Confidentiality","code":"N"}]"#,
            ("Condition", row_label_keys([])[0], 0),
            ("Condition", label_key(CONFIDENTIALITY, "L"), 0),
        ),
        (
            r#""class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"}]"#,
            ("Observation", hiv, 0),
            ("Condition", hiv, 0),
        ),
        (
            r#""class":[{"system":"http://snomed.info/sct","code":"86406008"}]"#,
            ("Observation", hiv, 0),
            ("Observation", very, 0),
        ),
        (
            r#""dataPeriod":{"start":"1970-01-02","end":"1970-01-02"}"#,
            ("Observation", hiv, DAY),
            ("Observation", hiv, 2 * DAY),
        ),
        (r#""dataPeriod":{"start":"1970-01-02"}"#, ("Observation", hiv, 9 * DAY), ("Observation", hiv, DAY - 1)),
        (
            r#""data":[{"meaning":"instance","reference":{"reference":"Observation/x"}}]"#,
            ("Observation", hiv, 0),
            ("Condition", hiv, 0),
        ),
    ] {
        let rules = consent("OPTIN", &format!(r#"{{"type":"deny",{dimension}}}"#));
        let of = |row: (&str, Key, i64)| verdict(&rules, (row.0, &[row.1], row.2), &[], "TREAT");
        assert_eq!(of(hidden), "deny Consent.provision", "{dimension}");
        assert_eq!(of(seen), "none", "{dimension}");
    }
}

#[test]
fn purpose_actor_action_and_period_narrow_a_deny_to_a_caller() {
    for (dimension, actor, purpose, expected) in [
        (
            r#""purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]"#,
            "Practitioner/1",
            "HRESCH",
            true,
        ),
        (
            r#""purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]"#,
            "Practitioner/1",
            "CLINTRCH",
            true,
        ),
        (
            r#""purpose":[{"system":"http://terminology.hl7.org/CodeSystem/v3-ActReason","code":"HRESCH"}]"#,
            "Practitioner/1",
            "TREAT",
            false,
        ),
        (r#""actor":[{"role":{},"reference":{"reference":"Organization/1"}}]"#, "Organization/1", "TREAT", true),
        (
            r#""actor":[{"role":{},"reference":{"reference":"http://127.0.0.1:8080/fhir/Organization/1"}}]"#,
            "Organization/1",
            "TREAT",
            true,
        ),
        (
            r#""actor":[{"role":{},"reference":{"reference":"https://b.example/Organization/1"}}]"#,
            "Organization/1",
            "TREAT",
            false,
        ),
        (
            r#""actor":[{"role":{},"reference":{"reference":"https://b.example/Organization/1"}}]"#,
            "https://b.example/Organization/1",
            "TREAT",
            true,
        ),
        (r#""action":[{"coding":[{"code":"disclose"}]}]"#, "Practitioner/1", "TREAT", true),
        (r#""action":[{"coding":[{"code":"correct"}]}]"#, "Practitioner/1", "TREAT", false),
        (r#""period":{"start":"1969","end":"1970"}"#, "Practitioner/1", "TREAT", true),
        (r#""period":{"end":"1969-12-31"}"#, "Practitioner/1", "TREAT", false),
        (r#""period":{"start":"1970-01-01T00:00:00Z"}"#, "Practitioner/1", "TREAT", true),
        (r#""period":{"start":"1970-01-01T00:00:00-01:00"}"#, "Practitioner/1", "TREAT", false),
    ] {
        let rules = consent("OPTIN", &format!(r#"{{"type":"deny",{dimension}}}"#));
        let denied = verdict(&rules, ("Observation", &[], 0), &[actor], purpose).starts_with("deny");
        assert_eq!(denied, expected, "{dimension} {actor} {purpose}");
        let actors = [keys::reference_key(actor, BASE)];
        let ctx = ConsentContext { purpose, actors: &actors, now: 0, break_glass: false };
        assert_eq!(restricts(&rules, &ctx), expected, "{dimension} {actor} {purpose}");
    }
}

/// Parts of a provision that cannot be evaluated.
const UNCLEAR: &[&str] = &[
    r#""code":[{"text":"HIV"}]"#,
    r#""code":[{"coding":[{"code":"no-system"}]}]"#,
    r#""code":{"coding":[]}"#,
    r#""code":[]"#,
    r#""actor":[{"role":{},"reference":{"display":"the nurse"}}]"#,
    r#""actor":[{"role":{"coding":[{"code":"AUT"}]},"reference":{"reference":"Practitioner/9"}}]"#,
    r#""purpose":[{"system":"http://example.org","code":"X"}]"#,
    r#""action":[{"text":"look at"}]"#,
    r#""class":[{"system":"http://hl7.org/fhir/resource-types","code":"Observation"},{"system":"urn:ietf:bcp:13","code":"text/plain"}]"#,
    r#""securityLabel":[{"code":"R"}]"#,
    r#""data":[{"meaning":"related","reference":{"reference":"Task/3"}}]"#,
    r#""period":{"start":"soon"}"#,
    r#""period":{"start":"2020","end":"2019"}"#,
    r#""period":{}"#,
    r#""dataPeriod":{"end":"2015-02-30"}"#,
    r#""dataPeriod":"2015""#,
];

#[test]
fn what_cannot_be_evaluated_denies_rather_than_permits() {
    let row: (&str, &[Key], i64) = ("Observation", &[], 0);
    for part in UNCLEAR {
        let denied = |rules: &[ConsentRule]| verdict(rules, row, &[], "TREAT");
        // A deny holds for everything.
        assert_eq!(
            denied(&consent("OPTIN", &format!(r#"{{"type":"deny",{part}}}"#))),
            "deny Consent.provision",
            "{part}"
        );
        // A permit does not permit.
        assert_eq!(denied(&consent("OPTIN", &format!(r#"{{{part}}}"#))), "none", "{part}");
        // It is no exception to a deny, nor is anything below it.
        let exception =
            format!(r#"{{"type":"deny","provision":[{{"type":"permit",{part},"provision":[{{"type":"permit"}}]}}]}}"#);
        assert_eq!(denied(&consent("OPTIN", &exception)), "deny Consent.provision", "{part}");
        // What is denied below it holds, and what is permitted below that does not.
        let below = format!(r#"{{{part},"provision":[{{"type":"deny","provision":[{{"type":"permit"}}]}}]}}"#);
        assert_eq!(denied(&consent("OPTIN", &below)), "deny Consent.provision.provision[0]", "{part}");
    }
}

#[test]
fn a_provision_that_is_none_denies() {
    let row: (&str, &[Key], i64) = ("Observation", &[], 0);
    for provision in
        [r#""x""#, "[]", "7", r#"{"provision":[3]}"#, r#"{"provision":{"type":"perhaps"}}"#, r#"{"provision":[{}]}"#]
    {
        let rules = consent("OPTIN", provision);
        assert!(verdict(&rules, row, &[], "TREAT").starts_with("deny"), "{provision}");
    }
    let deep =
        format!("{}{}", r#"{"type":"permit","provision":[{"type":"permit"},"#.repeat(20), r#"{"type":"permit"}"#);
    let deep = format!("{deep}{}", "]}".repeat(20));
    assert_eq!(verdict(&consent("OPTIN", &deep), row, &[], "TREAT"), "permit Consent.provision.provision[0]");
    let deeper = format!("{}{{}}{}", r#"{"type":"permit","provision":["#.repeat(40), "]}".repeat(40));
    assert_eq!(consent("OPTIN", &deeper).len(), 1);
    assert_eq!(verdict(&consent("OPTIN", &deeper), row, &[], "TREAT"), "deny Consent.provision");
}

#[test]
fn breaking_the_glass_passes_a_deny_unless_it_is_named() {
    let row: (&str, &[Key], i64) = ("Observation", &[], 0);
    let treat = r#"{"type":"deny","purpose":[{"code":"TREAT"}]}"#;
    for (provision, expected) in [
        (r#"{"type":"deny"}"#, "none"),
        (treat, "none"),
        (r#"{"type":"deny","purpose":[{"code":"BTG"}]}"#, "deny Consent.provision"),
    ] {
        assert_eq!(verdict(&consent("OPTIN", provision), row, &[], "BTG"), expected, "{provision}");
    }
    assert_eq!(verdict(&consent("OPTIN", treat), row, &[], "ETREAT"), "deny Consent.provision");
}

#[test]
fn a_deny_excepted_for_this_caller_restricts_nothing() {
    let rules = consent(
        "OPTOUT",
        r#"{"type":"deny","provision":[{"type":"permit","actor":[{"reference":{"reference":"Practitioner/1"}}]}]}"#,
    );
    let restricted = |actor: &str| {
        let actors = [keys::reference_key(actor, BASE)];
        restricts(&rules, &ConsentContext { purpose: "TREAT", actors: &actors, now: 0, break_glass: false })
    };
    assert!(!restricted("Practitioner/1"));
    assert!(restricted("Practitioner/2"));
}
