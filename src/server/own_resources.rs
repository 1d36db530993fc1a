//! The resources that are the server's own, kept in the store as everybody's are: the Devices that stand for this
//! server and its models, to which AuditEvents and RiskAssessments refer, and the definitions of our operations,
//! extensions and code systems, to which the CapabilityStatement and they refer by URL. So they are read, searched
//! and covered by scopes like any others.
//!
//! They are compared at each start, and what is missing or differs is stored: the first time, after an update of the
//! server, and where somebody changed or deleted one. The change is on record as the server's own.

use std::sync::Arc;

use salus_access::Access;
use salus_analytics::risk_assessment::device;
use salus_audit::{AuditKind, AuditRecord, Entity};
use salus_fhir::json::{self, Limits, Value};
use salus_store::write::{Change, Method};
use salus_store::{Error as StoreError, Precondition, Written};

use crate::app::App;
use crate::operations::SERVED;

/// By which name the server accounts for what it stores here.
const JOB: &str = "own-resources";

const SERVER: &str = r#"{"resourceType":"Device","id":"salus","status":"active","deviceName":[{"name":"Salus","type":"user-friendly-name"}],"type":{"text":"FHIR server"},"version":[{"value":"VERSION"}]}"#;

macro_rules! profiles {
    ($($name:literal),+ $(,)?) => {
        &[$(include_str!(concat!("../../fhir-profiles/", $name, ".json"))),+]
    };
}

/// What `fhir-profiles/` defines.
const PROFILES: &[&str] = profiles![
    "CodeSystem-audit-alert",
    "CodeSystem-audit-event",
    "CodeSystem-operation",
    "CodeSystem-role",
    "StructureDefinition-audit-log-sequence",
    "StructureDefinition-inputs-may-be-withheld",
    "StructureDefinition-risk-baseline",
    "StructureDefinition-risk-contribution",
    "StructureDefinition-risk-issues",
];

/// Stores each that is not there as it is now, all at once.
///
/// # Errors
/// What the store says.
pub async fn store(app: &App) -> Result<(), String> {
    let access = Arc::new(Access::system(JOB, app.store.tenant()));
    let server = SERVER.replace("VERSION", env!("CARGO_PKG_VERSION"));
    let models: Vec<String> = app.models.iter().map(|model| device(model)).collect();
    let devices = std::iter::once(server.as_str()).chain(models.iter().map(String::as_str));
    let operations = SERVED.iter().map(|served| served.definition);
    let mut changes = Vec::new();
    for text in devices.chain(operations).chain(PROFILES.iter().copied()) {
        changes.extend(change(app, &access, text).await?);
    }
    if !changes.is_empty() {
        app.store.commit(&changes, records).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// What makes a resource what `text` says; nothing where it is that already.
async fn change(app: &App, access: &Arc<Access>, text: &str) -> Result<Option<Change>, String> {
    let own = json::parse(text, &Limits::default()).map_err(|error| error.to_string())?;
    let name = |member: &str| own.get_str(member).map(str::to_owned).ok_or_else(|| format!("no {member}: {text}"));
    let (resource_type, id) = (name("resourceType")?, name("id")?);
    match app.store.read(access, &resource_type, &id).await {
        Ok(stored) if stored.body.as_deref().is_some_and(|stored| is_as(stored, &own)) => return Ok(None),
        Ok(_) | Err(StoreError::NotFound { .. } | StoreError::Gone { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    Ok(Some(Change {
        access: access.clone(),
        content: Some(app.store.content(&resource_type, &id, &own)),
        resource_type,
        id,
        method: Method::Put,
        precondition: Precondition::None,
    }))
}

/// Whether what is stored says the same, but for what the server sets.
fn is_as(stored: &str, own: &Value<'_>) -> bool {
    let Ok(stored) = json::parse(stored, &Limits::default()) else { return false };
    let members = |resource: &Value<'_>| resource.as_object().map_or(0, |members| members.iter().count());
    let same = |name: &str, value: &Value<'_>| stored.get(name) == Some(value);
    members(&stored) == members(own) + usize::from(stored.get("meta").is_some())
        && own.as_object().is_some_and(|own| own.iter().all(|(name, value)| same(name, value)))
}

fn records(written: &[Written]) -> Vec<AuditRecord<'static>> {
    let record = |one: &Written| {
        let mut record = AuditRecord::new(AuditKind::Configuration, "");
        record.recorded = crate::account::now();
        record.client_id = Some(JOB.into());
        record
            .entities
            .push(Entity::data(format!("{}/{}", one.resource_type, one.id), u64::try_from(one.version).ok()));
        record
    };
    written.iter().map(record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_defined_is_here() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fhir-profiles");
        let mut defined: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap())
            .collect();
        defined.sort();
        let mut here = PROFILES.to_vec();
        here.sort_unstable();
        assert_eq!(here, defined);
    }

    #[test]
    fn what_the_server_sets_makes_no_difference() {
        let own = json::parse(r#"{"resourceType":"Device","id":"a","x":1}"#, &Limits::default()).unwrap();
        for (stored, same) in [
            (r#"{"resourceType":"Device","id":"a","meta":{"versionId":"1"},"x":1}"#, true),
            (r#"{"resourceType":"Device","id":"a","x":1}"#, true),
            (r#"{"resourceType":"Device","id":"a","meta":{},"x":2}"#, false),
            (r#"{"resourceType":"Device","id":"a","meta":{}}"#, false),
            (r#"{"resourceType":"Device","id":"a","meta":{},"x":1,"y":1}"#, false),
            ("{", false),
        ] {
            assert_eq!(is_as(stored, &own), same, "{stored}");
        }
    }
}
