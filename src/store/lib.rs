//! FHIR resources in PostgreSQL.
//!
//! This crate owns every statement that touches a resource: versions, the search index, search
//! compiled to SQL, transactions, Consent rules, the audit rows and their Merkle log, and the private
//! PostgreSQL cluster. It knows nothing of HTTP.
//!
//! The type to know is [`Store`]. Every function of it that returns content or counts takes an
//! [`salus_access::Access`], whose predicate becomes part of the statement (`predicate`): what may
//! not be seen is never returned by the database, so totals, pages and includes agree.
//!
//! A resource is stored as its JSON text and a set of *facts* ([`facts`]): 128-bit keys of what can
//! be asked about it. See `docs/architecture.md`, "Rows".

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::print_stdout))]

pub mod audit;
pub mod cluster;
mod database;
mod definitions;
mod error;
pub mod facts;
mod gather;
mod history;
mod model_inputs;
mod pool;
mod predicate;
mod read;
pub mod reindex;
mod row;
pub mod search;
mod sql;
mod store;
pub mod write;

pub use database::{DatabaseConfig, DatabaseConfigError};
pub use error::{Error, Result};
pub use history::{HistoryPage, HistoryQuery};
pub use model_inputs::{Body, MOST_OBSERVATIONS, ModelInputs, ModelInputsQuery};
pub use read::Reads;
pub use row::Version;
pub use store::{Settings, Store};
pub use write::{Change, Precondition, Written};
