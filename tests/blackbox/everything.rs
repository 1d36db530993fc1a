//! `$everything` on a Patient, an Encounter and a Group (R4 operation-patient-everything.html; case B34).

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

/// `Type/id` of the entries of a mode, sorted.
fn entries(answer: &Answer, mode: &str) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    let entries = bundle["entry"].as_array().into_iter().flatten().filter(|entry| entry["search"]["mode"] == mode);
    let name = |entry: &Value| entry["fullUrl"].as_str().unwrap().split_once("/fhir/").unwrap().1.to_owned();
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort();
    names
}

fn next(answer: &Answer) -> Option<String> {
    let bundle = answer.json();
    let link = bundle["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").cloned()?;
    Some(link["url"].as_str().unwrap().to_owned())
}

/// Matches of all pages.
fn all(client: &Client, path: &str) -> Vec<String> {
    let mut page = client.get(path);
    let mut found = entries(&page, "match");
    while let Some(url) = next(&page) {
        page = client.get(&url);
        found.extend(entries(&page, "match"));
    }
    let count = found.len();
    found.sort();
    found.dedup();
    assert_eq!(found.len(), count, "nothing twice");
    found
}

struct World {
    patient: String,
    practitioner: String,
    encounter: String,
    /// Of 2019, 2020, …
    observations: Vec<String>,
}

fn world(client: &Client) -> World {
    let practitioner = client.create(&json!({"resourceType": "Practitioner"}));
    let patient = client.create(&json!({"resourceType": "Patient",
        "generalPractitioner": [{"reference": format!("Practitioner/{practitioner}")}]}));
    let subject = json!({"reference": format!("Patient/{patient}")});
    let encounter = client.create(&json!({"resourceType": "Encounter", "status": "finished", "subject": subject,
        "class": {"code": "IMP"}, "period": {"start": "2020-06-01", "end": "2021-06-01"}}));
    let observation = |year: usize| {
        let mut observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
            "subject": subject, "effectiveDateTime": format!("{year}-03-01")});
        if year == 2021 {
            observation["encounter"] = json!({"reference": format!("Encounter/{encounter}")});
        }
        client.create(&observation)
    };
    let observations = (2019..2023).map(observation).collect();
    World { patient, practitioner, encounter, observations }
}

impl World {
    fn named(&self, years: &[usize], encounter: bool) -> Vec<String> {
        let mut names: Vec<String> =
            years.iter().map(|year| format!("Observation/{}", self.observations[year - 2019])).collect();
        names.push(format!("Patient/{}", self.patient));
        names.extend(encounter.then(|| format!("Encounter/{}", self.encounter)));
        names.sort();
        names
    }
}

#[test]
fn all_of_a_patient_and_what_it_refers_to() {
    let client = Salus::shared().client("system/*.cruds");
    let (own, other) = (world(&client), world(&client));
    // Another patient is named, and is nobody to be given.
    client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{}", other.patient)},
        "focus": [{"reference": format!("Patient/{}", own.patient)}]}));
    let link = client.create(&json!({"resourceType": "Basic", "code": {"text": "x"},
        "subject": {"reference": format!("Patient/{}", own.patient)},
        "extension": [{"url": "urn:test", "valueReference": {"reference": format!("Patient/{}", other.patient)}}]}));
    let path = format!("Patient/{}/$everything", own.patient);
    let answer = client.get(&path);
    let mut expected = own.named(&[2019, 2020, 2021, 2022], true);
    expected.insert(0, format!("Basic/{link}"));
    assert_eq!(entries(&answer, "match"), expected);
    assert_eq!(entries(&answer, "include"), [format!("Practitioner/{}", own.practitioner)]);
    assert_eq!(answer.json()["type"], "searchset");
    // By pages, by POST, by type.
    assert_eq!(all(&client, &format!("{path}?_count=2")), expected);
    let posted = json!({"resourceType": "Parameters", "parameter": [{"name": "_type", "valueCode": "Patient"}]});
    let posted = client.post(&path, &posted.to_string());
    assert_eq!(entries(&posted, "match"), [format!("Patient/{}", own.patient)]);
    assert!(entries(&posted, "include").is_empty());
    assert_eq!(all(&client, &format!("{path}?_type=Patient,Encounter")), own.named(&[], true));
    let both = client.get(&format!("{path}?_type=Patient,Practitioner"));
    assert_eq!(entries(&both, "include"), [format!("Practitioner/{}", own.practitioner)]);
}

#[test]
fn only_what_happened_then_or_changed_since() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("Patient/{}/$everything", own.patient);
    let get = |query: &str| all(&client, &format!("{path}?{query}"));
    assert_eq!(get("start=2020-01-01"), own.named(&[2020, 2021, 2022], true));
    // What lasts into the time is of it.
    assert_eq!(get("start=2021-01-01&end=2021-12-31"), own.named(&[2021], true));
    assert_eq!(get("end=2019-03-01"), own.named(&[2019], false));
    assert!(get("_since=2999-01-01T00:00:00Z").is_empty());
    assert_eq!(get("_since=2020-01-01T00:00:00Z").len(), 6);
}

#[test]
fn of_an_encounter_and_of_a_group() {
    let client = Salus::shared().client("system/*.cruds");
    let (own, other) = (world(&client), world(&client));
    let answer = client.get(&format!("Encounter/{}/$everything", own.encounter));
    let mut expected = [format!("Encounter/{}", own.encounter), format!("Observation/{}", own.observations[2])];
    expected.sort();
    assert_eq!(entries(&answer, "match"), expected);
    assert_eq!(entries(&answer, "include"), [format!("Patient/{}", own.patient)]);
    let member = |world: &World| json!({"entity": {"reference": format!("Patient/{}", world.patient)}});
    let group = client.create(&json!({"resourceType": "Group", "type": "person", "actual": true,
        "member": [member(&own), member(&other)]}));
    let mut expected = own.named(&[2019, 2020, 2021, 2022], true);
    expected.extend(other.named(&[2019, 2020, 2021, 2022], true));
    expected.push(format!("Group/{group}"));
    expected.sort();
    for count in ["", "?_count=1", "?_count=5", "?_count=6", "?_count=13"] {
        let found = all(&client, &format!("Group/{group}/$everything{count}"));
        assert_eq!(found, expected, "{count}");
    }
}

/// Members of a Group are searched together where they have little, which no page shows.
#[test]
fn of_a_group_of_many_each_resource_once() {
    let client = Salus::shared().client("system/*.cruds");
    let patients: Vec<String> = (0..23).map(|_| client.create(&json!({"resourceType": "Patient"}))).collect();
    let subject = |at: usize| json!({"reference": format!("Patient/{}", patients[at])});
    let mut expected: Vec<String> = patients.iter().map(|id| format!("Patient/{id}")).collect();
    let mut add = |resource: Value| {
        let id = client.create(&resource);
        expected.push(format!("{}/{id}", resource["resourceType"].as_str().unwrap()));
    };
    let observation = json!({"resourceType": "Observation", "status": "final", "code": {"text": "x"}});
    // One has much; some are of two members, near each other and far.
    for (subjects, day) in [(5, 1), (5, 2), (5, 2), (5, 3), (5, 4), (6, 2), (22, 3)] {
        let mut observation = observation.clone();
        observation["subject"] = subject(subjects);
        observation["effectiveDateTime"] = json!(format!("2022-01-{day:02}"));
        add(observation);
    }
    for (one, other) in [(0, 22), (7, 8), (5, 6), (15, 16)] {
        add(json!({"resourceType": "Appointment", "status": "booked", "participant": [
            {"actor": subject(one), "status": "accepted"}, {"actor": subject(other), "status": "accepted"}]}));
    }
    let members: Vec<Value> = (0..23).chain([3]).map(|at| json!({"entity": subject(at)})).collect();
    let group = client.create(&json!({"resourceType": "Group", "type": "person", "actual": true, "member": members}));
    expected.push(format!("Group/{group}"));
    expected.sort();
    for count in ["", "?_count=1", "?_count=2", "?_count=4", "?_count=7", "?_count=34"] {
        assert_eq!(all(&client, &format!("Group/{group}/$everything{count}")), expected, "{count}");
    }
    let by_type: Vec<String> = expected.iter().filter(|one| one.starts_with("Observation/")).cloned().collect();
    assert_eq!(all(&client, &format!("Group/{group}/$everything?_type=Observation&_count=3")), by_type);
}

#[test]
fn what_may_not_be_seen_is_left_out() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let own = world(&client);
    let path = format!("Patient/{}/$everything", own.patient);
    let narrow = salus.client("system/Patient.r system/Encounter.r");
    let answer = narrow.get(&path);
    assert_eq!(entries(&answer, "match"), own.named(&[], true));
    assert!(entries(&answer, "include").is_empty());
    assert_eq!(salus.client("system/Observation.rs").get(&path).status, 403);
    let hidden = format!("Observation/{}", own.observations[0]);
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": format!("Patient/{}", own.patient)},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny",
            "data": [{"meaning": "instance", "reference": {"reference": hidden}}]}]}}));
    let found = all(&salus.client("system/*.rs"), &format!("{path}?_type=Observation,Patient"));
    assert_eq!(found, own.named(&[2020, 2021, 2022], false));
}

#[test]
fn bad_requests_are_told_and_good_ones_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let own = world(&client);
    let path = format!("Patient/{}/$everything", own.patient);
    for query in ["start=yesterday", "_count=0", "_count=x", "_type=Weather", "colour=red", "_since=x", "_cursor=x"] {
        assert_eq!(client.get(&format!("{path}?{query}")).status, 400, "{query}");
    }
    assert_eq!(client.get("Patient/nobody/$everything").status, 404);
    assert_eq!(client.get(&format!("Observation/{}/$everything", own.observations[0])).status, 404);
    assert_eq!(client.get("Patient/$everything").status, 404);
    // A link is good for its own request only.
    let link = next(&client.get(&format!("{path}?_count=2"))).unwrap();
    let cursor = link.split_once("_cursor=").unwrap().1;
    assert_eq!(client.get(&format!("{path}?start=2020-01-01&_cursor={cursor}")).status, 400);
    client.get_with(&path, &[("x-request-id", "everything-audit")]);
    let events = client.audited(&client, "everything-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert!(events[0].to_string().contains(&format!("Patient/{}", own.patient)), "{}", events[0]);
    assert!(events[0].to_string().contains("everything"), "{}", events[0]);
}
