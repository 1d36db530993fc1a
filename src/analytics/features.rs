//! From what is recorded of a patient to the columns of a model.
//!
//! Each input takes the values of its codes inside the window, converts them to its unit, drops what
//! cannot be real, and aggregates. Nothing is guessed: what has no unit, an unknown one or one of
//! another kind is left out and named ([`Ignored`]). Where no value is left the column is missing,
//! and the graph's own policy holds.

use crate::description::{Aggregation, Description, Input, InputCode, Source};
use crate::error::{Error, Result};
use crate::observation::FeatureObservation;
use crate::time;
use crate::units::{Analyte, Unit};
use crate::window::Window;
use salus_fhir::json::Value;

/// What a model may use of the Patient itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Subject {
    /// `Patient/[id]`.
    pub reference: String,
    /// `birthDate`, of any precision.
    pub birth_date: Option<String>,
    /// `gender`.
    pub gender: Option<String>,
}

impl Subject {
    /// What a Patient resource says.
    pub fn from_patient(patient: &Value<'_>) -> Subject {
        Subject {
            reference: format!("Patient/{}", patient.get_str("id").unwrap_or_default()),
            birth_date: patient.get_str("birthDate").map(str::to_owned),
            gender: patient.get_str("gender").map(str::to_owned),
        }
    }
}

/// A value to suppose in place of what is recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct WhatIf {
    /// Code system; empty means any.
    pub system: String,
    /// Code of the input.
    pub code: String,
    /// The value.
    pub value: f64,
    /// Its UCUM code or printed unit; `None`: the input's own.
    pub unit: Option<String>,
}

/// One column: a value and where it comes from.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Feature {
    /// The value in the input's unit; `None` is missing.
    pub value: Option<f64>,
    /// References of the resources it was taken from; empty for what was supposed.
    pub sources: Vec<String>,
}

/// The inputs of one patient, and what was left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    /// A column each, in the order of the model's inputs.
    pub columns: Vec<Feature>,
    /// Values within the window that could not be used.
    pub ignored: Vec<Ignored>,
}

/// A value that could not be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Ignored {
    /// The Observation.
    pub reference: String,
    /// Code of the input that would have taken it.
    pub code: String,
    /// Why not.
    pub reason: Reason,
}

/// Why a value could not be used.
#[derive(Debug, Clone, PartialEq)]
pub enum Reason {
    /// It has no unit, and the input is no plain number.
    NoUnit,
    /// Its unit is none that is known, or measures something else than the input's.
    Unit(String),
    /// It lies outside what can be real; the value in the input's unit.
    Implausible(f64),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoUnit => write!(f, "has no unit"),
            Self::Unit(unit) => write!(f, "unit \"{unit}\" cannot be converted"),
            Self::Implausible(value) => write!(f, "implausible value {value}"),
        }
    }
}

/// A usable value of an input.
#[derive(Debug, Clone, Copy)]
struct Reading<'o> {
    effective: i64,
    value: f64,
    reference: &'o str,
}

impl Features {
    /// The columns of a model for one patient.
    ///
    /// Observations outside the window do not count and are not named. `what_if` replaces every
    /// input of its code, whatever the aggregation, and takes no part in `sources`.
    ///
    /// # Errors
    /// [`Error::WhatIf`] where a supposed value fits no input, its unit, or its plausible range.
    pub fn extract(
        model: &Description,
        observations: &[FeatureObservation],
        subject: &Subject,
        window: &Window,
        what_if: &[WhatIf],
    ) -> Result<Features> {
        let mut features = Features::default();
        for input in &model.inputs {
            let column = match input.source {
                Source::Observation => features.observed(input, observations, window),
                Source::Age => subject_column(subject, age(subject, window.end), input),
                Source::SexMale => subject_column(subject, male(subject), input),
            };
            features.columns.push(column);
        }
        for supposed in what_if {
            features.suppose(model, supposed)?;
        }
        Ok(features)
    }

    fn observed(
        &mut self,
        input: &Input,
        observations: &[FeatureObservation],
        window: &Window,
    ) -> Feature {
        let Some(unit) = Unit::parse(&input.unit) else {
            return Feature::default();
        };
        for codes in [&input.codes, &input.alternatives] {
            let mut readings = Vec::new();
            for observation in observations.iter().filter(|o| window.holds(o.effective)) {
                let Some(code) = codes.iter().find(|code| carries(observation, code)) else {
                    continue;
                };
                match convert(
                    input,
                    &unit,
                    code,
                    observation.value,
                    observation.unit.as_deref(),
                ) {
                    Ok(value) => readings.push(Reading {
                        effective: observation.effective,
                        value,
                        reference: &observation.reference,
                    }),
                    Err(reason) => self.ignore(input, &observation.reference, reason),
                }
            }
            if !readings.is_empty() {
                return aggregate(input.aggregation.unwrap_or(Aggregation::Last), readings);
            }
        }
        Feature::default()
    }

    fn ignore(&mut self, input: &Input, reference: &str, reason: Reason) {
        let ignored = Ignored {
            reference: reference.to_owned(),
            code: input.code().to_owned(),
            reason,
        };
        if !self.ignored.contains(&ignored) {
            self.ignored.push(ignored);
        }
    }

    fn suppose(&mut self, model: &Description, supposed: &WhatIf) -> Result<()> {
        let refuse = |reason: String| Error::WhatIf {
            code: supposed.code.clone(),
            reason,
        };
        let mut taken = false;
        for (input, column) in model.inputs.iter().zip(&mut self.columns) {
            let mut codes = input.codes.iter().chain(&input.alternatives);
            let Some(code) = codes.find(|code| {
                code.code == supposed.code
                    && (supposed.system.is_empty() || supposed.system == code.system)
            }) else {
                continue;
            };
            let unit = Unit::parse(&input.unit).unwrap_or(Unit::ONE);
            let given = supposed.unit.as_deref().unwrap_or(&input.unit);
            let value = convert(input, &unit, code, supposed.value, Some(given))
                .map_err(|reason| refuse(reason.to_string()))?;
            *column = Feature {
                value: Some(value),
                sources: Vec::new(),
            };
            taken = true;
        }
        if taken {
            Ok(())
        } else {
            Err(refuse(format!("{} takes no such input", model.name)))
        }
    }

    /// The row for the runtime: NaN where a value is missing.
    pub fn row(&self) -> impl Iterator<Item = f32> {
        self.columns
            .iter()
            .map(|column| column.value.map_or(f32::NAN, |value| value as f32))
    }
}

fn carries(observation: &FeatureObservation, code: &InputCode) -> bool {
    observation
        .codes
        .iter()
        .any(|(system, value)| *value == code.code && *system == code.system)
}

fn convert(
    input: &Input,
    unit: &Unit,
    code: &InputCode,
    value: f64,
    given: Option<&str>,
) -> std::result::Result<f64, Reason> {
    let value = match given {
        None if input.is_plain_number() => value,
        None => return Err(Reason::NoUnit),
        Some(given) if given == input.unit => value,
        Some(given) => Unit::parse(given)
            .and_then(|from| from.convert(value, unit, Analyte::from(code)))
            .ok_or_else(|| Reason::Unit(given.to_owned()))?,
    };
    let [low, high] = input.plausible;
    if (low..=high).contains(&value) {
        Ok(value)
    } else {
        Err(Reason::Implausible(value))
    }
}

/// One value of at least one reading. Ties in time are broken by reference, so that the answer does
/// not depend on the order in which Observations arrive.
fn aggregate(how: Aggregation, mut readings: Vec<Reading<'_>>) -> Feature {
    let by_time = |a: &Reading<'_>, b: &Reading<'_>| {
        a.effective
            .cmp(&b.effective)
            .then_with(|| a.reference.cmp(b.reference))
            .then(a.value.total_cmp(&b.value))
    };
    readings.sort_by(by_time);
    let by_value = |a: &&Reading<'_>, b: &&Reading<'_>| a.value.total_cmp(&b.value);
    let one = match how {
        Aggregation::First => readings.first(),
        Aggregation::Last => readings.last(),
        Aggregation::Lowest => readings.iter().min_by(by_value),
        Aggregation::Highest => readings.iter().max_by(by_value),
        Aggregation::Median | Aggregation::Sum => None,
    };
    if let Some(reading) = one {
        return Feature {
            value: Some(reading.value),
            sources: vec![reading.reference.to_owned()],
        };
    }
    if how == Aggregation::Median {
        readings.sort_by(|a, b| a.value.total_cmp(&b.value));
        let middle = readings.len() / 2;
        readings = readings[middle - usize::from(readings.len() % 2 == 0)..=middle].to_vec();
    }
    let sum: f64 = readings.iter().map(|reading| reading.value).sum();
    let value = if how == Aggregation::Median {
        sum / readings.len() as f64
    } else {
        sum
    };
    let mut sources: Vec<String> = readings
        .iter()
        .map(|reading| reading.reference.to_owned())
        .collect();
    sources.sort();
    sources.dedup();
    Feature {
        value: Some(value),
        sources,
    }
}

fn subject_column(subject: &Subject, value: Option<f64>, input: &Input) -> Feature {
    let [low, high] = input.plausible;
    match value.filter(|value| (low..=high).contains(value)) {
        Some(value) => Feature {
            value: Some(value),
            sources: vec![subject.reference.clone()],
        },
        None => Feature::default(),
    }
}

fn age(subject: &Subject, at: i64) -> Option<f64> {
    time::age_years(subject.birth_date.as_deref()?, at)
}

fn male(subject: &Subject) -> Option<f64> {
    match subject.gender.as_deref()? {
        "male" => Some(1.0),
        "female" => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
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
        let glucoses: Vec<String> = ["first", "last", "lowest", "highest", "median", "sum"]
            .map(glucose)
            .into();
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

    fn reading(
        id: u32,
        code: (&str, &str),
        hour: i64,
        value: f64,
        unit: &str,
    ) -> FeatureObservation {
        FeatureObservation {
            reference: format!("Observation/{id}"),
            codes: vec![(code.0.into(), code.1.into())],
            effective: hour * HOUR,
            value,
            unit: (!unit.is_empty()).then(|| unit.to_owned()),
        }
    }

    fn window() -> Window {
        Window {
            start: 0,
            end: 48 * HOUR,
            as_of: 48 * HOUR,
            encounter: None,
            outside_population: false,
        }
    }

    fn extract(observations: &[FeatureObservation], what_if: &[WhatIf]) -> Result<Features> {
        let subject = Subject {
            reference: "Patient/p".into(),
            birth_date: Some("1930-01-01".into()),
            gender: Some("male".into()),
        };
        Features::extract(&model(), observations, &subject, &window(), what_if)
    }

    fn column(features: &Features, name: &str) -> Feature {
        let at = model()
            .inputs
            .iter()
            .position(|input| input.name == name)
            .unwrap();
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
            assert!(
                (column.value.unwrap() - expected).abs() < 1e-9,
                "{name}: {column:?}"
            );
            let sources: Vec<String> = sources
                .iter()
                .map(|id| format!("Observation/{id}"))
                .collect();
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
        let reasons: Vec<_> = features
            .ignored
            .iter()
            .map(|i| (i.reference.as_str(), i.reason.clone()))
            .collect();
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
        let unknown = Subject {
            gender: Some("other".into()),
            ..Subject::default()
        };
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
        for refused in [
            supposed("8867-4", 80.0, "/min"),
            supposed("2345-7", 80.0, "kg"),
            supposed("2345-7", 1e6, "mg/dL"),
        ] {
            assert!(matches!(
                extract(&[], &[refused]),
                Err(Error::WhatIf { .. })
            ));
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
}
