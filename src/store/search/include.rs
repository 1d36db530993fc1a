//! `_include` and `_revinclude` (R4 search.html#include, #revinclude), under the same predicate.

use std::collections::HashSet;

use deadpool_postgres::GenericClient;
use salus_access::{Access, Permission};
use salus_fhir::Key;
use salus_fhir::datatypes::Reference;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::search::{ParameterType, SearchValue};

use super::page::{Entry, EntryMode, Page, run};
use super::query::{Include, SearchQuery};
use crate::facts::{parameter_key, stored_as};
use crate::predicate::View;
use crate::row::{Version, columns};
use crate::sql::Sql;
use crate::{Error, Result, Store};

/// Most resources that one page includes; the rest is left to reads and further searches.
const MOST_INCLUDED: i64 = 1000;
/// Rounds of `:iterate`.
const ROUNDS: usize = 8;

impl Store {
    /// Adds to `page` what its matches include, each resource once.
    pub(super) async fn include(
        &self,
        client: &impl GenericClient,
        view: &View<'_>,
        query: &SearchQuery,
        page: &mut Page,
    ) -> Result<()> {
        let mut known: HashSet<Key> = page.entries.iter().map(|entry| key(&entry.version)).collect();
        let mut from = 0;
        for round in 0..ROUNDS {
            let new = &page.entries[from..];
            if new.is_empty() {
                break;
            }
            from = page.entries.len();
            let active = |include: &&Include| round == 0 || include.iterate;
            let targets = self.targets(view, new, query.include.iter().filter(active))?;
            let sources = self.sources(new, query.revinclude.iter().filter(active));
            let mut found = Vec::new();
            if !targets.is_empty() {
                found.extend(self.fetch_targets(client, view, &targets).await?);
            }
            for (source_type, keys) in sources {
                found.extend(self.fetch_sources(client, view, &source_type, &keys).await?);
            }
            for version in found {
                if known.insert(key(&version)) {
                    page.entries.push(Entry { mode: EntryMode::Include, score: None, version });
                }
            }
        }
        Ok(())
    }

    /// Keys of the resources that `entries` point at by the parameters of `includes`.
    fn targets<'i>(
        &self,
        view: &View<'_>,
        entries: &[Entry],
        includes: impl Iterator<Item = &'i Include>,
    ) -> Result<Vec<Key>> {
        let includes: Vec<&Include> = includes.collect();
        let mut targets = HashSet::new();
        for entry in entries.iter().filter(|_| !includes.is_empty()) {
            let Version { resource_type, body: Some(body), .. } = &entry.version else { continue };
            let wanted = includes.iter().filter(|include| include.source == *resource_type);
            let wanted: Vec<_> = wanted.collect();
            if wanted.is_empty() {
                continue;
            }
            let value = json::parse(body, &Limits::default()).map_err(|error| Error::Internal(error.to_string()))?;
            self.definitions().search().extract_below(view.base, resource_type, &value, &mut |parameter, found| {
                let SearchValue::Reference { resource_type: Some(target), id: Some(id), .. } = found else { return };
                let asked = wanted.iter().any(|include| {
                    (include.parameter == "*" || include.parameter == parameter.code)
                        && include.target.as_deref().is_none_or(|wanted| wanted == target)
                });
                if asked {
                    targets.insert(Key::resource(target, id));
                }
            });
        }
        Ok(targets.into_iter().collect())
    }

    /// For each source type, the reference keys under which sources of `entries` stand.
    fn sources<'i>(&self, entries: &[Entry], includes: impl Iterator<Item = &'i Include>) -> Vec<(String, Vec<Key>)> {
        let (definitions, mut sources) = (self.definitions(), Vec::new());
        for include in includes {
            let parameters: Vec<&str> = definitions
                .search()
                .for_type(&include.source)
                .iter()
                .filter(|parameter| parameter.kind == ParameterType::Reference)
                .filter(|parameter| include.parameter == "*" || include.parameter == parameter.code)
                .flat_map(stored_as)
                .collect();
            let keys = entries
                .iter()
                .filter(|entry| include.target.as_deref().is_none_or(|target| target == entry.version.resource_type))
                .flat_map(|entry| {
                    parameters.iter().map(|code| parameter_key(&include.source, code).reference(key(&entry.version)))
                })
                .collect();
            sources.push((include.source.clone(), keys));
        }
        sources
    }

    /// What the matches of a page refer to, by whichever element, each resource once and none that is a match
    /// itself; but no other patient's data. Only of `types`, unless they are none.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] where the database does not answer.
    pub async fn referenced(&self, access: &Access, entries: &[Entry], types: &[String]) -> Result<Vec<Version>> {
        let known: HashSet<Key> = entries.iter().map(|entry| key(&entry.version)).collect();
        let mut targets = HashSet::new();
        for body in entries.iter().filter_map(|entry| entry.version.body.as_deref()) {
            let value = json::parse(body, &Limits::default()).map_err(|error| Error::Internal(error.to_string()))?;
            self.add_references(&value, types, &mut targets);
        }
        let targets: Vec<Key> = targets.difference(&known).copied().collect();
        if targets.is_empty() {
            return Ok(Vec::new());
        }
        let of: Vec<&Version> = entries.iter().map(|entry| &entry.version).collect();
        let found = self.read_several(access, &targets).await?;
        let same = |version: &Version| version.patients.iter().all(|one| of.iter().any(|of| of.patients.contains(one)));
        Ok(found.into_iter().filter(same).collect())
    }

    /// The resources with these keys that the caller may read, in no order; a thousand in one statement.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] where the database does not answer.
    pub async fn read_several(&self, access: &Access, keys: &[Key]) -> Result<Vec<Version>> {
        let client = self.client().await?;
        let mut found = Vec::with_capacity(keys.len());
        for some in keys.chunks(MOST_INCLUDED as usize) {
            found.extend(self.fetch_targets(&client, &self.view(access), some).await?);
        }
        Ok(found)
    }

    /// Adds what a resource's `reference` elements point at on this server.
    fn add_references(&self, value: &Value<'_>, types: &[String], targets: &mut HashSet<Key>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.add_references(item, types, targets)),
            Value::Object(members) => members.iter().for_each(|(name, member)| match (name, member) {
                ("reference", Value::String(text)) => {
                    if let Reference::Relative { resource_type, id, .. } = Reference::parse_below(text, self.base())
                        && (types.is_empty() || types.iter().any(|known| known == resource_type))
                    {
                        targets.insert(Key::resource(resource_type, id));
                    }
                }
                (_, member) => self.add_references(member, types, targets),
            }),
            _ => {}
        }
    }

    async fn fetch_targets(&self, client: &impl GenericClient, view: &View<'_>, rows: &[Key]) -> Result<Vec<Version>> {
        let definitions = self.definitions();
        let types: Vec<&str> = definitions.resource_types().collect();
        let mut sql = Sql::default();
        sql.push("SELECT ").push(&columns("r")).push(" FROM resource r WHERE r.tenant = ").bind(self.tenant());
        sql.push(" AND r.rid = ANY(").bind(rows).push(") AND NOT r.deleted AND ");
        view.write_types(Permission::Read, &types, "r", &mut sql);
        sql.push(" ORDER BY r.type, r.id LIMIT ").bind(MOST_INCLUDED);
        versions(client, &sql).await
    }

    async fn fetch_sources(
        &self,
        client: &impl GenericClient,
        view: &View<'_>,
        source_type: &str,
        keys: &[Key],
    ) -> Result<Vec<Version>> {
        let mut sql = Sql::default();
        sql.push("SELECT ")
            .push(&columns("r"))
            .push(" FROM (SELECT DISTINCT s.tenant, s.rid FROM search_index s WHERE s.tenant = ");
        sql.bind(self.tenant()).push(" AND s.key = ANY(").bind(keys).push(")) s JOIN resource r");
        sql.push(" ON r.tenant = s.tenant AND r.rid = s.rid WHERE NOT r.deleted AND ");
        view.write_related(Permission::Read, source_type, "r", &mut sql);
        sql.push(" ORDER BY r.sort DESC, r.rid LIMIT ").bind(MOST_INCLUDED);
        versions(client, &sql).await
    }
}

async fn versions(client: &impl GenericClient, sql: &Sql) -> Result<Vec<Version>> {
    run(client, sql).await?.iter().map(|row| Ok(Version::from_row(row, 0)?)).collect()
}

fn key(version: &Version) -> Key {
    Key::resource(&version.resource_type, &version.id)
}
