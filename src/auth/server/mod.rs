//! The authorization server, whole: its endpoints. What keeps it going is in `upkeep`.

mod upkeep;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use deadpool_postgres::Pool;
use jsonwebtoken::jwk::JwkSet;
use salus_access::{Principal, parse_scopes};

use crate::grant_types::client_credentials;
use crate::introspection::IntrospectionResponse;
use crate::throttle::Throttle;
use crate::tokens::{self, AccessTokenClaims, TokenCache};
use crate::{
    AuthConfig, BearerError, Client, ClientAssertion, Clients, IntrospectionRequest, OAuthError, OAuthErrorCode,
    Result, RevocationRequest, ServerKeys, SmartConfiguration, TokenRequest, TokenResponse, assertion, revocation,
};

/// At most so often does an unknown `kid` make the key directory be read (ms).
const RELOAD_INTERVAL: i64 = 1_000;

/// One tenant's authorization server on this node.
pub struct AuthServer {
    config: AuthConfig,
    token_endpoint: String,
    pool: Pool,
    keys: ServerKeys,
    clients: Clients,
    tokens: TokenCache,
    throttle: Throttle,
    /// When the key directory was last read for an unknown `kid`, ms since the epoch.
    reloaded: AtomicI64,
}

impl AuthServer {
    /// Opens the key directory (see [`ServerKeys::open`]) and starts with empty caches. Tables must be
    /// migrated; nothing is asked of the database yet.
    ///
    /// # Errors
    /// [`Error::Keys`] where the signing keys cannot be used.
    pub fn open(config: AuthConfig, pool: Pool) -> Result<Arc<Self>> {
        Ok(Arc::new(Self {
            keys: ServerKeys::open(&config.keys_dir, config.access_token_lifetime)?,
            clients: Clients::new(pool.clone(), config.tenant),
            token_endpoint: config.token_endpoint(),
            tokens: TokenCache::new(),
            throttle: Throttle::new(),
            reloaded: AtomicI64::new(0),
            config,
            pool,
        }))
    }

    /// The settings.
    pub fn config(&self) -> &AuthConfig {
        &self.config
    }

    /// The registered clients.
    pub fn clients(&self) -> &Clients {
        &self.clients
    }

    /// The signing keys.
    pub fn keys(&self) -> &ServerKeys {
        &self.keys
    }

    /// The body of `GET /auth/jwks`.
    pub fn jwks(&self) -> JwkSet {
        self.keys.jwks()
    }

    /// The body of `GET /fhir/.well-known/smart-configuration`.
    pub fn smart_configuration(&self) -> SmartConfiguration {
        SmartConfiguration::of(&self.config)
    }

    /// `POST /auth/token`. `address` is the caller's, for the limit on failures.
    ///
    /// # Errors
    /// An [`OAuthError`] with the status and body to send.
    pub async fn token(
        &self,
        request: &TokenRequest,
        address: Option<IpAddr>,
    ) -> std::result::Result<TokenResponse, OAuthError> {
        self.limited(&request.assertion, address, async {
            match request.grant_type.as_deref() {
                Some("client_credentials") => {
                    let client = self.authenticate_client(&request.assertion).await?;
                    client_credentials::grant(&self.config, &self.keys, &client, request, unix_now())
                }
                Some(other) => Err(OAuthError::new(
                    OAuthErrorCode::UnsupportedGrantType,
                    format!("grant_type {other} is not offered; use client_credentials"),
                )),
                None => Err(OAuthError::invalid_request("grant_type is missing; use client_credentials")),
            }
        })
        .await
    }

    /// `POST /auth/introspect`. The caller authenticates by an assertion (with the token endpoint as
    /// its audience) or by an access token of its own in `authorization`, the header's value.
    ///
    /// # Errors
    /// An [`OAuthError`] with the status and body to send; never because of the token asked about.
    pub async fn introspect(
        &self,
        request: &IntrospectionRequest,
        authorization: Option<&str>,
        address: Option<IpAddr>,
    ) -> std::result::Result<IntrospectionResponse, OAuthError> {
        self.limited(&request.assertion, address, async {
            if authorization.is_some() {
                self.authenticate(authorization).await.map_err(bearer_refused)?;
            } else {
                self.authenticate_client(&request.assertion).await?;
            }
            match self.check(&request.token, unix_now()).await {
                Ok((claims, _)) => Ok(IntrospectionResponse::active(claims, &self.config)),
                Err(BearerError::Unavailable) => Err(bearer_refused(BearerError::Unavailable)),
                Err(_) => Ok(IntrospectionResponse::INACTIVE),
            }
        })
        .await
    }

    /// `POST /auth/revoke`: 200 with an empty body where `Ok`, also for tokens that are none, or no
    /// longer (RFC 7009, section 2.2). The caller authenticates by an assertion. Gives the id (`jti`) of
    /// the token that is now revoked, if it was one.
    ///
    /// # Errors
    /// An [`OAuthError`] with the status and body to send: where the caller did not authenticate, and
    /// where the token is another client's (`unauthorized_client`; RFC 7009, section 2.1).
    pub async fn revoke(
        &self,
        request: &RevocationRequest,
        address: Option<IpAddr>,
    ) -> std::result::Result<Option<String>, OAuthError> {
        self.limited(&request.assertion, address, async {
            let client = self.authenticate_client(&request.assertion).await?;
            let Ok(claims) = tokens::verify(&self.config, &self.keys, &request.token, unix_now()) else {
                return Ok(None);
            };
            if claims.client_id != client.client_id {
                return Err(OAuthError::new(
                    OAuthErrorCode::UnauthorizedClient,
                    "the token was issued to another client",
                ));
            }
            revocation::store(&self.pool, self.config.tenant, &client.client_id, &claims.jti, claims.exp).await?;
            self.tokens.revoke(claims.jti.clone(), claims.exp);
            Ok(Some(claims.jti))
        })
        .await
    }

    /// Who is asking, by the value of the `Authorization` header.
    ///
    /// # Errors
    /// A [`BearerError`] that says why the request is not let in.
    pub async fn authenticate(&self, authorization: Option<&str>) -> std::result::Result<Arc<Principal>, BearerError> {
        let token = bearer_token(authorization.ok_or(BearerError::Missing)?)?;
        let now = unix_now_ms();
        if let Some(principal) = self.tokens.get(token, now) {
            return Ok(principal);
        }
        let freshness = self.tokens.begin(now);
        let (claims, actors) = self.check(token, now / 1000).await?;
        let principal = Arc::new(Principal {
            tenant: self.config.tenant,
            client_id: claims.client_id,
            user: None,
            patient: None,
            scopes: parse_scopes(&claims.scope),
            purpose_of_use: claims.purpose_of_use,
            actors,
            token_id: claims.jti,
            expires_at: claims.exp,
        });
        self.tokens.insert(token, principal.clone(), freshness);
        Ok(principal)
    }

    async fn authenticate_client(&self, assertion: &ClientAssertion) -> std::result::Result<Client, OAuthError> {
        let tenant = self.config.tenant;
        assertion::authenticate(&self.clients, &self.pool, tenant, &self.token_endpoint, assertion, unix_now()).await
    }

    /// Runs a request unless its client or address failed too often, and counts it if it fails.
    async fn limited<T>(
        &self,
        assertion: &ClientAssertion,
        address: Option<IpAddr>,
        request: impl Future<Output = std::result::Result<T, OAuthError>>,
    ) -> std::result::Result<T, OAuthError> {
        let client = assertion.claimed_client();
        self.throttle.check(client.as_deref(), address, Instant::now()).map_err(OAuthError::too_many_requests)?;
        let outcome = request.await;
        if outcome.as_ref().is_err_and(OAuthError::is_callers_fault) {
            self.throttle.failed(client.as_deref(), address, Instant::now());
        }
        outcome
    }

    /// The claims of a token that holds at `now`, and its client's actors; asks the database.
    async fn check(&self, token: &str, now: i64) -> std::result::Result<(AccessTokenClaims, Vec<String>), BearerError> {
        let mut verified = tokens::verify(&self.config, &self.keys, token, now);
        // Perhaps another process made a key that this one has not heard of.
        if matches!(verified, Err(BearerError::UnknownKey)) && self.reload_keys() {
            verified = tokens::verify(&self.config, &self.keys, token, now);
        }
        let claims = verified?;
        let standing = self.clients.standing(&claims.client_id, &claims.jti).await.map_err(|error| {
            tracing::error!(%error, "cannot check an access token");
            BearerError::Unavailable
        })?;
        if standing.revoked || self.tokens.is_revoked(&claims.jti) {
            return Err(BearerError::Revoked);
        }
        let actors = standing.actors.ok_or(BearerError::ClientDisabled)?;
        Ok((claims, actors))
    }

    /// Reads the key directory again, unless that was just done.
    fn reload_keys(&self) -> bool {
        let now = unix_now_ms();
        let last = self.reloaded.load(Ordering::Relaxed);
        let due = now - last >= RELOAD_INTERVAL
            && self.reloaded.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        due && self.keys.reload().inspect_err(|error| tracing::error!(%error, "cannot read the signing keys")).is_ok()
    }
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
fn bearer_token(authorization: &str) -> std::result::Result<&str, BearerError> {
    // Another scheme is as good as none: the challenge says which one is wanted.
    let (scheme, token) = authorization.split_once(' ').ok_or(BearerError::Missing)?;
    if !scheme.eq_ignore_ascii_case("Bearer") {
        return Err(BearerError::Missing);
    }
    Ok(token.trim_matches(' '))
}

fn bearer_refused(error: BearerError) -> OAuthError {
    let code = match error {
        BearerError::Unavailable => OAuthErrorCode::TemporarilyUnavailable,
        _ => OAuthErrorCode::InvalidToken,
    };
    OAuthError::new(code, error.to_string())
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub(crate) fn unix_now_ms() -> i64 {
    // A clock before 1970 makes every token refused, which is right.
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Seconds since 1970-01-01T00:00:00Z.
pub(crate) fn unix_now() -> i64 {
    unix_now_ms() / 1000
}
