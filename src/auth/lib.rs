//! The SMART authorization server: clients, keys, tokens.
//!
//! This crate owns who may call Salus and how they prove it. Backend services authenticate with a
//! signed assertion (`private_key_jwt`: RFC 7523, SMART "client-confidential-asymmetric"), get a
//! short-lived access token (`at+jwt`: RFC 9068) bound to this FHIR base, and present it as a bearer
//! token, which [`AuthServer::authenticate`] turns into a [`salus_access::Principal`].
//!
//! It decides nothing about resources (that is `salus-access`), reads no clinical data, and knows no
//! HTTP framework: each endpoint is a function from form parameters to a JSON-serialisable answer, or
//! to an [`OAuthError`] that carries its status.
//!
//! | endpoint | function |
//! |---|---|
//! | `POST /auth/token` | [`AuthServer::token`] |
//! | `POST /auth/introspect` | [`AuthServer::introspect`] |
//! | `POST /auth/revoke` | [`AuthServer::revoke`] |
//! | `GET /auth/jwks` | [`AuthServer::jwks`] |
//! | `GET /fhir/.well-known/smart-configuration` | [`AuthServer::smart_configuration`] |
//!
//! Request structs are read with their `from_form`. Answers of the first three must be sent with `Cache-Control: no-store` (RFC 6749, section 5.1).
//!
//! The types to know are [`AuthServer`] and [`Client`]. State that matters is in PostgreSQL
//! (`migrations/V2__auth.sql`) and in the key directory; what is cached is dropped on other nodes by
//! `NOTIFY salus_auth` (see [`AuthServer::follow_changes`]).

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod assertion;
mod changes;
mod clients;
mod config;
mod credentials;
mod discovery;
mod error;
mod form;
mod grant_types;
mod introspection;
mod jws;
mod keys;
mod replay;
mod revocation;
mod server;
#[cfg(test)]
mod testing;
mod throttle;
mod tokens;

pub use assertion::{CLIENT_ASSERTION_TYPE, ClientAssertion};
pub use clients::{AuthMethod, Client, Clients, NewClient, parse_jwks};
pub use config::AuthConfig;
pub use credentials::{ClientKeyPair, sign_assertion};
pub use discovery::SmartConfiguration;
pub use error::{BearerError, Error, OAuthError, OAuthErrorCode, Result};
pub use grant_types::{TokenRequest, TokenResponse};
pub use introspection::{ActiveToken, IntrospectionRequest, IntrospectionResponse};
pub use jsonwebtoken::jwk::JwkSet;
pub use keys::{KeyInfo, ServerKeys};
pub use revocation::RevocationRequest;
pub use server::AuthServer;
