//! FHIR operations, a file each (R4 operations.html).

pub mod everything;
mod parameters;
pub mod reindex;
pub mod risk_score;

use salus_access::Operation;
use salus_fhir::json::JsonError;
use salus_fhir::outcome::IssueCode;

use crate::dispatch::{Act, Done};
use crate::failure::Failure;

/// An operation that this build serves.
pub struct Served {
    /// Its name, without the `$`; also the id of its OperationDefinition.
    pub name: &'static str,
    /// The resource types it is called on; [`ALL_TYPES`] for every one.
    pub on: &'static [&'static str],
    /// Whether it is called on the system.
    pub on_system: bool,
    /// Its OperationDefinition, JSON.
    pub definition: &'static str,
}

/// Every resource type, as OperationDefinition.resource says it.
pub const ALL_TYPES: &[&str] = &["Resource"];

/// The operations that this build serves.
pub const SERVED: [Served; 3] = [
    Served {
        name: "everything",
        on: &["Patient", "Encounter", "Group"],
        on_system: false,
        definition: include_str!("../../../operations/everything/OperationDefinition-everything.json"),
    },
    Served {
        name: "reindex",
        on: ALL_TYPES,
        on_system: true,
        definition: include_str!("../../../operations/reindex/OperationDefinition-reindex.json"),
    },
    Served {
        name: "risk-score",
        on: &["Patient"],
        on_system: false,
        definition: include_str!("../../../operations/risk-score/OperationDefinition-risk-score.json"),
    },
];

/// Whether an operation, named with its `$`, is served on a type (`None`: on the system).
pub fn is_served(name: &str, on: Option<&str>) -> bool {
    let name = name.strip_prefix('$').unwrap_or(name);
    let takes = |served: &Served| match on {
        None => served.on_system,
        Some(on) => served.on == ALL_TYPES || served.on.contains(&on),
    };
    SERVED.iter().any(|served| served.name == name && takes(served))
}

/// A stored resource that is no JSON.
fn unreadable(error: JsonError) -> Failure {
    tracing::error!(offset = error.offset, "a stored resource cannot be parsed");
    Failure::new(500, IssueCode::Exception, "a stored resource cannot be read")
}

/// Runs an operation.
///
/// # Errors
/// What the operation refuses.
pub async fn act(act: &Act<'_>, operation: &Operation) -> Result<Done, Failure> {
    match operation.name {
        "everything" => everything::act(act).await,
        "reindex" => reindex::act(act).await,
        "risk-score" => risk_score::act(act).await,
        name => Err(Failure::new(404, IssueCode::NotSupported, format!("no operation ${name} here"))),
    }
}
