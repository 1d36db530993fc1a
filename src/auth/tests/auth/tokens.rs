//! The token endpoint: what is granted, and the limit on failures.

use salus_auth::{BearerError, OAuthErrorCode, TokenRequest};

use crate::harness::{Harness, fresh_address, now, part};

/// RFC 9068, section 2: type, algorithm and claims.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_an_at_jwt_for_this_fhir_base() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let response = harness.token(&backend.request(&harness, "system/Observation.rs")).await.unwrap();
    let header = part(&response.access_token, 0);
    assert_eq!((header["typ"].as_str(), header["alg"].as_str()), (Some("at+jwt"), Some("ES256")));
    assert_eq!(header["kid"], harness.server.keys().list()[0].kid);
    let claims = part(&response.access_token, 1);
    for (name, value) in [
        ("iss", "https://salus.test"),
        ("aud", "https://salus.test/fhir"),
        ("sub", "backend"),
        ("client_id", "backend"),
        ("scope", "system/Observation.rs"),
        ("purpose_of_use", "TREAT"),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    let (iat, exp) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!((now() - iat).abs() <= 5 && exp - iat == 300);

    let body = serde_json::to_value(&response).unwrap();
    assert_eq!((body["token_type"].as_str(), body["expires_in"].as_u64()), (Some("bearer"), Some(300)));
    assert!(body.get("refresh_token").is_none());
    assert!(!format!("{response:?}").contains(&response.access_token));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scope_is_cut_to_what_the_client_may_have() {
    let harness = Harness::start().await;
    let pair = salus_auth::ClientKeyPair::generate().unwrap();
    let mut new = crate::harness::new_client("narrow", &pair);
    new.scope = "system/Patient.rs system/Observation.cruds".to_owned();
    harness.server.clients().add(new).await.unwrap();
    let backend = crate::harness::Backend { id: "narrow".to_owned(), pair };
    let granted = |scope: &'static str| {
        let request = backend.request(&harness, scope);
        let harness = &harness;
        async move { harness.token(&request).await.map(|response| response.scope) }
    };
    assert_eq!(granted("system/Patient.cruds").await.unwrap(), "system/Patient.rs");
    assert_eq!(granted("system/*.read").await.unwrap(), "system/Patient.read system/Observation.read");
    assert_eq!(granted("system/Patient.rs user/Patient.rs openid").await.unwrap(), "system/Patient.rs");
    for scope in ["system/Condition.rs", "patient/Patient.rs", "system/Patient.sr", "offline_access", " "] {
        assert_eq!(granted(scope).await.unwrap_err().code(), OAuthErrorCode::InvalidScope, "{scope}");
    }
}

/// A type that there is not: asked for by name, or by all that a registration names.
#[tokio::test(flavor = "multi_thread")]
async fn a_scope_on_no_type_of_resource_is_not_granted() {
    let harness = Harness::start().await;
    let pair = salus_auth::ClientKeyPair::generate().unwrap();
    let mut new = crate::harness::new_client("wide", &pair);
    new.scope = "system/*.cruds system/Nope.rs".to_owned();
    harness.server.clients().add(new).await.unwrap();
    let wide = crate::harness::Backend { id: "wide".to_owned(), pair };
    for (asked, granted) in [
        ("system/Nope.rs system/Patient.rs", Some("system/Patient.rs")),
        ("system/Nope.rs system/patient.rs", None),
        ("system/Observationn.rs?category=laboratory", None),
        ("system/*.rs", Some("system/*.rs")),
    ] {
        let answer = harness.token(&wide.request(&harness, asked)).await;
        match granted {
            Some(granted) => assert_eq!(answer.unwrap().scope, granted, "{asked}"),
            None => assert_eq!(answer.unwrap_err().code(), OAuthErrorCode::InvalidScope, "{asked}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_purpose_is_the_default_or_one_of_the_allowed() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let ask = |purpose: &str| TokenRequest {
        purpose_of_use: Some(purpose.to_owned()),
        ..backend.request(&harness, "system/*.rs")
    };
    let research = harness.token(&ask("HRESCH")).await.unwrap();
    let header = format!("Bearer {}", research.access_token);
    assert_eq!(harness.server.authenticate(Some(&header)).await.unwrap().purpose_of_use, "HRESCH");
    for purpose in ["BTG", "treat", "TREAT HRESCH"] {
        let error = harness.token(&ask(purpose)).await.unwrap_err();
        assert_eq!(error.code(), OAuthErrorCode::InvalidRequest);
        assert!(error.description().contains("TREAT, HRESCH"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_requests_are_refused() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let code = |spoil: fn(&mut TokenRequest)| {
        let mut request = backend.request(&harness, "system/*.rs");
        spoil(&mut request);
        let harness = &harness;
        async move { harness.token(&request).await.unwrap_err().code() }
    };
    assert_eq!(code(|r| r.grant_type = None).await, OAuthErrorCode::InvalidRequest);
    assert_eq!(code(|r| r.grant_type = Some("password".to_owned())).await, OAuthErrorCode::UnsupportedGrantType);
    assert_eq!(code(|r| r.scope = None).await, OAuthErrorCode::InvalidScope);
    assert_eq!(
        TokenRequest::from_form(b"grant_type=a&grant_type=b").unwrap_err().code(),
        OAuthErrorCode::InvalidRequest
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_read_from_its_form_is_granted() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let assertion = backend.assertion(&harness);
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair("grant_type", "client_credentials")
        .append_pair("scope", "system/Observation.rs?category=laboratory")
        .append_pair("client_assertion_type", &assertion.client_assertion_type.unwrap())
        .append_pair("client_assertion", &assertion.client_assertion.unwrap())
        .finish();
    let response = harness.token(&TokenRequest::from_form(body.as_bytes()).unwrap()).await.unwrap();
    assert_eq!(response.scope, "system/Observation.rs?category=laboratory");
}

/// Contract, "Defaults": after 20 failures a minute of a client or address, 429.
#[tokio::test(flavor = "multi_thread")]
async fn after_twenty_failures_the_address_must_wait() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let address = Some(fresh_address());
    for _ in 0..20 {
        let error = harness.server.token(&TokenRequest::default(), address).await.unwrap_err();
        assert_eq!(error.status(), 400);
    }
    let good = backend.request(&harness, "system/*.rs");
    let error = harness.server.token(&good, address).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (429, OAuthErrorCode::TooManyRequests));
    assert!((1..=60).contains(&error.retry_after().unwrap()));
    // The assertion was not spent, and elsewhere the client is served.
    harness.token(&good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_nothing_is_granted_and_nothing_let_in() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    harness.pool.close();
    let error = harness.token(&backend.request(&harness, "system/*.rs")).await.unwrap_err();
    assert_eq!(error.status(), 503);
    let error = harness.server.authenticate(Some(&bearer)).await.unwrap_err();
    assert_eq!((error, error.status()), (BearerError::Unavailable, 503));
}
