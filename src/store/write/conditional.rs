//! Conditional interactions: criteria resolved inside the transaction that acts on them
//! (R4 http.html#ccreate, #cond-update, #cdelete; and conditional references, #trules).

use deadpool_postgres::Transaction;
use salus_access::{Access, Permission};
use salus_fhir::Key;

use crate::predicate::View;
use crate::row::Version;
use crate::search::{SearchQuery, Total};
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

    /// The one resource that matches `criteria` (a query string), if any, among those the caller may search
    /// for: whoever may only create or update must not find out by criteria what there is.
    ///
    /// # Errors
    /// [`Error::MultipleMatches`] for more than one, [`Error::Search`] for criteria that cannot be used:
    /// ignoring part of them would match the wrong resource.
    pub(super) async fn find_one(
        &self,
        transaction: &Transaction<'_>,
        access: &Access,
        resource_type: &str,
        criteria: &str,
    ) -> Result<Option<Version>> {
        let query = self.criteria(resource_type, criteria)?;
        let view = View { permission: Permission::Search, ..self.view(access) };
        let page = self.search_with(transaction, &view, &query).await?;
        let mut found = page.entries.into_iter();
        match (found.next(), found.len()) {
            (None, _) => Ok(None),
            (Some(entry), 0) => Ok(Some(entry.version)),
            (Some(_), more) => {
                Err(Error::MultipleMatches { criteria: format!("{resource_type}?{criteria}"), count: more + 1 })
            }
        }
    }

    fn criteria(&self, resource_type: &str, criteria: &str) -> Result<SearchQuery> {
        let parameters: Vec<(String, String)> = form_urlencoded::parse(criteria.as_bytes()).into_owned().collect();
        if parameters.is_empty() {
            let message = "the criteria are empty; they would match everything".to_owned();
            return Err(Error::Search { parameter: criteria.to_owned(), message });
        }
        let (mut query, ignored) = SearchQuery::parse(self.definitions(), resource_type, &parameters)?;
        if let Some(ignored) = ignored.into_iter().next() {
            return Err(Error::Search { parameter: ignored.parameter, message: ignored.reason });
        }
        query.total = Total::None;
        query.count = 2;
        Ok(query)
    }
}

/// One lock for all ways of writing the same criteria in another order.
fn lock_key(tenant: i32, resource_type: &str, criteria: &str) -> i64 {
    let mut parts: Vec<&str> = criteria.split('&').filter(|part| !part.is_empty()).collect();
    parts.sort_unstable();
    let key = Key::of(&["criteria", &tenant.to_string(), resource_type, &parts.join("&")]);
    (key.0 >> 64) as i64
}
