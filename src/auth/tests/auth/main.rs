//! The authorization server against a real PostgreSQL, by its public functions.

#![allow(clippy::unwrap_used)]

mod access_tokens;
mod assertions;
mod changes;
mod clients;
mod cluster;
mod harness;
mod introspection;
mod revocation;
mod tokens;
