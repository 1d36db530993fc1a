use proptest::prelude::*;

use super::*;

fn full() -> AuditRecord<'static> {
    AuditRecord {
        recorded: 1_767_225_600_000_001,
        operation: Some("risk-score".into()),
        outcome: Outcome::SeriousFailure,
        outcome_description: Some("refused \"by\" Consent".into()),
        status: 404,
        client_id: Some("app".into()),
        user: Some(AuditUser {
            id: "ada".into(),
            fhir_user: Some("Practitioner/1".into()),
            roles: vec!["clinician".into()],
            organization: Some("Organization/1".into()),
        }),
        address: Some("2001:db8::7334".into()),
        token_id: Some("0f9a".into()),
        purpose_of_use: Some("TREAT".into()),
        patients: vec!["1".into(), "2".into()],
        entities: vec![Entity::data("Observation/1", Some(2)), Entity::of_kind(EntityKind::Consent, "Consent/1")],
        query: Some("POST /fhir/Patient/1/$risk-score".into()),
        request_id: "req-1".into(),
        server: "node-1".into(),
        model: Some(ModelVersion { name: "icu-mortality".into(), version: "1.0.0".into() }),
        ..AuditRecord::new(AuditKind::ModelUse, "operation")
    }
}

#[test]
fn the_text_of_a_record_is_fixed() {
    // These bytes are hashed into logs that stand: they may gain members, never lose or reorder them.
    let read = AuditRecord {
        recorded: 5,
        client_id: Some("app".into()),
        patients: vec!["1".into()],
        entities: vec![Entity::data("Patient/1", Some(3))],
        ..AuditRecord::new(AuditKind::Read, "read")
    };
    assert_eq!(
        read.to_text(),
        r#"{"t":5,"k":"read","i":"read","o":0,"c":"app","pt":["1"],"e":[{"w":"Patient/1","n":3}]}"#
    );
    assert_eq!(
        full().to_text(),
        concat!(
            r#"{"t":1767225600000001,"k":"model-use","i":"operation","op":"risk-score","o":8,"#,
            r#""od":"refused \"by\" Consent","s":404,"c":"app","#,
            r#""u":{"i":"ada","f":"Practitioner/1","r":["clinician"],"o":"Organization/1"},"#,
            r#""a":"2001:db8::7334","j":"0f9a","p":"TREAT","pt":["1","2"],"#,
            r#""e":[{"w":"Observation/1","n":2},{"w":"Consent/1","k":"consent"}],"#,
            r#""q":"POST /fhir/Patient/1/$risk-score","r":"req-1","n":"node-1","#,
            r#""m":{"n":"icu-mortality","v":"1.0.0"}}"#
        )
    );
}

#[test]
fn a_full_record_survives_its_text() {
    let text = full().to_text();
    let read = AuditRecord::from_text(&text).unwrap();
    assert_eq!(read, full());
    assert_eq!(read.clone().into_owned(), full());
    assert_eq!(read.to_text(), text);
}

#[test]
fn who_acted_is_taken_from_the_principal() {
    let principal = salus_access::Principal {
        tenant: 0,
        client_id: "app".into(),
        user: Some(salus_access::User {
            id: "ada".into(),
            fhir_user: Some("Practitioner/1".into()),
            roles: vec!["clinician".into()],
        }),
        patient: None,
        scopes: Vec::new(),
        purpose_of_use: "TREAT".into(),
        actors: vec!["Practitioner/1".into(), "Organization/1".into()],
        token_id: "0f9a".into(),
        expires_at: 0,
    };
    let record = AuditRecord::new(AuditKind::Read, "read").by(&principal);
    assert_eq!(record.client_id, full().client_id);
    assert_eq!(record.user, full().user);
    assert_eq!(record.token_id, full().token_id);
    assert_eq!(record.purpose_of_use, full().purpose_of_use);
}

#[test]
fn a_security_alert_survives_its_text() {
    let alert = AuditRecord::new(AuditKind::SecurityAlert(Alert::TokenGuessing), "");
    let text = alert.to_text();
    assert_eq!(text, r#"{"t":0,"k":{"security-alert":"token-guessing"},"o":0}"#);
    assert_eq!(AuditRecord::from_text(&text).unwrap(), alert);
}

#[test]
fn members_that_a_later_version_adds_are_passed_over() {
    let text = r#"{"t":0,"k":"read","o":0,"new":[1]}"#;
    assert_eq!(AuditRecord::from_text(text).unwrap(), AuditRecord::new(AuditKind::Read, ""));
}

#[test]
fn what_is_not_a_record_is_refused() {
    for text in [
        "",
        "{}",
        "null",
        r#"{"t":0,"k":"read","o":1}"#,
        r#"{"t":0,"k":"unheard-of","o":0}"#,
        r#"{"t":-1,"k":"read","o":0}"#,
        r#"{"t":253402300800000000,"k":"read","o":0}"#,
    ] {
        assert!(matches!(AuditRecord::from_text(text), Err(Error::Record(_))), "{text}");
    }
}

#[test]
fn outcomes_follow_the_status() {
    for (status, outcome) in [
        (200, Outcome::Success),
        (304, Outcome::Success),
        (404, Outcome::MinorFailure),
        (422, Outcome::MinorFailure),
        (401, Outcome::SeriousFailure),
        (403, Outcome::SeriousFailure),
        (503, Outcome::SeriousFailure),
    ] {
        assert_eq!(Outcome::of_status(status), outcome, "{status}");
    }
}

#[test]
fn an_event_of_many_patients_is_split() {
    let mut record = full();
    record.patients = (0..250).map(|id| id.to_string().into()).collect();
    let parts = record.clone().split(PATIENTS_PER_EVENT);
    assert_eq!(parts.iter().map(|part| part.patients.len()).collect::<Vec<_>>(), [84, 84, 82]);
    assert_eq!(parts.iter().flat_map(|part| part.patients.clone()).collect::<Vec<_>>(), record.patients);
    assert_eq!(parts[2].entities, record.entities);
    assert_eq!(full().split(PATIENTS_PER_EVENT), [full()]);
}

#[test]
fn an_ordinary_read_is_small() {
    let read = AuditRecord {
        recorded: 1_767_225_600_000_001,
        status: 200,
        client_id: Some("demo-backend".into()),
        address: Some("127.0.0.1".into()),
        token_id: Some("7c6d3c1e-1f0a-4c1e-9d5e-0a9a5b1c2d3e".into()),
        purpose_of_use: Some("TREAT".into()),
        patients: vec!["3f0c1a9e-5b7d-4c8e-9a1b-2c3d4e5f6071".into()],
        entities: vec![Entity::data("Observation/8a1c2f60-7b5d-4e3f-a1b2-c3d4e5f60718", Some(1))],
        request_id: "01JABCDEFGHJKMNPQRSTVWXYZ0".into(),
        ..AuditRecord::new(AuditKind::Read, "read")
    };
    assert!(read.to_text().len() < 360, "{}", read.to_text());
}

proptest! {
    #[test]
    fn any_words_survive(words in any::<[String; 6]>(), status in any::<u16>()) {
        let [client, query, patient, what, description, request] = &words;
        let record = AuditRecord {
            status,
            client_id: Some(client.into()),
            query: Some(query.into()),
            patients: vec![patient.into()],
            entities: vec![Entity::data(what, None)],
            outcome_description: Some(description.into()),
            request_id: request.into(),
            ..AuditRecord::new(AuditKind::Query, "search-type")
        };
        let text = record.to_text();
        // PostgreSQL's text holds no NUL; JSON escapes it.
        prop_assert!(!text.contains('\0'));
        prop_assert_eq!(AuditRecord::from_text(&text).unwrap(), record);
    }

    #[test]
    fn no_text_makes_reading_panic(text in ".{0,200}") {
        let _ = AuditRecord::from_text(&text);
    }
}

#[test]
fn no_text_holds_what_postgresql_cannot_read() {
    let record = AuditRecord {
        client_id: Some("a\u{0}b\\u0000".into()),
        query: Some("GET Patient/\u{0}\u{1}".into()),
        ..AuditRecord::new(AuditKind::Read, "read")
    };
    let text = record.to_text();
    let read = AuditRecord::from_text(&text).unwrap();
    assert_eq!(read.client_id.as_deref(), Some("a\u{fffd}b\\u0000"));
    assert_eq!(read.query.as_deref(), Some("GET Patient/\u{fffd}\u{1}"));
}
