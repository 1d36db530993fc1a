//! The rows of many changes laid out as columns: one statement an operation, however many changes.

use deadpool_postgres::GenericClient;
use salus_access::ConsentRule;
use tokio_postgres::Statement;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::change::{Change, Method};
use crate::sql::{uuid, uuids};
use crate::{Error, Result};

/// Columns of `resource` rows about to be written. Arrays of arrays do not unnest, so keys lie end to
/// end in one array, each row knowing its slice.
#[derive(Clone, Default)]
pub(super) struct Batch {
    rid: Vec<Uuid>,
    patient: Vec<Uuid>,
    resource_type: Vec<String>,
    id: Vec<String>,
    version: Vec<i32>,
    updated: Vec<i64>,
    sort: Vec<i64>,
    deleted: Vec<bool>,
    method: Vec<&'static str>,
    body: Vec<Option<String>>,
    keys: Vec<Uuid>,
    key_end: Vec<i32>,
    patients: Vec<String>,
    patient_end: Vec<i32>,
    entries: Entries,
    strings: Strings,
    rules: Vec<ConsentRule>,
    /// Consents whose rules are replaced (or removed).
    consents: Vec<Uuid>,
}

#[derive(Clone, Default)]
struct Entries {
    key: Vec<Uuid>,
    sort: Vec<i64>,
    rid: Vec<Uuid>,
    low: Vec<i64>,
    high: Vec<Option<i64>>,
    patient: Vec<Uuid>,
}

#[derive(Clone, Default)]
struct Strings {
    key: Vec<Uuid>,
    value: Vec<String>,
    rid: Vec<Uuid>,
    ordinal: Vec<i16>,
    exact: Vec<String>,
    sort: Vec<i64>,
    patient: Vec<Uuid>,
}

/// What a deletion keeps of the row it follows, so that the same callers see that it is gone.
pub(super) struct Remains {
    pub patient: Uuid,
    pub keys: Vec<Uuid>,
    pub patients: Vec<String>,
    pub sort: i64,
}

/// Current versions about to be replaced, and the index entries they may have.
#[derive(Default)]
pub(super) struct Retired {
    rids: Vec<Uuid>,
    key: Vec<Uuid>,
    sort: Vec<i64>,
    rid: Vec<Uuid>,
}

const INSERT_RESOURCES: &str = "
    INSERT INTO resource (tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, patients, body)
    SELECT $1, u.rid, u.patient, u.type, u.id, u.version, u.updated, u.sort, u.deleted, u.method,
           ($11::uuid[])[u.key_start:u.key_end], ($12::text[])[u.patient_start:u.patient_end], u.body
    FROM unnest($2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::int4[], $7::int8[], $8::int8[], $9::bool[],
                $10::text[], $13::int4[], $14::int4[], $15::int4[], $16::int4[], $17::text[])
         AS u(rid, patient, type, id, version, updated, sort, deleted, method,
              key_start, key_end, patient_start, patient_end, body)
    ON CONFLICT (tenant, rid) DO UPDATE SET
        patient = excluded.patient, version = excluded.version, updated = excluded.updated, sort = excluded.sort,
        deleted = excluded.deleted, method = excluded.method, keys = excluded.keys, patients = excluded.patients,
        body = excluded.body
    WHERE resource.version = excluded.version - 1";

const INSERT_ENTRIES: &str = "
    INSERT INTO search_index (tenant, key, sort, rid, low, high, patient)
    SELECT $1, * FROM unnest($2::uuid[], $3::int8[], $4::uuid[], $5::int8[], $6::int8[], $7::uuid[])";

const INSERT_STRINGS: &str = "
    INSERT INTO search_string (tenant, key, value, rid, ordinal, exact, sort, patient)
    SELECT $1, * FROM unnest($2::uuid[], $3::text[], $4::uuid[], $5::int2[], $6::text[], $7::int8[], $8::uuid[])";

const INSERT_RULE: &str = "
    INSERT INTO consent_rule (tenant, patient, consent, node, parent, ancestors, path, deny, period_low, period_high,
                              actors, purposes, actions, classes, codes, labels, data, data_low, data_high)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)";

const KEEP_HISTORY: &str = "
    INSERT INTO resource_history (tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, patients, body)
    SELECT tenant, rid, patient, type, id, version, updated, sort, deleted, method, keys, patients, body
    FROM resource WHERE tenant = $1 AND rid = ANY($2)";

// By the keys that the row has, whatever today's extraction would say of it.
const REMOVE_ENTRIES: &str = "
    DELETE FROM search_index x USING unnest($2::uuid[], $3::int8[], $4::uuid[]) AS u(key, sort, rid)
    WHERE x.tenant = $1 AND x.key = u.key AND x.sort = u.sort AND x.rid = u.rid";

const REMOVE_STRINGS: &str = "DELETE FROM search_string WHERE tenant = $1 AND rid = ANY($2)";

const REMOVE_RULES: &str = "DELETE FROM consent_rule WHERE tenant = $1 AND consent = ANY($2)";

impl Batch {
    /// Adds the new version of what `change` is about. `sort` is used where the content has no natural
    /// date; `body` is the stored text. Returns the ids of its patients.
    pub fn push(&mut self, change: &Change, version: i32, updated: i64, sort: i64, body: String) -> Vec<String> {
        let rid = uuid(change.rid());
        let Some(content) = &change.content else { return Vec::new() };
        let facts = &content.facts;
        let (patient, sort) = (uuid(facts.patient), facts.sort.unwrap_or(sort));
        self.push_row(change, version, updated, sort, Some(body), patient, &uuids(&facts.keys), &facts.patients);
        for entry in &facts.entries {
            self.entries.key.push(uuid(entry.key));
            self.entries.sort.push(sort);
            self.entries.rid.push(rid);
            self.entries.low.push(entry.low);
            self.entries.high.push(entry.high);
            self.entries.patient.push(patient);
        }
        for (ordinal, string) in facts.strings.iter().enumerate() {
            self.strings.key.push(uuid(string.key));
            self.strings.value.push(string.value.clone());
            self.strings.rid.push(rid);
            self.strings.ordinal.push(i16::try_from(ordinal).unwrap_or(i16::MAX));
            self.strings.exact.push(string.exact.clone());
            self.strings.sort.push(sort);
            self.strings.patient.push(patient);
        }
        if change.resource_type == "Consent" {
            self.consents.push(rid);
            self.rules.extend(content.rules.iter().cloned());
        }
        facts.patients.clone()
    }

    /// Adds the version that records the deletion of what `change` is about.
    pub fn push_deletion(&mut self, change: &Change, version: i32, updated: i64, remains: &Remains) {
        self.push_row(change, version, updated, remains.sort, None, remains.patient, &remains.keys, &remains.patients);
        if change.resource_type == "Consent" {
            self.consents.push(uuid(change.rid()));
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one argument a column")]
    fn push_row(
        &mut self,
        change: &Change,
        version: i32,
        updated: i64,
        sort: i64,
        body: Option<String>,
        patient: Uuid,
        keys: &[Uuid],
        patients: &[String],
    ) {
        self.rid.push(uuid(change.rid()));
        self.patient.push(patient);
        self.resource_type.push(change.resource_type.clone());
        self.id.push(change.id.clone());
        self.version.push(version);
        self.updated.push(updated);
        self.sort.push(sort);
        self.deleted.push(change.method == Method::Delete);
        self.method.push(change.method.as_str());
        self.body.push(body);
        self.keys.extend_from_slice(keys);
        self.key_end.push(self.keys.len() as i32);
        self.patients.extend_from_slice(patients);
        self.patient_end.push(self.patients.len() as i32);
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.rid.is_empty()
    }

    /// Adds the rows of another request.
    pub fn append(&mut self, mut other: Self) {
        let (keys, patients) = (self.keys.len() as i32, self.patients.len() as i32);
        self.rid.append(&mut other.rid);
        self.patient.append(&mut other.patient);
        self.resource_type.append(&mut other.resource_type);
        self.id.append(&mut other.id);
        self.version.append(&mut other.version);
        self.updated.append(&mut other.updated);
        self.sort.append(&mut other.sort);
        self.deleted.append(&mut other.deleted);
        self.method.append(&mut other.method);
        self.body.append(&mut other.body);
        self.keys.append(&mut other.keys);
        self.key_end.extend(other.key_end.iter().map(|end| end + keys));
        self.patients.append(&mut other.patients);
        self.patient_end.extend(other.patient_end.iter().map(|end| end + patients));
        self.entries.append(other.entries);
        self.strings.append(other.strings);
        self.rules.append(&mut other.rules);
        self.consents.append(&mut other.consents);
    }

    /// Whether Consent rules change with it.
    pub fn has_rules(&self) -> bool {
        !self.consents.is_empty()
    }

    /// Prepares the statements, so that [`Self::write`] sends them when first polled.
    pub async fn prepare(&self, client: &impl GenericClient) -> Result<()> {
        Statements::prepare(client).await.map(|_| ())
    }

    /// Writes all rows; before that, moves the `retired` versions to the history and takes them out of the
    /// index. All statements are sent before the first answer is awaited.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where another transaction wrote one of the rows at the same time; the
    /// caller repeats the whole transaction.
    pub async fn write(&self, client: &impl GenericClient, tenant: i32, retired: &Retired) -> Result<()> {
        let statements = Statements::prepare(client).await?;
        // `join!` polls in order, and each statement is sent when first polled.
        let (kept, entries, strings, resources, index, texts) = futures_util::join!(
            retired.by_rid(client, tenant, &statements.keep_history),
            retired.remove_entries(client, tenant, &statements.remove_entries),
            retired.by_rid(client, tenant, &statements.remove_strings),
            self.write_resources(client, tenant, &statements.insert_resources),
            self.entries.write(client, tenant, &statements.insert_entries),
            self.strings.write(client, tenant, &statements.insert_strings),
        );
        // The first that failed is the cause; those after it only say that the transaction is over.
        kept?;
        entries?;
        strings?;
        if resources? != self.rid.len() as u64 {
            return Err(Error::Unavailable("another request changed the same resource".to_owned()));
        }
        index?;
        texts?;
        if self.has_rules() {
            self.write_rules(client, tenant).await?;
        }
        Ok(())
    }

    async fn write_resources(
        &self,
        client: &impl GenericClient,
        tenant: i32,
        statement: &Statement,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        let (key_start, patient_start) = (starts(&self.key_end), starts(&self.patient_end));
        let columns: [&(dyn ToSql + Sync); 17] = [
            &tenant,
            &self.rid,
            &self.patient,
            &self.resource_type,
            &self.id,
            &self.version,
            &self.updated,
            &self.sort,
            &self.deleted,
            &self.method,
            &self.keys,
            &self.patients,
            &key_start,
            &self.key_end,
            &patient_start,
            &self.patient_end,
            &self.body,
        ];
        client.execute(statement, &columns).await
    }

    async fn write_rules(&self, client: &impl GenericClient, tenant: i32) -> Result<()> {
        client.execute(REMOVE_RULES, &[&tenant, &self.consents]).await?;
        for rule in &self.rules {
            let keys = |keys: &Option<Vec<salus_fhir::Key>>| keys.as_deref().map(uuids);
            client
                .execute(
                    INSERT_RULE,
                    &[
                        &tenant,
                        &uuid(rule.patient),
                        &uuid(rule.consent),
                        &rule.node,
                        &rule.parent,
                        &rule.ancestors,
                        &rule.path,
                        &(rule.effect == salus_access::Effect::Deny),
                        &rule.period.0,
                        &rule.period.1,
                        &keys(&rule.actors),
                        &rule.purposes,
                        &rule.actions,
                        &rule.classes,
                        &keys(&rule.codes),
                        &keys(&rule.labels),
                        &keys(&rule.data),
                        &rule.data_period.0,
                        &rule.data_period.1,
                    ],
                )
                .await?;
        }
        Ok(())
    }
}

impl Retired {
    /// Adds a row.
    pub fn push(&mut self, rid: Uuid, row: &Remains) {
        self.rids.push(rid);
        self.key.extend_from_slice(&row.keys);
        self.sort.extend(std::iter::repeat_n(row.sort, row.keys.len()));
        self.rid.extend(std::iter::repeat_n(rid, row.keys.len()));
    }

    async fn by_rid(
        &self,
        client: &impl GenericClient,
        tenant: i32,
        statement: &Statement,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        match self.rids.is_empty() {
            true => Ok(0),
            false => client.execute(statement, &[&tenant, &self.rids]).await,
        }
    }

    async fn remove_entries(
        &self,
        client: &impl GenericClient,
        tenant: i32,
        statement: &Statement,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        match self.key.is_empty() {
            true => Ok(0),
            false => client.execute(statement, &[&tenant, &self.key, &self.sort, &self.rid]).await,
        }
    }
}

impl Entries {
    fn append(&mut self, mut other: Self) {
        self.key.append(&mut other.key);
        self.sort.append(&mut other.sort);
        self.rid.append(&mut other.rid);
        self.low.append(&mut other.low);
        self.high.append(&mut other.high);
        self.patient.append(&mut other.patient);
    }

    async fn write(
        &self,
        client: &impl GenericClient,
        tenant: i32,
        statement: &Statement,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        let Self { key, sort, rid, low, high, patient } = self;
        match key.is_empty() {
            true => Ok(0),
            false => client.execute(statement, &[&tenant, key, sort, rid, low, high, patient]).await,
        }
    }
}

impl Strings {
    fn append(&mut self, mut other: Self) {
        self.key.append(&mut other.key);
        self.value.append(&mut other.value);
        self.rid.append(&mut other.rid);
        self.ordinal.append(&mut other.ordinal);
        self.exact.append(&mut other.exact);
        self.sort.append(&mut other.sort);
        self.patient.append(&mut other.patient);
    }

    async fn write(
        &self,
        client: &impl GenericClient,
        tenant: i32,
        statement: &Statement,
    ) -> std::result::Result<u64, tokio_postgres::Error> {
        let Self { key, value, rid, ordinal, exact, sort, patient } = self;
        match key.is_empty() {
            true => Ok(0),
            false => client.execute(statement, &[&tenant, key, value, rid, ordinal, exact, sort, patient]).await,
        }
    }
}

/// The statements of a write, prepared.
struct Statements {
    keep_history: Statement,
    remove_entries: Statement,
    remove_strings: Statement,
    insert_resources: Statement,
    insert_entries: Statement,
    insert_strings: Statement,
}

impl Statements {
    /// Prepares what the connection has not prepared before.
    async fn prepare(client: &impl GenericClient) -> Result<Self> {
        Ok(Self {
            keep_history: client.prepare_cached(KEEP_HISTORY).await?,
            remove_entries: client.prepare_cached(REMOVE_ENTRIES).await?,
            remove_strings: client.prepare_cached(REMOVE_STRINGS).await?,
            insert_resources: client.prepare_cached(INSERT_RESOURCES).await?,
            insert_entries: client.prepare_cached(INSERT_ENTRIES).await?,
            insert_strings: client.prepare_cached(INSERT_STRINGS).await?,
        })
    }
}

/// Where each slice starts, given where each ends (one-based, inclusive, as SQL counts).
fn starts(ends: &[i32]) -> Vec<i32> {
    std::iter::once(0).chain(ends.iter().copied()).map(|end| end + 1).take(ends.len()).collect()
}
