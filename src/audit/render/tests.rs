//! Rendered events against the BALP profiles they claim, and against the contract.

mod balp;
mod base;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::record::{Alert, AuditUser, Entity, EntityKind, ModelVersion, Outcome};

const SERVER: Server<'static> = Server { base: "https://ehr.example.org/fhir", device: "Device/salus" };

fn rendered(record: &AuditRecord<'_>) -> Value {
    serde_json::from_str(&render(record, "a-1", 42, &SERVER)).unwrap()
}

/// An event as a backend client with a token makes it.
fn event(kind: AuditKind, interaction: &'static str) -> AuditRecord<'static> {
    AuditRecord {
        recorded: 1_767_225_600_000_001,
        status: 200,
        client_id: Some("app".into()),
        address: Some("192.0.2.7".into()),
        token_id: Some("t-1".into()),
        purpose_of_use: Some("TREAT".into()),
        request_id: "req-1".into(),
        ..AuditRecord::new(kind, interaction)
    }
}

/// The same with data and one patient.
fn patient_event(kind: AuditKind, interaction: &'static str) -> AuditRecord<'static> {
    AuditRecord {
        patients: vec!["p1".into()],
        entities: vec![Entity::data("Observation/o1", Some(2))],
        query: Some(format!("{interaction} /fhir/Observation?code=1").into()),
        ..event(kind, interaction)
    }
}

fn with_user(record: AuditRecord<'static>) -> AuditRecord<'static> {
    AuditRecord {
        user: Some(AuditUser {
            id: "ada".into(),
            fhir_user: Some("Practitioner/1".into()),
            roles: vec!["clinician".into()],
            organization: Some("Organization/1".into()),
        }),
        ..record
    }
}

fn claims(event: &Value) -> Vec<&str> {
    let claims = event["meta"]["profile"].as_array().into_iter().flatten();
    claims.map(|url| url.as_str().unwrap().strip_prefix(balp::BASE).unwrap()).collect()
}

const TOKEN_USE: &str = "IHE.BasicAudit.OAUTHaccessTokenUse.Minimal";

#[test]
fn each_interaction_claims_and_meets_its_profile() {
    use AuditKind::{Create, Delete, Query, Read, Update};
    let table = [
        (Read, "read", "Read"),
        (Read, "vread", "Read"),
        (Query, "search-type", "Query"),
        (Query, "search-system", "Query"),
        (Create, "create", "Create"),
        (Update, "update", "Update"),
        (Update, "patch", "Update"),
        (Delete, "delete", "Delete"),
    ];
    for (kind, interaction, name) in table {
        for count in 0..3_usize {
            let mut record = patient_event(kind, interaction);
            record.patients = (0..count).map(|id| format!("p{id}").into()).collect();
            // The patient variants allow one patient.
            let variant = if count == 1 { "Patient" } else { "" };
            for record in [record.clone(), with_user(record)] {
                let event = rendered(&record);
                let expected = format!("IHE.BasicAudit.{variant}{name}");
                assert_eq!(claims(&event), [expected.as_str(), TOKEN_USE]);
                balp::assert_claims_hold(&event);
                let named = patients_of(&event).len();
                assert_eq!(named, count, "AuditEvent?patient= finds each patient");
            }
        }
    }
}

fn patients_of(event: &Value) -> Vec<String> {
    let entities = event["entity"].as_array().unwrap();
    entities
        .iter()
        .filter(|entity| entity["role"]["code"] == "1")
        .map(|entity| entity["what"]["reference"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_read_renders_as_written_here() {
    let event = rendered(&with_user(AuditRecord {
        server: "node-1".into(),
        query: None,
        ..patient_event(AuditKind::Read, "read")
    }));
    assert_eq!(
        event,
        json!({
            "resourceType": "AuditEvent",
            "id": "a-1",
            "meta": {
                "versionId": "1",
                "lastUpdated": "2026-01-01T00:00:00.000001Z",
                "profile": [
                    "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientRead",
                    "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.OAUTHaccessTokenUse.Minimal"
                ]
            },
            "extension": [{
                "url": "https://salus.example/fhir/StructureDefinition/audit-log-sequence",
                "valueString": "42"
            }],
            "type": {
                "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
                "code": "rest", "display": "RESTful Operation"
            },
            "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": "read"}],
            "action": "R",
            "recorded": "2026-01-01T00:00:00.000001Z",
            "outcome": "0",
            "purposeOfEvent": [{"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"
            }]}],
            "agent": [
                {
                    "type": {"coding": [{
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": "110152", "display": "Destination Role ID"
                    }]},
                    "who": {"identifier": {"value": "app"}},
                    "requestor": false,
                    "network": {"address": "192.0.2.7", "type": "2"}
                },
                {
                    "type": {"coding": [{
                        "system": "http://dicom.nema.org/resources/ontology/DCM",
                        "code": "110153", "display": "Source Role ID"
                    }]},
                    "who": {"reference": "Device/salus"},
                    "requestor": false,
                    "network": {"address": "https://ehr.example.org/fhir", "type": "5"}
                },
                {
                    "type": {"coding": [
                        {
                            "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                            "code": "IRCP", "display": "information recipient"
                        },
                        {
                            "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes",
                            "code": "UserOauthAgent", "display": "User OAuth Agent participant"
                        }
                    ]},
                    "role": [{"coding": [{
                        "system": "https://salus.example/fhir/CodeSystem/role", "code": "clinician"
                    }]}],
                    "who": {"reference": "Practitioner/1", "identifier": {"value": "ada"}},
                    "requestor": true,
                    "policy": ["urn:ietf:params:oauth:jti:t-1"],
                    "purposeOfUse": [{"coding": [{
                        "system": "http://terminology.hl7.org/CodeSystem/v3-ActReason",
                        "code": "TREAT"
                    }]}]
                }
            ],
            "source": {
                "site": "node-1",
                "observer": {"reference": "Device/salus"},
                "type": [{
                    "system": "http://terminology.hl7.org/CodeSystem/security-source-type",
                    "code": "4", "display": "Application Server"
                }]
            },
            "entity": [
                {
                    "what": {"reference": "Observation/o1/_history/2"},
                    "type": {
                        "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                        "code": "2", "display": "System Object"
                    },
                    "role": {
                        "system": "http://terminology.hl7.org/CodeSystem/object-role",
                        "code": "4", "display": "Domain Resource"
                    }
                },
                {
                    "what": {"reference": "Patient/p1"},
                    "type": {
                        "system": "http://terminology.hl7.org/CodeSystem/audit-entity-type",
                        "code": "1", "display": "Person"
                    },
                    "role": {
                        "system": "http://terminology.hl7.org/CodeSystem/object-role",
                        "code": "1", "display": "Patient"
                    }
                },
                {
                    "what": {"identifier": {"value": "req-1"}},
                    "type": {
                        "system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType",
                        "code": "XrequestId"
                    },
                    "detail": [{"type": "http-status", "valueString": "200"}]
                }
            ]
        })
    );
}

#[test]
fn the_query_is_kept_base64_as_sent() {
    let mut record = patient_event(AuditKind::Query, "search-type");
    let sent = "GET /fhir/Observation?code=%3Cscript%3E&note=\u{e9}";
    record.query = Some(sent.into());
    let event = rendered(&record);
    let query = event["entity"][0]["query"].as_str().unwrap();
    assert_eq!(STANDARD.decode(query).unwrap(), sent.as_bytes());
}

#[test]
fn a_failure_claims_no_profile_of_success_and_says_why() {
    for (outcome, code) in [(Outcome::MinorFailure, "4"), (Outcome::SeriousFailure, "8")] {
        let event = rendered(&AuditRecord {
            outcome,
            outcome_description: Some("not found".into()),
            status: 404,
            ..patient_event(AuditKind::Read, "read")
        });
        assert_eq!(claims(&event), [TOKEN_USE]);
        assert_eq!(event["outcome"], code);
        assert_eq!(event["outcomeDesc"], "not found");
        balp::assert_claims_hold(&event);
    }
}

#[test]
fn a_refusal_tells_what_was_attempted() {
    let table = [
        ("read", "R", "110152"),
        ("history-instance", "R", "110152"),
        ("search-type", "E", "110153"),
        ("create", "C", "110153"),
        ("patch", "U", "110153"),
        ("delete", "D", "110150"),
        ("operation", "E", "110153"),
        ("", "E", "110153"),
    ];
    for (interaction, action, client) in table {
        let event = rendered(&AuditRecord {
            outcome: Outcome::SeriousFailure,
            ..patient_event(AuditKind::AccessDenied, interaction)
        });
        assert_eq!(event["type"]["code"], "rest");
        assert_eq!(event["action"], action, "{interaction}");
        assert_eq!(event["agent"][0]["type"]["coding"][0]["code"], client, "{interaction}");
    }
}

#[test]
fn a_refused_stranger_is_told_without_a_name() {
    let event = rendered(&AuditRecord {
        client_id: None,
        token_id: None,
        outcome: Outcome::SeriousFailure,
        ..event(AuditKind::AccessDenied, "read")
    });
    assert_eq!(event["agent"][0]["who"], json!({"display": "unauthenticated client"}));
    assert_eq!(event["agent"][0]["requestor"], true);
    assert_eq!(claims(&event), Vec::<&str>::new());
}

#[test]
fn an_issued_token_meets_the_profile_of_iti_71() {
    let record = AuditRecord {
        query: Some("POST /auth/token grant_type=client_credentials".into()),
        ..event(AuditKind::TokenIssued, "")
    };
    for record in [record.clone(), with_user(record)] {
        let event = rendered(&record);
        assert_eq!(claims(&event), ["IHE.IUA.71"]);
        balp::assert_claims_hold(&event);
        assert_eq!(event["entity"][0]["detail"][0], json!({"type": "jti", "valueString": "t-1"}));
    }
}

#[test]
fn a_refused_token_is_a_failed_iti_71() {
    let event = rendered(&AuditRecord {
        outcome: Outcome::SeriousFailure,
        token_id: None,
        ..event(AuditKind::TokenRefused, "")
    });
    assert_eq!(event["type"]["code"], "110114");
    assert_eq!(event["subtype"][0]["code"], "ITI-71");
    assert_eq!(claims(&event), Vec::<&str>::new());
}

#[test]
fn a_consent_decision_meets_its_profile_permit_or_deny() {
    for outcome in [Outcome::Success, Outcome::SeriousFailure] {
        let record = AuditRecord {
            outcome,
            patients: vec!["p1".into()],
            entities: vec![Entity::of_kind(EntityKind::Consent, "Consent/c1")],
            ..event(AuditKind::ConsentDecision, "")
        };
        let decided = rendered(&with_user(record.clone()));
        assert_eq!(claims(&decided), ["IHE.BasicAudit.AuthZconsent"]);
        balp::assert_claims_hold(&decided);
        // The profile demands a user and the user's organization.
        assert_eq!(claims(&rendered(&record)), Vec::<&str>::new());
    }
}

#[test]
fn an_export_of_one_patient_is_a_disclosure() {
    let event = rendered(&patient_event(AuditKind::Export, "operation"));
    assert_eq!(claims(&event), ["IHE.BasicAudit.PrivacyDisclosure.Source", TOKEN_USE]);
    balp::assert_claims_hold(&event);
    assert_eq!(event["agent"][1]["who"], event["source"]["observer"]);
}

#[test]
fn a_model_use_names_model_and_version() {
    let event = rendered(&AuditRecord {
        operation: Some("risk-score".into()),
        model: Some(ModelVersion { name: "icu-mortality".into(), version: "1.0.0".into() }),
        entities: vec![Entity::data("Patient/p1", None), Entity::of_kind(EntityKind::Related, "Observation/o1")],
        ..patient_event(AuditKind::ModelUse, "operation")
    });
    assert_eq!(event["subtype"][1]["code"], "risk-score");
    let model = event["entity"].as_array().unwrap().iter().find(|entity| entity["type"]["code"] == "Device").unwrap();
    assert_eq!(model["what"]["identifier"]["value"], "icu-mortality");
    assert_eq!(model["detail"], json!([{"type": "version", "valueString": "1.0.0"}]));
}

#[test]
fn security_alerts_are_of_the_type_that_the_contract_names() {
    let kinds = [
        AuditKind::BreakGlass,
        AuditKind::Configuration,
        AuditKind::SecurityAlert(Alert::IdProbing),
        AuditKind::SecurityAlert(Alert::TokenGuessing),
        AuditKind::SecurityAlert(Alert::SignInAttack),
        AuditKind::SecurityAlert(Alert::LogTampering),
    ];
    for kind in kinds {
        let event = rendered(&event(kind, ""));
        assert_eq!(event["type"]["system"], "http://dicom.nema.org/resources/ontology/DCM");
        assert_eq!(event["type"]["code"], "110113");
    }
}

#[test]
fn an_internal_job_is_its_own_requestor() {
    let record = AuditRecord { patients: vec!["p1".into()], ..AuditRecord::new(AuditKind::Import, "create") };
    let event = rendered(&record);
    assert_eq!(event["agent"].as_array().unwrap().len(), 1);
    assert_eq!(event["agent"][0]["requestor"], true);
    assert_eq!(event["agent"][0]["who"]["reference"], "Device/salus");
}

#[test]
fn instants_are_civil_dates() {
    for (micros, text) in [
        (0, "1970-01-01T00:00:00.000000Z"),
        (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
        (4_107_542_399_999_999, "2100-02-28T23:59:59.999999Z"),
        (4_107_542_400_000_000, "2100-03-01T00:00:00.000000Z"),
        (1_767_225_599_000_000, "2025-12-31T23:59:59.000000Z"),
        (crate::record::LAST_INSTANT, "9999-12-31T23:59:59.999999Z"),
        (i64::MAX, "9999-12-31T23:59:59.999999Z"),
        (-1, "1970-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(instant(micros), text);
    }
}

fn any_kind() -> impl Strategy<Value = AuditKind> {
    use AuditKind as K;
    prop::sample::select(vec![
        K::Read,
        K::Query,
        K::History,
        K::Create,
        K::Update,
        K::Delete,
        K::Operation,
        K::ModelUse,
        K::Export,
        K::Import,
        K::AccessDenied,
        K::TokenIssued,
        K::TokenRefused,
        K::TokenRevoked,
        K::TokenIntrospected,
        K::Login,
        K::Logout,
        K::ConsentDecision,
        K::BreakGlass,
        K::Configuration,
        K::AuditLogUse,
        K::ServerStarted,
        K::ServerStopped,
        K::SecurityAlert(Alert::IdProbing),
    ])
}

fn any_entity() -> impl Strategy<Value = Entity<'static>> {
    let kinds = prop::sample::select(vec![
        EntityKind::Data,
        EntityKind::Report,
        EntityKind::Job,
        EntityKind::Consent,
        EntityKind::Related,
    ]);
    let whats = prop::sample::select(vec!["Observation/1", "Patient/1", "Consent/1", "odd"]);
    (kinds, whats, prop::option::of(1_u64..9)).prop_map(|(kind, what, version)| Entity {
        what: what.into(),
        version,
        kind,
    })
}

prop_compose! {
    fn any_record()(
        kind in any_kind(),
        interaction in prop::sample::select(vec![
            "", "read", "vread", "update", "patch", "delete", "create", "search-type",
            "search-system", "history-type", "operation", "batch",
        ]),
        outcome in prop::sample::select(vec![Outcome::Success, Outcome::MinorFailure]),
        parts in any::<[bool; 8]>(),
        patients in 0_usize..3,
        entities in prop::collection::vec(any_entity(), 0..4),
        words in any::<String>(),
    ) -> AuditRecord<'static> {
        let some = |at: usize, text: &str| parts[at].then(|| text.to_owned().into());
        let odd = |at: usize| some(at, &words);
        let record = AuditRecord {
            outcome,
            outcome_description: odd(0),
            client_id: odd(1),
            address: some(2, "192.0.2.7"),
            token_id: some(3, "t-1"),
            purpose_of_use: some(4, "TREAT"),
            query: some(5, &words),
            request_id: if parts[6] { "req-1".into() } else { "".into() },
            patients: (0..patients).map(|id| id.to_string().into()).collect(),
            entities,
            ..AuditRecord::new(kind, interaction)
        };
        if parts[7] { with_user(record) } else { record }
    }
}

proptest! {
    /// Whatever a record says, what its event claims it keeps, and what R4 demands it has.
    #[test]
    fn every_claim_of_any_event_holds(record in any_record()) {
        let event = rendered(&record);
        balp::assert_claims_hold(&event);
        balp::assert_base_holds(&event);
        if let Some(r4) = base::r4() {
            base::assert_valid(&render(&record, "a-1", 42, &SERVER), &r4);
        }
    }
}

/// The codes of one of our code systems, as `fhir-profiles/` defines them.
fn defined(system: &str) -> Vec<String> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fhir-profiles");
    let text = std::fs::read_to_string(folder.join(format!("CodeSystem-{system}.json"))).unwrap();
    let resource: Value = serde_json::from_str(&text).unwrap();
    let concepts = resource["concept"].as_array().unwrap();
    concepts.iter().map(|concept| concept["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn codes_of_our_own_are_defined() {
    let alerts = [Alert::IdProbing, Alert::TokenGuessing, Alert::SignInAttack, Alert::LogTampering];
    let kinds = alerts.map(AuditKind::SecurityAlert).into_iter().chain([AuditKind::TokenRevoked]);
    let prefix = format!("{}/CodeSystem/", salus_fhir::CANONICAL_BASE);
    let mut met = 0;
    for kind in kinds {
        for coding in rendered(&event(kind, ""))["subtype"].as_array().unwrap() {
            let Some(system) = coding["system"].as_str().unwrap().strip_prefix(&prefix) else { continue };
            assert!(defined(system).contains(&coding["code"].as_str().unwrap().to_owned()), "{coding}");
            met += 1;
        }
    }
    assert_eq!(met, 5);
}
