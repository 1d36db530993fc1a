//! Registered clients: what each may ask for, and the keys that prove it is who it says.

pub(crate) mod jwks;
mod rows;

pub use jwks::parse_jwks;

use deadpool_postgres::Pool;
use jsonwebtoken::jwk::JwkSet;

use crate::changes::{self, Change};
use crate::{Error, Result};

/// How a client authenticates at the token endpoint (`token_endpoint_auth_method`, RFC 7591).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum AuthMethod {
    /// A signed assertion (RFC 7523; SMART "client-confidential-asymmetric").
    #[serde(rename = "private_key_jwt")]
    PrivateKeyJwt,
}

impl AuthMethod {
    /// The registered name of the method.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PrivateKeyJwt => "private_key_jwt",
        }
    }
}

/// A registered client.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Client {
    /// OAuth `client_id`.
    pub client_id: String,
    /// For people.
    pub name: String,
    /// How it authenticates.
    pub auth_method: AuthMethod,
    /// Its public keys.
    pub jwks: JwkSet,
    /// Where it publishes them: the only value that a `jku` header may have. Keys are not fetched
    /// from there; they come from `jwks`.
    pub jwks_uri: Option<String>,
    /// The most it may be granted, as a scope string.
    pub scope: String,
    /// ActReason code of its tokens where it asks for none.
    pub purpose_of_use: String,
    /// ActReason codes it may ask for; holds `purpose_of_use`.
    pub purposes: Vec<String>,
    /// References by which a Consent may name it (`Organization/1`).
    pub actors: Vec<String>,
    /// Where an authorization may be sent back to; none for backend services.
    pub redirect_uris: Vec<String>,
    /// When it was registered, seconds since 1970-01-01T00:00:00Z.
    pub created: i64,
    /// Since when it may no longer be used, if so.
    pub disabled: Option<i64>,
}

/// What is needed to register a backend service.
#[derive(Debug, Clone)]
pub struct NewClient {
    /// The id it will use: 1 to 256 visible ASCII characters.
    pub client_id: String,
    /// For people.
    pub name: String,
    /// Its public keys: RSA of 2048 to 8192 bits (RS384) or EC P-384 (ES384), each with a `kid`.
    pub jwks: JwkSet,
    /// See [`Client::jwks_uri`].
    pub jwks_uri: Option<String>,
    /// See [`Client::scope`]; `system/` scopes.
    pub scope: String,
    /// See [`Client::purpose_of_use`].
    pub purpose_of_use: String,
    /// See [`Client::purposes`]; the default purpose need not be repeated.
    pub purposes: Vec<String>,
    /// See [`Client::actors`].
    pub actors: Vec<String>,
}

/// The clients of one tenant. Works without a running server, for the command line. Cheap to make; keeps nothing in memory.
#[derive(Clone)]
pub struct Clients {
    pool: Pool,
    tenant: i32,
}

/// What is to be known of a token's client before the token is accepted.
pub(crate) struct Standing {
    /// `None` where the client is unknown or disabled.
    pub actors: Option<Vec<String>>,
    /// Whether this token was revoked.
    pub revoked: bool,
}

impl Clients {
    /// The clients of `tenant` in the database of `pool`.
    pub fn new(pool: Pool, tenant: i32) -> Self {
        Self { pool, tenant }
    }

    /// Registers a client, and returns it as stored.
    ///
    /// # Errors
    /// [`Error::Registration`] says which part cannot be used and what would be right;
    /// [`Error::DuplicateClient`] where the id is taken.
    pub async fn add(&self, new: NewClient) -> Result<Client> {
        let client = new.into_client(crate::server::unix_now())?;
        let connection = self.pool.get().await?;
        if rows::insert(&connection, self.tenant, &client).await? {
            Ok(client)
        } else {
            Err(Error::DuplicateClient(client.client_id))
        }
    }

    /// Every client, by id.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a database.
    pub async fn list(&self) -> Result<Vec<Client>> {
        rows::all(&self.pool.get().await?, self.tenant).await
    }

    /// The client of that id, disabled ones too.
    ///
    /// # Errors
    /// [`Error::Unavailable`] without a database.
    pub async fn find(&self, client_id: &str) -> Result<Option<Client>> {
        if !is_client_id(client_id) {
            return Ok(None);
        }
        rows::one(&self.pool.get().await?, self.tenant, client_id).await
    }

    /// Disables a client: it gets no token any more, and the tokens it has are refused at once, on
    /// every node.
    ///
    /// # Errors
    /// [`Error::UnknownClient`] where there is none of that id.
    pub async fn disable(&self, client_id: &str) -> Result<()> {
        self.change(client_id, rows::Update::Disabled(Some(crate::server::unix_now()))).await
    }

    /// Lets a disabled client be used again.
    ///
    /// # Errors
    /// [`Error::UnknownClient`] where there is none of that id.
    pub async fn enable(&self, client_id: &str) -> Result<()> {
        self.change(client_id, rows::Update::Disabled(None)).await
    }

    /// Replaces the client's public keys.
    ///
    /// # Errors
    /// [`Error::Registration`] where a key cannot be used, [`Error::UnknownClient`] where there is no
    /// such client.
    pub async fn replace_keys(&self, client_id: &str, jwks: &JwkSet) -> Result<()> {
        jwks::check(jwks)?;
        self.change(client_id, rows::Update::Jwks(jwks)).await
    }

    async fn change(&self, client_id: &str, update: rows::Update<'_>) -> Result<()> {
        let mut connection = self.pool.get().await?;
        let transaction = connection.transaction().await?;
        if !is_client_id(client_id) || !rows::update(&transaction, self.tenant, client_id, update).await? {
            return Err(Error::UnknownClient(client_id.to_owned()));
        }
        changes::announce(&transaction, self.tenant, &Change::Client).await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Everything that a token's acceptance depends on beside the token, in one round trip.
    pub(crate) async fn standing(&self, client_id: &str, token_id: &str) -> Result<Standing> {
        rows::standing(&self.pool.get().await?, self.tenant, client_id, token_id).await
    }
}

impl NewClient {
    fn into_client(self, created: i64) -> Result<Client> {
        let refuse = |message: String| Err(Error::Registration(message));
        if !is_client_id(&self.client_id) {
            return refuse("a client id is 1 to 256 visible ASCII characters without spaces".to_owned());
        }
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return refuse("a client needs a name for people, without control characters".to_owned());
        }
        jwks::check(&self.jwks)?;
        check_scope(&self.scope)?;
        let mut purposes = self.purposes;
        if !purposes.contains(&self.purpose_of_use) {
            purposes.insert(0, self.purpose_of_use.clone());
        }
        if let Some(purpose) = purposes.iter().find(|purpose| !is_purpose(purpose)) {
            return refuse(format!("purpose {purpose:?} is not an ActReason code such as TREAT"));
        }
        if let Some(actor) = self.actors.iter().find(|actor| !is_reference(actor)) {
            return refuse(format!("actor {actor:?} is not a reference such as Organization/1"));
        }
        if let Some(uri) = self.jwks_uri.as_deref().filter(|uri| !uri.starts_with("https://")) {
            return refuse(format!("jwks_uri {uri:?} must be an https URL"));
        }
        Ok(Client {
            client_id: self.client_id,
            name: self.name,
            auth_method: AuthMethod::PrivateKeyJwt,
            jwks: self.jwks,
            jwks_uri: self.jwks_uri,
            scope: self.scope,
            purpose_of_use: self.purpose_of_use,
            purposes,
            actors: self.actors,
            redirect_uris: Vec::new(),
            created,
            disabled: None,
        })
    }
}

/// A backend service acts for itself: there is no user and no launch, so `system/` is all it can hold.
fn check_scope(scope: &str) -> Result<()> {
    use salus_access::{Context, Scope};
    let scopes = salus_access::parse_scopes(scope);
    if scopes.is_empty() {
        return Err(Error::Registration("a client needs a scope, such as system/*.rs".to_owned()));
    }
    match scopes.iter().find(|scope| !matches!(scope, Scope::Resource { context: Context::System, .. })) {
        Some(other) => Err(Error::Registration(format!(
            "scope {other} is not for a backend service; use system/ scopes such as system/Observation.rs"
        ))),
        None => Ok(()),
    }
}

/// RFC 6749, appendix A.1, without the space, and bounded.
pub(crate) fn is_client_id(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// The form of an ActReason code. Which of them a client may use is its registration's matter.
pub(crate) fn is_purpose(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn is_reference(text: &str) -> bool {
    let Some((resource_type, id)) = text.split_once('/') else {
        return false;
    };
    resource_type.bytes().all(|byte| byte.is_ascii_alphabetic())
        && resource_type.starts_with(|c: char| c.is_ascii_uppercase())
        && (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::new_client;

    #[test]
    fn a_registration_says_what_is_wrong_with_it() {
        type Spoil = fn(&mut NewClient);
        let cases: [(&str, Spoil); 9] = [
            ("client id", |new| new.client_id = "a b".to_owned()),
            ("client id", |new| new.client_id = "x".repeat(257)),
            ("name", |new| new.name = " ".to_owned()),
            ("scope", |new| new.scope = String::new()),
            ("not for a backend service", |new| new.scope = "system/*.rs patient/*.rs".to_owned()),
            ("not for a backend service", |new| new.scope = "system/*.xyz".to_owned()),
            ("ActReason", |new| new.purposes = vec!["TREAT|1".to_owned()]),
            ("actor", |new| new.actors = vec!["Organization".to_owned()]),
            ("https", |new| new.jwks_uri = Some("http://x/jwks".to_owned())),
        ];
        for (expected, spoil) in cases {
            let (mut new, _) = new_client("backend");
            spoil(&mut new);
            let error = new.into_client(0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn the_default_purpose_is_among_the_allowed_ones() {
        let (mut new, _) = new_client("backend");
        new.purpose_of_use = "TREAT".to_owned();
        new.purposes = vec!["HRESCH".to_owned()];
        assert_eq!(new.into_client(0).unwrap().purposes, ["TREAT", "HRESCH"]);
    }
}
