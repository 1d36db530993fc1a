//! Signed tokens in compact form (RFC 7515), read strictly.
//!
//! The signature itself is checked by `jsonwebtoken` (on aws-lc). What surrounds it is read here,
//! because a refusal should say what is wrong, and because some of what that crate lets pass must not
//! (`crit`). The algorithm is never taken from the token: the caller says which one a key is used
//! with, and the header must name the same (RFC 8725, section 3.1).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// Longest token that is looked at. A token with an RSA-4096 signature and generous claims has 2 kB.
const MAX_LENGTH: usize = 8 * 1024;

/// How far the clocks of a client, or of another node, may be off (seconds).
pub(crate) const LEEWAY: i64 = 30;

/// A token that is not three base64url parts of JSON, JSON and signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The header members that decide anything. `jwk`, `x5c` and `x5u` are ignored on purpose: a token
/// does not choose the key that verifies it.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub alg: String,
    pub typ: Option<String>,
    pub kid: Option<String>,
    pub jku: Option<String>,
    pub crit: Option<serde_json::Value>,
}

impl Header {
    /// `typ` without the optional `application/`, in lower case (RFC 7515, section 4.1.9).
    pub fn media_type(&self) -> Option<String> {
        let typ = self.typ.as_deref()?.to_ascii_lowercase();
        Some(typ.strip_prefix("application/").map_or_else(|| typ.clone(), str::to_owned))
    }
}

/// A token taken apart; nothing in it is to be believed before [`Jws::verifies`].
pub(crate) struct Jws<'a> {
    pub header: Header,
    payload: Vec<u8>,
    signing_input: &'a [u8],
    signature: &'a str,
}

impl<'a> Jws<'a> {
    pub fn parse(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > MAX_LENGTH {
            return Err(Malformed);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Malformed)?;
        if payload.contains('.') {
            return Err(Malformed);
        }
        let header = BASE64_URL_SAFE_NO_PAD.decode(header).map_err(|_| Malformed)?;
        Ok(Self {
            header: serde_json::from_slice(&header).map_err(|_| Malformed)?,
            payload: BASE64_URL_SAFE_NO_PAD.decode(payload).map_err(|_| Malformed)?,
            signing_input: signing_input.as_bytes(),
            signature,
        })
    }

    /// The claims, not yet to be believed.
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.payload)
    }

    /// Whether `key`, used with `algorithm` and no other, made the signature.
    pub fn verifies(&self, key: &DecodingKey, algorithm: Algorithm) -> bool {
        jsonwebtoken::crypto::verify(self.signature, self.signing_input, key, algorithm).unwrap_or(false)
    }
}

/// `aud`: a string or an array of strings (RFC 7519, section 4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    /// Whether the token is for `audience` and nobody else. A token that several parties accept is one
    /// that any of them can replay to the others.
    pub fn is_exactly(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Many(many) => matches!(many.as_slice(), [one] if one == audience),
        }
    }
}

/// A NumericDate (RFC 7519, section 2): seconds since the epoch, where fractions are allowed and cut.
pub(crate) fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    number
        .as_i64()
        // `as` saturates, so a date beyond the range stays beyond every limit.
        .or_else(|| number.as_f64().map(|seconds| seconds.floor() as i64))
        .ok_or_else(|| serde::de::Error::custom("not a date"))
}

/// [`numeric_date`], where present.
pub(crate) fn optional_numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    numeric_date(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(header), BASE64_URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn refuses_what_is_not_compact_form() {
        let jwe = format!("{}.a.b", token(r#"{"alg":"ES256"}"#, "{}"));
        let long = token(r#"{"alg":"ES256"}"#, &" ".repeat(MAX_LENGTH));
        let twice = token(r#"{"alg":"ES256","alg":"none"}"#, "{}");
        for bad in ["", ".", "..", "a.b", "a.b.c", "e30.e30.", jwe.as_str(), long.as_str(), twice.as_str()] {
            assert_eq!(Jws::parse(bad).err(), Some(Malformed), "{bad}");
        }
    }

    #[test]
    fn media_types_compare_without_prefix_and_case() {
        let parsed = |typ: &str| {
            let token = token(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}");
            Jws::parse(&token).unwrap().header.media_type().unwrap()
        };
        assert_eq!(parsed("AT+JWT"), "at+jwt");
        assert_eq!(parsed("application/at+jwt"), "at+jwt");
    }

    #[test]
    fn dates_may_have_fractions_and_must_be_numbers() {
        #[derive(Deserialize)]
        struct Claims {
            #[serde(deserialize_with = "numeric_date")]
            exp: i64,
        }
        let date = |json: &str| serde_json::from_str::<Claims>(json).map(|claims| claims.exp);
        assert_eq!(date(r#"{"exp":1700000000.9}"#).unwrap(), 1_700_000_000);
        assert_eq!(date(r#"{"exp":1e300}"#).unwrap(), i64::MAX);
        assert!(date(r#"{"exp":"1700000000"}"#).is_err());
        assert!(date("{}").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,200}", dots in "[a-zA-Z0-9_.-]{0,200}") {
            let _ = Jws::parse(&text);
            let _ = Jws::parse(&dots);
        }
    }
}
