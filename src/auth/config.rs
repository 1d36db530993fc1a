//! What the authorization server must be told.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use salus_access::Wildcard;

/// Longest life of an access token that SMART Backend Services recommends.
const ACCESS_TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// Settings of an [`AuthServer`](crate::AuthServer).
#[derive(Debug, Clone)]
pub struct AuthConfig {
    /// The tenant whose clients and tokens these are.
    pub tenant: i32,
    /// The issuer (`iss`), without a trailing slash: `https://salus.example.org`.
    pub issuer: String,
    /// The FHIR base, the audience of access tokens: `https://salus.example.org/fhir`.
    pub fhir_base: String,
    /// Where the signing keys are: `<data-dir>/keys`.
    pub keys_dir: PathBuf,
    /// How long an access token holds. SMART recommends at most 300 s, the default.
    pub access_token_lifetime: Duration,
    /// What a scope on all types (`*`) stands for, in a request and in a registration.
    pub wildcard: Wildcard,
    /// The resource types there are. A scope on another grants nothing, and so is not granted.
    pub resource_types: BTreeSet<String>,
}

impl AuthConfig {
    /// The usual settings for a server reached at `origin` (scheme, host and port, perhaps a path;
    /// a trailing slash is dropped) with its keys under `data_dir` and these resource types; tenant 0.
    pub fn new<'t>(origin: &str, data_dir: &Path, resource_types: impl IntoIterator<Item = &'t str>) -> Self {
        let issuer = origin.trim_end_matches('/').to_owned();
        Self {
            tenant: 0,
            fhir_base: format!("{issuer}/fhir"),
            issuer,
            keys_dir: data_dir.join("keys"),
            access_token_lifetime: ACCESS_TOKEN_LIFETIME,
            wildcard: Wildcard::default(),
            resource_types: resource_types.into_iter().map(str::to_owned).collect(),
        }
    }

    /// URL of the token endpoint; what a client assertion must name as its audience.
    pub fn token_endpoint(&self) -> String {
        format!("{}/auth/token", self.issuer)
    }

    /// URL of the introspection endpoint.
    pub fn introspection_endpoint(&self) -> String {
        format!("{}/auth/introspect", self.issuer)
    }

    /// URL of the revocation endpoint.
    pub fn revocation_endpoint(&self) -> String {
        format!("{}/auth/revoke", self.issuer)
    }

    /// URL of the public keys.
    pub fn jwks_uri(&self) -> String {
        format!("{}/auth/jwks", self.issuer)
    }
}
