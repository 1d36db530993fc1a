//! SMART App Launch 2.2, "Scopes and Launch Context", as a table.

use proptest::prelude::*;

use super::*;

fn one(text: &str) -> Scope {
    text.parse().unwrap()
}

fn narrowed(requested: &str, allowed: &str) -> String {
    let scopes = narrow(&parse_scopes(requested), &parse_scopes(allowed), Wildcard::AllTypes);
    scopes.iter().map(Scope::to_string).collect::<Vec<_>>().join(" ")
}

#[test]
fn v1_permissions_mean_their_v2_letters() {
    for (v1, letters) in [("read", "rs"), ("write", "cud"), ("*", "cruds")] {
        let Scope::Resource { permissions, v1: is_v1, .. } = one(&format!("user/Patient.{v1}")) else {
            panic!("a resource scope");
        };
        assert_eq!((permissions.to_string().as_str(), is_v1), (letters, true));
    }
}

#[test]
fn scopes_are_written_back_as_they_came() {
    let text = "patient/Observation.rs?category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory \
                patient/*.read user/*.cruds system/Patient.* system/Patient.write launch launch/patient openid \
                fhirUser profile offline_access online_access https://example.org/scope \
                user/Observation.s?category=survey&status=final";
    let words: Vec<_> = text.split_whitespace().collect();
    assert_eq!(parse_scopes(text).iter().map(Scope::to_string).collect::<Vec<_>>(), words);
}

#[test]
fn every_ordered_subset_of_cruds_is_a_permission_set() {
    for bits in 1..32_u32 {
        let letters: String =
            "cruds".chars().enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, c)| c).collect();
        assert_eq!(Permissions::from_letters(&letters).unwrap().to_string(), letters);
    }
}

#[test]
fn malformed_resource_scopes_are_refused_and_grant_nothing_in_a_list() {
    for text in [
        "patient/Observation.sr",
        "patient/Observation.rr",
        "patient/Observation.",
        "patient/Observation.x",
        "patient/Observation",
        "patient/observation.rs",
        "patient/.rs",
        "patient/Obs*.rs",
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?=x",
        "patient/Observation.rs?category=%4",
        "patient/Observation.rs?category=%ff",
        "patient/Observation.rs?category=%00",
        "patient/Observation.rs?_include=Observation:subject",
        "patient/Observation.rs?_has:X:y:z=1",
        "patient/Observation.rs?subject.name=x",
        "patient/Observation.rs?subject:Patient.name=x",
        "patient/Observation.rs?code:text=x",
        "patient/Location.rs?near=1|2|3|km",
        "patient/Observation.read?category=x",
    ] {
        assert!(text.parse::<Scope>().is_err(), "{text}");
        assert_eq!(parse_scopes(text), [Scope::Other(text.to_owned())]);
    }
}

#[test]
fn filters_are_percent_decoded_and_all_kept() {
    let Scope::Resource { filters, .. } = one("user/Condition.rs?category=http%3A%2F%2Fx%7Ca%26b&code:in=caf%C3%A9+au")
    else {
        panic!("a resource scope");
    };
    assert_eq!(
        filters,
        [("category".to_owned(), "http://x|a&b".to_owned()), ("code:in".to_owned(), "café+au".to_owned())]
    );
}

#[test]
fn a_request_is_cut_down_to_what_is_registered() {
    for (requested, allowed, granted) in [
        ("system/Observation.rs", "system/*.cruds", "system/Observation.rs"),
        ("system/*.cruds", "system/Observation.rs", "system/Observation.rs"),
        ("system/*.cruds", "system/Observation.rs system/Patient.r", "system/Observation.rs system/Patient.r"),
        ("system/Observation.cruds", "system/*.rs", "system/Observation.rs"),
        ("system/Observation.c", "system/*.rs", ""),
        ("user/Observation.rs", "system/*.rs", ""),
        ("patient/*.read", "patient/*.rs", "patient/*.read"),
        ("patient/*.*", "patient/*.rs", "patient/*.read"),
        ("user/Observation.rs", "user/Observation.rs?category=a", "user/Observation.rs?category=a"),
        (
            "user/Observation.rs?category=b",
            "user/Observation.rs?category=a",
            "user/Observation.rs?category=b&category=a",
        ),
        ("openid launch/patient x", "openid fhirUser launch/patient", "openid launch/patient"),
        ("user/Observation.rs user/*.rs", "user/*.rs", "user/*.rs"),
        ("patient/Observation.sr", "patient/*.cruds", ""),
    ] {
        assert_eq!(narrowed(requested, allowed), granted, "{requested} within {allowed}");
    }
}

fn any_scope() -> impl Strategy<Value = Scope> {
    let context = prop_oneof![Just(Context::Patient), Just(Context::User), Just(Context::System)];
    let filter = ("[a-z]{1,3}(:not)?", "[ -~é&=%?#]{1,6}");
    let name = prop_oneof![Just("*".to_owned()), "[A-C]"];
    (context, name, 1..32_u8, prop::collection::vec(filter, 0..3)).prop_map(
        |(context, resource_type, bits, filters)| {
            let chosen: Vec<_> = Permission::ALL.into_iter().filter(|p| bits & (1 << *p as u8) != 0).collect();
            Scope::Resource { context, resource_type, permissions: Permissions::of(&chosen), filters, v1: false }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back(scope in any_scope()) {
        prop_assert_eq!(scope.to_string().parse::<Scope>().unwrap(), scope);
    }

    #[test]
    fn reading_never_panics_and_loses_nothing(text in "(patient|user|system|launch)?/?[ -~é]{0,30}") {
        let words = parse_scopes(&text);
        prop_assert!(words.len() <= text.split(' ').count());
        let _ = text.parse::<Scope>();
    }

    #[test]
    fn narrowing_twice_changes_nothing(
        requested in prop::collection::vec(any_scope(), 0..4),
        allowed in prop::collection::vec(any_scope(), 0..4),
    ) {
        let once = narrow(&requested, &allowed, Wildcard::AllTypes);
        let again = narrow(&once, &allowed, Wildcard::AllTypes);
        prop_assert_eq!(narrow(&again, &once, Wildcard::AllTypes).len(), again.len());
        for scope in &once {
            let Scope::Resource { context, permissions, .. } = scope else { continue };
            let within = allowed.iter().any(|bound| matches!(bound,
                Scope::Resource { context: c, permissions: p, .. }
                    if c == context && permissions.is_subset_of(*p)));
            prop_assert!(within);
        }
    }
}

/// Decision 9: nobody asks by name for what they were registered for by a wildcard, where it leaves out the trail.
#[test]
fn a_wildcard_without_the_trail_gives_none_of_it() {
    let narrow = |requested, allowed| {
        let scopes = narrow(&parse_scopes(requested), &parse_scopes(allowed), Wildcard::AllButTrail);
        scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(narrow("system/AuditEvent.rs", "system/*.cruds"), "");
    assert_eq!(narrow("system/*.cruds", "system/AuditEvent.rs"), "");
    assert_eq!(narrow("system/*.rs", "system/*.cruds"), "system/*.rs");
    assert_eq!(narrow("system/Patient.rs", "system/*.cruds"), "system/Patient.rs");
    let both = "system/*.rs system/AuditEvent.rs";
    assert_eq!(narrow(both, both), both);
    assert_eq!(narrow("system/AuditEvent.rs", both), "system/AuditEvent.rs");
    assert_eq!(narrow("system/*.rs", both), "system/*.rs");
}
