//! A loaded model: its description, and a graph that ran its examples.

use crate::description::Description;
use crate::error::{Error, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;
use tract_onnx::prelude::*;

/// Largest file of a model folder that is read.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// How far the runtime may be from a stored probability.
pub const PROBABILITY_TOLERANCE: f64 = 1e-6;
/// How far the runtime may be from a stored contribution, in log-odds.
pub const CONTRIBUTION_TOLERANCE: f64 = 5e-6;
/// How far baseline and contributions may be from the logit of the probability.
pub const ADDITIVITY_TOLERANCE: f64 = 1e-4;

/// A model that is ready to run: the file had its hash, the shapes fit, and the stored examples came
/// out.
pub struct Model {
    /// What `model.json` says.
    pub description: Description,
    plan: Arc<TypedSimplePlan>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Model({}|{})", self.description.name, self.description.version)
    }
}

/// What the graph said of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Probability of the outcome.
    pub probability: f64,
    /// A contribution an input, in log-odds.
    pub contributions: Vec<f64>,
    /// Log-odds before any input is looked at.
    pub baseline: f64,
}

impl Output {
    /// Baseline and contributions, added up: the log-odds of the outcome.
    pub fn logit(&self) -> f64 {
        self.baseline + self.contributions.iter().sum::<f64>()
    }
}

/// `examples.json`: rows with the outputs that the training's runtime gave.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Examples {
    /// What computed the outputs.
    #[allow(dead_code)]
    runtime: String,
    rows: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    inputs: Vec<Option<f32>>,
    probability: f64,
    contributions: Vec<f64>,
    baseline: f64,
}

impl Model {
    /// Loads a model folder: reads `model.json`, checks it, checks the graph's hash, compiles the
    /// graph, and runs `examples.json` through it.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Invalid`], [`Error::Runtime`], [`Error::Disagrees`]: the folder
    /// cannot be used.
    pub fn load(folder: &Path) -> Result<Model> {
        let label = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let invalid = |reason: String| Error::Invalid { model: label.clone(), reason };
        let description: Description = serde_json::from_slice(&read(&folder.join("model.json"))?)
            .map_err(|fault| invalid(format!("model.json: {fault}")))?;
        description.check()?;
        let graph = read(&folder.join(&description.onnx.file))?;
        let hash: String = Sha256::digest(&graph).iter().map(|byte| format!("{byte:02x}")).collect();
        if hash != description.onnx.sha256 {
            return Err(invalid(format!("{} has SHA-256 {hash}, not the stated one", description.onnx.file)));
        }
        let plan = compile(&description, &graph)?;
        let examples: Examples = serde_json::from_slice(&read(&folder.join("examples.json"))?)
            .map_err(|fault| invalid(format!("examples.json: {fault}")))?;
        let model = Model { description, plan };
        model.reproduce(&examples)?;
        Ok(model)
    }

    /// `name|version`.
    pub fn canonical(&self) -> String {
        format!("{}|{}", self.description.name, self.description.version)
    }

    /// Runs rows of [`Description::inputs`], NaN where a value is missing, in one batch.
    ///
    /// # Errors
    /// [`Error::Runtime`] where a row has another length, or the runtime fails.
    pub fn run(&self, rows: &[Vec<f32>]) -> Result<Vec<Output>> {
        let width = self.description.inputs.len();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        if rows.iter().any(|row| row.len() != width) {
            return Err(self.failed(format!("a row does not have {width} values")));
        }
        self.evaluate(rows, width).map_err(|fault| self.failed(fault))
    }

    fn evaluate(&self, rows: &[Vec<f32>], width: usize) -> std::result::Result<Vec<Output>, String> {
        let said = |fault: TractError| format!("{fault:#}");
        let values: Vec<f32> = rows.iter().flatten().copied().collect();
        let input = Tensor::from_shape(&[rows.len(), width], &values).map_err(said)?;
        let outputs = self.plan.run(tvec!(input.into())).map_err(said)?;
        let [probability, contributions, baseline] = outputs.as_slice() else {
            return Err("the graph does not have three outputs".into());
        };
        let probability = numbers(probability, rows.len())?;
        let contributions = numbers(contributions, rows.len() * width)?;
        let baseline = numbers(baseline, 1)?[0];
        let outputs: Vec<Output> = probability
            .iter()
            .zip(contributions.chunks(width))
            .map(|(&probability, contributions)| Output {
                probability,
                contributions: contributions.to_vec(),
                baseline,
            })
            .collect();
        match outputs.iter().find(|output| !output.adds_up()) {
            Some(output) => Err(format!(
                "contributions add up to {}, which is not the logit of {}",
                output.logit(),
                output.probability
            )),
            None => Ok(outputs),
        }
    }

    fn reproduce(&self, examples: &Examples) -> Result<()> {
        let invalid = |reason: &str| Error::Invalid { model: self.canonical(), reason: reason.into() };
        if examples.rows.is_empty() {
            return Err(invalid("examples.json has no rows"));
        }
        let rows: Vec<Vec<f32>> = examples
            .rows
            .iter()
            .map(|row| row.inputs.iter().map(|value| value.unwrap_or(f32::NAN)).collect())
            .collect();
        let batch = self.run(&rows)?;
        for (row, (example, output)) in examples.rows.iter().zip(&batch).enumerate() {
            if example.contributions.len() != output.contributions.len() {
                return Err(invalid("an example has another number of contributions"));
            }
            let differs = |what: &str, got: f64, expected: f64, tolerance: f64| {
                if (got - expected).abs() <= tolerance {
                    return Ok(());
                }
                Err(Error::Disagrees { model: self.canonical(), row, output: what.into(), got, expected })
            };
            differs("probability", output.probability, example.probability, PROBABILITY_TOLERANCE)?;
            differs("baseline", output.baseline, example.baseline, CONTRIBUTION_TOLERANCE)?;
            for (at, (got, expected)) in output.contributions.iter().zip(&example.contributions).enumerate() {
                differs(&self.description.inputs[at].name, *got, *expected, CONTRIBUTION_TOLERANCE)?;
            }
        }
        Ok(())
    }

    fn failed(&self, reason: String) -> Error {
        Error::Runtime { model: self.canonical(), reason }
    }
}

impl Output {
    /// Whether sum and probability agree; where the probability leaves single precision no room, the
    /// probabilities are compared instead.
    fn adds_up(&self) -> bool {
        let logit = self.logit();
        let implied = 1.0 / (1.0 + (-logit).exp());
        let p = self.probability;
        (0.0..=1.0).contains(&p) && ((p / (1.0 - p)).ln() - logit).abs() <= ADDITIVITY_TOLERANCE
            || (implied - p).abs() <= 1e-7
    }
}

fn compile(description: &Description, graph: &[u8]) -> Result<Arc<TypedSimplePlan>> {
    let build = || -> TractResult<Arc<TypedSimplePlan>> {
        let mut model = tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(graph))?;
        let names = &description.outputs;
        let outlets = [&names.probability, &names.contributions, &names.baseline]
            .into_iter()
            .map(|name| model.find_outlet_label(name).ok_or_else(|| TractError::msg(format!("no output \"{name}\""))))
            .collect::<TractResult<Vec<_>>>()?;
        model.select_output_outlets(&outlets)?;
        let rows = model.symbols.new_with_prefix("rows");
        let width = description.inputs.len();
        model.set_input_fact(0, f32::fact([rows.to_dim(), width.to_dim()]).into())?;
        model.into_optimized()?.into_runnable()
    };
    build().map_err(|fault| Error::Runtime {
        model: description.name.clone(),
        reason: format!("{}: {fault:#}", description.onnx.file),
    })
}

/// The numbers of an output, which must be as many as said.
fn numbers(value: &TValue, count: usize) -> std::result::Result<Vec<f64>, String> {
    let view = value.to_plain_array_view::<f32>().map_err(|fault| format!("{fault:#}"))?;
    if view.len() != count {
        return Err(format!("an output has {} numbers, not {count}", view.len()));
    }
    Ok(view.iter().map(|&number| f64::from(number)).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| Error::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > MAX_FILE {
        return Err(failed(std::io::Error::other(format!("{size} bytes are too many"))));
    }
    std::fs::read(path).map_err(failed)
}
