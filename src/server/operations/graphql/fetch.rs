//! What walks need: resources by reference, many in one statement, and searches. Each goes by the caller's own
//! access, as it would by itself.

use std::collections::{BTreeSet, HashMap};

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
/// Searches of one answer: each is a statement of its own.
const MOST_SEARCHES: usize = 50;

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
        for search in lacking.searches {
            let found = self.page(act, &search).await?;
            self.searches.insert(search, found);
        }
        Ok(())
    }

    async fn page(&mut self, act: &Act<'_>, search: &Search) -> Result<Found, Failure> {
        let login = || Failure::new(401, IssueCode::Login, "this request needs an access token");
        let principal = act.caller.principal.as_ref().ok_or_else(login)?;
        let kind = search.resource_type.as_str();
        let access = act.app.access(principal, Interaction::SearchType, Some(kind)).await?;
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
        let page = act.reads.search(&access, &query).await?;
        let mut resources = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            resources.push(self.parsed(&entry.version)?);
        }
        let next =
            page.next.map(|after| Start { offset: start.offset + page.entries.len() as i64, after: Some(after) });
        Ok(Found {
            resources,
            total: page.total,
            offset: start.offset,
            size: query.count,
            first: page_link::encode(&act.app.seal, identity, &Start::default())?,
            next: next.map(|next| page_link::encode(&act.app.seal, identity, &next)).transpose()?,
        })
    }

    fn parsed(&mut self, version: &Version) -> Result<Value<'static>, Failure> {
        self.saw(&version.patients);
        let body = version.body.as_deref().unwrap_or("{}");
        Ok(json::parse(body, &Limits::default()).map_err(crate::operations::unreadable)?.into_static())
    }
}
