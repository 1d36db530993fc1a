//! Reading one resource: `read` and `vread` (R4 http.html#read, #vread), by itself, together with those of other
//! requests ([`batch`]), or from inside a transaction ([`source`]).

mod batch;
mod source;

use std::sync::Arc;

use deadpool_postgres::GenericClient;
use salus_access::Access;

use crate::row::{Version, columns};
use crate::sql::Sql;
use crate::{Error, Result, Store};

pub(crate) use batch::{Reader, Reading};
pub use source::Reads;

impl Store {
    /// The current version.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none the caller may see, [`Error::Gone`] where it was deleted.
    pub async fn read(&self, access: &Arc<Access>, resource_type: &str, id: &str) -> Result<Version> {
        present(self.reader().read(access, resource_type, id).await?, resource_type, id)
    }

    /// As [`Store::read`], within a transaction.
    pub(crate) async fn read_with(
        &self,
        client: &impl GenericClient,
        access: &Access,
        resource_type: &str,
        id: &str,
    ) -> Result<Version> {
        let mut sql = Sql::default();
        sql.push("SELECT ").push(&columns("r")).push(" FROM resource r WHERE r.tenant = ").bind(self.tenant());
        sql.push(" AND r.rid = ").bind(Self::rid(resource_type, id)).push(" AND ");
        self.view(access).write(resource_type, "r", &mut sql);
        present(first(client, &sql).await?, resource_type, id)
    }

    /// One version, current or former. The caller must be allowed to see both it and the current one.
    ///
    /// # Errors
    /// As [`Store::read`]; the version of a deletion is [`Error::Gone`].
    pub async fn vread(&self, access: &Access, resource_type: &str, id: &str, version: i32) -> Result<Version> {
        let client = self.client().await?;
        self.vread_with(&client, access, resource_type, id, version).await
    }

    /// As [`Store::vread`], within a transaction.
    pub(crate) async fn vread_with(
        &self,
        client: &impl GenericClient,
        access: &Access,
        resource_type: &str,
        id: &str,
        version: i32,
    ) -> Result<Version> {
        let mut sql = Sql::default();
        let view = self.view(access);
        sql.push("SELECT ").push(&columns("r")).push(" FROM resource r WHERE r.tenant = ").bind(self.tenant());
        sql.push(" AND r.rid = ")
            .bind(Self::rid(resource_type, id))
            .push(" AND r.version = ")
            .bind(version)
            .push(" AND ");
        view.write(resource_type, "r", &mut sql);
        sql.push(" UNION ALL SELECT ").push(&columns("h")).push(" FROM resource_history h JOIN resource r");
        sql.push(" ON r.tenant = h.tenant AND r.rid = h.rid WHERE h.tenant = ").bind(self.tenant());
        sql.push(" AND h.rid = ")
            .bind(Self::rid(resource_type, id))
            .push(" AND h.version = ")
            .bind(version)
            .push(" AND ");
        view.of_former().write(resource_type, "h", &mut sql);
        sql.push(" AND ");
        view.write(resource_type, "r", &mut sql);
        present(first(client, &sql).await?, resource_type, id)
    }
}

async fn first(client: &impl GenericClient, sql: &Sql) -> Result<Option<Version>> {
    let statement = client.prepare_cached(&sql.text).await?;
    let row = client.query_opt(&statement, &sql.params()).await?;
    Ok(row.map(|row| Version::from_row(&row, 0)).transpose()?)
}

/// The version found, unless there is none or it records a deletion.
fn present(found: Option<Version>, resource_type: &str, id: &str) -> Result<Version> {
    let version = found.ok_or_else(|| not_found(resource_type, id))?;
    if version.body.is_none() { Err(gone(&version)) } else { Ok(version) }
}

fn not_found(resource_type: &str, id: &str) -> Error {
    Error::NotFound { resource_type: resource_type.to_owned(), id: id.to_owned() }
}

fn gone(version: &Version) -> Error {
    Error::Gone { resource_type: version.resource_type.clone(), id: version.id.clone(), version: version.version }
}
