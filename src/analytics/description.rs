//! `model.json`: what a model takes, gives and is for.
//!
//! A model folder holds `model.onnx`, `model.json`, `examples.json`, `card.md` and `metrics.json`.
//! The graph takes one `float` matrix `[N, F]`, a column an input in the order of
//! [`Description::inputs`], NaN where a value is missing, and gives three outputs: `probability`
//! `[N, 1]`, `contributions` `[N, F]` in log-odds, and `baseline`, one number; baseline plus the
//! contributions of a row is the logit of its probability. A folder that obeys this needs no Rust.

use crate::error::{Error, Result};
use crate::units::Unit;
use serde::Deserialize;

/// The version of this format that Salus reads.
pub const SCHEMA: &str = "https://salus.example/fhir/model-folder/1";

/// `model.json`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// [`SCHEMA`].
    pub schema: String,
    /// Name, unique with `version`: `[a-z0-9-]{1,40}`.
    pub name: String,
    /// Semantic version of the model: `[0-9.]{1,20}`.
    pub version: String,
    /// Title for people.
    pub title: String,
    /// What it does, in a sentence or two.
    pub description: String,
    /// The operation it serves, without `$`.
    pub operation: String,
    /// Whether it answers where a request names no model.
    #[serde(default)]
    pub default: bool,
    /// The graph.
    pub onnx: Graph,
    /// How the result is reached, for `RiskAssessment.method`.
    pub method: Concept,
    /// What is predicted, for `prediction.outcome`.
    pub outcome: Concept,
    /// The time in which the outcome may happen, in words.
    pub horizon: String,
    /// Whom the model was made for.
    pub population: Population,
    /// How far the inputs reach.
    pub window: WindowRule,
    /// The columns of the input matrix, in order.
    pub inputs: Vec<Input>,
    /// How little is too little.
    pub minimum: Minimum,
    /// Names of the graph's outputs.
    #[serde(default)]
    pub outputs: Outputs,
    /// Bands of the probability, from low to high.
    pub bands: Vec<Band>,
    /// How the bands were chosen.
    pub bands_rationale: String,
    /// What to cite.
    pub citation: Vec<String>,
    /// Licence of the model.
    pub license: String,
}

/// The ONNX file of a model.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// File name inside the folder.
    pub file: String,
    /// SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
}

/// A CodeableConcept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concept {
    /// Codings; may be empty.
    #[serde(default)]
    pub coding: Vec<Coding>,
    /// The concept in words.
    pub text: String,
}

/// A Coding.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coding {
    /// The code system.
    pub system: String,
    /// The code.
    pub code: String,
    /// The code system's own wording.
    #[serde(default)]
    pub display: Option<String>,
}

/// Whom a model was made for.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// In words.
    pub text: String,
    /// Youngest age in years.
    #[serde(default)]
    pub minimum_age: Option<f64>,
}

/// How far the inputs of a model reach.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WindowRule {
    /// Where the window starts.
    pub anchor: Anchor,
    /// How long it is.
    pub hours: u32,
}

/// Where a window starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Anchor {
    /// At the start of the ICU stay that holds the moment asked about.
    IcuStay,
    /// `hours` before the moment asked about.
    AsOf,
}

/// One column of the input matrix.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Name, unique within the model.
    pub name: String,
    /// Label for people.
    pub display: String,
    /// Where the value comes from.
    pub source: Source,
    /// Codes whose values are taken; the first one names the input to the outside.
    pub codes: Vec<InputCode>,
    /// Codes that stand in where no value of `codes` is there.
    #[serde(default)]
    pub alternatives: Vec<InputCode>,
    /// UCUM unit of the column.
    pub unit: String,
    /// How several values become one.
    #[serde(default)]
    pub aggregation: Option<Aggregation>,
    /// Lowest and highest value that can be real; others are dropped and named.
    pub plausible: [f64; 2],
    /// What happens where there is no value.
    pub missing: Missing,
}

/// Where an input's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The patient's Observations.
    Observation,
    /// The patient's age in years at the end of the window.
    Age,
    /// The patient's gender: 1 male, 0 female, otherwise missing.
    SexMale,
}

/// A code of an input, with what a conversion of its unit needs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputCode {
    /// The code system.
    pub system: String,
    /// The code.
    pub code: String,
    /// Grams a mole, where values may come in mass or in substance units.
    #[serde(default)]
    pub molar_mass: Option<f64>,
    /// Charges a molecule, where values may come in equivalents.
    #[serde(default)]
    pub valence: Option<f64>,
}

/// How several values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aggregation {
    /// The earliest.
    First,
    /// The latest.
    Last,
    /// The smallest.
    Lowest,
    /// The largest.
    Highest,
    /// The median.
    Median,
    /// The sum.
    Sum,
}

impl Aggregation {
    /// The code as `model.json` writes it.
    pub fn code(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
            Self::Lowest => "lowest",
            Self::Highest => "highest",
            Self::Median => "median",
            Self::Sum => "sum",
        }
    }
}

/// What the graph does where an input is missing.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// The policy.
    pub policy: MissingPolicy,
    /// The stand-in, in the input's unit, for [`MissingPolicy::Value`].
    #[serde(default)]
    pub value: Option<f64>,
    /// The contribution of a missing value, in log-odds.
    pub contribution: f64,
}

/// Ways to treat a missing input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingPolicy {
    /// The graph holds a contribution learned for "not measured".
    Learned,
    /// The graph puts in `value`.
    Value,
}

/// How little is too little.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Minimum {
    /// How many different measurements (not counting age and sex, and counting all aggregations of
    /// one code once) must be observed.
    pub measurements: usize,
    /// Why this many.
    pub rationale: String,
}

/// Names of the graph's outputs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outputs {
    /// Probability, `[N, 1]`.
    pub probability: String,
    /// Contributions, `[N, F]`.
    pub contributions: String,
    /// Baseline, one number.
    pub baseline: String,
}

impl Default for Outputs {
    fn default() -> Self {
        Self { probability: "probability".into(), contributions: "contributions".into(), baseline: "baseline".into() }
    }
}

/// A band of the probability.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The coding, for `prediction.qualitativeRisk`.
    pub coding: Coding,
    /// The band ends below this probability; the last band has none.
    #[serde(default)]
    pub below: Option<f64>,
}

impl Input {
    /// The code that names the input to the outside.
    pub fn code(&self) -> &str {
        self.codes.first().map_or("", |code| &code.code)
    }

    /// Whether its unit is that of a plain number, so that a value without unit is understood.
    pub fn is_plain_number(&self) -> bool {
        matches!(self.unit.as_str(), "1" | "{score}" | "[pH]")
    }
}

impl Description {
    /// Every `(system, code)` that an input takes from Observations, each once: what to ask a store
    /// for.
    pub fn codes(&self) -> Vec<(&str, &str)> {
        let mut codes: Vec<_> = self
            .inputs
            .iter()
            .filter(|input| input.source == Source::Observation)
            .flat_map(|input| input.codes.iter().chain(&input.alternatives))
            .map(|code| (code.system.as_str(), code.code.as_str()))
            .collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    /// The band of a probability.
    pub fn band(&self, probability: f64) -> Option<&Band> {
        self.bands.iter().find(|band| band.below.is_none_or(|below| probability < below))
    }

    /// Checks what serde cannot: names, units, ranges, bands.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the first thing that is wrong.
    pub fn check(&self) -> Result<()> {
        let invalid = |reason: String| Err(Error::Invalid { model: self.name.clone(), reason });
        if self.schema != SCHEMA {
            return invalid(format!("schema is \"{}\", not \"{SCHEMA}\"", self.schema));
        }
        let name_fits = |text: &str, longest: usize, extra: char| {
            (1..=longest).contains(&text.len())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == extra)
        };
        if !name_fits(&self.name, 40, '-') || !name_fits(&self.version, 20, '.') {
            return invalid(format!("\"{}\" \"{}\" is no name and version", self.name, self.version));
        }
        if self.onnx.file.contains(['/', '\\']) || self.onnx.file.starts_with('.') {
            return invalid(format!("\"{}\" is no plain file name", self.onnx.file));
        }
        if self.inputs.is_empty() || self.window.hours == 0 {
            return invalid("no inputs, or an empty window".into());
        }
        let mut names = std::collections::HashSet::new();
        for input in &self.inputs {
            if !names.insert(&input.name) {
                return invalid(format!("two inputs are named {}", input.name));
            }
            if let Some(reason) = input.fault() {
                return invalid(format!("input {}: {reason}", input.name));
            }
        }
        let limits: Vec<f64> = self.bands.iter().map(|band| band.below.unwrap_or(f64::INFINITY)).collect();
        if limits.last() != Some(&f64::INFINITY) || !limits.is_sorted_by(|a, b| a < b) {
            return invalid("bands do not rise to an open last one".into());
        }
        Ok(())
    }
}

impl Input {
    fn fault(&self) -> Option<String> {
        let [low, high] = self.plausible;
        if self.codes.is_empty() {
            return Some("no code".into());
        }
        if Unit::parse(&self.unit).is_none() {
            return Some(format!("unit \"{}\" is not known", self.unit));
        }
        if low.is_nan() || high.is_nan() || low >= high {
            return Some("plausible range is empty".into());
        }
        if self.source == Source::Observation && self.aggregation.is_none() {
            return Some("no aggregation".into());
        }
        if (self.missing.policy == MissingPolicy::Value) != self.missing.value.is_some() {
            return Some("a missing policy of value needs one, and no other has one".into());
        }
        None
    }
}

impl Input {
    /// What is measured, without the aggregation: the label up to its last comma.
    pub fn measurement(&self) -> &str {
        match self.aggregation {
            Some(_) => self.display.rsplit_once(", ").map_or(&self.display, |(what, _)| what),
            None => &self.display,
        }
    }
}
