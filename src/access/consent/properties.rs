//! What must hold of the semantics, whatever the rules.

use proptest::prelude::*;

use super::*;
use crate::access::DefaultPolicy;

fn key(number: u8) -> Key {
    Key::of(&["test", &number.to_string()])
}

fn keys() -> impl Strategy<Value = Option<Vec<Key>>> {
    prop::option::of(prop::collection::vec((0..3_u8).prop_map(key), 1..3))
}

fn span() -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    (prop::option::of(0..4_i64), prop::option::of(2..6_i64))
}

fn words(from: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<String>>> {
    prop::option::of(prop::collection::vec(prop::sample::select(from).prop_map(str::to_owned), 1..3))
}

/// A rule without a place in a tree.
fn rule() -> impl Strategy<Value = ConsentRule> {
    let caller = (span(), keys(), words(&["TREAT", "HRESCH"]), words(&["access", "correct"]));
    let data = (words(&["Observation", "Condition", "Consent"]), keys(), keys(), keys(), span());
    (any::<bool>(), caller, data).prop_map(|(deny, caller, data)| ConsentRule {
        patient: key(100),
        consent: key(101),
        node: 0,
        parent: None,
        ancestors: Vec::new(),
        path: String::new(),
        effect: if deny { Effect::Deny } else { Effect::Permit },
        period: caller.0,
        actors: caller.1,
        purposes: caller.2,
        actions: caller.3,
        classes: data.0,
        codes: data.1,
        labels: data.2,
        data: data.3,
        data_period: data.4,
    })
}

/// The rules of one Consent: each is put below an earlier one.
fn tree() -> impl Strategy<Value = Vec<ConsentRule>> {
    prop::collection::vec((rule(), any::<prop::sample::Index>()), 1..6).prop_map(|drawn| {
        let mut rules: Vec<ConsentRule> = Vec::new();
        for (mut rule, place) in drawn {
            rule.node = i32::try_from(rules.len()).unwrap();
            if !rules.is_empty() {
                let above = &rules[place.index(rules.len())];
                rule.parent = Some(above.node);
                rule.ancestors = above.ancestors.iter().copied().chain([above.node]).collect();
            }
            rule.path = format!("{}", rule.node);
            rules.push(rule);
        }
        rules
    })
}

/// The rules of some Consents of one patient.
fn rules() -> impl Strategy<Value = Vec<ConsentRule>> {
    prop::collection::vec(tree(), 0..4).prop_map(|trees| {
        let number = |(index, tree): (usize, Vec<ConsentRule>)| {
            let consent = key(110 + u8::try_from(index).unwrap());
            tree.into_iter().map(move |rule| ConsentRule { consent, ..rule })
        };
        trees.into_iter().enumerate().flat_map(number).collect()
    })
}

#[derive(Debug, Clone)]
struct Case {
    resource_type: &'static str,
    keys: Vec<Key>,
    sort: i64,
    actors: Vec<Key>,
    purpose: &'static str,
    now: i64,
}

impl Case {
    fn row(&self) -> RowFacts<'_> {
        RowFacts { resource_type: self.resource_type, keys: &self.keys, sort: self.sort, rid: key(0) }
    }

    fn context(&self) -> ConsentContext<'_> {
        ConsentContext { purpose: self.purpose, actors: &self.actors, now: self.now, break_glass: false }
    }

    fn decide(&self, rules: &[ConsentRule]) -> Decision {
        decide(rules, &self.row(), &self.context())
    }

    fn visible(&self, rules: &[ConsentRule], default: DefaultPolicy) -> bool {
        self.decide(rules).permits(default, &self.row(), false)
    }
}

fn case() -> impl Strategy<Value = Case> {
    let numbers = || prop::collection::vec((0..3_u8).prop_map(key), 0..3);
    let types = prop::sample::select(&["Observation", "Condition", "Patient", "Consent"][..]);
    let purposes = prop::sample::select(&["TREAT", "HRESCH", "HPAYMT"][..]);
    (types, numbers(), 0..6_i64, numbers(), purposes, 0..6_i64).prop_map(
        |(resource_type, keys, sort, actors, purpose, now)| Case { resource_type, keys, sort, actors, purpose, now },
    )
}

fn default_policy() -> impl Strategy<Value = DefaultPolicy> {
    prop::sample::select(
        &[DefaultPolicy::PermitNormal, DefaultPolicy::PermitAll, DefaultPolicy::BreakGlassOnly, DefaultPolicy::Deny][..],
    )
}

proptest! {
    #[test]
    fn order_does_not_matter(rules in rules(), case in case(), seed in any::<prop::sample::Index>()) {
        let mut turned = rules.clone();
        if !turned.is_empty() {
            turned.rotate_left(seed.index(rules.len()));
            turned.reverse();
        }
        prop_assert_eq!(case.decide(&rules), case.decide(&turned));
    }

    #[test]
    fn another_consent_that_denies_reveals_nothing(
        rules in rules(), deny in rule(), case in case(), default in default_policy(),
    ) {
        let mut more = rules.clone();
        more.push(ConsentRule { effect: Effect::Deny, consent: key(200), ..deny });
        prop_assert!(case.visible(&rules, default) || !case.visible(&more, default));
    }

    #[test]
    fn a_nested_permit_changes_nothing_outside_its_parent(
        parent in rule(), exception in rule(), others in rules(), case in case(),
    ) {
        let parent = ConsentRule { effect: Effect::Deny, consent: key(200), ..parent };
        let exception = ConsentRule {
            effect: Effect::Permit, consent: key(200), node: 1, parent: Some(0), ancestors: vec![0], ..exception
        };
        let mut without = others.clone();
        without.push(parent.clone());
        let mut with = without.clone();
        with.push(exception);
        let parent_alone = case.decide(std::slice::from_ref(&parent));
        let (before, after) = (case.decide(&without), case.decide(&with));
        // Only a row that the parent hides can change, and a deny of another Consent stays.
        let hidden_by_parent = matches!(parent_alone, Decision::Deny { .. });
        prop_assert!(before == after || hidden_by_parent);
        if matches!(case.decide(&others), Decision::Deny { .. }) {
            let still_hidden = matches!(after, Decision::Deny { .. });
            prop_assert!(still_hidden, "strictest wins");
        }
    }

    #[test]
    fn what_hides_something_is_told_as_a_restriction(rules in rules(), case in case()) {
        if matches!(case.decide(&rules), Decision::Deny { .. }) {
            prop_assert!(restricts(&rules, &case.context()));
        }
    }

    #[test]
    fn what_names_no_consents_says_nothing_of_them(rules in rules(), case in case(), default in default_policy()) {
        let blind: Vec<_> =
            rules.into_iter().map(|rule| ConsentRule { classes: None, labels: None, data: None, ..rule }).collect();
        let case = Case { resource_type: "Consent", ..case };
        prop_assert_eq!(case.decide(&blind), Decision::NoRule);
        let unlabelled = !super::keys::above_normal().iter().any(|label| case.keys.contains(label));
        prop_assert!(case.visible(&blind, default) || !unlabelled);
    }

    #[test]
    fn permits_alone_never_hide(rules in rules(), case in case()) {
        let permits: Vec<_> = rules.into_iter().map(|rule| ConsentRule { effect: Effect::Permit, ..rule }).collect();
        prop_assert!(case.visible(&permits, DefaultPolicy::PermitAll));
        prop_assert!(!restricts(&permits, &case.context()));
    }

    #[test]
    fn compiling_never_panics_and_keeps_the_tree_whole(provision in "[\\[\\]{}\":,a-z0-9 ]{0,40}", depth in 0..6_usize) {
        let nested = format!(r#"{}{{"type":"permit"}}{}"#, r#"{"provision":["#.repeat(depth), "]}".repeat(depth));
        for provision in [provision, nested] {
            let text = format!(
                r#"{{"resourceType":"Consent","status":"active","scope":{{"coding":[{{"code":"patient-privacy"}}]}},
                    "patient":{{"reference":"Patient/1"}},"provision":{provision}}}"#
            );
            let Ok(value) = salus_fhir::json::parse(&text, &Default::default()) else { continue };
            let rules = compile(&value, "");
            for rule in &rules {
                prop_assert_eq!(rule.parent, rule.ancestors.last().copied());
                prop_assert!(rule.ancestors.iter().all(|node| rules.iter().any(|above| above.node == *node)));
            }
        }
    }
}
