//! What has been written of one patient: a transaction Bundle in the making.

use std::collections::BTreeMap;

use crate::json::{Json, list, object};

/// Resources with fixed ids, to be stored by PUT.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    prefix: String,
    entries: Vec<(String, Json)>,
    counters: BTreeMap<&'static str, u32>,
}

impl Chart {
    /// A chart whose ids start with `prefix`.
    pub(crate) fn new(prefix: impl Into<String>) -> Chart {
        Chart { prefix: prefix.into(), ..Chart::default() }
    }

    /// Adds a resource under the next id of its type, which `body` builds around that id, and
    /// gives its literal reference.
    pub(crate) fn add(&mut self, kind: &'static str, body: impl FnOnce(String) -> Json) -> String {
        let id = self.next_id(kind);
        self.put(kind, id, body)
    }

    /// The reference that the next resource of this type will have.
    pub(crate) fn upcoming(&self, kind: &'static str) -> String {
        let next = self.counters.get(kind).copied().unwrap_or(0) + 1;
        format!("{kind}/{}", self.id(kind, next))
    }

    /// Adds a resource under an id of its own.
    pub(crate) fn put(&mut self, kind: &'static str, id: String, body: impl FnOnce(String) -> Json) -> String {
        let url = format!("{kind}/{id}");
        self.entries.push((url.clone(), body(id)));
        url
    }

    fn next_id(&mut self, kind: &'static str) -> String {
        let counter = self.counters.entry(kind).or_insert(0);
        *counter += 1;
        let counter = *counter;
        self.id(kind, counter)
    }

    fn id(&self, kind: &str, number: u32) -> String {
        format!("{}-{}-{number:04}", self.prefix, kind.to_lowercase())
    }

    /// How many resources there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The transaction Bundle as text.
    pub(crate) fn bundle(self) -> String {
        let entries: Vec<Json> = self
            .entries
            .into_iter()
            .map(|(url, resource)| {
                object! {
                    "resource": resource,
                    "request": object! { "method": "PUT", "url": url },
                }
            })
            .collect();
        let bundle = object! {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": entries,
        };
        let mut out = String::new();
        bundle.write(&mut out);
        out
    }
}

/// A `category` of one coding.
pub(crate) fn category(system: &'static str, code: &'static str) -> Json {
    list![crate::datatypes::plain_concept(system, code)]
}
