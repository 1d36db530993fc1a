//! What can go wrong, and what a caller is told about it.

use std::path::PathBuf;

/// Errors of this crate. Each variant says the HTTP status and the OperationOutcome issue code it
/// becomes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fewer measured inputs than the model states it needs: 422, `incomplete`.
    #[error("{model} needs at least {minimum} different measurements within its window and found {found}; missing: {}", missing.join(", "))]
    TooFewInputs {
        /// Name of the model.
        model: String,
        /// How many different measurements the model asks for.
        minimum: usize,
        /// How many were found.
        found: usize,
        /// What could still be measured, as `display (code)`, once for each measurement.
        missing: Vec<String>,
    },

    /// No model of this name (and version) is loaded: 404, `not-found`.
    #[error("no model \"{0}\" is loaded")]
    UnknownModel(String),

    /// A what-if input that no input of the model takes, or in a unit that cannot be converted:
    /// 400, `value`.
    #[error("input {code}: {reason}")]
    WhatIf {
        /// The code as given.
        code: String,
        /// Why it cannot be used.
        reason: String,
    },

    /// A date or time that is not a FHIR dateTime or instant: 400, `value`.
    #[error("\"{0}\" is not a FHIR dateTime")]
    DateTime(String),

    /// A file of a model folder cannot be read: the model is not loaded (500, `exception`, should
    /// it ever reach a request).
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// A model folder breaks the contract (schema, hash, names, shapes, units): the model is not
    /// loaded (500, `exception`).
    #[error("model {model}: {reason}")]
    Invalid {
        /// Name of the model, or of its folder where it has none yet.
        model: String,
        /// What is wrong.
        reason: String,
    },

    /// The runtime's answers differ from the stored examples: the model is not loaded (500,
    /// `exception`).
    #[error("model {model}: example {row} gave {output} {got}, and {expected} is stored")]
    Disagrees {
        /// Name of the model.
        model: String,
        /// Index of the example.
        row: usize,
        /// Which output.
        output: String,
        /// What the runtime computed.
        got: f64,
        /// What the example says.
        expected: f64,
    },

    /// The runtime refused a graph or a run: 500, `exception`.
    #[error("model {model}: {reason}")]
    Runtime {
        /// Name of the model.
        model: String,
        /// What the runtime said.
        reason: String,
    },
}

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
