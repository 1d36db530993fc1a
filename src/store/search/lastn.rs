//! The newest Observations of each code (R4 observation-operation-lastn.html).
//!
//! Observations whose codes share any coding are one group, which takes more than a window over rows: A and B may be
//! one group by a third Observation that has both codes. The statement ranks among those with the *same set* of
//! codings, which a group is made of: so each set is there with its newest, and none of a group's newest is left
//! out. Which sets belong together the caller sees from what comes back.

use salus_access::Access;

use super::page::run;
use super::query::SearchQuery;
use super::sort::{SortBy, SortKey};
use crate::row::Version;
use crate::sql::Sql;
use crate::{Result, Store};

/// An Observation, and when it happened.
#[derive(Debug, Clone)]
pub struct Dated {
    /// Microseconds since 1970-01-01T00:00:00Z: the natural date, by which ties are told.
    pub at: i64,
    /// The resource.
    pub version: Version,
}

/// The set of codings of row `v`, or the text where there is none.
const CODE_SET: &str = "coalesce((SELECT string_agg(DISTINCT concat(c.coding->>'system', '|', c.coding->>'code'), ' ' \
     ORDER BY concat(c.coding->>'system', '|', c.coding->>'code')) FROM jsonb_array_elements(v.body::jsonb #> \
     '{code,coding}') c(coding)), '#' || (v.body::jsonb #>> '{code,text}'), v.rid::text)";

impl Store {
    /// Of each set of codings, the matches of a search of Observations that are among its `newest`, ties
    /// included, the newest first; `most` and one more at most.
    ///
    /// # Errors
    /// [`crate::Error::Search`] for what cannot be asked.
    pub async fn newest_of_each_code(
        &self,
        access: &Access,
        query: &SearchQuery,
        newest: i64,
        most: i64,
    ) -> Result<Vec<Dated>> {
        let natural = SortKey { by: SortBy::Natural, descending: true };
        let mut query = query.clone();
        query.sort = vec![natural];
        let (view, client) = (self.view(access), self.client().await?);
        let mut sql = Sql::default();
        sql.push("SELECT w.* FROM (SELECT v.*, rank() OVER (PARTITION BY ").push(CODE_SET);
        sql.push(" ORDER BY v.s0 DESC) AS place FROM (");
        query.with_codes(self, &client, &view).await?.compile(&view)?.write_all(&view, &mut sql);
        sql.push(") v) w WHERE w.place <= ").bind(newest);
        sql.push(" ORDER BY w.s0 DESC, w.rid LIMIT ").bind(most + 1);
        let dated = |row: &tokio_postgres::Row| Ok(Dated { at: row.try_get(1)?, version: Version::from_row(row, 2)? });
        run(&client, &sql).await?.iter().map(dated).collect()
    }
}
