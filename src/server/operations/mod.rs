//! FHIR operations, a file each (R4 operations.html).

pub mod risk_score;

use salus_access::Operation;
use salus_fhir::outcome::IssueCode;

use crate::dispatch::{Act, Done};
use crate::failure::Failure;

/// The operations that this build serves, with their `$`.
const SERVED: [&str; 1] = ["$risk-score"];

/// Whether `$name` is served.
pub fn is_served(name: &str) -> bool {
    SERVED.contains(&name)
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
