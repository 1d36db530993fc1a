//! Conditional create, update and delete (R4 http.html#ccreate, #cond-update, #cdelete).

use serde_json::{Value, json};

use crate::wire::race;
use crate::{Answer, Client, Salus};

const SYSTEM: &str = "http://salus.example/test/conditional";

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn identified(value: &str, family: &str) -> Value {
    json!({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}], "name": [{"family": family}]})
}

fn own_value() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn create_unless(client: &Client, value: &str, family: &str) -> Answer {
    let criteria = format!("identifier={SYSTEM}|{value}");
    client.send_with("POST", "Patient", &identified(value, family).to_string(), &[("if-none-exist", &criteria)])
}

#[test]
fn conditional_create_finds_what_is_there() {
    let client = client();
    let value = own_value();
    let created = create_unless(&client, &value, "One");
    assert_eq!(created.status, 201, "{}", created.text);
    let again = create_unless(&client, &value, "Two");
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(again.json(), created.json(), "the one that was found, unchanged");
    assert_eq!(again.header("etag"), created.header("etag"));
    assert_eq!(again.header("location"), created.header("location"));
    client.create(&identified(&value, "Twin"));
    let several = create_unless(&client, &value, "Three");
    assert_eq!((several.status, several.issue().as_str()), (412, "multiple-matches"));
    assert_eq!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).len(), 2);
}

/// Some servers take the criteria of a conditional create from the URL, and fhirpy's `get_or_create` sends them
/// so. R4 has `If-None-Exist` for that (http.html#ccreate): leaving them unheard would make a second copy.
#[test]
fn a_create_with_criteria_in_its_url_is_refused() {
    let client = client();
    let value = own_value();
    let body = identified(&value, "One").to_string();
    for url in [format!("Patient?identifier={SYSTEM}|{value}"), "Patient?name:exact=One".to_owned()] {
        let refused = client.post(&url, &body);
        assert_eq!((refused.status, refused.issue().as_str()), (400, "not-supported"), "{}", refused.text);
        assert!(refused.text.contains("If-None-Exist"), "{}", refused.text);
    }
    assert_eq!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")), [""; 0]);
    assert_eq!(client.post("Patient?_format=json&_pretty=true", &body).status, 201);
}

#[test]
fn a_deleted_match_is_no_match() {
    let client = client();
    let value = own_value();
    let first = create_unless(&client, &value, "One").json()["id"].as_str().unwrap().to_owned();
    client.delete(&format!("Patient/{first}"));
    let second = create_unless(&client, &value, "Two");
    assert_eq!(second.status, 201);
    assert_ne!(second.json()["id"], json!(first));
}

/// hapi-fhir 3141 and others: parallel conditional creates made duplicates.
#[test]
fn sixteen_racing_conditional_creates_make_one_resource() {
    let client = client();
    for round in 0..3 {
        let value = own_value();
        let answers = race(16, |_| create_unless(&client, &value, "Raced"));
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "round {round}: {statuses:?}");
        assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 15, "round {round}: {statuses:?}");
        let ids: std::collections::HashSet<String> =
            answers.iter().map(|answer| answer.json()["id"].to_string()).collect();
        assert_eq!(ids.len(), 1);
        assert_eq!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).len(), 1);
    }
}

/// The same criteria said in other ways are the same criteria.
#[test]
fn racing_criteria_in_other_words_make_one_resource() {
    let client = client();
    let value = own_value();
    let encoded = SYSTEM.replace(':', "%3A").replace('/', "%2F");
    let ways = [
        format!("identifier={SYSTEM}|{value}"),
        format!("identifier={SYSTEM}%7C{value}"),
        format!("identifier={encoded}%7c{value}"),
        format!("?identifier={SYSTEM}|{value}"),
        format!("{}/Patient?identifier={SYSTEM}|{value}", client.base),
        format!("Patient?identifier={SYSTEM}|{value}"),
    ];
    let body = identified(&value, "Raced").to_string();
    let statuses = race(18, |number| {
        client.send_with("POST", "Patient", &body, &[("if-none-exist", &ways[number % ways.len()])]).status
    });
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 200 | 201)), "{statuses:?}");
}

#[test]
fn conditional_update_creates_replaces_or_refuses() {
    let client = client();
    let value = own_value();
    let path = format!("Patient?identifier={SYSTEM}|{value}");
    let created = client.put(&path, &identified(&value, "One").to_string());
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.json()["id"].as_str().unwrap().to_owned();
    let updated = client.put(&path, &identified(&value, "Two").to_string());
    assert_eq!((updated.status, updated.header("etag").as_deref()), (200, Some("W/\"2\"")));
    assert_eq!(updated.json()["id"], json!(id));
    let mut named = identified(&value, "Three");
    named["id"] = json!(id);
    assert_eq!(client.put(&path, &named.to_string()).status, 200, "the id of the match is fine");
    named["id"] = json!("another-id");
    let answer = client.put(&path, &named.to_string());
    assert_eq!(answer.status, 400, "another id is an error: {}", answer.text);
    client.create(&identified(&value, "Twin"));
    let several = client.put(&path, &identified(&value, "Four").to_string());
    assert_eq!((several.status, several.issue().as_str()), (412, "multiple-matches"));
}

#[test]
fn conditional_update_without_a_match_creates_under_the_clients_id() {
    let client = client();
    let value = own_value();
    let mut resource = identified(&value, "Named");
    resource["id"] = json!(format!("named-{value}"));
    let answer = client.put(&format!("Patient?identifier={SYSTEM}|{value}"), &resource.to_string());
    assert_eq!((answer.status, &answer.json()["id"]), (201, &resource["id"]));
    // R4 http.html#cond-update: no match, but the id is taken: an error, not an overwrite.
    let other = own_value();
    let mut taken = identified(&other, "Overwriting");
    taken["id"] = resource["id"].clone();
    let answer = client.put(&format!("Patient?identifier={SYSTEM}|{other}"), &taken.to_string());
    assert!(matches!(answer.status, 409 | 412), "{} {}", answer.status, answer.text);
    assert_eq!(client.get(&format!("Patient/named-{value}")).json()["name"][0]["family"], "Named");
}

#[test]
fn racing_conditional_updates_make_one_resource() {
    let client = client();
    let value = own_value();
    let path = format!("Patient?identifier={SYSTEM}|{value}");
    let statuses = race(16, |number| client.put(&path, &identified(&value, &format!("R{number}")).to_string()).status);
    assert_eq!(statuses.iter().filter(|&&status| status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|&&status| status == 200).count(), 15, "{statuses:?}");
    assert_eq!(client.ids(&path).len(), 1);
}

#[test]
fn conditional_delete_takes_one_and_refuses_several() {
    let client = client();
    let value = own_value();
    let path = format!("Patient?identifier={SYSTEM}|{value}");
    let nothing = client.delete(&path);
    assert!(matches!(nothing.status, 204 | 404), "no match: {}", nothing.status);
    client.create(&identified(&value, "One"));
    assert_eq!(client.delete(&path).status, 204);
    assert!(client.ids(&path).is_empty());
    client.create(&identified(&value, "Two"));
    client.create(&identified(&value, "Three"));
    let several = client.delete(&path);
    assert_eq!((several.status, several.issue().as_str()), (412, "multiple-matches"));
    assert_eq!(client.ids(&path).len(), 2);
    // Contract, "Defaults": _count says how many may go.
    let too_few = client.delete(&format!("{path}&_count=1"));
    assert_eq!(too_few.status, 412, "{}", too_few.text);
    assert_eq!(client.delete(&format!("{path}&_count=2")).status, 204);
    assert!(client.ids(&path).is_empty());
}

#[test]
fn criteria_that_cannot_be_used_touch_nothing() {
    let client = client();
    let value = own_value();
    client.create(&identified(&value, "Untouched"));
    let body = identified(&value, "X").to_string();
    for criteria in [
        "nonsense=1",
        "identifer=typo",
        "birthdate=not-a-date",
        "_count=abc",
        "identifier=",
        "_sort=name",
        "_count=1",
        "_format=json",
    ] {
        let create = client.send_with("POST", "Patient", &body, &[("if-none-exist", criteria)]);
        assert_eq!(create.status, 400, "create {criteria}: {} {}", create.status, create.text);
        let update = client.put(&format!("Patient?{criteria}"), &body);
        assert_eq!(update.status, 400, "update {criteria}: {} {}", update.status, update.text);
        let delete = client.delete(&format!("Patient?{criteria}"));
        assert_eq!(delete.status, 400, "delete {criteria}: {} {}", delete.status, delete.text);
    }
    let empty = client.request("POST", "Patient", &[("if-none-exist", "?")], body.as_bytes());
    assert_eq!(empty.status, 400, "{}", empty.text);
    for method in ["PUT", "DELETE"] {
        let answer = client.request(method, "Patient", &[], body.as_bytes());
        assert!(matches!(answer.status, 400 | 405 | 412), "{method} on the type: {}", answer.status);
    }
    assert_eq!(client.ids(&format!("Patient?identifier={SYSTEM}|{value}")).len(), 1);
}
