//! One line to an authorization server with its own database and keys, and a client of it.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use jsonwebtoken::{Algorithm, EncodingKey};
use salus_auth::{
    AuthConfig, AuthServer, CLIENT_ASSERTION_TYPE, ClientAssertion, ClientKeyPair, NewClient, OAuthError, TokenRequest,
    TokenResponse, sign_assertion,
};
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::cluster::Cluster;

const SCHEMA: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations/V2__auth.sql"));

/// A server, its database and its key directory.
pub struct Harness {
    pub server: Arc<AuthServer>,
    pub pool: Pool,
    pub database: tokio_postgres::Config,
    dir: PathBuf,
    _cluster: Arc<Cluster>,
}

/// A registered backend service and its secrets.
pub struct Backend {
    pub id: String,
    pub pair: ClientKeyPair,
}

impl Harness {
    pub async fn start() -> Self {
        let cluster = tokio::task::spawn_blocking(Cluster::shared).await.unwrap();
        let name = format!("t{}", uuid::Uuid::new_v4().simple());
        let (admin, connection) = cluster.config().connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        admin.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        let mut database = cluster.config();
        database.dbname(&name);
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(database.clone(), NoTls, manager)).max_size(16).build().unwrap();
        pool.get().await.unwrap().batch_execute(SCHEMA).await.unwrap();
        let dir = std::env::temp_dir().join(format!("salus-auth-{name}"));
        let server = AuthServer::open(config(&dir), pool.clone()).unwrap();
        Self { server, pool, database, dir, _cluster: cluster }
    }

    /// Another node on the same database and key directory.
    pub fn another_node(&self) -> Arc<AuthServer> {
        AuthServer::open(config(&self.dir), self.pool.clone()).unwrap()
    }

    /// Where the signing keys are.
    pub fn keys_dir(&self) -> PathBuf {
        self.dir.join("keys")
    }

    pub async fn register(&self, client_id: &str) -> Backend {
        let pair = ClientKeyPair::generate().unwrap();
        self.server.clients().add(new_client(client_id, &pair)).await.unwrap();
        Backend { id: client_id.to_owned(), pair }
    }

    /// Asks for a token from an address that has not failed before.
    pub async fn token(&self, request: &TokenRequest) -> Result<TokenResponse, OAuthError> {
        self.server.token(request, Some(fresh_address())).await
    }

    /// A token of `backend` for all of its scope, as an `Authorization` header.
    pub async fn bearer(&self, backend: &Backend) -> String {
        let request = backend.request(self, "system/*.cruds");
        format!("Bearer {}", self.token(&request).await.unwrap().access_token)
    }

    pub fn token_url(&self) -> String {
        self.server.config().token_endpoint()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Backend {
    pub fn request(&self, harness: &Harness, scope: &str) -> TokenRequest {
        TokenRequest {
            grant_type: Some("client_credentials".to_owned()),
            scope: Some(scope.to_owned()),
            purpose_of_use: None,
            assertion: self.assertion(harness),
        }
    }

    pub fn assertion(&self, harness: &Harness) -> ClientAssertion {
        let jwt = sign_assertion(&self.pair.private_key_pem, &self.pair.kid, &self.id, &harness.token_url());
        assertion(jwt.unwrap())
    }

    pub fn signing_key(&self) -> EncodingKey {
        EncodingKey::from_ec_pem(self.pair.private_key_pem.as_bytes()).unwrap()
    }

    /// The claims of a good assertion.
    pub fn claims(&self, harness: &Harness) -> Value {
        json!({
            "iss": self.id, "sub": self.id, "aud": harness.token_url(),
            "iat": now(), "exp": now() + 120, "jti": uuid::Uuid::new_v4().to_string(),
        })
    }

    /// The header of a good assertion.
    pub fn header(&self) -> Value {
        json!({"alg": "ES384", "typ": "JWT", "kid": self.pair.kid})
    }
}

pub fn new_client(client_id: &str, pair: &ClientKeyPair) -> NewClient {
    NewClient {
        client_id: client_id.to_owned(),
        name: "A backend service".to_owned(),
        jwks: pair.jwks.clone(),
        jwks_uri: None,
        scope: "system/*.cruds".to_owned(),
        purpose_of_use: "TREAT".to_owned(),
        purposes: vec!["HRESCH".to_owned()],
        actors: vec!["Organization/1".to_owned()],
    }
}

pub fn assertion(jwt: String) -> ClientAssertion {
    ClientAssertion {
        client_id: None,
        client_assertion_type: Some(CLIENT_ASSERTION_TYPE.to_owned()),
        client_assertion: Some(jwt),
    }
}

/// Signs any header and claims, also ones that no honest library would.
pub fn sign(header: &Value, claims: &Value, key: &EncodingKey, algorithm: Algorithm) -> String {
    let message = unsigned(header, claims);
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    format!("{message}.{signature}")
}

/// Header and claims of a token, without a signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    let encode = |part: &Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(header), encode(claims))
}

/// One part of a token, read.
pub fn part(token: &str, at: usize) -> Value {
    let encoded = token.split('.').nth(at).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(encoded).unwrap()).unwrap()
}

/// Sets (or, with null, removes) a member.
pub fn with(mut object: Value, name: &str, value: Value) -> Value {
    let members = object.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    object
}

pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

pub fn fresh_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0x0a00_0000);
    IpAddr::V4(Ipv4Addr::from_bits(NEXT.fetch_add(1, Ordering::Relaxed)))
}

fn config(dir: &Path) -> AuthConfig {
    AuthConfig::new("https://salus.test", dir, ["Condition", "Encounter", "Observation", "Patient"])
}
