//! Consent: `write_consent` against `salus_access::consent::decide`, `write_restricts` against
//! `restricts`. Each world of patients, Consents and rows is a tenant.

use std::collections::BTreeSet;

use proptest::prelude::*;
use salus_access::consent::keys::{CONFIDENTIALITY, code_key, label_key, reference_key, row_label_keys};
use salus_access::consent::{ConsentContext, Decision, RowFacts, decide, restricts};
use salus_access::{ConsentRule, DefaultPolicy, Effect, Permission};
use salus_fhir::Key;
use uuid::Uuid;

use super::{BASE, Bench, POLICIES, draw, principal, runner};
use crate::facts::{code_key as token_key, type_key};
use crate::predicate::{OfPatient, View};
use crate::search::{SearchContext, SearchQuery};
use crate::sql::{NO_PATIENT, SEVERAL_PATIENTS, Sql, uuid, uuids};

const WORLDS: i32 = 160;
const CALLERS: usize = 6;
const TYPES: [&str; 4] = ["Observation", "Condition", "Patient", "Consent"];
const ACTORS: [&str; 3] = ["Organization/a", "Organization/b", "https://elsewhere.test/fhir/Organization/a"];
const PURPOSES: [&str; 4] = ["TREAT", "HRESCH", "HPAYMT", "BTG"];

#[derive(Debug, Clone)]
struct Row {
    rid: Key,
    resource_type: &'static str,
    /// Numbers of its patients.
    patients: Vec<u8>,
    keys: Vec<Key>,
    label: &'static str,
    sort: i64,
}

#[derive(Debug, Clone)]
struct Caller {
    purpose: &'static str,
    actors: Vec<&'static str>,
    now: i64,
    default_policy: DefaultPolicy,
}

fn patient(number: u8) -> Key {
    Key::resource("Patient", &format!("p{number}"))
}

fn rid(number: usize) -> Key {
    Key::resource("Row", &number.to_string())
}

fn code(number: u8) -> Key {
    code_key(Some("http://loinc.org"), &number.to_string())
}

/// One or two of the items, or, so that rules are not all too narrow, no demand at all.
fn some<T: Clone + std::fmt::Debug + 'static>(items: Vec<T>, often: f64) -> impl Strategy<Value = Option<Vec<T>>> {
    prop::option::weighted(often, prop::collection::vec(prop::sample::select(items), 1..3))
}

fn span(often: f64) -> impl Strategy<Value = (Option<i64>, Option<i64>)> {
    (prop::option::weighted(often, 0..4_i64), prop::option::weighted(often, 2..7_i64))
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn rule() -> impl Strategy<Value = ConsentRule> {
    let actors = ACTORS.iter().map(|actor| reference_key(actor, BASE)).collect();
    let caller = (
        span(0.25),
        some(actors, 0.25),
        some(owned(&PURPOSES), 0.35),
        some(owned(&["access", "use", "disclose", "collect", "correct"]), 0.25),
    );
    let data = (
        some(owned(&TYPES), 0.3),
        some((0..4).map(code).collect(), 0.35),
        some(["N", "R", "V"].map(|level| label_key(CONFIDENTIALITY, level)).to_vec(), 0.25),
        some((0..12).map(rid).collect(), 0.15),
        span(0.2),
    );
    (any::<bool>(), caller, data).prop_map(|(deny, caller, data)| ConsentRule {
        patient: Key(0),
        consent: Key(0),
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

/// The rules of one Consent: each hangs below an earlier one, half of them below the one before.
fn tree() -> impl Strategy<Value = Vec<ConsentRule>> {
    prop::collection::vec((rule(), any::<prop::sample::Index>(), any::<bool>()), 1..7).prop_map(|drawn| {
        let mut rules: Vec<ConsentRule> = Vec::new();
        for (mut rule, place, last) in drawn {
            rule.node = i32::try_from(rules.len()).unwrap();
            if let Some(above) = if last { rules.last() } else { rules.get(place.index(rules.len().max(1))) } {
                rule.parent = Some(above.node);
                rule.ancestors = above.ancestors.iter().copied().chain([above.node]).collect();
            }
            rule.path = format!("node {}", rule.node);
            rules.push(rule);
        }
        rules
    })
}

/// Consents of three patients; the third often has none.
fn rules() -> impl Strategy<Value = Vec<ConsentRule>> {
    prop::collection::vec((tree(), prop::sample::select(vec![0_u8, 0, 1, 1, 2])), 0..5).prop_map(|trees| {
        let placed = trees.into_iter().enumerate().flat_map(|(number, (tree, owner))| {
            let consent = Key::resource("Consent", &number.to_string());
            tree.into_iter().map(move |rule| ConsentRule { consent, patient: patient(owner), ..rule })
        });
        placed.collect()
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        prop::sample::select(TYPES.to_vec()),
        prop::sample::select(vec![vec![], vec![0], vec![0], vec![1], vec![1], vec![2], vec![0, 1], vec![1, 2]]),
        prop::collection::vec(0..4_u8, 0..3),
        prop::sample::select(vec!["", "", "N", "R", "V"]),
        0..7_i64,
    );
    prop::collection::vec(row, 12).prop_map(|drawn| {
        let numbered = drawn.into_iter().enumerate();
        numbered
            .map(|(number, (resource_type, patients, codes, labelled, sort))| {
                let labels = Some((CONFIDENTIALITY, labelled)).filter(|_| !labelled.is_empty());
                let mut keys: Vec<Key> = codes.into_iter().map(code).chain(row_label_keys(labels)).collect();
                keys.extend(patients.iter().copied().map(patient));
                Row { rid: rid(number), resource_type, patients, keys, label: labelled, sort }
            })
            .collect()
    })
}

fn caller() -> impl Strategy<Value = Caller> {
    (
        prop::sample::select(PURPOSES.to_vec()),
        prop::collection::vec(prop::sample::select(ACTORS.to_vec()), 0..3),
        0..7_i64,
        prop::sample::select(POLICIES.to_vec()),
    )
        .prop_map(|(purpose, actors, now, default_policy)| Caller { purpose, actors, now, default_policy })
}

/// What the definition says of a row. A row in nobody's compartment has no patient who could permit.
fn permits(rules: &[ConsentRule], row: &Row, context: &ConsentContext<'_>, default: DefaultPolicy) -> (bool, Decision) {
    let its: Vec<Key> = row.patients.iter().copied().map(patient).collect();
    let rules: Vec<ConsentRule> = rules.iter().filter(|rule| its.contains(&rule.patient)).cloned().collect();
    let facts = RowFacts { resource_type: row.resource_type, keys: &row.keys, sort: row.sort, rid: row.rid };
    let decision = decide(&rules, &facts, context);
    let default = match default {
        DefaultPolicy::BreakGlassOnly | DefaultPolicy::Deny if its.is_empty() => DefaultPolicy::PermitAll,
        other => other,
    };
    (decision.permits(default, &facts, context.break_glass), decision)
}

/// Draws the worlds, asks both sides, and compares. Also that the drawing was worth it: every kind of
/// decision came up often.
pub(super) async fn agree(bench: &Bench) {
    let mut runner = runner(1);
    let (mut hidden, mut permitted, mut left, mut restricted) = (0, 0, 0, 0);
    for tenant in 1..=WORLDS {
        let (rules, rows) = (draw(&mut runner, &rules()), draw(&mut runner, &rows()));
        insert(bench, tenant, &rules, &rows).await;
        for _ in 0..CALLERS {
            let caller = draw(&mut runner, &caller());
            let who = principal(tenant, "system/*.cruds", None, caller.purpose, &caller.actors);
            let access = bench.access(caller.default_policy, &who);
            let view = View { now: caller.now, ..bench.view(&access) };
            let context = ConsentContext::new(access.consent(), caller.now).unwrap();
            assert_eq!(context.break_glass, caller.purpose == "BTG");
            let mut expected = BTreeSet::new();
            for row in &rows {
                let (visible, decision) = permits(&rules, row, &context, caller.default_policy);
                expected.extend(visible.then_some(row.rid));
                match decision {
                    Decision::Deny { .. } => hidden += 1,
                    Decision::Permit { .. } => permitted += 1,
                    Decision::NoRule => left += 1,
                }
            }
            let case = || format!("{caller:?}\n{rules:#?}\n{rows:#?}");
            assert_eq!(bench.rows(&of_types(&view, tenant)).await, expected, "{}", case());
            assert_eq!(bench.rows(&each_type(&view, tenant)).await, expected, "{}", case());
            same_totals(bench, &view, &rows, &expected).await;
            for number in 0..3 {
                let of_patient = bench.rows(&of_patient(&view, tenant, patient(number))).await;
                assert_eq!(of_patient, expected, "patient {number}\n{}", case());
            }
            restricted += same_restrictions(bench, &view, &rules, &context).await;
        }
    }
    println!("{hidden} denied, {permitted} permitted, {left} left to the default, {restricted} restricted");
    for (what, count) in [("denied", hidden), ("permitted", permitted), ("left", left), ("restricted", restricted)] {
        assert!(count > 300, "too few {what}: {count}");
    }
}

/// The predicate over all types at once, as system history and includes have it.
fn of_types(view: &View<'_>, tenant: i32) -> Sql {
    let mut sql = start(tenant);
    view.write_types(Permission::Search, &TYPES, "r", &mut sql);
    sql
}

/// The predicate type by type, as reads and searches have it.
fn each_type(view: &View<'_>, tenant: i32) -> Sql {
    let mut sql = Sql::default();
    for (position, resource_type) in TYPES.iter().enumerate() {
        sql.push(if position > 0 { " UNION ALL " } else { "" });
        sql.push("SELECT r.rid FROM resource r WHERE r.tenant = ").bind(tenant);
        sql.push(" AND r.type = ").bind(*resource_type).push(" AND ");
        view.write(resource_type, "r", &mut sql);
    }
    sql
}

/// The predicate where one patient's Consents are asked first, as model inputs have it, whoever the rows are of.
fn of_patient(view: &View<'_>, tenant: i32, patient: Key) -> Sql {
    let mut sql = Sql::default();
    sql.push("WITH c AS MATERIALIZED (SELECT ");
    view.write_restricts(patient, &mut sql);
    sql.push(" AS restricts)");
    let of = OfPatient { patient, restricts: "(SELECT c.restricts FROM c)" };
    for (position, resource_type) in TYPES.iter().enumerate() {
        sql.push(if position > 0 { " UNION ALL " } else { " " });
        sql.push("SELECT r.rid FROM resource r WHERE r.tenant = ").bind(tenant);
        sql.push(" AND r.type = ").bind(*resource_type).push(" AND ");
        view.write_of_patient(&of, &[resource_type], "r", &mut sql);
    }
    sql
}

fn start(tenant: i32) -> Sql {
    let mut sql = Sql::default();
    sql.push("SELECT r.rid FROM resource r WHERE r.tenant = ").bind(tenant).push(" AND ");
    sql
}

/// Counts each type in the index, with and without a limit.
async fn same_totals(bench: &Bench, view: &View<'_>, rows: &[Row], visible: &BTreeSet<Key>) {
    for resource_type in TYPES {
        let of_type = || rows.iter().filter(|row| row.resource_type == resource_type);
        let expected = of_type().filter(|row| visible.contains(&row.rid)).count() as i64;
        let (query, _) = SearchQuery::parse(&view.definitions, SearchContext::of_type(resource_type), &[]).unwrap();
        let compiled = query.compile(view).unwrap();
        assert_eq!(
            bench.count(&compiled.count(view, None)).await,
            Some(expected),
            "{resource_type} {:?}\n{rows:#?}",
            view.access
        );
        let within = (of_type().count() <= 3).then_some(expected);
        assert_eq!(
            bench.count(&compiled.count(view, Some(3))).await,
            within,
            "{resource_type} {:?}\n{rows:#?}",
            view.access
        );
    }
}

/// Compares `write_restricts` for each patient; how many are restricted.
async fn same_restrictions(
    bench: &Bench,
    view: &View<'_>,
    rules: &[ConsentRule],
    context: &ConsentContext<'_>,
) -> usize {
    let mut restricted = 0;
    for number in 0..3 {
        let its: Vec<ConsentRule> = rules.iter().filter(|rule| rule.patient == patient(number)).cloned().collect();
        let expected = restricts(&its, context);
        let mut sql = Sql::default();
        sql.push("SELECT u.rid FROM (VALUES (").bind(patient(number)).push(")) u(rid) WHERE ");
        view.write_restricts(patient(number), &mut sql);
        assert_eq!(!bench.rows(&sql).await.is_empty(), expected, "{context:?}\n{its:#?}");
        restricted += usize::from(expected);
    }
    restricted
}

const INSERT_ROW: &str = "
    INSERT INTO resource (tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, indexed,
                          patients, body)
    VALUES ($1, $2, $3, $4, 'x', 1, 0, $5, false, 'POST', $6, 0, '{}', '{}')";

const INSERT_ENTRY: &str = "INSERT INTO search_index (tenant, key, sort, rid, patient) VALUES ($1, $2, $3, $4, $5)";

const INSERT_RULE: &str = "
    INSERT INTO consent_rule (tenant, patient, consent, node, parent, ancestors, path, deny, period_low, period_high,
                              actors, purposes, actions, classes, codes, labels, data, data_low, data_high)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

async fn insert(bench: &Bench, tenant: i32, rules: &[ConsentRule], rows: &[Row]) {
    let mut client = bench.store.client().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    for row in rows {
        let shard = match row.patients.as_slice() {
            [] => NO_PATIENT,
            [one] => patient(*one),
            _ => SEVERAL_PATIENTS,
        };
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&tenant, &uuid(row.rid), &uuid(shard), &row.resource_type, &row.sort, &uuids(&row.keys)];
        let statement = transaction.prepare_cached(INSERT_ROW).await.unwrap();
        transaction.execute(&statement, &parameters).await.unwrap();
        for key in [type_key(row.resource_type), token_key(row.resource_type, "_security", row.label)] {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
                [&tenant, &uuid(key), &row.sort, &uuid(row.rid), &uuid(shard)];
            let statement = transaction.prepare_cached(INSERT_ENTRY).await.unwrap();
            transaction.execute(&statement, &parameters).await.unwrap();
        }
    }
    for rule in rules {
        let keys = |keys: &Option<Vec<Key>>| -> Option<Vec<Uuid>> { keys.as_deref().map(uuids) };
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 19] = [
            &tenant,
            &uuid(rule.patient),
            &uuid(rule.consent),
            &rule.node,
            &rule.parent,
            &rule.ancestors,
            &rule.path,
            &(rule.effect == Effect::Deny),
            &rule.period.0,
            &rule.period.1,
            &keys(&rule.actors),
            &rule.purposes,
            &rule.actions,
            &rule.classes,
            &keys(&rule.codes),
            &keys(&rule.labels),
            &keys(&rule.data),
            &rule.data_period.0,
            &rule.data_period.1,
        ];
        let statement = transaction.prepare_cached(INSERT_RULE).await.unwrap();
        transaction.execute(&statement, &parameters).await.unwrap();
    }
    transaction.commit().await.unwrap();
}
