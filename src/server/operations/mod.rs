//! FHIR operations, a file each (R4 operations.html).

pub mod docref;
pub mod everything;
pub mod graphql;
pub mod lastn;
pub mod meta;
mod parameters;
pub mod reindex;
pub mod risk_score;
pub mod stats;
pub mod validate;

use salus_access::Operation;
use salus_fhir::json::JsonError;
use salus_fhir::outcome::IssueCode;

use crate::dispatch::{Act, Done};
use crate::failure::Failure;
use crate::request::Verb;
use crate::response::FhirResponse;

/// An operation that this build serves.
pub struct Served {
    /// Its name, without the `$`; also the id of its OperationDefinition.
    pub name: &'static str,
    /// The resource types it is called on.
    pub on: On,
    /// Where it is called.
    pub levels: &'static [Level],
    /// Its OperationDefinition, JSON.
    pub definition: &'static str,
}

/// The resource types that an operation is called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// Every type but AuditEvent, which the server alone writes and which is read by itself.
    Every,
    /// These.
    Types(&'static [&'static str]),
}

/// Where an operation is called (R4 operationdefinition.html: `system`, `type`, `instance`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// `[base]/$name`
    System,
    /// `[base]/[type]/$name`
    Type,
    /// `[base]/[type]/[id]/$name`
    Instance,
}

impl On {
    /// Whether this type is one of them.
    pub fn has(self, resource_type: &str) -> bool {
        match self {
            Self::Every => resource_type != "AuditEvent",
            Self::Types(types) => types.contains(&resource_type),
        }
    }
}

macro_rules! definition {
    ($name:literal) => {
        include_str!(concat!("../../../operations/", $name, "/OperationDefinition-", $name, ".json"))
    };
}

/// The operations that this build serves.
pub const SERVED: &[Served] = &[
    Served {
        name: "docref",
        on: On::Types(&["DocumentReference"]),
        levels: &[Level::Type],
        definition: definition!("docref"),
    },
    Served {
        name: "everything",
        on: On::Types(&["Patient", "Encounter", "Group"]),
        levels: &[Level::Instance],
        definition: definition!("everything"),
    },
    Served {
        name: "graphql",
        on: On::Every,
        levels: &[Level::System, Level::Instance],
        definition: definition!("graphql"),
    },
    Served { name: "lastn", on: On::Types(&["Observation"]), levels: &[Level::Type], definition: definition!("lastn") },
    Served {
        name: "meta",
        on: On::Every,
        levels: &[Level::System, Level::Type, Level::Instance],
        definition: definition!("meta"),
    },
    Served { name: "meta-add", on: On::Every, levels: &[Level::Instance], definition: definition!("meta-add") },
    Served { name: "meta-delete", on: On::Every, levels: &[Level::Instance], definition: definition!("meta-delete") },
    Served {
        name: "reindex",
        on: On::Every,
        levels: &[Level::System, Level::Type],
        definition: definition!("reindex"),
    },
    Served {
        name: "risk-score",
        on: On::Types(&["Patient"]),
        levels: &[Level::Type, Level::Instance],
        definition: definition!("risk-score"),
    },
    Served { name: "stats", on: On::Types(&["Observation"]), levels: &[Level::Type], definition: definition!("stats") },
    Served {
        name: "validate",
        on: On::Every,
        levels: &[Level::Type, Level::Instance],
        definition: definition!("validate"),
    },
];

/// Whether an operation, named with its `$`, is served at a level, on a type unless that is the system's.
pub fn is_served(name: &str, on: Option<&str>, level: Level) -> bool {
    let name = name.strip_prefix('$').unwrap_or(name);
    let fits = |served: &&Served| served.levels.contains(&level) && on.is_none_or(|on| served.on.has(on));
    SERVED.iter().filter(fits).any(|served| served.name == name)
}

/// A stored resource that is no JSON.
fn unreadable(error: JsonError) -> Failure {
    tracing::error!(offset = error.offset, "a stored resource cannot be parsed");
    Failure::new(500, IssueCode::Exception, "a stored resource cannot be read")
}

/// Runs an operation.
///
/// # Errors
/// What the operation refuses, and 405 for a method that operations are not called by.
pub async fn act(act: &Act<'_>, operation: &Operation) -> Result<Done, Failure> {
    if operation.name == "reindex" {
        // Its jobs have paths, and so methods, of their own.
        return reindex::act(act).await;
    }
    let writes = operation.needs.iter().any(|permission| permission.writes());
    let (allowed, allow) = match writes {
        true => (act.request.verb == Some(Verb::Post), "POST"),
        false => (matches!(act.request.verb, Some(Verb::Get | Verb::Post)), "GET, POST"),
    };
    if !allowed {
        let message = format!("${} is called by {allow}", operation.name);
        return Err(Failure::new(405, IssueCode::NotSupported, message).with_header("Allow", allow));
    }
    match operation.name {
        "docref" => docref::act(act).await,
        "everything" => everything::act(act).await,
        "graphql" => graphql::act(act).await,
        "lastn" => lastn::act(act).await,
        "meta" => meta::act(act).await,
        "meta-add" => meta::change(act, meta::Change::Add).await,
        "meta-delete" => meta::change(act, meta::Change::Delete).await,
        "risk-score" => risk_score::act(act).await,
        "stats" => stats::act(act).await,
        "validate" => validate::act(act).await,
        name => Err(Failure::new(404, IssueCode::NotSupported, format!("no operation ${name} here"))),
    }
}

/// An answer of one output parameter named `return`, a data type rather than a resource
/// (R4 operations.html#response): `value` is its member, `"valueMeta":{…}`.
fn returned(value: &str) -> FhirResponse {
    FhirResponse::json(200, format!(r#"{{"resourceType":"Parameters","parameter":[{{"name":"return",{value}}}]}}"#))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_served_where_their_definitions_say() {
        for served in SERVED {
            let definition: serde_json::Value = serde_json::from_str(served.definition).unwrap();
            assert_eq!(definition["code"], served.name);
            for (level, member) in [(Level::System, "system"), (Level::Type, "type"), (Level::Instance, "instance")] {
                assert_eq!(definition[member], served.levels.contains(&level), "{} {member}", served.name);
            }
            let types: Vec<&str> =
                definition["resource"].as_array().unwrap().iter().filter_map(|one| one.as_str()).collect();
            match served.on {
                On::Every => assert_eq!(types, ["Resource"], "{}", served.name),
                On::Types(on) => assert_eq!(types, on, "{}", served.name),
            }
        }
    }
}
