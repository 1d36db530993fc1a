//! AuditEvents under a grant on one patient's (decision 9).

use salus_access::{Access, DefaultPolicy, Interaction};
use salus_audit::{AuditKind, AuditRecord, Entity};

use super::{Arc, Bench, POLICIES, TENANT, principal};
use crate::audit::AuditQuery;

fn event(patients: &[&str], entity: &str, query: &str) -> AuditRecord<'static> {
    AuditRecord {
        client_id: Some("somebody".into()),
        patients: patients.iter().map(|&id| id.to_owned().into()).collect(),
        entities: vec![Entity::data(entity.to_owned(), Some(1))],
        query: Some(query.to_owned().into()),
        ..AuditRecord::new(AuditKind::Query, "search-type")
    }
}

fn access(bench: &Bench, launch: Option<&str>) -> Arc<Access> {
    let scopes = if launch.is_some() { "patient/AuditEvent.rs" } else { "system/AuditEvent.rs" };
    let principal = principal(TENANT, scopes, launch, "TREAT", &[]);
    let policy = POLICIES.iter().position(|policy| *policy == DefaultPolicy::PermitAll).unwrap();
    let interaction = Interaction::SearchType;
    salus_access::authorize(&bench.policies[policy], &principal, interaction, Some("AuditEvent")).unwrap()
}

/// The texts of the events found.
async fn found(bench: &Bench, launch: Option<&str>, parameters: &[(&str, &str)]) -> Vec<String> {
    let parameters: Vec<(String, String)> =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (query, ignored) = AuditQuery::parse(&parameters, 0).unwrap();
    assert!(ignored.is_empty());
    let page = bench.store.audit().search(&access(bench, launch), &query).await.unwrap();
    assert_eq!(page.total, page.events.len() as i64);
    page.events.into_iter().map(|event| event.record).collect()
}

pub(super) async fn is_confined_to_a_patient(bench: &Bench) {
    let events = [
        event(&["trail-a"], "Observation/of-a", "GET Observation/of-a"),
        event(&["trail-b"], "Observation/of-b", "GET Observation/of-b"),
        event(&["trail-a", "trail-b"], "Group/of-both", "GET Observation?patient=trail-a,trail-b"),
    ];
    bench.store.audit().append(&events).await.unwrap();
    let all = [("agent", "somebody")];
    assert_eq!(found(bench, None, &all).await.len(), 3);
    // Newest first: the one about both, confined, and the one about the patient, whole.
    let seen = found(bench, Some("trail-a"), &all).await;
    assert_eq!(seen.len(), 2, "{seen:#?}");
    let both = AuditRecord::from_text(&seen[0]).unwrap();
    assert_eq!(both.patients, ["trail-a"]);
    assert!(both.entities.is_empty() && both.query.is_none(), "{both:#?}");
    assert_eq!(both.client_id.as_deref(), Some("somebody"), "who it was stays");
    assert_eq!(AuditRecord::from_text(&seen[1]).unwrap(), events[0]);
    assert!(!seen.concat().contains("trail-b") && !seen.concat().contains("of-b"), "{seen:#?}");
    // Nor is it told whether an event is about somebody else as well.
    for (launch, name, value, count) in [
        (None, "patient", "trail-b", 2),
        (None, "entity", "Group/of-both", 1),
        (Some("trail-a"), "patient", "trail-a", 2),
        (Some("trail-a"), "patient", "trail-b", 0),
        (Some("trail-a"), "patient", "trail-a,trail-b", 2),
        (Some("trail-a"), "entity", "Patient/trail-b", 0),
        (Some("trail-a"), "entity", "Group/of-both", 0),
        (Some("trail-a"), "entity", "Observation/of-b", 0),
        (Some("trail-a"), "entity", "Observation/of-a", 1),
        (Some("trail-c"), "agent", "somebody", 0),
    ] {
        assert_eq!(found(bench, launch, &[(name, value)]).await.len(), count, "{launch:?} {name}={value}");
    }
}
