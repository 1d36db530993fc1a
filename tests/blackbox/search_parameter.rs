//! SearchParameters of one's own (R4 searchparameter.html): checked, indexed in the background, searched by as FHIR's.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

/// A server for these tests: parameters are there for all.
fn server() -> &'static Salus {
    static SERVER: OnceLock<Salus> = OnceLock::new();
    SERVER.get_or_init(Salus::start)
}

/// A SearchParameter for Patients.
pub fn parameter(code: &str, kind: &str, expression: &str) -> Value {
    json!({
        "resourceType": "SearchParameter", "url": format!("http://x.test/SearchParameter/{code}"), "name": "Own",
        "status": "active", "description": "For a test.", "code": code, "base": ["Patient"], "type": kind,
        "expression": expression,
    })
}

/// Searches strictly until all parameters are known, and gives the ids that are found.
pub fn when_usable(client: &Client, search: &str) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let answer = strict(client, search);
        if answer.status == 200 {
            return client.ids(search);
        }
        assert_eq!(answer.status, 400, "{search}: {}", answer.text);
        assert!(answer.text.contains("being indexed"), "{search}: {}", answer.text);
        assert!(begun.elapsed() < Duration::from_secs(90), "{search}: {}", answer.text);
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn strict(client: &Client, search: &str) -> Answer {
    client.get_with(search, &[("prefer", "handling=strict")])
}

/// The ids that are found, sorted, of those given.
fn found(client: &Client, search: &str, of: &[&String]) -> Vec<usize> {
    let ids = when_usable(client, search);
    (0..of.len()).filter(|&position| ids.contains(of[position])).collect()
}

#[test]
fn stored_and_new_resources_are_found_by_parameters_of_each_type() {
    let client = server().client("system/*.cruds");
    let other = client.create(&json!({"resourceType": "Patient", "name": [{"family": "Donor"}]}));
    let patient = |eye: &str, contact: &str, taken: &str, weight: f64, order: u32, photo: &str, born: &str| {
        client.create(&json!({
            "resourceType": "Patient", "gender": "female", "birthDate": born, "multipleBirthInteger": order,
            "contact": [{"name": {"family": contact}}],
            "photo": [{"url": format!("http://x.test/{photo}"), "creation": taken}],
            "extension": [
                {"url": "http://x.test/eye", "valueCoding": {"system": "http://x.test/c", "code": eye}},
                {"url": "http://x.test/weight", "valueQuantity":
                    {"value": weight, "system": "http://unitsofmeasure.org", "code": "kg", "unit": "kg"}},
                {"url": "http://x.test/donor", "valueReference": {"reference": format!("Patient/{other}")}},
            ],
        }))
    };
    let before = patient("blue", "Ötztal", "2020-05-06", 70.5, 1, "one.png", "1980-02-03");
    for (code, kind, expression) in [
        ("eye", "token", "Patient.extension('http://x.test/eye').value"),
        ("contact-name", "string", "Patient.contact.name"),
        ("photo-taken", "date", "Patient.photo.creation"),
        ("weight", "quantity", "Patient.extension.where(url = 'http://x.test/weight').value.as(Quantity)"),
        ("birth-order", "number", "Patient.multipleBirth.ofType(integer)"),
        ("photo-url", "uri", "Patient.photo.url"),
        ("donor", "reference", "(Patient.extension('http://x.test/donor').value as Reference)"),
    ] {
        let mut own = parameter(code, kind, expression);
        if code == "donor" {
            own["target"] = json!(["Patient"]);
        }
        client.create(&own);
    }
    let mut composite = parameter("eye-born", "composite", "Patient");
    composite["component"] = json!([
        {"definition": "http://x.test/SearchParameter/eye", "expression": "extension('http://x.test/eye').value"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-birthdate", "expression": "birthDate"},
    ]);
    client.create(&composite);
    let after = patient("brown", "Oberau", "2022-05-06", 60.25, 2, "two.png", "1990-02-03");
    let both = [&before, &after];
    let none: [usize; 0] = [];
    for (search, expected) in [
        ("eye=blue", &[0][..]),
        ("eye=http://x.test/c|brown", &[1]),
        ("eye:not=blue", &[1]),
        ("eye:missing=true", &none),
        ("contact-name=otz", &[0]),
        ("contact-name:contains=BERAU", &[1]),
        ("photo-taken=2020", &[0]),
        ("photo-taken=gt2021-01", &[1]),
        ("weight=gt65|http://unitsofmeasure.org|kg", &[0]),
        ("weight=60.25", &[1]),
        ("birth-order=2", &[1]),
        ("birth-order=lt3", &[0, 1]),
        ("photo-url=http://x.test/one.png", &[0]),
        ("photo-url:below=http://x.test", &[0, 1]),
        ("eye-born=blue$lt1985", &[0]),
        ("eye-born=blue$gt1985", &none),
        ("eye=blue,brown&birth-order=1", &[0]),
        ("donor.family=donor&birth-order=2", &[1]),
        ("_filter=eye%20eq%20brown", &[1]),
    ] {
        assert_eq!(found(&client, &format!("Patient?{search}"), &both), expected, "{search}");
    }
    assert_eq!(found(&client, &format!("Patient?donor=Patient/{other}"), &both), [0, 1]);
    // Sorted by index entries, and by what stands in the body.
    for (sort, expected) in [("weight", [&after, &before]), ("-birth-order", [&after, &before]), ("eye", both)] {
        assert_eq!(client.ids(&format!("Patient?donor={other}&_sort={sort}")), expected.map(String::clone), "{sort}");
    }
    assert_eq!(client.ids("Patient?_has:Patient:donor:eye=brown"), [other.as_str()]);
    let included = |search: &str| {
        let bundle = client.get(search).json();
        let entries = bundle["entry"].as_array().unwrap().iter().filter(|one| one["search"]["mode"] == "include");
        entries.map(|one| one["resource"]["id"].as_str().unwrap().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(included(&format!("Patient?_id={before}&_include=Patient:donor")), [other.as_str()]);
    assert_eq!(included(&format!("Patient?_id={other}&_revinclude=Patient:donor")).len(), 2);
    let statement = server().get_open("/fhir/metadata").json();
    let patient = statement["rest"][0]["resource"].as_array().unwrap().iter().find(|one| one["type"] == "Patient");
    let listed = patient.unwrap();
    let stated = listed["searchParam"].as_array().unwrap().iter().find(|one| one["name"] == "eye").unwrap();
    assert_eq!(*stated, json!({"name": "eye", "definition": "http://x.test/SearchParameter/eye", "type": "token"}));
    assert!(listed["searchInclude"].as_array().unwrap().contains(&json!("Patient:donor")));
}

#[test]
fn a_parameter_of_all_types_and_one_of_several() {
    let client = server().client("system/*.cruds");
    let mut own = parameter("tagged", "token", "Resource.meta.tag");
    own["base"] = json!(["Resource"]);
    client.create(&own);
    let mut several = parameter("text-status", "token", "Patient.text.status | Organization.text.status");
    several["base"] = json!(["Patient", "Organization"]);
    client.create(&several);
    let meta = json!({"tag": [{"system": "http://x.test/t", "code": "all"}]});
    let text = json!({"status": "generated", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">x</div>"});
    let patient = client.create(&json!({"resourceType": "Patient", "meta": meta, "text": text}));
    let organization = client.create(&json!({"resourceType": "Organization", "name": "o", "meta": meta, "text": text}));
    for (kind, id) in [("Patient", &patient), ("Organization", &organization)] {
        for search in ["tagged=all", "text-status=generated&tagged=all"] {
            assert_eq!(when_usable(&client, &format!("{kind}?{search}")), std::slice::from_ref(id), "{kind}?{search}");
        }
    }
    let mut all = when_usable(&client, "?_type=Patient,Organization&tagged=http://x.test/t|all");
    all.sort();
    let mut expected = [patient, organization];
    expected.sort();
    assert_eq!(all, expected);
}

#[test]
fn what_cannot_be_used_is_refused_where_it_is_wrong() {
    let client = server().client("system/*.cruds");
    let refused = |change: &dyn Fn(&mut Value), code: &str, place: &str| {
        let mut own = parameter("refused", "token", "Patient.gender");
        change(&mut own);
        let answer = client.post("SearchParameter", &own.to_string());
        assert_eq!(answer.status, 422, "{own}: {}", answer.text);
        let issue = &answer.json()["issue"][0];
        assert_eq!(
            (issue["code"].as_str().unwrap(), issue["expression"][0].as_str().unwrap().to_owned()),
            (code, format!("SearchParameter.{place}")),
            "{own}"
        );
    };
    refused(&|own| own["expression"] = json!("Patient.nonsense"), "not-supported", "expression");
    refused(&|own| own["expression"] = json!("Patient.gender.matches('(a+)+$')"), "not-supported", "expression");
    refused(&|own| own["expression"] = json!("(".repeat(4000)), "not-supported", "expression");
    let deep = ["Patient"; 1].join("") + &".extension.value".repeat(40);
    refused(&|own| own["expression"] = json!(deep), "not-supported", "expression");
    refused(&|own| _ = own.as_object_mut().unwrap().remove("expression"), "not-supported", "expression");
    refused(&|own| own["code"] = json!("_mine"), "not-supported", "code");
    refused(&|own| own["code"] = json!("birthdate"), "duplicate", "code");
    refused(&|own| own["type"] = json!("special"), "not-supported", "type");
    refused(&|own| own["base"] = json!(["AuditEvent"]), "not-supported", "base[0]");
    // A composite, in a transaction: the whole is refused, and the issue says which entry it is.
    let mut composite = parameter("refused", "composite", "Patient");
    composite["component"] = json!([{"definition": "http://x.test/nothing", "expression": "gender"}]);
    let entry = |resource: &Value| json!({"resource": resource, "request": {"method": "POST", "url": resource["resourceType"]}});
    let patient = json!({"resourceType": "Patient", "identifier": [{"value": "of-a-refused-transaction"}]});
    let bundle =
        json!({"resourceType": "Bundle", "type": "transaction", "entry": [entry(&patient), entry(&composite)]});
    let answer = client.post("", &bundle.to_string());
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert!(answer.json()["issue"][0]["expression"][0].as_str().unwrap().contains("entry[1]"), "{}", answer.text);
    assert!(client.ids("Patient?identifier=of-a-refused-transaction").is_empty());
    // What is not in use may say anything; to put it in use is to be refused.
    let mut draft = parameter("refused", "token", "Patient.nonsense");
    draft["status"] = json!("draft");
    let id = client.create(&draft);
    let parameters = json!({"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"}, {"name": "path", "valueString": "SearchParameter.status"},
        {"name": "value", "valueCode": "active"},
    ]}]});
    let patch = json!({"resourceType": "Bundle", "type": "transaction", "entry": [
        {"resource": parameters, "request": {"method": "PATCH", "url": format!("SearchParameter/{id}")}}]});
    assert_eq!(client.post("", &patch.to_string()).status, 422);
    assert_eq!(strict(&client, "Patient?refused=x").status, 400);
    // FHIR's own definition may be stored; it is in use anyway.
    let mut own = parameter("gender", "token", "Patient.gender");
    own["url"] = json!("http://hl7.org/fhir/SearchParameter/individual-gender");
    client.create(&own);
    assert_eq!(strict(&client, "Patient?gender=female&_count=0").status, 200);
    // Of two parameters of one's own the first stands.
    client.create(&parameter("first", "token", "Patient.gender"));
    refused(&|own| own["code"] = json!("first"), "duplicate", "code");
}

#[test]
fn changed_retired_and_deleted_parameters() {
    let client = server().client("system/*.cruds");
    let patient = client.create(&json!({
        "resourceType": "Patient", "language": "tlh", "maritalStatus": {"coding": [{"code": "tlh-m"}]},
    }));
    let mut own = parameter("changing", "token", "Patient.language");
    let id = client.create(&own);
    own["id"] = json!(id);
    let path = format!("SearchParameter/{id}");
    let put = |own: &Value| assert_eq!(client.put(&path, &own.to_string()).status, 200);
    assert_eq!(when_usable(&client, "Patient?changing=tlh"), [patient.as_str()]);
    // Words that change nothing of what is found need no index.
    own["description"] = json!("Said otherwise.");
    put(&own);
    assert_eq!(strict(&client, "Patient?changing=tlh").status, 200);
    own["expression"] = json!("Patient.maritalStatus");
    put(&own);
    assert_eq!(when_usable(&client, "Patient?changing=tlh-m"), [patient.as_str()]);
    assert!(client.ids("Patient?changing=tlh").is_empty());
    own["status"] = json!("retired");
    put(&own);
    let answer = strict(&client, "Patient?changing=tlh-m");
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("Patient has no search parameter 'changing'"), "{}", answer.text);
    // What is stored while it is not in use is found when it is again.
    let meanwhile =
        client.create(&json!({"resourceType": "Patient", "maritalStatus": {"coding": [{"code": "tlh-m"}]}}));
    own["status"] = json!("active");
    put(&own);
    let mut both = when_usable(&client, "Patient?changing=tlh-m");
    both.sort();
    let mut expected = [patient, meanwhile];
    expected.sort();
    assert_eq!(both, expected);
    assert_eq!(client.delete(&path).status, 204);
    let bundle = client.get("Patient?changing=tlh-m&_id=none").json();
    assert_eq!(bundle["entry"][0]["search"]["mode"], "outcome", "{bundle}");
    let statement = server().get_open("/fhir/metadata").text;
    assert!(!statement.contains(r#""name":"changing""#));
}

#[test]
fn they_widen_nobodys_access() {
    let salus = server();
    let client = salus.client("system/*.cruds");
    client.create(&parameter("secret-mark", "token", "Patient.extension('http://x.test/mark').value"));
    let mut mentions = parameter("mentions", "reference", "Observation.extension('http://x.test/mentions').value");
    mentions["base"] = json!(["Observation"]);
    client.create(&mentions);
    let patient = |gender: &str| {
        client.create(&json!({"resourceType": "Patient", "gender": gender,
            "extension": [{"url": "http://x.test/mark", "valueCode": "mark"}]}))
    };
    let (male, female) = (patient("male"), patient("female"));
    assert_eq!(when_usable(&client, "Patient?secret-mark=mark").len(), 2);
    let restricted = salus.client("system/Patient.rs?gender=female");
    assert_eq!(restricted.ids("Patient?secret-mark=mark"), [female.as_str()]);
    assert_eq!(restricted.get("Patient?secret-mark=mark&_total=accurate").json()["total"], 1);
    // As part of a scope: what was marked when the parameter was not yet there is known as what is stored since.
    let by_mark = salus.client("system/Patient.rs?secret-mark=mark");
    let unmarked = client.create(&json!({"resourceType": "Patient"}));
    assert_eq!(by_mark.get(&format!("Patient/{male}")).status, 200);
    assert_eq!(by_mark.get(&format!("Patient/{unmarked}")).status, 404);
    // A reference by such a parameter places nothing in a patient's compartment.
    let observation = client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{male}")},
        "extension": [{"url": "http://x.test/mentions", "valueReference": {"reference": format!("Patient/{female}")}}]}));
    assert_eq!(when_usable(&client, &format!("Observation?mentions=Patient/{female}")), [observation.as_str()]);
    assert!(client.ids(&format!("Patient/{female}/Observation")).is_empty());
    assert_eq!(client.ids(&format!("Patient/{male}/Observation")), [observation.as_str()]);
}
