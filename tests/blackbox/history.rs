//! Histories (R4 http.html#history).

use serde_json::{Value, json};

use crate::{Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn entries(bundle: &Value) -> Vec<Value> {
    bundle["entry"].as_array().cloned().unwrap_or_default()
}

fn next(bundle: &Value) -> Option<String> {
    let links = bundle["link"].as_array().unwrap();
    let link = links.iter().find(|link| link["relation"] == "next")?;
    Some(link["url"].as_str().unwrap().to_owned())
}

/// A patient with three versions, a deletion, and a revival.
fn five_versions(client: &Client) -> String {
    let id = client.create(&json!({"resourceType": "Patient", "name": [{"family": "V1"}]}));
    let put = |family: &str| {
        let body = json!({"resourceType": "Patient", "id": id, "name": [{"family": family}]});
        assert!(client.put(&format!("Patient/{id}"), &body.to_string()).status < 300);
    };
    put("V2");
    put("V3");
    assert_eq!(client.delete(&format!("Patient/{id}")).status, 204);
    put("V5");
    id
}

#[test]
fn an_instances_history_tells_each_version_and_its_deletion() {
    let client = client();
    let id = five_versions(&client);
    let answer = client.get(&format!("Patient/{id}/_history"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    assert_eq!((&bundle["type"], &bundle["total"]), (&json!("history"), &json!(5)));
    let told: Vec<(String, String, String, bool)> = entries(&bundle)
        .iter()
        .map(|entry| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let request = &entry["request"];
            (
                text(&request["method"]),
                text(&request["url"]),
                text(&entry["response"]["status"]),
                entry["resource"].is_object(),
            )
        })
        .collect();
    let line = |method: &str, url: String, status: &str, whole| (method.to_owned(), url, status.to_owned(), whole);
    let url = format!("Patient/{id}");
    assert_eq!(
        told,
        [
            // The fifth revived what was deleted: that is a create (R4 http.html#update: 201).
            line("PUT", url.clone(), "201", true),
            line("DELETE", url.clone(), "204", false),
            line("PUT", url.clone(), "200", true),
            line("PUT", url.clone(), "200", true),
            line("POST", "Patient".to_owned(), "201", true),
        ]
    );
    for (position, entry) in entries(&bundle).iter().enumerate() {
        assert_eq!(entry["fullUrl"], format!("{}/Patient/{id}", client.base));
        assert_eq!(entry["response"]["etag"], format!("W/\"{}\"", 5 - position));
        if entry["resource"].is_object() {
            assert_eq!(entry["resource"]["meta"]["lastUpdated"], entry["response"]["lastModified"]);
        }
    }
    let head = client.request("HEAD", &format!("Patient/{id}/_history"), &[], b"");
    assert_eq!((head.status, head.text.as_str()), (200, ""));
}

#[test]
fn the_history_of_something_deleted_is_still_there() {
    let client = client();
    let id = client.create(&json!({"resourceType": "Patient"}));
    client.delete(&format!("Patient/{id}"));
    let bundle = client.get(&format!("Patient/{id}/_history")).json();
    assert_eq!(bundle["total"], 2);
    assert_eq!(entries(&bundle)[0]["request"]["method"], "DELETE");
    assert!(entries(&bundle)[0].get("resource").is_none());
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let client = client();
    let id = five_versions(&client);
    let mut url = Some(format!("Patient/{id}/_history?_count=2"));
    let (mut versions, mut pages) = (Vec::new(), 0);
    while let Some(path) = url {
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        let bundle = answer.json();
        assert_eq!(bundle["total"], 5);
        assert!(entries(&bundle).len() <= 2);
        versions.extend(entries(&bundle).iter().map(|entry| entry["response"]["etag"].as_str().unwrap().to_owned()));
        url = next(&bundle);
        pages += 1;
        if pages == 1 {
            // A version written meanwhile is newer than this page: it must not shift the next ones.
            let body = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
            client.create(&body);
        }
    }
    assert_eq!(versions, ["W/\"5\"", "W/\"4\"", "W/\"3\"", "W/\"2\"", "W/\"1\""]);
    let none = client.get(&format!("Patient/{id}/_history?_count=0")).json();
    assert_eq!((none["total"].as_i64(), entries(&none).len()), (Some(5), 0));
}

#[test]
fn since_leaves_out_what_is_older() {
    let client = client();
    let id = five_versions(&client);
    let history = client.get(&format!("Patient/{id}/_history")).json();
    let third = entries(&history)[2]["response"]["lastModified"].as_str().unwrap().to_owned();
    let since = client.get(&format!("Patient/{id}/_history?_since={}", third.replace('+', "%2B"))).json();
    assert_eq!(since["total"], 3, "the version at that instant and those after it");
    let none = client.get(&format!("Patient/{id}/_history?_since=2199-01-01T00:00:00Z"));
    assert_eq!((none.status, none.json()["total"].as_i64()), (200, Some(0)));
    for wrong in ["_since=yesterday", "_count=-1", "_count=abc", "_count=1.5", "_after=x", "_nonsense=1"] {
        let answer = client.get(&format!("Patient/{id}/_history?{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.text.contains(wrong.split('=').next().unwrap()), "{wrong}: {}", answer.text);
    }
}

#[test]
fn at_gives_what_was_current_then_and_sort_turns_it_round() {
    let client = client();
    let id = five_versions(&client);
    let updated = |version: usize| {
        let history = client.get(&format!("Patient/{id}/_history?_sort=_lastUpdated")).json();
        entries(&history)[version - 1]["response"]["lastModified"].as_str().unwrap().to_owned()
    };
    let versions = |query: &str| -> Vec<String> {
        let answer = client.get(&format!("Patient/{id}/_history?{query}"));
        assert_eq!(answer.status, 200, "{}", answer.text);
        let etag = |entry: &Value| entry["response"]["etag"].as_str().unwrap().trim_matches(['W', '/', '"']).to_owned();
        let found: Vec<String> = entries(&answer.json()).iter().map(etag).collect();
        assert_eq!(answer.json()["total"], found.len(), "{query}");
        found
    };
    assert_eq!(versions("_sort=_lastUpdated"), ["1", "2", "3", "4", "5"]);
    assert_eq!(versions("_sort=-_lastUpdated"), ["5", "4", "3", "2", "1"]);
    // Instants are told to the millisecond; what came in the same one may be current in it too.
    assert!(versions(&format!("_at={}", updated(2))).contains(&"2".to_owned()));
    assert!(!versions(&format!("_at={}", updated(5))).contains(&"1".to_owned()));
    assert_eq!(versions("_at=2999"), ["5"]);
    assert!(versions("_at=2001-01-01").is_empty());
    let mut page = client.get(&format!("Patient/{id}/_history?_sort=_lastUpdated&_count=2")).json();
    let mut told = Vec::new();
    loop {
        told.extend(entries(&page).iter().map(|entry| entry["response"]["etag"].as_str().unwrap().to_owned()));
        let Some(url) = next(&page) else { break };
        page = client.get(&url).json();
    }
    assert_eq!(told, (1..=5).map(|version| format!("W/\"{version}\"")).collect::<Vec<_>>());
    for bad in ["_at=then", "_sort=name"] {
        assert_eq!(client.get(&format!("Patient/{id}/_history?{bad}")).status, 400, "{bad}");
    }
}

#[test]
fn type_and_system_histories_hold_deletions_newest_first() {
    let client = client();
    let before = client.create(&json!({"resourceType": "Basic", "code": {"text": "before"}}));
    let since = client.get(&format!("Basic/{before}")).json()["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    let id = client.create(&json!({"resourceType": "Basic", "code": {"text": "history"}}));
    client.delete(&format!("Basic/{id}"));
    let other = client.create(&json!({"resourceType": "Linkage", "item": [
        {"type": "source", "resource": {"display": "a"}}]}));
    for (path, expected) in [("Basic/_history", 2), ("_history", 2)] {
        let bundle = client.get(&format!("{path}?_since={since}&_count=1000")).json();
        let own: Vec<Value> = entries(&bundle)
            .into_iter()
            .filter(|entry| entry["fullUrl"] == format!("{}/Basic/{id}", client.base))
            .collect();
        assert_eq!(own.len(), expected, "{path}");
        assert_eq!(own[0]["request"]["method"], "DELETE", "{path}");
        let others =
            entries(&bundle).iter().any(|entry| entry["fullUrl"] == format!("{}/Linkage/{other}", client.base));
        assert_eq!(others, path == "_history", "{path}");
        let times: Vec<String> = entries(&bundle)
            .iter()
            .map(|entry| entry["response"]["lastModified"].as_str().unwrap().to_owned())
            .collect();
        assert!(times.is_sorted_by(|newer, older| newer >= older), "{path}: {times:?}");
    }
}

#[test]
fn a_history_page_walk_of_a_type_ends() {
    let client = client();
    for _ in 0..5 {
        client.create(&json!({"resourceType": "Flag", "status": "active", "code": {"text": "x"},
            "subject": {"display": "nobody"}}));
    }
    let mut url = Some("Flag/_history?_count=2".to_owned());
    let mut seen = std::collections::HashSet::new();
    while let Some(path) = url {
        let bundle = client.get(&path).json();
        for entry in entries(&bundle) {
            assert!(seen.insert((entry["fullUrl"].to_string(), entry["response"]["etag"].to_string())), "seen twice");
        }
        url = next(&bundle);
    }
    assert!(seen.len() >= 5);
}

/// R4 http.html#history: of what never was there is no history, however late it begins.
#[test]
fn since_when_does_not_make_an_unknown_id_known() {
    let client = Salus::shared().client("system/*.cruds");
    let id = client.create(&json!({"resourceType": "Patient"}));
    for query in ["_since=2020-01-01", "_since=2099-01-01T00:00:00Z", "_since=2020-01-01&_count=0"] {
        assert_eq!(client.get(&format!("Patient/nobody/_history?{query}")).status, 404, "{query}");
        assert_eq!(client.get(&format!("Patient/{id}/_history?{query}")).status, 200, "{query}");
    }
    assert_eq!(client.get(&format!("Patient/{id}/_history?_since=2099-01-01T00:00:00Z")).json()["total"], 0);
}
