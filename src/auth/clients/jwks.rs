//! Which public keys a client may register (SMART "Registering a client (communicating public keys)").

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse};

use crate::{Error, Result};

/// The algorithm that assertions signed with `key` must use; `None` where the key is of a kind that
/// is not accepted. These two are what SMART asks servers to know; each further one would be one more
/// way to be wrong, and no client needs it.
pub(crate) fn algorithm_of(key: &Jwk) -> Option<Algorithm> {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS384),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => Some(Algorithm::ES384),
        _ => None,
    }
}

/// Members of a JWK that only its owner may know (RFC 7518, sections 6.2.2, 6.3.2 and 6.4.1).
const SECRET_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Reads the public keys of a client from JSON (RFC 7517), as an operator or a client hands them in.
///
/// # Errors
/// [`Error::Registration`] where it is no JWK Set, or holds a secret: whoever sends a private key here
/// should make a new one.
pub fn parse_jwks(json: &str) -> Result<JwkSet> {
    let refuse = |message: String| Error::Registration(message);
    let value: serde_json::Value =
        serde_json::from_str(json).map_err(|error| refuse(format!("the JWK Set is not JSON: {error}")))?;
    let keys = value.get("keys").and_then(|keys| keys.as_array());
    for (at, key) in keys.into_iter().flatten().enumerate() {
        if let Some(member) = SECRET_MEMBERS.into_iter().find(|member| key.get(member).is_some()) {
            return Err(refuse(format!(
                "jwks.keys[{at}] holds the secret member {member}; register the public key only, and make a new one, \
                 since this one has been shown"
            )));
        }
    }
    // Of the error only the kind is told, since its text may quote what was given.
    serde_json::from_value(value).map_err(|_| refuse("the JWK Set has no keys, or one that is not a JWK".to_owned()))
}

/// Refuses a set that holds a key which could never verify an assertion, or is too weak to.
pub(super) fn check(jwks: &JwkSet) -> Result<()> {
    if jwks.keys.is_empty() {
        return Err(Error::Registration("the JWK Set holds no key".to_owned()));
    }
    for (at, key) in jwks.keys.iter().enumerate() {
        check_key(key).map_err(|message| Error::Registration(format!("jwks.keys[{at}]: {message}")))?;
        let kid = &key.common.key_id;
        if jwks.keys[..at].iter().any(|other| other.common.key_id == *kid) {
            return Err(Error::Registration(format!("jwks.keys[{at}]: another key has the same kid")));
        }
    }
    Ok(())
}

fn check_key(key: &Jwk) -> std::result::Result<(), String> {
    if key.common.key_id.as_deref().unwrap_or_default().is_empty() {
        return Err("a kid is required".to_owned());
    }
    if matches!(&key.common.public_key_use, Some(other) if *other != PublicKeyUse::Signature) {
        return Err("use must be sig".to_owned());
    }
    if matches!(&key.common.key_operations, Some(operations) if !operations.contains(&KeyOperations::Verify)) {
        return Err("key_ops must include verify".to_owned());
    }
    let Some(algorithm) = algorithm_of(key) else {
        return Err("only RSA (for RS384) and EC P-384 (for ES384) keys can be used".to_owned());
    };
    if matches!(key.common.key_algorithm, Some(named) if named != KeyAlgorithm::from(algorithm)) {
        return Err(format!("alg must be {algorithm:?} for a key of this kind"));
    }
    check_size(&key.algorithm)
}

fn check_size(parameters: &AlgorithmParameters) -> std::result::Result<(), String> {
    let decode = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| "a part is not base64url".to_owned());
    match parameters {
        AlgorithmParameters::RSA(rsa) => {
            let modulus = decode(&rsa.n)?;
            // Whole bytes are near enough; the signature check itself refuses shorter ones too.
            let bits = modulus.iter().skip_while(|&&byte| byte == 0).count() * 8;
            if !(2048..=8192).contains(&bits) {
                return Err(format!("an RSA key must have 2048 to 8192 bits, this one has {bits}"));
            }
            match decode(&rsa.e)?.as_slice() {
                [] | [0..=2] => Err("the RSA exponent is too small".to_owned()),
                [.., last] if last % 2 == 0 => Err("the RSA exponent is even".to_owned()),
                _ => Ok(()),
            }
        }
        AlgorithmParameters::EllipticCurve(ec) => {
            if decode(&ec.x)?.len() == 48 && decode(&ec.y)?.len() == 48 {
                Ok(())
            } else {
                Err("x and y of a P-384 key have 48 bytes each".to_owned())
            }
        }
        _ => Err("not an asymmetric key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClientKeyPair;
    use serde_json::json;

    fn refusal(key: serde_json::Value) -> String {
        let jwks: JwkSet = serde_json::from_value(json!({"keys": [key]})).unwrap();
        check(&jwks).unwrap_err().to_string()
    }

    #[test]
    fn a_generated_key_is_accepted() {
        check(&ClientKeyPair::generate().unwrap().jwks).unwrap();
    }

    #[test]
    fn keys_that_cannot_or_must_not_verify_are_refused() {
        let coordinate = |bytes: usize| BASE64_URL_SAFE_NO_PAD.encode(vec![1; bytes]);
        let ec = |extra: serde_json::Value| {
            let mut key = json!({"kty": "EC", "kid": "1", "crv": "P-384", "x": coordinate(48), "y": coordinate(48)});
            key.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            key
        };
        assert!(refusal(json!({"kty": "oct", "kid": "1", "k": "c2VjcmV0"})).contains("only RSA"));
        assert!(refusal(ec(json!({"kid": ""}))).contains("kid"));
        assert!(refusal(ec(json!({"use": "enc"}))).contains("use must be sig"));
        assert!(refusal(ec(json!({"key_ops": ["encrypt"]}))).contains("key_ops"));
        assert!(refusal(ec(json!({"alg": "ES256"}))).contains("alg must be ES384"));
        assert!(refusal(ec(json!({"alg": "HS256"}))).contains("alg must be ES384"));
        assert!(refusal(ec(json!({"crv": "P-256"}))).contains("only RSA"));
        assert!(refusal(ec(json!({"x": coordinate(32)}))).contains("48 bytes"));
        assert!(refusal(json!({"kty": "RSA", "kid": "1", "n": coordinate(128), "e": "AQAB"})).contains("2048"));
        assert!(refusal(json!({"kty": "RSA", "kid": "1", "n": coordinate(256), "e": "AQ"})).contains("exponent"));
    }

    #[test]
    fn a_private_key_handed_in_is_refused() {
        let pair = ClientKeyPair::generate().unwrap();
        let mut json = serde_json::to_value(&pair.jwks).unwrap();
        assert_eq!(parse_jwks(&json.to_string()).unwrap(), pair.jwks);
        json["keys"][0]["d"] = json!("c2VjcmV0");
        let refusal = parse_jwks(&json.to_string()).unwrap_err().to_string();
        assert!(refusal.contains("secret member d") && !refusal.contains("c2VjcmV0"), "{refusal}");
        for bad in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[1]}"#] {
            assert!(matches!(parse_jwks(bad), Err(Error::Registration(_))), "{bad}");
        }
    }

    #[test]
    fn two_keys_may_not_share_a_kid() {
        let pair = ClientKeyPair::generate().unwrap();
        let jwks = JwkSet { keys: [pair.jwks.keys.clone(), pair.jwks.keys].concat() };
        assert!(check(&jwks).unwrap_err().to_string().contains("same kid"));
    }
}
