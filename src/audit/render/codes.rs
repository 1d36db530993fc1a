//! The vocabulary of AuditEvents: DICOM, FHIR and BALP codes for each kind of event.

use std::borrow::Cow;

use super::resource::{CodeableConcept, Coding};
use crate::record::{Alert, AuditKind, AuditRecord};

pub(super) const DCM: &str = "http://dicom.nema.org/resources/ontology/DCM";
const INTERACTION: &str = "http://hl7.org/fhir/restful-interaction";
const USER_AGENT_TYPE: &str = "https://profiles.ihe.net/ITI/BALP/CodeSystem/UserAgentTypes";
const PARTICIPATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType";
const ENTITY_TYPE: &str = "http://terminology.hl7.org/CodeSystem/audit-entity-type";
const OBJECT_ROLE: &str = "http://terminology.hl7.org/CodeSystem/object-role";
const SOURCE_TYPE: &str = "http://terminology.hl7.org/CodeSystem/security-source-type";

pub(super) const APPLICATION: Coding = Coding::fixed(DCM, "110150", "Application");
pub(super) const DESTINATION: Coding = Coding::fixed(DCM, "110152", "Destination Role ID");
pub(super) const SOURCE: Coding = Coding::fixed(DCM, "110153", "Source Role ID");
pub(super) const CUSTODIAN: Coding =
    Coding::fixed("http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian", "Custodian");
pub(super) const AUTHORIZATION_SERVER: Coding = Coding::fixed(
    "http://terminology.hl7.org/CodeSystem/extra-security-role-type",
    "authserver",
    "authorization server",
);
pub(super) const OAUTH_SERVICE: Coding =
    Coding::fixed(USER_AGENT_TYPE, "AuthzOauthService", "OAuth Authorization Server");
pub(super) const OAUTH_USER: Coding = Coding::fixed(USER_AGENT_TYPE, "UserOauthAgent", "User OAuth Agent participant");
pub(super) const RECIPIENT: Coding = Coding::fixed(PARTICIPATION, "IRCP", "information recipient");
pub(super) const AUTHOR: Coding = Coding::fixed(PARTICIPATION, "AUT", "author (originator)");
pub(super) const PROVIDER: Coding =
    Coding::fixed("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV", "healthcare provider");

pub(super) const PERSON: Coding = Coding::fixed(ENTITY_TYPE, "1", "Person");
pub(super) const SYSTEM_OBJECT: Coding = Coding::fixed(ENTITY_TYPE, "2", "System Object");
pub(super) const REQUEST_ID: Coding = Coding {
    system: Cow::Borrowed("https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"),
    code: Cow::Borrowed("XrequestId"),
    display: None,
};
pub(super) const ROLE_PATIENT: Coding = Coding::fixed(OBJECT_ROLE, "1", "Patient");
pub(super) const ROLE_REPORT: Coding = Coding::fixed(OBJECT_ROLE, "3", "Report");
pub(super) const ROLE_DOMAIN: Coding = Coding::fixed(OBJECT_ROLE, "4", "Domain Resource");
pub(super) const ROLE_SECURITY: Coding = Coding::fixed(OBJECT_ROLE, "13", "Security Resource");
pub(super) const ROLE_JOB: Coding = Coding::fixed(OBJECT_ROLE, "20", "Job");
pub(super) const ROLE_QUERY: Coding = Coding::fixed(OBJECT_ROLE, "24", "Query");

pub(super) const APPLICATION_SERVER: Coding = Coding::fixed(SOURCE_TYPE, "4", "Application Server");
pub(super) const SECURITY_SERVER: Coding = Coding::fixed(SOURCE_TYPE, "6", "Security Server");

const SECURITY_ALERT: Coding = Coding::fixed(DCM, "110113", "Security Alert");
const USER_AUTHENTICATION: Coding = Coding::fixed(DCM, "110114", "User Authentication");
const LOGIN: Coding = Coding::fixed(DCM, "110122", "Login");

/// `AuditEvent.type`.
pub(super) fn event_type(kind: AuditKind) -> Coding<'static> {
    match kind {
        AuditKind::Read
        | AuditKind::Query
        | AuditKind::History
        | AuditKind::Create
        | AuditKind::Update
        | AuditKind::Delete
        | AuditKind::Operation
        | AuditKind::ModelUse
        | AuditKind::AccessDenied => {
            Coding::fixed("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest", "RESTful Operation")
        }
        AuditKind::Export => Coding::fixed(DCM, "110106", "Export"),
        AuditKind::Import => Coding::fixed(DCM, "110107", "Import"),
        AuditKind::TokenIssued
        | AuditKind::TokenRefused
        | AuditKind::TokenRevoked
        | AuditKind::TokenIntrospected
        | AuditKind::Login
        | AuditKind::Logout => USER_AUTHENTICATION,
        AuditKind::ConsentDecision | AuditKind::BreakGlass | AuditKind::Configuration | AuditKind::SecurityAlert(_) => {
            SECURITY_ALERT
        }
        AuditKind::AuditLogUse => Coding::fixed(DCM, "110101", "Audit Log Used"),
        AuditKind::ServerStarted | AuditKind::ServerStopped => Coding::fixed(DCM, "110100", "Application Activity"),
    }
}

/// `AuditEvent.subtype`: what the kind says, then the FHIR interaction and the operation.
pub(super) fn subtypes<'r>(record: &'r AuditRecord<'_>) -> Vec<Coding<'r>> {
    let mut subtypes: Vec<Coding<'r>> = kind_subtype(record.kind).into_iter().collect();
    // The profile of ITI-71 allows its own subtype only.
    if record.kind == AuditKind::TokenIssued {
        return subtypes;
    }
    if let AuditKind::SecurityAlert(alert) = record.kind {
        subtypes.push(own("audit-alert", alert_code(alert)));
    }
    if !record.interaction.is_empty() {
        subtypes.push(Coding {
            system: Cow::Borrowed(INTERACTION),
            code: Cow::Borrowed(&record.interaction),
            display: None,
        });
    }
    if let Some(operation) = &record.operation {
        subtypes.push(own("operation", operation));
    }
    subtypes
}

fn kind_subtype(kind: AuditKind) -> Option<Coding<'static>> {
    Some(match kind {
        AuditKind::Export => Coding::fixed(
            "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle",
            "disclose",
            "Disclose Record Lifecycle Event",
        ),
        AuditKind::TokenIssued | AuditKind::TokenRefused => {
            Coding::fixed("urn:ihe:event-type-code", "ITI-71", "Get Access Token")
        }
        AuditKind::TokenIntrospected => Coding::fixed("urn:ihe:event-type-code", "ITI-102", "Introspect Token"),
        AuditKind::TokenRevoked => own("audit-event", "token-revoked"),
        AuditKind::Login => LOGIN,
        AuditKind::Logout => Coding::fixed(DCM, "110123", "Logout"),
        AuditKind::ConsentDecision => Coding::fixed(
            "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType",
            "AuthZ-Consent",
            "Authorization Decision using Roles and Consent",
        ),
        AuditKind::BreakGlass => Coding::fixed(DCM, "110127", "Emergency Override Started"),
        AuditKind::Configuration => Coding::fixed(DCM, "110129", "Security Configuration"),
        AuditKind::SecurityAlert(Alert::IdProbing) => Coding::fixed(DCM, "110132", "Use of Restricted Function"),
        AuditKind::SecurityAlert(Alert::TokenGuessing) => Coding::fixed(DCM, "110126", "Node Authentication"),
        AuditKind::SecurityAlert(Alert::SignInAttack) => LOGIN,
        AuditKind::SecurityAlert(Alert::LogTampering) => {
            Coding::fixed(DCM, "110135", "Object Security Attributes Changed")
        }
        AuditKind::ServerStarted => Coding::fixed(DCM, "110120", "Application Start"),
        AuditKind::ServerStopped => Coding::fixed(DCM, "110121", "Application Stop"),
        _ => return None,
    })
}

fn alert_code(alert: Alert) -> &'static str {
    match alert {
        Alert::IdProbing => "id-probing",
        Alert::TokenGuessing => "token-guessing",
        Alert::SignInAttack => "sign-in-attack",
        Alert::LogTampering => "log-tampering",
    }
}

/// A code of a code system of our own.
pub(super) fn own<'r>(system: &str, code: &'r str) -> Coding<'r> {
    Coding {
        system: Cow::Owned(format!("{}/CodeSystem/{system}", salus_fhir::CANONICAL_BASE)),
        code: Cow::Borrowed(code),
        display: None,
    }
}

/// What was attempted: of a refusal, what its interaction would have been.
pub(super) fn attempted(record: &AuditRecord<'_>) -> AuditKind {
    if record.kind != AuditKind::AccessDenied {
        return record.kind;
    }
    match record.interaction.as_ref() {
        "create" => AuditKind::Create,
        "update" | "patch" => AuditKind::Update,
        "delete" => AuditKind::Delete,
        "read" | "vread" => AuditKind::Read,
        "search" | "search-type" | "search-system" => AuditKind::Query,
        interaction if interaction.starts_with("history") => AuditKind::History,
        _ => AuditKind::Operation,
    }
}

/// `AuditEvent.action`.
pub(super) fn action(record: &AuditRecord<'_>) -> &'static str {
    match attempted(record) {
        AuditKind::Read | AuditKind::History | AuditKind::Export | AuditKind::AuditLogUse => "R",
        AuditKind::Create | AuditKind::Import => "C",
        AuditKind::Update => "U",
        AuditKind::Delete => "D",
        AuditKind::Configuration => match record.interaction.as_ref() {
            "create" => "C",
            "delete" => "D",
            _ => "U",
        },
        _ => "E",
    }
}

/// The purpose of use, which is an ActReason code.
pub(super) fn purposes_of_use<'r>(record: &'r AuditRecord<'_>) -> Vec<CodeableConcept<'r>> {
    let purpose = super::text(&record.purpose_of_use).map(|code| {
        CodeableConcept::of(Coding {
            system: Cow::Borrowed("http://terminology.hl7.org/CodeSystem/v3-ActReason"),
            code,
            display: None,
        })
    });
    purpose.into_iter().collect()
}

/// An entity type that is a FHIR resource type, which keeps an entity out of the slices that BALP
/// defines by audit-entity-type.
pub(super) fn resource_type(name: &str) -> Coding<'_> {
    Coding { system: Cow::Borrowed("http://hl7.org/fhir/resource-types"), code: Cow::Borrowed(name), display: None }
}
