//! Why a request is not authorized.

/// A refusal. Each is HTTP 403 with an OperationOutcome issue of code `forbidden`, and audited. The
/// message names scopes, types and roles, never data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No scope of the token grants it. Also `WWW-Authenticate: Bearer error="insufficient_scope"`
    /// (RFC 6750 section 3.1).
    #[error("the access token does not grant this: it takes a scope such as {needed}")]
    InsufficientScope {
        /// A scope that would have been enough.
        needed: String,
    },
    /// A `patient/` scope grants it, but the token has no patient in context.
    #[error("the token's patient/ scopes grant nothing, for it has no patient in context")]
    PatientContext,
    /// A scope grants it, but the user's roles do not reach that far.
    #[error("the user's roles do not allow what scope {needed} grants")]
    Role {
        /// The scope that the roles cut off.
        needed: String,
    },
    /// Purpose `BTG` by a client on its own, or by a user none of whose roles allows it.
    #[error("purpose of use BTG (break the glass) is only for users whose role allows it")]
    BreakGlass,
    /// An AuditEvent cannot be created, changed or deleted over the API.
    #[error("AuditEvents are written by the server alone, and neither changed nor deleted")]
    AppendOnly,
    /// The resource type is none that the loaded packages define.
    #[error("no such resource type")]
    UnknownType,
    /// The policy could not be evaluated. Failing closed: nothing is granted. Worth an alert.
    #[error("the access policy could not be evaluated")]
    Policy {
        /// What the policy engine said; for the log, not for the caller.
        reason: String,
    },
}

impl Refusal {
    /// The HTTP status: 403.
    pub fn status(&self) -> u16 {
        403
    }

    /// The OperationOutcome issue code (R4 valueset-issue-type): `forbidden`.
    pub fn issue_code(&self) -> &'static str {
        "forbidden"
    }
}
