//! What this server can do, for clients to find out (SMART App Launch 2.2, "Conformance": the
//! `.well-known/smart-configuration` document).

use crate::AuthConfig;
use crate::assertion::ASSERTION_ALGORITHMS;

/// The document. It lists what works, and nothing that does not yet.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SmartConfiguration {
    /// `iss` of the tokens.
    pub issuer: String,
    /// The keys that they verify with.
    pub jwks_uri: String,
    /// Where they are had.
    pub token_endpoint: String,
    /// How a client authenticates there.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// What an assertion may be signed with.
    pub token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// Grants at the token endpoint.
    pub grant_types_supported: Vec<&'static str>,
    /// Scopes a client may ask for; other resource types and permissions go likewise.
    pub scopes_supported: Vec<&'static str>,
    /// Where a token can be asked about.
    pub introspection_endpoint: String,
    /// Where a token can be taken back.
    pub revocation_endpoint: String,
    /// Required by SMART even where no grant uses it yet; `plain` must never be in it.
    pub code_challenge_methods_supported: Vec<&'static str>,
    /// SMART capabilities.
    pub capabilities: Vec<&'static str>,
}

impl SmartConfiguration {
    pub(crate) fn of(config: &AuthConfig) -> Self {
        Self {
            issuer: config.issuer.clone(),
            jwks_uri: config.jwks_uri(),
            token_endpoint: config.token_endpoint(),
            token_endpoint_auth_methods_supported: vec!["private_key_jwt"],
            token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS.to_vec(),
            grant_types_supported: vec!["client_credentials"],
            scopes_supported: vec!["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/*.*"],
            introspection_endpoint: config.introspection_endpoint(),
            revocation_endpoint: config.revocation_endpoint(),
            code_challenge_methods_supported: vec!["S256"],
            capabilities: vec!["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_what_smart_requires_of_a_backend_services_server() {
        let config = AuthConfig::new("https://salus.test/", std::path::Path::new("/nowhere"), []);
        let document = serde_json::to_value(SmartConfiguration::of(&config)).unwrap();
        assert_eq!(
            document,
            serde_json::json!({
                "issuer": "https://salus.test",
                "jwks_uri": "https://salus.test/auth/jwks",
                "token_endpoint": "https://salus.test/auth/token",
                "token_endpoint_auth_methods_supported": ["private_key_jwt"],
                "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
                "grant_types_supported": ["client_credentials"],
                "scopes_supported": ["system/*.cruds", "system/*.rs", "system/*.read", "system/*.write", "system/*.*"],
                "introspection_endpoint": "https://salus.test/auth/introspect",
                "revocation_endpoint": "https://salus.test/auth/revoke",
                "code_challenge_methods_supported": ["S256"],
                "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"]
            })
        );
    }
}
