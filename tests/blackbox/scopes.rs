//! SMART scopes over HTTP (SMART App Launch 2.2, "Scopes for requesting FHIR Resources").

use std::sync::Arc;

use salus_access::{Access, DefaultPolicy, Interaction, Policy, Principal, Settings as PolicySettings, authorize};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::{Definitions, Key};
use salus_store::cluster::Cluster;
use salus_store::search::{MetaList, SearchContext, SearchQuery};
use salus_store::{DatabaseConfig, Settings, Store};
use serde_json::{Value, json};

use crate::harness::shared_data;
use crate::{Client, Salus};

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

fn observation(patient: &str, categories: &[&str], name: &str) -> Value {
    let categories: Vec<Value> =
        categories.iter().map(|code| json!({"coding": [{"system": CATEGORY, "code": code}]})).collect();
    json!({
        "resourceType": "Observation", "status": "final", "category": categories,
        "identifier": [{"system": "urn:test", "value": name}],
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": "2024-05-01",
    })
}

/// awslabs/fhir-works-on-aws-authz-smart #83: a scope of one type opened all.
#[test]
fn a_scope_of_one_type_opens_no_other() {
    let salus = Salus::shared();
    let all = salus.client("system/*.cruds");
    let patient = all.create(&json!({"resourceType": "Patient"}));
    let id = all.create(&observation(&patient, &["exam"], "one type"));
    for scope in ["system/Procedure.rs", "system/Procedure.read", "system/Procedure.cruds", "system/Procedure.*"] {
        let client = salus.client(scope);
        assert_eq!(client.get("Procedure").status, 200, "{scope}");
        for path in [
            "Observation".to_owned(),
            "Observation?_summary=count".to_owned(),
            format!("Observation/{id}"),
            format!("Observation/{id}/_history"),
            format!("Observation/{id}/_history/1"),
            format!("Observation/{UNKNOWN}"),
            "Observation/_history".to_owned(),
            format!("Patient/{patient}"),
            format!("Patient/{patient}/$risk-score"),
            "AuditEvent".to_owned(),
        ] {
            let answer = client.get(&path);
            assert_eq!((answer.status, answer.issue().as_str()), (403, "forbidden"), "{scope} {path}");
            assert!(answer.header("www-authenticate").unwrap().contains("insufficient_scope"), "{path}");
        }
        let body = observation(&patient, &["exam"], "x").to_string();
        assert_eq!(client.post("Observation", &body).status, 403, "{scope}");
        assert_eq!(client.delete(&format!("Observation/{id}")).status, 403, "{scope}");
        assert_eq!(client.delete("Observation?identifier=urn:test|x").status, 403, "{scope}");
        // The system's history holds what the scope reaches, and nothing else.
        let history = client.get("_history?_count=1000");
        assert_eq!(history.status, 200, "{}", history.text);
        assert!(!history.text.contains("\"resourceType\":\"Observation\""), "{scope}");
    }
}

/// What each letter lets its holder do; v1 words stand for letters.
#[test]
fn letters_permit_what_they_say() {
    let salus = Salus::shared();
    let all = salus.client("system/*.cruds");
    let patient = all.create(&json!({"resourceType": "Patient"}));
    for (scope, letters) in [
        ("system/Observation.c", "c"),
        ("system/Observation.r", "r"),
        ("system/Observation.u", "u"),
        ("system/Observation.d", "d"),
        ("system/Observation.s", "s"),
        ("system/Observation.rs", "rs"),
        ("system/Observation.cruds", "cruds"),
        ("system/Observation.read", "rs"),
        ("system/Observation.write", "cud"),
        ("system/Observation.*", "cruds"),
        ("system/*.read", "rs"),
    ] {
        let client = salus.client(scope);
        let id = all.create(&observation(&patient, &["exam"], "letters"));
        let mut changed = observation(&patient, &["exam"], "letters");
        changed["id"] = id.clone().into();
        let may = |letter: char, status: u16, what: &str| {
            let expected = letters.contains(letter);
            assert_eq!(status < 300, expected, "{scope}: {what} gave {status}");
            assert!(expected || status == 403, "{scope}: {what} gave {status}");
        };
        may('r', client.get(&format!("Observation/{id}")).status, "read");
        may('r', client.get(&format!("Observation/{id}/_history/1")).status, "vread");
        may('r', client.get(&format!("Observation/{id}/_history")).status, "instance history");
        may('s', client.get("Observation?_count=1").status, "search");
        may('s', client.get("Observation?_summary=count").status, "count");
        may('s', client.get("Observation/_history?_count=1").status, "type history");
        may('c', client.post("Observation", &observation(&patient, &["exam"], "letters").to_string()).status, "create");
        may('u', client.put(&format!("Observation/{id}"), &changed.to_string()).status, "update");
        may('d', client.delete(&format!("Observation/{id}")).status, "delete");
        // A conditional interaction tells whether there is a match: it takes `s` as well.
        let conditional = client.send_with(
            "POST",
            "Observation",
            &changed.to_string(),
            &[("if-none-exist", "identifier=urn:test|no-such")],
        );
        let both = letters.contains('c') && letters.contains('s');
        assert_eq!(conditional.status == 201, both, "{scope}: {}", conditional.status);
    }
}

/// A granular client, the ward it looks at, and what is in its grant.
struct Granular {
    all: Client,
    client: Client,
    patient: String,
    /// Of category laboratory.
    inside: String,
    /// Of category vital-signs.
    outside: String,
    /// Of both.
    both: String,
    report: String,
    name: String,
}

impl Granular {
    fn new(scope: &str) -> Self {
        let salus = Salus::shared();
        let all = salus.client("system/*.cruds");
        let client = salus.client(scope);
        let patient = all.create(&json!({"resourceType": "Patient"}));
        let name = format!("granular-{patient}");
        let make =
            |categories: &[&str], kind: &str| all.create(&observation(&patient, categories, &format!("{name}-{kind}")));
        let (inside, outside) = (make(&["laboratory"], "in"), make(&["vital-signs"], "out"));
        let both = make(&["laboratory", "vital-signs"], "both");
        let results: Vec<Value> =
            [&inside, &outside, &both].map(|id| json!({"reference": format!("Observation/{id}")})).to_vec();
        let report = all.create(&json!({
            "resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"}, "result": results,
            "subject": {"reference": format!("Patient/{patient}")},
        }));
        Self { all, client, patient, inside, outside, both, report, name }
    }

    fn found(&self, query: &str) -> Vec<&str> {
        let ids = self.client.ids(&format!("Observation?subject=Patient/{}{query}", self.patient));
        let total = self.client.get(&format!("Observation?subject=Patient/{}{query}&_summary=count", self.patient));
        assert_eq!(total.json()["total"], ids.len(), "{query}");
        let name = |id: &String| match id {
            id if *id == self.inside => "in",
            id if *id == self.both => "both",
            _ => "out",
        };
        let mut names: Vec<_> = ids.iter().map(name).collect();
        names.sort_unstable();
        names
    }
}

/// onc-certification-g10-test-kit #623: filters of a scope are AND-ed to the search, whatever it asks.
#[test]
fn a_granular_scope_is_a_filter_on_everything() {
    for scope in ["laboratory", &format!("{CATEGORY}|laboratory")] {
        let ward = Granular::new(&format!(
            "system/Observation.rs?category={scope} system/Patient.rs system/DiagnosticReport.rs"
        ));
        assert_eq!(ward.found(""), ["both", "in"]);
        assert_eq!(ward.found("&category=laboratory"), ["both", "in"]);
        assert_eq!(ward.found("&category=vital-signs"), ["both"], "found by another category it has as well");
        assert_eq!(ward.found("&category=laboratory,vital-signs"), ["both", "in"]);
        assert_eq!(ward.found("&category:not=laboratory"), [""; 0]);
        assert_eq!(ward.found("&category=survey"), [""; 0]);
        assert_eq!(ward.found(&format!("&_id={}", ward.outside)), [""; 0]);
        for path in ["", "/_history", "/_history/1"] {
            let answer = ward.client.get(&format!("Observation/{}{path}", ward.outside));
            let unknown = ward.client.get(&format!("Observation/{UNKNOWN}{path}"));
            assert_eq!((answer.status, unknown.status), (404, 404), "{path}");
            assert_eq!(answer.text.replace(&ward.outside, UNKNOWN), unknown.text);
            for inside in [&ward.inside, &ward.both] {
                assert_eq!(ward.client.get(&format!("Observation/{inside}{path}")).status, 200, "{path}");
            }
        }
        let pages = ward.client.get(&format!("Observation?subject=Patient/{}&_count=1", ward.patient)).json();
        assert_eq!(pages["total"], 2);
        for (path, expected) in [
            (format!("DiagnosticReport?_id={}&_include=DiagnosticReport:result", ward.report), 2),
            (format!("Patient?_id={}&_revinclude=Observation:subject", ward.patient), 2),
        ] {
            let bundle = ward.client.get(&path).json();
            let entries = bundle["entry"].as_array().unwrap();
            let included = entries.iter().filter(|entry| entry["search"]["mode"] == "include").count();
            assert_eq!(included, expected, "{path}");
            assert!(!bundle["entry"].to_string().contains(&format!("/Observation/{}\"", ward.outside)), "{path}");
        }
        let name = &ward.name;
        for (path, expected) in [
            (format!("DiagnosticReport?_id={}&result.identifier=urn:test|{name}-out", ward.report), 0),
            (format!("DiagnosticReport?_id={}&result.identifier=urn:test|{name}-in", ward.report), 1),
            (format!("Patient?_id={}&_has:Observation:subject:identifier=urn:test|{name}-out", ward.patient), 0),
            (format!("Patient?_id={}&_has:Observation:subject:identifier=urn:test|{name}-both", ward.patient), 1),
        ] {
            assert_eq!(ward.client.ids(&path).len(), expected, "{path}");
        }
        let history = ward.client.get("Observation/_history?_count=1000").text;
        assert!(!history.contains(&ward.outside));
    }
}

/// Grants add up; within one scope, filters all must hold.
/// Sets of codes in scopes are those of the server's ValueSets and CodeSystems, as they are at each request, for reads
/// and writes alike.
#[test]
fn a_scope_may_name_a_set_of_codes() {
    let salus = Salus::shared();
    let all = salus.client("system/*.cruds");
    let system = "http://scopes.test/codes";
    let set = |codes: &[&str]| {
        let concepts: Vec<Value> = codes.iter().map(|code| json!({"code": code})).collect();
        let set = json!({"resourceType": "ValueSet", "id": "scopes-set", "url": "http://scopes.test/set",
            "status": "active", "compose": {"include": [{"system": system, "concept": concepts}]}});
        assert!(all.put("ValueSet/scopes-set", &set.to_string()).status < 300);
    };
    let hierarchy = json!({"resourceType": "CodeSystem", "id": "scopes-codes", "url": system, "status": "active",
        "content": "complete", "concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "c"}]});
    assert!(all.put("CodeSystem/scopes-codes", &hierarchy.to_string()).status < 300);
    set(&["a", "b"]);
    let patient = all.create(&json!({"resourceType": "Patient"}));
    let coded = |code: &str| {
        json!({"resourceType": "Observation", "status": "final", "subject": {"reference": format!("Patient/{patient}")},
            "code": {"coding": [{"system": system, "code": code}]}})
    };
    let [a, b, c] = ["a", "b", "c"].map(|code| all.create(&coded(code)));
    let uncoded = all.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "none"},
        "subject": {"reference": format!("Patient/{patient}")}}));
    let search = format!("Observation?patient={patient}");
    let found = |client: &Client| {
        let total = client.get(&format!("{search}&_summary=count")).json()["total"].as_i64().unwrap();
        let mut ids = client.ids(&search);
        assert_eq!(ids.len() as i64, total);
        ids.sort();
        ids
    };
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<String> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    for (scope, expected) in [
        ("system/Observation.cruds?code:in=ValueSet/scopes-set".to_owned(), sorted(&[&a, &b])),
        ("system/Observation.cruds?code:in=http://scopes.test/set".to_owned(), sorted(&[&a, &b])),
        ("system/*.cruds?code:in=ValueSet/scopes-set".to_owned(), sorted(&[&a, &b])),
        ("system/Observation.cruds?code:not-in=ValueSet/scopes-set".to_owned(), sorted(&[&c, &uncoded])),
        (format!("system/Observation.cruds?code:below={system}|a"), sorted(&[&a, &b])),
        (format!("system/Observation.cruds?code:above={system}|b"), sorted(&[&a, &b])),
        ("system/Observation.cruds?code:in=ValueSet/scopes-unheard-of".to_owned(), sorted(&[])),
    ] {
        let client = salus.client(&scope);
        assert_eq!(found(&client), expected, "{scope}");
        for id in [&a, &b, &c, &uncoded] {
            let status = if expected.contains(id) { 200 } else { 404 };
            assert_eq!(client.get(&format!("Observation/{id}")).status, status, "{scope} {id}");
        }
    }
    let narrow = salus.client("system/Observation.cruds?code:in=ValueSet/scopes-set");
    assert_eq!(narrow.post("Observation", &coded("c").to_string()).status, 403);
    let created = narrow.post("Observation", &coded("b").to_string());
    assert_eq!(created.status, 201, "{}", created.text);
    let created = created.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(narrow.delete(&format!("Observation/{created}")).status, 204);
    let entry = |code: &str| json!({"resource": coded(code), "request": {"method": "POST", "url": "Observation"}});
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry("a"), entry("c")]});
    assert_eq!(narrow.post("", &bundle.to_string()).status, 403);
    assert_eq!(narrow.get(&format!("Observation/{a}/_history/1")).status, 200);
    assert_eq!(narrow.get(&format!("Observation/{c}/_history")).status, 404);
    // As the set is now.
    set(&["c"]);
    assert_eq!(found(&narrow), std::slice::from_ref(&c));
    assert_eq!(narrow.get(&format!("Observation/{a}")).status, 404);
    // What can be tested in no resource is not granted at all.
    for scope in
        ["system/Observation.rs?code:text=x", "system/Location.rs?near=1|2|3|km", "system/Patient.rs?_filter=x"]
    {
        let answer = all.request_token(scope, &[]);
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_scope")), "{scope}");
    }
}

#[test]
fn scopes_are_ored_and_filters_anded() {
    let ward = Granular::new("system/Observation.rs?category=laboratory system/Observation.rs?category=vital-signs");
    assert_eq!(ward.found(""), ["both", "in", "out"]);
    let ward = Granular::new("system/Observation.rs?category=laboratory&category=vital-signs");
    assert_eq!(ward.found(""), ["both"]);
    let ward = Granular::new("system/Observation.rs?category=laboratory,vital-signs&status=final&date=gt2024-04");
    assert_eq!(ward.found(""), ["both", "in", "out"]);
    let ward = Granular::new("system/Observation.rs?date=lt2024-04");
    assert_eq!(ward.found(""), [""; 0]);
    let ward = Granular::new("system/Observation.rs?no-such-parameter=1");
    assert_eq!(ward.found(""), [""; 0], "what cannot be compiled grants nothing");
}

/// Chains take `s` on the type they pass through, includes `r` on what they take along.
#[test]
fn chains_and_includes_take_scopes_of_their_own() {
    let ward = Granular::new("system/DiagnosticReport.rs");
    let report = &ward.report;
    for path in [
        format!("DiagnosticReport?_id={report}&subject:Patient._id={}", ward.patient),
        format!("DiagnosticReport?_id={report}&result.code=8867-4"),
        format!("DiagnosticReport?_id={report}&subject:Patient._has:Observation:subject:code=8867-4"),
    ] {
        assert_eq!(ward.all.ids(&path).len(), 1, "{path}");
        assert_eq!(ward.client.ids(&path).len(), 0, "{path}");
    }
    let path = format!(
        "DiagnosticReport?_id={report}&_include=DiagnosticReport:*&_include=DiagnosticReport:result&_include=DiagnosticReport:subject&_revinclude=Provenance:target"
    );
    assert_eq!(ward.client.get(&path).json()["entry"].as_array().unwrap().len(), 1);
}

#[test]
fn writes_outside_the_grant_are_refused() {
    let ward = Granular::new("system/Observation.cruds?category=laboratory");
    let client = &ward.client;
    let lab = |name: &str| observation(&ward.patient, &["laboratory"], name).to_string();
    let vital = |id: &str| {
        let mut resource = observation(&ward.patient, &["vital-signs"], "vital");
        resource["id"] = id.into();
        resource.to_string()
    };
    assert_eq!(client.post("Observation", &lab("own")).status, 201);
    let answer = client.post("Observation", &vital("x"));
    assert_eq!((answer.status, answer.issue().as_str()), (403, "forbidden"));
    // Out of the grant by an update, and into it.
    assert_eq!(client.put(&format!("Observation/{}", ward.inside), &vital(&ward.inside)).status, 403);
    assert_eq!(client.put(&format!("Observation/{}", ward.outside), &vital(&ward.outside)).status, 404);
    let mut taken: Value = serde_json::from_str(&lab("taken")).unwrap();
    taken["id"] = ward.outside.clone().into();
    assert_eq!(client.put(&format!("Observation/{}", ward.outside), &taken.to_string()).status, 404);
    assert_eq!(client.delete(&format!("Observation/{}", ward.outside)).status, 404);
    assert_eq!(
        client.put(&format!("Observation/new-{}", ward.patient), &vital(&format!("new-{}", ward.patient))).status,
        403
    );
    // The same by criteria and in a transaction.
    let criteria = format!("identifier=urn:test|{}-out", ward.name);
    let deleted = client.delete(&format!("Observation?{criteria}"));
    assert!(deleted.status < 300 || deleted.status == 404, "{}", deleted.status);
    let entry = |resource: &str| {
        json!({"resource": serde_json::from_str::<Value>(resource).unwrap(),
        "request": {"method": "POST", "url": "Observation"}})
    };
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry(&lab("in-bundle")), entry(&vital("x"))]});
    assert_eq!(client.post("", &bundle.to_string()).status, 403);
    assert!(client.ids("Observation?identifier=urn:test|in-bundle").is_empty(), "nothing was half written");
    assert_eq!(ward.all.get(&format!("Observation/{}", ward.outside)).json()["meta"]["versionId"], "1");
    assert_eq!(ward.all.get(&format!("Observation/{}", ward.inside)).json()["meta"]["versionId"], "1");
}

/// Whoever may create but search only in part does not learn by criteria what there is.
#[test]
fn criteria_are_no_oracle() {
    let ward = Granular::new("system/Observation.c system/Observation.s?category=laboratory system/DiagnosticReport.c");
    let client = &ward.client;
    let criteria = format!("identifier=urn:test|{}-out", ward.name);
    let body = observation(&ward.patient, &["laboratory"], "mine").to_string();
    let created = client.send_with("POST", "Observation", &body, &[("if-none-exist", &criteria)]);
    assert_eq!(created.status, 201, "{}", created.text);
    assert_ne!(created.json()["id"], ward.outside.as_str());
    let refer = |criteria: &str| {
        let report = json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"},
            "result": [{"reference": format!("Observation?{criteria}")}]});
        let entry = json!([{"resource": report, "request": {"method": "POST", "url": "DiagnosticReport"}}]);
        client.post("", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entry}).to_string()).status
    };
    assert_eq!(refer(&criteria), refer("identifier=urn:test|nothing"));
    assert_eq!(refer(&format!("identifier=urn:test|{}-in", ward.name)), 200);
}

/// A range in a scope is judged by each version's own content, never by the current one's.
#[test]
fn a_former_version_outside_a_range_stays_outside() {
    let salus = Salus::shared();
    let all = salus.client("system/*.cruds");
    let patient = all.create(&json!({"resourceType": "Patient"}));
    let with = |value: u32| {
        let mut resource = observation(&patient, &["laboratory"], "range");
        resource["valueQuantity"] =
            json!({"value": value, "unit": "mg", "system": "http://unitsofmeasure.org", "code": "mg"});
        resource
    };
    let id = all.create(&with(500));
    let mut second = with(5);
    second["id"] = id.clone().into();
    assert_eq!(all.put(&format!("Observation/{id}"), &second.to_string()).status, 200);
    let client = salus.client("system/Observation.rs?value-quantity=lt100");
    assert_eq!(client.get(&format!("Observation/{id}")).status, 200);
    assert_eq!(client.get(&format!("Observation/{id}/_history/1")).status, 404);
    assert!(!client.get(&format!("Observation/{id}/_history")).text.contains("500"));
}

/// Nothing that was not registered is granted, and nothing granted reaches further than asked for.
#[test]
fn a_token_holds_what_was_registered_and_asked_for() {
    let salus = Salus::shared();
    let client = salus.client("system/Observation.rs?category=laboratory system/Patient.rs");
    for (asked, granted) in [
        ("system/Patient.rs", "system/Patient.rs"),
        ("system/Patient.cruds", "system/Patient.rs"),
        ("system/*.cruds", "system/Observation.rs?category=laboratory system/Patient.rs"),
        ("system/Observation.rs", "system/Observation.rs?category=laboratory"),
    ] {
        let answer = client.request_token(asked, &[]);
        assert_eq!(answer.status, 200, "{asked}: {}", answer.text);
        let mut scopes: Vec<String> = answer.json()["scope"].as_str().unwrap().split(' ').map(str::to_owned).collect();
        scopes.sort();
        assert_eq!(scopes.join(" "), granted, "{asked}");
    }
    for asked in ["system/Condition.rs", "patient/Patient.rs", "user/Patient.rs", "openid", "system/Patient.d"] {
        let answer = client.request_token(asked, &[]);
        assert_eq!((answer.status, &answer.json()["error"]), (400, &"invalid_scope".into()), "{asked}");
    }
}

/// The rest needs a launch context, which backend clients have not: asked of the store with a policy and a
/// principal as an app's token would give them.
struct Launched {
    store: Store,
    policy: Policy,
    runtime: tokio::runtime::Runtime,
    definitions: Arc<Definitions>,
}

impl Launched {
    fn new(salus: &Salus) -> Self {
        let cache =
            std::env::var_os("SALUS_CACHE_DIR").map(std::path::PathBuf::from).or_else(default_cache_dir).unwrap();
        let definitions = Definitions::load_or_compile(&cache, &[R4_CORE.path(&cache)]).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let cluster = Cluster::attach(&salus.data_dir).unwrap().unwrap();
        let settings = Settings {
            database: DatabaseConfig::local(cluster.config()).unwrap(),
            connections: 2,
            head_key: salus.data_dir.join("keys").join("audit-head.pk8"),
            base: salus.base(),
            tenant: 0,
        };
        let store = runtime.block_on(Store::open(settings, definitions.clone())).unwrap();
        let settings = PolicySettings {
            base: salus.base(),
            default_policy: DefaultPolicy::PermitAll,
            wildcard: salus_access::Wildcard::AllTypes,
            cached_tokens: 8,
        };
        let policy = Policy::new(&definitions, settings).unwrap();
        Self { store, policy, runtime, definitions }
    }

    fn access(&self, scopes: &str, patient: &str, resource_type: &str) -> Arc<Access> {
        let principal = Principal {
            tenant: 0,
            client_id: "app".to_owned(),
            user: None,
            patient: Some(patient.to_owned()),
            scopes: salus_access::parse_scopes(scopes),
            purpose_of_use: "TREAT".to_owned(),
            actors: Vec::new(),
            token_id: format!("{scopes} {patient}"),
            expires_at: i64::MAX,
        };
        authorize(&self.policy, &principal, Interaction::SearchType, Some(resource_type)).unwrap()
    }

    /// `Type/id` of everything a search gives, includes too, and its total.
    fn search(&self, scopes: &str, patient: &str, path: &str) -> (Vec<String>, i64) {
        let (resource_type, query) = path.split_once('?').unwrap();
        let access = self.access(scopes, patient, resource_type);
        let parameters: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let (query, ignored) =
            SearchQuery::parse(&self.definitions, SearchContext::of_type(resource_type), &parameters).unwrap();
        assert!(ignored.is_empty(), "{ignored:?}");
        let page = self.runtime.block_on(self.store.search(&access, &query)).unwrap();
        let name = |entry: &salus_store::search::Entry| format!("{}/{}", entry.version.resource_type, entry.version.id);
        (page.entries.iter().map(name).collect(), page.total.unwrap())
    }
}

#[test]
fn what_operations_fetch_stays_in_the_compartment_of_the_launch_patient() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let one = || {
        let patient = client.create(&json!({"resourceType": "Patient"}));
        let observation = client.create(&json!({"resourceType": "Observation", "status": "final",
            "meta": {"tag": [{"system": "urn:test:launch", "code": patient}]},
            "code": {"coding": [{"system": "urn:test:launch", "code": "x"}]},
            "subject": {"reference": format!("Patient/{patient}")}}));
        (patient, observation)
    };
    let (own, other) = (one(), one());
    let launched = Launched::new(salus);
    let access = launched.access("patient/*.rs", &own.0, "Observation");
    let keys: Vec<Key> = [&own, &other]
        .iter()
        .flat_map(|(patient, observation)| {
            [Key::resource("Patient", patient), Key::resource("Observation", observation)]
        })
        .collect();
    // What references lead to ($graphql).
    let found = launched.runtime.block_on(launched.store.read_several(&access, &keys)).unwrap();
    let mut ids: Vec<&String> = found.iter().map(|version| &version.id).collect();
    ids.sort();
    let mut expected = [&own.0, &own.1];
    expected.sort();
    assert_eq!(ids, expected);
    // The newest of a code ($lastn).
    let context = SearchContext::of_type("Observation");
    let code = [("code".to_owned(), "urn:test:launch|x".to_owned())];
    let (query, _) = SearchQuery::parse(&launched.definitions, context.clone(), &code).unwrap();
    let newest = launched.runtime.block_on(launched.store.newest_of_each_code(&access, &query, 10, 100)).unwrap();
    assert_eq!(newest.iter().map(|dated| &dated.version.id).collect::<Vec<_>>(), [&own.1]);
    // Tags in use ($meta).
    let tags =
        launched.runtime.block_on(launched.store.in_use(&access, &context, MetaList::Tag, 100)).unwrap().concat();
    assert!(tags.contains(&own.0) && !tags.contains(&other.0), "{tags}");
}

/// microsoft/fhir-server PR #5683: includes and chains escaped the patient's compartment.
#[test]
fn nothing_leaves_the_compartment_of_the_launch_patient() {
    let Some(folder) = shared_data("smart-compartment") else { return };
    let salus = Salus::shared();
    let all = salus.client("system/*.cruds");
    let mut loaded = 0;
    for file in [
        "SmartCommon.json",
        "SmartPatientA.json",
        "SmartPatientB.json",
        "SmartPatientC.json",
        "SmartPatientD.json",
        "SmartCompartmentLeak.json",
        "SmartIncludeRevIncludeCompartmentLeakSetup.json",
    ] {
        let text = std::fs::read_to_string(folder.join(file)).unwrap();
        let bundle: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).unwrap();
        for entry in bundle["entry"].as_array().unwrap() {
            let Some(resource) = entry.get("resource") else { continue };
            let mut resource = resource.clone();
            mend(&mut resource);
            let (Some(kind), Some(id)) = (resource["resourceType"].as_str(), resource["id"].as_str()) else { continue };
            let answer = all.put(&format!("{kind}/{id}"), &resource.to_string());
            assert!(answer.status < 300, "{file} {kind}/{id}: {}", answer.text);
            loaded += 1;
        }
    }
    assert!(loaded > 20, "{loaded}");
    let launched = Launched::new(salus);
    let patients: Vec<String> = all
        .ids("Patient?_id:not=none&_count=1000&_sort=_id")
        .into_iter()
        .filter(|id| id.starts_with("smart"))
        .collect();
    assert!(patients.len() > 1, "{patients:?}");
    for patient in &patients {
        for path in [
            format!("Patient?_id={patient}&_revinclude=Observation:focus&_revinclude=Observation:subject"),
            format!("Patient?_id={patient}&_revinclude=Encounter:*&_revinclude=Condition:*&_revinclude=Observation:*"),
            "Observation?_include=Observation:*&_count=1000".to_owned(),
            "Observation?_include:iterate=*&_include:iterate=Observation:*&_revinclude:iterate=Observation:*&_count=1000".replace("_include:iterate=*&", ""),
            "Encounter?_include=Encounter:*&_revinclude:iterate=Observation:*&_count=1000".to_owned(),
            "Patient?_count=1000".to_owned(),
            "Appointment?_include=Appointment:*&_count=1000".to_owned(),
            "DiagnosticReport?_include=DiagnosticReport:*&_count=1000".to_owned(),
        ] {
            let (found, total) = launched.search("patient/*.rs", patient, &path);
            let matched = found.iter().filter(|one| one.starts_with(path.split('?').next().unwrap())).count();
            assert!(matched as i64 >= total, "{path}: {total} of {found:?}");
            for one in &found {
                let owners = owners(one);
                assert!(owners.is_empty() || owners.contains(patient), "{patient} saw {one} of {owners:?} by {path}");
            }
        }
        for other in patients.iter().filter(|other| *other != patient) {
            for path in [
                format!("Patient?_id={other}"),
                format!("Observation?subject=Patient/{other}"),
                format!("Patient?_id={patient}&_has:Observation:focus:subject=Patient/{other}"),
                format!("Observation?focus:Patient._id={other}"),
                format!("Observation?subject:Patient._id={other}"),
            ] {
                let (found, total) = launched.search("patient/*.rs", patient, &path);
                assert_eq!((found.len(), total), (0, 0), "{patient}: {path} found {found:?}");
            }
        }
    }
}

/// Patients whose compartment a resource is in, as the index knows.
fn owners(reference: &str) -> Vec<String> {
    let (kind, id) = reference.split_once('/').unwrap();
    if kind == "Patient" {
        return vec![id.to_owned()];
    }
    let pool = Salus::shared().database();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = pool.get().await.unwrap();
        let row = client.query_one("SELECT patients FROM resource WHERE type = $1 AND id = $2", &[&kind, &id]).await;
        row.unwrap().get(0)
    })
}

/// What the fixtures lack to be valid R4.
fn mend(resource: &mut Value) {
    match resource["resourceType"].as_str() {
        Some("Appointment") => {
            for participant in resource["participant"].as_array_mut().into_iter().flatten() {
                if participant.get("status").is_none() {
                    participant["status"] = "accepted".into();
                }
            }
        }
        Some("ImagingStudy") => {
            for series in resource["series"].as_array_mut().into_iter().flatten() {
                if series.get("modality").is_none() {
                    series["modality"] =
                        json!({"system": "http://dicom.nema.org/resources/ontology/DCM", "code": "CT"});
                }
                for instance in series["instance"].as_array_mut().into_iter().flatten() {
                    if instance.get("sopClass").is_none() {
                        instance["sopClass"] =
                            json!({"system": "urn:ietf:rfc:3986", "code": "urn:oid:1.2.840.10008.5.1.4.1.1.2"});
                    }
                }
            }
        }
        _ => {}
    }
}
