//! What a caller asks to change, and what came of it.

use std::sync::Arc;

use salus_access::consent::compile;
use salus_access::{Access, ConsentRule};
use salus_fhir::Key;
use salus_fhir::json::{Object, Value};

use crate::facts::Facts;

/// How a version came about; recorded for `_history` (R4 http.html#history).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Created under an id the server chose.
    Post,
    /// Updated, or created under the client's id.
    Put,
    /// Patched.
    Patch,
    /// Deleted.
    Delete,
}

impl Method {
    /// The HTTP method's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// What must hold of the current version for the change to happen (R4 http.html#concurrency).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precondition {
    /// Nothing.
    #[default]
    None,
    /// `If-Match: W/"n"`: this is the current version.
    Version(i32),
    /// `If-Match: *`: there is a current version, whichever.
    Present,
    /// `If-None-Match: *`: there is no current version.
    Absent,
}

/// A change of one resource.
#[derive(Debug, Clone)]
pub struct Change {
    /// What the caller may see and write, for this interaction.
    pub access: Arc<Access>,
    /// Resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: String,
    /// How.
    pub method: Method,
    /// The new content; `None` to delete.
    pub content: Option<Content>,
    /// What must hold.
    pub precondition: Precondition,
}

impl Change {
    /// The key of the row.
    pub(crate) fn rid(&self) -> Key {
        Key::resource(&self.resource_type, &self.id)
    }

    /// Whether no row can exist yet: the server has just made the id up.
    pub(crate) fn is_new(&self) -> bool {
        self.method == Method::Post
    }
}

/// A resource ready to be stored: its facts, and its text but for the two values only the commit
/// knows, `meta.versionId` and `meta.lastUpdated`.
#[derive(Debug, Clone)]
pub struct Content {
    pub(crate) facts: Facts,
    pub(crate) rules: Vec<ConsentRule>,
    before_version: String,
    after_updated: String,
}

impl Content {
    /// Prepares `resource` to be stored under `id`: `id` and `meta` are set, everything else stays as
    /// sent, in its order.
    pub(crate) fn new(resource_type: &str, id: &str, resource: &Value<'_>, facts: Facts, base: &str) -> Self {
        let mut rules = if resource_type == "Consent" { compile(resource, base) } else { Vec::new() };
        // The resource may come without an id, or the server may have chosen another.
        rules.iter_mut().for_each(|rule| rule.consent = facts.rid);
        let empty = Object::default();
        let members = resource.as_object().unwrap_or(&empty);
        let mut before = String::with_capacity(1024);
        let mut after = String::with_capacity(1024);
        before.push('{');
        if let Some(kind) = members.get("resourceType") {
            before.push_str("\"resourceType\":");
            kind.write(&mut before);
            before.push(',');
        }
        before.push_str("\"id\":");
        Value::String(id.into()).write(&mut before);
        before.push_str(",\"meta\":{\"versionId\":\"");
        let meta = members.get("meta").and_then(Value::as_object).unwrap_or(&empty);
        write_members(meta, &["versionId", "lastUpdated"], &mut after);
        after.push('}');
        write_members(members, &["resourceType", "id", "meta"], &mut after);
        after.push('}');
        Self { facts, rules, before_version: before, after_updated: after }
    }

    /// The text with `version` and `updated` (microseconds) in place.
    pub(crate) fn text(&self, version: i32, updated: i64) -> String {
        format!(
            "{}{version}\",\"lastUpdated\":\"{}\"{}",
            self.before_version,
            salus_fhir::datatypes::instant(updated),
            self.after_updated
        )
    }
}

/// Appends `,"name":value` for every member but those named.
fn write_members(members: &Object<'_>, without: &[&str], out: &mut String) {
    for (name, value) in members.iter().filter(|(name, _)| !without.contains(name)) {
        out.push(',');
        Value::String(name.into()).write(out);
        out.push(':');
        value.write(out);
    }
}

/// What came of a change.
#[derive(Debug, Clone)]
pub struct Written {
    /// Resource type.
    pub resource_type: String,
    /// Logical id.
    pub id: String,
    /// The version that is now current.
    pub version: i32,
    /// Its `meta.lastUpdated`, microseconds since 1970-01-01T00:00:00Z.
    pub updated: i64,
    /// How it came about.
    pub method: Method,
    /// Whether no version was there before (or only a deletion).
    pub created: bool,
    /// Whether anything changed: a deletion of what is gone already and a conditional create that
    /// found a match change nothing.
    pub changed: bool,
    /// The stored text; `None` after a deletion.
    pub body: Option<String>,
    /// Logical ids of the patients it is about.
    pub patients: Vec<String>,
}
