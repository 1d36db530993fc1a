//! `$risk-score` (contract, "`$risk-score`").

use salus_fhir::json::{self, Limits};
use salus_fhir::outcome::Issue;
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::validation::Validator;
use salus_fhir::{CANONICAL_BASE, Definitions};
use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

const LOINC: &str = "http://loinc.org";
const UCUM: &str = "http://unitsofmeasure.org";
const LACTATE: &str = "2524-7";
const CREATININE: &str = "2160-0";

/// A patient in intensive care since 2024-03-01, and the clients that look at them.
struct Stay {
    client: Client,
    patient: String,
}

impl Stay {
    /// A stay without any measurement.
    fn empty() -> Self {
        let client = Salus::shared().client("system/*.cruds");
        let patient = client.create(&json!({"resourceType": "Patient", "gender": "female", "birthDate": "1950-01-01"}));
        client.create(&json!({
            "resourceType": "Encounter", "status": "in-progress",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "ACUTE"},
            "subject": {"reference": format!("Patient/{patient}")},
            "period": {"start": "2024-03-01T00:00:00Z"},
        }));
        Self { client, patient }
    }

    /// One with what a first day brings.
    fn new() -> Self {
        let stay = Self::empty();
        for (code, value, unit, hour) in [
            ("8867-4", 112.0, "/min", 1),
            ("8867-4", 96.0, "/min", 20),
            ("8480-6", 98.0, "mm[Hg]", 2),
            ("8462-4", 51.0, "mm[Hg]", 2),
            ("8478-0", 66.0, "mm[Hg]", 2),
            ("9279-1", 26.0, "/min", 2),
            ("59408-5", 93.0, "%", 3),
            ("8310-5", 38.4, "Cel", 3),
            ("9269-2", 11.0, "{score}", 4),
            ("3094-0", 38.0, "mg/dL", 5),
            (CREATININE, 1.8, "mg/dL", 5),
            ("2951-2", 136.0, "mmol/L", 5),
            ("2823-3", 4.4, "mmol/L", 5),
            ("1963-8", 19.0, "mmol/L", 5),
            ("2345-7", 160.0, "mg/dL", 5),
            (LACTATE, 3.9, "mmol/L", 6),
            ("4544-3", 31.0, "%", 6),
            ("6690-2", 14.2, "10*3/uL", 6),
            ("777-3", 180.0, "10*3/uL", 6),
            ("1975-2", 1.1, "mg/dL", 7),
            ("9187-6", 400.0, "mL", 8),
        ] {
            stay.measure(code, value, unit, &format!("2024-03-01T{hour:02}:00:00Z"));
        }
        stay
    }

    fn observation(&self, code: &str, value: f64, unit: &str, when: &str) -> Value {
        json!({
            "resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": LOINC, "code": code}]},
            "subject": {"reference": format!("Patient/{}", self.patient)}, "effectiveDateTime": when,
            "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
        })
    }

    fn measure(&self, code: &str, value: f64, unit: &str, when: &str) -> String {
        self.client.create(&self.observation(code, value, unit, when))
    }

    fn path(&self, query: &str) -> String {
        format!("Patient/{}/$risk-score?as-of=2024-03-03T00:00:00Z{query}", self.patient)
    }

    /// The Consent of the patient with this root provision.
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

    fn score(&self) -> Value {
        self.score_for(&self.client)
    }

    fn score_for(&self, client: &Client) -> Value {
        let answer = client.get(&self.path(""));
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    fn post(&self, parameters: Value) -> Answer {
        let body = json!({"resourceType": "Parameters", "parameter": parameters});
        self.client.post(&format!("Patient/{}/$risk-score", self.patient), &body.to_string())
    }
}

fn research() -> Value {
    json!([{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HRESCH"}])
}

/// Permits all but research with this code.
fn deny_research(code: &str) -> Value {
    let codes = json!([{"coding": [{"system": LOINC, "code": code}]}]);
    json!({"type": "permit", "provision": [{"type": "deny", "purpose": research(), "code": codes}]})
}

fn as_of() -> Value {
    json!({"name": "as-of", "valueDateTime": "2024-03-03T00:00:00Z"})
}

fn probability(assessment: &Value) -> f64 {
    assessment["prediction"][0]["probabilityDecimal"].as_f64().unwrap_or_else(|| panic!("{assessment:#}"))
}

/// An input as the answer explains it.
#[derive(Debug, Clone, PartialEq)]
struct Input {
    code: String,
    status: String,
    value: Option<f64>,
    sources: Vec<String>,
    contribution: f64,
}

fn inputs(assessment: &Value) -> Vec<Input> {
    let url = format!("{CANONICAL_BASE}/StructureDefinition/risk-contribution");
    let extensions = assessment["prediction"][0]["extension"].as_array().unwrap();
    extensions
        .iter()
        .filter(|extension| extension["url"] == url)
        .map(|extension| {
            let parts = |name: &str| {
                let parts = extension["extension"].as_array().unwrap().iter();
                parts.filter(|part| part["url"] == name).cloned().collect::<Vec<Value>>()
            };
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            Input {
                code: text(&parts("code")[0]["valueCoding"]["code"]),
                status: text(&parts("status")[0]["valueCode"]),
                value: parts("value").first().map(|part| part["valueQuantity"]["value"].as_f64().unwrap()),
                sources: parts("source").iter().map(|part| text(&part["valueReference"]["reference"])).collect(),
                contribution: parts("contribution")[0]["valueDecimal"].as_f64().unwrap(),
            }
        })
        .collect()
}

fn of_code(assessment: &Value, code: &str) -> Vec<Input> {
    let found: Vec<Input> = inputs(assessment).into_iter().filter(|input| input.code == code).collect();
    assert!(!found.is_empty(), "the model has no input {code}");
    found
}

fn may_be_withheld(assessment: &Value) -> bool {
    let url = format!("{CANONICAL_BASE}/StructureDefinition/inputs-may-be-withheld");
    assessment["extension"].as_array().into_iter().flatten().any(|one| one["url"] == url && one["valueBoolean"] == true)
}

fn validate(resource: &Value) {
    static DEFINITIONS: std::sync::OnceLock<std::sync::Arc<Definitions>> = std::sync::OnceLock::new();
    let definitions = DEFINITIONS.get_or_init(|| {
        let cache =
            std::env::var_os("SALUS_CACHE_DIR").map(std::path::PathBuf::from).or_else(default_cache_dir).unwrap();
        Definitions::load_or_compile(&cache, &[R4_CORE.path(&cache)]).unwrap()
    });
    let text = resource.to_string();
    let value = json::parse(&text, &Limits::default()).unwrap();
    let errors: Vec<Issue> = Validator::new(definitions).validate(&value).into_iter().filter(Issue::is_error).collect();
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn the_answer_explains_itself() {
    let stay = Stay::new();
    let assessment = stay.score();
    validate(&assessment);
    assert_eq!(assessment["resourceType"], "RiskAssessment");
    assert_eq!(assessment["meta"]["security"][0]["code"], "AIAST");
    assert_eq!(assessment["subject"]["reference"], format!("Patient/{}", stay.patient));
    let p = probability(&assessment);
    assert!(p > 0.0 && p < 1.0, "{p}");
    let url = format!("{CANONICAL_BASE}/StructureDefinition/risk-baseline");
    let extensions = assessment["prediction"][0]["extension"].as_array().unwrap();
    let baseline = extensions.iter().find(|one| one["url"] == url).unwrap()["valueDecimal"].as_f64().unwrap();
    let sum: f64 = baseline + inputs(&assessment).iter().map(|input| input.contribution).sum::<f64>();
    assert!((sum - (p / (1.0 - p)).ln()).abs() < 1e-4, "{sum} is not the logit of {p}");
    for input in inputs(&assessment) {
        match input.status.as_str() {
            "observed" => assert!(input.value.is_some(), "{input:?}"),
            "imputed" => assert!(input.value.is_none() && input.sources.is_empty(), "{input:?}"),
            other => panic!("{other}"),
        }
    }
    let basis: Vec<&str> =
        assessment["basis"].as_array().unwrap().iter().map(|one| one["reference"].as_str().unwrap()).collect();
    assert!(basis.len() > 10);
    for reference in &basis {
        assert_eq!(stay.client.get(reference).status, 200, "{reference}");
    }
    for source in inputs(&assessment).iter().flat_map(|input| &input.sources) {
        assert!(basis.contains(&source.as_str()), "{source}");
    }
    let device = assessment["performer"]["reference"].as_str().unwrap();
    assert_eq!(stay.client.get(device).json()["version"][0]["value"], "1.0.0");
    assert!(!may_be_withheld(&assessment));
    // The same by POST and on type level.
    let posted = stay.post(json!([as_of()]));
    assert_eq!(posted.status, 200, "{}", posted.text);
    assert_eq!(probability(&posted.json()), p);
    let by_type =
        stay.client.get(&format!("Patient/$risk-score?patient=Patient/{}&as-of=2024-03-03T00:00:00Z", stay.patient));
    assert_eq!(probability(&by_type.json()), p);
    let named = stay.client.get(&stay.path("&model=icu-mortality"));
    assert_eq!(probability(&named.json()), p);
}

#[test]
fn units_as_laboratories_send_them_are_converted() {
    let (mass, substance) = (Stay::new(), Stay::empty());
    let everything = mass.client.get(&format!("Observation?subject=Patient/{}&_count=100", mass.patient)).json();
    for entry in everything["entry"].as_array().unwrap() {
        let mut resource = entry["resource"].clone();
        let quantity = &mut resource["valueQuantity"];
        let (value, unit) = match entry["resource"]["code"]["coding"][0]["code"].as_str().unwrap() {
            CREATININE => (1.8 * 88.4, "umol/L"),
            "2345-7" => (160.0 / 18.016, "mmol/L"),
            _ => (quantity["value"].as_f64().unwrap(), quantity["code"].as_str().unwrap()),
        };
        *quantity = json!({"value": value, "unit": unit, "system": UCUM, "code": unit});
        resource["subject"] = json!({"reference": format!("Patient/{}", substance.patient)});
        substance.client.create(&resource);
    }
    let (one, other) = (mass.score(), substance.score());
    assert!((probability(&one) - probability(&other)).abs() < 2e-3, "{} {}", probability(&one), probability(&other));
    for input in of_code(&other, CREATININE) {
        assert!((input.value.unwrap() - 1.8).abs() < 0.02, "{input:?}");
    }
}

#[test]
fn what_was_measured_later_or_in_error_does_not_count() {
    let stay = Stay::new();
    let before = stay.score();
    let late = stay.measure(LACTATE, 12.0, "mmol/L", "2024-03-03T00:00:01Z");
    let mut wrong = stay.observation(LACTATE, 14.0, "mmol/L", "2024-03-01T12:00:00Z");
    for status in ["entered-in-error", "cancelled"] {
        wrong["status"] = status.into();
        stay.client.create(&wrong);
    }
    // Not plausible, and not this patient's.
    stay.measure(LACTATE, 100_000.0, "mmol/L", "2024-03-01T13:00:00Z");
    let mut foreign = stay.observation(LACTATE, 13.0, "mmol/L", "2024-03-01T12:00:00Z");
    let other = stay.client.create(&json!({"resourceType": "Patient"}));
    foreign["subject"] = json!({"reference": format!("Patient/{other}")});
    foreign["focus"] = json!([{"reference": format!("Patient/{}", stay.patient)}]);
    stay.client.create(&foreign);
    let after = stay.score();
    assert_eq!(probability(&before), probability(&after));
    assert!(!after["basis"].to_string().contains(&late));
    // What counts, counts from its moment on.
    stay.measure(LACTATE, 9.0, "mmol/L", "2024-03-01T20:00:00Z");
    assert!(probability(&stay.score()) != probability(&before));
    let early = stay.client.get(&format!("Patient/{}/$risk-score?as-of=2024-03-01T19:00:00Z", stay.patient));
    assert_eq!(early.status, 200, "{}", early.text);
    assert!(of_code(&early.json(), LACTATE).iter().all(|input| input.value == Some(3.9)));
    // Before anything was known there is nothing to say.
    let none = stay.client.get(&format!("Patient/{}/$risk-score?as-of=2024-02-01", stay.patient));
    assert_eq!((none.status, none.issue().as_str()), (422, "incomplete"));
}

/// Beyond some number of Observations only those of the model's codes are fetched: the answer is the same.
#[test]
fn what_the_model_does_not_know_makes_no_difference_however_much_there_is() {
    let stay = Stay::new();
    // What stands in components is found by these.
    let component = |code: &str, value: f64| {
        json!({"code": {"coding": [{"system": LOINC, "code": code}]},
            "valueQuantity": {"value": value, "unit": "mm[Hg]", "system": UCUM, "code": "mm[Hg]"}})
    };
    let mut panel = stay.observation("85354-9", 0.0, "mm[Hg]", "2024-03-01T04:00:00Z");
    panel.as_object_mut().unwrap().remove("valueQuantity");
    panel["component"] = json!([component("8480-6", 71.0), component("8462-4", 40.0)]);
    let panel = format!("Observation/{}", stay.client.create(&panel));
    let few = stay.score();
    assert!(of_code(&few, "8480-6").iter().any(|input| input.sources.contains(&panel)), "{few:#}");
    let other = stay.observation("66655-5", 1.0, "1", "2024-03-01T12:00:00Z");
    let mut foreign = stay.observation(LACTATE, 13.0, "mmol/L", "2024-03-01T12:00:00Z");
    foreign["subject"] = json!({"reference": format!("Patient/{}", Stay::empty().patient)});
    foreign["performer"] = json!([{"reference": format!("Patient/{}", stay.patient)}]);
    for times in [10, 600] {
        stay.client.create(&foreign);
        let entry = json!({"resource": other, "request": {"method": "POST", "url": "Observation"}});
        let bundle = json!({"resourceType": "Bundle", "type": "transaction", "entry": vec![entry; times]});
        assert_eq!(stay.client.post("", &bundle.to_string()).status, 200);
        let many = stay.score();
        assert_eq!(inputs(&many), inputs(&few), "{times} more");
        assert_eq!(probability(&many), probability(&few));
    }
}

#[test]
fn supposed_inputs_are_used_and_never_stored() {
    let stay = Stay::new();
    let input = |value: f64| {
        json!({"name": "input", "part": [
            {"name": "code", "valueCoding": {"system": LOINC, "code": LACTATE}},
            {"name": "value", "valueQuantity": {"value": value, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"}},
        ]})
    };
    let supposed = stay.post(json!([as_of(), input(12.0)]));
    assert_eq!(supposed.status, 200, "{}", supposed.text);
    validate(&supposed.json());
    assert!(probability(&supposed.json()) > probability(&stay.score()));
    assert!(of_code(&supposed.json(), LACTATE).iter().all(|input| input.sources.is_empty()));
    let stored = stay.post(json!([as_of(), input(12.0), {"name": "persist", "valueBoolean": true}]));
    assert_eq!((stored.status, stored.issue().as_str()), (400, "invalid"));
    assert!(stay.client.ids(&format!("RiskAssessment?subject=Patient/{}", stay.patient)).is_empty());
}

#[test]
fn a_stored_answer_comes_with_its_provenance() {
    let stay = Stay::new();
    let patient = &stay.patient;
    let answer = stay.post(json!([as_of(), {"name": "persist", "valueBoolean": true}]));
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    let assessment = answer.json();
    let id = assessment["id"].as_str().unwrap();
    assert_eq!(stay.client.get(&format!("RiskAssessment/{id}")).json(), assessment);
    assert_eq!(stay.client.ids(&format!("RiskAssessment?subject=Patient/{patient}")), [id]);
    let found = stay.client.ids(&format!("Provenance?target=RiskAssessment/{id}"));
    assert_eq!(found.len(), 1);
    let provenance = stay.client.get(&format!("Provenance/{}", found[0])).json();
    validate(&provenance);
    validate(&assessment);
    assert!(provenance["agent"].to_string().contains("Device/icu-mortality-1.0.0"));
    // GET never changes anything.
    let by_get = stay.client.get(&stay.path("&persist=true"));
    assert_eq!((by_get.status, by_get.issue().as_str()), (400, "invalid"));
    // Who may not create both gets neither.
    let salus = Salus::shared();
    for scope in ["system/*.rs", "system/*.rs system/RiskAssessment.c", "system/*.rs system/Provenance.c"] {
        let body =
            json!({"resourceType": "Parameters", "parameter": [as_of(), {"name": "persist", "valueBoolean": true}]});
        let refused = salus.client(scope).post(&format!("Patient/{patient}/$risk-score"), &body.to_string());
        assert_eq!(refused.status, 403, "{scope}: {}", refused.text);
    }
    assert_eq!(stay.client.ids(&format!("RiskAssessment?subject=Patient/{patient}")), [id]);
}

#[test]
fn groups_are_scored_member_by_member() {
    let (one, other, empty) = (Stay::new(), Stay::new(), Stay::empty());
    let member = |patient: &str| json!({"entity": {"reference": format!("Patient/{patient}")}});
    let group = one.client.create(&json!({
        "resourceType": "Group", "type": "person", "actual": true,
        "member": [member(&one.patient), member(&other.patient), member(&empty.patient), member("nobody")],
    }));
    let answer = one.client.get(&format!("Patient/$risk-score?group=Group/{group}&as-of=2024-03-03T00:00:00Z"));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let bundle = answer.json();
    assert_eq!(bundle["type"], "collection");
    let kinds: Vec<&str> = bundle["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["resource"]["resourceType"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["RiskAssessment", "RiskAssessment", "OperationOutcome", "OperationOutcome"]);
    assert_eq!(one.client.get("Patient/$risk-score?group=Group/nobody").status, 404);
}

/// Consent: what is withheld reads as imputed, named as a possibility and not by content.
#[test]
fn a_consent_changes_what_the_model_sees() {
    let stay = Stay::new();
    let researcher = Salus::shared().client_as("system/*.rs", "HRESCH", &[]);
    let whole = stay.score();
    assert_eq!(probability(&stay.score_for(&researcher)), probability(&whole));
    let deny = |code: &str| stay.consent(deny_research(code));
    let consent = stay.client.create(&deny(LACTATE));
    let withheld = stay.score_for(&researcher);
    validate(&withheld);
    assert!(may_be_withheld(&withheld));
    let hidden = of_code(&withheld, LACTATE);
    assert!(hidden.iter().all(|input| input.status == "imputed" && input.value.is_none() && input.sources.is_empty()));
    assert!(probability(&withheld) != probability(&whole));
    assert_eq!(withheld["basis"].as_array().unwrap().len() + 1, whole["basis"].as_array().unwrap().len());
    assert!(!withheld.to_string().contains("\"withheld\""), "which one is not said");
    // As if the value had never been measured.
    let without = Stay::new();
    let lactates = without.client.ids(&format!("Observation?subject=Patient/{}&code={LACTATE}", without.patient));
    for id in lactates {
        assert_eq!(without.client.delete(&format!("Observation/{id}")).status, 204);
    }
    assert_eq!(probability(&without.score()), probability(&withheld));
    assert!(!may_be_withheld(&stay.score()) && probability(&stay.score()) == probability(&whole));
    // The hint stands whether or not there is such data.
    let mut other = deny("9999-9");
    other["id"] = consent.clone().into();
    assert_eq!(stay.client.put(&format!("Consent/{consent}"), &other.to_string()).status, 200);
    let unaffected = stay.score_for(&researcher);
    assert!(may_be_withheld(&unaffected));
    assert_eq!(probability(&unaffected), probability(&whole));
    // A stored answer tells of what went into it: whoever may not see that may not see it either.
    let mut again = deny(LACTATE);
    again["id"] = consent.clone().into();
    assert_eq!(stay.client.put(&format!("Consent/{consent}"), &again.to_string()).status, 200);
    let stored = stay.post(json!([as_of(), {"name": "persist", "valueBoolean": true}])).json();
    let path = format!("RiskAssessment/{}", stored["id"].as_str().unwrap());
    assert_eq!((stay.client.get(&path).status, researcher.get(&path).status), (200, 404));
    assert_eq!(stay.client.delete(&format!("Consent/{consent}")).status, 204);
    assert!(!may_be_withheld(&stay.score_for(&researcher)));
}

/// The patient wholly hidden: as one that does not exist.
#[test]
fn a_hidden_patient_is_unknown_to_the_model() {
    let stay = Stay::new();
    let researcher = Salus::shared().client_as("system/*.rs", "HRESCH", &[]);
    stay.client.create(&stay.consent(json!({"type": "deny", "purpose": research()})));
    let (hidden, unknown) =
        (researcher.get(&stay.path("")), researcher.get("Patient/nobody/$risk-score?as-of=2024-03-03T00:00:00Z"));
    assert_eq!((hidden.status, unknown.status), (404, 404));
    assert_eq!(hidden.text.replace(&stay.patient, "nobody"), unknown.text);
}

/// A stored answer names what the model did without, and a Consent about that hides it from nobody; one in which a
/// value was used is hidden with the value.
#[test]
fn a_consent_hides_a_stored_answer_only_where_a_value_was_used() {
    let stay = Stay::new();
    let researcher = Salus::shared().client_as("system/*.cruds", "HRESCH", &[]);
    stay.client.create(&stay.consent(deny_research(LACTATE)));
    let stored_by = |client: &Client| {
        let body = json!({"resourceType": "Parameters",
            "parameter": [as_of(), {"name": "persist", "valueBoolean": true}]});
        let answer = client.post(&format!("Patient/{}/$risk-score", stay.patient), &body.to_string());
        assert!(answer.status < 300, "{}", answer.text);
        answer.json()
    };
    let (whole, partly) = (stored_by(&stay.client), stored_by(&researcher));
    assert!(of_code(&whole, LACTATE).iter().any(|input| input.status == "observed"));
    assert!(of_code(&partly, LACTATE).iter().all(|input| input.status == "imputed" && input.value.is_none()));
    let path = |assessment: &Value| format!("RiskAssessment/{}", assessment["id"].as_str().unwrap());
    assert_eq!(researcher.get(&path(&partly)).json(), partly, "who made it can read it");
    assert_eq!(researcher.get(&path(&whole)).status, 404);
    assert_eq!(
        researcher.ids(&format!("RiskAssessment?subject=Patient/{}", stay.patient)),
        [partly["id"].as_str().unwrap()]
    );
    assert_eq!(stay.client.get(&path(&whole)).status, 200);
}

/// The model sees through the caller's scopes.
#[test]
fn scopes_bound_what_the_model_sees() {
    let stay = Stay::new();
    let salus = Salus::shared();
    let blind = salus.client("system/Patient.rs").get(&stay.path(""));
    assert_eq!((blind.status, blind.issue().as_str()), (422, "incomplete"));
    let without_patient = salus.client("system/Observation.rs system/Encounter.rs").get(&stay.path(""));
    assert_eq!(without_patient.status, 403);
    let partly =
        salus.client(&format!("system/Patient.rs system/Encounter.rs system/Observation.rs?code:not={LACTATE}"));
    let answer = partly.get(&stay.path(""));
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(of_code(&answer.json(), LACTATE).iter().all(|input| input.status == "imputed"));
    assert!(probability(&answer.json()) != probability(&stay.score()));
}

#[test]
fn the_use_of_a_model_is_on_record() {
    let stay = Stay::new();
    let auditor = Salus::shared().client("system/AuditEvent.rs");
    for (id, persist) in [("model-use-1", false), ("model-use-2", true)] {
        let id = format!("{id}-{}", stay.patient);
        let body = json!({"resourceType": "Parameters",
            "parameter": [as_of(), {"name": "persist", "valueBoolean": persist}]});
        let answer = stay.client.send_with(
            "POST",
            &format!("Patient/{}/$risk-score", stay.patient),
            &body.to_string(),
            &[("x-request-id", id.as_str())],
        );
        assert!(answer.status < 300, "{}", answer.text);
        let events = stay.client.audited(&auditor, &id);
        let of_model: Vec<&Value> = events
            .iter()
            .filter(|event| {
                event.to_string().contains("icu-mortality") && event["entity"].to_string().contains("\"1.0.0\"")
            })
            .collect();
        assert_eq!(of_model.len(), 1, "{events:#?}");
        validate(of_model[0]);
        let text = of_model[0]["entity"].to_string();
        assert!(text.contains(&format!("Patient/{}", stay.patient)));
        for basis in answer.json()["basis"].as_array().unwrap() {
            assert!(
                text.contains(basis["reference"].as_str().unwrap()) || !basis.to_string().contains("Observation"),
                "{basis}"
            );
        }
        assert_eq!(events.len(), if persist { 3 } else { 1 }, "its own, and one for each stored resource");
        let found = auditor.ids(&format!("AuditEvent?patient={}&_count=1000", stay.patient));
        assert!(found.contains(&of_model[0]["id"].as_str().unwrap().to_owned()));
    }
}

#[test]
fn too_few_inputs_are_refused_and_named() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient", "gender": "female", "birthDate": "1950-01-01"}));
    let answer = client.get(&format!("Patient/{patient}/$risk-score"));
    assert_eq!((answer.status, answer.issue().as_str()), (422, "incomplete"));
    assert!(answer.text.contains("missing"), "{}", answer.text);
}

#[test]
fn wrong_parameters_are_refused_and_named() {
    let stay = Stay::empty();
    assert_eq!(stay.client.get("Patient/nobody/$risk-score").status, 404);
    let patient = &stay.patient;
    let model = stay.client.get(&format!("Patient/{patient}/$risk-score?model=nothing"));
    assert_eq!((model.status, model.issue().as_str()), (404, "not-found"));
    for (path, named) in [
        (format!("Patient/{patient}/$risk-score?unknown=1"), "unknown"),
        (format!("Patient/{patient}/$risk-score?as-of=yesterday"), "as-of"),
        (format!("Patient/{patient}/$risk-score?persist=maybe"), "persist"),
        (format!("Patient/{patient}/$risk-score?patient=Patient/1"), "patient"),
        ("Patient/$risk-score".to_owned(), "patient"),
        ("Patient/$risk-score?patient=1".to_owned(), "patient"),
        ("Patient/$risk-score?patient=Patient/1&group=Group/1".to_owned(), "patient"),
    ] {
        let answer = stay.client.get(&path);
        assert_eq!((answer.status, answer.issue().as_str()), (400, "invalid"), "{path}: {}", answer.text);
        assert!(answer.text.contains(named), "{path}: {}", answer.text);
    }
    for parameters in [
        json!([{"name": "unknown", "valueString": "x"}]),
        json!([{"name": "input", "part": [{"name": "code", "valueCoding": {"code": "x"}}]}]),
        json!([{"name": "as-of", "valueString": "2024"}]),
        json!([{"name": "persist", "valueString": "true"}]),
    ] {
        let answer = stay.post(parameters.clone());
        assert_eq!(answer.status, 400, "{parameters}: {}", answer.text);
    }
}

#[test]
fn the_future_cannot_be_scored() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    let answer = client.get(&format!("Patient/{patient}/$risk-score?as-of=2999-01-01"));
    assert_eq!(answer.status, 400, "{}", answer.text);
}
