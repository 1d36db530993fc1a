//! RFC 7662.

use salus_auth::{ClientAssertion, IntrospectionRequest, OAuthErrorCode, RevocationRequest};
use serde_json::json;

use crate::harness::{Harness, fresh_address, part};

fn about(token: &str, assertion: ClientAssertion) -> IntrospectionRequest {
    IntrospectionRequest { token: token.trim_start_matches("Bearer ").to_owned(), assertion }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_active_token_is_described_to_whoever_authenticates_and_holds_it() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let claims = part(bearer.trim_start_matches("Bearer "), 1);
    let expected = json!({
        "active": true, "scope": "system/*.cruds", "client_id": "backend", "token_type": "bearer",
        "exp": claims["exp"], "iat": claims["iat"], "sub": "backend", "aud": "https://salus.test/fhir",
        "iss": "https://salus.test", "jti": claims["jti"], "purpose_of_use": "TREAT",
    });
    let by_assertion = about(&bearer, backend.assertion(&harness));
    let answer = harness.server.introspect(&by_assertion, None, Some(fresh_address())).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
    let by_token = about(&bearer, ClientAssertion::default());
    let answer = harness.server.introspect(&by_token, Some(&bearer), Some(fresh_address())).await.unwrap();
    assert_eq!(serde_json::to_value(answer).unwrap(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_any_other_token_only_that_it_is_not_active_is_told() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let (caller, revoked) = (harness.bearer(&backend).await, harness.bearer(&backend).await);
    let revocation = RevocationRequest {
        token: revoked.trim_start_matches("Bearer ").to_owned(),
        assertion: backend.assertion(&harness),
    };
    harness.server.revoke(&revocation, Some(fresh_address())).await.unwrap();
    let assertion = backend.assertion(&harness).client_assertion.unwrap();
    for token in ["nonsense", &revoked, &assertion] {
        let request = about(token, ClientAssertion::default());
        let answer = harness.server.introspect(&request, Some(&caller), Some(fresh_address())).await.unwrap();
        assert_eq!(serde_json::to_value(answer).unwrap(), json!({"active": false}));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_anonymously() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let request = about(&bearer, ClientAssertion::default());
    let error = harness.server.introspect(&request, None, Some(fresh_address())).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (401, OAuthErrorCode::InvalidClient));
    let error = harness.server.introspect(&request, Some("Bearer x"), Some(fresh_address())).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (401, OAuthErrorCode::InvalidToken));
}
