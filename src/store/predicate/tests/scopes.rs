//! Scopes: the row filters of random tokens in SQL, against the same filters tested on a resource's
//! facts in memory (as before a write), and against a third reading of them on the drawn content.

use std::collections::BTreeSet;

use proptest::prelude::*;
use salus_access::{DefaultPolicy, Permission};
use salus_fhir::Key;
use salus_fhir::json::{self, Limits};
use serde_json::json;

use super::{BASE, Bench, TENANT, draw, principal, runner};
use crate::facts::Facts;
use crate::sql::Sql;
use crate::write::{Change, Method, Precondition};

const RESOURCES: usize = 120;
const TOKENS: usize = 150;

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const CATEGORIES: [&str; 3] = ["laboratory", "vital-signs", "survey"];
const PATIENTS: [&str; 3] = ["a", "b", "c"];
const STATUS: [&str; 2] = ["final", "preliminary"];
const CODES: [&str; 3] = ["8867-4", "8480-6", "2345-7"];

#[derive(Debug, Clone)]
struct Observation {
    categories: Vec<&'static str>,
    code: &'static str,
    status: &'static str,
    subject: Option<&'static str>,
    focus: Option<&'static str>,
    day: u32,
    value: u32,
}

impl Observation {
    fn json(&self, id: &str) -> serde_json::Value {
        let coding = |system: &str, code: &str| json!({"coding": [{"system": system, "code": code}]});
        let mut resource = json!({
            "resourceType": "Observation", "id": id, "status": self.status,
            "code": coding("http://loinc.org", self.code),
            "effectiveDateTime": format!("2024-03-{:02}", self.day),
            "valueQuantity": {"value": self.value, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"},
        });
        if !self.categories.is_empty() {
            resource["category"] = self.categories.iter().map(|category| coding(CATEGORY, category)).collect();
        }
        if let Some(subject) = self.subject {
            resource["subject"] = json!({"reference": format!("Patient/{subject}")});
        }
        if let Some(focus) = self.focus {
            resource["focus"] = json!([{"reference": format!("Patient/{focus}")}]);
        }
        resource
    }

    /// Whether it is in the compartment: by `subject`, never by `focus` (CompartmentDefinition patient).
    fn is_of(&self, patient: &str) -> bool {
        self.subject == Some(patient)
    }
}

/// A granular filter, and what it means.
#[derive(Debug, Clone)]
enum Filter {
    Category(&'static str, bool),
    AnyCategory(&'static str, &'static str),
    NotStatus(&'static str),
    Code(&'static str),
    Subject(&'static str),
    From(u32),
    Below(u32),
    /// One that cannot be compiled: it grants nothing.
    Unknown,
}

impl Filter {
    fn text(&self) -> String {
        match self {
            Self::Category(category, true) => format!("category={CATEGORY}|{category}"),
            Self::Category(category, false) => format!("category={category}"),
            Self::AnyCategory(one, other) => format!("category={one},{other}"),
            Self::NotStatus(status) => format!("status:not={status}"),
            Self::Code(code) => format!("code=http://loinc.org|{code}"),
            Self::Subject(patient) => format!("subject=Patient/{patient}"),
            Self::From(day) => format!("date=ge2024-03-{day:02}"),
            Self::Below(value) => format!("value-quantity=lt{value}"),
            Self::Unknown => "no-such-parameter=1".to_owned(),
        }
    }

    fn admits(&self, observation: &Observation) -> bool {
        match self {
            Self::Category(category, _) => observation.categories.contains(category),
            Self::AnyCategory(one, other) => {
                observation.categories.contains(one) || observation.categories.contains(other)
            }
            Self::NotStatus(status) => observation.status != *status,
            Self::Code(code) => observation.code == *code,
            Self::Subject(patient) => observation.is_of(patient),
            Self::From(day) => observation.day >= *day,
            Self::Below(value) => observation.value < *value,
            Self::Unknown => false,
        }
    }
}

/// One scope: a context, a type, filters.
#[derive(Debug, Clone)]
struct Scope {
    /// `patient/` rather than `system/`.
    launch: bool,
    /// On Observation rather than on Condition, which is to open nothing here.
    observation: bool,
    filters: Vec<Filter>,
}

impl Scope {
    fn text(&self) -> String {
        let context = if self.launch { "patient" } else { "system" };
        let resource_type = if self.observation { "Observation" } else { "Condition" };
        let filters: Vec<String> = self.filters.iter().map(Filter::text).collect();
        let mark = if filters.is_empty() { "" } else { "?" };
        format!("{context}/{resource_type}.rs{mark}{}", filters.join("&"))
    }

    fn admits(&self, observation: &Observation, launch: Option<&str>) -> bool {
        let reached = match (self.launch, launch) {
            (false, _) => true,
            (true, Some(patient)) => observation.is_of(patient),
            (true, None) => false,
        };
        self.observation && reached && self.filters.iter().all(|filter| filter.admits(observation))
    }
}

fn observation() -> impl Strategy<Value = Observation> {
    (
        prop::sample::subsequence(CATEGORIES.to_vec(), 0..=2),
        prop::sample::select(CODES.to_vec()),
        prop::sample::select(STATUS.to_vec()),
        prop::option::weighted(0.9, prop::sample::select(PATIENTS.to_vec())),
        prop::option::weighted(0.3, prop::sample::select(PATIENTS.to_vec())),
        1..6_u32,
        1..6_u32,
    )
        .prop_map(|(categories, code, status, subject, focus, day, value)| Observation {
            categories,
            code,
            status,
            subject,
            focus,
            day,
            value,
        })
}

fn filter() -> impl Strategy<Value = Filter> {
    let category = || prop::sample::select(CATEGORIES.to_vec());
    prop_oneof![
        4 => (category(), any::<bool>()).prop_map(|(category, system)| Filter::Category(category, system)),
        2 => (category(), category()).prop_map(|(one, other)| Filter::AnyCategory(one, other)),
        2 => prop::sample::select(STATUS.to_vec()).prop_map(Filter::NotStatus),
        2 => prop::sample::select(CODES.to_vec()).prop_map(Filter::Code),
        2 => prop::sample::select(PATIENTS.to_vec()).prop_map(Filter::Subject),
        2 => (1..7_u32).prop_map(Filter::From),
        2 => (1..7_u32).prop_map(Filter::Below),
        1 => Just(Filter::Unknown),
    ]
}

fn scope() -> impl Strategy<Value = Scope> {
    (any::<bool>(), prop::bool::weighted(0.8), prop::collection::vec(filter(), 0..3))
        .prop_map(|(launch, observation, filters)| Scope { launch, observation, filters })
}

pub(super) async fn agree(bench: &Bench) {
    let mut runner = runner(2);
    let observations: Vec<Observation> = (0..RESOURCES).map(|_| draw(&mut runner, &observation())).collect();
    let facts = store(bench, &observations).await;
    let (mut some, mut none) = (0, 0);
    for _ in 0..TOKENS {
        let scopes: Vec<Scope> = draw(&mut runner, &prop::collection::vec(scope(), 1..4));
        let launch = draw(&mut runner, &prop::option::weighted(0.8, prop::sample::select(PATIENTS.to_vec())));
        let text: Vec<String> = scopes.iter().map(Scope::text).collect();
        let expected: BTreeSet<Key> = observations
            .iter()
            .zip(&facts)
            .filter(|(observation, _)| scopes.iter().any(|scope| scope.admits(observation, launch)))
            .map(|(_, facts)| facts.rid)
            .collect();
        // A scope that opens nothing lets the request itself be authorized, whatever was drawn.
        let scope = format!("system/Observation.rs?_id=nothing {}", text.join(" "));
        let who = principal(TENANT, &scope, launch, "TREAT", &[]);
        let access = bench.access(DefaultPolicy::PermitAll, &who);
        let view = bench.view(&access);
        let mut sql = Sql::default();
        sql.push("SELECT r.rid FROM resource r WHERE r.tenant = ").bind(TENANT);
        sql.push(" AND r.type = 'Observation' AND ");
        view.write_related(Permission::Read, "Observation", "r", &mut sql);
        assert_eq!(bench.rows(&sql).await, expected, "in SQL: {text:?}, launch {launch:?}");
        let mut sql = Sql::default();
        sql.push("SELECT r.rid FROM resource r WHERE r.tenant = ").bind(TENANT).push(" AND ");
        view.write_types(Permission::Read, &["Observation", "Patient"], "r", &mut sql);
        assert_eq!(bench.rows(&sql).await, expected, "by types: {text:?}, launch {launch:?}");
        let condition = view.grants("Observation");
        let held: BTreeSet<Key> = facts.iter().filter(|facts| condition.holds(facts)).map(|facts| facts.rid).collect();
        assert_eq!(held, expected, "in memory: {text:?}, launch {launch:?}");
        *if expected.is_empty() { &mut none } else { &mut some } += 1;
    }
    println!("{some} tokens reach something, {none} nothing");
    assert!(some > TOKENS / 3 && none > 5, "{some} {none}");
}

/// Stores them the usual way; their facts.
async fn store(bench: &Bench, observations: &[Observation]) -> Vec<Facts> {
    let access = std::sync::Arc::new(salus_access::Access::system("test", TENANT));
    let (mut changes, mut facts) = (Vec::new(), Vec::new());
    for (number, observation) in observations.iter().enumerate() {
        let id = format!("o{number}");
        let text = observation.json(&id).to_string();
        let value = json::parse(&text, &Limits::default()).unwrap();
        facts.push(Facts::of(&bench.definitions, BASE, "Observation", &id, &value));
        changes.push(Change {
            access: access.clone(),
            resource_type: "Observation".to_owned(),
            content: Some(bench.store.content("Observation", &id, &value)),
            id,
            method: Method::Put,
            precondition: Precondition::None,
        });
    }
    bench.store.commit(&changes, |_| Vec::new()).await.unwrap();
    facts
}
