//! What can go wrong in this crate other than a refusal (see [`crate::Refusal`] for those).

/// A failure to set up or to read. None of these stems from a FHIR request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The Datalog policy does not parse: the build is broken. The server does not start.
    #[error("the access policy does not parse: {0}")]
    Policy(String),
    /// The loaded packages carry no Patient compartment, so `patient/` scopes have no meaning. The
    /// server does not start.
    #[error("the loaded FHIR packages define no Patient compartment")]
    NoPatientCompartment,
    /// A scope that looks like a SMART resource scope and is none. At the token endpoint: 400
    /// `invalid_scope` (RFC 6749 section 5.2), or the scope is left out (SMART App Launch 2.2,
    /// "Scopes for requesting FHIR Resources": such requests "MAY be ignored").
    #[error("scope '{scope}': {reason}")]
    Scope {
        /// The scope as it was sent.
        scope: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}
