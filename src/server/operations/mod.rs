//! FHIR operations, a file each (R4 operations.html).

pub mod risk_score;

use salus_access::Operation;
use salus_fhir::outcome::IssueCode;

use crate::dispatch::{Act, Done};
use crate::failure::Failure;

/// An operation that this build serves.
pub struct Served {
    /// Its name, without the `$`; also the id of its OperationDefinition.
    pub name: &'static str,
    /// The resource type it is called on.
    pub on: &'static str,
    /// Its OperationDefinition, JSON.
    pub definition: &'static str,
}

/// The operations that this build serves.
pub const SERVED: [Served; 1] = [Served {
    name: "risk-score",
    on: "Patient",
    definition: include_str!("../../../operations/risk-score/OperationDefinition-risk-score.json"),
}];

/// Whether an operation, named with its `$`, is served.
pub fn is_served(name: &str) -> bool {
    name.strip_prefix('$').is_some_and(|name| SERVED.iter().any(|served| served.name == name))
}

/// Runs an operation.
///
/// # Errors
/// What the operation refuses.
pub async fn act(act: &Act<'_>, operation: &Operation) -> Result<Done, Failure> {
    match operation.name {
        "risk-score" => risk_score::act(act).await,
        name => Err(Failure::new(404, IssueCode::NotSupported, format!("no operation ${name} here"))),
    }
}
