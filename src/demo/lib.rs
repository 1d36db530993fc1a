//! A seeded generator of a synthetic population for demonstrations and tests.
//!
//! [`Population::generate`] makes up patients and three years of their care: visits, emergencies,
//! stays in hospital and in intensive care, with diagnoses, drugs, notes, consents, and above all
//! measurements that behave like those of a body that falls ill and recovers (or does not), taken
//! when a hospital would take them, in the units a laboratory would send, with gaps and mistakes.
//! The same seed, size and date give the same bytes.
//!
//! What comes out are FHIR R4 (4.0.1) transaction Bundles as text. Every entry is a PUT to a fixed
//! id (`demo-patient-001`, `demo-002-observation-0017`), so loading twice changes nothing. This
//! crate touches neither a database nor a socket and knows no other part of Salus; the server
//! loads the Bundles through its own public API. Nobody in it is real.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod catalogue;
mod chart;
mod clinical;
mod clock;
mod consents;
mod datatypes;
mod demographics;
mod encounter;
mod faults;
mod hospital;
mod inpatient;
mod json;
mod laboratory;
mod measure;
mod notes;
mod observation;
mod outpatient;
mod person;
mod physiology;
mod plan;
mod population;
mod rng;
mod roles;
mod vitals;

pub use population::{DemoPatients, DemoStaff, DemoWards, Population};
