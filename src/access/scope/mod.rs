//! OAuth scopes as SMART App Launch 2.2 defines them, with the v1 forms.
//!
//! Source: SMART App Launch 2.2, "Scopes and Launch Context". A resource scope is
//! `context/Type.permissions?parameters`. The v1 permissions are read as `.read` = `.rs`, `.write` =
//! `.cud`, `.*` = `.cruds`, and remembered, so that a client that asked in v1 is answered in v1.
//!
//! A resource scope whose permissions are unknown, repeated or out of the order `cruds` is refused
//! by [`Scope::from_str`]; in a list it is kept as [`Scope::Other`], which grants nothing.

mod narrow;
mod parse;
mod permissions;

use std::fmt;

pub use narrow::narrow;
pub use parse::parse_scopes;
pub use permissions::{Permission, Permissions};

/// One OAuth scope. Its [`Display`](fmt::Display) writes the scope back.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Access to FHIR resources: `patient/Observation.rs?category=laboratory`.
    Resource {
        /// Whose data: the launch patient's, what the user may see, or what the client may see.
        context: Context,
        /// A resource type, or `*` for all of them.
        resource_type: String,
        /// What may be done.
        permissions: Permissions,
        /// Search parameters (name with modifier, value) that a resource must match, all of them;
        /// percent-decoded. Empty: no further limit.
        filters: Vec<(String, String)>,
        /// Whether it was written in v1 form (`.read`); only for writing it back.
        v1: bool,
    },
    /// Launch context: `None` is `launch`, else what follows `launch/` (`patient`, `encounter`).
    Launch(Option<String>),
    /// `openid`: an ID token.
    OpenId,
    /// `fhirUser`: the `fhirUser` claim in the ID token.
    FhirUser,
    /// `profile`: OpenID Connect profile claims.
    Profile,
    /// `offline_access`: a refresh token that outlives the session.
    OfflineAccess,
    /// `online_access`: a refresh token for as long as the user is online.
    OnlineAccess,
    /// Anything else, verbatim; grants nothing on FHIR resources.
    Other(String),
}

/// What a resource scope is bounded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Context {
    /// `patient/`: the patient in launch context.
    Patient,
    /// `user/`: what the signed-in user may see.
    User,
    /// `system/`: what the client itself may see (backend services).
    System,
}

impl Context {
    /// The word before the slash: `patient`, `user`, `system`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::User => "user",
            Self::System => "system",
        }
    }
}

impl Scope {
    /// A resource scope in v2 form without filters. `resource_type` is `*` for all types.
    pub fn resource(context: Context, resource_type: &str, permissions: Permissions) -> Self {
        Self::Resource { context, resource_type: resource_type.to_owned(), permissions, filters: Vec::new(), v1: false }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource { context, resource_type, permissions, filters, v1 } => {
                write!(f, "{}/{resource_type}.", context.as_str())?;
                match permissions.v1_name().filter(|_| *v1) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{permissions}")?,
                }
                for (index, (name, value)) in filters.iter().enumerate() {
                    f.write_str(if index == 0 { "?" } else { "&" })?;
                    parse::write_encoded(f, name)?;
                    f.write_str("=")?;
                    parse::write_encoded(f, value)?;
                }
                Ok(())
            }
            Self::Launch(None) => f.write_str("launch"),
            Self::Launch(Some(what)) => write!(f, "launch/{what}"),
            Self::OpenId => f.write_str("openid"),
            Self::FhirUser => f.write_str("fhirUser"),
            Self::Profile => f.write_str("profile"),
            Self::OfflineAccess => f.write_str("offline_access"),
            Self::OnlineAccess => f.write_str("online_access"),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// What a scope on all types (`*`) stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wildcard {
    /// All types.
    AllTypes,
    /// All but AuditEvent, which names what Consent hides, and so has to be named itself (decision 9).
    #[default]
    AllButTrail,
}

impl Wildcard {
    /// Whether a scope on `scoped` (a type or `*`) bears on `resource_type`, which may be `*` too.
    pub(crate) fn bears(self, scoped: &str, resource_type: &str) -> bool {
        scoped == resource_type || (scoped == "*" && (self == Self::AllTypes || resource_type != "AuditEvent"))
    }
}

#[cfg(test)]
mod tests;
