//! The audit trail in PostgreSQL: rows of `audit_event`, appended in groups, their Merkle log, and
//! the searches a compliance officer makes.

mod append;
mod log;
mod rows;
mod search;
mod sequencer;
mod verify;

pub use append::AuditStatistics;
pub use log::AuditLog;
pub(crate) use rows::Rows as AuditRows;
pub use search::{AuditPage, AuditQuery, StoredEvent};
