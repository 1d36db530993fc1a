//! Clinical models as FHIR operations.
//!
//! This crate knows what a *model folder* is ([`Description`], `model.json` beside an ONNX file),
//! runs it in the process ([`Model`]), and explains what it said. It takes Observations a caller may
//! see and turns them into the model's inputs by code, unit and time ([`features`]), over the window
//! that the model was made for ([`window`]); predicts ([`prediction`]); and writes the answer as
//! FHIR ([`risk_assessment`]).
//!
//! It opens no database and no socket, decides nothing about who may see what, and stores nothing:
//! it is given facts, and gives back text. A model is usable only after its file matched its hash
//! and the runtime reproduced its stored examples, so a loaded [`Model`] is one that works here.
//!
//! The types to know are [`Models`], [`Features`] and [`Prediction`].
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod description;
mod error;
pub mod features;
pub mod model;
pub mod observation;
pub mod prediction;
pub mod registry;
mod resource;
pub mod risk_assessment;
pub mod time;
pub mod units;
pub mod window;

pub use description::Description;
pub use error::Error;
pub use features::{Features, Subject, WhatIf};
pub use model::Model;
pub use observation::FeatureObservation;
pub use prediction::Prediction;
pub use registry::Models;
pub use window::{Stay, Window};

/// The LOINC code system.
pub const LOINC: &str = "http://loinc.org";

/// The UCUM unit system.
pub const UCUM: &str = "http://unitsofmeasure.org";
