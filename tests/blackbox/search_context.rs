//! Searches of a compartment, of several types and of the whole server (R4 search.html#searchcontexts, http.html#vsearch).

use serde_json::json;

use crate::{Answer, Client, Salus};

/// `Type/id` of the matches, sorted.
fn found(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    let entries = bundle["entry"].as_array().into_iter().flatten().filter(|entry| entry["search"]["mode"] == "match");
    let base = "/fhir/";
    let mut names: Vec<String> =
        entries.map(|entry| entry["fullUrl"].as_str().unwrap().split_once(base).unwrap().1.to_owned()).collect();
    names.sort();
    names
}

struct Ward {
    patient: String,
    encounter: String,
    weight: String,
    height: String,
}

fn ward(client: &Client, mark: &str) -> Ward {
    let patient = client.create(&json!({"resourceType": "Patient", "meta": {"tag": [{"code": mark}]}}));
    let subject = json!({"reference": format!("Patient/{patient}")});
    let encounter = client.create(&json!({"resourceType": "Encounter", "status": "finished", "subject": subject,
        "class": {"code": "IMP"}, "meta": {"tag": [{"code": mark}]}}));
    let observation = |code: &str| {
        client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": code}]},
            "subject": subject, "encounter": {"reference": format!("Encounter/{encounter}")},
            "meta": {"tag": [{"code": mark}]}}))
    };
    Ward { weight: observation("29463-7"), height: observation("8302-2"), patient, encounter }
}

#[test]
fn a_compartment_by_type_and_whole() {
    let client = Salus::shared().client("system/*.cruds");
    let Ward { patient, encounter, weight, height } = ward(&client, "context-compartment");
    ward(&client, "context-compartment");
    let mut observations = [format!("Observation/{weight}"), format!("Observation/{height}")];
    observations.sort();
    let get = |path: &str| found(&client.get(path));
    assert_eq!(get(&format!("Patient/{patient}/Observation")), observations);
    assert_eq!(get(&format!("Patient/{patient}/Observation?code=8302-2")), [format!("Observation/{height}")]);
    assert_eq!(get(&format!("Encounter/{encounter}/Observation")), observations);
    let mut all = observations.to_vec();
    all.insert(0, format!("Encounter/{encounter}"));
    assert_eq!(get(&format!("Encounter/{encounter}/*")), all);
    all.push(format!("Patient/{patient}"));
    assert_eq!(get(&format!("Patient/{patient}/*")), all);
    assert_eq!(
        get(&format!("Patient/{patient}/*?_type=Encounter,Patient")),
        [format!("Encounter/{encounter}"), format!("Patient/{patient}")]
    );
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = client.send_with("POST", &format!("Patient/{patient}/Observation/_search"), "code=8302-2", &form);
    assert_eq!(found(&posted), [format!("Observation/{height}")]);
    assert_eq!(found(&client.send_with("POST", &format!("Patient/{patient}/_search"), "", &form)), all);
    // Nobody's compartment is empty; what has none, or never holds a type, is told.
    assert!(get("Patient/context-nobody/Observation").is_empty());
    for (path, status) in [
        (format!("Patient/{patient}/Organization"), 400),
        (format!("Patient/{patient}/Weather"), 404),
        ("Organization/1/Observation".to_owned(), 404),
        (format!("Patient/{patient}/Observation/further"), 404),
    ] {
        assert_eq!(client.get(&path).status, status, "{path}");
    }
    assert_eq!(client.post(&format!("Patient/{patient}/Observation"), "{}").status, 405);
}

#[test]
fn several_types_and_all() {
    let client = Salus::shared().client("system/*.cruds");
    let Ward { patient, encounter, weight, height } = ward(&client, "context-system");
    let get = |path: &str| found(&client.get(path));
    assert_eq!(
        get("?_type=Patient,Encounter&_tag=context-system"),
        [format!("Encounter/{encounter}"), format!("Patient/{patient}")]
    );
    assert_eq!(get("?_tag=context-system").len(), 4);
    assert_eq!(get(&format!("?_id={weight},{height}")).len(), 2);
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(found(&client.send_with("POST", "_search?_type=Patient", "_tag=context-system", &form)).len(), 1);
    // Pages, in the order of change.
    let page = client.get("?_tag=context-system&_count=3&_sort=_lastUpdated");
    assert_eq!((found(&page).len(), &page.json()["total"]), (3, &json!(4)));
    let next = page.json()["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").unwrap().clone();
    assert_eq!(found(&client.get(next["url"].as_str().unwrap())), [format!("Observation/{height}")]);
    // What not all of the types have is unknown; what is no type is wrong.
    let told = client.get("?_type=Patient,Encounter&_tag=context-system&birthdate=1950");
    assert!(told.text.contains("Encounter has no search parameter 'birthdate'"), "{}", told.text);
    assert_eq!(client.get("?_type=Weather").status, 400);
    assert_eq!(client.get("?_type=AuditEvent").status, 400);
}

#[test]
fn scopes_bound_it_type_by_type() {
    let salus = Salus::shared();
    let ward = ward(&salus.client("system/*.cruds"), "context-scopes");
    let client = salus.client("system/Observation.rs system/Encounter.rs");
    assert_eq!(found(&client.get(&format!("Patient/{}/*", ward.patient))).len(), 3);
    assert_eq!(client.get(&format!("Patient/{}/*", ward.patient)).json()["total"], 3);
    assert_eq!(found(&client.get("?_tag=context-scopes")).len(), 3);
    assert_eq!(found(&client.get("?_tag=context-scopes&_type=Patient")).len(), 0);
    assert_eq!(client.get(&format!("Patient/{}/Condition", ward.patient)).status, 403);
    let client = salus.client("system/Observation.rs?code=8302-2");
    assert_eq!(found(&client.get("?_tag=context-scopes")), [format!("Observation/{}", ward.height)]);
}

#[test]
fn whose_compartment_was_searched_is_on_record() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let ward = ward(&client, "context-audit");
    for (path, request) in [
        (format!("Patient/{}/Condition", ward.patient), "context-audit-empty"),
        (format!("Patient/{}/*", ward.patient), "context-audit-all"),
        (format!("Patient/{}/Organization", ward.patient), "context-audit-refused"),
    ] {
        client.get_with(&path, &[("x-request-id", request)]);
        let events = client.audited(&client, request);
        assert_eq!(events.len(), 1, "{path}");
        assert!(events[0].to_string().contains(&format!("Patient/{}", ward.patient)), "{path}: {}", events[0]);
    }
    // The trail of a patient is found by the compartment too.
    let trail = client.get(&format!("Patient/{}/AuditEvent", ward.patient));
    assert_eq!((trail.status, trail.json()["total"].as_i64() > Some(3)), (200, true), "{}", trail.text);
    assert_eq!(client.get(&format!("Encounter/{}/AuditEvent", ward.encounter)).status, 400);
}
