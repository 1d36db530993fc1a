//! Which BALP profiles an event conforms to.

use super::codes;
use super::resource::{Agent, Coding, EntityElement};
use crate::record::{AuditKind, AuditRecord, EntityKind, Outcome};

const BALP: &str = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/";

/// The profiles to claim in `meta.profile`, each only where the event has what it demands.
pub(super) fn claimed(record: &AuditRecord<'_>, agents: &[Agent<'_>], entities: &[EntityElement<'_>]) -> Vec<String> {
    let mut claimed = Vec::with_capacity(2);
    claimed.extend(profile(record, entities).map(|name| format!("{BALP}{name}")));
    if agents.iter().any(|agent| agent.kind.coding.contains(&codes::OAUTH_USER)) {
        claimed.push(format!("{BALP}IHE.BasicAudit.OAUTHaccessTokenUse.Minimal"));
    }
    claimed
}

fn profile(record: &AuditRecord<'_>, entities: &[EntityElement<'_>]) -> Option<&'static str> {
    // Every profile demands the client, which is left out of internal jobs, and its address.
    super::text(&record.address)?;
    if record.kind == AuditKind::ConsentDecision {
        return consent_decision(record);
    }
    if record.outcome != Outcome::Success {
        return None;
    }
    let has =
        |role: &Coding<'_>| entities.iter().any(|e| e.kind == codes::SYSTEM_OBJECT && e.role.as_ref() == Some(role));
    let data = has(&codes::ROLE_DOMAIN) || has(&codes::ROLE_REPORT) || has(&codes::ROLE_JOB);
    let query = has(&codes::ROLE_QUERY);
    let patients = record.patients.len();
    let variant = |general, patient| Some(if patients == 1 { patient } else { general });
    match (record.kind, record.interaction.as_ref()) {
        (AuditKind::Read, "read" | "vread") if data => variant("IHE.BasicAudit.Read", "IHE.BasicAudit.PatientRead"),
        (AuditKind::Query, "search" | "search-type" | "search-system") if query => {
            variant("IHE.BasicAudit.Query", "IHE.BasicAudit.PatientQuery")
        }
        (AuditKind::Create, "create") if data => variant("IHE.BasicAudit.Create", "IHE.BasicAudit.PatientCreate"),
        (AuditKind::Update, "update" | "patch") if data => {
            variant("IHE.BasicAudit.Update", "IHE.BasicAudit.PatientUpdate")
        }
        (AuditKind::Delete, "delete") if data => variant("IHE.BasicAudit.Delete", "IHE.BasicAudit.PatientDelete"),
        (AuditKind::Export, _) if patients == 1 && entities.len() >= 2 => {
            Some("IHE.BasicAudit.PrivacyDisclosure.Source")
        }
        (AuditKind::TokenIssued, _) if query => Some("IHE.IUA.71"),
        _ => None,
    }
}

/// A decision by Consent, permit or deny, names one patient, the Consents, a user and the user's
/// organization, and nothing else.
fn consent_decision(record: &AuditRecord<'_>) -> Option<&'static str> {
    let consents = !record.entities.is_empty()
        && record.entities.iter().all(|e| e.kind == EntityKind::Consent)
        && record.entities.iter().all(|e| e.resource_type() == "Consent");
    let organized = record.user.as_ref().is_some_and(|user| user.organization.is_some());
    let only = record.model.is_none() && record.interaction.is_empty() && record.operation.is_none();
    (consents && organized && only && record.patients.len() == 1).then_some("IHE.BasicAudit.AuthZconsent")
}
