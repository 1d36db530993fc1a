//! Conditional interactions: criteria resolved inside the transaction that acts on them
//! (R4 http.html#ccreate, #cond-update, #cdelete; and conditional references, #trules).

use deadpool_postgres::Transaction;
use salus_access::{Access, Permission};
use salus_fhir::Key;

use crate::predicate::View;
use crate::row::Version;
use crate::search::{SearchContext, SearchQuery, Total};
use crate::{Error, Result, Store};

impl Store {
    /// Keeps every other request with one of these criteria waiting until this transaction ends, so
    /// that "create unless there is one" holds under races. Always in one order, so that no two
    /// requests wait for each other.
    pub(super) async fn lock_criteria(&self, transaction: &Transaction<'_>, criteria: &[(&str, &str)]) -> Result<()> {
        let mut locks: Vec<i64> = criteria.iter().map(|(kind, query)| lock_key(self.tenant(), kind, query)).collect();
        locks.sort_unstable();
        locks.dedup();
        if !locks.is_empty() {
            transaction
                .execute(
                    "SELECT pg_advisory_xact_lock(k) FROM unnest($1::int8[]) WITH ORDINALITY AS u(k, n) ORDER BY n",
                    &[&locks],
                )
                .await?;
        }
        Ok(())
    }

    /// The one resource that matches `criteria`, if any; see [`Self::find`].
    pub(super) async fn find_one(
        &self,
        transaction: &Transaction<'_>,
        access: &Access,
        resource_type: &str,
        criteria: &str,
    ) -> Result<Option<Version>> {
        Ok(self.find(transaction, access, resource_type, criteria, 1).await?.pop())
    }

    /// The resources that match `criteria` (a query string) among those the caller may search for: whoever
    /// may only create or update must not find out by criteria what there is.
    ///
    /// # Errors
    /// [`Error::MultipleMatches`] for more than `most`, [`Error::Search`] for criteria that cannot be used:
    /// ignoring part of them would match the wrong resource.
    pub(super) async fn find(
        &self,
        transaction: &Transaction<'_>,
        access: &Access,
        resource_type: &str,
        criteria: &str,
        most: usize,
    ) -> Result<Vec<Version>> {
        let mut query = self.criteria(resource_type, criteria)?;
        query.count = most as i64 + 1;
        let view = View { permission: Permission::Search, ..self.view(access) };
        let page = self.search_with(transaction, &view, &query).await?;
        if page.entries.len() > most {
            return Err(Error::MultipleMatches { criteria: format!("{resource_type}?{criteria}"), most });
        }
        Ok(page.entries.into_iter().map(|entry| entry.version).collect())
    }

    fn criteria(&self, resource_type: &str, criteria: &str) -> Result<SearchQuery> {
        let (mut query, ignored) = SearchQuery::parse(
            &self.definitions(),
            SearchContext::of_type(resource_type),
            &parameters(resource_type, criteria),
        )?;
        if let Some(ignored) = ignored.into_iter().next() {
            return Err(Error::Search { parameter: ignored.parameter, message: ignored.reason });
        }
        if query.matches_everything() {
            let message = "the criteria say nothing of what to match; they would match everything".to_owned();
            return Err(Error::Search { parameter: criteria.to_owned(), message });
        }
        query.total = Total::None;
        Ok(query)
    }
}

/// The parameters of criteria, which clients write as a query or as the whole URL of a search
/// (`identifier=1`, `?identifier=1`, `Patient?identifier=1`).
fn parameters(resource_type: &str, criteria: &str) -> Vec<(String, String)> {
    let query = match criteria.split_once('?') {
        Some((before, query))
            if before.rsplit('/').next().is_some_and(|last| last.is_empty() || last == resource_type) =>
        {
            query
        }
        _ => criteria,
    };
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// How many matches a conditional deletion may take (contract, "Defaults"): one, unless `_count` says more.
///
/// # Errors
/// [`Error::Search`] for a `_count` that is no positive number.
pub(super) fn most_deletions(resource_type: &str, criteria: &str) -> Result<usize> {
    let count = parameters(resource_type, criteria).into_iter().find(|(name, _)| name == "_count");
    let Some((parameter, value)) = count else { return Ok(1) };
    match value.parse() {
        Ok(most) if (1..=MOST_DELETIONS).contains(&most) => Ok(most),
        _ => {
            let message = format!("it says how many may be deleted, 1 to {MOST_DELETIONS}, not '{value}'");
            Err(Error::Search { parameter, message })
        }
    }
}

/// Most resources that one conditional deletion takes.
const MOST_DELETIONS: usize = 999;

/// The criteria in one spelling, whichever way and order they came in.
pub(super) fn canonical(resource_type: &str, criteria: &str) -> String {
    let mut pairs = parameters(resource_type, criteria);
    pairs.sort_unstable();
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    format!("{resource_type}?{query}")
}

/// One lock for all spellings of the same criteria.
fn lock_key(tenant: i32, resource_type: &str, criteria: &str) -> i64 {
    let key = Key::of(&["criteria", &tenant.to_string(), &canonical(resource_type, criteria)]);
    (key.0 >> 64) as i64
}
