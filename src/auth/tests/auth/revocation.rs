//! RFC 7009.

use salus_auth::{BearerError, OAuthErrorCode, RevocationRequest};

use crate::harness::{Backend, Harness, fresh_address};

fn request(harness: &Harness, by: &Backend, bearer: &str) -> RevocationRequest {
    RevocationRequest { token: bearer.trim_start_matches("Bearer ").to_owned(), assertion: by.assertion(harness) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_is_refused_at_once_though_it_was_cached() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let (gone, kept) = (harness.bearer(&backend).await, harness.bearer(&backend).await);
    for bearer in [&gone, &kept] {
        harness.server.authenticate(Some(bearer)).await.unwrap();
    }
    let revocation = request(&harness, &backend, &gone);
    harness.server.revoke(&revocation, Some(fresh_address())).await.unwrap();
    assert_eq!(harness.server.authenticate(Some(&gone)).await.unwrap_err(), BearerError::Revoked);
    harness.server.authenticate(Some(&kept)).await.unwrap();
    // A node that starts later knows it from the database.
    assert_eq!(harness.another_node().authenticate(Some(&gone)).await.unwrap_err(), BearerError::Revoked);
    // Twice is no error.
    let again = request(&harness, &backend, &gone);
    harness.server.revoke(&again, Some(fresh_address())).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_can_revoke_only_its_own_tokens() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let other = harness.register("other").await;
    let bearer = harness.bearer(&backend).await;
    let attempt = request(&harness, &other, &bearer);
    let error = harness.server.revoke(&attempt, Some(fresh_address())).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (400, OAuthErrorCode::UnauthorizedClient));
    harness.server.authenticate(Some(&bearer)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_token_is_revoked_without_complaint_by_those_who_authenticate() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let nonsense = request(&harness, &backend, "nonsense");
    harness.server.revoke(&nonsense, Some(fresh_address())).await.unwrap();
    let anonymous = RevocationRequest { assertion: Default::default(), ..nonsense };
    let error = harness.server.revoke(&anonymous, Some(fresh_address())).await.unwrap_err();
    assert_eq!(error.code(), OAuthErrorCode::InvalidClient);
    assert_eq!(RevocationRequest::from_form(b"token=").unwrap_err().code(), OAuthErrorCode::InvalidRequest);
}
