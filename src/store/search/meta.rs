//! `$meta` of a type or the system (R4 resource-operation-meta.html): which profiles, tags and security labels its
//! resources have, as far as the caller may see them.

use salus_access::Access;

use super::context::SearchContext;
use super::page::run;
use super::query::SearchQuery;
use crate::sql::Sql;
use crate::{Result, Store};

/// A list of `Resource.meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetaList {
    /// `meta.profile`: canonical URLs.
    Profile,
    /// `meta.tag`: Codings.
    Tag,
    /// `meta.security`: Codings.
    Security,
}

impl MetaList {
    /// The element's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Tag => "tag",
            Self::Security => "security",
        }
    }
}

impl Store {
    /// The items of a list of `meta` in use, each once, as JSON text; `most` and one more at most.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] where the database does not answer.
    pub async fn in_use(
        &self,
        access: &Access,
        context: &SearchContext,
        list: MetaList,
        most: i64,
    ) -> Result<Vec<String>> {
        let name = list.name();
        let having = [(format!("_{name}:missing"), "false".to_owned())];
        let (query, _) = SearchQuery::parse(&self.definitions(), context.clone(), &having)?;
        let view = self.view(access);
        let mut sql = Sql::default();
        sql.push("SELECT DISTINCT t.item::text FROM (");
        query.compile(&view)?.write_all(&view, &mut sql);
        sql.push(") v, LATERAL jsonb_array_elements(v.body::jsonb #> ARRAY['meta', ").bind(name);
        sql.push("]) t(item) LIMIT ").bind(most + 1);
        let client = self.client().await?;
        run(&client, &sql).await?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}
