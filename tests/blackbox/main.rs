//! Black-box tests: a running server, a real PostgreSQL, and clients that speak HTTP.
//!
//! Most tests share one server ([`Salus::shared`]) and keep out of each other's way by making their own
//! patients; those that stop, kill or flood one start their own ([`Salus::start`]). Data sets are taken
//! from `../shared/data` where it is there; a test that needs one says so and passes where it is not.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod audit;
mod audit_search;
mod bad_input;
mod conditional;
mod consent;
mod docref;
mod durability;
mod everything;
mod formats;
mod graphql;
mod harness;
mod history;
mod lastn;
mod limits;
mod lossless;
mod meta;
mod packages;
mod paging;
mod patch;
mod reindex;
mod rest;
mod risk_score;
mod scopes;
mod search_composite;
mod search_context;
mod search_date;
mod search_filter;
mod search_number;
mod search_parameter;
mod search_reference;
mod search_result;
mod search_string;
mod search_terminology;
mod search_token;
mod smart;
mod stats;
mod subsets;
mod surfaces;
mod synthea;
mod transaction;
mod transport;
mod validate;
mod wire;

pub(crate) use harness::{Answer, Client, Salus};
