//! What happened, and how it ended.

use serde::{Deserialize, Serialize};

/// What happened; selects the BALP profile and the codes of the rendered AuditEvent.
///
/// The patient variants of the profiles follow from [`AuditRecord::patients`](super::AuditRecord::patients).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditKind {
    /// A resource was shown: `read`, `vread`.
    Read,
    /// A search, or one page of it, was answered.
    Query,
    /// A history was shown: `history-instance`, `history-type`, `history-system`.
    History,
    /// A resource was created.
    Create,
    /// A resource was changed: `update`, `patch`.
    Update,
    /// A resource was deleted.
    Delete,
    /// An operation ran that no other kind tells of.
    Operation,
    /// A model was run on a patient's data; [`AuditRecord::model`](super::AuditRecord::model) says which.
    ModelUse,
    /// Data left in bulk or was disclosed beyond care.
    Export,
    /// Data came in, in bulk.
    Import,
    /// A request was refused for want of authority.
    AccessDenied,
    /// An access token was issued (IUA ITI-71).
    TokenIssued,
    /// A request for an access token was refused.
    TokenRefused,
    /// A token was revoked, or a request to do so refused.
    TokenRevoked,
    /// A token was introspected (IUA ITI-102), or a request to do so refused.
    TokenIntrospected,
    /// A user signed in, or failed to.
    Login,
    /// A user signed out.
    Logout,
    /// A Consent decided about a request.
    ConsentDecision,
    /// A user broke the glass (purpose `BTG`).
    BreakGlass,
    /// The security configuration changed: clients, users, roles, keys, packages, models.
    Configuration,
    /// Something that a security officer should look at.
    SecurityAlert(Alert),
    /// The audit log was read or verified.
    AuditLogUse,
    /// The server began to serve.
    ServerStarted,
    /// The server stopped.
    ServerStopped,
}

/// What a security alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alert {
    /// Many unknown ids were asked for by one client or address.
    IdProbing,
    /// Many bad tokens came from one client or address.
    TokenGuessing,
    /// Many sign-ins failed for one user or address.
    SignInAttack,
    /// The audit log, its hashes or its heads do not hold.
    LogTampering,
}

/// `AuditEvent.outcome` (`http://terminology.hl7.org/CodeSystem/audit-event-outcome`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub enum Outcome {
    /// It went as asked.
    Success,
    /// The caller's mistake: not found, invalid, conflict.
    MinorFailure,
    /// The caller was refused, or the server failed.
    SeriousFailure,
    /// The server cannot go on.
    MajorFailure,
}

impl Outcome {
    /// The outcome that an HTTP status tells of: 401, 403 and 5xx are serious, other 4xx minor.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 403 | 500.. => Self::SeriousFailure,
            400..500 => Self::MinorFailure,
            _ => Self::Success,
        }
    }

    /// The code: `0`, `4`, `8` or `12`.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Success => "0",
            Self::MinorFailure => "4",
            Self::SeriousFailure => "8",
            Self::MajorFailure => "12",
        }
    }
}

impl From<Outcome> for u8 {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Success => 0,
            Outcome::MinorFailure => 4,
            Outcome::SeriousFailure => 8,
            Outcome::MajorFailure => 12,
        }
    }
}

impl TryFrom<u8> for Outcome {
    type Error = String;

    fn try_from(code: u8) -> Result<Self, String> {
        match code {
            0 => Ok(Self::Success),
            4 => Ok(Self::MinorFailure),
            8 => Ok(Self::SeriousFailure),
            12 => Ok(Self::MajorFailure),
            other => Err(format!("no outcome {other}")),
        }
    }
}
