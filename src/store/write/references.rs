//! References inside a transaction: `fullUrl`s become `Type/id`, conditional references are looked up (R4
//! http.html#trules, bundle.html#references).

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use salus_fhir::json::Value;

use super::transaction::Entry;
use crate::{Error, Result, Store};

impl Store {
    /// Rewrites what points at other entries or is a conditional reference (`Type?criteria`).
    pub(super) async fn resolve_references(
        &self,
        transaction: &Transaction<'_>,
        entry: &Entry<'_>,
        resource: &mut Value<'_>,
        references: &mut HashMap<String, String>,
    ) -> Result<()> {
        let base = entry.full_url.as_deref().and_then(rest_base);
        let mut unknown = Vec::new();
        rewrite(resource, base, references, &mut |reference| unknown.push(reference.to_owned()));
        if unknown.is_empty() {
            return Ok(());
        }
        for reference in unknown {
            if references.contains_key(&reference) {
                continue;
            }
            let unresolved = |message| Error::UnresolvedReference { location: entry.location.clone(), message };
            let Some((kind, criteria)) = reference.split_once('?') else {
                // An interaction by itself has no other entries that a placeholder could mean.
                if entry.location.is_empty() {
                    continue;
                }
                return Err(unresolved(format!("no entry has the fullUrl {reference}")));
            };
            let found = self.find_one(transaction, &entry.access, kind, criteria).await?;
            let Some(version) = found else {
                return Err(unresolved(format!("the conditional reference {reference} matches no resource")));
            };
            let target = format!("{kind}/{}", version.id);
            references.insert(reference, target);
        }
        rewrite(resource, base, references, &mut |_| {});
        Ok(())
    }
}

/// The base of a RESTful `fullUrl`, against which the entry's relative references are read (R4
/// bundle.html#references).
fn rest_base(full_url: &str) -> Option<&str> {
    let mut parts = full_url.rsplitn(3, '/');
    let (_id, _type, base) = (parts.next()?, parts.next()?, parts.next()?);
    base.starts_with("http").then_some(base)
}

/// Elements whose value may be the `fullUrl` of another entry, beside `reference` (R4
/// http.html#trules: "any references, url, oid, uuid").
const LINKS: [&str; 6] = ["reference", "url", "valueUri", "valueUrl", "valueUuid", "valueOid"];

/// Replaces every link that `references` knows, relative ones read against `base`; tells `unknown` of the
/// placeholders and conditional references it does not know.
fn rewrite(
    value: &mut Value<'_>,
    base: Option<&str>,
    references: &HashMap<String, String>,
    unknown: &mut impl FnMut(&str),
) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| rewrite(item, base, references, unknown)),
        Value::Object(members) => {
            for (name, member) in &mut members.0 {
                match member {
                    Value::String(text) if LINKS.contains(&name.as_ref()) => {
                        let relative = || references.get(&format!("{}/{text}", base?));
                        match references.get(text.as_ref()).or_else(relative) {
                            Some(target) => *text = target.clone().into(),
                            None if name == "reference" && (is_conditional(text) || is_placeholder(text)) => {
                                unknown(text)
                            }
                            None => {}
                        }
                    }
                    member => rewrite(member, base, references, unknown),
                }
            }
        }
        _ => {}
    }
}

/// Whether a reference can only mean another entry.
fn is_placeholder(reference: &str) -> bool {
    reference.starts_with("urn:uuid:") || reference.starts_with("urn:oid:")
}

fn is_conditional(reference: &str) -> bool {
    reference.split_once('?').is_some_and(|(kind, criteria)| {
        !criteria.is_empty()
            && kind.chars().all(|c| c.is_ascii_alphabetic())
            && kind.starts_with(|c: char| c.is_ascii_uppercase())
    })
}
