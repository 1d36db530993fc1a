//! Interactions on one resource (R4 http.html#read to #delete, #ops, #concurrency, #versioning).

use serde_json::{Value, json};

use crate::wire::race;
use crate::{Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn patient(family: &str) -> Value {
    json!({"resourceType": "Patient", "name": [{"family": family}], "gender": "female"})
}

fn with_id(id: &str, family: &str) -> String {
    let mut patient = patient(family);
    patient["id"] = json!(id);
    patient.to_string()
}

/// An id that no other test uses.
fn own_id(what: &str) -> String {
    format!("{what}-{}", uuid::Uuid::new_v4().simple())
}

#[test]
fn create_answers_with_location_etag_last_modified_and_the_resource() {
    let client = client();
    let mut sent = patient("Created");
    sent["id"] = json!("the-client-does-not-choose");
    sent["meta"] = json!({"versionId": "17", "lastUpdated": "1999-01-01T00:00:00Z", "tag": [{"code": "kept"}]});
    let answer = client.post("Patient", &sent.to_string());
    assert_eq!(answer.status, 201, "{}", answer.text);
    let stored = answer.json();
    let id = stored["id"].as_str().unwrap();
    assert_ne!(id, "the-client-does-not-choose", "R4 http.html#create: the id is ignored");
    assert_eq!(stored["meta"]["versionId"], "1");
    assert!(stored["meta"]["lastUpdated"].as_str().unwrap() > "2020", "{stored}");
    assert_eq!(stored["meta"]["tag"], json!([{"code": "kept"}]));
    assert_eq!(answer.header("location").unwrap(), format!("{}/Patient/{id}/_history/1", client.base));
    assert_eq!(answer.header("etag").unwrap(), "W/\"1\"");
    assert!(answer.header("last-modified").unwrap().ends_with(" GMT"));
    assert!(answer.header("content-type").unwrap().starts_with("application/fhir+json"));
    assert_eq!(client.get(&format!("Patient/{id}")).json(), stored);
}

#[test]
fn read_and_vread_and_head_tell_the_same_version() {
    let client = client();
    let id = client.create(&patient("First"));
    assert_eq!(client.put(&format!("Patient/{id}"), &with_id(&id, "Second")).status, 200);
    let read = client.get(&format!("Patient/{id}"));
    assert_eq!((read.status, read.header("etag").as_deref()), (200, Some("W/\"2\"")));
    assert_eq!(read.json()["name"][0]["family"], "Second");
    let first = client.get(&format!("Patient/{id}/_history/1"));
    assert_eq!((first.status, first.header("etag").as_deref()), (200, Some("W/\"1\"")));
    assert_eq!(first.json()["name"][0]["family"], "First");
    assert_eq!(client.get(&format!("Patient/{id}/_history/2")).text, read.text);
    for unknown in ["3", "0", "-1", "x", "99999999999999999999"] {
        let answer = client.get(&format!("Patient/{id}/_history/{unknown}"));
        assert_eq!((answer.status, answer.issue().as_str()), (404, "not-found"), "version {unknown}");
    }
    let head = client.request("HEAD", &format!("Patient/{id}"), &[], b"");
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for name in ["etag", "last-modified", "content-type"] {
        assert_eq!(head.header(name), read.header(name), "{name}");
    }
    assert_eq!(client.request("HEAD", "Patient/nobody-here", &[], b"").status, 404);
}

#[test]
fn update_makes_a_version_and_creates_under_the_clients_id() {
    let client = client();
    let id = own_id("chosen");
    let path = format!("Patient/{id}");
    let created = client.put(&path, &with_id(&id, "One"));
    assert_eq!((created.status, created.header("etag").as_deref()), (201, Some("W/\"1\"")));
    assert_eq!(created.header("location").unwrap(), format!("{}/{path}/_history/1", client.base));
    let updated = client.put(&path, &with_id(&id, "Two"));
    assert_eq!((updated.status, updated.header("etag").as_deref()), (200, Some("W/\"2\"")));
    let (before, after) = (created.json(), updated.json());
    let at = |resource: &Value| resource["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    assert!(at(&after) > at(&before), "time moves forward");
}

#[test]
fn deletion_is_idempotent_answers_410_and_can_be_revived() {
    let client = client();
    let id = client.create(&patient("Deleted"));
    let path = format!("Patient/{id}");
    let deleted = client.delete(&path);
    assert_eq!((deleted.status, deleted.text.as_str()), (204, ""));
    assert_eq!(deleted.header("etag").as_deref(), Some("W/\"2\""));
    for gone in [path.clone(), format!("{path}/_history/2")] {
        let answer = client.get(&gone);
        assert_eq!((answer.status, answer.issue().as_str()), (410, "deleted"), "{gone}");
        assert_eq!(answer.header("etag").as_deref(), Some("W/\"2\""));
    }
    assert_eq!(client.get(&format!("{path}/_history/1")).status, 200);
    assert_eq!(client.delete(&path).status, 204, "deleting again");
    assert_eq!(client.get(&format!("{path}/_history")).json()["total"], 2, "and nothing was written");
    assert!(client.ids(&format!("Patient?_id={id}")).is_empty());
    let revived = client.put(&path, &with_id(&id, "Revived"));
    assert_eq!((revived.status, revived.header("etag").as_deref()), (201, Some("W/\"3\"")));
    assert_eq!(client.get(&path).json()["name"][0]["family"], "Revived");
    assert_eq!(client.ids(&format!("Patient?_id={id}&family=Revived")), [id]);
}

#[test]
fn what_never_was_is_404() {
    let client = client();
    let never = own_id("never");
    let read = client.get(&format!("Patient/{never}"));
    assert_eq!((read.status, read.issue().as_str()), (404, "not-found"));
    assert_eq!(client.get(&format!("Patient/{never}/_history")).status, 404);
    let deleted = client.delete(&format!("Patient/{never}"));
    assert!(matches!(deleted.status, 404 | 204), "{}", deleted.status);
}

#[test]
fn prefer_decides_what_a_write_answers_with() {
    let client = client();
    let body = patient("Preferring").to_string();
    let minimal = client.send_with("POST", "Patient", &body, &[("prefer", "return=minimal")]);
    assert_eq!((minimal.status, minimal.text.as_str()), (201, ""));
    assert!(minimal.header("location").is_some() && minimal.header("etag").is_some());
    let outcome = client.send_with("POST", "Patient", &body, &[("prefer", "return=OperationOutcome")]);
    assert_eq!((outcome.status, outcome.issue().as_str()), (201, "informational"));
    let whole = client.send_with("POST", "Patient", &body, &[("prefer", "handling=strict; return=representation")]);
    assert_eq!((whole.status, whole.json()["resourceType"].as_str()), (201, Some("Patient")));
    let id = own_id("prefer");
    let answer = client.send_with("PUT", &format!("Patient/{id}"), &with_id(&id, "P"), &[("prefer", "return=minimal")]);
    assert_eq!((answer.status, answer.text.as_str()), (201, ""));
}

#[test]
fn a_version_the_client_has_already_is_304() {
    let client = client();
    let id = client.create(&patient("Cached"));
    let path = format!("Patient/{id}");
    let modified = client.get(&path).header("last-modified").unwrap();
    let unchanged: [&[(&str, &str)]; 5] = [
        &[("if-none-match", "W/\"1\"")],
        &[("if-none-match", "\"1\"")],
        &[("if-none-match", "W/\"9\", W/\"1\"")],
        &[("if-none-match", "*")],
        &[("if-modified-since", &modified)],
    ];
    for headers in unchanged {
        let answer = client.get_with(&path, headers);
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{headers:?}");
        assert_eq!(answer.header("etag").as_deref(), Some("W/\"1\""));
        assert_eq!(answer.header("content-type"), None);
    }
    let changed: [&[(&str, &str)]; 4] = [
        &[("if-none-match", "W/\"2\"")],
        &[("if-modified-since", "Mon, 01 Jan 2001 00:00:00 GMT")],
        &[("if-modified-since", "not a date")],
        // RFC 9110 section 13.1.3: If-None-Match goes before If-Modified-Since.
        &[("if-none-match", "W/\"2\""), ("if-modified-since", &modified)],
    ];
    for headers in changed {
        assert_eq!(client.get_with(&path, headers).status, 200, "{headers:?}");
    }
}

#[test]
fn if_match_guards_updates_and_deletions() {
    let client = client();
    let id = client.create(&patient("One"));
    let path = format!("Patient/{id}");
    let put = |tag: &str, family: &str| client.send_with("PUT", &path, &with_id(&id, family), &[("if-match", tag)]);
    assert_eq!(put("W/\"1\"", "Two").status, 200);
    let stale = put("W/\"1\"", "Lost");
    assert_eq!((stale.status, stale.issue().as_str()), (412, "conflict"));
    assert_eq!(put("\"2\"", "Three").status, 200, "the strong form is taken as well");
    assert_eq!(client.get(&path).json()["name"][0]["family"], "Three");
    for nonsense in ["W/\"x\"", "\"\"", "W/\"99999999999\""] {
        let answer = put(nonsense, "Nonsense");
        assert!(matches!(answer.status, 400 | 412), "{nonsense}: {}", answer.status);
    }
    let delete = |tag: &str| client.request("DELETE", &path, &[("if-match", tag)], b"");
    assert_eq!(delete("W/\"1\"").status, 412);
    assert_eq!(client.get(&path).status, 200);
    assert_eq!(delete("W/\"3\"").status, 204);
    let never = own_id("never");
    let answer =
        client.send_with("PUT", &format!("Patient/{never}"), &with_id(&never, "X"), &[("if-match", "W/\"1\"")]);
    // Not 412: what never was must not be told from what may not be seen.
    assert_eq!(answer.status, 404, "no version is not version 1");
    // RFC 9110 section 13.1.1: `*` asks for any current version.
    let answer = client.send_with("PUT", &format!("Patient/{never}"), &with_id(&never, "X"), &[("if-match", "*")]);
    assert_eq!(answer.status, 404);
    assert_eq!(client.get(&format!("Patient/{never}")).status, 404);
}

#[test]
fn if_none_match_star_creates_and_never_replaces() {
    let client = client();
    let id = own_id("once");
    let path = format!("Patient/{id}");
    let put = |family: &str| client.send_with("PUT", &path, &with_id(&id, family), &[("if-none-match", "*")]);
    assert_eq!(put("One").status, 201);
    let again = put("Two");
    assert_eq!((again.status, again.issue().as_str()), (412, "conflict"));
    assert_eq!(client.get(&path).json()["name"][0]["family"], "One");
    client.delete(&path);
    assert_eq!(put("Three").status, 201, "a deleted resource is no current one");
}

#[test]
fn racing_updates_under_one_version_have_one_winner() {
    let client = client();
    let id = client.create(&patient("Raced"));
    let path = format!("Patient/{id}");
    let statuses = race(12, |number| {
        let body = with_id(&id, &format!("Racer{number}"));
        client.send_with("PUT", &path, &body, &[("if-match", "W/\"1\"")]).status
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 412)), "{statuses:?}");
    assert_eq!(client.get(&format!("{path}/_history")).json()["total"], 2);
}

#[test]
fn racing_updates_without_a_version_all_become_versions() {
    let client = client();
    let id = own_id("raced");
    let path = format!("Patient/{id}");
    let statuses = race(16, |number| client.put(&path, &with_id(&id, &format!("Racer{number}"))).status);
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 15, "{statuses:?}");
    let history = client.get(&format!("{path}/_history")).json();
    let versions: Vec<&str> = history["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["meta"]["versionId"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (1..=16).rev().map(|version: i32| version.to_string()).collect();
    assert_eq!(versions, expected);
}

#[test]
fn a_version_of_a_deleted_and_revived_resource_stays_readable() {
    let client = client();
    let id = client.create(&patient("First"));
    let path = format!("Patient/{id}");
    client.delete(&path);
    client.put(&path, &with_id(&id, "Third"));
    let status = |version: u8| client.get(&format!("{path}/_history/{version}")).status;
    assert_eq!([status(1), status(2), status(3)], [200, 410, 200]);
}

#[test]
fn percent_encoded_paths_and_a_trailing_slash_lead_to_the_same_resource() {
    let client = client();
    let id = own_id("enc.oded");
    assert_eq!(client.put(&format!("Patient/{id}"), &with_id(&id, "Encoded")).status, 201);
    for path in [
        format!("Patient/{}", id.replace('.', "%2E").replace('-', "%2d")),
        format!("P%61tient/{id}"),
        format!("Patient/{id}/"),
        format!("Patient/{id}/_history/%31"),
        format!("Patient/{id}?_format=json"),
        format!("Patient/{id}?_format=application/fhir%2Bjson"),
        format!("Patient/{id}?_format=application/fhir+json"),
    ] {
        let answer = client.request("GET", &path, &[], b"");
        assert_eq!((answer.status, answer.json()["id"].as_str()), (200, Some(id.as_str())), "{path}");
    }
    assert_eq!(client.request("GET", &format!("Patient/?_id={id}"), &[], b"").json()["total"], 1);
    let created = client.request("POST", "Patient/", &[], patient("Slash").to_string().as_bytes());
    assert_eq!(created.status, 201, "{}", created.text);
    // An encoded slash is part of the segment, and no id holds one.
    assert_eq!(client.request("GET", &format!("Patient%2F{id}"), &[], b"").status, 404);
}

#[test]
fn what_the_client_accepts_is_negotiated_format_first() {
    let client = client();
    let id = client.create(&patient("Negotiated"));
    let path = format!("Patient/{id}");
    for accept in ["application/fhir+json", "application/json", "*/*", "text/html, application/fhir+json;q=0.5"] {
        assert_eq!(client.get_with(&path, &[("accept", accept)]).status, 200, "{accept}");
    }
    for accept in ["text/turtle", "text/html", "application/fhir+json;q=0", "image/png, text/csv"] {
        let answer = client.get_with(&path, &[("accept", accept)]);
        assert_eq!((answer.status, answer.issue().as_str()), (406, "not-supported"), "{accept}");
        assert!(answer.header("content-type").unwrap().starts_with("application/fhir+json"));
    }
    let overridden = client.get_with(&format!("{path}?_format=json"), &[("accept", "text/turtle")]);
    assert_eq!(overridden.status, 200, "_format overrides Accept");
    let overridden = client.get_with(&format!("{path}?_format=ttl"), &[("accept", "application/json")]);
    assert_eq!(overridden.status, 406);
    let pretty = client.get(&format!("{path}?_pretty=true"));
    assert!(pretty.status == 200 && pretty.text.contains('\n'), "_pretty is honoured: {}", pretty.text);
    assert_eq!(pretty.json(), client.get(&path).json());
}
