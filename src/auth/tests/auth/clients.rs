//! Client management.

use salus_auth::{BearerError, ClientKeyPair, Error};

use crate::harness::{Backend, Harness, new_client};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_is_stored_as_registered() {
    let harness = Harness::start().await;
    let pair = ClientKeyPair::generate().unwrap();
    let clients = harness.server.clients();
    let added = clients.add(new_client("b", &pair)).await.unwrap();
    clients.add(new_client("a", &pair)).await.unwrap();
    assert_eq!(clients.find("b").await.unwrap(), Some(added.clone()));
    assert_eq!(added.purposes, ["TREAT", "HRESCH"]);
    let ids: Vec<_> = clients.list().await.unwrap().into_iter().map(|client| client.client_id).collect();
    assert_eq!(ids, ["a", "b"]);
    assert!(matches!(clients.add(new_client("a", &pair)).await, Err(Error::DuplicateClient(_))));
    for nobody in ["c", "", "\u{0}"] {
        assert_eq!(clients.find(nobody).await.unwrap(), None);
        assert!(matches!(clients.disable(nobody).await, Err(Error::UnknownClient(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_client_gets_no_token_and_its_tokens_open_nothing() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    harness.server.clients().disable("backend").await.unwrap();
    assert!(harness.token(&backend.request(&harness, "system/*.rs")).await.is_err());
    assert_eq!(harness.server.authenticate(Some(&bearer)).await.unwrap_err(), BearerError::ClientDisabled);
    harness.server.clients().enable("backend").await.unwrap();
    harness.server.authenticate(Some(&bearer)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn after_its_keys_were_replaced_the_old_one_signs_for_nobody() {
    let harness = Harness::start().await;
    let old = harness.register("backend").await;
    let new = Backend { id: "backend".to_owned(), pair: ClientKeyPair::generate().unwrap() };
    harness.server.clients().replace_keys("backend", &new.pair.jwks).await.unwrap();
    assert!(harness.token(&old.request(&harness, "system/*.rs")).await.is_err());
    harness.token(&new.request(&harness, "system/*.rs")).await.unwrap();
    let none = salus_auth::JwkSet { keys: Vec::new() };
    let refused = harness.server.clients().replace_keys("backend", &none).await;
    assert!(matches!(refused, Err(Error::Registration(_))));
}
