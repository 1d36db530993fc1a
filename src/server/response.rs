//! A FHIR answer, before it becomes bytes on a socket or an entry of a Bundle.

use salus_access::Interaction;
use salus_fhir::datatypes::instant;
use salus_store::{Version, Written};

/// A FHIR answer.
#[derive(Debug, Clone, Default)]
pub struct FhirResponse {
    /// HTTP status.
    pub status: u16,
    /// Body, FHIR JSON; empty for none.
    pub body: String,
    /// Whether the body is an OperationOutcome about the request, rather than what was asked for.
    pub outcome: bool,
    /// Version for `ETag`.
    pub version: Option<i32>,
    /// For `Last-Modified`, microseconds since 1970-01-01T00:00:00Z.
    pub updated: Option<i64>,
    /// `Location`, relative to the FHIR base.
    pub location: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// What was asked for, as far as it is known.
    pub interaction: Option<Interaction>,
}

impl FhirResponse {
    /// A body with a status.
    pub fn json(status: u16, body: impl Into<String>) -> Self {
        Self { status, body: body.into(), ..Self::default() }
    }

    /// A stored version.
    pub fn version(version: Version) -> Self {
        Self {
            status: 200,
            body: version.body.unwrap_or_default(),
            version: Some(version.version),
            updated: Some(version.updated),
            ..Self::default()
        }
    }

    /// What came of a write, without a body yet.
    pub fn written(written: &Written) -> Self {
        let status = match (written.created, written.body.is_some()) {
            (_, false) => 204,
            (true, true) => 201,
            (false, true) => 200,
        };
        let location = format!("{}/{}/_history/{}", written.resource_type, written.id, written.version);
        Self {
            status,
            version: Some(written.version).filter(|version| *version > 0),
            updated: Some(written.updated).filter(|updated| *updated > 0),
            location: (status != 204).then_some(location),
            ..Self::default()
        }
    }

    /// The media type of a body that is no FHIR resource.
    pub fn media_type(&self) -> Option<&str> {
        self.headers.iter().find(|(name, _)| *name == "content-type").map(|(_, media)| media.as_str())
    }

    /// `ETag`, where there is a version.
    pub fn etag(&self) -> Option<String> {
        self.version.map(|version| format!("W/\"{version}\""))
    }

    /// `Last-Modified` as HTTP writes it (RFC 9110 section 5.6.7).
    pub fn last_modified(&self) -> Option<String> {
        self.updated.map(http_date)
    }

    /// `meta.lastUpdated` as FHIR writes it.
    pub fn last_updated(&self) -> Option<String> {
        self.updated.map(instant)
    }
}

/// A time as HTTP writes it: `Tue, 15 Nov 1994 08:12:31 GMT`.
pub fn http_date(micros: i64) -> String {
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros.max(0).unsigned_abs()))
}
