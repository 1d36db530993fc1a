//! Bearer tokens: who is let in, and each reason not to.

use std::fs;

use jsonwebtoken::{Algorithm, EncodingKey};
use salus_access::parse_scopes;
use salus_auth::BearerError;
use serde_json::{Value, json};

use crate::harness::{Backend, Harness, now, part, sign, unsigned, with};

/// The server's own private key, as someone with the data dir would have it.
fn server_key(harness: &Harness) -> EncodingKey {
    let pem = fs::read_dir(harness.keys_dir())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "pem"))
        .unwrap();
    EncodingKey::from_ec_pem(&fs::read(pem).unwrap()).unwrap()
}

async fn refusal(harness: &Harness, token: &str) -> BearerError {
    harness.server.authenticate(Some(&format!("Bearer {token}"))).await.expect_err("must be refused")
}

async fn token(harness: &Harness, backend: &Backend) -> String {
    harness.bearer(backend).await.split_off("Bearer ".len())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_who_is_asking() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let claims = part(&bearer["Bearer ".len()..], 1);
    for header in [bearer.clone(), bearer.replacen("Bearer", "bearer", 1), bearer.replacen(' ', "  ", 1)] {
        let principal = harness.server.authenticate(Some(&header)).await.unwrap();
        assert_eq!(principal.client_id, "backend");
        assert_eq!(principal.scopes, parse_scopes("system/*.cruds"));
        assert_eq!(principal.purpose_of_use, "TREAT");
        assert_eq!(principal.actors, ["Organization/1"]);
        assert_eq!(principal.token_id, claims["jti"]);
        assert_eq!(principal.expires_at, claims["exp"].as_i64().unwrap());
        assert!(principal.user.is_none() && principal.patient.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bearer_token_there_is_a_challenge() {
    let harness = Harness::start().await;
    for header in [None, Some(""), Some("Bearer"), Some("Basic dXNlcjpwYXNz"), Some("x y z")] {
        let error = harness.server.authenticate(header).await.unwrap_err();
        assert_eq!((error, error.status()), (BearerError::Missing, 401), "{header:?}");
    }
    for token in ["", "abc", "a.b.c", "ey.ey.ey", "\u{0}"] {
        assert_eq!(refusal(&harness, token).await, BearerError::Malformed, "{token}");
    }
}

/// RFC 9068, section 4, and RFC 8725: each check on its own, with a signature by the server's key.
#[tokio::test(flavor = "multi_thread")]
async fn each_reason_to_refuse_a_token_is_told_apart() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let good = token(&harness, &backend).await;
    let (header, claims, key) = (part(&good, 0), part(&good, 1), server_key(&harness));
    let claim = |name: &str, value: Value| (header.clone(), with(claims.clone(), name, value));
    let head = |name: &str, value: Value| (with(header.clone(), name, value), claims.clone());
    let cases = [
        (BearerError::Expired, claim("exp", json!(now() - 1))),
        (BearerError::Malformed, claim("exp", Value::Null)),
        (BearerError::Malformed, claim("jti", Value::Null)),
        (BearerError::Malformed, claim("scope", json!(["system/*.cruds"]))),
        (BearerError::NotYetValid, claim("nbf", json!(now() + 60))),
        (BearerError::NotYetValid, claim("iat", json!(now() + 60))),
        (BearerError::WrongIssuer, claim("iss", json!("https://elsewhere.test"))),
        (BearerError::WrongAudience, claim("aud", json!("https://elsewhere.test/fhir"))),
        (BearerError::WrongAudience, claim("aud", json!("https://salus.test/fhir/"))),
        (BearerError::WrongAudience, claim("aud", json!(["https://salus.test/fhir", "https://elsewhere.test"]))),
        (BearerError::ClientDisabled, claim("client_id", json!("nobody"))),
        // An ID token (OpenID Connect) and an assertion have these; medplum PR #9970.
        (BearerError::WrongType, head("typ", json!("JWT"))),
        (BearerError::WrongType, head("typ", Value::Null)),
        (BearerError::WrongType, head("typ", json!("id_token+jwt"))),
        (BearerError::WrongAlgorithm, head("alg", json!("ES384"))),
        (BearerError::WrongAlgorithm, head("alg", json!("none"))),
        (BearerError::UnknownKey, head("kid", json!("unknown"))),
        (BearerError::UnknownKey, head("kid", Value::Null)),
        (BearerError::Malformed, head("crit", json!(["exp"]))),
    ];
    for (expected, (header, claims)) in cases {
        let forged = sign(&header, &claims, &key, Algorithm::ES256);
        assert_eq!(refusal(&harness, &forged).await, expected, "{header} {claims}");
    }
    let again = sign(&header, &claims, &key, Algorithm::ES256);
    harness.server.authenticate(Some(&format!("Bearer {again}"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_signature_is_refused() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let good = token(&harness, &backend).await;
    let (header, claims) = (part(&good, 0), part(&good, 1));
    let foreign = EncodingKey::from_ec_pem(server_like_key().as_bytes()).unwrap();
    let by_foreign_key = sign(&header, &claims, &foreign, Algorithm::ES256);
    assert_eq!(refusal(&harness, &by_foreign_key).await, BearerError::BadSignature);

    // The published key as an HMAC secret, under either algorithm's name.
    let public = serde_json::to_vec(&harness.server.jwks().keys[0]).unwrap();
    let secret = EncodingKey::from_secret(&public);
    let hmac = sign(&with(header.clone(), "alg", json!("HS256")), &claims, &secret, Algorithm::HS256);
    assert_eq!(refusal(&harness, &hmac).await, BearerError::WrongAlgorithm);
    let disguised = sign(&header, &claims, &secret, Algorithm::HS256);
    assert_eq!(refusal(&harness, &disguised).await, BearerError::BadSignature);

    // More rights under the old signature; no signature; one bit of it changed.
    let signature = good.rsplit('.').next().unwrap();
    let widened = format!("{}.{signature}", unsigned(&header, &with(claims.clone(), "client_id", json!("admin"))));
    assert_eq!(refusal(&harness, &widened).await, BearerError::BadSignature);
    assert_eq!(refusal(&harness, &(unsigned(&header, &claims) + ".")).await, BearerError::BadSignature);
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let flipped = good.replacen(signature, &format!("{first}{}", &signature[1..]), 1);
    assert_eq!(refusal(&harness, &flipped).await, BearerError::BadSignature);
}

/// The client's own assertion is no access token, though the client signs it with a registered key.
#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_opens_nothing() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let assertion = backend.assertion(&harness).client_assertion.unwrap();
    assert_eq!(refusal(&harness, &assertion).await, BearerError::WrongType);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_before_a_rotation_hold_and_new_ones_have_the_new_key() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let before = token(&harness, &backend).await;
    let new = harness.server.rotate_keys().await.unwrap();
    let after = token(&harness, &backend).await;
    assert_ne!(part(&before, 0)["kid"], part(&after, 0)["kid"]);
    assert_eq!(part(&after, 0)["kid"], new.kid);
    let node = harness.another_node();
    for token in [before, after] {
        harness.server.authenticate(Some(&format!("Bearer {token}"))).await.unwrap();
        node.authenticate(Some(&format!("Bearer {token}"))).await.unwrap();
    }
    assert_eq!(harness.server.jwks().keys.len(), 2);
}

/// A node that has not heard of a new key reads the directory when it sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_made_by_another_process_is_found() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let node = harness.another_node();
    harness.server.keys().rotate().unwrap();
    let bearer = harness.bearer(&backend).await;
    node.authenticate(Some(&bearer)).await.unwrap();
}

fn server_like_key() -> String {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use base64::Engine;
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).unwrap();
    let encoded = base64::prelude::BASE64_STANDARD.encode(pkcs8.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{encoded}\n-----END PRIVATE KEY-----\n")
}
