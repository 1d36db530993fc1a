//! Who is asking.

use crate::scope::Scope;

/// The authenticated caller of a request, as the access token tells it. Built by `salus-auth` from a
/// verified token, and for nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The tenant whose data this caller works on; 0 where there is but one.
    pub tenant: i32,
    /// OAuth `client_id`.
    pub client_id: String,
    /// The signed-in user; `None` for backend services.
    pub user: Option<User>,
    /// Logical id of the patient in launch context (`patient` claim).
    pub patient: Option<String>,
    /// What the token grants.
    pub scopes: Vec<Scope>,
    /// Purpose of use: a bare ActReason code such as `TREAT` (`purpose_of_use` claim).
    pub purpose_of_use: String,
    /// References by which a Consent may name this caller: the user's `fhirUser`, the client's
    /// Organization or Device (`Organization/1`).
    pub actors: Vec<String>,
    /// The token's `jti`.
    pub token_id: String,
    /// The token's `exp`, seconds since 1970-01-01T00:00:00Z.
    pub expires_at: i64,
}

/// A signed-in user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The account's name (`sub`).
    pub id: String,
    /// The `fhirUser` reference, e.g. `Practitioner/1`.
    pub fhir_user: Option<String>,
    /// Roles bound to the account: `clinician`, `analyst`, `administrator`, `compliance`, `patient`,
    /// `service`.
    pub roles: Vec<String>,
}
