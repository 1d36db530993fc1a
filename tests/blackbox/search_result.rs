//! What a search answers with: counts, order, totals, included resources, and what was left out
//! (R4 search.html#summary, #return, #errors; http.html#search; case A14).

#![allow(clippy::cloned_ref_to_slice_refs, reason = "an array of ids reads as what is expected")]

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

fn entries(answer: &Answer, mode: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    let entries = bundle["entry"].as_array().into_iter().flatten().filter(|entry| entry["search"]["mode"] == mode);
    let mut names: Vec<String> = entries
        .map(|entry| {
            let resource = &entry["resource"];
            format!("{}/{}", resource["resourceType"].as_str().unwrap(), resource["id"].as_str().unwrap_or(""))
        })
        .collect();
    if mode == "include" {
        names.sort();
    }
    names
}

fn self_link(answer: &Answer) -> String {
    let bundle = answer.json();
    let links = bundle["link"].as_array().unwrap();
    links.iter().find(|link| link["relation"] == "self").unwrap()["url"].as_str().unwrap().to_owned()
}

fn patient(client: &Client, mark: &str, further: Value) -> String {
    let mut patient = json!({"resourceType": "Patient", "identifier": [{"value": mark}]});
    patient.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
    client.create(&patient)
}

#[test]
fn counts_and_totals() {
    let client = Salus::shared().client("system/*.cruds");
    for _ in 0..3 {
        patient(&client, "result-counts", json!({}));
    }
    let search = |query: &str| client.get(&format!("Patient?identifier=result-counts&{query}"));
    let shape = |answer: &Answer| (entries(answer, "match").len(), answer.json()["total"].as_i64());
    assert_eq!(shape(&search("_count=2")), (2, Some(3)));
    assert_eq!(shape(&search("_count=5")), (3, Some(3)));
    assert_eq!(shape(&search("_count=0")), (0, Some(3)));
    assert_eq!(shape(&search("_summary=count")), (0, Some(3)));
    assert_eq!(search("_summary=count").json().get("entry"), None);
    assert_eq!(shape(&search("_count=2&_total=none")), (2, None));
    assert_eq!(shape(&search("_count=2&_total=accurate")), (2, Some(3)));
    assert!(shape(&search("_count=2&_total=estimate")).1.is_some());
    for bad in ["_count=-1", "_count=many", "_total=perhaps"] {
        assert_eq!(search(bad).status, 400, "{bad}");
    }
    // Nothing found is an answer as well.
    let empty = client.get("Patient?identifier=result-nothing");
    assert_eq!(shape(&empty), (0, Some(0)));
    assert_eq!((&empty.json()["type"], empty.json().get("entry")), (&json!("searchset"), None));
}

#[test]
fn order_by_several_keys_with_what_has_none_last() {
    let client = Salus::shared().client("system/*.cruds");
    let make = |family: Option<&str>, born: Option<&str>| {
        let mut further = json!({});
        if let Some(family) = family {
            further["name"] = json!([{"family": family}]);
        }
        if let Some(born) = born {
            further["birthDate"] = json!(born);
        }
        patient(&client, "result-order", further)
    };
    let a = make(Some("Adams"), Some("1990"));
    let b = make(Some("adams"), Some("1980"));
    let c = make(Some("Brown"), Some("2000"));
    let d = make(None, Some("1970"));
    let e = make(Some("Brown"), None);
    let sorted = |sort: &str| client.ids(&format!("Patient?identifier=result-order&_sort={sort}"));
    assert_eq!(sorted("family,birthdate"), [&b, &a, &c, &e, &d].map(String::clone));
    assert_eq!(sorted("family,-birthdate"), [&a, &b, &c, &e, &d].map(String::clone));
    assert_eq!(sorted("-family,birthdate"), [&c, &e, &b, &a, &d].map(String::clone));
    assert_eq!(sorted("birthdate"), [&d, &b, &a, &c, &e].map(String::clone));
    assert_eq!(sorted("-birthdate"), [&c, &a, &b, &d, &e].map(String::clone));
    assert_eq!(sorted("_lastUpdated"), [&a, &b, &c, &d, &e].map(String::clone));
    assert_eq!(sorted("-_lastUpdated"), [&e, &d, &c, &b, &a].map(String::clone));
    let mut ids = [&a, &b, &c, &d, &e].map(String::clone).to_vec();
    ids.sort();
    assert_eq!(sorted("_id"), ids);
}

#[test]
fn by_id_and_time_of_change() {
    let client = Salus::shared().client("system/*.cruds");
    let id = patient(&client, "result-id", json!({}));
    let other = patient(&client, "result-id", json!({}));
    assert_eq!(client.ids(&format!("Patient?_id={id}")), [id.clone()]);
    assert_eq!(client.ids(&format!("Patient?_id={id},{other},nobody")).len(), 2);
    assert_eq!(client.ids(&format!("Practitioner?_id={id}")), Vec::<String>::new());
    let updated = client.get(&format!("Patient/{id}")).json()["meta"]["lastUpdated"].as_str().unwrap().to_owned();
    let finds = |query: &str| client.ids(&format!("Patient?_id={id}&_lastUpdated={query}")).len();
    let updated = updated.replace('+', "%2B");
    assert_eq!(finds(&updated), 1);
    assert_eq!(finds(&format!("ge{updated}")), 1);
    assert_eq!(finds(&format!("le{updated}")), 1);
    assert_eq!(finds(&format!("gt{updated}")), 0);
    assert_eq!(finds(&format!("lt{updated}")), 0);
    assert_eq!(finds("gt2000-01-01"), 1);
    assert_eq!(finds("lt2000,gt2000"), 1);
    assert_eq!(client.get("Patient?_lastUpdated=soon").status, 400);
}

#[test]
fn included_resources_come_once_and_are_told_apart() {
    let client = Salus::shared().client("system/*.cruds");
    let reference = |kind: &str, id: &str| json!({"reference": format!("{kind}/{id}")});
    let above = client.create(&json!({"resourceType": "Organization", "name": "Include Trust"}));
    let below = client.create(&json!({"resourceType": "Organization", "name": "Include Clinic",
        "partOf": reference("Organization", &above)}));
    let patient =
        client.create(&json!({"resourceType": "Patient", "managingOrganization": reference("Organization", &below)}));
    let encounter = client.create(&json!({"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "subject": reference("Patient", &patient), "serviceProvider": reference("Organization", &below)}));
    let observe = || {
        client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": reference("Patient", &patient), "encounter": reference("Encounter", &encounter),
            "performer": [reference("Organization", &below), reference("Patient", &patient)]}))
    };
    let (one, two) = (observe(), observe());
    let get = |query: &str| client.get(&format!("Observation?_id={one},{two}&{query}"));
    let name = |kind: &str, id: &str| format!("{kind}/{id}");
    let (patient_name, below_name, above_name, encounter_name) = (
        name("Patient", &patient),
        name("Organization", &below),
        name("Organization", &above),
        name("Encounter", &encounter),
    );
    let sorted = |names: &[&String]| {
        let mut names: Vec<String> = names.iter().map(|&name| name.clone()).collect();
        names.sort();
        names
    };
    let included = |query: &str| {
        let answer = get(query);
        assert_eq!(entries(&answer, "match").len(), 2, "{query}");
        assert_eq!(answer.json()["total"], 2, "what is included does not count: {query}");
        entries(&answer, "include")
    };
    assert_eq!(included("_include=Observation:subject"), [patient_name.clone()]);
    assert_eq!(included("_include=Observation:patient"), [patient_name.clone()]);
    assert_eq!(included("_include=Observation:performer:Organization"), [below_name.clone()]);
    assert_eq!(included("_include=Observation:performer"), sorted(&[&below_name, &patient_name]));
    assert_eq!(included("_include=Observation:subject:Group"), Vec::<String>::new());
    assert_eq!(included("_include=Observation:*"), sorted(&[&patient_name, &encounter_name, &below_name]));
    assert_eq!(
        included("_include=Observation:encounter&_include=Encounter:service-provider"),
        [encounter_name.clone()],
        "not from included resources without ':iterate'"
    );
    assert_eq!(
        included(
            "_include=Observation:encounter&_include:iterate=Encounter:service-provider&_include:iterate=Organization:partof"
        ),
        sorted(&[&encounter_name, &below_name, &above_name])
    );
    let back =
        client.get(&format!("Patient?_id={patient}&_revinclude=Observation:subject&_revinclude=Encounter:patient"));
    let mut expected = vec![name("Observation", &one), name("Observation", &two), encounter_name.clone()];
    expected.sort();
    assert_eq!(entries(&back, "include"), expected);
    let back = client.get(&format!(
        "Organization?_id={below}&_revinclude=Patient:organization&_revinclude:iterate=Observation:patient"
    ));
    let mut expected = vec![name("Observation", &one), name("Observation", &two), patient_name];
    expected.sort();
    assert_eq!(entries(&back, "include"), expected);
}

/// R4 search.html#errors: left out and said so, or refused under `handling=strict`. Nothing is silently ignored.
#[test]
fn what_is_unknown_is_told() {
    let client = Salus::shared().client("system/*.cruds");
    let id = patient(&client, "result-unknown", json!({}));
    for unknown in [
        "nonsense=1",
        "_sort=nonsense",
        "_include=Patient:nonsense",
        "_include=Nonsense:x",
        "_revinclude=Observation:code",
        "nonsense.name=1",
        "_has:Observation:nonsense:code=1",
        "_has:Nonsense:subject:code=1",
        "general-practitioner:Practitioner.nonsense=1",
        "general-practitioner.nonsense=1",
        "organization.partof.nonsense=1",
        "organization.nonsense.name=1",
        "_has:Observation:subject:nonsense=1",
        "_has:Observation:subject:performer:Practitioner.nonsense=1",
        "_has:Observation:subject:_has:Provenance:target:nonsense=1",
        "_elements=id,nonsense",
        "_elements=name.family",
        "_contained=true",
        "_contained=both",
        "_containedType=contained",
    ] {
        let search = format!("Patient?identifier=result-unknown&{unknown}");
        let lenient = client.get(&search);
        assert_eq!(entries(&lenient, "match"), [format!("Patient/{id}")], "{unknown}");
        assert_eq!(entries(&lenient, "outcome").len(), 1, "{unknown}");
        assert!(!self_link(&lenient).contains(unknown.split('=').next().unwrap()), "{}", self_link(&lenient));
        assert!(self_link(&lenient).contains("identifier=result-unknown"));
        assert_eq!(lenient.json()["total"], 1);
        let strict = client.get_with(&search, &[("prefer", "handling=strict")]);
        assert_eq!((strict.status, strict.issue().as_str()), (400, "not-supported"), "{unknown}");
        assert_eq!(client.get_with(&search, &[("prefer", "handling=lenient")]).status, 200);
    }
    // Wrong values of known parameters are wrong either way.
    let contained = ["_contained=some", "_containedType=some"];
    let values = ["birthdate=soon", "gender=|", "identifier:nonsense=1", "_count=x", "birthdate:exact=2020"];
    for bad in values.into_iter().chain(contained) {
        assert_eq!(client.get(&format!("Patient?{bad}")).status, 400, "{bad}");
    }
    // A chain is known where one of the types that it leads to knows it.
    assert_eq!(client.get_with("Observation?subject.birthdate=2020", &[("prefer", "handling=strict")]).status, 200);
    for wrong in ["gender.name=x", "general-practitioner:Nonsense.name=x", "organization.name:nonsense=x"] {
        assert_eq!(client.get(&format!("Patient?{wrong}")).status, 400, "{wrong}");
    }
    // Criteria are never broadened.
    let headers = [("if-none-exist", "organization.nonsense=1")];
    assert_eq!(client.send_with("POST", "Patient", r#"{"resourceType":"Patient"}"#, &headers).status, 400);
    assert_eq!(client.delete("Patient?identifier=result-unknown&organization.nonsense=1").status, 400);
    // Of two with one name, the one that can be used is.
    let two = client.get("Patient?identifier=result-unknown&_include=Patient:nonsense&_include=Patient:organization");
    assert!(self_link(&two).contains("organization") && !self_link(&two).contains("nonsense"), "{}", self_link(&two));
    let fine = client.get("Patient?identifier=result-unknown&_contained=false");
    assert_eq!(entries(&fine, "outcome"), Vec::<String>::new());
}

/// A14: parameters of the URL and of the body together.
#[test]
fn post_unites_url_and_body() {
    let client = Salus::shared().client("system/*.cruds");
    let male = patient(&client, "result-post", json!({"gender": "male"}));
    let female = patient(&client, "result-post", json!({"gender": "female"}));
    let post = |path: &str, body: &str| {
        client.send_with("POST", path, body, &[("content-type", "application/x-www-form-urlencoded")])
    };
    assert_eq!(entries(&post(&format!("Patient/_search?_id={male}"), ""), "match"), [format!("Patient/{male}")]);
    assert_eq!(entries(&post("Patient/_search", &format!("_id={female}")), "match"), [format!("Patient/{female}")]);
    let both = post("Patient/_search?identifier=result-post", "gender=female");
    assert_eq!(entries(&both, "match"), [format!("Patient/{female}")]);
    let twice = post(&format!("Patient/_search?_id={male},{female}"), &format!("_id={female}"));
    assert_eq!(entries(&twice, "match"), [format!("Patient/{female}")], "repeated parameters all hold");
    assert!(self_link(&both).contains("identifier=result-post") && self_link(&both).contains("gender=female"));
    // The pages of a POST are links.
    let paged = post("Patient/_search?identifier=result-post", "_count=1");
    let bundle = paged.json();
    let next = bundle["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").unwrap();
    assert_eq!(entries(&client.get(next["url"].as_str().unwrap()), "match").len(), 1);
    let wrong = client.send_with("POST", "Patient/_search", "{}", &[("content-type", "application/json")]);
    assert_eq!(wrong.status, 415);
    // No body has no type, and hides nothing of the URL; nor do the other contexts.
    let bodiless = client.request("POST", &format!("Patient/_search?_id={male}"), &[], b"");
    assert_eq!(entries(&bodiless, "match"), [format!("Patient/{male}")]);
    let other = client.create(&json!({"resourceType": "Practitioner", "identifier": [{"value": "result-post"}]}));
    let system = post("_search?_type=Patient,Practitioner", &format!("_id={male},{other}"));
    assert_eq!(entries(&system, "match").len(), 2, "{}", system.text);
    let system = post(&format!("_search?_id={male},{other}"), "_type=Practitioner");
    assert_eq!(entries(&system, "match"), [format!("Practitioner/{other}")]);
    let own = post(&format!("Patient/{male}/*/_search?_type=Patient"), "_lastUpdated=gt2000");
    assert_eq!(entries(&own, "match"), [format!("Patient/{male}")]);
    let none = post(&format!("Patient/{male}/*/_search?_type=Patient"), "_lastUpdated=lt2000");
    assert!(entries(&none, "match").is_empty());
}
