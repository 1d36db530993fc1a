//! Access tokens: JWTs of type `at+jwt` (RFC 9068), signed with ES256, bound to this FHIR base.

mod cache;
mod issue;
mod verify;

pub(crate) use cache::TokenCache;
pub(crate) use issue::{Grant, Issued, issue};
pub(crate) use verify::verify;

use serde::{Deserialize, Serialize};

use crate::jws::{Audience, numeric_date, optional_numeric_date};

/// `typ` of an access token, without `application/` (RFC 9068, section 2.1).
const TOKEN_TYPE: &str = "at+jwt";

/// The claims of an access token, as they are read.
#[derive(Debug, Deserialize)]
pub(crate) struct AccessTokenClaims {
    pub iss: String,
    pub sub: String,
    pub aud: Audience,
    pub client_id: String,
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    #[serde(default, deserialize_with = "optional_numeric_date")]
    pub nbf: Option<i64>,
    pub jti: String,
    pub scope: String,
    pub purpose_of_use: String,
}

/// The same, as they are written.
#[derive(Debug, Serialize)]
struct NewClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    client_id: &'a str,
    iat: i64,
    exp: i64,
    jti: &'a str,
    scope: &'a str,
    purpose_of_use: &'a str,
}
