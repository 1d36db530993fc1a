//! What the BALP profiles demand, as a table, and a check of an event against it.
//!
//! Source: the differentials of the StructureDefinitions of IHE ITI BALP 1.1.4 (2025-10-31),
//! <https://profiles.ihe.net/ITI/BALP/>: IHE.BasicAudit.{Read, Query, Create, Update, Delete} and
//! their Patient variants, OAUTHaccessTokenUse.Minimal, AuthZconsent, PrivacyDisclosure.Source and
//! IHE.IUA.71. Slices are told apart by `agent.type` and `entity.type` (of IUA.71: `entity.role`).

use serde_json::Value;

pub const BASE: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";

const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const REST: (&str, &str) = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest");
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const USER_AGENT: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";

/// Whether an element must, may or must not be there.
#[derive(Clone, Copy, PartialEq)]
enum Need {
    Must,
    May,
    Never,
}
use Need::{May, Must, Never};

struct AgentSlice {
    name: &'static str,
    system: &'static str,
    codes: &'static [&'static str],
    count: (usize, usize),
    network: Need,
    /// The fixed value of `requestor`, where there is one.
    requestor: Option<bool>,
    policy: Need,
}

struct EntitySlice {
    name: &'static str,
    system: &'static str,
    code: &'static str,
    /// Codes that `role` may have; empty where the profile says nothing of it.
    roles: &'static [&'static str],
    count: (usize, usize),
    what: Need,
    query: Need,
}

struct Profile {
    event_type: Option<(&'static str, &'static str)>,
    /// A subtype of which exactly one must be there, and the most subtypes allowed.
    subtype: Option<(&'static str, &'static [&'static str], usize)>,
    action: Option<&'static str>,
    success: bool,
    agents: Vec<AgentSlice>,
    agents_min: usize,
    agents_closed: bool,
    entities: Vec<EntitySlice>,
    entities_min: usize,
    entities_closed: bool,
    /// The agent that `source.observer` must be (invariant val-audit-source).
    observer: Option<&'static str>,
}

fn agent(
    name: &'static str,
    system: &'static str,
    codes: &'static [&'static str],
    count: (usize, usize),
    network: Need,
    requestor: Option<bool>,
) -> AgentSlice {
    AgentSlice { name, system, codes, count, network, requestor, policy: May }
}

fn application(code: &'static [&'static str]) -> AgentSlice {
    agent("client", DCM, code, (1, 1), Must, None)
}

fn user(codes: &'static [&'static str]) -> AgentSlice {
    agent("user", PARTICIPATION, codes, (0, 1), Never, Some(true))
}

fn entity(
    name: &'static str,
    (system, code): (&'static str, &'static str),
    roles: &'static [&'static str],
    count: (usize, usize),
    what: Need,
    query: Need,
) -> EntitySlice {
    EntitySlice { name, system, code, roles, count, what, query }
}

/// Author, informant, custodian: ValueSet DataSources.
const DATA_SOURCES: &[&str] = &["AUT", "INF", "CST"];
/// Domain resource, report, job: ValueSet RestObjectRoles.
const REST_OBJECT_ROLES: &[&str] = &["4", "3", "20"];

fn rest(
    subtype: &'static [&'static str],
    action: &'static str,
    agents: Vec<AgentSlice>,
    main: EntitySlice,
    patient: bool,
) -> Profile {
    let request = entity(
        "transaction",
        ("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType", "XrequestId"),
        &[],
        (0, 1),
        Must,
        May,
    );
    let mut entities = vec![request, main];
    if patient {
        entities.push(patient_slice());
    }
    Profile {
        event_type: Some(REST),
        subtype: Some((INTERACTION, subtype, usize::MAX)),
        action: Some(action),
        success: true,
        agents,
        agents_min: 2,
        agents_closed: false,
        entities,
        entities_min: if patient { 2 } else { 1 },
        entities_closed: false,
        observer: None,
    }
}

fn patient_slice() -> EntitySlice {
    entity("patient", (ENTITY_TYPE, "1"), &["1"], (1, 1), Must, May)
}

fn data_slice() -> EntitySlice {
    entity("data", (ENTITY_TYPE, "2"), REST_OBJECT_ROLES, (1, 1), Must, May)
}

fn query_slice() -> EntitySlice {
    entity("query", (ENTITY_TYPE, "2"), &["24"], (1, 1), Never, Must)
}

fn server(system: &'static str, codes: &'static [&'static str]) -> AgentSlice {
    agent("server", system, codes, (1, 1), Must, None)
}

fn profile(name: &str) -> Profile {
    let short = name.strip_prefix("IHE.BasicAudit.").unwrap_or(name);
    let (short, patient) = match short.strip_prefix("Patient") {
        Some(short) => (short, true),
        None => (short, false),
    };
    match short {
        "Read" => {
            let agents = vec![application(&["110152"]), server(DCM, &["110153"]), user(&["IRCP"])];
            rest(&["read", "vread"], "R", agents, data_slice(), patient)
        }
        "Query" => {
            let agents = vec![application(&["110153"]), server(DCM, &["110152"]), user(&["IRCP"])];
            let subtypes = &["search", "search-type", "search-system"];
            rest(subtypes, "E", agents, query_slice(), patient)
        }
        "Create" | "Update" => {
            let (subtypes, action): (&'static [&'static str], _) = match short {
                "Create" => (&["create"], "C"),
                _ => (&["update", "patch"], "U"),
            };
            let agents = vec![application(&["110153"]), server(DCM, &["110152"]), user(DATA_SOURCES)];
            rest(subtypes, action, agents, data_slice(), patient)
        }
        "Delete" => {
            let custodian = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
            let agents = vec![application(&["110150"]), server(custodian, &["custodian"]), user(DATA_SOURCES)];
            rest(&["delete"], "D", agents, data_slice(), patient)
        }
        "OAUTHaccessTokenUse.Minimal" => token_use(),
        "AuthZconsent" => consent(),
        "PrivacyDisclosure.Source" => disclosure(),
        "IHE.IUA.71" => get_token(),
        other => panic!("no profile {other}"),
    }
}

fn token_use() -> Profile {
    let many = (1, usize::MAX);
    let bearer =
        AgentSlice { policy: Must, ..agent("oUser", USER_AGENT, &["UserOauthAgent"], many, Never, Some(true)) };
    Profile {
        event_type: None,
        subtype: None,
        action: None,
        success: false,
        agents: vec![bearer],
        agents_min: 1,
        agents_closed: false,
        entities: Vec::new(),
        entities_min: 0,
        entities_closed: false,
        observer: None,
    }
}

fn consent() -> Profile {
    let one = (1, 1);
    let authorizer = "http://terminology.hl7.org/CodeSystem/extra-security-role-type";
    let provider = "http://terminology.hl7.org/CodeSystem/v3-RoleClass";
    Profile {
        event_type: Some((DCM, "110113")),
        subtype: Some((
            "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType",
            &["AuthZ-Consent", "AuthZ-Role"],
            usize::MAX,
        )),
        action: Some("E"),
        success: false,
        agents: vec![
            application(&["110150"]),
            agent("user", PARTICIPATION, &["IRCP"], one, Never, Some(true)),
            agent("userorg", provider, &["PROV"], one, Never, Some(false)),
            agent("authorizer", authorizer, &["authserver"], one, Never, Some(false)),
        ],
        agents_min: 4,
        agents_closed: false,
        entities: vec![
            patient_slice(),
            entity("consent", ("http://hl7.org/fhir/resource-types", "Consent"), &[], (1, usize::MAX), Must, May),
            entity("token", (USER_AGENT, "UserOauthAgent"), &[], (0, 1), Must, May),
        ],
        entities_min: 2,
        entities_closed: true,
        observer: Some("authserver"),
    }
}

fn disclosure() -> Profile {
    Profile {
        event_type: Some((DCM, "110106")),
        subtype: Some(("http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle", &["disclose"], usize::MAX)),
        action: Some("R"),
        success: false,
        agents: vec![
            agent("source", DCM, &["110153"], (1, 1), Must, None),
            agent("recipient", DCM, &["110152"], (1, 1), Must, None),
        ],
        agents_min: 2,
        agents_closed: false,
        entities: vec![patient_slice()],
        entities_min: 2,
        entities_closed: false,
        observer: Some("110153"),
    }
}

fn get_token() -> Profile {
    Profile {
        event_type: Some((DCM, "110114")),
        subtype: Some(("urn:ihe:event-type-code", &["ITI-71"], 1)),
        action: Some("E"),
        success: true,
        agents: vec![
            application(&["110150"]),
            agent("auth-server", USER_AGENT, &["AuthzOauthService"], (1, 1), Must, None),
            user(&["IRCP"]),
        ],
        agents_min: 2,
        agents_closed: true,
        entities: vec![query_slice()],
        entities_min: 1,
        entities_closed: true,
        observer: None,
    }
}

/// Checks an event against each profile that it claims.
pub fn assert_claims_hold(event: &Value) {
    let claims = event["meta"]["profile"].as_array().cloned().unwrap_or_default();
    for claim in &claims {
        let name = claim.as_str().unwrap().strip_prefix(BASE).unwrap();
        assert_profile(event, name, &profile(name));
    }
}

fn assert_profile(event: &Value, name: &str, profile: &Profile) {
    if let Some(expected) = profile.event_type {
        assert!(is_coding(&event["type"], expected.0, &[expected.1]), "{name}: type in {event}");
    }
    if let Some((system, codes, most)) = profile.subtype {
        let subtypes = list(event, "subtype");
        let fitting = subtypes.iter().filter(|coding| is_coding(coding, system, codes)).count();
        assert_eq!(fitting, 1, "{name}: subtype in {event}");
        assert!(subtypes.len() <= most, "{name}: too many subtypes in {event}");
    }
    if let Some(action) = profile.action {
        assert_eq!(event["action"], action, "{name}: action");
    }
    if profile.success {
        assert_eq!(event["outcome"], "0", "{name}: outcome");
    }
    assert_agents(event, name, profile);
    assert_entities(event, name, profile);
}

fn assert_agents(event: &Value, name: &str, profile: &Profile) {
    let agents = list(event, "agent");
    assert!(agents.len() >= profile.agents_min, "{name}: agents in {event}");
    let mut sliced = 0;
    for slice in &profile.agents {
        let fits = |agent: &&Value| {
            list(&agent["type"], "coding").iter().any(|coding| is_coding(coding, slice.system, slice.codes))
        };
        let members: Vec<&Value> = agents.iter().filter(fits).collect();
        assert_count(members.len(), slice.count, name, slice.name, event);
        sliced += members.len();
        for agent in members {
            assert!(agent["who"].is_object(), "{name}: {}.who", slice.name);
            assert!(agent.get("media").is_none());
            assert_need(slice.network, agent.get("network"), name, slice.name, "network");
            assert_need(slice.policy, agent.get("policy"), name, slice.name, "policy");
            if let Some(requestor) = slice.requestor {
                assert_eq!(agent["requestor"], requestor, "{name}: {}.requestor", slice.name);
            }
            for policy in list(agent, "policy") {
                let policy = policy.as_str().unwrap();
                assert!(policy.starts_with("urn:ietf:params:oauth:jti:"), "{name}: policy");
            }
        }
    }
    assert!(!profile.agents_closed || sliced == agents.len(), "{name}: agents are closed");
    if let Some(code) = profile.observer {
        let observer = agents.iter().find(|agent| agent["type"]["coding"][0]["code"] == code);
        assert_eq!(observer.unwrap()["who"], event["source"]["observer"], "{name}: val-audit-source");
    }
}

fn assert_entities(event: &Value, name: &str, profile: &Profile) {
    let entities = list(event, "entity");
    assert!(entities.len() >= profile.entities_min, "{name}: entities in {event}");
    let mut sliced = 0;
    for slice in &profile.entities {
        let fits = |entity: &&Value| is_coding(&entity["type"], slice.system, &[slice.code]);
        let members: Vec<&Value> = entities.iter().filter(fits).collect();
        assert_count(members.len(), slice.count, name, slice.name, event);
        sliced += members.len();
        for entity in members {
            if !slice.roles.is_empty() {
                assert!(is_coding(&entity["role"], OBJECT_ROLE, slice.roles), "{name}: {}.role in {event}", slice.name);
            }
            assert_need(slice.what, entity.get("what"), name, slice.name, "what");
            assert_need(slice.query, entity.get("query"), name, slice.name, "query");
            if slice.name == "transaction" {
                assert!(entity["what"]["identifier"]["value"].is_string());
            }
            if slice.name == "patient" {
                assert!(entity["what"]["reference"].as_str().unwrap().starts_with("Patient/"));
            }
        }
    }
    assert!(!profile.entities_closed || sliced == entities.len(), "{name}: entities are closed");
}

/// What R4 itself demands of any AuditEvent (auditevent.html): required elements, invariant sev-1, no
/// empty arrays or strings, and by its definition at most one requestor.
pub fn assert_base_holds(event: &Value) {
    for required in ["type", "recorded", "source"] {
        assert!(event.get(required).is_some(), "{required} in {event}");
    }
    assert!(event["source"]["observer"].is_object());
    let agents = list(event, "agent");
    assert_eq!(agents.iter().filter(|agent| agent["requestor"] == true).count(), 1, "{event}");
    for entity in list(event, "entity") {
        assert!(entity.get("name").is_none() || entity.get("query").is_none(), "sev-1");
    }
    assert_nothing_empty(event);
}

fn assert_nothing_empty(value: &Value) {
    match value {
        Value::Array(items) => {
            assert!(!items.is_empty());
            items.iter().for_each(assert_nothing_empty);
        }
        Value::Object(members) => {
            assert!(!members.is_empty());
            members.values().for_each(assert_nothing_empty);
        }
        Value::String(text) => assert!(!text.is_empty()),
        _ => {}
    }
}

fn assert_count(found: usize, (least, most): (usize, usize), name: &str, slice: &str, event: &Value) {
    assert!((least..=most).contains(&found), "{name}: {found} of slice {slice} in {event}");
}

fn assert_need(need: Need, found: Option<&Value>, name: &str, slice: &str, element: &str) {
    match need {
        Must => assert!(found.is_some(), "{name}: {slice}.{element} is missing"),
        Never => assert!(found.is_none(), "{name}: {slice}.{element} is not allowed"),
        May => {}
    }
}

fn is_coding(coding: &Value, system: &str, codes: &[&str]) -> bool {
    coding["system"] == system && codes.iter().any(|code| coding["code"] == *code)
}

fn list<'v>(value: &'v Value, name: &str) -> &'v [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}
