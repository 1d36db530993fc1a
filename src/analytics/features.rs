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
use std::collections::HashMap;

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
        let candidates = Candidates::collect(model, observations, window);
        for (at, input) in model.inputs.iter().enumerate() {
            let column = match input.source {
                Source::Observation => features.observed(input, &candidates, at),
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

    fn observed(&mut self, input: &Input, candidates: &Candidates<'_>, at: usize) -> Feature {
        let Some(unit) = Unit::parse(&input.unit) else {
            return Feature::default();
        };
        for found in [&candidates.of_codes[at], &candidates.of_alternatives[at]] {
            let mut readings = Vec::with_capacity(found.len());
            for (observation, code) in found {
                match convert(input, &unit, code, observation.value, observation.unit.as_deref()) {
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
        let ignored = Ignored { reference: reference.to_owned(), code: input.code().to_owned(), reason };
        if !self.ignored.contains(&ignored) {
            self.ignored.push(ignored);
        }
    }

    fn suppose(&mut self, model: &Description, supposed: &WhatIf) -> Result<()> {
        let refuse = |reason: String| Error::WhatIf { code: supposed.code.clone(), reason };
        let mut taken = false;
        for (input, column) in model.inputs.iter().zip(&mut self.columns) {
            let mut codes = input.codes.iter().chain(&input.alternatives);
            let Some(code) = codes.find(|code| {
                code.code == supposed.code && (supposed.system.is_empty() || supposed.system == code.system)
            }) else {
                continue;
            };
            let unit = Unit::parse(&input.unit).unwrap_or(Unit::ONE);
            let given = supposed.unit.as_deref().unwrap_or(&input.unit);
            let value = convert(input, &unit, code, supposed.value, Some(given))
                .map_err(|reason| refuse(reason.to_string()))?;
            *column = Feature { value: Some(value), sources: Vec::new() };
            taken = true;
        }
        if taken { Ok(()) } else { Err(refuse(format!("{} takes no such input", model.name))) }
    }

    /// The row for the runtime: NaN where a value is missing.
    pub fn row(&self) -> impl Iterator<Item = f32> {
        self.columns.iter().map(|column| column.value.map_or(f32::NAN, |value| value as f32))
    }
}

/// An Observation with the code of the input that takes it.
type Candidate<'o> = (&'o FeatureObservation, &'o InputCode);

/// The Observations inside the window that each input could take, found in one pass.
struct Candidates<'o> {
    of_codes: Vec<Vec<Candidate<'o>>>,
    of_alternatives: Vec<Vec<Candidate<'o>>>,
}

impl<'o> Candidates<'o> {
    fn collect(model: &'o Description, observations: &'o [FeatureObservation], window: &Window) -> Self {
        let mut takers: HashMap<&str, Vec<(usize, bool, &'o InputCode)>> = HashMap::new();
        for (at, input) in model.inputs.iter().enumerate() {
            if input.source != Source::Observation {
                continue;
            }
            let first = input.codes.iter().map(|code| (true, code));
            let then = input.alternatives.iter().map(|code| (false, code));
            for (preferred, code) in first.chain(then) {
                takers.entry(&code.code).or_default().push((at, preferred, code));
            }
        }
        let width = model.inputs.len();
        let mut candidates = Candidates { of_codes: vec![Vec::new(); width], of_alternatives: vec![Vec::new(); width] };
        for observation in observations.iter().filter(|o| window.holds(o.effective)) {
            for (system, code) in &observation.codes {
                for &(at, preferred, taken) in takers.get(code.as_str()).into_iter().flatten() {
                    if *system == taken.system {
                        candidates.add(at, preferred, observation, taken);
                    }
                }
            }
        }
        candidates
    }

    /// Adds an Observation to an input, once even where two of its codings are the input's.
    fn add(&mut self, at: usize, preferred: bool, observation: &'o FeatureObservation, code: &'o InputCode) {
        let list = if preferred { &mut self.of_codes[at] } else { &mut self.of_alternatives[at] };
        if list.last().is_none_or(|(last, _)| !std::ptr::eq(*last, observation)) {
            list.push((observation, code));
        }
    }
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
    if (low..=high).contains(&value) { Ok(value) } else { Err(Reason::Implausible(value)) }
}

/// One value of at least one reading. Ties in time are broken by reference, so that the answer does
/// not depend on the order in which Observations arrive.
fn aggregate(how: Aggregation, mut readings: Vec<Reading<'_>>) -> Feature {
    let by_time = |a: &Reading<'_>, b: &Reading<'_>| {
        a.effective.cmp(&b.effective).then_with(|| a.reference.cmp(b.reference)).then(a.value.total_cmp(&b.value))
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
        return Feature { value: Some(reading.value), sources: vec![reading.reference.to_owned()] };
    }
    if how == Aggregation::Median {
        readings.sort_by(|a, b| a.value.total_cmp(&b.value));
        let middle = readings.len() / 2;
        readings = readings[middle - usize::from(readings.len().is_multiple_of(2))..=middle].to_vec();
    }
    let sum: f64 = readings.iter().map(|reading| reading.value).sum();
    let value = if how == Aggregation::Median { sum / readings.len() as f64 } else { sum };
    let mut sources: Vec<String> = readings.iter().map(|reading| reading.reference.to_owned()).collect();
    sources.sort();
    sources.dedup();
    Feature { value: Some(value), sources }
}

fn subject_column(subject: &Subject, value: Option<f64>, input: &Input) -> Feature {
    let [low, high] = input.plausible;
    match value.filter(|value| (low..=high).contains(value)) {
        Some(value) => Feature { value: Some(value), sources: vec![subject.reference.clone()] },
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
mod tests;
