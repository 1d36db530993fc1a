//! Client authentication by a signed assertion: `private_key_jwt` (RFC 7521, RFC 7523; SMART App
//! Launch 2.2, "Client Authentication: Asymmetric").
//!
//! What the assertion itself says is checked first, with a message for each mistake that tells a
//! developer what to change. Only then is the client looked up, and from there one message covers
//! everything that depends on the registration (unknown, disabled, no such key, bad signature), so
//! that answers do not tell which clients exist.
//!
//! Clocks may differ by [`LEEWAY`] seconds. `exp` may be at most 300 s (and the leeway) ahead.

use deadpool_postgres::Pool;
use jsonwebtoken::DecodingKey;
use serde::Deserialize;

use crate::clients::{self, Client, Clients, jwks::algorithm_of};
use crate::jws::{Audience, Header, Jws, LEEWAY, numeric_date, optional_numeric_date};
use crate::{Error, OAuthError, replay};

/// The only `client_assertion_type` there is (RFC 7523, section 2.2).
pub const CLIENT_ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// How far ahead `exp` may be, seconds (SMART: "no more than five minutes in the future").
const MAX_LIFETIME: i64 = 300;

/// Algorithms an assertion may be signed with. See [`algorithm_of`] for why no others.
pub(crate) const ASSERTION_ALGORITHMS: [&str; 2] = ["RS384", "ES384"];

/// One text for whatever depends on the registration.
const NOT_AUTHENTICATED: &str = "the client could not be authenticated: it is not registered or is disabled, the kid \
                                 is not of one of its registered keys, a jku header is not its registered jwks_uri, or \
                                 the signature does not verify with that key";

/// The form parameters by which a client authenticates.
#[derive(Debug, Clone, Default)]
pub struct ClientAssertion {
    /// `client_id`: optional; where given, it must be the assertion's subject (RFC 7521, section 4.2).
    pub client_id: Option<String>,
    /// `client_assertion_type`: [`CLIENT_ASSERTION_TYPE`].
    pub client_assertion_type: Option<String>,
    /// `client_assertion`: the signed JWT.
    pub client_assertion: Option<String>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    #[serde(deserialize_with = "numeric_date")]
    exp: i64,
    jti: String,
    #[serde(default, deserialize_with = "optional_numeric_date")]
    nbf: Option<i64>,
    #[serde(default, deserialize_with = "optional_numeric_date")]
    iat: Option<i64>,
}

impl ClientAssertion {
    /// Whom the request says it is from. Not to be believed: it is whose failures are counted, and what
    /// the audit of a refusal may name as claimed.
    pub fn claimed_client(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Subject {
            sub: String,
        }
        let claimed = self.client_id.clone().or_else(|| {
            let jws = Jws::parse(self.client_assertion.as_deref()?).ok()?;
            jws.claims::<Subject>().ok().map(|claims| claims.sub)
        });
        claimed.filter(|id| clients::is_client_id(id))
    }

    /// The assertion itself, where the form has what it must.
    fn jwt(&self) -> Result<&str, OAuthError> {
        match (self.client_assertion_type.as_deref(), self.client_assertion.as_deref()) {
            (None, None) => Err(OAuthError::invalid_client(
                "the client must authenticate by private_key_jwt: send client_assertion_type and client_assertion",
            )),
            (Some(CLIENT_ASSERTION_TYPE), Some(jwt)) => Ok(jwt),
            (Some(CLIENT_ASSERTION_TYPE), None) => Err(OAuthError::invalid_request("client_assertion is missing")),
            _ => Err(OAuthError::invalid_request(format!("client_assertion_type must be {CLIENT_ASSERTION_TYPE}"))),
        }
    }
}

/// Authenticates the client of a request, and spends its assertion.
///
/// `token_endpoint` is what `aud` must be, also at the other endpoints (RFC 7523, section 3, item 3).
pub(crate) async fn authenticate(
    clients: &Clients,
    pool: &Pool,
    tenant: i32,
    token_endpoint: &str,
    assertion: &ClientAssertion,
    now: i64,
) -> Result<Client, OAuthError> {
    let jwt = assertion.jwt()?;
    let jws = Jws::parse(jwt).map_err(|_| {
        OAuthError::invalid_client("client_assertion is not a JWT in compact form (header.claims.signature)")
    })?;
    let kid = check_header(&jws.header)?;
    let claims = jws.claims::<Claims>().map_err(|error| {
        OAuthError::invalid_client(format!("iss, sub, aud, exp and jti are required in client_assertion: {error}"))
    })?;
    check_claims(&claims, assertion.client_id.as_deref(), token_endpoint, now)?;

    let client = clients.find(&claims.sub).await?.filter(|client| client.disabled.is_none());
    let client = client
        .filter(|client| is_signed_by(&jws, client, kid))
        .ok_or_else(|| OAuthError::invalid_client(NOT_AUTHENTICATED))?;

    let connection = pool.get().await.map_err(Error::from)?;
    if !replay::spend(&connection, tenant, &client.client_id, &claims.jti, claims.exp.saturating_add(LEEWAY)).await? {
        return Err(OAuthError::invalid_client(
            "the jti of client_assertion was used before; make a new one each time",
        ));
    }
    Ok(client)
}

/// What the header must say; returns the `kid`.
fn check_header(header: &Header) -> Result<&str, OAuthError> {
    if !ASSERTION_ALGORITHMS.contains(&header.alg.as_str()) {
        let message = format!("client_assertion is signed with {}; RS384 and ES384 are accepted", header.alg);
        return Err(OAuthError::invalid_client(message));
    }
    // Explicit typing (RFC 8725, section 3.11): absent, JWT, or the name that RFC 7523bis gives.
    if !matches!(header.media_type().as_deref(), None | Some("jwt" | "client-authentication+jwt")) {
        return Err(OAuthError::invalid_client("the typ header of client_assertion must be JWT"));
    }
    if header.crit.is_some() {
        return Err(OAuthError::invalid_client("client_assertion has a crit header; no extension is understood"));
    }
    header
        .kid
        .as_deref()
        .filter(|kid| !kid.is_empty())
        .ok_or_else(|| OAuthError::invalid_client("client_assertion needs a kid header that names a registered key"))
}

fn check_claims(claims: &Claims, client_id: Option<&str>, audience: &str, now: i64) -> Result<(), OAuthError> {
    let refuse = |message: &str| Err(OAuthError::invalid_client(message));
    if claims.iss != claims.sub {
        return refuse("iss and sub of client_assertion must both be the client_id");
    }
    if client_id.is_some_and(|id| id != claims.sub) {
        return refuse("the client_id parameter is not the sub of client_assertion");
    }
    if !claims.aud.is_exactly(audience) {
        return Err(OAuthError::invalid_client(format!("aud of client_assertion must be exactly {audience}")));
    }
    if claims.exp <= now - LEEWAY {
        return refuse("client_assertion has expired; check the client's clock");
    }
    if claims.exp > now + MAX_LIFETIME + LEEWAY {
        return refuse("exp of client_assertion must be at most 300 seconds ahead");
    }
    if claims.nbf.is_some_and(|nbf| nbf > now + LEEWAY) {
        return refuse("client_assertion is not valid yet (nbf); check the client's clock");
    }
    if claims.iat.is_some_and(|iat| iat > now + LEEWAY) {
        return refuse("client_assertion was issued in the future (iat); check the client's clock");
    }
    if claims.jti.is_empty() {
        return refuse("jti of client_assertion must be a unique, non-empty text");
    }
    Ok(())
}

/// Whether the assertion is signed with the key of that `kid` among those the client registered, with
/// the one algorithm that goes with the key.
fn is_signed_by(jws: &Jws<'_>, client: &Client, kid: &str) -> bool {
    if jws.header.jku.is_some() && jws.header.jku != client.jwks_uri {
        return false;
    }
    let Some((key, algorithm)) = client.jwks.find(kid).and_then(|key| Some((key, algorithm_of(key)?))) else {
        return false;
    };
    jws.header.alg == format!("{algorithm:?}")
        && DecodingKey::from_jwk(key).is_ok_and(|key| jws.verifies(&key, algorithm))
}
