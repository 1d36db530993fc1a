//! PATCH (R4 http.html#patch, fhirpatch.html; RFC 6902, 5789): JSON Patch and FHIRPath Patch, conditional, in
//! Bundles, under races.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::wire::race;
use crate::{Answer, Client, Salus};

const JSON_PATCH: &str = "application/json-patch+json";
const FHIR_JSON: &str = "application/fhir+json";
const SYSTEM: &str = "http://salus.example/test/patch";
const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

fn client() -> Client {
    Salus::shared().client("system/*.cruds")
}

fn patch_with(client: &Client, path: &str, media: &str, body: &str, headers: &[(&str, &str)]) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("content-type", media)]).collect();
    client.request("PATCH", path, &headers, body.as_bytes())
}

fn json_patch(client: &Client, path: &str, operations: &Value) -> Answer {
    patch_with(client, path, JSON_PATCH, &operations.to_string(), &[])
}

fn fhir_patch(client: &Client, path: &str, parameters: &Value) -> Answer {
    patch_with(client, path, FHIR_JSON, &parameters.to_string(), &[])
}

/// A FHIRPath Patch of one operation.
fn parameters(parts: Value) -> Value {
    json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]})
}

fn replace_gender(code: &str) -> Value {
    parameters(json!([
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.gender"},
        {"name": "value", "valueCode": code},
    ]))
}

fn to_gender(code: &str) -> Value {
    json!([{"op": "replace", "path": "/gender", "value": code}])
}

fn new_patient(client: &Client) -> (String, String) {
    let value = uuid::Uuid::new_v4().to_string();
    let patient = json!({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}],
        "name": [{"family": "F", "given": ["A", "B"]}], "gender": "male", "birthDate": "1970-01-01"});
    (client.create(&patient), value)
}

fn version(client: &Client, path: &str) -> String {
    client.get(path).json()["meta"]["versionId"].as_str().unwrap().to_owned()
}

fn binary(operations: &Value) -> Value {
    let data = STANDARD.encode(operations.to_string());
    json!({"resourceType": "Binary", "contentType": JSON_PATCH, "data": data})
}

fn entry(url: &str, resource: Value) -> Value {
    json!({"resource": resource, "request": {"method": "PATCH", "url": url}})
}

fn bundle(client: &Client, kind: &str, entries: Vec<Value>) -> Answer {
    client.post("", &json!({"resourceType": "Bundle", "type": kind, "entry": entries}).to_string())
}

#[test]
fn both_forms_change_what_they_name_and_nothing_else() {
    let client = client();
    let text = r#"{"resourceType":"Observation","status":"final","code":{"text":"c"},"valueQuantity":{"value":1.00,"unit":"mg"},"component":[{"code":{"text":"d"},"valueQuantity":{"value":2.50}}]}"#;
    let id = client.post("Observation", text).json()["id"].as_str().unwrap().to_owned();
    let path = format!("Observation/{id}");
    let operations = r#"[{"op":"test","path":"/valueQuantity/value","value":1},{"op":"add","path":"/component/0/valueQuantity/unit","value":"g"},{"op":"replace","path":"/status","value":"amended"}]"#;
    let answer = patch_with(&client, &path, JSON_PATCH, operations, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("etag").as_deref(), Some("W/\"2\""));
    assert!(answer.header("last-modified").is_some());
    let rest = r#""status":"amended","code":{"text":"c"},"valueQuantity":{"value":1.00,"unit":"mg"},"component":[{"code":{"text":"d"},"valueQuantity":{"value":2.50,"unit":"g"}}]}"#;
    assert!(answer.text.ends_with(rest), "{}", answer.text);
    let parameters = r#"{"resourceType":"Parameters","parameter":[{"name":"operation","part":[{"name":"type","valueCode":"replace"},{"name":"path","valueString":"Observation.component.where(code.text = 'd').value.value"},{"name":"value","valueDecimal":3.10}]}]}"#;
    let answer = patch_with(&client, &path, FHIR_JSON, parameters, &[]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.ends_with(&rest.replace("2.50", "3.10")), "{}", answer.text);
    assert_eq!(client.get(&path).text, answer.text);
    let history = client.get(&format!("{path}/_history")).json();
    let methods: Vec<&Value> =
        history["entry"].as_array().unwrap().iter().map(|entry| &entry["request"]["method"]).collect();
    assert_eq!(methods, ["PATCH", "PATCH", "POST"]);
    assert_eq!(client.ids(&format!("Observation?_id={id}&status=amended")), [id], "the index follows");
}

#[test]
fn a_fhir_path_patch_may_come_as_xml() {
    let client = client();
    let (id, _) = new_patient(&client);
    let parameters = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
        <part><name value="type"/><valueCode value="delete"/></part>
        <part><name value="path"/><valueString value="Patient.name.given[0]"/></part></parameter></Parameters>"#;
    let answer = patch_with(&client, &format!("Patient/{id}"), "application/fhir+xml", parameters, &[]);
    assert_eq!((answer.status, &answer.json()["name"][0]["given"]), (200, &json!(["B"])), "{}", answer.text);
}

/// LinuxForHealth/FHIR 2712: a successful test made a new version, a failed one an error 500.
#[test]
fn tests_guard_and_change_nothing_themselves() {
    let client = client();
    let (id, _) = new_patient(&client);
    let path = format!("Patient/{id}");
    let before = client.get(&path);
    let holds = json_patch(&client, &path, &json!([{"op": "test", "path": "/name/0/given/1", "value": "B"}]));
    assert_eq!((holds.status, holds.text.as_str()), (200, before.text.as_str()));
    let same = fhir_patch(&client, &path, &replace_gender("male"));
    assert_eq!((same.status, same.header("etag")), (200, before.header("etag")));
    let fails = json_patch(
        &client,
        &path,
        &json!([{"op": "replace", "path": "/gender", "value": "other"}, {"op": "test", "path": "/name/0/family", "value": "X"}]),
    );
    assert_eq!((fails.status, fails.issue().as_str()), (422, "conflict"), "{}", fails.text);
    assert_eq!(client.get(&path).text, before.text, "all or nothing");
}

#[test]
fn each_error_says_what_it_is_and_changes_nothing() {
    let client = client();
    let (id, _) = new_patient(&client);
    let path = format!("Patient/{id}");
    let before = client.get(&path).text;
    let check = |media: &str, body: &str, status: u16, code: &str| {
        let answer = patch_with(&client, &path, media, body, &[]);
        assert_eq!((answer.status, answer.issue().as_str()), (status, code), "{body}: {}", answer.text);
        assert_eq!(client.get(&path).text, before, "{body}");
    };
    for (body, status, code) in [
        ("", 400, "required"),
        ("[", 400, "structure"),
        ("{}", 400, "structure"),
        (r#"[{"op":"add","op":"add","path":"/x","value":1}]"#, 400, "structure"),
        (r#"[{"op":"add","path":"/gender"}]"#, 400, "required"),
        (r#"[{"op":"merge","path":"/gender","value":1}]"#, 400, "code-invalid"),
        (r#"[{"op":"add","path":"gender","value":1}]"#, 400, "invalid"),
        (r#"[{"op":"remove","path":"/photo"}]"#, 422, "not-found"),
        (r#"[{"op":"add","path":"/name/0/given/9","value":"X"}]"#, 422, "value"),
        (r#"[{"op":"replace","path":"/id","value":"other"}]"#, 422, "business-rule"),
        (r#"[{"op":"remove","path":"/id"}]"#, 422, "business-rule"),
        (r#"[{"op":"replace","path":"/resourceType","value":"Person"}]"#, 422, "business-rule"),
        (r#"[{"op":"replace","path":"","value":{"resourceType":"Patient"}}]"#, 422, "business-rule"),
        (r#"[{"op":"replace","path":"","value":1}]"#, 422, "business-rule"),
        (r#"[{"op":"add","path":"/unknown","value":1}]"#, 422, "structure"),
        (r#"[{"op":"replace","path":"/gender","value":"x"}]"#, 422, "code-invalid"),
        (r#"[{"op":"add","path":"/name/0/period","value":{}}]"#, 422, "structure"),
    ] {
        check(JSON_PATCH, body, status, code);
    }
    let operation = |kind: &str, at: &str, rest: Value| {
        let mut parts = vec![json!({"name": "type", "valueCode": kind}), json!({"name": "path", "valueString": at})];
        parts.extend(rest.as_array().cloned().unwrap_or_default());
        parameters(Value::Array(parts)).to_string()
    };
    let value = json!({"name": "value", "valueString": "X"});
    for (body, status, code) in [
        ("[]".to_owned(), 400, "structure"),
        (r#"{"resourceType":"Patient"}"#.to_owned(), 400, "structure"),
        (r#"{"resourceType":"Parameters","parameter":[{"name":"other"}]}"#.to_owned(), 400, "structure"),
        (operation("replace", "Patient.gender", json!([])), 400, "required"),
        (operation("merge", "Patient.gender", json!([])), 400, "code-invalid"),
        (operation("delete", "Patient.(", json!([])), 400, "invalid"),
        (operation("delete", "Patient.gender", json!([value])), 400, "invalid"),
        (operation("delete", "Patient.name.given", json!([])), 422, "multiple-matches"),
        (operation("replace", "Patient.photo.title", json!([value])), 422, "not-found"),
        (operation("add", "Patient", json!([{"name": "name", "valueString": "gender"}, value])), 422, "duplicate"),
        (operation("add", "Patient", json!([{"name": "name", "valueString": "nothing"}, value])), 422, "invalid"),
        (operation("insert", "Patient.name.given", json!([{"name": "index", "valueInteger": 3}, value])), 422, "value"),
        (operation("replace", "Patient.name", json!([value])), 422, "invalid"),
        (operation("replace", "Patient.id", json!([{"name": "value", "valueId": "other"}])), 422, "business-rule"),
        (operation("replace", "Patient.gender", json!([{"name": "value", "valueCode": "x"}])), 422, "code-invalid"),
    ] {
        check(FHIR_JSON, &body, status, code);
    }
}

#[test]
fn other_media_types_are_told_which_are_taken() {
    let client = client();
    let (id, _) = new_patient(&client);
    for media in ["application/xml-patch+xml", "application/merge-patch+json", "text/plain"] {
        let answer = patch_with(&client, &format!("Patient/{id}"), media, "[]", &[]);
        assert_eq!((answer.status, answer.issue().as_str()), (415, "not-supported"), "{media}: {}", answer.text);
        assert!(answer.header("accept-patch").unwrap().contains(JSON_PATCH), "{media}");
    }
}

#[test]
fn versions_are_the_servers_and_if_match_is_heeded() {
    let client = client();
    let (id, _) = new_patient(&client);
    let path = format!("Patient/{id}");
    let body = to_gender("female").to_string();
    let with = |tag: &str| patch_with(&client, &path, JSON_PATCH, &body, &[("if-match", tag)]);
    assert_eq!(with("W/\"7\"").status, 412);
    assert_eq!(with("nonsense").status, 400);
    assert_eq!(version(&client, &path), "1");
    assert_eq!(with("W/\"1\"").status, 200);
    // The patch of another version is not tried, whatever it would do.
    let stale =
        patch_with(&client, &path, JSON_PATCH, r#"[{"op":"remove","path":"/photo"}]"#, &[("if-match", "W/\"1\"")]);
    assert_eq!((stale.status, stale.issue().as_str()), (412, "conflict"), "{}", stale.text);
    let forged = json!([
        {"op": "replace", "path": "/meta/versionId", "value": "99"},
        {"op": "replace", "path": "/meta/lastUpdated", "value": "2000-01-01T00:00:00Z"},
    ]);
    let answer = json_patch(&client, &path, &forged).json();
    assert_eq!(answer["meta"]["versionId"], "3");
    assert!(answer["meta"]["lastUpdated"].as_str().unwrap() > "2020");
    assert_eq!(with("*").status, 200);
}

#[test]
fn what_is_not_there_cannot_be_patched() {
    let client = client();
    let answer = json_patch(&client, &format!("Patient/{UNKNOWN}"), &to_gender("male"));
    assert_eq!((answer.status, answer.issue().as_str()), (404, "not-found"));
    let (id, _) = new_patient(&client);
    client.delete(&format!("Patient/{id}"));
    let answer = json_patch(&client, &format!("Patient/{id}"), &to_gender("male"));
    assert_eq!((answer.status, answer.issue().as_str()), (410, "deleted"));
}

#[test]
fn criteria_must_lead_to_one() {
    let client = client();
    let (id, value) = new_patient(&client);
    let path = format!("Patient?identifier={SYSTEM}|{value}");
    let answer = json_patch(&client, &path, &to_gender("other"));
    assert_eq!((answer.status, &answer.json()["id"]), (200, &json!(id)), "{}", answer.text);
    assert_eq!(fhir_patch(&client, &path, &replace_gender("female")).json()["meta"]["versionId"], "3");
    assert_eq!(patch_with(&client, &path, JSON_PATCH, "[]", &[("if-match", "W/\"1\"")]).status, 412);
    let none = json_patch(&client, &format!("Patient?identifier={SYSTEM}|{UNKNOWN}"), &to_gender("other"));
    assert_eq!((none.status, none.issue().as_str()), (404, "not-found"), "{}", none.text);
    client.create(&json!({"resourceType": "Patient", "identifier": [{"system": SYSTEM, "value": value}]}));
    let several = json_patch(&client, &path, &to_gender("other"));
    assert_eq!((several.status, several.issue().as_str()), (412, "multiple-matches"), "{}", several.text);
    let unknown = json_patch(&client, "Patient?nonsense=1", &to_gender("other"));
    assert_eq!(unknown.status, 400, "criteria that cannot be used are not left out: {}", unknown.text);
    assert_eq!(json_patch(&client, "Patient", &to_gender("other")).status, 400);
}

#[test]
fn prefer_says_what_comes_back() {
    let client = client();
    let (id, _) = new_patient(&client);
    let patch = |prefer: &str, code: &str| {
        let headers = [("prefer", prefer)];
        patch_with(&client, &format!("Patient/{id}"), JSON_PATCH, &to_gender(code).to_string(), &headers)
    };
    let minimal = patch("return=minimal", "female");
    assert_eq!((minimal.status, minimal.text.as_str()), (200, ""));
    assert_eq!(minimal.header("etag").as_deref(), Some("W/\"2\""));
    assert_eq!(patch("return=OperationOutcome", "other").issue(), "informational");
    assert_eq!(patch("return=representation", "male").json()["gender"], "male");
}

#[test]
fn update_is_what_it_takes_and_reading_is_not_given_with_it() {
    let salus = Salus::shared();
    let all = client();
    let (id, value) = new_patient(&all);
    let path = format!("Patient/{id}");
    for scope in ["system/Patient.crds", "system/Observation.u", "system/*.rs"] {
        let answer = json_patch(&salus.client(scope), &path, &to_gender("female"));
        assert_eq!((answer.status, answer.issue().as_str()), (403, "forbidden"), "{scope}");
    }
    let updater = salus.client("system/Patient.u");
    let answer = patch_with(
        &updater,
        &path,
        JSON_PATCH,
        &to_gender("female").to_string(),
        &[("prefer", "return=representation")],
    );
    assert_eq!((answer.status, answer.text.as_str()), (200, ""), "what was there before is not told");
    assert_eq!(all.get(&path).json()["gender"], "female");
    let search = json_patch(&updater, &format!("Patient?identifier={SYSTEM}|{value}"), &to_gender("male"));
    assert_eq!(search.status, 403, "criteria take search");

    // What may not be seen is not there; what may not be written is refused.
    let male = salus.client("system/Patient.cruds?gender=male");
    assert_eq!(json_patch(&male, &path, &to_gender("male")).status, 404);
    json_patch(&all, &path, &to_gender("male"));
    let outside = json_patch(&male, &path, &to_gender("other"));
    assert_eq!((outside.status, outside.issue().as_str()), (403, "forbidden"), "{}", outside.text);
    assert_eq!(all.get(&path).json()["gender"], "male");
    let within = json_patch(&male, &path, &json!([{"op": "remove", "path": "/birthDate"}]));
    assert_eq!(within.status, 200, "{}", within.text);
}

#[test]
fn racing_patches_all_count() {
    let client = client();
    let (id, value) = new_patient(&client);
    let path = format!("Patient/{id}");
    let answers = race(16, |number| {
        let text = format!("R{number}");
        match number % 3 {
            0 => json_patch(&client, &path, &json!([{"op": "add", "path": "/name/0/given/-", "value": text}])),
            1 => fhir_patch(
                &client,
                &path,
                &parameters(json!([
                    {"name": "type", "valueCode": "add"},
                    {"name": "path", "valueString": "Patient.name"},
                    {"name": "name", "valueString": "given"},
                    {"name": "value", "valueString": text},
                ])),
            ),
            _ => json_patch(
                &client,
                &format!("Patient?identifier={SYSTEM}|{value}"),
                &json!([{"op": "add", "path": "/name/0/given/0", "value": text}]),
            ),
        }
    });
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    let patient = client.get(&path).json();
    assert_eq!(patient["meta"]["versionId"], "17");
    let given = patient["name"][0]["given"].as_array().unwrap();
    assert_eq!(given.len(), 18, "{given:?}");
    assert!((0..16).all(|number| given.contains(&json!(format!("R{number}")))), "{given:?}");
}

#[test]
fn of_racing_patches_that_name_the_version_one_wins() {
    let client = client();
    let (id, _) = new_patient(&client);
    let answers = race(8, |number| {
        let body = json!([{"op": "add", "path": "/name/0/given/-", "value": format!("R{number}")}]).to_string();
        patch_with(&client, &format!("Patient/{id}"), JSON_PATCH, &body, &[("if-match", "W/\"1\"")]).status
    });
    assert_eq!(answers.iter().filter(|&&status| status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|&&status| status == 412).count(), 7, "{answers:?}");
}

#[test]
fn bundles_take_both_forms() {
    let client = client();
    for kind in ["batch", "transaction"] {
        let ((first, _), (second, value), (third, _)) =
            (new_patient(&client), new_patient(&client), new_patient(&client));
        let mut guarded = entry(&format!("Patient/{third}"), binary(&to_gender("other")));
        guarded["request"]["ifMatch"] = json!("W/\"1\"");
        let answer = bundle(
            &client,
            kind,
            vec![
                entry(&format!("Patient/{first}"), binary(&to_gender("female"))),
                entry(&format!("Patient?identifier={SYSTEM}|{value}"), replace_gender("unknown")),
                guarded,
            ],
        );
        assert_eq!(answer.status, 200, "{}", answer.text);
        for entry in answer.json()["entry"].as_array().unwrap() {
            assert!(entry["response"]["status"].as_str().unwrap().starts_with("200"), "{kind}: {entry}");
            assert_eq!(entry["response"]["etag"], "W/\"2\"", "{kind}");
        }
        for (id, gender) in [(first, "female"), (second, "unknown"), (third, "other")] {
            assert_eq!(client.get(&format!("Patient/{id}")).json()["gender"], gender, "{kind}");
        }
    }
}

#[test]
fn a_patch_that_fails_fails_its_transaction_and_only_its_entry_of_a_batch() {
    let client = client();
    let (id, _) = new_patient(&client);
    let good = || entry(&format!("Patient/{id}"), binary(&to_gender("female")));
    let mut media = binary(&to_gender("male"));
    media["contentType"] = json!("application/xml-patch+xml");
    let other = |resource: Value| {
        let (other, _) = new_patient(&client);
        entry(&format!("Patient/{other}"), resource)
    };
    let bad = [
        (other(binary(&json!([{"op": "test", "path": "/gender", "value": "x"}]))), 422, "conflict"),
        (other(binary(&to_gender("x"))), 422, "code-invalid"),
        (other(binary(&json!({}))), 400, "structure"),
        (other(json!({"resourceType": "Binary", "contentType": JSON_PATCH, "data": "?"})), 400, "invalid"),
        (other(json!({"resourceType": "Binary", "contentType": JSON_PATCH})), 400, "invalid"),
        (other(json!({"resourceType": "Patient"})), 400, "structure"),
        (other(media), 415, "not-supported"),
        (json!({"request": {"method": "PATCH", "url": format!("Patient/{id}")}}), 400, "required"),
        (entry(&format!("Patient/{UNKNOWN}"), binary(&to_gender("male"))), 404, "not-found"),
        (entry(&format!("Patient?identifier={SYSTEM}|{UNKNOWN}"), replace_gender("male")), 404, "not-found"),
    ];
    for (entry, status, code) in bad {
        let answer = bundle(&client, "transaction", vec![good(), entry.clone()]);
        assert_eq!((answer.status, answer.issue().as_str()), (status, code), "{entry}: {}", answer.text);
        let expression = answer.json()["issue"][0]["expression"][0].to_string();
        assert!(expression.contains("Bundle.entry[1]"), "{entry}: {expression}");
        assert_eq!(version(&client, &format!("Patient/{id}")), "1", "{entry}");
        let answer = bundle(&client, "batch", vec![entry.clone()]);
        let response = answer.json()["entry"][0]["response"].clone();
        assert!(response["status"].as_str().unwrap().starts_with(&status.to_string()), "{entry}: {response}");
        assert_eq!(response["outcome"]["issue"][0]["code"], code, "{entry}");
    }
    let twice = bundle(&client, "transaction", vec![good(), good()]);
    assert_eq!((twice.status, twice.issue().as_str()), (400, "duplicate"), "{}", twice.text);
}

/// What a transaction creates can be referred to by a patch of the same transaction.
#[test]
fn a_patch_may_refer_to_what_its_transaction_creates() {
    let client = client();
    let (id, _) = new_patient(&client);
    let url = "urn:uuid:5f1c2a0e-0c0f-4d9e-9b0a-0a6c4a3f7b11";
    let organization = json!({"fullUrl": url, "resource": {"resourceType": "Organization", "name": "O"},
        "request": {"method": "POST", "url": "Organization"}});
    let add = json!([{"op": "add", "path": "/managingOrganization", "value": {"reference": url}}]);
    let answer = bundle(&client, "transaction", vec![entry(&format!("Patient/{id}"), binary(&add)), organization]);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let patient = client.get(&format!("Patient/{id}")).json();
    let reference = patient["managingOrganization"]["reference"].as_str().unwrap();
    assert_eq!(client.get(reference).json()["name"], "O", "{reference}");
}

/// Deadlocks between Bundles that patch the same resources in other orders are resolved, not answered.
#[test]
fn racing_transactions_that_patch_the_same_resources_all_count() {
    let client = client();
    let ids: Vec<String> = (0..3).map(|_| new_patient(&client).0).collect();
    let statuses = race(8, |number| {
        let add = json!([{"op": "add", "path": "/name/0/given/-", "value": format!("R{number}")}]);
        let mut entries: Vec<Value> = ids.iter().map(|id| entry(&format!("Patient/{id}"), binary(&add))).collect();
        entries.rotate_left(number % 3);
        bundle(&client, "transaction", entries).status
    });
    assert!(statuses.iter().all(|&status| status == 200), "{statuses:?}");
    for id in ids {
        assert_eq!(version(&client, &format!("Patient/{id}")), "9");
    }
}
