//! The client's side of `private_key_jwt`: key pairs and assertions, for the demo clients, the
//! command line and tests.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use crate::{Error, Result};

/// How long an assertion holds; SMART allows 300 s.
const ASSERTION_LIFETIME: i64 = 120;

/// A client's key pair: the private half for the client, the public half to register.
#[derive(Clone)]
pub struct ClientKeyPair {
    /// PKCS#8 in PEM; a secret.
    pub private_key_pem: String,
    /// RFC 7638 thumbprint of the public key, its `kid`.
    pub kid: String,
    /// The public key as a JWK Set, as [`NewClient::jwks`](crate::NewClient::jwks) takes it.
    pub jwks: JwkSet,
}

impl std::fmt::Debug for ClientKeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientKeyPair").field("kid", &self.kid).finish_non_exhaustive()
    }
}

impl ClientKeyPair {
    /// A new ES384 key pair (P-384), one of the two algorithms that SMART requires servers to know.
    ///
    /// # Errors
    /// [`Error::Internal`] where the system gives no randomness.
    pub fn generate() -> Result<Self> {
        let private_key_pem = generate_ec_pem(Algorithm::ES384)?;
        let jwk = public_jwk(&EncodingKey::from_ec_pem(private_key_pem.as_bytes())?, Algorithm::ES384)?;
        let kid = jwk.common.key_id.clone().unwrap_or_default();
        Ok(Self { private_key_pem, kid, jwks: JwkSet { keys: vec![jwk] } })
    }
}

/// A new EC private key as PKCS#8 in PEM, on the curve of `algorithm` (ES256 or ES384).
pub(crate) fn generate_ec_pem(algorithm: Algorithm) -> Result<String> {
    let curve = match algorithm {
        Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
        Algorithm::ES384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        other => return Err(Error::Internal(format!("{other:?} is not an EC algorithm"))),
    };
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(curve, &aws_lc_rs::rand::SystemRandom::new())
        .map_err(|_| Error::Internal("key generation failed".to_owned()))?;
    Ok(to_pem(pkcs8.as_ref()))
}

/// The public half of `key` as a JWK for signatures, its `kid` the RFC 7638 thumbprint.
pub(crate) fn public_jwk(key: &EncodingKey, algorithm: Algorithm) -> Result<Jwk> {
    let mut jwk = Jwk::from_encoding_key(key, algorithm)?;
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    Ok(jwk)
}

fn to_pem(pkcs8: &[u8]) -> String {
    let encoded = BASE64_STANDARD.encode(pkcs8);
    let mut pem = String::with_capacity(encoded.len() + 64);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    // 64 characters a line (RFC 7468, section 2).
    for line in encoded.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|&byte| char::from(byte)));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}

/// An assertion with which `client_id` authenticates at `token_url` (SMART "Authenticating to the
/// Token endpoint"): good for two minutes, and once. The key may be EC P-384 (ES384) or RSA (RS384).
///
/// # Errors
/// [`Error::Internal`] where the key is not a PKCS#8 (or PKCS#1) PEM of one of the two.
pub fn sign_assertion(private_key_pem: &str, kid: &str, client_id: &str, token_url: &str) -> Result<String> {
    let pem = private_key_pem.as_bytes();
    let (algorithm, key) = match EncodingKey::from_ec_pem(pem) {
        Ok(key) => (Algorithm::ES384, key),
        Err(_) => (Algorithm::RS384, EncodingKey::from_rsa_pem(pem)?),
    };
    let mut header = Header::new(algorithm);
    header.kid = Some(kid.to_owned());
    let now = crate::server::unix_now();
    let claims = serde_json::json!({
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME,
        "jti": uuid::Uuid::new_v4().to_string(),
    });
    Ok(jsonwebtoken::encode(&header, &claims, &key)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonwebtoken::DecodingKey;

    #[test]
    fn a_generated_pair_signs_what_its_public_half_verifies() {
        let pair = ClientKeyPair::generate().unwrap();
        let assertion = sign_assertion(&pair.private_key_pem, &pair.kid, "client", "https://x/token").unwrap();
        let jws = crate::jws::Jws::parse(&assertion).unwrap();
        let key = DecodingKey::from_jwk(pair.jwks.find(&pair.kid).unwrap()).unwrap();
        assert!(jws.verifies(&key, Algorithm::ES384));
        assert_eq!(jws.header.kid.as_deref(), Some(pair.kid.as_str()));
    }

    #[test]
    fn what_is_registered_holds_no_private_part() {
        let pair = ClientKeyPair::generate().unwrap();
        let json = serde_json::to_value(&pair.jwks).unwrap();
        assert!(json["keys"][0].get("d").is_none());
        assert_eq!(json["keys"][0]["kid"], pair.kid);
        assert!(!format!("{pair:?}").contains("PRIVATE"));
    }
}
