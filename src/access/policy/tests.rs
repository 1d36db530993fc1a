//! The policy as a table: who, with which scopes, may do what.

use std::sync::LazyLock;

use super::*;
use crate::access::authorize;
use crate::interaction::Interaction;
use crate::principal::User;
use crate::scope::parse_scopes;

/// A policy of its own, for tests that change it or look at what it remembers.
fn new_policy() -> Policy {
    Policy::with_types(TypeTable::sample(), settings()).unwrap()
}

fn settings() -> Settings {
    Settings {
        base: String::new(),
        default_policy: DefaultPolicy::PermitAll,
        wildcard: Wildcard::AllTypes,
        cached_tokens: 8,
    }
}

/// Decision 9: where the server says so, a scope must name AuditEvent to reach it.
#[test]
fn a_wildcard_reaches_the_trail_only_where_the_server_lets_it() {
    let strict = Settings { wildcard: Wildcard::AllButTrail, ..settings() };
    let strict = Policy::with_types(TypeTable::sample(), strict).unwrap();
    for (who, scopes, launch, named) in [
        ("client", "system/*.cruds", None, false),
        ("client", "system/*.rs system/AuditEvent.rs", None, true),
        ("compliance", "user/*.rs", None, false),
        ("compliance", "user/AuditEvent.rs", None, true),
        ("patient", "patient/*.rs", Some("1"), false),
        ("patient", "patient/AuditEvent.rs", Some("1"), true),
    ] {
        let caller = caller(who, scopes, launch);
        for interaction in [Interaction::Read, Interaction::SearchType] {
            let asked = |policy: &Policy| authorize(policy, &caller, interaction, Some("AuditEvent")).is_ok();
            assert!(asked(policy()), "{who} {scopes}");
            assert_eq!(asked(&strict), named, "{who} {scopes}");
        }
        // Not by way of another type, or of the system, either.
        if let Ok(access) = authorize(&strict, &caller, Interaction::HistorySystem, None) {
            assert_eq!(access.grants_for(Permission::Read, "AuditEvent").is_empty(), !named, "{who} {scopes}");
        }
    }
}

/// The policy, parsed once for all tests.
pub(crate) fn policy() -> &'static Policy {
    static POLICY: LazyLock<Policy> = LazyLock::new(new_policy);
    &POLICY
}

/// A caller with these scopes. `who` is `client` or a role; `launch` the patient in context. Users
/// who are patients are Patient/1.
pub(crate) fn caller(who: &str, scopes: &str, launch: Option<&str>) -> Principal {
    let fhir_user = if who == "patient" { "Patient/1" } else { "Practitioner/1" };
    let user = User { id: who.to_owned(), fhir_user: Some(fhir_user.to_owned()), roles: vec![who.to_owned()] };
    Principal {
        tenant: 0,
        client_id: "app".to_owned(),
        user: (who != "client").then_some(user),
        patient: launch.map(str::to_owned),
        scopes: parse_scopes(scopes),
        purpose_of_use: "TREAT".to_owned(),
        actors: Vec::new(),
        token_id: format!("{who} {scopes} {launch:?}"),
        expires_at: i64::MAX,
    }
}

/// `(who, scopes, launch patient, what is granted)`; what is granted is `Type.letters` for each type
/// with any grant.
const ROLES: &[(&str, &str, Option<&str>, &str)] = &[
    (
        "client",
        "system/*.cruds",
        None,
        "AuditEvent.rs Binary.cruds Consent.cruds Device.cruds Group.cruds Observation.cruds Patient.cruds \
         Practitioner.cruds ValueSet.cruds",
    ),
    ("client", "system/Observation.rs system/Patient.r", None, "Observation.rs Patient.r"),
    ("client", "user/*.cruds", None, ""),
    ("client", "patient/*.cruds", None, ""),
    (
        "client",
        "patient/*.cruds",
        Some("2"),
        "AuditEvent.rs Consent.cruds Device.cruds Observation.cruds Patient.cruds Practitioner.rs ValueSet.rs",
    ),
    (
        "clinician",
        "user/*.cruds",
        None,
        "Binary.cruds Consent.crs Device.cruds Group.cruds Observation.cruds Patient.cruds Practitioner.rs ValueSet.rs",
    ),
    ("clinician", "system/*.cruds", None, ""),
    (
        "clinician",
        "patient/*.cruds",
        Some("2"),
        "Consent.crs Device.cruds Observation.cruds Patient.cruds Practitioner.rs ValueSet.rs",
    ),
    (
        "analyst",
        "user/*.cruds",
        None,
        "Binary.rs Device.rs Group.rs Observation.rs Patient.rs Practitioner.rs ValueSet.rs",
    ),
    (
        "patient",
        "user/*.cruds",
        None,
        "AuditEvent.rs Consent.crus Device.crus Observation.crus Patient.crus Practitioner.rs ValueSet.rs",
    ),
    (
        "patient",
        "patient/*.rs",
        Some("1"),
        "AuditEvent.rs Consent.rs Device.rs Observation.rs Patient.rs Practitioner.rs ValueSet.rs",
    ),
    ("patient", "patient/*.rs", Some("2"), "Practitioner.rs ValueSet.rs"),
    ("compliance", "user/*.cruds", None, "AuditEvent.rs Consent.rs Practitioner.rs ValueSet.rs"),
    (
        "administrator",
        "user/*.cruds",
        None,
        "Binary.rs Consent.rs Device.rs Group.rs Observation.rs Patient.rs Practitioner.cruds ValueSet.cruds",
    ),
    ("service", "user/AuditEvent.cruds user/Observation.c", None, "AuditEvent.rs Observation.c"),
    ("stranger", "user/*.cruds system/*.cruds", None, ""),
    // A role is a word in the account, not a way to become a backend client.
    ("client-role", "system/*.cruds user/*.cruds", None, ""),
];

#[test]
fn roles_bound_what_any_token_can_do() {
    for (who, scopes, launch, expected) in ROLES {
        let mut principal = caller(who, scopes, *launch);
        if *who == "client-role" {
            principal.user.as_mut().unwrap().roles = vec!["client".to_owned()];
        }
        // `batch` takes nothing by itself, so it shows what the token reaches at all.
        let access = authorize(policy(), &principal, Interaction::Batch, None).unwrap();
        let mut granted = Vec::new();
        for (name, ..) in TypeTable::sample().iter() {
            let some = |p: &Permission| !access.grants_for(*p, name).is_empty();
            let letters: String = Permission::ALL.iter().filter(|p| some(p)).map(|p| p.letter()).collect();
            if !letters.is_empty() {
                granted.push(format!("{name}.{letters}"));
            }
        }
        assert_eq!(granted.join(" "), *expected, "{who} with {scopes} on {launch:?}");
    }
}

#[test]
fn each_interaction_takes_its_permission() {
    use Interaction::*;
    let everything = ["c", "r", "u", "d", "s", "cs", "us", "ds"];
    for (interaction, enough) in [
        (Read, "r"),
        (Vread, "r"),
        (HistoryInstance, "r"),
        (HistoryType, "s cs us ds"),
        (SearchType, "s cs us ds"),
        (Create, "c cs"),
        (Update, "u us"),
        (Patch, "u us"),
        (Delete, "d ds"),
        (ConditionalCreate, "cs"),
        (ConditionalUpdate, "us"),
        (ConditionalPatch, "us"),
        (ConditionalDelete, "ds"),
    ] {
        for letters in everything {
            let principal = caller("client", &format!("system/Observation.{letters}"), None);
            let answer = authorize(policy(), &principal, interaction, Some("Observation"));
            let expected = enough.split(' ').any(|granting| granting == letters);
            assert_eq!(answer.is_ok(), expected, "{interaction:?} with {letters}");
        }
    }
}

#[test]
fn a_scope_on_one_type_opens_no_other() {
    // awslabs/fhir-works-on-aws-authz-smart #83
    let principal = caller("clinician", "user/Patient.read", None);
    let refusal = authorize(policy(), &principal, Interaction::SearchType, Some("Observation")).unwrap_err();
    assert_eq!(refusal, Refusal::InsufficientScope { needed: "user/Observation.s".to_owned() });
    assert!(refusal.to_string().contains("user/Observation.s"));
    assert_eq!((refusal.status(), refusal.issue_code()), (403, "forbidden"));
}

#[test]
fn refusals_say_what_stood_in_the_way() {
    let refused = |principal: &Principal, interaction, on| authorize(policy(), principal, interaction, on).unwrap_err();
    let read = Interaction::Read;
    let no_launch = caller("clinician", "patient/*.rs", None);
    assert_eq!(refused(&no_launch, read, Some("Observation")), Refusal::PatientContext);
    let analyst = caller("analyst", "user/*.cruds", None);
    let role = Refusal::Role { needed: "user/Observation.c".to_owned() };
    assert_eq!(refused(&analyst, Interaction::Create, Some("Observation")), role);
    let in_launch = caller("clinician", "patient/*.rs", Some("2"));
    assert!(matches!(refused(&in_launch, read, Some("Group")), Refusal::Role { .. }));
    assert_eq!(refused(&analyst, read, Some("Nothing")), Refusal::UnknownType);
}

#[test]
fn nobody_writes_an_audit_event() {
    use Interaction::*;
    for who in ["client", "service", "administrator", "compliance", "clinician"] {
        let principal = caller(who, "system/*.cruds user/*.cruds", None);
        for interaction in [Create, ConditionalCreate, Update, ConditionalUpdate, Patch, Delete, ConditionalDelete] {
            let refusal = authorize(policy(), &principal, interaction, Some("AuditEvent")).unwrap_err();
            assert_eq!(refusal, Refusal::AppendOnly, "{who} {interaction:?}");
        }
    }
}

#[test]
fn only_a_role_that_allows_it_breaks_the_glass() {
    for (who, may) in
        [("clinician", true), ("analyst", false), ("patient", false), ("administrator", false), ("client", false)]
    {
        let mut principal = caller(who, "user/*.rs system/*.rs", None);
        principal.purpose_of_use = "BTG".to_owned();
        let answer = authorize(policy(), &principal, Interaction::Read, Some("Observation"));
        assert_eq!(answer.is_ok(), may, "{who}");
        assert!(may || answer.unwrap_err() == Refusal::BreakGlass);
    }
}

#[test]
fn operations_take_what_their_table_says() {
    let compliance = caller("compliance", "user/*.rs", None);
    let clinician = caller("clinician", "user/*.rs", None);
    for (name, on, by_compliance, by_clinician) in [
        ("risk-score", Some("Patient"), false, true),
        ("everything", Some("Patient"), false, true),
        ("accounting-of-disclosures", Some("Patient"), true, false),
        ("consent-decision", Some("Patient"), true, true),
        ("proof", Some("AuditEvent"), true, false),
        ("export", None, true, true),
    ] {
        let operation = Interaction::operation(name).unwrap();
        assert_eq!(authorize(policy(), &compliance, operation, on).is_ok(), by_compliance, "{name}");
        assert_eq!(authorize(policy(), &clinician, operation, on).is_ok(), by_clinician, "{name}");
    }
    assert_eq!(Interaction::operation("unheard-of"), None);
}

#[test]
fn system_level_takes_any_type_and_the_capability_statement_nothing() {
    let principal = caller("client", "system/Observation.s", None);
    let access = authorize(policy(), &principal, Interaction::SearchSystem, None).unwrap();
    assert_eq!(access.types(), crate::TypeSelector::Only(vec!["Observation".to_owned()]));
    let nothing = caller("client", "openid", None);
    assert!(authorize(policy(), &nothing, Interaction::Capabilities, None).is_ok());
    assert!(authorize(policy(), &nothing, Interaction::SearchSystem, None).is_err());
    // A scope on clinical data does not turn into one on audit for who may only read audit.
    let compliance = caller("compliance", "user/Observation.rs", None);
    assert!(authorize(policy(), &compliance, Interaction::SearchSystem, None).is_err());
}

#[test]
fn an_answer_is_remembered_for_its_token_and_for_nobody_else() {
    let policy = new_policy();
    let read = |principal: &Principal| authorize(&policy, principal, Interaction::Read, Some("Observation"));
    let mut principal = caller("client", "system/*.rs", None);
    let first = read(&principal).unwrap();
    assert!(Arc::ptr_eq(&first, &read(&principal).unwrap()));
    policy.forget(&principal.token_id);
    assert!(!Arc::ptr_eq(&first, &read(&principal).unwrap()));
    principal.scopes.clear();
    assert!(read(&principal).is_err(), "the same jti with other scopes starts anew");
}

#[test]
fn the_policy_is_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>(_: &T) {}
    shared(policy());
}

#[test]
fn running_out_of_limits_refuses() {
    let mut policy = new_policy();
    policy.program = policy.program.set_limits(AuthorizerLimits { max_facts: 10, ..limits() });
    let principal = caller("client", "system/*.cruds", None);
    let answer = authorize(&policy, &principal, Interaction::Read, Some("Observation"));
    assert!(matches!(answer, Err(Refusal::Policy { .. })));
}

#[test]
fn a_token_with_a_scope_for_every_type_and_odd_words_is_decided() {
    let many: Vec<_> = (0..1200)
        .map(|n: u32| {
            let letter = |d: u32| char::from(b'a' + u8::try_from(d % 26).unwrap());
            format!("system/T{}{}.cruds", letter(n), letter(n / 26))
        })
        .collect();
    let principal = caller("client", &format!("{} system/Observation.r", many.join(" ")), None);
    assert!(authorize(policy(), &principal, Interaction::Read, Some("Observation")).is_ok());
    let mut odd = caller("clinician", "user/*.rs", None);
    odd.user.as_mut().unwrap().roles.push("\"); allow if true; //".to_owned());
    odd.purpose_of_use = "{x}$y".to_owned();
    assert!(authorize(policy(), &odd, Interaction::Read, Some("AuditEvent")).is_err());
}
