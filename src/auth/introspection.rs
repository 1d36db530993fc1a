//! What a token is worth, for those who hold one and cannot read it (RFC 7662; SMART App Launch 2.2,
//! "Token Introspection").

use crate::form::Form;
use crate::tokens::AccessTokenClaims;
use crate::{AuthConfig, ClientAssertion, OAuthError};

/// An introspection request.
#[derive(Debug, Clone)]
pub struct IntrospectionRequest {
    /// `token`: what is asked about.
    pub token: String,
    /// Who asks, where not by a bearer token of its own.
    pub assertion: ClientAssertion,
}

impl IntrospectionRequest {
    /// Reads the form. `token_type_hint` is not needed, and ignored.
    ///
    /// # Errors
    /// `invalid_request` where `token` is missing or a parameter is repeated.
    pub fn from_form(body: &[u8]) -> Result<Self, OAuthError> {
        let mut form = Form::parse(body)?;
        let token = form.take("token").ok_or_else(|| OAuthError::invalid_request("token is missing"))?;
        Ok(Self { token, assertion: form.take_assertion() })
    }
}

/// The answer. Of a token that is not active nothing else is said, not even why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct IntrospectionResponse {
    /// Whether the token would be accepted now.
    pub active: bool,
    /// The rest, of an active one.
    #[serde(flatten)]
    pub token: Option<ActiveToken>,
}

/// What an active token says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ActiveToken {
    /// As granted.
    pub scope: String,
    /// Whom it was issued to.
    pub client_id: String,
    /// Always `bearer`.
    pub token_type: &'static str,
    /// Expiry, seconds since 1970-01-01T00:00:00Z.
    pub exp: i64,
    /// Issue, likewise.
    pub iat: i64,
    /// Whom it speaks of; for a backend service the client itself.
    pub sub: String,
    /// The FHIR base it is for.
    pub aud: String,
    /// This server.
    pub iss: String,
    /// The token's id.
    pub jti: String,
    /// A bare ActReason code.
    pub purpose_of_use: String,
}

impl IntrospectionResponse {
    pub(crate) const INACTIVE: Self = Self { active: false, token: None };

    pub(crate) fn active(claims: AccessTokenClaims, config: &AuthConfig) -> Self {
        let token = ActiveToken {
            scope: claims.scope,
            client_id: claims.client_id,
            token_type: "bearer",
            exp: claims.exp,
            iat: claims.iat,
            sub: claims.sub,
            aud: config.fhir_base.clone(),
            iss: claims.iss,
            jti: claims.jti,
            purpose_of_use: claims.purpose_of_use,
        };
        Self { active: true, token: Some(token) }
    }
}
