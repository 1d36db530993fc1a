//! The grants of the token endpoint, a file each, named as the RFCs name them.

pub(crate) mod client_credentials;

use crate::form::Form;
use crate::{ClientAssertion, OAuthError};

/// A token request.
#[derive(Debug, Clone, Default)]
pub struct TokenRequest {
    /// `grant_type`.
    pub grant_type: Option<String>,
    /// `scope`.
    pub scope: Option<String>,
    /// `purpose_of_use`, our extension: a bare ActReason code.
    pub purpose_of_use: Option<String>,
    /// Who asks.
    pub assertion: ClientAssertion,
}

impl TokenRequest {
    /// Reads the form; parameters that are not known are ignored (RFC 6749, section 3.2).
    ///
    /// # Errors
    /// `invalid_request` where the form is too long or a parameter is repeated.
    pub fn from_form(body: &[u8]) -> Result<Self, OAuthError> {
        let mut form = Form::parse(body)?;
        Ok(Self {
            grant_type: form.take("grant_type"),
            scope: form.take("scope"),
            purpose_of_use: form.take("purpose_of_use"),
            assertion: form.take_assertion(),
        })
    }
}

/// The answer of the token endpoint (RFC 6749, section 5.1).
#[derive(Clone, PartialEq, Eq, serde::Serialize)]
pub struct TokenResponse {
    /// The token; a secret.
    pub access_token: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Seconds.
    pub expires_in: u64,
    /// What was granted, which may be less than was asked for.
    pub scope: String,
    /// The token's `jti`, for the audit; not part of the answer.
    #[serde(skip)]
    pub token_id: String,
}

impl std::fmt::Debug for TokenResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenResponse")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}
