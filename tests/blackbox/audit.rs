//! The audit trail over HTTP (contract, "Audit"; R4 auditevent.html; IHE BALP): one event for each thing
//! that was disclosed, changed or refused, durable before the answer, and tamper-evident.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use salus_fhir::Definitions;
use salus_fhir::json::{self, Limits};
use salus_fhir::outcome::Issue;
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::validation::Validator;
use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

/// An id for one request of a test.
fn request_id() -> String {
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!("audit-test_{}-{number}", std::process::id())
}

/// Sends a request under an id of its own; the answer, and the events it caused.
fn observe(client: &Client, auditor: &Client, method: &str, path: &str, body: &str) -> (Answer, Vec<Value>) {
    observe_with(client, auditor, method, path, body, &[])
}

fn observe_with(
    client: &Client,
    auditor: &Client,
    method: &str,
    path: &str,
    body: &str,
    headers: &[(&str, &str)],
) -> (Answer, Vec<Value>) {
    let id = request_id();
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("x-request-id", id.as_str())]).collect();
    let answer = client.request(method, path, &headers, body.as_bytes());
    assert_eq!(answer.header("x-request-id").as_deref(), Some(id.as_str()), "{method} {path}");
    let events = events(auditor, &id);
    (answer, events)
}

/// The latest events under a request id.
fn events(auditor: &Client, id: &str) -> Vec<Value> {
    let bundle = auditor.get("AuditEvent?_count=1000").json();
    let events = bundle["entry"].as_array().into_iter().flatten().map(|entry| entry["resource"].clone());
    events.filter(|event| event.to_string().contains(&format!("\"{id}\""))).collect()
}

fn one(events: &[Value], what: &str) -> Value {
    assert_eq!(events.len(), 1, "{what}: {events:#?}");
    events[0].clone()
}

fn patients(event: &Value) -> Vec<String> {
    let entities = event["entity"].as_array().cloned().unwrap_or_default();
    let reference = |entity: &Value| entity["what"]["reference"].as_str().unwrap_or_default().to_owned();
    let is_patient = |entity: &&Value| entity["role"]["code"] == "1";
    entities.iter().filter(is_patient).map(reference).collect()
}

fn query(event: &Value) -> String {
    let entities = event["entity"].as_array().cloned().unwrap_or_default();
    let encoded = entities.iter().find_map(|entity| entity["query"].as_str().map(str::to_owned));
    encoded.map_or_else(String::new, |text| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap())
}

fn validate(event: &Value) {
    static DEFINITIONS: std::sync::OnceLock<std::sync::Arc<Definitions>> = std::sync::OnceLock::new();
    let definitions = DEFINITIONS.get_or_init(|| {
        let cache =
            std::env::var_os("SALUS_CACHE_DIR").map(std::path::PathBuf::from).or_else(default_cache_dir).unwrap();
        Definitions::load_or_compile(&cache, &[R4_CORE.path(&cache)]).unwrap()
    });
    let text = event.to_string();
    let resource = json::parse(&text, &Limits::default()).unwrap();
    let errors: Vec<Issue> =
        Validator::new(definitions).validate(&resource).into_iter().filter(Issue::is_error).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{event:#}");
}

/// A patient, an Observation, and two clients.
struct Ward {
    client: Client,
    auditor: Client,
    patient: String,
    observation: String,
}

impl Ward {
    fn of(salus: &Salus) -> Self {
        let client = salus.client("system/*.cruds");
        let auditor = salus.client("system/AuditEvent.rs");
        let patient = client.create(&json!({"resourceType": "Patient"}));
        let observation = client.create(&observation(&patient));
        Self { client, auditor, patient, observation }
    }

    fn new() -> Self {
        Self::of(Salus::shared())
    }
}

fn observation(patient: &str) -> Value {
    json!({
        "resourceType": "Observation", "status": "final", "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": format!("Patient/{patient}")},
    })
}

/// LinuxForHealth/FHIR #1816 and others: counts, deletions, refusals, entries of a Bundle went unrecorded.
#[test]
fn every_interaction_and_refusal_leaves_one_event() {
    let ward = Ward::new();
    let (patient, id) = (&ward.patient, &ward.observation);
    let body = observation(patient).to_string();
    let with_id = |id: &str| {
        let mut resource = observation(patient);
        resource["id"] = id.into();
        resource.to_string()
    };
    let deleted = ward.client.create(&observation(patient));
    let wrong_code = r#"{"resourceType":"Observation","status":"no such status","code":{"text":"x"}}"#;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let json_patch = ("content-type", "application/json-patch+json");
    let noted =
        r#"[{"op":"add","path":"/note","value":[{"text":"n"}]},{"op":"add","path":"/note/-","value":{"text":"n"}}]"#;
    let unnoted = r#"[{"op":"remove","path":"/note/0"}]"#;
    let failing = r#"[{"op":"test","path":"/status","value":"x"}]"#;
    type Case<'a> = (&'a str, String, String, Vec<(&'a str, &'a str)>, u16, &'a str, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        ("GET", format!("Observation/{id}"), String::new(), vec![], 200, "read", "R", "0"),
        ("HEAD", format!("Observation/{id}"), String::new(), vec![], 200, "read", "R", "0"),
        ("GET", format!("Observation/{id}"), String::new(), vec![("if-none-match", "W/\"1\"")], 304, "read", "R", "0"),
        ("GET", format!("Observation/{id}/_history/1"), String::new(), vec![], 200, "vread", "R", "0"),
        ("GET", format!("Observation/{id}/_history"), String::new(), vec![], 200, "history-instance", "R", "0"),
        ("GET", "Observation/_history?_count=1".into(), String::new(), vec![], 200, "history-type", "R", "0"),
        ("GET", "_history?_count=1".into(), String::new(), vec![], 200, "history-system", "R", "0"),
        ("GET", format!("Observation?subject=Patient/{patient}"), String::new(), vec![], 200, "search-type", "E", "0"),
        (
            "GET",
            format!("Observation?patient={patient}&_summary=count"),
            String::new(),
            vec![],
            200,
            "search-type",
            "E",
            "0",
        ),
        (
            "GET",
            format!("Observation?patient={patient}&code=none"),
            String::new(),
            vec![],
            200,
            "search-type",
            "E",
            "0",
        ),
        ("POST", "Observation/_search".into(), format!("patient={patient}"), vec![form], 200, "search-type", "E", "0"),
        ("POST", "Observation".into(), body.clone(), vec![], 201, "create", "C", "0"),
        ("PUT", format!("Observation/{id}"), with_id(id), vec![], 200, "update", "U", "0"),
        ("PATCH", format!("Observation/{id}"), noted.into(), vec![json_patch], 200, "patch", "U", "0"),
        ("PATCH", format!("Observation/{id}"), "[]".into(), vec![json_patch], 200, "patch", "E", "0"),
        ("PATCH", format!("Observation?_id={id}"), unnoted.into(), vec![json_patch], 200, "patch", "U", "0"),
        ("PATCH", format!("Observation/{id}"), "{}".into(), vec![json_patch], 400, "patch", "U", "4"),
        ("PATCH", format!("Observation/{id}"), failing.into(), vec![json_patch], 422, "patch", "U", "4"),
        ("PATCH", format!("Observation/{UNKNOWN}"), "[]".into(), vec![json_patch], 404, "patch", "U", "4"),
        ("DELETE", format!("Observation/{deleted}"), String::new(), vec![], 204, "delete", "D", "0"),
        ("GET", format!("Observation/{deleted}"), String::new(), vec![], 410, "read", "R", "4"),
        ("GET", format!("Observation/{UNKNOWN}"), String::new(), vec![], 404, "read", "R", "4"),
        ("GET", format!("Observation/{id}/_history/77"), String::new(), vec![], 404, "vread", "R", "4"),
        ("DELETE", format!("Observation/{UNKNOWN}"), String::new(), vec![], 404, "delete", "D", "4"),
        ("PUT", format!("Observation/{id}"), with_id(id), vec![("if-match", "W/\"77\"")], 412, "update", "U", "4"),
        ("POST", "Observation".into(), wrong_code.into(), vec![], 422, "create", "C", "4"),
        ("POST", "Observation".into(), "{".into(), vec![], 400, "create", "C", "4"),
        ("POST", "Observation".into(), "x".into(), vec![("content-type", "text/plain")], 415, "create", "C", "4"),
        ("GET", "Observation?date=nonsense".into(), String::new(), vec![], 400, "search-type", "E", "4"),
        ("GET", format!("Patient/{patient}/$risk-score"), String::new(), vec![], 422, "operation", "E", "4"),
        ("GET", format!("Patient/{patient}/$risk-score?model=none"), String::new(), vec![], 404, "operation", "E", "4"),
        ("GET", "NoSuchType/1".into(), String::new(), vec![], 404, "", "", "4"),
        ("GET", "Observation".into(), String::new(), vec![("accept", "text/csv")], 406, "search-type", "E", "4"),
        (
            "GET",
            "Observation".into(),
            String::new(),
            vec![("authorization", "Bearer nonsense")],
            401,
            "search-type",
            "E",
            "8",
        ),
        (
            "GET",
            "Observation".into(),
            String::new(),
            vec![("authorization", "Basic eDp5")],
            401,
            "search-type",
            "E",
            "8",
        ),
    ];
    for (method, path, body, headers, status, interaction, action, outcome) in cases {
        let what = format!("{method} {path} {headers:?}");
        let (answer, events) = observe_with(&ward.client, &ward.auditor, method, &path, &body, &headers);
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        let event = one(&events, &what);
        assert_eq!(event["outcome"], outcome, "{what}: {event:#}");
        if !interaction.is_empty() {
            let subtypes = event["subtype"].as_array().cloned().unwrap_or_default();
            assert!(subtypes.iter().any(|subtype| subtype["code"] == interaction), "{what}: {subtypes:?}");
            assert_eq!(event["action"], action, "{what}");
        }
        if status != 401 {
            assert!(event["agent"].to_string().contains(&ward.client.client_id), "{what}");
            assert_eq!(event["purposeOfEvent"][0]["coding"][0]["code"], "TREAT", "{what}");
        }
        if method == "GET" && status < 300 {
            assert_eq!(query(&event), format!("{method} {path}"), "{what}");
        }
        validate(&event);
    }
}

/// A refusal for want of scope names who was refused.
#[test]
fn a_forbidden_request_is_on_record() {
    let ward = Ward::new();
    let narrow = Salus::shared().client("system/Procedure.rs");
    for (method, path, body) in [
        ("GET", format!("Observation/{}", ward.observation), String::new()),
        ("GET", "Observation?code=x".to_owned(), String::new()),
        ("GET", "Observation/_history".to_owned(), String::new()),
        ("POST", "Observation".to_owned(), observation(&ward.patient).to_string()),
        ("DELETE", format!("Observation/{}", ward.observation), String::new()),
        ("GET", format!("Patient/{}/$risk-score", ward.patient), String::new()),
        ("GET", "AuditEvent".to_owned(), String::new()),
    ] {
        let (answer, events) = observe(&narrow, &ward.auditor, method, &path, &body);
        assert_eq!(answer.status, 403, "{path}");
        let event = one(&events, &path);
        assert_eq!(event["outcome"], "8", "{path}");
        assert!(event["agent"].to_string().contains(&narrow.client_id), "{path}");
        validate(&event);
    }
}

/// aks129/HealthClawGuardrails #94: a batch over many patients left one record.
#[test]
fn every_entry_of_a_bundle_leaves_one_event() {
    let ward = Ward::new();
    let other = ward.client.create(&json!({"resourceType": "Patient"}));
    let get = |url: String| json!({"request": {"method": "GET", "url": url}});
    let post = json!({"resource": observation(&other), "request": {"method": "POST", "url": "Observation"}});
    for kind in ["batch", "transaction"] {
        let entries = json!([
            get(format!("Observation/{}", ward.observation)),
            get(format!("Patient/{other}")),
            get(format!("Observation?patient={}&_summary=count", ward.patient)),
            get(format!("Observation{}", if kind == "batch" { format!("/{UNKNOWN}") } else { "?_count=0".into() })),
            post,
        ]);
        let bundle = json!({"resourceType": "Bundle", "type": kind, "entry": entries});
        let (answer, events) = observe(&ward.client, &ward.auditor, "POST", "", &bundle.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(events.len(), 5, "{kind}: {events:#?}");
        for (patient, count) in [(&ward.patient, 2), (&other, 2)] {
            let about = events.iter().filter(|event| patients(event).contains(&format!("Patient/{patient}"))).count();
            assert_eq!(about, count, "{kind}");
        }
        events.iter().for_each(validate);
    }
    let mut wrong = post.clone();
    wrong["resource"]["status"] = "wrong".into();
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": [post, wrong]});
    let (answer, events) = observe(&ward.client, &ward.auditor, "POST", "", &bundle.to_string());
    assert_eq!((answer.status, events.len()), (422, 1), "what was rolled back is not on record as done");
    let subtypes = events[0]["subtype"].as_array().unwrap();
    assert!(subtypes.iter().any(|subtype| subtype["code"] == "transaction"), "{subtypes:?}");
    assert_eq!(patients(&events[0]), [format!("Patient/{other}")]);
    validate(&events[0]);
}

/// What failed names the patients that it was about, as far as it says so itself.
#[test]
fn a_refusal_is_found_by_the_patients_it_was_about() {
    let ward = Ward::new();
    let salus = Salus::shared();
    let (patient, base) = (&ward.patient, salus.base());
    let mut wrong = observation(patient);
    wrong["status"] = "no such status".into();
    let mut absolute = wrong.clone();
    absolute["subject"]["reference"] = format!("{base}/Patient/{patient}").into();
    let mut update = wrong.clone();
    update["id"] = ward.observation.clone().into();
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let parameters = json!({"resourceType": "Parameters", "parameter": [
        {"name": "patient", "valueReference": {"reference": format!("Patient/{patient}")}}, {"name": "unheard-of"}]});
    let entry = json!({"resource": wrong, "request": {"method": "POST", "url": "Observation"}});
    let deletion = json!({"request": {"method": "DELETE", "url": format!("Patient/{patient}")}});
    let bundle =
        |entries: Value| json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string();
    let nothing = String::new;
    type Case<'a> = (&'a str, String, String, &'a [(&'a str, &'a str)], u16);
    let cases: Vec<Case<'_>> = vec![
        ("POST", "Observation".into(), wrong.to_string(), &[], 422),
        ("POST", "Observation".into(), absolute.to_string(), &[], 422),
        ("PUT", format!("Observation/{}", ward.observation), update.to_string(), &[], 422),
        ("PUT", format!("Observation?patient={patient}&code=x"), wrong.to_string(), &[], 422),
        ("POST", "".into(), bundle(json!([entry])), &[], 422),
        ("POST", "".into(), bundle(json!([deletion, {"request": {"method": "GET", "url": "Nonsense"}}])), &[], 404),
        ("GET", format!("Patient/{patient}/_history/77"), nothing(), &[], 404),
        ("GET", format!("Observation?subject={base}/Patient/{patient}&date=x"), nothing(), &[], 400),
        ("GET", format!("Observation?subject:Patient={patient}&date=x"), nothing(), &[], 400),
        ("POST", "Observation/_search".into(), format!("patient={patient}&date=x"), &form, 400),
        ("GET", format!("Patient/{patient}/$risk-score"), nothing(), &[], 422),
        ("POST", "Patient/$risk-score".into(), parameters.to_string(), &[], 400),
    ];
    for (method, path, body, headers, status) in cases {
        let (answer, events) = observe_with(&ward.client, &ward.auditor, method, &path, &body, headers);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let event = one(&events, &path);
        assert_eq!(patients(&event), [format!("Patient/{patient}")], "{method} {path}: {event:#}");
        let found = ward.auditor.ids(&format!("AuditEvent?patient={patient}&outcome=4&_count=1000"));
        assert!(found.contains(&event["id"].as_str().unwrap().to_owned()), "{method} {path}");
        validate(&event);
    }
    let narrow = salus.client("system/Procedure.rs");
    let (answer, events) = observe(&narrow, &ward.auditor, "POST", "Observation", &observation(patient).to_string());
    assert_eq!((answer.status, patients(&events[0])), (403, vec![format!("Patient/{patient}")]));
    // An answer without a match tells of who was asked about, however they were named.
    let path = format!("Condition?subject={base}/Patient/{patient}");
    let (answer, events) = observe(&ward.client, &ward.auditor, "GET", &path, "");
    assert_eq!((answer.json()["total"].as_i64(), patients(&events[0])), (Some(0), vec![format!("Patient/{patient}")]));
}

/// The CapabilityStatement needs no token, and is an interaction like any other.
#[test]
fn who_asks_for_the_statement_is_on_record() {
    let ward = Ward::new();
    for (method, path, headers, status) in [
        ("GET", "metadata", &[][..], 200),
        ("HEAD", "metadata", &[], 200),
        ("GET", "metadata?_format=ttl", &[], 406),
        ("GET", "metadata", &[("accept", "text/html")], 406),
        ("POST", "metadata", &[], 405),
        ("BREW", "metadata", &[], 405),
    ] {
        let open: Vec<(&str, &str)> = headers.iter().copied().chain([("authorization", "")]).collect();
        let (answer, events) = observe_with(&ward.client, &ward.auditor, method, path, "", &open);
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        let event = one(&events, path);
        assert_eq!(event["outcome"], if status == 200 { "0" } else { "4" }, "{method} {path}");
        let subtypes = event["subtype"].as_array().unwrap();
        assert!(subtypes.iter().any(|subtype| subtype["code"] == "capabilities"), "{subtypes:?}");
        assert_eq!(event["action"], "R", "{method} {path}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{method} {path}");
        validate(&event);
    }
}

/// Outside the demo a scope has to name AuditEvent (decision 9).
#[test]
fn a_wildcard_does_not_reach_the_trail_unless_the_server_says_so() {
    let salus = Salus::start_with(&[("audit_scope", "named")]);
    let wildcard = salus.client("system/*.cruds");
    let id = wildcard.create(&json!({"resourceType": "Patient"}));
    for path in ["AuditEvent".to_owned(), "AuditEvent/1".to_owned(), format!("AuditEvent?patient={id}")] {
        assert_eq!(wildcard.get(&path).status, 403, "{path}");
    }
    let mine = wildcard.request_token("system/AuditEvent.rs", &[]);
    assert_eq!(mine.status, 400, "asking by name for what the registration does not name: {}", mine.text);
    let named = salus.client("system/*.cruds system/AuditEvent.rs");
    assert_eq!(named.get("Patient?_count=0").status, 200);
    assert!(!named.ids(&format!("AuditEvent?patient={id}")).is_empty());
    let output = salus.command(&["serve", "--print-config"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("audit_scope = \"named\""));
}

#[test]
fn a_patients_events_are_found_by_patient() {
    let ward = Ward::new();
    let (patient, id) = (&ward.patient, &ward.observation);
    let other = ward.client.create(&json!({"resourceType": "Patient"}));
    let second = ward.client.create(&observation(&other));
    let paths = [
        format!("Observation/{id}"),
        format!("Observation?_id={id},{second}"),
        format!("Observation/{id}/_history"),
        format!("Observation?patient={patient}&_summary=count"),
        format!("Condition?patient={patient}"),
        format!("Patient?_id={patient}&_revinclude=Observation:subject"),
    ];
    for path in &paths {
        let (answer, events) = observe(&ward.client, &ward.auditor, "GET", path, "");
        assert_eq!(answer.status, 200, "{path}");
        let event = one(&events, path);
        assert!(patients(&event).contains(&format!("Patient/{patient}")), "{path}: {event:#}");
        let both = patients(&event).contains(&format!("Patient/{other}"));
        assert_eq!(both, path.contains(&second), "{path}");
        for criterion in [format!("patient={patient}"), format!("patient=Patient/{patient}")] {
            let found = ward.auditor.ids(&format!("AuditEvent?{criterion}&_count=1000"));
            assert!(found.contains(&event["id"].as_str().unwrap().to_owned()), "{path} by {criterion}");
        }
        let read = ward.auditor.get(&format!("AuditEvent/{}", event["id"].as_str().unwrap()));
        assert_eq!(read.json(), event);
    }
    let all = ward.auditor.get(&format!("AuditEvent?patient={other}&_count=1000")).json();
    for entry in all["entry"].as_array().unwrap() {
        assert!(patients(&entry["resource"]).contains(&format!("Patient/{other}")));
    }
    // Looking into the trail is on record as well.
    let (_, events) = observe(&ward.auditor, &ward.auditor, "GET", &format!("AuditEvent?patient={patient}"), "");
    one(&events, "audit search");
}

#[test]
fn request_ids_are_kept_where_well_formed_and_made_where_not() {
    let client = Salus::shared().client("system/Patient.rs");
    let long = "a".repeat(64);
    for sent in ["a", "Ab-9_z", long.as_str()] {
        let answer = client.get_with("Patient?_count=0", &[("x-request-id", sent)]);
        assert_eq!(answer.header("x-request-id").as_deref(), Some(sent));
    }
    let longer = "a".repeat(65);
    for sent in ["", "a b", "a/b", "{\"a\":1}", "a;drop", longer.as_str()] {
        let answer = client.get_with("Patient?_count=0", &[("x-request-id", sent)]);
        let made = answer.header("x-request-id").unwrap();
        assert_ne!(made, sent);
        assert_eq!(made.len(), 36, "{made}");
    }
    for path in ["/fhir/metadata", "/fhir/Patient", "/fhir/nowhere/at/all/x"] {
        assert!(Salus::shared().get_open(path).header("x-request-id").is_some(), "{path}");
    }
    let token = client.request_token("system/Patient.rs", &[]);
    assert!(token.header("x-request-id").is_some());
}

#[test]
fn nobody_writes_the_trail() {
    let ward = Ward::new();
    let event = ward.auditor.get("AuditEvent?_count=1").json()["entry"][0]["resource"].clone();
    let id = event["id"].as_str().unwrap().to_owned();
    let text = event.to_string();
    let refused =
        |answer: &Answer, what: &str| assert!(matches!(answer.status, 403 | 405), "{what}: {}", answer.status);
    for client in [&ward.client, &ward.auditor] {
        refused(&client.post("AuditEvent", &text), "create");
        refused(&client.put(&format!("AuditEvent/{id}"), &text), "update");
        refused(&client.delete(&format!("AuditEvent/{id}")), "delete");
        refused(&client.delete("AuditEvent?action=R"), "conditional delete");
        refused(&client.put("AuditEvent?action=R", &text), "conditional update");
        refused(&client.send_with("POST", "AuditEvent", &text, &[("if-none-exist", "action=X")]), "conditional create");
        refused(
            &client.request(
                "PATCH",
                &format!("AuditEvent/{id}"),
                &[("content-type", "application/json-patch+json")],
                b"[]",
            ),
            "patch",
        );
        for (method, url) in [
            ("POST", "AuditEvent".to_owned()),
            ("PUT", format!("AuditEvent/{id}")),
            ("DELETE", format!("AuditEvent/{id}")),
        ] {
            let mut entry = json!({"request": {"method": method, "url": url}});
            if method != "DELETE" {
                entry["resource"] = event.clone();
            }
            for kind in ["batch", "transaction"] {
                let answer =
                    client.post("", &json!({"resourceType": "Bundle", "type": kind, "entry": [entry]}).to_string());
                if kind == "transaction" {
                    refused(&answer, url.as_str());
                } else {
                    let status = answer.json()["entry"][0]["response"]["status"].as_str().unwrap().to_owned();
                    assert!(status == "403" || status == "405", "{method} {url}: {status}");
                }
            }
        }
    }
    assert_eq!(ward.auditor.get(&format!("AuditEvent/{id}")).json(), event);
}

/// Fifty unknown ids of one client in a minute are one alert.
#[test]
fn probing_for_ids_raises_one_alert() {
    let ward = Ward::new();
    let prober = Salus::shared().client("system/Observation.rs");
    for number in 0..60 {
        assert_eq!(prober.get(&format!("Observation/guess-{number}")).status, 404);
    }
    let found = ward.auditor.get(&format!("AuditEvent?agent={}&_count=1000", prober.client_id)).json();
    let events: Vec<&Value> = found["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let alerts: Vec<&&Value> = events.iter().filter(|event| event["type"]["code"] == "110113").collect();
    assert_eq!(alerts.len(), 1);
    assert_eq!(alerts[0]["type"]["system"], "http://dicom.nema.org/resources/ontology/DCM");
    assert!(events.len() >= 61);
    validate(alerts[0]);
}

#[test]
fn tokens_issued_refused_and_revoked_are_on_record() {
    let salus = Salus::shared();
    let auditor = salus.client("system/AuditEvent.rs");
    let client = salus.client("system/Patient.rs");
    let token = client.new_token("system/Patient.rs");
    assert_eq!(client.request_token("system/Condition.rs", &[]).status, 400);
    let of_client = auditor.get(&format!("AuditEvent?agent={}&_count=100", client.client_id));
    let found = of_client.json();
    let events: Vec<&Value> = found["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let with = |outcome: &str| events.iter().filter(|event| event["outcome"] == outcome).count();
    assert_eq!((with("0"), with("8")), (2, 1), "{events:#?}");
    let of_code = |code: &str, jti: &str| {
        let found = auditor.get(&format!("AuditEvent?agent={}&_count=100", client.client_id)).json();
        let events = found["entry"].as_array().unwrap().iter().map(|entry| entry["resource"].clone());
        let tells = |event: &Value| event["subtype"][0]["code"] == code && event.to_string().contains(jti);
        events.filter(tells).collect::<Vec<_>>()
    };
    let introspect = |headers: &[(&str, &str)]| {
        let headers = [&[("content-type", "application/x-www-form-urlencoded")], headers].concat();
        client.request("POST", "/auth/introspect", &headers, format!("token={token}").as_bytes())
    };
    let introspected = introspect(&[]);
    assert_eq!(introspected.json()["active"], true, "{}", introspected.text);
    let jti = introspected.json()["jti"].as_str().unwrap().to_owned();
    assert_eq!(introspect(&[("authorization", "Bearer nonsense")]).status, 401);
    let event = one(&of_code("ITI-102", &jti), "introspection");
    assert_eq!(event["outcome"], "0");
    validate(&event);
    let url = format!("{}/auth/token", client.origin);
    let assertion =
        salus_auth::sign_assertion(&client.keys.private_key_pem, &client.keys.kid, &client.client_id, &url).unwrap();
    let form = format!(
        "token={token}&client_assertion_type={}&client_assertion={assertion}",
        salus_auth::CLIENT_ASSERTION_TYPE.replace(':', "%3A")
    );
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("authorization", "")];
    let revoked = client.request("POST", "/auth/revoke", &headers, form.as_bytes());
    assert_eq!(revoked.status, 200, "{}", revoked.text);
    let event = one(&of_code("token-revoked", &jti), "revocation");
    assert_eq!(event["outcome"], "0");
    validate(&event);
    events.iter().for_each(|event| validate(event));
    let payload = token.split('.').nth(1).unwrap();
    let claims: Value =
        serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    assert!(of_client.text.contains(claims["jti"].as_str().unwrap()), "the token's id is on record");
    assert!(!of_client.text.contains(&token) && !of_client.text.contains(token.rsplit('.').next().unwrap()));
}

/// Runs a statement on the server's database.
fn execute(salus: &Salus, statement: &str) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = salus.database();
        let client = pool.get().await.unwrap();
        client.execute(statement, &[]).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"))
    })
}

/// Runs several.
fn execute_all(salus: &Salus, statements: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = salus.database();
        let client = pool.get().await.unwrap();
        client.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    });
}

fn number(salus: &Salus, query: &str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let pool = salus.database();
        let client = pool.get().await.unwrap();
        client.query_one(query, &[]).await.unwrap().get(0)
    })
}

/// Nothing is disclosed, changed or issued whose record cannot be stored.
#[test]
fn where_the_trail_cannot_be_written_nothing_leaves() {
    let salus = Salus::start();
    let ward = Ward::of(&salus);
    let client = &ward.client;
    execute(&salus, "ALTER TABLE audit_event ADD CONSTRAINT unwritable CHECK (false) NOT VALID");
    let resources = number(&salus, "SELECT count(*) FROM resource");
    let (patient, id) = (&ward.patient, &ward.observation);
    let mut update = observation(patient);
    update["id"] = id.clone().into();
    let get = |path: String| client.get(&path);
    let answers = [
        get(format!("Observation/{id}")),
        get(format!("Observation/{id}/_history/1")),
        get(format!("Observation/{id}/_history")),
        get(format!("Observation?patient={patient}")),
        get(format!("Observation?patient={patient}&_summary=count")),
        get("_history".to_owned()),
        get(format!("Observation/{UNKNOWN}")),
        get(format!("Patient/{patient}/$risk-score")),
        get("AuditEvent".to_owned()),
        client.post("Observation", &observation(patient).to_string()),
        client.put(&format!("Observation/{id}"), &update.to_string()),
        client.delete(&format!("Observation/{id}")),
        client.send_with("POST", "Observation", &observation(patient).to_string(), &[("if-none-exist", "code=none")]),
        salus.get_open("/fhir/Patient"),
    ];
    for (position, answer) in answers.iter().enumerate() {
        assert_eq!(answer.status, 503, "number {position}: {}", answer.text);
        assert_eq!(answer.issue(), "transient");
        assert!(!answer.text.contains(id.as_str()) && !answer.text.contains(patient.as_str()), "{}", answer.text);
        assert!(answer.header("etag").is_none() && answer.header("location").is_none(), "number {position}");
        assert!(answer.header("retry-after").is_some());
    }
    let entries = json!([{"request": {"method": "GET", "url": format!("Observation/{id}")}}]);
    let batch = client.post("", &json!({"resourceType": "Bundle", "type": "batch", "entry": entries}).to_string());
    assert!(!batch.text.contains(patient.as_str()), "{}", batch.text);
    let entries = json!([{"resource": observation(patient), "request": {"method": "POST", "url": "Observation"}}]);
    let transaction =
        client.post("", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entries}).to_string());
    assert_eq!(transaction.status, 503, "{}", transaction.text);
    let token = client.request_token("system/*.cruds", &[]);
    assert!(token.status == 503 && !token.text.contains("access_token"), "{} {}", token.status, token.text);
    assert_eq!(number(&salus, "SELECT count(*) FROM resource"), resources, "nothing was written");
    assert_eq!(number(&salus, "SELECT max(version)::int8 FROM resource"), 1);
    execute(&salus, "ALTER TABLE audit_event DROP CONSTRAINT unwritable");
    assert_eq!(client.get(&format!("Observation/{id}")).status, 200);
    assert!(salus.command(&["audit", "verify"]).status.success());
}

/// Each way of tampering with the rows is found and named; put back, the log holds again.
#[test]
fn verify_names_what_was_tampered_with() {
    let salus = Salus::start();
    let ward = Ward::of(&salus);
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(ward.client.get(&format!("Observation/{}", ward.observation)).status, 200);
        }
        // So that the log has several heads.
        std::thread::sleep(std::time::Duration::from_millis(400));
    }
    let verify = || {
        let output = salus.command(&["audit", "verify"]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (holds, text) = verify();
    assert!(holds && text.contains("signed heads"), "{text}");
    let last = number(&salus, "SELECT max(index) FROM audit_leaf");
    // Two of the reads.
    let (at, after) = (last - 6, last - 5);
    let of_leaf = |index: i64| number(&salus, &format!("SELECT seq FROM audit_leaf WHERE index = {index}"));
    let (middle, next) = (of_leaf(at), of_leaf(after));
    assert!(last > 12 && number(&salus, "SELECT count(*) FROM audit_head") > 2);
    let backup =
        "CREATE TABLE kept_event AS SELECT * FROM audit_event; CREATE TABLE kept_leaf AS SELECT * FROM audit_leaf;
                  CREATE TABLE kept_head AS SELECT * FROM audit_head";
    backup.split(';').for_each(|statement| _ = execute(&salus, statement));
    // In one transaction, and holding the sequencer's lock, so that it does not work on half of it.
    let mut put_back = format!("BEGIN; SELECT pg_advisory_xact_lock({}, 0);", 0x5341_4c41);
    for table in ["event", "leaf", "head"] {
        put_back += &format!("DELETE FROM audit_{table}; INSERT INTO audit_{table} SELECT * FROM kept_{table};");
    }
    put_back += "COMMIT";
    let restore = || execute_all(&salus, &put_back);
    for (tampering, named) in [
        (format!("UPDATE audit_event SET record = replace(record, '200', '404') WHERE seq = {middle}"), format!("event {middle} of leaf {at} was changed")),
        (format!("UPDATE audit_event SET record = record || ' ' WHERE seq = {middle}"), format!("event {middle} of leaf {at} was changed")),
        (format!("DELETE FROM audit_event WHERE seq = {middle}"), format!("event {middle} of leaf {at} is missing")),
        (format!("DELETE FROM audit_leaf WHERE index = {at}"), format!("leaf {at} is missing")),
        (format!("DELETE FROM audit_leaf WHERE index = {last}"), "more leaves than".to_owned()),
        // The same event under another number.
        (format!("UPDATE audit_event SET seq = seq + 100000000 WHERE seq = {next}"), format!("event {next} of leaf {after} is missing")),
        ("DELETE FROM audit_head WHERE size = (SELECT max(size) FROM audit_head)".to_owned(), "leaves are in the log and the last head covers".to_owned()),
        ("UPDATE audit_head SET time = time + 1 WHERE size = (SELECT min(size) FROM audit_head)".to_owned(), "signature".to_owned()),
        (format!("UPDATE audit_head SET root = (SELECT hash FROM audit_leaf WHERE index = {at}) WHERE size = (SELECT max(size) FROM audit_head)"), "signature".to_owned()),
        // An event smuggled in among those that the log has done with.
        ("INSERT INTO audit_event SELECT tenant, (SELECT min(seq) - 1 FROM audit_event), recorded, patient, action, record
            FROM audit_event ORDER BY seq DESC LIMIT 1".to_owned(), "is not in the log".to_owned()),
    ] {
        execute(&salus, &tampering);
        let (holds, text) = verify();
        assert!(!holds, "not noticed: {tampering}\n{text}");
        assert!(text.contains(&named), "{tampering}\n{text}");
        restore();
        let (holds, text) = verify();
        assert!(holds, "after {tampering}: {text}");
    }
    // Leaves in another order with everything else in place: only the signed root tells.
    for statement in [
        format!("UPDATE audit_leaf SET index = -1 WHERE index = {at}"),
        format!("UPDATE audit_leaf SET index = {at} WHERE index = {after}"),
        format!("UPDATE audit_leaf SET index = {after} WHERE index = -1"),
    ] {
        execute(&salus, &statement);
    }
    let (holds, text) = verify();
    assert!(!holds && text.contains("do not have the root"), "{text}");
}
