//! Who may see and do what: scopes, roles, compartments, Consent, and the access predicate.
//!
//! A request's way through this crate: `salus-auth` makes a [`Principal`] from a verified token;
//! [`authorize`] asks the Biscuit policy (`policy.datalog`) whether this principal may do this
//! [`Interaction`] on this resource type, and answers with an [`Access`] or a [`Refusal`]. An
//! [`Access`] is the only key to the store: it says, for each resource type, which rows the scopes
//! reach ([`RowFilter`]) and how Consent sees the caller ([`ConsentView`]). The store compiles it to
//! SQL. A Consent resource compiles on write to [`ConsentRule`]s ([`consent::compile`]), which the
//! same SQL tests.
//!
//! This crate never asks the database anything and never sees a socket. The two types to know are
//! [`Access`] and [`ConsentRule`].

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::print_stdout))]

mod access;
pub mod consent;
mod error;
mod interaction;
mod policy;
mod principal;
pub mod scope;
mod types;

pub use access::{Access, CodeSets, ConsentView, DefaultPolicy, Refusal, RowFilter, TypeSelector, authorize};
pub use consent::{ConsentRule, Effect};
pub use error::Error;
pub use interaction::{Interaction, OPERATIONS, Operation};
pub use policy::{Policy, Settings};
pub use principal::{Principal, User};
pub use scope::{Context, Permission, Permissions, Scope, Wildcard, narrow, parse_scopes};
