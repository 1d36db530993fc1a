//! What one node changes, the others hear.

use std::sync::Arc;
use std::time::Duration;

use salus_auth::{AuthServer, BearerError, RevocationRequest};
use tokio_postgres::NoTls;

use crate::harness::{Backend, Harness};

/// A second node that listens.
async fn listening_node(harness: &Harness) -> Arc<AuthServer> {
    let node = harness.another_node();
    tokio::spawn(node.clone().follow_changes(harness.database.clone(), NoTls));
    await_listener(harness).await;
    node
}

/// Waits until a connection of the harness's database listens.
async fn await_listener(harness: &Harness) {
    let sql = "SELECT count(*) FROM pg_stat_activity \
               WHERE datname = current_database() AND state = 'idle' AND query = 'LISTEN salus_auth'";
    for _ in 0..200 {
        let row = harness.pool.get().await.unwrap().query_one(sql, &[]).await.unwrap();
        if row.get::<_, i64>(0) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody listens");
}

async fn eventually_refused(node: &AuthServer, bearer: &str) -> BearerError {
    for _ in 0..200 {
        if let Err(error) = node.authenticate(Some(bearer)).await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("still let in");
}

async fn revoke(harness: &Harness, backend: &Backend, bearer: &str) {
    let token = bearer.trim_start_matches("Bearer ").to_owned();
    let request = RevocationRequest { token, assertion: backend.assertion(harness) };
    harness.server.revoke(&request, None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_reaches_a_node_that_had_cached_the_token() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let node = listening_node(&harness).await;
    node.authenticate(Some(&bearer)).await.unwrap();
    revoke(&harness, &backend, &bearer).await;
    assert_eq!(eventually_refused(&node, &bearer).await, BearerError::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_client_is_refused_on_every_node() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let node = listening_node(&harness).await;
    node.authenticate(Some(&bearer)).await.unwrap();
    harness.server.clients().disable("backend").await.unwrap();
    assert_eq!(eventually_refused(&node, &bearer).await, BearerError::ClientDisabled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_heard_of() {
    let harness = Harness::start().await;
    let node = listening_node(&harness).await;
    let new = harness.server.rotate_keys().await.unwrap();
    for _ in 0..200 {
        if node.keys().list()[0].kid == new.kid {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the node still signs with the old key");
}

/// While the listening connection is down notices are lost; nothing cached is believed over it.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_does_not_keep_a_revoked_token_alive() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let node = listening_node(&harness).await;
    node.authenticate(Some(&bearer)).await.unwrap();
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE datname = current_database() AND query = 'LISTEN salus_auth'";
    let connection = harness.pool.get().await.unwrap();
    connection.query(cut, &[]).await.unwrap();
    // The notice goes to nobody.
    revoke(&harness, &backend, &bearer).await;
    assert_eq!(eventually_refused(&node, &bearer).await, BearerError::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_token_is_let_in_without_asking_the_database_while_the_node_listens() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let node = listening_node(&harness).await;
    // The listener marks itself ready a moment after LISTEN; from then on checks are remembered.
    let mut remembered = false;
    for _ in 0..200 {
        let first = node.authenticate(Some(&bearer)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
        remembered = Arc::ptr_eq(&first, &node.authenticate(Some(&bearer)).await.unwrap());
        if remembered {
            break;
        }
    }
    assert!(remembered);
    harness.pool.close();
    node.authenticate(Some(&bearer)).await.unwrap();
}

/// Maintenance clears away what nobody needs, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_expired_is_purged() {
    let harness = Harness::start().await;
    let connection = harness.pool.get().await.unwrap();
    connection
        .batch_execute(
            "INSERT INTO client_assertion_jti SELECT 0, 'c', int4send(n), \
                    extract(epoch FROM now())::bigint + (n - 16) * 600 FROM generate_series(15, 17) n; \
             INSERT INTO revoked_token SELECT 0, n::text, 'c', \
                    extract(epoch FROM now())::bigint + (n - 16) * 600 FROM generate_series(15, 17) n",
        )
        .await
        .unwrap();
    let maintenance = tokio::spawn(harness.server.clone().maintain());
    let left = "SELECT (SELECT count(*) FROM client_assertion_jti), (SELECT count(*) FROM revoked_token)";
    for _ in 0..200 {
        let row = connection.query_one(left, &[]).await.unwrap();
        if (row.get::<_, i64>(0), row.get::<_, i64>(1)) == (2, 2) {
            maintenance.abort();
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not purged");
}

/// Where the listening task ends, the node must not go on as if it heard.
#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_listener_does_not_keep_a_disabled_client_alive() {
    let harness = Harness::start().await;
    let backend = harness.register("backend").await;
    let bearer = harness.bearer(&backend).await;
    let node = harness.another_node();
    let listener = tokio::spawn(node.clone().follow_changes(harness.database.clone(), NoTls));
    await_listener(&harness).await;
    node.authenticate(Some(&bearer)).await.unwrap();
    listener.abort();
    let _ = listener.await;
    harness.server.clients().disable("backend").await.unwrap();
    assert_eq!(eventually_refused(&node, &bearer).await, BearerError::ClientDisabled);
}
