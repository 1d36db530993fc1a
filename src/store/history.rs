//! Histories of a resource, a type and the whole server (R4 http.html#history).

use deadpool_postgres::GenericClient;
use salus_access::{Access, Permission};

use crate::predicate::View;
use crate::row::{Version, columns};
use crate::sql::{Sql, TYPE_AS_CHANGED};
use crate::{Error, Result, Store};

/// What to show of a history.
#[derive(Debug, Clone, Default)]
pub struct HistoryQuery {
    /// Only this type; `None` for the whole server.
    pub resource_type: Option<String>,
    /// Only this resource (with `resource_type`).
    pub id: Option<String>,
    /// Only versions since then (`_since`), microseconds.
    pub since: Option<i64>,
    /// Only versions that were current at some moment from the first to just before the second (`_at`), microseconds.
    pub at: Option<(i64, i64)>,
    /// Whether the oldest come first (`_sort=_lastUpdated`).
    pub ascending: bool,
    /// Most entries of the page.
    pub count: i64,
    /// Where the page starts: after this version, as [`HistoryPage::next`] gave it.
    pub after: Option<(i64, u128, i32)>,
}

/// A page of a history.
#[derive(Debug, Clone)]
pub struct HistoryPage {
    /// The versions, each with whether it created the resource: as its first version, or after a deletion.
    pub versions: Vec<(Version, bool)>,
    /// How many versions match in all.
    pub total: i64,
    /// Where the next page starts, if there is one.
    pub next: Option<(i64, u128, i32)>,
}

impl Store {
    /// A page of a history; deletions are entries without a body.
    ///
    /// # Errors
    /// [`Error::NotFound`] where an instance has no version the caller may see.
    pub async fn history(&self, access: &Access, query: &HistoryQuery) -> Result<HistoryPage> {
        let client = self.client().await?;
        self.history_with(&client, access, query).await
    }

    /// As [`Store::history`], within a transaction.
    pub(crate) async fn history_with(
        &self,
        client: &impl GenericClient,
        access: &Access,
        query: &HistoryQuery,
    ) -> Result<HistoryPage> {
        let sql = self.history_sql(access, query, true);
        let statement = client.prepare_cached(&sql.text).await?;
        let rows = client.query(&statement, &sql.params()).await?;
        let total = self.versions(client, access, query).await?;
        if let (0, Some(resource_type), Some(id)) = (total, &query.resource_type, &query.id) {
            // Nothing new is not the same as nothing at all.
            let ever = HistoryQuery { since: None, at: None, ..query.clone() };
            if (query.since.is_none() && query.at.is_none()) || self.versions(client, access, &ever).await? == 0 {
                return Err(Error::NotFound { resource_type: resource_type.clone(), id: id.clone() });
            }
        }
        let mut versions = Vec::with_capacity(rows.len());
        for row in &rows {
            versions.push((Version::from_row(row, 2)?, row.try_get::<_, uuid::Uuid>(0)?, row.try_get(1)?));
        }
        let more = versions.len() as i64 > query.count;
        versions.truncate(usize::try_from(query.count).unwrap_or(0));
        let next = versions.last().filter(|_| more).map(|(last, rid, _)| (last.updated, rid.as_u128(), last.version));
        let versions = versions.into_iter().map(|(version, _, created)| (version, created)).collect();
        Ok(HistoryPage { versions, total, next })
    }

    /// How many versions there are.
    async fn versions(&self, client: &impl GenericClient, access: &Access, query: &HistoryQuery) -> Result<i64> {
        let sql = self.history_sql(access, query, false);
        let statement = client.prepare_cached(&sql.text).await?;
        Ok(client.query_one(&statement, &sql.params()).await?.try_get(0)?)
    }

    /// The statement for the rows of a page (one more than asked for), or for the total.
    fn history_sql(&self, access: &Access, query: &HistoryQuery, page: bool) -> Sql {
        let view = self.view(access);
        let mut sql = Sql::default();
        if page {
            sql.push("SELECT v.rid, NOT v.deleted AND (v.version = 1 OR EXISTS (SELECT FROM resource_history b");
            sql.push(" WHERE b.tenant = v.tenant AND b.rid = v.rid AND b.version = v.version - 1 AND b.deleted)), ");
            sql.push(&columns("v"));
        } else {
            sql.push("SELECT count(*)");
        }
        let of = |row: &str| format!("{row}.tenant, {row}.rid, {row}.deleted, {}", columns(row));
        sql.push(" FROM (SELECT ").push(&of("h")).push(" FROM resource_history h JOIN resource r");
        sql.push(" ON r.tenant = h.tenant AND r.rid = h.rid WHERE ");
        self.write_versions(&view.of_former(), query, "h", &mut sql);
        sql.push(" AND ");
        self.write_visible(&view, query, "r", &mut sql);
        sql.push(" UNION ALL SELECT ").push(&of("r")).push(" FROM resource r WHERE ");
        self.write_versions(&view, query, "r", &mut sql);
        sql.push(") v");
        if page {
            if let Some((updated, rid, version)) = query.after {
                sql.push(" WHERE (v.updated, v.rid, v.version) ").push(if query.ascending { "> (" } else { "< (" });
                sql.bind(updated).push(", ").bind(salus_fhir::Key(rid)).push(", ").bind(version).push(")");
            }
            let order = if query.ascending { "" } else { " DESC" };
            sql.push(&format!(" ORDER BY v.updated{order}, v.rid{order}, v.version{order} LIMIT "))
                .bind(query.count + 1);
        }
        sql
    }

    fn write_versions(&self, view: &View<'_>, query: &HistoryQuery, row: &str, sql: &mut Sql) {
        sql.push(row).push(".tenant = ").bind(self.tenant()).push(" AND ");
        self.write_visible(view, query, row, sql);
        if let (Some(resource_type), Some(id)) = (&query.resource_type, &query.id) {
            sql.push(" AND ").push(row).push(".rid = ").bind(Self::rid(resource_type, id));
        }
        if let Some((from, to)) = query.at {
            // It was there before the end, and the next one came after the beginning.
            sql.push(" AND ").push(row).push(".updated < ").bind(to).push(" AND (").push(row).push(".updated >= ");
            sql.bind(from).push(" OR NOT (");
            for (position, table) in ["resource", "resource_history"].iter().enumerate() {
                sql.push(if position > 0 { " OR EXISTS (SELECT FROM " } else { "EXISTS (SELECT FROM " }).push(table);
                sql.push(" n WHERE n.tenant = ").push(row).push(".tenant AND n.rid = ").push(row).push(".rid");
                sql.push(" AND n.version = ").push(row).push(".version + 1 AND n.updated <= ").bind(from).push(")");
            }
            sql.push("))");
        }
        if let Some(since) = query.since {
            sql.push(" AND ").push(row).push(".updated >= ").bind(since);
        }
    }

    fn write_visible(&self, view: &View<'_>, query: &HistoryQuery, row: &str, sql: &mut Sql) {
        match &query.resource_type {
            Some(resource_type) => {
                let column = if query.id.is_some() { ".type" } else { TYPE_AS_CHANGED };
                sql.push(row).push(column).push(" = ").bind(resource_type.as_str()).push(" AND ");
                view.write(resource_type, row, sql);
            }
            None => {
                let types: Vec<&str> = view.definitions.resource_types().collect();
                let names: Vec<String> = types.iter().map(|&name| name.to_owned()).collect();
                sql.push(row).push(TYPE_AS_CHANGED).push(" = ANY(").bind(names).push(") AND ");
                view.write_types(Permission::Search, &types, row, sql);
            }
        }
    }
}
