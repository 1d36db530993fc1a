//! Black-box tests: a running server, a real PostgreSQL, and clients that speak HTTP.
//!
//! Most tests share one server ([`Salus::shared`]) and keep out of each other's way by making their own
//! patients; those that stop, kill or flood one start their own ([`Salus::start`]). Data sets are taken
//! from `../shared/data` where it is there; a test that needs one says so and passes where it is not.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod conditional;
mod consent;
mod durability;
mod harness;
mod history;
mod lossless;
mod rest;
mod risk_score;
mod surfaces;
mod transaction;
mod wire;

pub(crate) use harness::{Answer, Client, Salus};
