//! Writing Bundles: searchsets, histories, and answers to batches.

use std::fmt::Write as _;

use salus_fhir::datatypes::instant;
use salus_fhir::json::Value;

/// A Bundle under construction. Resources go in as text, as they are stored.
pub struct BundleWriter {
    text: String,
    entries: usize,
}

impl BundleWriter {
    /// A Bundle of this type (`searchset`, `history`, …) with a total, if it is told.
    pub fn new(kind: &str, total: Option<i64>) -> Self {
        let mut text = String::with_capacity(4096);
        let id = uuid::Uuid::new_v4();
        let _ = write!(
            text,
            r#"{{"resourceType":"Bundle","id":"{id}","meta":{{"lastUpdated":"{}"}},"type":"{kind}""#,
            instant(crate::account::now())
        );
        if let Some(total) = total {
            let _ = write!(text, r#","total":{total}"#);
        }
        Self { text, entries: 0 }
    }

    /// Adds the links, before any entry.
    pub fn links(&mut self, links: &[(&str, String)]) {
        self.text.push_str(r#","link":["#);
        for (position, (relation, url)) in links.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let _ = write!(self.text, r#"{comma}{{"relation":"{relation}","url":{}}}"#, quoted(url));
        }
        self.text.push(']');
    }

    /// Adds an entry, given the members of its object (without braces).
    pub fn entry(&mut self, members: &str) {
        self.text.push_str(if self.entries == 0 { r#","entry":[{"# } else { ",{" });
        self.text.push_str(members);
        self.text.push('}');
        self.entries += 1;
    }

    /// Adds an entry of a searchset.
    pub fn search_entry(&mut self, full_url: &str, resource: &str, mode: &str) {
        let full_url = if full_url.is_empty() { String::new() } else { format!(r#""fullUrl":{},"#, quoted(full_url)) };
        self.entry(&format!(r#"{full_url}"resource":{resource},"search":{{"mode":"{mode}"}}"#));
    }

    /// Adds a match of a searchset with how well it fits, from 0 to 1 (R4 search.html#relevance).
    pub fn scored_entry(&mut self, full_url: &str, resource: &str, score: f64) {
        let full_url = quoted(full_url);
        self.entry(&format!(
            r#""fullUrl":{full_url},"resource":{resource},"search":{{"mode":"match","score":{score:.6}}}"#
        ));
    }

    /// The Bundle's text.
    pub fn finish(mut self) -> String {
        if self.entries > 0 {
            self.text.push(']');
        }
        self.text.push('}');
        self.text
    }
}

/// `text` as a JSON string.
pub fn quoted(text: &str) -> String {
    Value::String(text.into()).to_string()
}
