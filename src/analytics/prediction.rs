//! A model's answer for a patient, with its reasons.

use crate::description::{Band, Description, Input, Source};
use crate::error::{Error, Result};
use crate::features::{Features, Ignored};
use crate::model::{Model, Output};

/// Whether an input was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputStatus {
    /// A value was recorded (or supposed).
    Observed,
    /// None was; the graph's policy for missing values held.
    Imputed,
}

impl InputStatus {
    /// The code in the `risk-contribution` extension.
    pub fn code(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Imputed => "imputed",
        }
    }
}

/// What one input did to the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct InputExplanation {
    /// Index in [`Description::inputs`].
    pub input: usize,
    /// The value used, in the input's unit: what was recorded, or the graph's stand-in; `None` where
    /// the graph has a contribution learned for a missing value.
    pub value: Option<f64>,
    /// Whether it was there.
    pub status: InputStatus,
    /// References of the resources it was taken from.
    pub sources: Vec<String>,
    /// What it adds to the log-odds.
    pub contribution: f64,
}

/// A model's answer for one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Probability of the outcome, 0 to 1.
    pub probability: f64,
    /// Its log-odds: baseline plus contributions.
    pub logit: f64,
    /// Log-odds before any input is looked at.
    pub baseline: f64,
    /// Index in [`Description::bands`].
    pub band: usize,
    /// An explanation an input, in the model's order.
    pub inputs: Vec<InputExplanation>,
    /// Values that could not be used.
    pub ignored: Vec<Ignored>,
}

impl Prediction {
    /// References of the Observations (and the Patient) that the answer rests on, each once.
    pub fn sources(&self) -> Vec<&str> {
        let mut seen = std::collections::HashSet::new();
        self.inputs
            .iter()
            .flat_map(|input| &input.sources)
            .map(String::as_str)
            .filter(|source| seen.insert(*source))
            .collect()
    }

    /// The band.
    pub fn band<'m>(&self, model: &'m Model) -> &'m Band {
        &model.description.bands[self.band]
    }
}

impl Model {
    /// Predicts for one patient.
    ///
    /// # Errors
    /// [`Error::TooFewInputs`] where fewer measurements are there than the model needs;
    /// [`Error::Runtime`] where the runtime fails.
    pub fn predict(&self, features: Features) -> Result<Prediction> {
        self.enough(&features)?;
        let row = features.row().collect();
        let output = self.run(&[row])?.pop();
        let output =
            output.ok_or_else(|| Error::Runtime { model: self.canonical(), reason: "no row came back".into() })?;
        Ok(self.explain(features, &output))
    }

    /// Predicts for many patients in one run; each has its own result, in the order given.
    ///
    /// # Errors
    /// [`Error::Runtime`] where the runtime fails for all of them.
    pub fn predict_batch(&self, patients: Vec<Features>) -> Result<Vec<Result<Prediction>>> {
        let refused: Vec<Option<Error>> = patients.iter().map(|features| self.enough(features).err()).collect();
        let rows: Vec<Vec<f32>> = patients
            .iter()
            .zip(&refused)
            .filter(|(_, refused)| refused.is_none())
            .map(|(features, _)| features.row().collect())
            .collect();
        let mut outputs = self.run(&rows)?.into_iter();
        let missing = || Error::Runtime { model: self.canonical(), reason: "a row did not come back".into() };
        Ok(patients
            .into_iter()
            .zip(refused)
            .map(|(features, refused)| match refused {
                Some(refused) => Err(refused),
                None => outputs.next().map(|output| self.explain(features, &output)).ok_or_else(missing),
            })
            .collect())
    }

    fn enough(&self, features: &Features) -> Result<()> {
        let description = &self.description;
        let (found, missing) = measurements(description, features);
        let minimum = description.minimum.measurements;
        if found >= minimum {
            return Ok(());
        }
        Err(Error::TooFewInputs { model: description.name.clone(), minimum, found, missing })
    }

    fn explain(&self, features: Features, output: &Output) -> Prediction {
        let description = &self.description;
        let inputs = features
            .columns
            .into_iter()
            .zip(&description.inputs)
            .zip(&output.contributions)
            .enumerate()
            .map(|(at, ((column, input), &contribution))| InputExplanation {
                input: at,
                status: if column.value.is_some() { InputStatus::Observed } else { InputStatus::Imputed },
                value: column.value.or(input.missing.value),
                sources: column.sources,
                contribution,
            })
            .collect();
        let last = description.bands.len().saturating_sub(1);
        let band = description
            .bands
            .iter()
            .position(|band| band.below.is_none_or(|below| output.probability < below))
            .unwrap_or(last);
        Prediction {
            probability: output.probability,
            logit: output.logit(),
            baseline: output.baseline,
            band,
            inputs,
            ignored: features.ignored,
        }
    }
}

/// How many different measurements are there, and which are not.
fn measurements(description: &Description, features: &Features) -> (usize, Vec<String>) {
    let mut known: Vec<(&Input, bool)> = Vec::new();
    for (input, column) in description.inputs.iter().zip(&features.columns) {
        if input.source != Source::Observation {
            continue;
        }
        match known.iter_mut().find(|(other, _)| other.code() == input.code()) {
            Some((_, there)) => *there |= column.value.is_some(),
            None => known.push((input, column.value.is_some())),
        }
    }
    let found = known.iter().filter(|(_, there)| *there).count();
    let missing = known
        .iter()
        .filter(|(_, there)| !there)
        .map(|(input, _)| format!("{} ({})", input.measurement(), input.code()))
        .collect();
    (found, missing)
}
