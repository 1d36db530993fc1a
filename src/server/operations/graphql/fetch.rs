//! What walks need: resources by reference, many in one statement, and searches. Each goes by the caller's own
//! access, as it would by itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use salus_access::Interaction;
use salus_fhir::Key;
use salus_fhir::json::{self, Limits, Value};
use salus_fhir::outcome::IssueCode;
use salus_store::Version;
use salus_store::search::{Cursor, SearchContext, SearchQuery, Total};
use serde::{Deserialize, Serialize};

use super::arguments::Search;
use super::execute::Lacking;
use super::{refused, too_costly};
use crate::dispatch::Act;
use crate::failure::Failure;
use crate::interactions::page_link;

/// Resources that all references of an answer may lead to.
const MOST_REFERENCES: usize = 2000;
/// Searches of one answer: each is a statement of its own, though those of a level are sent together.
const MOST_SEARCHES: usize = 500;

/// A resource that a reference names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub resource_type: String,
    pub id: String,
}

/// A page of a search.
#[derive(Debug)]
pub(super) struct Found {
    pub resources: Vec<Value<'static>>,
    /// How many match, where that was wanted.
    pub total: Option<i64>,
    /// How many matches came before.
    pub offset: i64,
    /// Most matches of a page.
    pub size: i64,
    /// Where the first page starts.
    pub first: String,
    /// Where the next page starts, if there is one.
    pub next: Option<String>,
}

/// Where a page starts.
#[derive(Default, Serialize, Deserialize)]
struct Start {
    offset: i64,
    after: Option<Cursor>,
}

/// All that was fetched.
#[derive(Default)]
pub(super) struct Sources {
    resources: HashMap<Named, Option<Value<'static>>>,
    searches: HashMap<Search, Found>,
    patients: BTreeSet<String>,
}

impl Sources {
    /// A resource: `None` where it was not fetched yet, `Some(None)` where there is none to see.
    pub fn resource(&self, named: &Named) -> Option<Option<&Value<'static>>> {
        self.resources.get(named).map(Option::as_ref)
    }

    /// A page of a search, where it was fetched.
    pub fn search(&self, search: &Search) -> Option<&Found> {
        self.searches.get(search)
    }

    /// The patients whose data were fetched.
    pub fn patients(&self) -> impl Iterator<Item = &String> {
        self.patients.iter()
    }

    /// Notes that data of these patients were seen.
    pub fn saw(&mut self, patients: &[String]) {
        self.patients.extend(patients.iter().cloned());
    }

    /// Fetches what a walk lacked.
    ///
    /// # Errors
    /// 400 for very much, and for a search that cannot be made; 403 for one that the token does not allow.
    pub async fn fetch(&mut self, act: &Act<'_>, lacking: Lacking) -> Result<(), Failure> {
        if self.resources.len() + lacking.resources.len() > MOST_REFERENCES {
            return Err(too_costly(&format!("the answer would follow more than {MOST_REFERENCES} references")));
        }
        if self.searches.len() + lacking.searches.len() > MOST_SEARCHES {
            return Err(too_costly(&format!("the answer would take more than {MOST_SEARCHES} searches")));
        }
        if !lacking.resources.is_empty() {
            let keys: Vec<Key> =
                lacking.resources.iter().map(|one| Key::resource(&one.resource_type, &one.id)).collect();
            for version in act.app.store.read_several(&act.access, &keys).await? {
                let value = self.parsed(&version)?;
                let named = Named { resource_type: version.resource_type, id: version.id };
                self.resources.insert(named, Some(value));
            }
            for named in lacking.resources {
                self.resources.entry(named).or_insert(None);
            }
        }
        let mut by_type: BTreeMap<String, Vec<Search>> = BTreeMap::new();
        for search in lacking.searches {
            by_type.entry(search.resource_type.clone()).or_default().push(search);
        }
        for (kind, searches) in by_type {
            self.pages(act, &kind, searches).await?;
        }
        Ok(())
    }

    /// Pages of searches of one type, all of them together.
    async fn pages(&mut self, act: &Act<'_>, kind: &str, searches: Vec<Search>) -> Result<(), Failure> {
        let login = || Failure::new(401, IssueCode::Login, "this request needs an access token");
        let principal = act.caller.principal.as_ref().ok_or_else(login)?;
        let access = act.app.access(principal, Interaction::SearchType, Some(kind)).await?;
        let (mut queries, mut begun) = (Vec::with_capacity(searches.len()), Vec::with_capacity(searches.len()));
        for search in &searches {
            let context = SearchContext::of_type(kind);
            let (mut query, ignored) = SearchQuery::parse(&act.app.store.definitions(), context, &search.filters)?;
            if let Some(first) = ignored.first() {
                return Err(refused(IssueCode::NotSupported, format!("{}: {}", first.parameter, first.reason)));
            }
            query.total = if search.counted { Total::Accurate } else { Total::None };
            let identity = page_link::identity(act, &format!("$graphql/{kind}"), &search.filters);
            let start: Start = match &search.cursor {
                Some(text) => page_link::decode(&act.app.seal, text, identity)?,
                None => Start::default(),
            };
            query.after = start.after;
            queries.push(query);
            begun.push((identity, start.offset));
        }
        let pages = act.app.store.search_all(&access, &queries).await?;
        for (((search, page), query), (identity, offset)) in searches.into_iter().zip(pages).zip(queries).zip(begun) {
            let resources = page.entries.iter().map(|entry| self.parsed(&entry.version));
            let resources = resources.collect::<Result<Vec<_>, _>>()?;
            let next = page.next.map(|after| Start { offset: offset + page.entries.len() as i64, after: Some(after) });
            let link = |start: &Start| page_link::encode(&act.app.seal, identity, start);
            let found = Found {
                resources,
                total: page.total,
                offset,
                size: query.count,
                first: link(&Start::default())?,
                next: next.as_ref().map(link).transpose()?,
            };
            self.searches.insert(search, found);
        }
        Ok(())
    }

    fn parsed(&mut self, version: &Version) -> Result<Value<'static>, Failure> {
        self.saw(&version.patients);
        let body = version.body.as_deref().unwrap_or("{}");
        Ok(json::parse(body, &Limits::default()).map_err(crate::operations::unreadable)?.into_static())
    }
}
