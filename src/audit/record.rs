//! The audit record: one line of JSON for one audited event.
//!
//! At twenty thousand audited reads a second a row must be small and cheap, so the record holds what
//! cannot be derived and nothing else; [`render`](crate::render()) adds the vocabulary of FHIR. A
//! record borrows from the request it tells of ([`Cow`]), so that making one and writing it out
//! allocates little more than its text.
//!
//! The text is what is stored, hashed and proved: it is never parsed and written again. Keys are
//! short, members come in a fixed order and absent ones are left out, so equal records have equal
//! bytes.

mod kind;

pub use kind::{Alert, AuditKind, Outcome};

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Last microsecond of the year 9999, the last a FHIR `instant` can tell.
pub(crate) const LAST_INSTANT: i64 = 253_402_300_799_999_999;

/// The user on whose behalf the client acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditUser<'a> {
    /// The account's name (`sub`).
    #[serde(rename = "i", borrow)]
    pub id: Cow<'a, str>,
    /// The `fhirUser` reference, e.g. `Practitioner/1`.
    #[serde(rename = "f", borrow, default, skip_serializing_if = "Option::is_none")]
    pub fhir_user: Option<Cow<'a, str>>,
    /// Roles the token carried.
    #[serde(rename = "r", borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Cow<'a, str>>,
    /// The organization that the user acted for, e.g. `Organization/1`.
    #[serde(rename = "o", borrow, default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<Cow<'a, str>>,
}

/// The part an entity plays in the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntityKind {
    /// The resource that was read, written or acted on (object role 4, Domain Resource).
    #[default]
    Data,
    /// A report (object role 3).
    Report,
    /// An asynchronous job (object role 20).
    Job,
    /// A Consent that bore on the decision.
    Consent,
    /// Anything else that took part: inputs, results, a Group.
    Related,
}

impl EntityKind {
    fn is_data(&self) -> bool {
        *self == Self::Data
    }
}

/// A resource that took part in the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entity<'a> {
    /// Its relative reference, `Type/id`.
    #[serde(rename = "w", borrow)]
    pub what: Cow<'a, str>,
    /// Its version, where one version is meant.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// The part it plays.
    #[serde(rename = "k", default, skip_serializing_if = "EntityKind::is_data")]
    pub kind: EntityKind,
}

impl<'a> Entity<'a> {
    /// The resource that was read, written or acted on.
    pub fn data(what: impl Into<Cow<'a, str>>, version: Option<u64>) -> Self {
        Self { what: what.into(), version, kind: EntityKind::Data }
    }

    /// A resource that took part in another way.
    pub fn of_kind(kind: EntityKind, what: impl Into<Cow<'a, str>>) -> Self {
        Self { what: what.into(), version: None, kind }
    }

    /// The resource type of the reference: `Patient` of `Patient/1`.
    #[must_use]
    pub fn resource_type(&self) -> &str {
        self.what.split('/').next().unwrap_or_default()
    }
}

/// A model that was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelVersion<'a> {
    /// Its registered name.
    #[serde(rename = "n", borrow)]
    pub name: Cow<'a, str>,
    /// Its version.
    #[serde(rename = "v", borrow)]
    pub version: Cow<'a, str>,
}

/// One audited event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord<'a> {
    /// When it was recorded, microseconds since 1970-01-01T00:00:00Z; set by the server.
    #[serde(rename = "t")]
    pub recorded: i64,
    /// What happened.
    #[serde(rename = "k")]
    pub kind: AuditKind,
    /// FHIR restful-interaction code (`read`, `search-type`, `operation`, …); empty where the event
    /// is not a FHIR interaction.
    #[serde(rename = "i", borrow, default, skip_serializing_if = "str::is_empty")]
    pub interaction: Cow<'a, str>,
    /// Name of the operation without `$`: `risk-score`.
    #[serde(rename = "op", borrow, default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Cow<'a, str>>,
    /// How it ended.
    #[serde(rename = "o")]
    pub outcome: Outcome,
    /// Why it failed, in words without clinical content.
    #[serde(rename = "od", borrow, default, skip_serializing_if = "Option::is_none")]
    pub outcome_description: Option<Cow<'a, str>>,
    /// HTTP status of the answer; 0 where there was none.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub status: u16,
    /// OAuth `client_id`; `None` where the caller did not prove who it is.
    #[serde(rename = "c", borrow, default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Cow<'a, str>>,
    /// The signed-in user; `None` for backend services.
    #[serde(rename = "u", borrow, default, skip_serializing_if = "Option::is_none")]
    pub user: Option<AuditUser<'a>>,
    /// Network address of the client, as its connection tells; `None` for internal jobs.
    #[serde(rename = "a", borrow, default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Cow<'a, str>>,
    /// `jti` of the access token.
    #[serde(rename = "j", borrow, default, skip_serializing_if = "Option::is_none")]
    pub token_id: Option<Cow<'a, str>>,
    /// Purpose of use: a bare ActReason code.
    #[serde(rename = "p", borrow, default, skip_serializing_if = "Option::is_none")]
    pub purpose_of_use: Option<Cow<'a, str>>,
    /// Logical ids of the patients whose data the event concerns.
    #[serde(rename = "pt", borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub patients: Vec<Cow<'a, str>>,
    /// The resources that took part; the first of a data kind is the one acted on.
    #[serde(rename = "e", borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<Entity<'a>>,
    /// The raw request as sent, without credentials: `GET /fhir/Observation?code=…`.
    #[serde(rename = "q", borrow, default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Cow<'a, str>>,
    /// `X-Request-Id`; empty for internal jobs.
    #[serde(rename = "r", borrow, default, skip_serializing_if = "str::is_empty")]
    pub request_id: Cow<'a, str>,
    /// The node that recorded the event; empty where there is but one.
    #[serde(rename = "n", borrow, default, skip_serializing_if = "str::is_empty")]
    pub server: Cow<'a, str>,
    /// The model that was run.
    #[serde(rename = "m", borrow, default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ModelVersion<'a>>,
}

fn is_zero(status: &u16) -> bool {
    *status == 0
}

impl<'a> AuditRecord<'a> {
    /// A successful event of which nothing else is known yet.
    ///
    /// ```
    /// use salus_audit::{AuditKind, AuditRecord, Entity};
    ///
    /// let record = AuditRecord {
    ///     client_id: Some("app".into()),
    ///     patients: vec!["1".into()],
    ///     entities: vec![Entity::data("Patient/1", Some(3))],
    ///     ..AuditRecord::new(AuditKind::Read, "read")
    /// };
    /// assert_eq!(AuditRecord::from_text(&record.to_text()).unwrap(), record);
    /// ```
    #[must_use]
    pub fn new(kind: AuditKind, interaction: impl Into<Cow<'a, str>>) -> Self {
        Self {
            recorded: 0,
            kind,
            interaction: interaction.into(),
            operation: None,
            outcome: Outcome::Success,
            outcome_description: None,
            status: 0,
            client_id: None,
            user: None,
            address: None,
            token_id: None,
            purpose_of_use: None,
            patients: Vec::new(),
            entities: Vec::new(),
            query: None,
            request_id: Cow::Borrowed(""),
            server: Cow::Borrowed(""),
            model: None,
        }
    }

    /// Takes who acted from the caller's principal, borrowing it.
    #[must_use]
    pub fn by(mut self, principal: &'a salus_access::Principal) -> Self {
        self.client_id = Some(Cow::Borrowed(&principal.client_id));
        self.token_id = Some(Cow::Borrowed(&principal.token_id));
        self.purpose_of_use = Some(Cow::Borrowed(&principal.purpose_of_use));
        self.user = principal.user.as_ref().map(|user| AuditUser {
            id: Cow::Borrowed(&user.id),
            fhir_user: user.fhir_user.as_deref().map(Cow::Borrowed),
            roles: user.roles.iter().map(|role| Cow::Borrowed(role.as_str())).collect(),
            organization: principal
                .actors
                .iter()
                .find(|actor| actor.starts_with("Organization/"))
                .map(|actor| Cow::Borrowed(actor.as_str())),
        });
        self
    }

    /// The text that is stored and hashed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = Vec::with_capacity(256 + 40 * self.patients.len());
        // Neither a map with strange keys nor a fallible writer is involved, so this cannot fail;
        // were it to, an empty text is refused by `from_text` and by the log.
        if self.serialize(&mut serde_json::Serializer::with_formatter(&mut text, WithoutNul)).is_err() {
            text.clear();
        }
        String::from_utf8(text).unwrap_or_default()
    }

    /// Reads a stored text, borrowing from it where it can.
    ///
    /// # Errors
    /// [`Error::Record`] where the text is not one that [`to_text`](Self::to_text) writes.
    pub fn from_text(text: &'a str) -> Result<Self, Error> {
        let record: Self = serde_json::from_str(text).map_err(|error| Error::Record(error.to_string()))?;
        if !(0..=LAST_INSTANT).contains(&record.recorded) {
            return Err(Error::Record("recorded outside 1970 to 9999".into()));
        }
        Ok(record)
    }

    /// The same record, owning what it says, to outlive the request it tells of.
    #[must_use]
    pub fn into_owned(self) -> AuditRecord<'static> {
        AuditRecord {
            recorded: self.recorded,
            kind: self.kind,
            interaction: own(self.interaction),
            operation: self.operation.map(own),
            outcome: self.outcome,
            outcome_description: self.outcome_description.map(own),
            status: self.status,
            client_id: self.client_id.map(own),
            user: self.user.map(|user| AuditUser {
                id: own(user.id),
                fhir_user: user.fhir_user.map(own),
                roles: user.roles.into_iter().map(own).collect(),
                organization: user.organization.map(own),
            }),
            address: self.address.map(own),
            token_id: self.token_id.map(own),
            purpose_of_use: self.purpose_of_use.map(own),
            patients: self.patients.into_iter().map(own).collect(),
            entities: self
                .entities
                .into_iter()
                .map(|entity| Entity { what: own(entity.what), version: entity.version, kind: entity.kind })
                .collect(),
            query: self.query.map(own),
            request_id: own(self.request_id),
            server: own(self.server),
            model: self.model.map(|model| ModelVersion { name: own(model.name), version: own(model.version) }),
        }
    }

    /// Splits an event that concerns more than `limit` patients into several that differ in nothing
    /// else, so that no row grows without bound. The contract's limit is [`PATIENTS_PER_EVENT`].
    #[must_use]
    pub fn split(mut self, limit: usize) -> Vec<Self> {
        let limit = limit.max(1);
        if self.patients.len() <= limit {
            return vec![self];
        }
        let patients = std::mem::take(&mut self.patients);
        // Evenly, so that no part looks like an event about one patient only.
        let parts = patients.len().div_ceil(limit);
        patients
            .chunks(patients.len().div_ceil(parts))
            .map(|part| Self { patients: part.to_vec(), ..self.clone() })
            .collect()
    }
}

/// How many patients one event may name before it is split.
pub const PATIENTS_PER_EVENT: usize = 100;

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

/// Compact JSON in which U+0000 reads U+FFFD: what callers send may hold it, and PostgreSQL finds no
/// member of a text in which it does.
struct WithoutNul;

impl serde_json::ser::Formatter for WithoutNul {
    fn write_char_escape<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        escape: serde_json::ser::CharEscape,
    ) -> std::io::Result<()> {
        match escape {
            serde_json::ser::CharEscape::AsciiControl(0) => writer.write_all(b"\\ufffd"),
            escape => serde_json::ser::CompactFormatter.write_char_escape(writer, escape),
        }
    }
}

#[cfg(test)]
mod tests;
