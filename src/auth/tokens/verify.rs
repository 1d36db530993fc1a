//! Reading access tokens (RFC 9068, section 4).

use super::{AccessTokenClaims, TOKEN_TYPE};
use crate::jws::{Jws, LEEWAY};
use crate::keys::ACCESS_TOKEN_ALGORITHM;
use crate::{AuthConfig, BearerError, ServerKeys};

/// The claims of a token of this server that holds at `now` (seconds since the epoch). Says nothing
/// about revocation or the client.
///
/// `exp` has no leeway: it was set by our own clock. `iat` and `nbf` have some, since another node's
/// clock may be ahead.
pub(crate) fn verify(
    config: &AuthConfig,
    keys: &ServerKeys,
    token: &str,
    now: i64,
) -> Result<AccessTokenClaims, BearerError> {
    let jws = Jws::parse(token).map_err(|_| BearerError::Malformed)?;
    if jws.header.media_type().as_deref() != Some(TOKEN_TYPE) {
        return Err(BearerError::WrongType);
    }
    // Pinned: the header may only agree (RFC 8725, section 3.1).
    if jws.header.alg != format!("{ACCESS_TOKEN_ALGORITHM:?}") {
        return Err(BearerError::WrongAlgorithm);
    }
    if jws.header.crit.is_some() {
        return Err(BearerError::Malformed);
    }
    let kid = jws.header.kid.as_deref().ok_or(BearerError::UnknownKey)?;
    let key = keys.find(kid).ok_or(BearerError::UnknownKey)?;
    if !jws.verifies(&key.decoding, ACCESS_TOKEN_ALGORITHM) {
        return Err(BearerError::BadSignature);
    }
    let claims: AccessTokenClaims = jws.claims().map_err(|_| BearerError::Malformed)?;
    if claims.iss != config.issuer {
        return Err(BearerError::WrongIssuer);
    }
    if !claims.aud.is_exactly(&config.fhir_base) {
        return Err(BearerError::WrongAudience);
    }
    if claims.exp <= now {
        return Err(BearerError::Expired);
    }
    if claims.iat > now + LEEWAY || claims.nbf.is_some_and(|nbf| nbf > now + LEEWAY) {
        return Err(BearerError::NotYetValid);
    }
    Ok(claims)
}
