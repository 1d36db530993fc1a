//! `_summary` and `_elements` (R4 search.html#summary, #elements).

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

/// An Observation with a decimal to the digit, a narrative, and elements of every sort; the tag finds it.
fn observation(client: &Client, tag: &str) -> String {
    let body = format!(
        r#"{{"resourceType":"Observation","meta":{{"tag":[{{"code":"{tag}"}}]}},"text":{{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"}},"valueQuantity":{{"value":1.00}},"status":"final","code":{{"text":"c"}},"note":[{{"text":"n"}}],"component":[{{"code":{{"text":"k"}},"interpretation":[{{"text":"high"}}],"valueInteger":3}}]}}"#
    );
    let answer = client.post("Observation", &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.json()["id"].as_str().unwrap().to_owned()
}

fn names(resource: &Value) -> Vec<&str> {
    let mut names: Vec<&str> = resource.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

fn is_marked(resource: &Value) -> bool {
    let tags = resource["meta"]["tag"].as_array().into_iter().flatten();
    let mark = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"});
    tags.filter(|tag| **tag == mark).count() == 1
}

/// What there is after each parameter, beside `resourceType`, `id` and `meta`.
const PARTS: [(&str, &[&str]); 6] = [
    ("_summary=true", &["code", "component", "status", "valueQuantity"]),
    ("_summary=text", &["code", "status", "text"]),
    ("_summary=data", &["code", "component", "note", "status", "valueQuantity"]),
    ("_elements=note", &["code", "note", "status"]),
    ("_elements=id,value", &["code", "status", "valueQuantity"]),
    ("_elements=note&_elements=valueQuantity", &["code", "note", "status", "valueQuantity"]),
];

#[test]
fn every_way_to_read_shows_the_same_part() {
    let client = client();
    let id = observation(&client, "subsets-read");
    let path = format!("Observation/{id}");
    let whole = client.get(&path);
    for (asked, expected) in PARTS {
        let mut expected: Vec<&str> = [expected, &["id", "meta", "resourceType"]].concat();
        expected.sort_unstable();
        let read = client.get(&format!("{path}?{asked}"));
        assert_eq!((read.status, names(&read.json())), (200, expected), "{asked}");
        assert!(is_marked(&read.json()), "{asked}: {}", read.text);
        assert_eq!(read.header("etag"), whole.header("etag"), "it is a part of that version");
        let search = client.get(&format!("Observation?_tag=subsets-read&{asked}")).json();
        assert_eq!(search["total"], 1);
        assert!(search["entry"].as_array().unwrap().iter().all(|entry| entry["search"]["mode"] == "match"), "{search}");
        assert!(search["link"][0]["url"].as_str().unwrap().contains(asked.split(['=', '&']).next().unwrap()));
        for other in [
            client.get(&format!("{path}/_history/1?{asked}")).json(),
            search["entry"][0]["resource"].clone(),
            client.get(&format!("{path}/_history?{asked}")).json()["entry"][0]["resource"].clone(),
        ] {
            assert_eq!(other, read.json(), "{asked}");
        }
    }
    assert_eq!(client.get(&format!("{path}?_summary=false")).text, whole.text);
    // Members keep their order and numbers their digits; what is deeper is summarised, too.
    let summary = client.get(&format!("{path}?_summary=true")).text;
    let rest = r#""valueQuantity":{"value":1.00},"status":"final","code":{"text":"c"},"component":[{"code":{"text":"k"},"valueInteger":3}]}"#;
    assert!(summary.ends_with(rest), "{summary}");
    let xml = client.get(&format!("{path}?_elements=value&_format=xml"));
    assert!(xml.text.contains(r#"<value value="1.00"/>"#) && !xml.text.contains("<note>"), "{}", xml.text);
}

#[test]
fn what_is_whole_is_not_marked() {
    let client = client();
    let id = client.create(&json!({"resourceType": "Patient", "birthDate": "1970"}));
    let whole = client.get(&format!("Patient/{id}"));
    for asked in ["_summary=true", "_summary=data", "_elements=birthDate", "_elements=Observation.code"] {
        assert_eq!(client.get(&format!("Patient/{id}?{asked}")).text, whole.text, "{asked}");
    }
    let unchanged = client.get_with(&format!("Patient/{id}?_summary=true"), &[("if-none-match", "W/\"1\"")]);
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));
}

#[test]
fn only_the_number_of_matches_is_told_to_who_asks_for_it() {
    let client = client();
    let id = observation(&client, "subsets-count");
    let count = |path: &str| {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{}", answer.text);
        (answer.json()["total"].as_i64(), answer.json().get("entry").cloned())
    };
    assert_eq!(count("Observation?_tag=subsets-count&_summary=count"), (Some(1), None));
    assert_eq!(count(&format!("Observation/{id}/_history?_summary=count")), (Some(1), None));
}

#[test]
fn included_resources_are_summarised_and_named_elements_are_of_matches() {
    let client = client();
    let patient =
        client.create(&json!({"resourceType": "Patient", "birthDate": "1970", "maritalStatus": {"text": "m"}}));
    let body = json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": format!("Patient/{patient}")}, "priority": {"text": "p"}});
    let id = client.create(&body);
    let get = |asked: &str| {
        let bundle = client.get(&format!("Encounter?_id={id}&_include=Encounter:subject&{asked}")).json();
        let of = |mode: &str| {
            let entries = bundle["entry"].as_array().unwrap().iter();
            entries
                .filter(|entry| entry["search"]["mode"] == mode)
                .map(|entry| entry["resource"].clone())
                .next()
                .unwrap()
        };
        (of("match"), of("include"))
    };
    let (encounter, of_patient) = get("_summary=true");
    assert!(encounter.get("priority").is_none() && is_marked(&encounter), "{encounter}");
    assert!(of_patient.get("maritalStatus").is_none() && is_marked(&of_patient), "{of_patient}");
    let (encounter, of_patient) = get("_elements=subject");
    assert!(encounter.get("priority").is_none() && encounter.get("class").is_some(), "{encounter}");
    assert!(of_patient.get("maritalStatus").is_some() && !is_marked(&of_patient), "{of_patient}");
    let (encounter, of_patient) = get("_elements=Patient.birthDate");
    assert!(!is_marked(&encounter));
    assert!(of_patient.get("maritalStatus").is_none() && of_patient["birthDate"] == "1970", "{of_patient}");
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let client = client();
    let id = observation(&client, "subsets-refused");
    let refused = |path: &str, code: &str| {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.issue().as_str()), (400, code), "{path}");
    };
    for (asked, code) in [
        ("_summary=perhaps", "invalid"),
        ("_summary=TRUE", "invalid"),
        ("_summary=true&_elements=code", "invalid"),
        ("_summary=true&_summary=data", "invalid"),
    ] {
        for path in [format!("Observation/{id}"), format!("Observation/{id}/_history"), "Observation".to_owned()] {
            refused(&format!("{path}?{asked}"), code);
        }
    }
    refused(&format!("Observation/{id}?_summary=count"), "invalid");
    refused(&format!("Observation/{id}?_elements=nonsense"), "not-supported");
    refused(&format!("Observation/{id}/_history?_elements=code,nonsense"), "not-supported");
    // A read has no place to tell what it leaves out, but can be told to leave out nothing.
    let strict = [("prefer", "handling=strict")];
    for path in [format!("Observation/{id}"), format!("Observation/{id}/_history/1")] {
        assert_eq!(client.get(&format!("{path}?colour=red")).status, 200);
        let answer = client.get_with(&format!("{path}?colour=red"), &strict);
        assert_eq!((answer.status, answer.issue().as_str()), (400, "not-supported"), "{path}");
        assert_eq!(client.get_with(&format!("{path}?_format=json&_pretty=true&_summary=true"), &strict).status, 200);
    }
    refused("Observation?_summary=text&_include=Observation:subject", "invalid");
    let audit = client.get("AuditEvent?_count=1&_elements=recorded").json();
    assert!(audit["entry"][0]["resource"].get("entity").is_none(), "{audit}");
}

/// A part must not take the place of the whole.
#[test]
fn what_was_read_in_part_is_no_update() {
    let client = client();
    let id = observation(&client, "subsets-update");
    let path = format!("Observation/{id}");
    let whole = client.get(&path);
    let part = client.get(&format!("{path}?_summary=true")).text;
    let refused = |answer: &Answer| {
        assert_eq!((answer.status, answer.issue().as_str()), (422, "business-rule"), "{}", answer.text);
    };
    refused(&client.put(&path, &part));
    refused(&client.put(&format!("Observation?_id={id}"), &part));
    let resource: Value = serde_json::from_str(&part).unwrap();
    let bundle = |kind: &str| {
        let request = json!({"method": "PUT", "url": path});
        json!({"resourceType": "Bundle", "type": kind, "entry": [{"resource": resource, "request": request}]})
            .to_string()
    };
    refused(&client.post("", &bundle("transaction")));
    let batch = client.post("", &bundle("batch")).json();
    assert_eq!(batch["entry"][0]["response"]["status"], "422", "{batch}");
    // Nor is the mark to be had by a change: the whole could not be updated from then on.
    let mark = json!({"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"});
    let add = json!([{"op": "add", "path": "/meta/tag/-", "value": mark}]).to_string();
    let patch = |media: &str, body: &str| client.request("PATCH", &path, &[("content-type", media)], body.as_bytes());
    refused(&patch("application/json-patch+json", &add));
    let add = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "add"}, {"name": "path", "valueString": "Observation.meta"},
        {"name": "name", "valueString": "tag"}, {"name": "value", "valueCoding": mark}]}]});
    refused(&patch("application/fhir+json", &add.to_string()));
    let meta = json!({"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"tag": [mark]}}]});
    refused(&client.post(&format!("{path}/$meta-add"), &meta.to_string()));
    assert_eq!(client.get(&path).text, whole.text);
    assert_eq!(client.post("Observation", &part).status, 201, "as a new resource it is what it is");
    assert_eq!(client.put(&path, &whole.text).status, 200);
}
