//! A version of a resource as it comes from a row.

use tokio_postgres::Row;

/// One version of a resource, as stored.
#[derive(Debug, Clone)]
pub struct Version {
    /// Resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: String,
    /// `meta.versionId`.
    pub version: i32,
    /// `meta.lastUpdated`, microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// What made this version: `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: String,
    /// The resource's JSON text; `None` for a deletion.
    pub body: Option<String>,
    /// Logical ids of the patients whose compartments it is in, for the audit.
    pub patients: Vec<String>,
}

/// The columns [`Version::from_row`] reads, of the row with this alias.
pub(crate) fn columns(alias: &str) -> String {
    ["type", "id", "version", "updated", "method", "body", "patients"]
        .map(|column| format!("{alias}.{column}"))
        .join(", ")
}

impl Version {
    /// Reads the columns named by [`columns`], the first of them at `first`.
    pub(crate) fn from_row(row: &Row, first: usize) -> Result<Self, tokio_postgres::Error> {
        Ok(Self {
            resource_type: row.try_get(first)?,
            id: row.try_get(first + 1)?,
            version: row.try_get(first + 2)?,
            updated: row.try_get(first + 3)?,
            method: row.try_get(first + 4)?,
            body: row.try_get(first + 5)?,
            patients: row.try_get(first + 6)?,
        })
    }
}
