//! Making access tokens.

use jsonwebtoken::Header;

use super::{NewClaims, TOKEN_TYPE};
use crate::keys::ACCESS_TOKEN_ALGORITHM;
use crate::{AuthConfig, Result, ServerKeys};

/// What a token is to say.
pub(crate) struct Grant<'a> {
    /// The client, which for a backend service is also the subject (RFC 9068, section 2.2).
    pub client_id: &'a str,
    /// The scope as granted.
    pub scope: &'a str,
    /// A bare ActReason code.
    pub purpose_of_use: &'a str,
}

/// A token that was made.
pub(crate) struct Issued {
    /// Compact form; a secret.
    pub token: String,
    /// Its `jti`.
    pub token_id: String,
    /// How many seconds it holds.
    pub lifetime: u64,
}

/// A signed token for `grant`.
pub(crate) fn issue(config: &AuthConfig, keys: &ServerKeys, grant: &Grant<'_>, now: i64) -> Result<Issued> {
    let key = keys.signing()?;
    let lifetime = config.access_token_lifetime.as_secs();
    let mut header = Header::new(ACCESS_TOKEN_ALGORITHM);
    header.typ = Some(TOKEN_TYPE.to_owned());
    header.kid = Some(key.kid.clone());
    let token_id = uuid::Uuid::new_v4().simple().to_string();
    let claims = NewClaims {
        iss: &config.issuer,
        sub: grant.client_id,
        aud: &config.fhir_base,
        client_id: grant.client_id,
        iat: now,
        exp: now.saturating_add_unsigned(lifetime),
        jti: &token_id,
        scope: grant.scope,
        purpose_of_use: grant.purpose_of_use,
    };
    let token = jsonwebtoken::encode(&header, &claims, &key.encoding)?;
    Ok(Issued { token, token_id, lifetime })
}
