//! The population as others see it: the text of its Bundles.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::civil::{Date, date};
use salus_demo::Population;
use serde_json::Value;

const SEED: u64 = 1;
const TODAY: Date = date(2026, 3, 1);

/// The demo's size, parsed once for all tests.
fn full() -> &'static Parsed {
    static FULL: OnceLock<Parsed> = OnceLock::new();
    FULL.get_or_init(|| parsed(100))
}

struct Parsed {
    population: Population,
    resources: Vec<Value>,
}

fn parsed(patients: usize) -> Parsed {
    let population = Population::generate(SEED, patients, TODAY);
    let mut resources = Vec::new();
    for bundle in &population.bundles {
        let bundle: Value = serde_json::from_str(bundle).expect("a Bundle is JSON");
        assert_eq!(bundle["type"], "transaction");
        for entry in bundle["entry"].as_array().expect("entries") {
            let resource = &entry["resource"];
            let url = format!("{}/{}", text(resource, "resourceType"), text(resource, "id"));
            assert_eq!(entry["request"]["url"], url.as_str());
            assert_eq!(entry["request"]["method"], "PUT");
            resources.push(resource.clone());
        }
    }
    Parsed { population, resources }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("{name} in {value}"))
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match (name.as_str(), value) {
                    ("reference", Value::String(to)) => {
                        found.insert(to.clone());
                    }
                    _ => references(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

fn values(resources: &[Value], patient: &str, code: &str) -> Vec<f64> {
    let subject = format!("Patient/{patient}");
    resources
        .iter()
        .filter(|r| r["resourceType"] == "Observation" && r["subject"]["reference"] == subject.as_str())
        .filter(|r| r["status"] == "final")
        .flat_map(|r| {
            let parts = r["component"].as_array().cloned().unwrap_or_default();
            std::iter::once(r.clone()).chain(parts)
        })
        .filter(|part| part["code"]["coding"][0]["code"] == code)
        .filter_map(|part| part["valueQuantity"]["value"].as_f64())
        .collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[test]
fn the_same_arguments_give_the_same_bytes() {
    let one = Population::generate(7, 8, TODAY);
    assert_eq!(one, Population::generate(7, 8, TODAY));
    assert_ne!(one.bundles, Population::generate(8, 8, TODAY).bundles);
}

#[test]
fn ids_are_unique_and_well_formed_and_all_references_resolve() {
    let all = full();
    let mut ids = BTreeSet::new();
    let mut wanted = BTreeSet::new();
    for resource in &all.resources {
        let id = text(resource, "id");
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
        assert!(id.len() <= 64 && id.chars().all(legal), "{id}");
        let url = format!("{}/{id}", text(resource, "resourceType"));
        assert!(ids.insert(url.clone()), "{url} twice");
        references(resource, &mut wanted);
    }
    let missing: Vec<_> = wanted.difference(&ids).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(all.population.resources, all.resources.len());
    assert!((20_000..35_000).contains(&all.resources.len()), "{}", all.resources.len());
    assert_eq!(all.population.patients.len(), 100);
}

#[test]
fn a_patients_bundle_refers_only_to_itself_and_to_what_is_shared() {
    let population = Population::generate(SEED, 12, TODAY);
    let parse = |text: &String| serde_json::from_str::<Value>(text).unwrap();
    let urls = |bundle: &Value| -> BTreeSet<String> {
        let entries = bundle["entry"].as_array().unwrap();
        entries.iter().map(|e| text(&e["request"], "url").to_owned()).collect()
    };
    let shared = urls(&parse(&population.bundles[0]));
    for bundle in &population.bundles[..population.bundles.len() - 1] {
        let bundle = parse(bundle);
        let (own, mut wanted) = (urls(&bundle), BTreeSet::new());
        references(&bundle, &mut wanted);
        let foreign: Vec<_> = wanted.iter().filter(|r| !own.contains(*r) && !shared.contains(*r)).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
}

/// Contract, `$risk-score`: codes and units a lab would send.
#[test]
fn all_codes_and_units_of_the_contract_occur() {
    let all = full();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for resource in all.resources.iter().filter(|r| r["resourceType"] == "Observation") {
        let parts = resource["component"].as_array().cloned().unwrap_or_default();
        for part in std::iter::once(resource.clone()).chain(parts) {
            let code = text(&part["code"]["coding"][0], "code").to_owned();
            let unit = part["valueQuantity"]["code"].as_str().unwrap_or_default();
            seen.entry(code).or_default().insert(unit.to_owned());
        }
    }
    let contract = "8867-4 /min;8480-6 mm[Hg];8462-4 mm[Hg];8478-0 mm[Hg];9279-1 /min;2708-6 %;59408-5 %;8310-5 Cel;\
        9269-2 {score};2345-7 mg/dL;3094-0 mg/dL;2160-0 mg/dL;2951-2 mmol/L;2823-3 mmol/L;1963-8 mmol/L;4544-3 %;\
        6690-2 10*3/uL;777-3 10*3/uL;1975-2 mg/dL;2524-7 mmol/L;2744-1 [pH];2019-8 mm[Hg];2703-7 mm[Hg];3150-6 %;\
        1751-7 g/dL;1742-6 U/L;1920-8 U/L;6768-6 U/L;2601-3 mmol/L;10839-9 ng/mL;6598-7 ng/mL;29463-7 kg;9187-6 mL;\
        8310-5 [degF];2345-7 mmol/L;2160-0 umol/L;2524-7 mg/dL;85354-9 ";
    for line in contract.split(';') {
        let (code, unit) = line.trim_start().split_once(' ').unwrap();
        assert!(seen.get(code).is_some_and(|units| units.contains(unit)), "{code} in {unit}");
    }
}

#[test]
fn mistakes_are_made_but_few() {
    let all = full();
    let observations: Vec<_> = all.resources.iter().filter(|r| r["resourceType"] == "Observation").collect();
    let count = |status: &str| observations.iter().filter(|o| o["status"] == status).count();
    for status in ["entered-in-error", "corrected", "cancelled"] {
        let n = count(status);
        assert!(n > 2 && n * 100 < observations.len(), "{status}: {n}");
    }
    let impossible = observations
        .iter()
        .filter(|o| o["code"]["coding"][0]["code"] == "8867-4" && o["valueQuantity"]["value"] == 900)
        .count();
    assert!((3..200).contains(&impossible), "{impossible}");
}

#[test]
fn the_one_in_shock_is_worse_off_than_the_one_who_recovers() {
    let Parsed { population, resources } = parsed(6);
    let (low, high) = (&population.roles.ordinary, &population.roles.high_risk);
    let of = |patient: &str, code: &str| median(values(&resources, patient, code));
    assert!(of(high, "8478-0") + 20.0 < of(low, "8478-0"), "mean arterial pressure");
    assert!(of(high, "2524-7") > 5.0 && of(low, "2524-7") < 3.0, "lactate");
    assert!(of(high, "2160-0") > 2.0 && of(low, "2160-0") < 1.4, "creatinine");
    assert!(of(high, "2744-1") < 7.3 && of(low, "2744-1") > 7.3, "pH");
    assert!(of(high, "9269-2") < 11.0 && of(low, "9269-2") > 13.0, "coma scale");
    assert!(of(high, "9187-6") < 0.6 * of(low, "9187-6"), "urine");
}

/// Contract, `$risk-score`: the window is the first 48 h of the ICU stay that holds `as-of`.
#[test]
fn about_a_quarter_have_been_in_intensive_care_and_some_still_are() {
    let all = full();
    let icu: Vec<_> = all
        .resources
        .iter()
        .filter(|r| r["resourceType"] == "Encounter")
        .filter(|r| {
            let locations = r["location"].as_array().unwrap();
            locations.iter().any(|l| l["location"]["reference"] == "Location/demo-location-icu")
        })
        .collect();
    assert!((22..=35).contains(&icu.len()), "{}", icu.len());
    let present = icu.iter().filter(|r| r["status"] == "in-progress").count();
    let group = all.resources.iter().find(|r| r["id"] == all.population.wards.icu.as_str()).unwrap();
    assert_eq!(group["member"].as_array().unwrap().len(), present);
    assert!(present >= 5, "{present}");
    for ward in [&all.population.wards.medical, &all.population.wards.surgical] {
        let group = all.resources.iter().find(|r| r["id"] == ward.as_str()).unwrap();
        assert!(group["member"].is_array(), "{ward} has patients");
    }
    let by_class = icu.iter().filter(|r| r["class"]["code"] == "ACUTE").count();
    assert!(by_class > 10 && by_class < icu.len());
    for role in
        [&all.population.roles.ordinary, &all.population.roles.high_risk, &all.population.roles.consent_restricted]
    {
        let subject = format!("Patient/{role}");
        let stay = icu.iter().find(|r| r["subject"]["reference"] == subject.as_str()).unwrap();
        assert_eq!(stay["class"]["code"], "ACUTE");
        assert_eq!(stay["status"], "in-progress");
    }
}

#[test]
fn sensitive_things_are_labelled_and_nothing_else_tells_of_them() {
    let all = full();
    let labelled: Vec<_> = all.resources.iter().filter(|r| r["meta"]["security"].is_array()).collect();
    for kind in ["Condition", "MedicationRequest", "DocumentReference"] {
        assert!(labelled.iter().any(|r| r["resourceType"] == kind), "{kind}");
    }
    for resource in &all.resources {
        if resource["meta"]["security"].is_array() {
            assert_eq!(resource["meta"]["security"][0]["code"], "R");
            continue;
        }
        let code = resource["code"]["coding"][0]["code"].as_str().unwrap_or_default();
        assert!(!["370143000", "7200002", "5602001", "86406008"].contains(&code), "{resource}");
    }
    let restricted = format!("Patient/{}", all.population.roles.consent_restricted);
    let consent = all
        .resources
        .iter()
        .find(|r| r["resourceType"] == "Consent" && r["patient"]["reference"] == restricted.as_str())
        .expect("a Consent");
    assert_eq!(consent["status"], "active");
    assert_eq!(consent["provision"]["provision"][0]["type"], "deny");
    let hidden = labelled.iter().filter(|r| r["subject"]["reference"] == restricted.as_str()).count();
    assert!(hidden >= 6, "{hidden} resources that the Consent hides by label");
}

#[test]
fn nothing_is_later_than_the_reference_date_and_nothing_measured_after_death() {
    let all = full();
    let mut death = BTreeMap::new();
    for patient in all.resources.iter().filter(|r| r["resourceType"] == "Patient") {
        if let Some(at) = patient["deceasedDateTime"].as_str() {
            death.insert(format!("Patient/{}", text(patient, "id")), at.to_owned());
        }
    }
    assert!(death.len() >= 4, "{} died", death.len());
    for observation in all.resources.iter().filter(|r| r["resourceType"] == "Observation") {
        let at = text(observation, "effectiveDateTime");
        assert!(at < "2026-02-28T19:00:00-05:00", "{at}");
        if let Some(death) = death.get(text(&observation["subject"], "reference")) {
            assert!(at <= death.as_str(), "{at} after {death}");
        }
    }
}

#[test]
fn decimals_keep_their_digits() {
    let population = Population::generate(SEED, 20, TODAY);
    let whole = population.bundles.iter().flat_map(|b| b.match_indices("\"unit\":\"°C\"").map(move |(i, _)| &b[..i]));
    let mut zeroes = 0;
    for before in whole {
        let number = before.rsplit("\"value\":").next().unwrap().trim_end_matches(',');
        let (_, decimals) = number.split_once('.').expect("a decimal point");
        assert_eq!(decimals.len(), 1);
        zeroes += usize::from(decimals == "0");
    }
    assert!(zeroes > 0, "some temperature ends in .0 and is written so");
}

/// R4 structure, cardinality, formats and required codes, by the server's own validator.
#[test]
fn every_bundle_is_valid_r4() {
    use salus_fhir::packages::{R4_CORE, default_cache_dir};
    let Some(cache_dir) = default_cache_dir().filter(|dir| R4_CORE.path(dir).exists()) else {
        eprintln!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
        return;
    };
    let package = R4_CORE.path(&cache_dir);
    let r4 = salus_fhir::Definitions::load_or_compile(&cache_dir, &[package]).unwrap();
    let limits = salus_fhir::json::Limits::default();
    for bundle in &full().population.bundles {
        let parsed = salus_fhir::json::parse(bundle, &limits).unwrap();
        let issues = salus_fhir::validation::validate(&parsed, &r4);
        assert!(issues.is_empty(), "{issues:?}");
    }
}
