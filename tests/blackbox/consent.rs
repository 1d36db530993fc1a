//! Consent over HTTP (R4 consent.html; contract, "Consent and purpose"): what may not be seen answers
//! as what does not exist, on every path there is to it.
//!
//! Each test makes a ward: a patient with ten Observations, three of them special, and a Consent. The
//! treating client sees them all; what the researcher sees is the question.

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

const LOINC: &str = "http://loinc.org";
const CONFIDENTIALITY: &str = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality";
const ACT_REASON: &str = "http://terminology.hl7.org/CodeSystem/v3-ActReason";
const TYPES: &str = "http://hl7.org/fhir/resource-types";
/// The code of the special Observations: HIV 1 RNA.
const SPECIAL: &str = "25836-8";
const USUAL: &str = "8867-4";

struct Ward {
    treating: Client,
    researcher: Client,
    patient: String,
    special: Vec<String>,
    usual: Vec<String>,
    report: String,
    /// What tells this ward's identifiers from others'.
    name: String,
}

impl Ward {
    fn new() -> Self {
        Self::on(Salus::shared())
    }

    fn on(salus: &Salus) -> Self {
        let treating = salus.client("system/*.cruds");
        let researcher = salus.client_as("system/*.cruds", "HRESCH", &["Organization/institute"]);
        let patient = treating.create(&json!({"resourceType": "Patient", "gender": "female"}));
        let name = format!("ward-{patient}");
        let make = |range: std::ops::Range<usize>| -> Vec<String> {
            range.map(|number| treating.create(&observation(&patient, &name, number))).collect()
        };
        let (special, usual) = (make(0..3), make(3..10));
        let results: Vec<Value> =
            special.iter().chain(&usual).map(|id| json!({"reference": format!("Observation/{id}")})).collect();
        let report = treating.create(&json!({
            "resourceType": "DiagnosticReport", "status": "final", "code": {"text": "all of them"},
            "subject": {"reference": format!("Patient/{patient}")}, "result": results,
        }));
        Self { treating, researcher, patient, special, usual, report, name }
    }

    /// The Consent of this ward's patient with this root provision.
    fn consent(&self, provision: Value) -> Value {
        json!({
            "resourceType": "Consent", "status": "active",
            "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": LOINC, "code": "59284-0"}]}],
            "patient": {"reference": format!("Patient/{}", self.patient)},
            "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
            "provision": provision,
        })
    }

    fn give(&self, provision: Value) -> String {
        self.treating.create(&self.consent(provision))
    }

    /// Ids of the ward's Observations that a client finds, sorted, after checking that every way of
    /// counting them agrees.
    fn seen_by(&self, client: &Client) -> Vec<String> {
        let all = format!("Observation?subject=Patient/{}", self.patient);
        let mut seen = client.ids(&format!("{all}&_count=100"));
        for counting in ["&_count=100", "&_count=1", "&_count=0", "&_summary=count", "&_total=accurate&_count=3"] {
            let bundle = client.get(&format!("{all}{counting}")).json();
            assert_eq!(bundle["total"], seen.len(), "{counting}");
        }
        for (position, id) in self.special.iter().chain(&self.usual).enumerate() {
            let status = client.get(&format!("Observation/{id}")).status;
            assert_eq!(status, if seen.contains(id) { 200 } else { 404 }, "Observation number {position}");
        }
        seen.sort();
        seen
    }

    fn is_whole_for(&self, client: &Client) -> bool {
        self.seen_by(client).len() == 10
    }

    fn only_usual(&self) -> Vec<String> {
        let mut usual = self.usual.clone();
        usual.sort();
        usual
    }
}

fn observation(patient: &str, name: &str, number: usize) -> Value {
    let special = number < 3;
    let mut resource = json!({
        "resourceType": "Observation", "status": "final",
        "identifier": [{"system": "urn:test", "value": format!("{name}-{number}")}],
        "code": {"coding": [{"system": LOINC, "code": if special { SPECIAL } else { USUAL }}]},
        "subject": {"reference": format!("Patient/{patient}")},
        "effectiveDateTime": if special { format!("2020-01-{:02}", number + 1) } else { format!("2024-01-{number:02}") },
        "valueQuantity": {"value": 70 + number, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min"},
    });
    if special {
        resource["meta"] = json!({"security": [{"system": CONFIDENTIALITY, "code": "R"}]});
    }
    resource
}

fn concept(system: &str, code: &str) -> Value {
    json!([{"coding": [{"system": system, "code": code}]}])
}

fn research() -> Value {
    json!([{"system": ACT_REASON, "code": "HRESCH"}])
}

/// Denies research the special code.
fn deny_special() -> Value {
    json!({"type": "permit", "provision": [{"type": "deny", "purpose": research(), "code": concept(LOINC, SPECIAL)}]})
}

/// Status and body are those of an unknown resource, but for its id; no header tells more.
fn is_as_unknown(answer: &Answer, id: &str, unknown: &Answer, unknown_id: &str) {
    assert_eq!(answer.status, unknown.status, "{}", answer.text);
    assert_eq!(answer.text.replace(id, unknown_id), unknown.text);
    for header in ["etag", "last-modified", "location", "www-authenticate"] {
        assert_eq!(answer.header(header), unknown.header(header), "{header}");
    }
}

const UNKNOWN: &str = "00000000-0000-7000-8000-000000000000";

#[test]
fn a_hidden_resource_is_read_as_one_that_does_not_exist() {
    let ward = Ward::new();
    ward.give(deny_special());
    let researcher = &ward.researcher;
    for id in &ward.special {
        for path in ["", "/_history/1", "/_history", "/_history/9", "?_format=json"] {
            let answer = researcher.get(&format!("Observation/{id}{path}"));
            assert_eq!(answer.status, 404, "{path}: {}", answer.text);
            is_as_unknown(&answer, id, &researcher.get(&format!("Observation/{UNKNOWN}{path}")), UNKNOWN);
        }
        for headers in [("if-none-match", "W/\"1\""), ("if-modified-since", "Tue, 01 Jan 2999 00:00:00 GMT")] {
            let answer = researcher.get_with(&format!("Observation/{id}"), &[headers]);
            let unknown = researcher.get_with(&format!("Observation/{UNKNOWN}"), &[headers]);
            is_as_unknown(&answer, id, &unknown, UNKNOWN);
        }
        let head = researcher.request("HEAD", &format!("Observation/{id}"), &[], b"");
        assert_eq!(head.status, 404);
        assert!(ward.treating.get(&format!("Observation/{id}")).status == 200);
    }
}

#[test]
fn searches_and_counts_and_pages_show_the_rest() {
    let ward = Ward::new();
    ward.give(deny_special());
    assert!(ward.is_whole_for(&ward.treating));
    assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual());
    for sort in ["date", "-date", "_id", "-_id", "_lastUpdated", "-_lastUpdated", "value-quantity", "-value-quantity"] {
        let path = format!("Observation?subject=Patient/{}&_count=2&_sort={sort}", ward.patient);
        assert_eq!(all_pages(&ward.researcher, &path), ward.only_usual(), "{sort}");
    }
    let (patient, name) = (&ward.patient, &ward.name);
    for (criteria, found) in [
        (format!("code={SPECIAL}&subject=Patient/{patient}"), 0),
        (format!("code:not={USUAL}&subject=Patient/{patient}"), 0),
        (format!("_security=R&subject=Patient/{patient}"), 0),
        (format!("date=lt2021&patient={patient}"), 0),
        (format!("identifier=urn:test|{name}-1"), 0),
        (format!("identifier=urn:test|{name}-5"), 1),
        (format!("_id={}", ward.special[0]), 0),
        (format!("_id={},{}", ward.special[0], ward.usual[0]), 1),
        (format!("value-quantity=lt73&subject=Patient/{patient}"), 0),
        (format!("subject:Patient._id={patient}&code={SPECIAL}"), 0),
    ] {
        let ids = ward.researcher.ids(&format!("Observation?{criteria}"));
        assert_eq!(ids.len(), found, "{criteria}");
        assert_eq!(ward.researcher.get(&format!("Observation?{criteria}&_summary=count")).json()["total"], found);
    }
    let body = format!("subject=Patient/{patient}&_count=100");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let posted = ward.researcher.send_with("POST", "Observation/_search", &body, &form);
    assert_eq!(posted.json()["total"], 7);
}

/// Ids of all matches, following `next`.
fn all_pages(client: &Client, path: &str) -> Vec<String> {
    let (mut ids, mut next) = (Vec::new(), Some(path.to_owned()));
    while let Some(path) = next {
        let answer = client.get(&path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        let bundle = answer.json();
        assert_eq!(bundle["total"], 7, "{path}");
        ids.extend(
            bundle["entry"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned()),
        );
        let links = bundle["link"].as_array().into_iter().flatten();
        next =
            links.filter(|link| link["relation"] == "next").map(|link| link["url"].as_str().unwrap().to_owned()).next();
    }
    ids.sort();
    ids
}

/// What a Consent forbids is not about the Consent: who is bound by it reads it and, with the scope to change
/// Consents, may withdraw it (docs/decisions/0011-consent-about-consents.md).
#[test]
fn a_consent_does_not_hide_itself() {
    for provision in [deny_special(), json!({"type": "deny"}), json!({"type": "deny", "purpose": research()})] {
        let ward = Ward::new();
        let id = ward.give(provision.clone());
        // A second one that denies everything hides the first as little.
        let second = ward.give(json!({"type": "deny"}));
        assert!(ward.seen_by(&ward.researcher).is_empty());
        assert_eq!(ward.researcher.get(&format!("Patient/{}", ward.patient)).status, 404);
        let mut found = ward.researcher.ids(&format!("Consent?patient={}", ward.patient));
        found.sort();
        let mut both = [id.clone(), second.clone()];
        both.sort();
        assert_eq!(found, both, "{provision}");
        assert_eq!(ward.researcher.get(&format!("Consent?patient={}&_count=0", ward.patient)).json()["total"], 2);
        let reader = Salus::shared().client_as("system/*.rs", "HRESCH", &[]);
        for id in [id, second] {
            let mut withdrawn = ward.researcher.get(&format!("Consent/{id}")).json();
            withdrawn["status"] = json!("inactive");
            let path = format!("Consent/{id}");
            assert_eq!(reader.put(&path, &withdrawn.to_string()).status, 403, "only with the scope");
            let answer = ward.researcher.put(&path, &withdrawn.to_string());
            assert_eq!(answer.status, 200, "{provision}: {}", answer.text);
            assert_eq!(ward.researcher.get(&format!("{path}/_history")).json()["total"], 2);
        }
        assert!(ward.is_whole_for(&ward.researcher));
    }
}

/// What names Consents holds for them, by class, instance or label.
#[test]
fn a_provision_that_names_consents_holds_for_them() {
    let class = |code: &str| json!([{"system": TYPES, "code": code}]);
    let hidden = |deny: Value, label: Option<&str>| {
        let ward = Ward::new();
        let mut consent = ward.consent(json!({"type": "permit", "provision": [deny]}));
        if let Some(label) = label {
            consent["meta"] = json!({"security": [{"system": CONFIDENTIALITY, "code": label}]});
        }
        let id = ward.treating.create(&consent);
        let status = ward.researcher.get(&format!("Consent/{id}")).status;
        let found = ward.researcher.ids(&format!("Consent?patient={}", ward.patient));
        assert_eq!(found.is_empty(), status == 404);
        assert_eq!(ward.treating.get(&format!("Consent/{id}")).status, 200);
        status == 404
    };
    let label = |code: &str| json!([{"system": CONFIDENTIALITY, "code": code}]);
    let deny = |what: Value| {
        let mut deny = what;
        (deny["type"], deny["purpose"]) = ("deny".into(), research());
        deny
    };
    assert!(hidden(deny(json!({"class": class("Consent")})), None));
    assert!(!hidden(deny(json!({"class": class("Observation")})), None));
    assert!(hidden(deny(json!({"securityLabel": label("R")})), Some("R")));
    assert!(hidden(deny(json!({"securityLabel": label("N")})), Some("R")));
    assert!(!hidden(deny(json!({"securityLabel": label("N")})), None), "to be normal is no label");
    assert!(hidden(
        json!({"type": "deny", "class": class("Consent"), "provision": [
        {"type": "permit", "purpose": [{"system": ACT_REASON, "code": "TREAT"}]}]}),
        None
    ));
    let ward = Ward::new();
    let first = ward.give(json!({"type": "permit"}));
    let data = json!([{"meaning": "instance", "reference": {"reference": format!("Consent/{first}")}}]);
    let second = ward.give(json!({"type": "permit", "provision": [deny(json!({"data": data}))]}));
    assert_eq!(ward.researcher.get(&format!("Consent/{first}")).status, 404);
    assert_eq!(ward.researcher.get(&format!("Consent/{second}")).status, 200);
}

/// A page link made for one client is none for another, nor is the place it holds.
#[test]
fn a_page_link_opens_nothing_for_another_client() {
    let ward = Ward::new();
    ward.give(deny_special());
    let path = format!("Observation?subject=Patient/{}&_count=1&_sort=date", ward.patient);
    let next = |client: &Client, path: &str| {
        let bundle = client.get(path).json();
        let link = bundle["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next");
        link.map(|link| link["url"].as_str().unwrap().to_owned())
    };
    let own = next(&ward.researcher, &path).unwrap();
    let (mut at, mut pages) = (path, 0);
    while let Some(link) = next(&ward.treating, &at) {
        let answer = ward.researcher.get(&link);
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{link}");
        // The other's place in the own search.
        let (search, place) = (own.split("_cursor=").next().unwrap(), link.split("_cursor=").nth(1).unwrap());
        let answer = ward.researcher.get(&format!("{search}_cursor={place}"));
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{link}");
        for id in &ward.special {
            assert!(!answer.text.contains(id.as_str()), "{link}");
        }
        (at, pages) = (link, pages + 1);
    }
    assert_eq!(pages, 9);
}

#[test]
fn histories_of_type_and_system_leave_it_out() {
    // Others' writes would come between a page and its total.
    let salus = Salus::start();
    let ward = Ward::on(&salus);
    let since = a_moment_ago();
    let id = &ward.special[0];
    let changed = ward.treating.put(&format!("Observation/{id}"), &with_id(&ward, 0).to_string());
    assert_eq!(changed.status, 200, "{}", changed.text);
    ward.give(deny_special());
    for path in ["Observation/_history", "_history"] {
        let path = format!("{path}?_count=1000&_since={since}");
        let (all, some) = (ward.treating.get(&path), ward.researcher.get(&path));
        assert_eq!((all.status, some.status), (200, 200), "{}", some.text);
        assert!(all.text.contains(id.as_str()), "{path}");
        for id in &ward.special {
            // A report that may be seen names its results; the entries are another matter.
            assert!(!some.text.contains(&format!("\"fullUrl\":\"{}/Observation/{id}\"", ward.treating.base)), "{path}");
        }
        let bundle = some.json();
        let entries = bundle["entry"].as_array().map_or(0, Vec::len);
        assert!(bundle["total"].as_u64().unwrap() as usize == entries || entries == 1000, "{path}");
    }
}

/// A moment ago, as `_since` takes it.
fn a_moment_ago() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    salus_fhir::datatypes::instant(i64::try_from(now.as_micros()).unwrap() - 2_000_000)
}

fn with_id(ward: &Ward, number: usize) -> Value {
    let mut resource = observation(&ward.patient, &ward.name, number);
    resource["id"] = ward.special[number].clone().into();
    resource["note"] = json!([{"text": "changed"}]);
    resource
}

/// What was seen once is not to be had through the history when it is denied since; and a version that was
/// special stays hidden when the current one is not.
#[test]
fn former_versions_are_judged_as_they_were_and_as_they_are() {
    let ward = Ward::new();
    ward.give(deny_special());
    let id = &ward.special[0];
    let mut harmless = observation(&ward.patient, &ward.name, 5);
    harmless["id"] = id.clone().into();
    assert_eq!(ward.treating.put(&format!("Observation/{id}"), &harmless.to_string()).status, 200);
    let researcher = &ward.researcher;
    assert_eq!(researcher.get(&format!("Observation/{id}")).status, 200);
    assert_eq!(researcher.get(&format!("Observation/{id}/_history/2")).status, 200);
    assert_eq!(researcher.get(&format!("Observation/{id}/_history/1")).status, 404);
    assert_eq!(researcher.get(&format!("Observation/{id}/_history")).json()["total"], 1);
    assert_eq!(ward.treating.get(&format!("Observation/{id}/_history")).json()["total"], 2);
    // And the other way round.
    let id = &ward.usual[0];
    let mut special = with_id(&ward, 1);
    special["id"] = id.clone().into();
    assert_eq!(ward.treating.put(&format!("Observation/{id}"), &special.to_string()).status, 200);
    for path in ["", "/_history/1", "/_history/2", "/_history"] {
        assert_eq!(researcher.get(&format!("Observation/{id}{path}")).status, 404, "{path}");
    }
}

/// A deleted one: 410 for those who could see it, 404 for the others.
#[test]
fn a_deleted_hidden_resource_stays_hidden() {
    let ward = Ward::new();
    ward.give(deny_special());
    let id = &ward.special[2];
    assert_eq!(ward.treating.delete(&format!("Observation/{id}")).status, 204);
    assert_eq!(ward.treating.get(&format!("Observation/{id}")).status, 410);
    for path in ["", "/_history", "/_history/1", "/_history/2"] {
        let answer = ward.researcher.get(&format!("Observation/{id}{path}"));
        is_as_unknown(&answer, id, &ward.researcher.get(&format!("Observation/{UNKNOWN}{path}")), UNKNOWN);
    }
    let again = ward.researcher.delete(&format!("Observation/{id}"));
    is_as_unknown(&again, id, &ward.researcher.delete(&format!("Observation/{UNKNOWN}")), UNKNOWN);
}

#[test]
fn includes_chains_and_has_are_no_way_round() {
    let ward = Ward::new();
    ward.give(deny_special());
    let (patient, report, name) = (&ward.patient, &ward.report, &ward.name);
    let included = |client: &Client, path: &str| {
        let bundle = client.get(path).json();
        let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
        let included = entries.iter().filter(|entry| entry["search"]["mode"] == "include");
        included.filter(|entry| entry["resource"]["resourceType"] == "Observation").count()
    };
    for path in [
        format!("DiagnosticReport?_id={report}&_include=DiagnosticReport:result"),
        format!("DiagnosticReport?_id={report}&_include=DiagnosticReport:*"),
        format!("DiagnosticReport?_id={report}&_include=DiagnosticReport:result:Observation"),
        format!("Patient?_id={patient}&_revinclude=Observation:subject"),
        format!("Patient?_id={patient}&_revinclude=Observation:patient"),
        format!("Patient?_id={patient}&_revinclude=Observation:*"),
        format!("Patient?_id={patient}&_revinclude=DiagnosticReport:subject&_include:iterate=DiagnosticReport:result"),
    ] {
        assert_eq!(included(&ward.treating, &path), 10, "{path}");
        assert_eq!(included(&ward.researcher, &path), 7, "{path}");
    }
    for path in [
        format!("DiagnosticReport?_id={report}&result.code={SPECIAL}"),
        format!("DiagnosticReport?_id={report}&result:Observation.code={SPECIAL}"),
        format!("DiagnosticReport?_id={report}&result.identifier=urn:test|{name}-1"),
        format!("DiagnosticReport?_id={report}&result.date=lt2021"),
        format!("DiagnosticReport?_id={report}&result.value-quantity=lt73"),
        format!("DiagnosticReport?_id={report}&result.code:not={USUAL}"),
        format!("Patient?_id={patient}&_has:Observation:patient:code={SPECIAL}"),
        format!("Patient?_id={patient}&_has:Observation:subject:identifier=urn:test|{name}-0"),
        format!("Patient?_id={patient}&_has:Observation:subject:date=lt2021"),
        format!("Patient?_id={patient}&_has:DiagnosticReport:subject:result.code={SPECIAL}"),
        format!("Observation?_id={}&subject:Patient._has:Observation:subject:code={SPECIAL}", ward.usual[0]),
    ] {
        assert_eq!(ward.treating.ids(&path).len(), 1, "{path}");
        assert_eq!(ward.researcher.ids(&path).len(), 0, "{path}");
    }
}

#[test]
fn writes_to_a_hidden_resource_answer_as_to_none() {
    let ward = Ward::new();
    ward.give(deny_special());
    let researcher = &ward.researcher;
    let id = &ward.special[0];
    let before = ward.treating.get(&format!("Observation/{id}")).text;
    let deleted = researcher.delete(&format!("Observation/{id}"));
    is_as_unknown(&deleted, id, &researcher.delete(&format!("Observation/{UNKNOWN}")), UNKNOWN);
    assert_eq!(deleted.status, 404);
    let body = |id: &str| {
        let mut body = with_id(&ward, 0);
        body["id"] = id.into();
        body.to_string()
    };
    let put = |id: &str, headers: &[(&str, &str)]| {
        researcher.send_with("PUT", &format!("Observation/{id}"), &body(id), headers)
    };
    assert_eq!(put(id, &[]).status, 404);
    for version in ["W/\"1\"", "W/\"7\""] {
        let headers = [("if-match", version)];
        is_as_unknown(&put(id, &headers), id, &put(UNKNOWN, &headers), UNKNOWN);
        assert_eq!(put(id, &headers).status, 404, "If-Match must not tell a hidden version");
    }
    assert_eq!(put(id, &[("if-none-match", "*")]).status, 404);
    // A transaction with such a write changes nothing; a batch says so of the entry.
    let entry = json!({"resource": serde_json::from_str::<Value>(&body(id)).unwrap(),
        "request": {"method": "PUT", "url": format!("Observation/{id}")}});
    let other = json!({"resource": {"resourceType": "Patient", "identifier": [{"system": "urn:test", "value": ward.name}]},
        "request": {"method": "POST", "url": "Patient"}});
    let transaction = json!({"resourceType": "Bundle", "type": "transaction", "entry": [other, entry]});
    assert_eq!(researcher.post("", &transaction.to_string()).status, 404);
    assert!(ward.treating.ids(&format!("Patient?identifier=urn:test|{}", ward.name)).is_empty());
    let reads: Vec<Value> = ward
        .special
        .iter()
        .chain(&ward.usual[..1])
        .map(|id| json!({"request": {"method": "GET", "url": format!("Observation/{id}")}}))
        .collect();
    let bundle = |kind| json!({"resourceType": "Bundle", "type": kind, "entry": reads}).to_string();
    let batch = researcher.post("", &bundle("batch")).json();
    let statuses: Vec<&str> =
        batch["entry"].as_array().unwrap().iter().map(|entry| entry["response"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["404", "404", "404", "200"]);
    assert_eq!(researcher.post("", &bundle("transaction")).status, 404);
    assert_eq!(ward.treating.get(&format!("Observation/{id}")).text, before);
}

#[test]
fn conditional_writes_do_not_find_it() {
    let ward = Ward::new();
    ward.give(deny_special());
    let (researcher, name) = (&ward.researcher, &ward.name);
    let criteria = format!("identifier=urn:test|{name}-1");
    let hidden = &ward.special[1];
    let before = ward.treating.get(&format!("Observation/{hidden}")).text;
    let deleted = researcher.delete(&format!("Observation?{criteria}"));
    let nothing = researcher.delete(&format!("Observation?identifier=urn:test|{name}-none"));
    assert_eq!((deleted.status, &deleted.text), (nothing.status, &nothing.text));
    // What refers to it by criteria fails as if there were none.
    let refer = |criteria: &str| {
        let report = json!({"resourceType": "DiagnosticReport", "status": "final", "code": {"text": "x"},
            "result": [{"reference": format!("Observation?{criteria}")}]});
        let entry = json!([{"resource": report, "request": {"method": "POST", "url": "DiagnosticReport"}}]);
        researcher.post("", &json!({"resourceType": "Bundle", "type": "transaction", "entry": entry}).to_string())
    };
    let (to_hidden, to_none) = (refer(&criteria), refer(&format!("identifier=urn:test|{name}-none")));
    assert_eq!(to_hidden.status, to_none.status);
    assert_eq!(to_hidden.text.replace(&format!("{name}-1"), "?"), to_none.text.replace(&format!("{name}-none"), "?"));
    // A conditional update and create make new ones, as where there is none.
    let mut own = observation(&ward.patient, name, 5);
    own["identifier"] = json!([{"system": "urn:test", "value": format!("{name}-1")}]);
    let updated = researcher.put(&format!("Observation?{criteria}"), &own.to_string());
    assert_eq!(updated.status, 201, "{}", updated.text);
    assert_ne!(updated.json()["id"], hidden.as_str());
    let again = researcher.send_with("POST", "Observation", &own.to_string(), &[("if-none-exist", &criteria)]);
    assert_eq!((again.status, &again.json()["id"]), (200, &updated.json()["id"]), "its own is found, alone");
    let other = format!("identifier=urn:test|{name}-2");
    let created = researcher.send_with("POST", "Observation", &own.to_string(), &[("if-none-exist", &other)]);
    assert_eq!(created.status, 201, "{}", created.text);
    assert_eq!(ward.treating.get(&format!("Observation/{hidden}")).text, before);
}

#[test]
fn every_dimension_of_a_provision_is_enforced() {
    let label = json!([{"system": CONFIDENTIALITY, "code": "R"}]);
    let class = json!([{"system": TYPES, "code": "Observation"}]);
    let old = json!({"start": "2020-01-01", "end": "2020-12-31"});
    let usual = json!({"type": "permit", "code": concept(LOINC, USUAL)});
    let nested = json!({"type": "deny", "purpose": research(), "class": class, "provision": [usual]});
    for (what, deny) in [
        ("code", json!({"type": "deny", "purpose": research(), "code": concept(LOINC, SPECIAL)})),
        ("label", json!({"type": "deny", "purpose": research(), "securityLabel": label})),
        ("data period", json!({"type": "deny", "purpose": research(), "dataPeriod": old})),
        (
            "actor",
            json!({"type": "deny", "code": concept(LOINC, SPECIAL), "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": "Organization/institute"}}]}),
        ),
        (
            "action",
            json!({"type": "deny", "purpose": research(), "code": concept(LOINC, SPECIAL),
            "action": concept("http://terminology.hl7.org/CodeSystem/consentaction", "access")}),
        ),
        ("nested exception", nested),
    ] {
        let ward = Ward::new();
        ward.give(json!({"type": "permit", "provision": [deny]}));
        assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual(), "{what}");
        assert!(ward.is_whole_for(&ward.treating), "{what}");
    }
}

#[test]
fn instances_classes_and_everything() {
    let ward = Ward::new();
    let data: Vec<Value> = ward
        .special
        .iter()
        .map(|id| json!({"meaning": "instance", "reference": {"reference": format!("Observation/{id}")}}))
        .collect();
    ward.give(json!({"type": "permit", "provision": [{"type": "deny", "purpose": research(), "data": data}]}));
    assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual());

    let ward = Ward::new();
    let class = json!([{"system": TYPES, "code": "Observation"}]);
    ward.give(json!({"type": "permit", "provision": [{"type": "deny", "purpose": research(), "class": class}]}));
    assert!(ward.seen_by(&ward.researcher).is_empty());
    assert_eq!(ward.researcher.get(&format!("DiagnosticReport/{}", ward.report)).status, 200);
    assert_eq!(ward.researcher.get(&format!("Patient/{}", ward.patient)).status, 200);

    let ward = Ward::new();
    let consent = ward.give(json!({"type": "deny", "purpose": research()}));
    assert!(ward.seen_by(&ward.researcher).is_empty());
    assert_eq!(ward.researcher.get(&format!("Consent/{consent}")).status, 200);
    for path in [format!("Patient/{}", ward.patient), format!("DiagnosticReport/{}", ward.report)] {
        assert_eq!(ward.researcher.get(&path).status, 404, "{path}");
        assert_eq!(ward.treating.get(&path).status, 200, "{path}");
    }
    assert!(ward.researcher.ids(&format!("Patient?_id={}", ward.patient)).is_empty());
}

#[test]
fn other_purposes_actors_and_actions_are_not_bound() {
    for deny in [
        json!({"type": "deny", "purpose": [{"system": ACT_REASON, "code": "HPAYMT"}]}),
        json!({"type": "deny", "actor": [{
            "role": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}]},
            "reference": {"reference": "Organization/another"}}]}),
        json!({"type": "deny", "action": concept("http://terminology.hl7.org/CodeSystem/consentaction", "correct")}),
        json!({"type": "deny", "period": {"start": "2000-01-01", "end": "2001-01-01"}}),
        json!({"type": "deny", "period": {"start": "2999-01-01"}}),
    ] {
        let ward = Ward::new();
        ward.give(json!({"type": "permit", "provision": [deny.clone()]}));
        assert!(ward.is_whole_for(&ward.researcher), "{deny}");
    }
}

#[test]
fn consents_hold_from_the_next_request_on() {
    let ward = Ward::new();
    assert!(ward.is_whole_for(&ward.researcher));
    let id = ward.give(deny_special());
    assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual());
    let change = |status: &str, provision: Value| {
        let mut consent = ward.consent(provision);
        (consent["id"], consent["status"]) = (id.clone().into(), status.into());
        let answer = ward.treating.put(&format!("Consent/{id}"), &consent.to_string());
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    for status in ["inactive", "rejected", "draft", "entered-in-error"] {
        change(status, deny_special());
        assert!(ward.is_whole_for(&ward.researcher), "{status}");
        change("active", deny_special());
        assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual(), "{status}");
    }
    change(
        "active",
        json!({"type": "permit", "provision": [{"type": "deny", "purpose": research(), "code": concept(LOINC, USUAL)}]}),
    );
    assert_eq!(ward.seen_by(&ward.researcher).len(), 3);
    change("active", json!({"type": "permit"}));
    assert!(ward.is_whole_for(&ward.researcher));
    change("active", deny_special());
    assert_eq!(ward.treating.delete(&format!("Consent/{id}")).status, 204);
    assert!(ward.is_whole_for(&ward.researcher));
    // By transaction as well, and together with the data it is about.
    let entry = json!([{"resource": ward.consent(deny_special()), "request": {"method": "POST", "url": "Consent"}}]);
    let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": entry});
    assert_eq!(ward.treating.post("", &bundle.to_string()).status, 200);
    assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual());
}

/// The strictest of several Consents wins, whatever their order.
#[test]
fn a_second_consent_that_permits_reveals_nothing() {
    for first in [true, false] {
        let ward = Ward::new();
        let permit = json!({"type": "permit", "purpose": research()});
        if first {
            ward.give(permit.clone());
        }
        ward.give(deny_special());
        if !first {
            ward.give(permit);
        }
        assert_eq!(ward.seen_by(&ward.researcher), ward.only_usual());
    }
}

/// What is about two patients is hidden when either of them denies it.
#[test]
fn a_resource_of_several_patients_is_bound_by_each() {
    let (denying, other) = (Ward::new(), Ward::new());
    let group = denying.treating.create(&json!({
        "resourceType": "Appointment", "status": "booked", "start": "2024-01-01T10:00:00Z", "end": "2024-01-01T11:00:00Z",
        "participant": [
            {"actor": {"reference": format!("Patient/{}", other.patient)}, "status": "accepted"},
            {"actor": {"reference": format!("Patient/{}", denying.patient)}, "status": "accepted"},
        ],
    }));
    let found = |client: &Client| {
        let by_either = [&denying.patient, &other.patient]
            .map(|patient| client.ids(&format!("Appointment?patient={patient}")).len());
        (client.get(&format!("Appointment/{group}")).status, by_either)
    };
    assert_eq!(found(&denying.researcher), (200, [1, 1]));
    denying.give(json!({"type": "deny", "purpose": research()}));
    assert_eq!(found(&denying.researcher), (404, [0, 0]));
    assert_eq!(found(&denying.treating), (200, [1, 1]));
    assert!(other.is_whole_for(&other.researcher), "the other patient's own data are not touched");
}

/// What hides a Consent keeps it from being changed by whom it is hidden from, and without a scope on Consents
/// nobody writes themselves out of one.
#[test]
fn a_consent_cannot_be_undone_by_those_it_hides_from() {
    let ward = Ward::new();
    let class = json!([{"system": TYPES, "code": "Consent"}]);
    let provision = json!({"type": "deny", "purpose": research(), "provision": [{"type": "deny", "class": class}]});
    let id = ward.give(provision);
    ward.give(json!({"type": "deny", "purpose": research()}));
    let mut consent = ward.consent(json!({"type": "permit"}));
    consent["id"] = id.clone().into();
    assert_eq!(ward.researcher.put(&format!("Consent/{id}"), &consent.to_string()).status, 404);
    assert_eq!(ward.researcher.delete(&format!("Consent/{id}")).status, 404);
    assert_eq!(ward.treating.get(&format!("Consent/{id}")).status, 200);
    let elsewhere = Salus::shared().client_as("system/Observation.cruds system/Patient.cruds", "HRESCH", &[]);
    assert_eq!(elsewhere.delete(&format!("Consent?patient={}", ward.patient)).status, 403);
    assert!(ward.seen_by(&ward.researcher).is_empty());
}
