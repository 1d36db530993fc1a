//! FHIR R4 (4.0.1) as data.
//!
//! This crate knows what a resource *is*: lossless JSON ([`json`]), the definitions that packages
//! carry ([`definitions`]), which values a resource offers to search ([`search`]), dates and
//! decimals with their precision ([`datatypes`]), what an expression selects ([`fhirpath`]), whether a
//! resource has the structure its type demands ([`validation`]), and how a failure is told
//! ([`outcome`]).
//!
//! It never touches a database or a socket. The two types to know are [`json::Value`], a parsed
//! resource that writes back to what was sent, and [`Definitions`], everything the loaded packages
//! say, compiled.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod datatypes;
pub mod definitions;
pub mod fhirpath;
pub mod json;
pub mod outcome;
pub mod packages;
pub mod patch;
pub mod search;
pub mod subset;
pub mod units;
pub mod validation;
pub mod xml;

pub use definitions::Definitions;
pub use search::Key;

/// Canonical base of the artefacts that Salus itself defines: extensions, code systems, operations.
pub const CANONICAL_BASE: &str = "https://salus.example/fhir";
