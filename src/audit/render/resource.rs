//! The part of the AuditEvent resource that Salus writes (R4 auditevent.html), in the order in which
//! the specification lists its elements.

use std::borrow::Cow;

use serde::Serialize;

#[derive(Serialize)]
pub(super) struct AuditEvent<'r> {
    #[serde(rename = "resourceType")]
    pub resource_type: &'static str,
    pub id: &'r str,
    pub meta: Meta<'r>,
    pub extension: [Extension; 1],
    #[serde(rename = "type")]
    pub event_type: Coding<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subtype: Vec<Coding<'r>>,
    pub action: &'static str,
    pub recorded: &'r str,
    pub outcome: &'static str,
    #[serde(rename = "outcomeDesc", skip_serializing_if = "Option::is_none")]
    pub outcome_desc: Option<Cow<'r, str>>,
    #[serde(rename = "purposeOfEvent", skip_serializing_if = "Vec::is_empty")]
    pub purpose_of_event: Vec<CodeableConcept<'r>>,
    pub agent: Vec<Agent<'r>>,
    pub source: Observer<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entity: Vec<EntityElement<'r>>,
}

#[derive(Serialize)]
pub(super) struct Meta<'r> {
    #[serde(rename = "versionId")]
    pub version_id: &'static str,
    #[serde(rename = "lastUpdated")]
    pub last_updated: &'r str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct Extension {
    pub url: String,
    #[serde(rename = "valueString")]
    pub value_string: String,
}

#[derive(Serialize, Clone, PartialEq, Eq)]
pub(super) struct Coding<'r> {
    pub system: Cow<'r, str>,
    pub code: Cow<'r, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'static str>,
}

impl Coding<'static> {
    pub const fn fixed(system: &'static str, code: &'static str, display: &'static str) -> Self {
        Self { system: Cow::Borrowed(system), code: Cow::Borrowed(code), display: Some(display) }
    }
}

#[derive(Serialize)]
pub(super) struct CodeableConcept<'r> {
    pub coding: Vec<Coding<'r>>,
}

impl<'r> CodeableConcept<'r> {
    pub fn of(coding: Coding<'r>) -> Self {
        Self { coding: vec![coding] }
    }
}

#[derive(Serialize)]
pub(super) struct Identifier<'r> {
    pub value: Cow<'r, str>,
}

#[derive(Serialize, Default)]
pub(super) struct Reference<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<Cow<'r, str>>,
}

impl<'r> Reference<'r> {
    pub fn to(reference: Cow<'r, str>) -> Self {
        Self { reference: Some(reference), ..Self::default() }
    }

    pub fn identified(value: Cow<'r, str>) -> Self {
        Self { identifier: Some(Identifier { value }), ..Self::default() }
    }

    pub fn described(display: &'r str) -> Self {
        Self { display: Some(Cow::Borrowed(display)), ..Self::default() }
    }
}

#[derive(Serialize)]
pub(super) struct Agent<'r> {
    #[serde(rename = "type")]
    pub kind: CodeableConcept<'r>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub role: Vec<CodeableConcept<'r>>,
    pub who: Reference<'r>,
    pub requestor: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network<'r>>,
    #[serde(rename = "purposeOfUse", skip_serializing_if = "Vec::is_empty")]
    pub purpose_of_use: Vec<CodeableConcept<'r>>,
}

#[derive(Serialize)]
pub(super) struct Network<'r> {
    pub address: Cow<'r, str>,
    #[serde(rename = "type")]
    pub kind: &'static str,
}

#[derive(Serialize)]
pub(super) struct Observer<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<&'r str>,
    pub observer: Reference<'r>,
    #[serde(rename = "type")]
    pub kind: [Coding<'r>; 1],
}

#[derive(Serialize)]
pub(super) struct EntityElement<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<Reference<'r>>,
    #[serde(rename = "type")]
    pub kind: Coding<'r>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Coding<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub detail: Vec<Detail<'r>>,
}

#[derive(Serialize)]
pub(super) struct Detail<'r> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    #[serde(rename = "valueString")]
    pub value: Cow<'r, str>,
}
