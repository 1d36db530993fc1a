//! Client authentication: each refusal of RFC 7523 and SMART "Client Authentication: Asymmetric".

use std::sync::Arc;

use jsonwebtoken::{Algorithm, EncodingKey};
use salus_auth::{CLIENT_ASSERTION_TYPE, ClientAssertion, ClientKeyPair, OAuthErrorCode, TokenRequest, sign_assertion};
use serde_json::{Value, json};

use crate::harness::{Backend, Harness, assertion, new_client, now, sign, unsigned, with};

fn request(assertion: ClientAssertion) -> TokenRequest {
    TokenRequest {
        grant_type: Some("client_credentials".to_owned()),
        scope: Some("system/Patient.rs".to_owned()),
        purpose_of_use: None,
        assertion,
    }
}

/// The refusal's code and description.
async fn refusal(harness: &Harness, assertion: ClientAssertion) -> (OAuthErrorCode, String) {
    let error = harness.token(&request(assertion)).await.expect_err("must be refused");
    (error.code(), error.description().to_owned())
}

fn signed(backend: &Backend, header: &Value, claims: &Value) -> ClientAssertion {
    assertion(sign(header, claims, &backend.signing_key(), Algorithm::ES384))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_assertion_is_accepted_with_es384_and_rs384() {
    let harness = Harness::start().await;
    let backend = harness.register("es").await;
    harness.token(&request(backend.assertion(&harness))).await.unwrap();

    let pair = rsa_pair();
    harness.server.clients().add(new_client("rs", &pair)).await.unwrap();
    let jwt = sign_assertion(&pair.private_key_pem, &pair.kid, "rs", &harness.token_url()).unwrap();
    harness.token(&request(assertion(jwt))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_vary_may_vary() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let header = backend.header();
    let claims = || backend.claims(&harness);
    let cases = [
        ("no typ", with(header.clone(), "typ", Value::Null), claims()),
        ("typ of RFC 7523bis", with(header.clone(), "typ", json!("client-authentication+jwt")), claims()),
        ("aud as an array of one", header.clone(), with(claims(), "aud", json!([harness.token_url()]))),
        ("no iat", header.clone(), with(claims(), "iat", Value::Null)),
        ("clock 25 s ahead", header.clone(), with(claims(), "exp", json!(now() + 325))),
        ("clock 25 s behind", header.clone(), with(claims(), "exp", json!(now() - 25))),
        ("nbf 25 s ahead", header.clone(), with(claims(), "nbf", json!(now() + 25))),
        ("exp with a fraction", header.clone(), with(claims(), "exp", json!(now() as f64 + 60.5))),
    ];
    for (case, header, claims) in cases {
        let outcome = harness.token(&request(signed(&backend, &header, &claims))).await;
        assert!(outcome.is_ok(), "{case}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_claim_that_is_wrong_is_refused_and_named() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let claims = |name: &str, value: Value| with(backend.claims(&harness), name, value);
    let base = harness.server.config().fhir_base.clone();
    let cases = [
        ("iss", claims("iss", json!("other"))),
        ("iss", claims("iss", Value::Null)),
        ("iss", claims("sub", Value::Null)),
        ("aud", claims("aud", json!(base))),
        ("aud", claims("aud", json!(format!("{}/", harness.token_url())))),
        ("aud", claims("aud", json!([harness.token_url(), "https://elsewhere.test"]))),
        ("aud", claims("aud", json!([]))),
        ("aud", claims("aud", Value::Null)),
        ("expired", claims("exp", json!(now() - 31))),
        ("300 seconds", claims("exp", json!(now() + 345))),
        ("300 seconds", claims("exp", json!(9.9e99))),
        ("exp", claims("exp", Value::Null)),
        ("exp", claims("exp", json!("soon"))),
        ("nbf", claims("nbf", json!(now() + 60))),
        ("iat", claims("iat", json!(now() + 60))),
        ("jti", claims("jti", Value::Null)),
        ("jti", claims("jti", json!(""))),
        ("jti", claims("jti", json!(7))),
    ];
    for (expected, claims) in cases {
        let (code, description) = refusal(&harness, signed(&backend, &backend.header(), &claims)).await;
        assert_eq!(code, OAuthErrorCode::InvalidClient, "{claims}");
        assert!(description.contains(expected), "{claims}: {description}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_header_that_is_wrong_is_refused() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let header = |name: &str, value: Value| with(backend.header(), name, value);
    let cases = [
        ("signed with ES256", header("alg", json!("ES256"))),
        ("signed with es384", header("alg", json!("es384"))),
        ("typ", header("typ", json!("at+jwt"))),
        ("typ", header("typ", json!("dpop+jwt"))),
        ("crit", header("crit", json!(["exp"]))),
        ("kid", header("kid", Value::Null)),
        ("kid", header("kid", json!(""))),
        ("could not be authenticated", header("alg", json!("RS384"))),
        ("could not be authenticated", header("kid", json!("unknown"))),
        ("could not be authenticated", header("jku", json!("https://elsewhere.test/jwks"))),
    ];
    for (expected, header) in cases {
        let (code, description) = refusal(&harness, signed(&backend, &header, &backend.claims(&harness))).await;
        assert_eq!(code, OAuthErrorCode::InvalidClient, "{header}");
        assert!(description.contains(expected), "{header}: {description}");
    }
}

/// RFC 8725, sections 2.1 and 3.1: the public key as an HMAC secret, and no signature at all.
#[tokio::test(flavor = "multi_thread")]
async fn the_algorithm_cannot_be_confused() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let public = serde_json::to_vec(&backend.pair.jwks.keys[0]).unwrap();
    for (alg, algorithm) in [("HS256", Algorithm::HS256), ("HS384", Algorithm::HS384), ("HS512", Algorithm::HS512)] {
        let header = with(backend.header(), "alg", json!(alg));
        let jwt = sign(&header, &backend.claims(&harness), &EncodingKey::from_secret(&public), algorithm);
        assert_eq!(refusal(&harness, assertion(jwt)).await.0, OAuthErrorCode::InvalidClient);
        // The header lies about what the signature is.
        let jwt = sign(&backend.header(), &backend.claims(&harness), &EncodingKey::from_secret(&public), algorithm);
        assert!(refusal(&harness, assertion(jwt)).await.1.contains("could not be authenticated"));
    }
    for alg in ["none", "None", "NONE", ""] {
        let jwt = unsigned(&with(backend.header(), "alg", json!(alg)), &backend.claims(&harness)) + ".";
        assert_eq!(refusal(&harness, assertion(jwt)).await.0, OAuthErrorCode::InvalidClient);
    }
    let stripped = unsigned(&backend.header(), &backend.claims(&harness)) + ".";
    assert_eq!(refusal(&harness, assertion(stripped)).await.0, OAuthErrorCode::InvalidClient);
}

/// A key in the token's own header decides nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_key_is_refused_whatever_the_header_says() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let other = harness.register("other").await;
    let foreign = ClientKeyPair::generate().unwrap();
    let key = EncodingKey::from_ec_pem(foreign.private_key_pem.as_bytes()).unwrap();
    let embedded = with(backend.header(), "jwk", serde_json::to_value(&foreign.jwks.keys[0]).unwrap());
    for header in [backend.header(), embedded.clone(), with(embedded, "kid", json!(foreign.kid))] {
        let jwt = sign(&header, &backend.claims(&harness), &key, Algorithm::ES384);
        assert!(refusal(&harness, assertion(jwt)).await.1.contains("could not be authenticated"), "{header}");
    }
    // Another client's key, under that client's kid.
    let jwt = sign(&other.header(), &backend.claims(&harness), &other.signing_key(), Algorithm::ES384);
    assert!(refusal(&harness, assertion(jwt)).await.1.contains("could not be authenticated"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_and_a_disabled_client_get_the_answer_of_a_bad_signature() {
    let harness = Harness::start().await;
    let unknown = Backend { id: "unknown".to_owned(), pair: ClientKeyPair::generate().unwrap() };
    let disabled = harness.register("disabled").await;
    harness.server.clients().disable("disabled").await.unwrap();
    let odd = Backend { id: "a\u{0}b".to_owned(), pair: unknown.pair.clone() };
    let known = harness.register("known").await;
    let forged =
        Backend { id: "known".to_owned(), pair: ClientKeyPair { kid: known.pair.kid, ..unknown.pair.clone() } };
    let mut answers = Vec::new();
    for client in [unknown, disabled, odd, forged] {
        answers.push(refusal(&harness, client.assertion(&harness)).await);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jku_header_must_be_the_registered_url() {
    let harness = Harness::start().await;
    let pair = ClientKeyPair::generate().unwrap();
    let mut new = new_client("backend", &pair);
    new.jwks_uri = Some("https://client.test/jwks".to_owned());
    harness.server.clients().add(new).await.unwrap();
    let backend = Backend { id: "backend".to_owned(), pair };
    let with_jku = |url: &str| with(backend.header(), "jku", json!(url));
    let good = signed(&backend, &with_jku("https://client.test/jwks"), &backend.claims(&harness));
    harness.token(&request(good)).await.unwrap();
    let bad = signed(&backend, &with_jku("https://client.test/jwks?x"), &backend.claims(&harness));
    assert_eq!(refusal(&harness, bad).await.0, OAuthErrorCode::InvalidClient);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_must_carry_the_assertion_properly() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let spoilt = |spoil: fn(&mut ClientAssertion)| {
        let mut assertion = backend.assertion(&harness);
        spoil(&mut assertion);
        assertion
    };
    let cases = [
        (OAuthErrorCode::InvalidClient, ClientAssertion::default()),
        (OAuthErrorCode::InvalidRequest, spoilt(|a| a.client_assertion_type = None)),
        (OAuthErrorCode::InvalidRequest, spoilt(|a| a.client_assertion_type = Some("jwt-bearer".to_owned()))),
        (OAuthErrorCode::InvalidRequest, spoilt(|a| a.client_assertion = None)),
        (OAuthErrorCode::InvalidClient, spoilt(|a| a.client_id = Some("other".to_owned()))),
        (OAuthErrorCode::InvalidClient, spoilt(|a| a.client_assertion = Some("not a jwt".to_owned()))),
    ];
    for (expected, assertion) in cases {
        let (code, description) = refusal(&harness, assertion).await;
        assert_eq!(code, expected, "{description}");
    }
    let mut named = backend.assertion(&harness);
    named.client_id = Some("backend".to_owned());
    assert_eq!(named.client_assertion_type.as_deref(), Some(CLIENT_ASSERTION_TYPE));
    harness.token(&request(named)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_is_good_once() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let assertion = backend.assertion(&harness);
    harness.token(&request(assertion.clone())).await.unwrap();
    let (code, description) = refusal(&harness, assertion.clone()).await;
    assert_eq!(code, OAuthErrorCode::InvalidClient);
    assert!(description.contains("jti"), "{description}");
    // Nor on another node.
    assert!(harness.another_node().token(&request(assertion), None).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_sixteen_uses_at_once_exactly_one_succeeds() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let request = Arc::new(request(backend.assertion(&harness)));
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let (node, request) = (harness.another_node(), request.clone());
            tokio::spawn(async move { node.token(&request, None).await })
        })
        .collect();
    let mut successes = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => successes += 1,
            Err(error) => assert_eq!(error.code(), OAuthErrorCode::InvalidClient),
        }
    }
    assert_eq!(successes, 1);
}

/// The record of a `jti` outlives its `exp` by the leeway, so there is no gap in which the assertion
/// is still accepted and no longer remembered (Azure-Samples PR #413).
#[tokio::test(flavor = "multi_thread")]
async fn a_spent_jti_is_kept_until_exp_and_leeway() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let expiry = now() - 20;
    let late = signed(&backend, &backend.header(), &with(backend.claims(&harness), "exp", json!(expiry)));
    harness.token(&request(late.clone())).await.unwrap();
    let row =
        harness.pool.get().await.unwrap().query_one("SELECT expires FROM client_assertion_jti", &[]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), expiry + 30);
    assert!(refusal(&harness, late).await.1.contains("jti"));
}

fn rsa_pair() -> ClientKeyPair {
    use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
    use base64::Engine;
    let key = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
    let pkcs8: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let private_key_pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        base64::prelude::BASE64_STANDARD.encode(pkcs8.as_ref())
    );
    let encoding = EncodingKey::from_rsa_pem(private_key_pem.as_bytes()).unwrap();
    let mut jwk = jsonwebtoken::jwk::Jwk::from_encoding_key(&encoding, Algorithm::RS384).unwrap();
    jwk.common.key_id = Some("rsa".to_owned());
    ClientKeyPair { private_key_pem, kid: "rsa".to_owned(), jwks: salus_auth::JwkSet { keys: vec![jwk] } }
}
