//! An [`AuditRecord`] as a FHIR R4 AuditEvent.
//!
//! Source: R4 auditevent.html; IHE ITI Basic Audit Log Patterns (BALP) 1.1.4,
//! <https://profiles.ihe.net/ITI/BALP/>.
//!
//! An event claims a BALP profile in `meta.profile` only where it conforms to it. The profiles tell of
//! success, so a failure claims none but that of token use; and their patient variants allow one
//! patient, so an event that concerns several (a search, by the contract, is one event) claims the
//! general variant, whose open slicing lets the patients ride along.

mod agents;
mod codes;
mod entities;
mod profiles;
mod resource;

use std::borrow::Cow;

use crate::record::{AuditKind, AuditRecord};
use resource::{AuditEvent, Coding, Extension, Meta, Observer, Reference};

/// The server that recorded an event, as its AuditEvents tell it.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// The FHIR base, e.g. `https://ehr.example.org/fhir`.
    pub base: &'a str,
    /// Reference to the Device that stands for the server, e.g. `Device/salus`.
    pub device: &'a str,
}

impl AuditRecord<'_> {
    /// The `AuditEvent.action` that it renders to: `C`, `R`, `U`, `D` or `E`.
    #[must_use]
    pub fn action(&self) -> &'static str {
        codes::action(self)
    }
}

/// Renders a record as an AuditEvent in JSON.
///
/// `id` is the AuditEvent's logical id and `seq` its place in the tenant's log, which stands in an
/// extension, so that a reader of the event can find its leaf.
#[must_use]
pub fn render(record: &AuditRecord<'_>, id: &str, seq: i64, server: &Server<'_>) -> String {
    let recorded = instant(record.recorded);
    let agents = agents::agents(record, server);
    let entities = entities::entities(record);
    let event = AuditEvent {
        resource_type: "AuditEvent",
        id,
        meta: Meta { version_id: "1", last_updated: &recorded, profile: profiles::claimed(record, &agents, &entities) },
        extension: [Extension {
            url: format!("{}/StructureDefinition/audit-log-sequence", salus_fhir::CANONICAL_BASE),
            value_string: seq.to_string(),
        }],
        event_type: codes::event_type(record.kind),
        subtype: codes::subtypes(record),
        action: codes::action(record),
        recorded: &recorded,
        outcome: record.outcome.code(),
        outcome_desc: text(&record.outcome_description),
        purpose_of_event: codes::purposes_of_use(record),
        agent: agents,
        source: source(record, server),
        entity: entities,
    };
    // Only strings and numbers are written, to memory: this cannot fail.
    serde_json::to_string(&event).unwrap_or_default()
}

fn source<'r>(record: &'r AuditRecord<'_>, server: &Server<'r>) -> Observer<'r> {
    let kind = match record.kind {
        AuditKind::TokenIssued
        | AuditKind::TokenRefused
        | AuditKind::TokenRevoked
        | AuditKind::TokenIntrospected
        | AuditKind::Login
        | AuditKind::Logout
        | AuditKind::ConsentDecision => codes::SECURITY_SERVER,
        _ => codes::APPLICATION_SERVER,
    };
    Observer {
        site: (!record.server.is_empty()).then(|| record.server.as_ref()),
        observer: Reference::to(Cow::Borrowed(server.device)),
        kind: [Coding::clone(&kind)],
    }
}

/// A text as FHIR takes it, or `None` where it is blank: FHIR has no empty strings and no control
/// characters (R4 datatypes.html#string), while a stranger's `client_id` may hold anything.
fn text<'r>(text: &'r Option<Cow<'_, str>>) -> Option<Cow<'r, str>> {
    let text = text.as_deref().filter(|text| !text.trim().is_empty())?;
    let foreign = |c: char| c.is_control() && !matches!(c, '\t' | '\r' | '\n');
    Some(match text.contains(foreign) {
        true => Cow::Owned(text.replace(foreign, "\u{fffd}")),
        false => Cow::Borrowed(text),
    })
}

/// A FHIR `instant` in UTC with microseconds; a time that FHIR cannot tell is clamped to what it can.
fn instant(micros: i64) -> String {
    let micros = micros.clamp(0, crate::record::LAST_INSTANT);
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, seconds) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil_date(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
}

/// The proleptic Gregorian date of a number of days since 1970-01-01, not negative. Counts years from
/// 1 March, so that the leap day is a year's last, in eras of 400 years (146,097 days).
fn civil_date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests;
