//! `$graphql` (R4 graphql.html): the suite of `../shared/data/graphql-r4`, access, bounds and audit.

use serde_json::{Value, json};

use crate::harness::shared_data;
use crate::{Answer, Client, Salus};

/// The query of a GET, in a URL.
fn asked(query: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish()
}

fn post(client: &Client, path: &str, query: &str) -> Answer {
    client.send_with("POST", path, query, &[("content-type", "application/graphql")])
}

fn data(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].clone()
}

/// Of the specification's examples, as much as the suite asks for.
fn examples() -> Vec<Value> {
    let patient = json!({"resourceType": "Patient", "id": "example", "active": true,
        "identifier": [{"system": "urn:oid:1.2.36.146.595.217.0.1", "value": "12345"}],
        "name": [{"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
            {"use": "usual", "given": ["Jim"]},
            {"use": "maiden", "family": "Windsor", "given": ["Peter", "James"]}]});
    let coding = |system: &str, code: &str| json!({"system": system, "code": code});
    let weight = json!({"resourceType": "Observation", "id": "example", "status": "final",
        "code": {"coding": [coding("http://loinc.org", "29463-7"), coding("http://loinc.org", "3141-9"),
            coding("http://snomed.info/sct", "27113001"),
            coding("http://acme.org/devices/clinical-codes", "body-weight")]},
        "subject": {"reference": "Patient/example"}, "valueQuantity": {"value": 185, "unit": "lbs"}});
    let dispense = json!({"resourceType": "MedicationDispense", "id": "meddisp008", "status": "completed",
        "medicationReference": {"reference": "#med"},
        "contained": [{"resourceType": "Medication", "id": "med"}],
        "authorizingPrescription": [{"reference": "MedicationRequest/medrx0309"}]});
    let glossy = json!({"resourceType": "Patient", "id": "glossy", "active": false,
        "extension": [{"url": "http://example.org/StructureDefinition/trials", "valueCode": "renal"}]});
    let newborn = json!({"resourceType": "Patient", "id": "newborn", "birthDate": "2016-05-18",
        "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
            "valueDateTime": "2016-05-18T10:28:45Z"}]}});
    let apgar = json!({"resourceType": "Observation", "id": "20minute-apgar-score", "status": "final",
        "code": {"text": "20 minute Apgar score"}, "subject": {"reference": "Patient/newborn"}});
    let list = json!({"resourceType": "List", "id": "example-long", "status": "current", "mode": "working",
        "entry": (0..15).map(|item: i32| json!({"item": {"reference": format!("Patient/{}", item - 4)}}))
            .map(|mut entry| {
                // The first five are of no interest to the suite.
                if entry["item"]["reference"].as_str().unwrap().contains("/-") { entry["deleted"] = json!(true) }
                entry
            }).collect::<Vec<_>>()});
    let condition = json!({"resourceType": "Condition", "id": "example", "subject": {"reference": "Patient/example"}});
    let xds = json!({"resourceType": "Patient", "id": "xds", "active": true});
    vec![patient, weight, dispense, glossy, newborn, apgar, list, condition, xds]
}

/// Cases that do not give what the suite expects to the letter, and why. What is compared instead stands in
/// [`expected`].
const NOT_TO_THE_LETTER: [(&str, &str); 1] =
    [("search-full", "count, score and cursor are those of the services that the suite's own engine is tested with")];

/// An attribute of an XML element in a line.
fn attribute<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!(" {name}=\""))?;
    rest.split('"').next()
}

#[test]
fn the_suite_of_the_specification() {
    let Some(folder) = shared_data("graphql-r4") else { return };
    let salus = Salus::start();
    let client = salus.client("system/*.cruds");
    for resource in examples() {
        let path = format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap());
        let answer = client.put(&path, &resource.to_string());
        assert_eq!(answer.status, 201, "{path}: {}", answer.text);
    }
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    let manifest = read("manifest.xml");
    let (mut passed, mut failed) = (0, Vec::new());
    for line in manifest.lines().filter(|line| line.contains("<test ")) {
        let name = attribute(line, "name").unwrap();
        let context = attribute(line, "context").filter(|context| !context.is_empty()).unwrap_or("$graphql");
        let mut body = json!({"query": read(attribute(line, "source").unwrap())});
        if let Some(operation) = attribute(line, "operation") {
            // The suite's engine takes the one operation that there is with its variable true.
            body["operationName"] = json!(operation);
            body["variables"] = json!({"var": true});
        }
        let answer = client.send_with("POST", context, &body.to_string(), &[("content-type", "application/json")]);
        let output = attribute(line, "output").unwrap();
        if output == "$error" {
            match answer.status {
                400..500 => passed += 1,
                status => failed.push(format!("{name}: {status} {}", answer.text)),
            }
            continue;
        }
        let mut wanted: Value = serde_json::from_str(&read(output)).unwrap();
        let mut found = if answer.status == 200 { data(&answer) } else { json!(answer.text) };
        if NOT_TO_THE_LETTER.iter().any(|(known, _)| *known == name) {
            let ids = |value: &Value| -> Vec<Value> {
                let edges = value["PatientConnection"]["edges"].as_array().cloned().unwrap_or_default();
                edges.iter().map(|edge| edge["resource"].clone()).collect()
            };
            (wanted, found) = (json!(ids(&wanted)), json!(ids(&found)));
        }
        for value in [&mut wanted, &mut found] {
            sort_matches(value);
        }
        if wanted == found { passed += 1 } else { failed.push(format!("{name}: {found} instead of {wanted}")) }
    }
    assert!(failed.is_empty(), "{passed} passed, not these:\n{}", failed.join("\n"));
    assert!(passed >= 29, "{passed}");
}

/// The order of matches is the server's own.
fn sort_matches(value: &mut Value) {
    if let Some(items) = value.as_array_mut() {
        items.sort_by_key(|item| item["id"].to_string());
    }
    if let Some(items) = value.get_mut("PatientList").and_then(Value::as_array_mut) {
        items.sort_by_key(|item| item["id"].to_string());
    }
}

struct World {
    patient: String,
    observations: Vec<String>,
}

fn world(client: &Client) -> World {
    let patient =
        client.create(&json!({"resourceType": "Patient", "name": [{"family": "Graph", "given": ["A", "B"]}]}));
    let observation = |year: u32| {
        client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": format!("{year}-01-01")}))
    };
    let observations = (2019..2024).map(observation).collect();
    World { patient, observations }
}

fn ids(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn references_are_followed_both_ways_and_pages_turned() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("Patient/{}/$graphql", own.patient);
    let there_and_back = "{ ObservationList(_reference: subject, _sort: \"date\") { id subject { resource { id } } } }";
    let found = data(&post(&client, &path, there_and_back));
    assert_eq!(ids(&found["ObservationList"]), own.observations);
    assert!(
        found["ObservationList"].as_array().unwrap().iter().all(|one| one["subject"]["resource"]["id"] == own.patient)
    );
    // By GET as well, with a fragment and an alias.
    let query = "query q { all: name { ...n } __typename } fragment n on HumanName { given }";
    let answer = client.get(&format!("{path}?{}", asked(query)));
    assert_eq!(data(&answer), json!({"all": [{"given": ["A", "B"]}], "__typename": "Patient"}));
    assert!(answer.header("content-type").unwrap().starts_with("application/json"));
    // Page by page.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let query = format!(
            "{{ ObservationConnection(subject: \"Patient/{}\", _count: 2{cursor}) {{ count offset next edges {{ resource {{ id }} }} }} }}",
            own.patient
        );
        let page = data(&post(&client, "$graphql", &query))["ObservationConnection"].clone();
        assert_eq!((page["count"].as_u64(), page["offset"].as_u64()), (Some(5), Some(seen.len() as u64)));
        seen.extend(
            page["edges"].as_array().unwrap().iter().map(|edge| edge["resource"]["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!(", _cursor: \"{next}\"");
    }
    seen.sort();
    let mut all = own.observations.clone();
    all.sort();
    assert_eq!(seen, all);
    assert_eq!(data(&post(&client, "$graphql", "{ Patient(id: nobody) { id } }")), json!({"Patient": null}));
}

/// What refers to each of many resources is searched together, and each has its own.
#[test]
fn lists_of_many_resources_are_each_their_own() {
    let client = Salus::shared().client("system/*.cruds");
    let mark = "graphql-many";
    let patients: Vec<String> =
        (0..70).map(|_| client.create(&json!({"resourceType": "Patient", "identifier": [{"value": mark}]}))).collect();
    let mut expected: std::collections::BTreeMap<&str, Vec<String>> =
        patients.iter().map(|id| (id.as_str(), Vec::new())).collect();
    for (at, patient) in patients.iter().enumerate() {
        for day in 1..=at % 4 {
            let observation = client.create(&json!({"resourceType": "Observation", "status": "final",
                "code": {"text": "x"}, "subject": {"reference": format!("Patient/{patient}")},
                "effectiveDateTime": format!("2021-02-0{day}")}));
            expected.get_mut(patient.as_str()).unwrap().push(observation);
        }
    }
    let query = format!(
        "{{ PatientList(identifier: \"{mark}\", _count: 100) {{ id ObservationList(_reference: subject, _sort: \"date\", \
         _count: 2) {{ id }} ConditionList(_reference: subject) {{ id }} }} }}"
    );
    let found = data(&post(&client, "$graphql", &query));
    let found = found["PatientList"].as_array().unwrap();
    assert_eq!(found.len(), patients.len());
    for patient in found {
        let mut own = expected[patient["id"].as_str().unwrap()].clone();
        own.truncate(2);
        assert_eq!(ids(&patient["ObservationList"]), own, "{patient}");
    }
}

#[test]
fn what_may_not_be_seen_is_not_found_by_any_way() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let own = world(&client);
    let of_patient = format!("{{ ObservationList(subject: \"Patient/{}\") {{ id }} }}", own.patient);
    let follow = |optional: &str| {
        format!("{{ Observation(id: \"{}\") {{ id subject {{ resource{optional} {{ id }} }} }} }}", own.observations[0])
    };
    // Scopes: neither read nor searched, be it asked for or referred to.
    let narrow = salus.client("system/Observation.r");
    assert_eq!(post(&narrow, "$graphql", &of_patient).status, 403);
    assert_eq!(post(&narrow, "$graphql", &follow("")).status, 404);
    let found = data(&post(&narrow, "$graphql", &follow("(optional: true)")));
    assert_eq!(found["Observation"], json!({"id": own.observations[0], "subject": {}}));
    let some = salus.client(&format!("system/Observation.rs?_id={}", own.observations[1]));
    assert_eq!(ids(&data(&post(&some, "$graphql", &of_patient))["ObservationList"]), [own.observations[1].clone()]);
    let count = of_patient.replace("List", "Connection").replace("{ id }", "{ count }");
    assert_eq!(data(&post(&some, "$graphql", &count))["ObservationConnection"]["count"], 1);
    assert_eq!(data(&post(&some, "$graphql", &follow("")))["Observation"], Value::Null);
    assert_eq!(
        salus.client("system/Observation.s").get(&format!("Patient/{}/$graphql?{}", own.patient, asked("{id}"))).status,
        403
    );
    // Consent.
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": format!("Patient/{}", own.patient)},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny", "data": [{"meaning": "instance",
            "reference": {"reference": format!("Observation/{}", own.observations[2])}}]}]}}));
    let found = ids(&data(&post(&client, "$graphql", &of_patient))["ObservationList"]);
    assert!(found.len() == 4 && !found.contains(&own.observations[2]), "{found:?}");
    let hidden = format!("{{ Observation(id: \"{}\") {{ id }} }}", own.observations[2]);
    assert_eq!(data(&post(&client, "$graphql", &hidden)), json!({"Observation": null}));
    assert_eq!(data(&post(&client, "$graphql", &count))["ObservationConnection"]["count"], 4);
    assert_eq!(client.get(&format!("Observation/{}/$graphql?{}", own.observations[2], asked("{id}"))).status, 404);
}

#[test]
fn bad_queries_are_told_and_great_ones_refused() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("Patient/{}/$graphql", own.patient);
    let deep = format!("{{ id {} }}", "extension { ".repeat(60) + "url" + &" }".repeat(60));
    let cycle = "{ ...a } fragment a on Patient { id ...b } fragment b on Patient { ...a }";
    let searches: String = (0..501).map(|n| format!("s{n}: PatientList(_id: \"x{n}\") {{ id }} ")).collect();
    for (on, query, code) in [
        (path.as_str(), "{ id", "structure"),
        (&path, "{ colour }", "not-found"),
        (&path, "{ name }", "structure"),
        (&path, "{ id { x } }", "structure"),
        (&path, "{ __schema { types { name } } }", "not-supported"),
        (&path, "mutation { id }", "not-supported"),
        (&path, "{ name @upside { given } }", "not-supported"),
        (&path, "{ name(fhirpath: \"((\") { given } }", "invalid"),
        (&path, "{ ObservationList { id } }", "required"),
        (&path, "query a { id } query b { id }", "required"),
        (&path, "{ id @include(if: $x) }", "not-found"),
        (&path, "{ ...missing }", "not-found"),
        (&path, &deep, "structure"),
        (&path, cycle, "too-costly"),
        ("$graphql", "{ WeatherList { id } }", "not-found"),
        ("$graphql", "{ AuditEventList { id } }", "not-found"),
        ("$graphql", "{ PatientList(colour: red) { id } }", "not-supported"),
        ("$graphql", "{ PatientConnection(_cursor: \"x\") { count } }", "invalid"),
        ("$graphql", &format!("{{ {searches} }}"), "too-costly"),
        ("$graphql", "", "invalid"),
    ] {
        let answer =
            client.send_with("POST", on, &json!({"query": query}).to_string(), &[("content-type", "application/json")]);
        assert_eq!((answer.status, answer.issue().as_str()), (400, code), "{query}: {}", answer.text);
    }
    assert_eq!(client.get(&format!("Patient/nobody/$graphql?{}", asked("{id}"))).status, 404);
    assert_eq!(client.get("Patient/$graphql?query=x").status, 404);
}

#[test]
fn each_patient_whose_data_were_seen_is_on_record() {
    let client = Salus::shared().client("system/*.cruds");
    let (own, other) = (world(&client), world(&client));
    let query = format!(
        "{{ Patient(id: \"{}\") {{ id }} ObservationList(subject: \"Patient/{}\") {{ id }} }}",
        own.patient, other.patient
    );
    let headers = [("x-request-id", "graphql-audit"), ("content-type", "application/graphql")];
    assert_eq!(client.send_with("POST", "$graphql", &query, &headers).status, 200);
    let events = client.audited(&client, "graphql-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    let event = events[0].to_string();
    for said in [format!("Patient/{}", own.patient), format!("Patient/{}", other.patient), "graphql".to_owned()] {
        assert!(event.contains(&said), "{said}: {event}");
    }
}

#[test]
fn in_a_batch_an_answer_is_the_content_of_a_binary() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let url = format!("Patient/{}/$graphql?{}", own.patient, asked("{ id }"));
    let batch =
        json!({"resourceType": "Bundle", "type": "batch", "entry": [{"request": {"method": "GET", "url": url}}]});
    let answer = client.post("", &batch.to_string());
    let binary = answer.json()["entry"][0]["resource"].clone();
    assert_eq!(binary["resourceType"], "Binary", "{}", answer.text);
    let content = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, binary["data"].as_str().unwrap());
    assert_eq!(content.unwrap(), format!(r#"{{"data":{{"id":"{}"}}}}"#, own.patient).into_bytes());
}
