//! The Devices that stand for this server and its models, so that what AuditEvents and RiskAssessments
//! refer to is there.

use std::sync::Arc;

use salus_access::Access;
use salus_analytics::risk_assessment::{device, device_id};
use salus_audit::{AuditKind, AuditRecord, Entity};
use salus_fhir::json::{self, Limits};
use salus_store::write::{Change, Method};
use salus_store::{Precondition, Written};

use crate::app::App;

const SERVER: &str = r#"{"resourceType":"Device","id":"salus","status":"active","deviceName":[{"name":"Salus","type":"user-friendly-name"}],"type":{"text":"FHIR server"},"version":[{"value":"VERSION"}]}"#;

/// Stores each Device whose version is not there yet.
///
/// # Errors
/// What the store says.
pub async fn register(app: &App) -> Result<(), String> {
    let access = Arc::new(Access::system("register-devices", app.store.tenant()));
    let mut devices = vec![("salus".to_owned(), SERVER.replace("VERSION", env!("CARGO_PKG_VERSION")))];
    devices.extend(app.models.iter().map(|model| (device_id(model), device(model))));
    for (id, text) in devices {
        if app.store.read(&access, "Device", &id).await.is_ok() {
            continue;
        }
        let value = json::parse(&text, &Limits::default()).map_err(|error| error.to_string())?;
        let change = Change {
            access: access.clone(),
            resource_type: "Device".to_owned(),
            content: Some(app.store.content("Device", &id, &value)),
            id,
            method: Method::Put,
            precondition: Precondition::None,
        };
        app.store.commit(&[change], records).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn records(written: &[Written]) -> Vec<AuditRecord<'static>> {
    let record = |one: &Written| {
        let mut record = AuditRecord::new(AuditKind::Configuration, "");
        record.recorded = crate::account::now();
        record.client_id = Some("register-devices".into());
        record
            .entities
            .push(Entity::data(format!("{}/{}", one.resource_type, one.id), u64::try_from(one.version).ok()));
        record
    };
    written.iter().map(record).collect()
}
