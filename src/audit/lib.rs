//! AuditEvents by IHE BALP and the tamper-evident log they stand in.
//!
//! What is kept is not the FHIR resource but an [`AuditRecord`]: a compact line of JSON, cheap to
//! make on every request and small as a row. The FHIR AuditEvent, conforming to the Basic Audit Log
//! Patterns profile of its kind, is [rendered](render()) from the record when someone reads it.
//!
//! Each committed record becomes a leaf of an append-only [Merkle tree](merkle) (RFC 6962), whose
//! heads are [signed](SignedTreeHead). [`LogVerifier`] is fed the rows and heads of a log in order
//! and says whether nothing is missing, changed or reordered.
//!
//! This crate never touches a database or a socket, and never decides who may do what. The types to
//! know are [`AuditRecord`], [`merkle::CompactRange`] and [`LogVerifier`].

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod error;
pub mod head;
pub mod merkle;
pub mod record;
pub mod render;
pub mod verify;

pub use error::Error;
pub use head::{HeadKey, HeadPublicKey, SignedTreeHead};
pub use record::{Alert, AuditKind, AuditRecord, AuditUser, Entity, EntityKind, ModelVersion, Outcome};
pub use render::{Server, render};
pub use verify::{Fault, LogVerifier, Verified};
