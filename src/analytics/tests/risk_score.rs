//! The shipped model of `$risk-score`, from Observations to FHIR.

#![allow(clippy::unwrap_used)]

use salus_analytics::features::WhatIf;
use salus_analytics::model::ADDITIVITY_TOLERANCE;
use salus_analytics::prediction::InputStatus;
use salus_analytics::risk_assessment::{self, Context, ProvenanceContext, Requester};
use salus_analytics::time::HOUR;
use salus_analytics::{Error, FeatureObservation, Features, Model, Models, Prediction, Subject, Window};
use salus_fhir::json::{Limits, parse};
use salus_fhir::validation::validate;
use salus_fhir::{Definitions, packages};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

const LOINC: &str = "http://loinc.org";

fn operations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../operations")
}

fn model() -> Arc<Model> {
    static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
    let load = || Arc::clone(Models::load(&operations()).unwrap().default_of("risk-score").unwrap());
    Arc::clone(MODEL.get_or_init(load))
}

fn subject() -> Subject {
    Subject { reference: "Patient/p".into(), birth_date: Some("1900-05-01".into()), gender: Some("female".into()) }
}

fn window() -> Window {
    Window {
        start: 0,
        end: 48 * HOUR,
        as_of: 48 * HOUR,
        encounter: Some("Encounter/e".into()),
        outside_population: false,
    }
}

fn observation(id: usize, code: &str, hour: i64, value: f64, unit: &str) -> FeatureObservation {
    FeatureObservation {
        reference: format!("Observation/{id}"),
        codes: vec![(LOINC.into(), code.into())],
        effective: hour * HOUR,
        value,
        unit: Some(unit.into()),
    }
}

/// A patient as a laboratory and a monitor would send one.
fn patient(gcs: f64, nitrogen: f64, lactate: f64) -> Vec<FeatureObservation> {
    [
        ("9269-2", gcs, "{score}"),
        ("8867-4", 92.0, "/min"),
        ("8480-6", 118.0, "mm[Hg]"),
        ("8462-4", 61.0, "mm[Hg]"),
        ("8310-5", 98.6, "[degF]"),
        ("3094-0", nitrogen, "mg/dL"),
        ("2160-0", 88.4, "umol/L"),
        ("2524-7", lactate, "mmol/L"),
        ("2601-3", 0.85, "mmol/L"),
    ]
    .into_iter()
    .enumerate()
    .map(|(id, (code, value, unit))| observation(id, code, 2 + id as i64, value, unit))
    .collect()
}

fn features(observations: &[FeatureObservation], what_if: &[WhatIf]) -> Features {
    Features::extract(&model().description, observations, &subject(), &window(), what_if).unwrap()
}

fn predict(observations: &[FeatureObservation]) -> Prediction {
    model().predict(features(observations, &[])).unwrap()
}

fn value_of(prediction: &Prediction, name: &str) -> Option<f64> {
    let at = model().description.inputs.iter().position(|input| input.name == name).unwrap();
    prediction.inputs[at].value
}

#[test]
fn the_runtime_agrees_with_the_stored_outputs_of_onnx_runtime() {
    // Loading runs examples.json and refuses the model where an output differs.
    let model = model();
    assert_eq!(model.description.operation, "risk-score");
    let text = std::fs::read_to_string(operations().join("risk-score/examples.json")).unwrap();
    let examples: Value = serde_json::from_str(&text).unwrap();
    let rows = examples["rows"].as_array().unwrap();
    assert!(rows.len() >= 20);
    for row in rows {
        let inputs: Vec<f32> =
            row["inputs"].as_array().unwrap().iter().map(|v| v.as_f64().map_or(f32::NAN, |v| v as f32)).collect();
        let output = model.run(&[inputs]).unwrap().pop().unwrap();
        assert!((output.probability - row["probability"].as_f64().unwrap()).abs() <= 1e-6);
    }
}

#[test]
fn contributions_add_up_to_the_logit() {
    let prediction = predict(&patient(9.0, 60.0, 5.5));
    let logit = (prediction.probability / (1.0 - prediction.probability)).ln();
    let sum = prediction.baseline + prediction.inputs.iter().map(|input| input.contribution).sum::<f64>();
    assert!((logit - sum).abs() < ADDITIVITY_TOLERANCE / 10.0, "{logit} {sum}");
    assert!((prediction.logit - sum).abs() < 1e-12);
}

#[test]
fn a_sicker_patient_has_a_higher_risk() {
    let well = predict(&patient(15.0, 14.0, 1.0));
    let sick = predict(&patient(5.0, 80.0, 9.0));
    assert!(well.probability < 0.1, "{}", well.probability);
    assert!(sick.probability > 0.3, "{}", sick.probability);
    assert!(well.band < sick.band);
}

#[test]
fn units_are_converted_to_those_of_the_model() {
    let prediction = predict(&patient(15.0, 14.0, 1.0));
    for (name, expected) in [("temperature-last", 37.0), ("creatinine-last", 1.0), ("magnesium-last", 2.066)] {
        let value = value_of(&prediction, name).unwrap();
        assert!((value - expected).abs() < 1e-3, "{name}: {value}");
    }
}

#[test]
fn a_batch_says_what_each_row_alone_says() {
    let patients = [patient(15.0, 14.0, 1.0), Vec::new(), patient(5.0, 80.0, 9.0)];
    let batch = model().predict_batch(patients.iter().map(|p| features(p, &[])).collect()).unwrap();
    assert!(matches!(batch[1], Err(Error::TooFewInputs { .. })));
    for at in [0, 2] {
        let alone = predict(&patients[at]);
        let together = batch[at].as_ref().unwrap();
        assert!((alone.probability - together.probability).abs() < 1e-7);
        assert_eq!(alone.inputs.len(), together.inputs.len());
    }
    assert!(model().predict_batch(Vec::new()).unwrap().is_empty());
}

#[test]
fn too_few_measurements_are_refused_with_what_is_missing() {
    let minimum = model().description.minimum.measurements;
    let few = &patient(15.0, 14.0, 1.0)[..minimum - 1];
    match model().predict(features(few, &[])) {
        Err(Error::TooFewInputs { found, missing, .. }) => {
            assert_eq!(found, minimum - 1);
            assert!(missing.iter().any(|name| name == "Lactate (2524-7)"), "{missing:?}");
            assert!(!missing.iter().any(|name| name.contains("9269-2")), "{missing:?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(model().predict(features(&patient(15.0, 14.0, 1.0)[..minimum], &[])).is_ok());
}

#[test]
fn what_is_hidden_moves_nothing_but_to_missing() {
    // A value that the caller may not see is not passed in; the answer is that of a patient of whom
    // it was never recorded.
    let mut seen = patient(9.0, 60.0, 5.5);
    seen.retain(|observation| observation.codes[0].1 != "2524-7");
    let prediction = predict(&seen);
    let lactate = &prediction.inputs[model().description.inputs.iter().position(|i| i.name == "lactate-last").unwrap()];
    assert_eq!(lactate.status, InputStatus::Imputed);
    assert!(lactate.sources.is_empty());
}

fn context(outside: bool, withheld: bool) -> Context {
    Context {
        id: Some("r1".into()),
        patient: "Patient/p".into(),
        window: Window { outside_population: outside, ..window() },
        inputs_may_be_withheld: withheld,
        supposed: false,
        age: Some(12.0),
    }
}

fn extensions<'v>(parent: &'v Value, name: &str) -> Vec<&'v Value> {
    let url = format!("https://salus.example/fhir/StructureDefinition/{name}");
    parent["extension"].as_array().unwrap().iter().filter(|e| e["url"] == url.as_str()).collect()
}

fn part<'v>(extension: &'v Value, name: &str) -> Option<&'v Value> {
    extension["extension"].as_array().unwrap().iter().find(|part| part["url"] == name)
}

#[test]
fn the_risk_assessment_holds_what_the_contract_says() {
    let mut observations = patient(9.0, 60.0, 5.5);
    observations.push(observation(99, "8867-4", 3, 900.0, "/min"));
    let prediction = predict(&observations);
    let text = risk_assessment::risk_assessment(&model(), &prediction, &context(true, true));
    assert!(text.starts_with(r#"{"resourceType":"RiskAssessment","id":"r1""#));
    let resource: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(resource["status"], "final");
    assert_eq!(resource["meta"]["security"][0]["code"], "AIAST");
    assert_eq!(resource["subject"]["reference"], "Patient/p");
    assert_eq!(resource["encounter"]["reference"], "Encounter/e");
    assert_eq!(resource["performer"]["reference"], "Device/icu-mortality-1.0.0");
    assert_eq!(resource["occurrenceDateTime"], "1970-01-03T00:00:00Z");
    let basis: Vec<_> =
        resource["basis"].as_array().unwrap().iter().map(|b| b["reference"].as_str().unwrap()).collect();
    assert!(basis.contains(&"Patient/p") && basis.contains(&"Observation/0"), "{basis:?}");
    assert!(!basis.contains(&"Observation/99"), "an implausible value is no basis");
    assert_eq!(extensions(&resource, "inputs-may-be-withheld")[0]["valueBoolean"], true);

    let predicted = &resource["prediction"][0];
    let probability = predicted["probabilityDecimal"].as_f64().unwrap();
    let baseline = extensions(predicted, "risk-baseline")[0]["valueDecimal"].as_f64().unwrap();
    let contributions = extensions(predicted, "risk-contribution");
    assert_eq!(contributions.len(), model().description.inputs.len());
    let sum: f64 =
        contributions.iter().map(|c| part(c, "contribution").unwrap()["valueDecimal"].as_f64().unwrap()).sum();
    let logit = (probability / (1.0 - probability)).ln();
    assert!((baseline + sum - logit).abs() < 1e-5, "{baseline} + {sum} against {logit}");
    for contribution in &contributions {
        assert!(part(contribution, "code").unwrap()["valueCoding"]["system"].is_string());
        match part(contribution, "status").unwrap()["valueCode"].as_str().unwrap() {
            "observed" => {
                assert!(part(contribution, "value").unwrap()["valueQuantity"]["value"].is_number());
                assert!(part(contribution, "source").unwrap()["valueReference"]["reference"].is_string());
            }
            "imputed" => assert!(part(contribution, "source").is_none()),
            other => panic!("{other}"),
        }
    }

    let issues: Vec<_> = resource["contained"][0]["issue"]
        .as_array()
        .unwrap()
        .iter()
        .map(|issue| issue["details"]["text"].as_str().unwrap())
        .collect();
    assert!(issues.iter().any(|text| text.contains("no ICU stay")), "{issues:?}");
    assert!(issues.iter().any(|text| text.contains("12 years old")), "{issues:?}");
    assert!(issues.iter().any(|text| text.contains("Observation/99")), "{issues:?}");
}

#[test]
fn a_plain_answer_has_no_issues_and_says_nothing_of_consent() {
    let prediction = predict(&patient(15.0, 14.0, 1.0));
    let plain = Context { id: None, age: Some(70.0), ..context(false, false) };
    let resource: Value =
        serde_json::from_str(&risk_assessment::risk_assessment(&model(), &prediction, &plain)).unwrap();
    for absent in ["id", "contained", "extension", "note"] {
        assert!(resource.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_if_moves_the_answer_and_is_no_basis() {
    let recorded = patient(15.0, 14.0, 1.0);
    let what_if = WhatIf { system: LOINC.into(), code: "2524-7".into(), value: 12.0, unit: Some("mmol/L".into()) };
    let supposed = model().predict(features(&recorded, &[what_if])).unwrap();
    let actual = predict(&recorded);
    assert!(supposed.probability > actual.probability);
    assert!(actual.sources().contains(&"Observation/7"));
    assert!(!supposed.sources().contains(&"Observation/7"));
}

#[test]
fn device_and_provenance_name_the_model_and_what_it_used() {
    let model = model();
    let device: Value = serde_json::from_str(&risk_assessment::device(&model)).unwrap();
    assert_eq!(device["resourceType"], "Device");
    assert_eq!(format!("Device/{}", device["id"].as_str().unwrap()), risk_assessment::device_reference(&model));
    assert_eq!(device["version"][0]["value"], "1.0.0");
    assert_eq!(device["identifier"][0]["value"], model.description.onnx.sha256.as_str());

    let prediction = predict(&patient(15.0, 14.0, 1.0));
    let context = ProvenanceContext {
        id: None,
        target: "RiskAssessment/r1".into(),
        recorded: 0,
        requester: Requester::Display("backend".into()),
    };
    let provenance: Value = serde_json::from_str(&risk_assessment::provenance(&model, &prediction, &context)).unwrap();
    assert_eq!(provenance["target"][0]["reference"], "RiskAssessment/r1");
    assert_eq!(provenance["recorded"], "1970-01-01T00:00:00Z");
    assert_eq!(provenance["agent"][0]["who"]["reference"], risk_assessment::device_reference(&model));
    assert_eq!(provenance["entity"].as_array().unwrap().len(), prediction.sources().len());
}

#[test]
fn codes_of_the_contract_are_inputs() {
    let model = model();
    let codes = model.description.codes();
    for code in [
        "8867-4", "8480-6", "8462-4", "8478-0", "9279-1", "2708-6", "59408-5", "8310-5", "9269-2", "2345-7", "3094-0",
        "2160-0", "2951-2", "2823-3", "1963-8", "4544-3", "6690-2", "777-3", "1975-2", "2524-7", "2744-1", "2019-8",
        "2703-7", "3150-6", "1751-7", "1742-6", "1920-8", "6768-6", "2601-3", "10839-9", "6598-7", "29463-7",
    ] {
        assert!(codes.contains(&(LOINC, code)), "{code}");
    }
}

/// Nothing where the R4 package is not in the cache directory.
fn assert_valid(name: &str, text: &str) {
    static R4: OnceLock<Option<Arc<Definitions>>> = OnceLock::new();
    let r4 = R4.get_or_init(|| {
        let cache = packages::default_cache_dir()?;
        let package = packages::R4_CORE.path(&cache);
        if !package.exists() {
            eprintln!("SKIPPED: {} is not in the package cache", packages::R4_CORE.file_name());
            return None;
        }
        Some(Definitions::load_or_compile(&cache, &[package]).unwrap())
    });
    let Some(r4) = r4 else { return };
    let issues = validate(&parse(text, &Limits::default()).unwrap(), r4);
    assert!(issues.is_empty(), "{name}: {issues:?}");
}

#[test]
fn what_is_built_is_valid_r4() {
    let model = model();
    let mut observations = patient(9.0, 60.0, 5.5);
    observations.push(observation(99, "8867-4", 3, 900.0, "/min"));
    let prediction = predict(&observations);
    for (outside, withheld) in [(false, false), (true, true)] {
        let context = context(outside, withheld);
        assert_valid("RiskAssessment", &risk_assessment::risk_assessment(&model, &prediction, &context));
    }
    assert_valid("Device", &risk_assessment::device(&model));
    let context = ProvenanceContext {
        id: Some("p1".into()),
        target: "RiskAssessment/r1".into(),
        recorded: 0,
        requester: Requester::Reference("Practitioner/a".into()),
    };
    assert_valid("Provenance", &risk_assessment::provenance(&model, &prediction, &context));
}

#[test]
fn the_definitions_beside_it_are_valid_r4() {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fhir-profiles");
    let mut files: Vec<PathBuf> = ["risk-contribution", "risk-baseline", "risk-issues", "inputs-may-be-withheld"]
        .map(|name| profiles.join(format!("StructureDefinition-{name}.json")))
        .into();
    files.push(operations().join("risk-score/OperationDefinition-risk-score.json"));
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert_valid(&file.file_name().unwrap().to_string_lossy(), &text);
    }
}
