//! Running a search: a page of matches, what they include, and the total.

use deadpool_postgres::GenericClient;
use futures_util::future::try_join_all;
use salus_access::Access;
use tokio_postgres::Row;

use super::query::{SearchQuery, Total};
use super::sort::{Cursor, CursorValue, SortBy};
use super::statement::Compiled;
use crate::predicate::View;
use crate::row::Version;
use crate::sql::Sql;
use crate::{Error, Result, Store};

/// Why an entry is in a page (R4 valueset-search-entry-mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryMode {
    /// It matched.
    Match,
    /// A match includes it.
    Include,
}

/// An entry of a page.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Why it is here.
    pub mode: EntryMode,
    /// How well it fits the words that were searched and sorted by, from 0 to 1.
    pub score: Option<f64>,
    /// The resource.
    pub version: Version,
}

/// A page of a search.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// Matches in order, then what they include.
    pub entries: Vec<Entry>,
    /// How many resources match in all, if asked for.
    pub total: Option<i64>,
    /// Where the next page starts, if there is one.
    pub next: Option<Cursor>,
}

/// Matches that are counted without being asked to: counting takes longer the more there are.
const FEW: i64 = 10_000;

impl Store {
    /// A page of a search.
    ///
    /// # Errors
    /// [`Error::PageLink`] where `after` is not a cursor of this search.
    pub async fn search(&self, access: &Access, query: &SearchQuery) -> Result<Page> {
        let client = self.client().await?;
        self.search_with(&client, &self.view(access), query).await
    }

    /// Pages of several searches, in their order. They go over one connection: the first by itself, which prepares what
    /// searches alike share, then the others together, so that none waits for the answer to another.
    ///
    /// # Errors
    /// As [`Store::search`], for the first that fails.
    pub async fn search_all(&self, access: &Access, queries: &[SearchQuery]) -> Result<Vec<Page>> {
        let Some((first, others)) = queries.split_first() else { return Ok(Vec::new()) };
        let (client, view) = (self.client().await?, self.view(access));
        let mut pages = vec![self.search_with(&client, &view, first).await?];
        pages.extend(try_join_all(others.iter().map(|query| self.search_with(&client, &view, query))).await?);
        Ok(pages)
    }

    /// As [`Store::search`], within a transaction and through any view.
    pub(crate) async fn search_with(
        &self,
        client: &impl GenericClient,
        view: &View<'_>,
        query: &SearchQuery,
    ) -> Result<Page> {
        let query = &*query.with_codes(self, client, view).await?;
        let compiled = query.compile(view)?;
        if let Some(cursor) = &query.after
            && !cursor.fits(&compiled.sort)
        {
            return Err(Error::PageLink);
        }
        let mut page = Page::default();
        let mut whole = query.after.is_none();
        if query.count > 0 {
            let sql = compiled.page(view, query.after.as_ref(), query.count + 1);
            let rows = run(client, &sql).await?;
            let more = rows.len() as i64 > query.count;
            whole &= !more;
            let scored = compiled.sort.iter().position(|key| matches!(key.by, SortBy::Score(_)));
            for row in rows.iter().take(usize::try_from(query.count).unwrap_or(usize::MAX)) {
                let version = Version::from_row(row, 1 + compiled.sort.len())?;
                let score = scored.map(|position| row.try_get::<_, i64>(1 + position)).transpose()?;
                let score = score.map(|millionths| millionths as f64 / 1e6);
                page.entries.push(Entry { mode: EntryMode::Match, score, version });
            }
            page.next = if more {
                rows.get(page.entries.len() - 1).map(|row| cursor(row, &compiled)).transpose()?
            } else {
                None
            };
        }
        page.total = match query.total {
            Total::None => None,
            // The page is all there is, so it need not be counted.
            _ if whole && query.count > 0 => Some(page.entries.len() as i64),
            Total::IfFew if query.count > 0 => count_with(client, view, &compiled, Some(FEW)).await?,
            Total::IfFew | Total::Accurate => count_with(client, view, &compiled, None).await?,
        };
        self.include(client, view, query, &mut page).await?;
        Ok(page)
    }
}

async fn count_with(
    client: &impl GenericClient,
    view: &View<'_>,
    compiled: &Compiled,
    most: Option<i64>,
) -> Result<Option<i64>> {
    let rows = run(client, &compiled.count(view, most)).await?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?.flatten())
}

/// Runs a prepared statement.
pub(super) async fn run(client: &impl GenericClient, sql: &Sql) -> Result<Vec<Row>> {
    let statement = client.prepare_cached(&sql.text).await?;
    Ok(client.query(&statement, &sql.params()).await?)
}

fn cursor(row: &Row, compiled: &Compiled) -> Result<Cursor> {
    let rid: uuid::Uuid = row.try_get(0)?;
    let mut values = Vec::with_capacity(compiled.sort.len());
    for (position, key) in compiled.sort.iter().enumerate() {
        values.push(match key.is_text() {
            true => CursorValue::Text(row.try_get(1 + position)?),
            false => CursorValue::Long(row.try_get(1 + position)?),
        });
    }
    Ok(Cursor { values, rid: format!("{:x}", rid.as_u128()) })
}
