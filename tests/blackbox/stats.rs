//! `$stats` on Observation (R4 observation-operation-stats.html).

use serde_json::{Value, json};

use crate::{Answer, Client, Salus};

fn weight(client: &Client, patient: &str, value: f64, unit: &str, day: u32) -> String {
    client.create(&json!({"resourceType": "Observation", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": format!("2021-03-{day:02}T00:00:00Z"),
        "valueQuantity": {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}}))
}

fn statistics(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let items = answer.json()["parameter"].as_array().unwrap().clone();
    items.into_iter().filter(|item| item["name"] == "statistics").map(|item| item["resource"].clone()).collect()
}

/// A component by its code.
fn of<'o>(observation: &'o Value, code: &str) -> &'o Value {
    let components = observation["component"].as_array().unwrap();
    components.iter().find(|one| one["code"]["coding"][0]["code"] == code).unwrap()
}

fn path(patient: &str, further: &str) -> String {
    format!("Observation/$stats?subject=Patient/{patient}&code=29463-7&system=http://loinc.org&{further}")
}

#[test]
fn values_are_computed_in_one_unit_and_others_apart() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    weight(&client, &patient, 80.0, "kg", 1);
    weight(&client, &patient, 82000.0, "g", 2);
    weight(&client, &patient, 84.0, "kg", 3);
    weight(&client, &patient, 180.0, "cm", 1);
    let all = "average,maximum,minimum,count,total-count,median,std-dev,sum,variance,20-percent,80-percent,4-lower,\
               4-upper,4-dev,5-1,5-2,5-3,5-4,skew,kurtosis,regression";
    let found = statistics(&client.get(&path(&patient, &format!("statistic={all}"))));
    assert_eq!(found.len(), 2, "{found:#?}");
    let kilos = &found[0];
    assert_eq!(kilos["component"].as_array().unwrap().len(), 21);
    assert_eq!(kilos["subject"]["reference"], format!("Patient/{patient}"));
    for (code, value, unit) in [
        ("average", 82.0, "kg"),
        ("sum", 246.0, "kg"),
        ("median", 82.0, "kg"),
        ("std-dev", 2.0, "kg"),
        ("variance", 4.0, "(kg).(kg)"),
        ("regression", 2.0, "(kg)/d"),
        ("skew", 0.0, "1"),
    ] {
        let quantity = &of(kilos, code)["valueQuantity"];
        assert!((quantity["value"].as_f64().unwrap() - value).abs() < 1e-6, "{code}: {quantity}");
        assert_eq!(quantity["code"], unit, "{code}");
    }
    assert_eq!(of(kilos, "count")["valueInteger"], 3);
    assert_eq!(of(kilos, "total-count")["valueInteger"], 4);
    assert_eq!(of(&found[1], "count")["valueInteger"], 1);
    assert!(of(&found[1], "std-dev").get("dataAbsentReason").is_some());
    assert_eq!(client.post("Observation/$validate", &kilos.to_string()).json()["issue"][0]["severity"], "information");
}

#[test]
fn time_components_and_sources() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    for day in 1..=3 {
        let pressure = |code: &str, value: u32| {
            json!({"code": {"coding": [{"system": "http://loinc.org", "code": code}]}, "valueQuantity": {"value": value,
                "system": "http://unitsofmeasure.org", "code": "mm[Hg]"}})
        };
        client.create(&json!({"resourceType": "Observation", "status": "final", "code": {"text": "BP"},
            "subject": {"reference": format!("Patient/{patient}")}, "effectiveDateTime": format!("2021-03-0{day}"),
            "component": [pressure("8480-6", 120 + day), pressure("8462-4", 80)]}));
    }
    let body = |further: Value| {
        let mut items = vec![
            json!({"name": "subject", "valueUri": format!("Patient/{patient}")}),
            json!({"name": "coding", "valueCoding": {"system": "http://loinc.org", "code": "8480-6"}}),
            json!({"name": "statistic", "valueCode": "maximum"}),
            json!({"name": "statistic", "valueCode": "count"}),
        ];
        items.extend(further.as_array().unwrap().clone());
        json!({"resourceType": "Parameters", "parameter": items}).to_string()
    };
    let found = statistics(&client.post("Observation/$stats", &body(json!([]))));
    assert_eq!(of(&found[0], "maximum")["valueQuantity"]["value"], 123);
    let period = json!([{"name": "period", "valuePeriod": {"start": "2021-03-01", "end": "2021-03-02"}},
        {"name": "include", "valueBoolean": true}, {"name": "limit", "valuePositiveInt": 1}]);
    let answer = client.post("Observation/$stats", &body(period));
    let found = statistics(&answer);
    assert_eq!(of(&found[0], "maximum")["valueQuantity"]["value"], 122);
    assert_eq!(found[0]["effectivePeriod"]["end"], "2021-03-02");
    let sources = answer.json()["parameter"].as_array().unwrap().iter().filter(|one| one["name"] == "source").count();
    assert_eq!(sources, 1);
    let recent =
        statistics(&client.post("Observation/$stats", &body(json!([{"name": "duration", "valueDecimal": 1}]))));
    assert_eq!(of(&recent[0], "count")["valueInteger"], 0);
}

#[test]
fn what_may_not_be_seen_is_not_counted() {
    let salus = Salus::shared();
    let client = salus.client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    weight(&client, &patient, 80.0, "kg", 1);
    let hidden = weight(&client, &patient, 90.0, "kg", 2);
    let path = path(&patient, "statistic=maximum,count,total-count");
    let seen = |client: &Client| {
        let found = statistics(&client.get(&path));
        (
            of(&found[0], "total-count")["valueInteger"].clone(),
            of(&found[0], "maximum")["valueQuantity"]["value"].clone(),
        )
    };
    assert_eq!(seen(&client), (json!(2), json!(90)));
    assert_eq!(salus.client("system/Patient.rs").get(&path).status, 403);
    assert_eq!(seen(&salus.client("system/Observation.rs?date=lt2021-03-02")), (json!(1), json!(80)));
    client.create(&json!({"resourceType": "Consent", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "INFA"}]}],
        "patient": {"reference": format!("Patient/{patient}")},
        "policyRule": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]},
        "provision": {"type": "permit", "provision": [{"type": "deny", "data": [{"meaning": "instance",
            "reference": {"reference": format!("Observation/{hidden}")}}]}]}}));
    assert_eq!(seen(&client), (json!(1), json!(80)));
    let nobody = statistics(&client.get(&path.replace(&patient, "nobody")));
    assert_eq!(of(&nobody[0], "count")["valueInteger"], 0);
}

#[test]
fn bad_requests_are_told_and_good_ones_recorded() {
    let client = Salus::shared().client("system/*.cruds");
    let patient = client.create(&json!({"resourceType": "Patient"}));
    for query in [
        format!("subject=Patient/{patient}&code=x"),
        format!("subject=Patient/{patient}&statistic=average"),
        "code=x&statistic=average".to_owned(),
        format!("subject={patient}&code=x&statistic=average"),
        format!("subject=Patient/{patient}&code=x&statistic=mode"),
        format!("subject=Patient/{patient}&code=x&statistic=average&duration=-1"),
        format!("subject=Patient/{patient}&code=x&statistic=average&period=2020"),
        format!("subject=Patient/{patient}&code=x&statistic=average&limit=0"),
        format!("subject=Patient/{patient}&code=x&statistic=average&colour=red"),
    ] {
        assert_eq!(client.get(&format!("Observation/$stats?{query}")).status, 400, "{query}");
    }
    assert_eq!(client.get("Patient/$stats").status, 404);
    client.get_with(&path(&patient, "statistic=count"), &[("x-request-id", "stats-audit")]);
    let events = client.audited(&client, "stats-audit");
    assert_eq!(events.len(), 1, "{events:#?}");
    assert!(events[0].to_string().contains(&format!("Patient/{patient}")), "{}", events[0]);
}
