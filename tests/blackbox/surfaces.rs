//! What a newcomer meets first: pages, descriptions, metrics (contract; design section 3, "URLs").
//!
//! `tests/golden/` holds what the descriptions say; `UPDATE_GOLDEN=1 cargo test -p salus --test blackbox
//! surfaces::` writes it anew, for the difference to be reviewed.

use std::path::Path;

use serde_json::{Value, json};

use crate::{Client, Salus};

fn assert_golden(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    let differing = actual.lines().zip(expected.lines()).find(|(actual, expected)| actual != expected);
    assert!(actual == expected, "tests/golden/{name} says something else; first: {differing:#?}");
}

#[test]
fn the_openapi_description_is_the_golden_one_and_the_command_prints_the_same() {
    let salus = Salus::shared();
    let answer = salus.get_open("/openapi.json");
    assert_eq!(answer.status, 200);
    assert_golden("openapi.json", &answer.text.replace(&salus.origin, "https://salus.example"));
    let listen = salus.origin.trim_start_matches("http://");
    let printed = salus.command(&["openapi", "--listen", listen]);
    assert_eq!(String::from_utf8_lossy(&printed.stdout), answer.text);
}

#[test]
fn every_described_path_exists() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let document = salus.get_open("/openapi.json").json();
    for (path, item) in document["paths"].as_object().unwrap().iter().filter(|(_, item)| item.get("get").is_some()) {
        let path = path
            .replace("{compartment}", "Patient")
            .replace("{type}", "Patient")
            .replace("{id}", "nobody")
            .replace("{version}", "1");
        let answer = client.get(&format!("{}{path}", salus.origin));
        let answers = item["get"]["responses"].as_object().unwrap();
        assert!(answers.contains_key(&answer.status.to_string()), "{path}: {} {}", answer.status, answer.text);
        // Some operations cannot do without a parameter, and say so.
        let asks_for_more = answer.status == 400 && path.contains('$') && answer.text.contains("need");
        let exists = answer.status == 200 || path.contains("nobody") || asks_for_more;
        assert!(exists, "{path}: {} {}", answer.status, answer.text);
    }
}

/// A resource's part of the statement in one line, short enough to read.
fn in_short(resource: &Value) -> String {
    let names = |member: &str, name: &str| {
        let items = resource[member].as_array().into_iter().flatten();
        items.map(|item| item[name].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut rest = resource.clone();
    for listed in
        ["type", "interaction", "searchParam", "searchInclude", "searchRevInclude", "operation", "documentation"]
    {
        rest.as_object_mut().unwrap().remove(listed);
    }
    let searched = resource["searchParam"].as_array().into_iter().flatten();
    let searched: Vec<String> =
        searched.map(|one| format!("{}:{}", one["name"].as_str().unwrap(), one["type"].as_str().unwrap())).collect();
    format!(
        "{}\n  does {}\n  with {rest}\n  searched by {}\n  operations {:?}\n",
        resource["type"].as_str().unwrap(),
        names("interaction", "code").join(" "),
        searched.join(" "),
        names("operation", "name")
    )
}

/// US Core and others ask that `_revinclude` be stated; each that is stated is taken under strict handling.
#[test]
fn reverse_includes_are_stated_and_taken() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let statement = salus.get_open("/fhir/metadata").json();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let stated = |name: &str| -> Vec<String> {
        let resource = resources.iter().find(|one| one["type"] == name).unwrap();
        let listed = resource["searchRevInclude"].as_array().into_iter().flatten();
        listed.map(|one| one.as_str().unwrap().to_owned()).collect()
    };
    for (name, expected) in
        [("Patient", "Observation:subject"), ("Patient", "Provenance:target"), ("Slot", "Appointment:slot")]
    {
        assert!(stated(name).iter().any(|one| one == expected), "{name} {expected}");
    }
    assert!(!stated("Patient").iter().any(|one| one == "Appointment:slot"));
    assert!(stated("AuditEvent").is_empty());
    let sample =
        ["Patient", "Slot", "Basic"].iter().flat_map(|name| stated(name).into_iter().map(move |one| (name, one)));
    for (name, include) in sample {
        let answer =
            client.get_with(&format!("{name}?_id=nobody&_revinclude={include}"), &[("prefer", "handling=strict")]);
        assert_eq!(answer.status, 200, "{name} {include}: {}", answer.text);
    }
}

#[test]
fn the_capability_statement_is_the_golden_one() {
    let salus = Salus::shared();
    let answer = salus.get_open("/fhir/metadata");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type").unwrap(), "application/fhir+json; charset=utf-8");
    let mut statement: Value =
        serde_json::from_str(&answer.text.replace(&salus.origin, "https://salus.example")).unwrap();
    for changing in ["/date", "/url", "/software/releaseDate"] {
        let value = statement.pointer_mut(changing).unwrap();
        assert!(value.is_string(), "{changing}");
        *value = json!("left out");
    }
    let resources = statement["rest"][0]["resource"].take();
    let mut text = serde_json::to_string_pretty(&statement).unwrap() + "\n";
    for resource in resources.as_array().unwrap() {
        text.push_str(&in_short(resource));
    }
    assert_golden("capability-statement.txt", &text);
}

#[test]
fn the_capability_statement_is_valid_r4() {
    // A create is refused where the base definitions do not allow what is sent.
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let answer = client.post("CapabilityStatement", &salus.get_open("/fhir/metadata").text);
    assert_eq!(answer.status, 201, "{}", answer.text);
}

#[test]
fn every_operation_has_its_definition_and_its_code() {
    let statement = Salus::shared().get_open("/fhir/metadata").json();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let codes = std::fs::read_to_string(root.join("fhir-profiles/CodeSystem-operation.json")).unwrap();
    let codes: Value = serde_json::from_str(&codes).unwrap();
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let all = resources.iter().chain(statement["rest"].as_array().unwrap());
    let operations: Vec<&Value> = all.flat_map(|place| place["operation"].as_array().into_iter().flatten()).collect();
    assert!(!operations.is_empty());
    for operation in operations {
        let name = operation["name"].as_str().unwrap();
        let path = root.join(format!("operations/{name}/OperationDefinition-{name}.json"));
        let definition: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(definition["url"], operation["definition"]);
        assert!(codes["concept"].as_array().unwrap().iter().any(|concept| concept["code"] == name), "{name}");
    }
}

#[test]
fn pages_need_nothing_from_elsewhere_and_run_no_script() {
    let salus = Salus::shared();
    for path in ["/", "/docs"] {
        let answer = salus.get_open(path);
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().starts_with("text/html"));
        assert!(answer.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
        assert!(
            !answer.text.contains("<script") && !answer.text.contains("src=") && !answer.text.contains("href=\"http")
        );
    }
    let index = salus.get_open("/").text;
    for link in ["/docs", "/openapi.json", "/fhir/metadata", "/fhir/.well-known/smart-configuration"] {
        assert!(index.contains(&format!("href=\"{link}\"")), "{link}");
        assert_eq!(salus.get_open(link).status, 200, "{link}");
    }
}

#[test]
fn metrics_count_requests_by_interaction_and_audit_commits() {
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    assert_eq!(client.get(&format!("Patient/{patient}")).status, 200);
    assert_eq!(client.get("Patient/nobody").status, 404);
    assert_eq!(client.get(&format!("Patient/{patient}/$risk-score")).status, 422);
    let text = salus.get_open("/metrics").text;
    for line in [
        r#"salus_fhir_request_duration_seconds_count{interaction="create",status="2xx"} 1"#,
        r#"salus_fhir_request_duration_seconds_count{interaction="read",status="2xx"} 1"#,
        r#"salus_fhir_request_duration_seconds_count{interaction="read",status="4xx"} 1"#,
        r#"salus_fhir_request_duration_seconds_count{interaction="$risk-score",status="4xx"} 1"#,
        r#"salus_http_request_duration_seconds_count{route="/auth/token",status="2xx"} 1"#,
        "salus_audit_failures_total 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line}\n{text}");
    }
    assert!(!text.contains(&patient), "labels are names of ours, never ids");
}

#[test]
fn metrics_are_not_for_who_comes_through_a_proxy() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let url = format!("{}/metrics", salus.origin);
    assert_eq!(client.get(&url).status, 200);
    assert_eq!(client.get_with(&url, &[("x-forwarded-for", "192.0.2.1")]).status, 403);
}

/// What the CapabilityStatement and our answers name by URL is found by it on the server that names it.
#[test]
fn our_own_definitions_are_on_the_server() {
    let mut salus = Salus::start();
    let client = salus.client("system/*.cruds");
    let statement = salus.get_open("/fhir/metadata").json();
    let mut named: Vec<(String, String)> = Vec::new();
    let rest = &statement["rest"][0];
    let of_types = rest["resource"].as_array().unwrap().iter().flat_map(|one| one["operation"].as_array());
    for operation in of_types.chain(rest["operation"].as_array()).flatten() {
        named.push(("OperationDefinition".to_owned(), operation["definition"].as_str().unwrap().to_owned()));
    }
    assert!(named.len() > 10, "{named:?}");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fhir-profiles");
    for entry in std::fs::read_dir(folder).unwrap() {
        let own: Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        named.push((own["resourceType"].as_str().unwrap().to_owned(), own["url"].as_str().unwrap().to_owned()));
    }
    named.sort();
    named.dedup();
    let state = |client: &Client| -> Vec<Value> {
        let found = |(kind, url): &(String, String)| {
            let found = client.get(&format!("{kind}?url={url}")).json();
            assert_eq!(found["total"], 1, "{url}");
            let read = client.get(&format!("{kind}/{}", url.rsplit('/').next().unwrap()));
            assert_eq!(read.json(), found["entry"][0]["resource"], "{url}");
            found["entry"][0]["resource"].clone()
        };
        named.iter().map(found).collect()
    };
    let before = state(&client);
    assert!(before.iter().all(|own| own["meta"]["versionId"] == "1"));
    // What was changed or deleted is there again after the next start, and nothing else was touched.
    let mut changed = client.get("OperationDefinition/risk-score").json();
    changed["title"] = json!("Something else");
    assert_eq!(client.put("OperationDefinition/risk-score", &changed.to_string()).status, 200);
    assert_eq!(client.delete("CodeSystem/role").status, 204);
    salus.tell_to_stop();
    assert!(salus.ended().success(), "{}", salus.log());
    salus.launch(&[]);
    for (now, was) in state(&client).iter().zip(&before) {
        let touched = matches!(was["id"].as_str(), Some("risk-score" | "role"));
        let mut now = now.clone();
        assert_eq!(now["meta"]["versionId"], if touched { "3" } else { "1" }, "{}", was["url"]);
        now["meta"] = was["meta"].clone();
        assert_eq!(&now, was);
    }
    let events = client.get("AuditEvent?entity=OperationDefinition/risk-score").text;
    assert!(events.contains("own-resources"), "the server's own doing is on record: {events}");
}
