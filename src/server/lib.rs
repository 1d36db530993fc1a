//! The Salus server: HTTP on top, the command line beside it, and nothing that a part below could own.
//!
//! A FHIR request takes the way that `docs/architecture.md` draws. [`http`] turns the bytes into a
//! [`request::FhirRequest`]; [`dispatch`] finds out what it asks ([`route`]), who asks, and whether
//! they may, and hands it to a file of [`interactions`] or [`operations`], each named as the
//! specification names it. What was disclosed or refused is accounted for ([`account`]) before the
//! answer is let go. The entries of a batch Bundle take the same way.

#![cfg_attr(test, allow(clippy::unwrap_used))]

/// The date of this version, which the CapabilityStatement bears; a release sets it together with the
/// version in `Cargo.toml` and the heading in `CHANGELOG.md`.
pub const RELEASED: &str = "2026-11-25";

pub mod account;
pub mod app;
pub mod body;
pub mod bundle;
pub mod cli;
pub mod conditional;
pub mod connections;
pub mod demo;
pub mod dispatch;
pub mod failure;
pub mod fallback;
pub mod front;
pub(crate) mod handling;
pub mod health;
pub mod http;
pub mod interactions;
pub mod intrusion_detection;
pub mod limits;
pub mod media;
pub mod metrics;
pub mod middleware;
pub mod oauth;
pub mod openapi;
pub mod operations;
pub mod own_resources;
pub mod pages;
pub mod presentation;
pub mod pretty;
pub mod projection;
pub mod request;
pub mod request_patients;
pub mod response;
pub mod route;
pub mod seal;
pub mod settings;
pub mod validation;

#[cfg(test)]
mod tests {
    #[test]
    fn a_released_version_has_the_date_of_its_changelog() {
        let changelog = include_str!("../../CHANGELOG.md");
        let heading = concat!("## ", env!("CARGO_PKG_VERSION"), " - ");
        if let Some(date) = changelog.lines().find_map(|line| line.strip_prefix(heading)) {
            assert_eq!(date, super::RELEASED);
        }
        assert!(super::RELEASED.parse::<jiff::civil::Date>().is_ok());
    }
}
