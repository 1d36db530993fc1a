//! What can go wrong, in the three vocabularies that callers speak.
//!
//! - [`OAuthError`]: the answer of an OAuth endpoint (RFC 6749, section 5.2).
//! - [`BearerError`]: why a bearer token does not open a FHIR endpoint (RFC 6750, section 3).
//! - [`Error`]: everything else, seen by operators (the command line, start-up).

use std::time::Duration;

/// `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// A failure outside a protocol answer: start-up, key files, client management.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 503 `transient`: the database cannot be reached, or refused.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// 500 `exception`: a key file cannot be read, written or understood.
    #[error("signing keys: {0}")]
    Keys(String),
    /// 400 `invalid`: what was given to register a client cannot be used.
    #[error("client registration: {0}")]
    Registration(String),
    /// 404 `not-found`: no client of that id.
    #[error("there is no client {0}")]
    UnknownClient(String),
    /// 409 `duplicate`: the client id is taken.
    #[error("there is already a client {0}")]
    DuplicateClient(String),
    /// 500 `exception`: signing failed, or stored data does not parse.
    #[error("internal error: {0}")]
    Internal(String),
}

impl From<tokio_postgres::Error> for Error {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // The message of a database error may quote data; its code and routine do not.
            Some(db) => Self::Unavailable(format!("SQLSTATE {} in {}", db.code().code(), db.routine().unwrap_or("?"))),
            None => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Error {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        match error {
            deadpool_postgres::PoolError::Backend(error) => error.into(),
            other => Self::Unavailable(other.to_string()),
        }
    }
}

impl From<jsonwebtoken::errors::Error> for Error {
    fn from(error: jsonwebtoken::errors::Error) -> Self {
        Self::Internal(format!("jose: {error}"))
    }
}

/// The `error` of an OAuth answer (RFC 6749, section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OAuthErrorCode {
    /// 400: a parameter is missing, repeated, malformed or not supported.
    InvalidRequest,
    /// 401: the client did not authenticate, or the assertion is not accepted.
    InvalidClient,
    /// 400: the client may not use this grant.
    UnauthorizedClient,
    /// 400: the grant type is not offered.
    UnsupportedGrantType,
    /// 400: the scope is missing, malformed, or nothing of it can be granted.
    InvalidScope,
    /// 401: the bearer token that authenticates the caller is not accepted (RFC 6750).
    InvalidToken,
    /// 429: too many failures; see [`OAuthError::retry_after`].
    TooManyRequests,
    /// 503: the database is not available; nothing was granted.
    TemporarilyUnavailable,
    /// 500: a fault of ours.
    ServerError,
}

impl OAuthErrorCode {
    /// The value of the `error` member.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidToken => "invalid_token",
            // RFC 6749 has no code for throttling; this is the one that means "ask again later".
            Self::TooManyRequests | Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }

    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::TooManyRequests => 429,
            Self::TemporarilyUnavailable => 503,
            Self::ServerError => 500,
            _ => 400,
        }
    }
}

/// The error answer of an OAuth endpoint; serialises to its JSON body. To be sent with
/// [`status`](Self::status), `Cache-Control: no-store` and, where set, `Retry-After`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OAuthError {
    code: OAuthErrorCode,
    description: String,
    retry_after: Option<Duration>,
}

impl OAuthError {
    /// An error with a description that a developer of the client can act on. Characters that
    /// RFC 6749 forbids in `error_description` (quotes, backslashes, anything but printable ASCII)
    /// are replaced, since parts of it may have come from the request.
    pub fn new(code: OAuthErrorCode, description: impl AsRef<str>) -> Self {
        let description = description
            .as_ref()
            .chars()
            .map(|c| match c {
                '"' => '\'',
                '\\' => '/',
                ' '..='~' => c,
                _ => '?',
            })
            .collect();
        Self { code, description, retry_after: None }
    }

    pub(crate) fn invalid_request(description: impl AsRef<str>) -> Self {
        Self::new(OAuthErrorCode::InvalidRequest, description)
    }

    pub(crate) fn invalid_client(description: impl AsRef<str>) -> Self {
        Self::new(OAuthErrorCode::InvalidClient, description)
    }

    pub(crate) fn too_many_requests(retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(
                OAuthErrorCode::TooManyRequests,
                "too many failed requests of this client or address; wait and retry",
            )
        }
    }

    /// The `error` code.
    pub fn code(&self) -> OAuthErrorCode {
        self.code
    }

    /// The `error_description`.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        self.code.status()
    }

    /// Seconds for the `Retry-After` header, rounded up; set on 429.
    pub fn retry_after(&self) -> Option<u64> {
        self.retry_after.map(|wait| wait.as_millis().div_ceil(1000) as u64)
    }

    /// The value of `WWW-Authenticate`, where the caller presented a bearer token that is not accepted.
    pub fn www_authenticate(&self) -> Option<String> {
        (self.code == OAuthErrorCode::InvalidToken).then(|| challenge(&self.description))
    }

    /// Whether this counts towards the limit on failures: what the caller did wrong, not what we did.
    pub(crate) fn is_callers_fault(&self) -> bool {
        matches!(self.status(), 400 | 401)
    }
}

impl std::fmt::Display for OAuthError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl std::error::Error for OAuthError {}

impl serde::Serialize for OAuthError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut body = serializer.serialize_struct("OAuthError", 2)?;
        body.serialize_field("error", self.code.as_str())?;
        body.serialize_field("error_description", &self.description)?;
        body.end()
    }
}

impl From<Error> for OAuthError {
    fn from(error: Error) -> Self {
        tracing::error!(%error, "authorization server");
        match error {
            Error::Unavailable(_) => {
                Self::new(OAuthErrorCode::TemporarilyUnavailable, "the server cannot reach its database; retry")
            }
            _ => Self::new(OAuthErrorCode::ServerError, "the server failed to answer; its log says why"),
        }
    }
}

/// Why a request with (or without) a bearer token is not let in. The status is 401 but for
/// [`Unavailable`](Self::Unavailable) (503); each variant's text is safe to send and to audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BearerError {
    /// 401 `login`: no `Authorization: Bearer` header.
    #[error("this request needs an access token (Authorization: Bearer)")]
    Missing,
    /// 401 `login`: not a signed token in compact form, or claims that do not parse.
    #[error("the access token is malformed")]
    Malformed,
    /// 401 `login`: some other JWT (an id token, an assertion): `typ` is not `at+jwt`.
    #[error("the token is not an access token of this server (typ must be at+jwt)")]
    WrongType,
    /// 401 `login`: `alg` is not the one this server signs with.
    #[error("the access token is not signed with an algorithm of this server")]
    WrongAlgorithm,
    /// 401 `login`: `kid` names no current key of this server.
    #[error("the access token is not signed with a current key of this server")]
    UnknownKey,
    /// 401 `login`: the signature does not verify.
    #[error("the signature of the access token does not verify")]
    BadSignature,
    /// 401 `login`: `iss` is another server.
    #[error("the access token was issued by another server")]
    WrongIssuer,
    /// 401 `login`: `aud` is not this FHIR base.
    #[error("the access token is for another audience than this FHIR server")]
    WrongAudience,
    /// 401 `expired`: `exp` has passed.
    #[error("the access token has expired")]
    Expired,
    /// 401 `login`: `nbf` or `iat` is in the future.
    #[error("the access token is not valid yet")]
    NotYetValid,
    /// 401 `login`: revoked by its client or an administrator.
    #[error("the access token was revoked")]
    Revoked,
    /// 401 `login`: the client was disabled or removed since.
    #[error("the client of the access token may no longer be used")]
    ClientDisabled,
    /// 503 `transient`: whether the token still holds cannot be told without the database.
    #[error("the access token cannot be checked now; retry")]
    Unavailable,
}

impl BearerError {
    /// The HTTP status.
    pub fn status(self) -> u16 {
        if self == Self::Unavailable { 503 } else { 401 }
    }

    /// The OperationOutcome issue code (R4 `issue-type`).
    pub fn issue_code(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unavailable => "transient",
            _ => "login",
        }
    }

    /// The value of `WWW-Authenticate` (RFC 6750, section 3): bare where nothing was presented, with
    /// `invalid_token` and the reason otherwise.
    pub fn www_authenticate(self) -> String {
        match self {
            Self::Missing => "Bearer realm=\"salus\"".to_owned(),
            _ => challenge(&self.to_string()),
        }
    }
}

fn challenge(description: &str) -> String {
    format!("Bearer realm=\"salus\", error=\"invalid_token\", error_description=\"{description}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_keep_to_the_characters_of_rfc_6749() {
        let error = OAuthError::invalid_request("a \"quoted\" \\ line\nwith ünicode \u{0}");
        assert_eq!(error.description(), "a 'quoted' / line?with ?nicode ?");
        assert_eq!(
            serde_json::to_value(&error).unwrap(),
            serde_json::json!({"error": "invalid_request", "error_description": "a 'quoted' / line?with ?nicode ?"})
        );
    }

    #[test]
    fn retry_after_rounds_up() {
        assert_eq!(OAuthError::too_many_requests(Duration::from_millis(1001)).retry_after(), Some(2));
        assert_eq!(OAuthError::too_many_requests(Duration::from_millis(1001)).status(), 429);
        assert_eq!(OAuthError::invalid_client("x").retry_after(), None);
    }

    #[test]
    fn a_request_without_a_token_gets_a_bare_challenge() {
        assert_eq!(BearerError::Missing.www_authenticate(), "Bearer realm=\"salus\"");
        assert!(BearerError::Expired.www_authenticate().contains("error=\"invalid_token\""));
    }
}
