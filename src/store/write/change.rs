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
    /// The state of the search parameters that its facts were taken by.
    pub(crate) made_with: i64,
    before_version: String,
    after_updated: String,
}

impl Content {
    /// Prepares `resource` to be stored under `id`: `id` and `meta` are set, everything else stays as
    /// sent, in its order.
    pub(crate) fn new(
        resource_type: &str,
        id: &str,
        resource: &Value<'_>,
        facts: Facts,
        made_with: i64,
        base: &str,
    ) -> Self {
        let mut rules = if resource_type == "Consent" { compile(resource, base) } else { Vec::new() };
        // The resource may come without an id, or the server may have chosen another.
        rules.iter_mut().for_each(|rule| rule.consent = facts.rid);
        let empty = Object::default();
        let members = resource.as_object().unwrap_or(&empty);
        let (mut before, mut after) = (String::with_capacity(1024), String::with_capacity(1024));
        let mut is_after = false;
        for (position, name) in names(members).into_iter().enumerate() {
            let out = if is_after { &mut after } else { &mut before };
            out.push(if position == 0 { '{' } else { ',' });
            match (name, members.get(name)) {
                ("id", _) => {
                    out.push_str("\"id\":");
                    Value::String(id.into()).write(out);
                }
                ("meta", meta) => {
                    out.push_str("\"meta\":{\"versionId\":\"");
                    let meta = meta.and_then(Value::as_object).unwrap_or(&empty);
                    write_members(meta, &["versionId", "lastUpdated"], &mut after);
                    after.push('}');
                    is_after = true;
                }
                (name, value) => write_member(name, value.unwrap_or(&Value::Null), out),
            }
        }
        after.push('}');
        Self { facts, rules, made_with, before_version: before, after_updated: after }
    }

    /// About how long the text is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.before_version.len() + self.after_updated.len()
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

/// The names of a resource's members as they were sent, with `id` and `meta` where they usually stand if they were
/// not sent.
fn names<'o>(members: &'o Object<'_>) -> Vec<&'o str> {
    let mut names: Vec<&str> = members.iter().map(|(name, _)| name).collect();
    for (missing, follows) in [("id", "resourceType"), ("meta", "id")] {
        if !names.contains(&missing) {
            let at = names.iter().position(|name| *name == follows).map_or(0, |position| position + 1);
            names.insert(at, missing);
        }
    }
    names
}

/// Appends `,"name":value` for every member but those named.
fn write_members(members: &Object<'_>, without: &[&str], out: &mut String) {
    for (name, value) in members.iter().filter(|(name, _)| !without.contains(name)) {
        out.push(',');
        write_member(name, value, out);
    }
}

fn write_member(name: &str, value: &Value<'_>, out: &mut String) {
    Value::String(name.into()).write(out);
    out.push(':');
    value.write(out);
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

#[cfg(test)]
mod tests {
    use salus_fhir::json::{Limits, parse};

    use super::*;

    fn stored(sent: &str) -> String {
        let resource = parse(sent, &Limits::default()).unwrap();
        Content::new("Patient", "1", &resource, Facts::default(), 0, "").text(3, 0)
    }

    #[test]
    fn members_stay_in_the_order_they_were_sent_in() {
        let meta = r#""meta":{"versionId":"3","lastUpdated":"1970-01-01T00:00:00.000Z""#;
        assert_eq!(
            stored(r#"{"gender":"other","meta":{"versionId":"9","tag":[]},"resourceType":"Patient","x":1.00}"#),
            format!(r#"{{"gender":"other",{meta},"tag":[]}},"resourceType":"Patient","id":"1","x":1.00}}"#)
        );
        assert_eq!(
            stored(r#"{"resourceType":"Patient"}"#),
            format!(r#"{{"resourceType":"Patient","id":"1",{meta}}}}}"#)
        );
    }
}
