use super::*;
use crate::time::HOUR;
use proptest::prelude::*;

const LOINC_GLUCOSE: (&str, &str) = ("http://loinc.org", "2345-7");

/// A model with one input for each aggregation of glucose, a saturation with an alternative
/// code, a score, age and sex.
fn model() -> Description {
    let glucose = |aggregation: &str| {
        format!(
            r#"{{"name":"glucose-{aggregation}","display":"Glucose, {aggregation}","source":"observation",
                 "codes":[{{"system":"http://loinc.org","code":"2345-7","molar_mass":180.156}},
                          {{"system":"http://loinc.org","code":"14749-6","molar_mass":180.156}}],
                 "unit":"mg/dL","aggregation":"{aggregation}","plausible":[10,1500],
                 "missing":{{"policy":"learned","contribution":0.0}}}}"#
        )
    };
    let glucoses: Vec<String> = ["first", "last", "lowest", "highest", "median", "sum"].map(glucose).into();
    let json = format!(
        r#"{{"schema":"https://salus.example/fhir/model-folder/1","name":"m","version":"1.0","title":"t",
            "description":"d","operation":"risk-score","onnx":{{"file":"model.onnx","sha256":""}},
            "method":{{"text":"m"}},"outcome":{{"text":"o"}},"horizon":"h",
            "population":{{"text":"p"}},"window":{{"anchor":"as-of","hours":48}},
            "inputs":[{},
              {{"name":"spo2","display":"Saturation, last","source":"observation",
                "codes":[{{"system":"http://loinc.org","code":"2708-6"}}],
                "alternatives":[{{"system":"http://loinc.org","code":"59408-5"}}],
                "unit":"%","aggregation":"last","plausible":[40,100],
                "missing":{{"policy":"value","value":97,"contribution":0.0}}}},
              {{"name":"gcs","display":"GCS, last","source":"observation",
                "codes":[{{"system":"http://loinc.org","code":"9269-2"}}],
                "unit":"{{score}}","aggregation":"last","plausible":[3,15],
                "missing":{{"policy":"learned","contribution":0.0}}}},
              {{"name":"age","display":"Age","source":"age","codes":[{{"system":"http://loinc.org","code":"30525-0"}}],
                "unit":"a","plausible":[0,130],"missing":{{"policy":"learned","contribution":0.0}}}},
              {{"name":"male","display":"Male","source":"sex-male","codes":[{{"system":"http://loinc.org","code":"46098-0"}}],
                "unit":"1","plausible":[0,1],"missing":{{"policy":"learned","contribution":0.0}}}}],
            "minimum":{{"measurements":1,"rationale":"r"}},
            "bands":[{{"coding":{{"system":"s","code":"low"}},"below":0.5}},{{"coding":{{"system":"s","code":"high"}}}}],
            "bands_rationale":"r","citation":[],"license":"l"}}"#,
        glucoses.join(",")
    );
    let model: Description = serde_json::from_str(&json).unwrap();
    model.check().unwrap();
    model
}

fn reading(id: u32, code: (&str, &str), hour: i64, value: f64, unit: &str) -> FeatureObservation {
    FeatureObservation {
        reference: format!("Observation/{id}"),
        codes: vec![(code.0.into(), code.1.into())],
        effective: hour * HOUR,
        value,
        unit: (!unit.is_empty()).then(|| unit.to_owned()),
    }
}

fn window() -> Window {
    Window { start: 0, end: 48 * HOUR, as_of: 48 * HOUR, encounter: None, outside_population: false }
}

fn extract(observations: &[FeatureObservation], what_if: &[WhatIf]) -> Result<Features> {
    let subject =
        Subject { reference: "Patient/p".into(), birth_date: Some("1930-01-01".into()), gender: Some("male".into()) };
    Features::extract(&model(), observations, &subject, &window(), what_if)
}

fn column(features: &Features, name: &str) -> Feature {
    let at = model().inputs.iter().position(|input| input.name == name).unwrap();
    features.columns[at].clone()
}

fn value(features: &Features, name: &str) -> Option<f64> {
    column(features, name).value
}

#[test]
fn each_aggregation_names_what_it_used() {
    let features = extract(
        &[
            reading(3, LOINC_GLUCOSE, 20, 90.0, "mg/dL"),
            reading(1, LOINC_GLUCOSE, 1, 100.0, "mg/dL"),
            reading(2, ("http://loinc.org", "14749-6"), 10, 10.0, "mmol/L"),
            reading(4, LOINC_GLUCOSE, 40, 120.0, "mg/dL"),
        ],
        &[],
    )
    .unwrap();
    for (name, expected, sources) in [
        ("glucose-first", 100.0, vec![1]),
        ("glucose-last", 120.0, vec![4]),
        ("glucose-lowest", 90.0, vec![3]),
        ("glucose-highest", 180.156, vec![2]),
        ("glucose-median", 110.0, vec![1, 4]),
        ("glucose-sum", 490.156, vec![1, 2, 3, 4]),
    ] {
        let column = column(&features, name);
        assert!((column.value.unwrap() - expected).abs() < 1e-9, "{name}: {column:?}");
        let sources: Vec<String> = sources.iter().map(|id| format!("Observation/{id}")).collect();
        assert_eq!(column.sources, sources, "{name}");
    }
    assert!(features.ignored.is_empty());
}

#[test]
fn values_outside_the_window_do_not_count() {
    let features = extract(
        &[
            reading(1, LOINC_GLUCOSE, -1, 50.0, "mg/dL"),
            reading(2, LOINC_GLUCOSE, 0, 100.0, "mg/dL"),
            reading(3, LOINC_GLUCOSE, 48, 110.0, "mg/dL"),
            reading(4, LOINC_GLUCOSE, 49, 400.0, "mg/dL"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(value(&features, "glucose-first"), Some(100.0));
    assert_eq!(value(&features, "glucose-last"), Some(110.0));
    assert_eq!(value(&features, "glucose-highest"), Some(110.0));
    assert!(features.ignored.is_empty());
}

#[test]
fn what_cannot_be_used_is_named_once_and_dropped() {
    let features = extract(
        &[
            reading(1, LOINC_GLUCOSE, 1, 5000.0, "mg/dL"),
            reading(2, LOINC_GLUCOSE, 2, 100.0, ""),
            reading(3, LOINC_GLUCOSE, 3, 100.0, "kg"),
            reading(4, LOINC_GLUCOSE, 4, 5.0, "mg/dL"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(value(&features, "glucose-last"), None);
    let reasons: Vec<_> = features.ignored.iter().map(|i| (i.reference.as_str(), i.reason.clone())).collect();
    assert_eq!(
        reasons,
        [
            ("Observation/1", Reason::Implausible(5000.0)),
            ("Observation/2", Reason::NoUnit),
            ("Observation/3", Reason::Unit("kg".into())),
            ("Observation/4", Reason::Implausible(5.0)),
        ]
    );
}

#[test]
fn an_alternative_code_stands_in_only_where_the_first_has_no_value() {
    let pulse = reading(1, ("http://loinc.org", "59408-5"), 10, 91.0, "%");
    let arterial = reading(2, ("http://loinc.org", "2708-6"), 5, 97.0, "%");
    let only_pulse = extract(std::slice::from_ref(&pulse), &[]).unwrap();
    assert_eq!(value(&only_pulse, "spo2"), Some(91.0));
    let both = extract(&[pulse, arterial], &[]).unwrap();
    assert_eq!(value(&both, "spo2"), Some(97.0));
}

#[test]
fn a_score_needs_no_unit_and_a_code_of_another_system_is_another_code() {
    let features = extract(
        &[
            reading(1, ("http://loinc.org", "9269-2"), 1, 14.0, ""),
            reading(2, ("http://example.org", "9269-2"), 2, 3.0, ""),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(value(&features, "gcs"), Some(14.0));
}

#[test]
fn age_and_sex_come_from_the_patient() {
    let features = extract(&[], &[]).unwrap();
    assert_eq!(value(&features, "age"), Some(40.0));
    assert_eq!(value(&features, "male"), Some(1.0));
    assert_eq!(column(&features, "age").sources, ["Patient/p"]);
    let unknown = Subject { gender: Some("other".into()), ..Subject::default() };
    let features = Features::extract(&model(), &[], &unknown, &window(), &[]).unwrap();
    assert_eq!(value(&features, "age"), None);
    assert_eq!(value(&features, "male"), None);
}

#[test]
fn a_supposed_value_replaces_every_aggregation_of_its_code() {
    let supposed = |code: &str, value: f64, unit: &str| WhatIf {
        system: "http://loinc.org".into(),
        code: code.into(),
        value,
        unit: Some(unit.into()),
    };
    let recorded = [reading(1, LOINC_GLUCOSE, 1, 100.0, "mg/dL")];
    let features = extract(&recorded, &[supposed("2345-7", 20.0, "mmol/L")]).unwrap();
    for name in ["glucose-first", "glucose-highest"] {
        assert!((value(&features, name).unwrap() - 360.312).abs() < 1e-9);
        assert!(column(&features, name).sources.is_empty());
    }
    for refused in [supposed("8867-4", 80.0, "/min"), supposed("2345-7", 80.0, "kg"), supposed("2345-7", 1e6, "mg/dL")]
    {
        assert!(matches!(extract(&[], &[refused]), Err(Error::WhatIf { .. })));
    }
}

proptest! {
    #[test]
    fn the_order_of_observations_does_not_matter(
        values in proptest::collection::vec((0i64..48, 20.0f64..400.0), 1..12),
        shift in 0usize..12,
    ) {
        let mut observations: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(id, &(hour, value))| reading(id as u32, LOINC_GLUCOSE, hour, value.round(), "mg/dL"))
            .collect();
        let one = extract(&observations, &[]).unwrap();
        let count = observations.len();
        observations.rotate_left(shift % count);
        let mut other = extract(&observations, &[]).unwrap();
        observations.reverse();
        prop_assert_eq!(&one, &other);
        other = extract(&observations, &[]).unwrap();
        prop_assert_eq!(&one, &other);
    }
}
