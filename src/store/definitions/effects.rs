//! What the change of a SearchParameter does to the search index, in the transaction of that change.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use salus_fhir::Definitions;
use salus_fhir::definitions::CustomParameter;
use uuid::Uuid;

use super::{SEARCH_PARAMETER, announce, read};
use crate::reindex;
use crate::sql::uuid;
use crate::write::Change;
use crate::{Result, Store};

/// The SearchParameters that a transaction changes, as they were before.
#[derive(Default)]
pub(crate) struct Effects {
    before: HashMap<Uuid, (String, String)>,
    changed: Vec<Uuid>,
}

impl Effects {
    /// Looks at what is about to be changed and is locked.
    pub async fn look(&mut self, transaction: &Transaction<'_>, tenant: i32, changes: &[Change]) -> Result<()> {
        let changed = changes.iter().filter(|change| change.resource_type == SEARCH_PARAMETER);
        let rids: Vec<Uuid> = changed.map(|change| uuid(change.rid())).collect();
        if rids.is_empty() {
            return Ok(());
        }
        for (rid, id, body) in bodies(transaction, tenant, &rids).await? {
            self.before.entry(rid).or_insert((id, body));
        }
        self.changed.extend(rids);
        Ok(())
    }

    /// Draws the consequences, when everything is written.
    pub async fn apply(self, store: &Store, transaction: &Transaction<'_>) -> Result<()> {
        if self.changed.is_empty() {
            return Ok(());
        }
        let packages = store.registry().packages.clone();
        let mut after: HashMap<Uuid, (String, String)> = HashMap::new();
        for (rid, id, body) in bodies(transaction, store.tenant(), &self.changed).await? {
            after.insert(rid, (id, body));
        }
        let (mut types, mut gone) = (Vec::new(), Vec::new());
        for rid in &self.changed {
            let defined = |from: &HashMap<Uuid, (String, String)>| from.get(rid).and_then(|(id, body)| read(id, body));
            let (then, now) = (defined(&self.before), defined(&after));
            let finds = |one: &Option<CustomParameter>| one.as_ref().map(|one| one.definition.fingerprint());
            if finds(&then) == finds(&now) {
                continue;
            }
            if let Some(then) = &then {
                gone.extend(own_types(&packages, then).map(|name| (name.to_owned(), then.definition.code.clone())));
            }
            types.extend(then.iter().chain(&now).flat_map(|one| own_types(&packages, one)).map(str::to_owned));
        }
        if !types.is_empty() {
            types.sort_unstable();
            types.dedup();
            self.change(store.tenant(), transaction, &types, &gone).await?;
        }
        announce(transaction, store.tenant()).await
    }

    async fn change(
        &self,
        tenant: i32,
        transaction: &Transaction<'_>,
        types: &[String],
        gone: &[(String, String)],
    ) -> Result<()> {
        let next = "UPDATE search_definitions SET version = version + 1 WHERE tenant = $1";
        transaction.execute(next, &[&tenant]).await?;
        let (kinds, codes): (Vec<&str>, Vec<&str>) =
            gone.iter().map(|(name, code)| (name.as_str(), code.as_str())).unzip();
        let forget = "DELETE FROM indexed_parameter p USING unnest($2::text[], $3::text[]) u(type, code)
                      WHERE p.tenant = $1 AND p.type = u.type AND p.code = u.code";
        transaction.execute(forget, &[&tenant, &kinds, &codes]).await?;
        reindex::enqueue(transaction, tenant, types).await
    }
}

/// The types of a parameter for which no package defines another of the same code.
fn own_types<'d>(packages: &'d Definitions, custom: &'d CustomParameter) -> impl Iterator<Item = &'d str> {
    custom.types(packages).filter(|name| packages.search().get(name, &custom.definition.code).is_none())
}

async fn bodies(transaction: &Transaction<'_>, tenant: i32, rids: &[Uuid]) -> Result<Vec<(Uuid, String, String)>> {
    let sql = "SELECT rid, id, body FROM resource WHERE tenant = $1 AND rid = ANY($2) AND NOT deleted";
    let rows = transaction.query(sql, &[&tenant, &rids]).await?;
    let read = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)));
    Ok(read.collect::<std::result::Result<_, tokio_postgres::Error>>()?)
}
