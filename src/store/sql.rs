//! A statement under construction: text of ours, and bound parameters. No value ever enters the text.

use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use indexmap::IndexSet;
use salus_fhir::Key;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// A bound parameter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Param {
    Int(i32),
    Long(i64),
    Longs(Vec<i64>),
    Double(Double),
    Uuid(Uuid),
    Uuids(Vec<Uuid>),
    Text(String),
    Texts(Vec<String>),
}

/// A number that is equal to itself to the bit, and to nothing else.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Double(f64);

impl PartialEq for Double {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Double {}

impl Hash for Double {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Param {
    fn cast(&self) -> &'static str {
        match self {
            Self::Int(_) => "int4",
            Self::Long(_) => "int8",
            Self::Longs(_) => "int8[]",
            Self::Double(_) => "float8",
            Self::Uuid(_) => "uuid",
            Self::Uuids(_) => "uuid[]",
            Self::Text(_) => "text",
            Self::Texts(_) => "text[]",
        }
    }

    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        match self {
            Self::Int(value) => value,
            Self::Long(value) => value,
            Self::Longs(value) => value,
            Self::Double(value) => &value.0,
            Self::Uuid(value) => value,
            Self::Uuids(value) => value,
            Self::Text(value) => value,
            Self::Texts(value) => value,
        }
    }
}

impl From<i32> for Param {
    fn from(value: i32) -> Self {
        Self::Int(value)
    }
}
impl From<i64> for Param {
    fn from(value: i64) -> Self {
        Self::Long(value)
    }
}
impl From<f64> for Param {
    fn from(value: f64) -> Self {
        Self::Double(Double(value))
    }
}
impl From<&[i64]> for Param {
    fn from(value: &[i64]) -> Self {
        Self::Longs(value.to_vec())
    }
}
impl From<Key> for Param {
    fn from(value: Key) -> Self {
        Self::Uuid(uuid(value))
    }
}
impl From<&[Key]> for Param {
    fn from(value: &[Key]) -> Self {
        Self::Uuids(uuids(value))
    }
}
impl From<&[Uuid]> for Param {
    fn from(value: &[Uuid]) -> Self {
        Self::Uuids(value.to_vec())
    }
}
impl From<&str> for Param {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}
impl From<Vec<String>> for Param {
    fn from(value: Vec<String>) -> Self {
        Self::Texts(value)
    }
}

/// A key as PostgreSQL's `uuid`.
pub(crate) fn uuid(key: Key) -> Uuid {
    Uuid::from_u128(key.0)
}

/// Keys as an array of `uuid`.
pub(crate) fn uuids(keys: &[Key]) -> Vec<Uuid> {
    keys.iter().copied().map(uuid).collect()
}

/// The `patient` of rows in nobody's compartment.
pub(crate) const NO_PATIENT: Key = Key(0);
/// The `patient` of rows in several compartments; the patients' keys are among the row's facts.
pub(crate) const SEVERAL_PATIENTS: Key = Key(u128::MAX);

/// The type of a row (after its name) for walks in the order of change: in this collation, and in no other, the indexes
/// `resource_updated` and `resource_history_updated` know it (`migrations/V1__store.sql` says why).
pub(crate) const TYPE_AS_CHANGED: &str = ".type COLLATE \"POSIX\"";

/// Begins whether a row exists that is tied to the row at hand, to be probed for each row as it comes. Unlike
/// `EXISTS` this is never turned into a join that reads a whole index first, which is what the planner prefers
/// while it knows little of a table.
pub(crate) const PROBE: &str = "coalesce((SELECT true FROM ";
/// Ends what [`PROBE`] began.
pub(crate) const PROBED: &str = " LIMIT 1), false)";

/// Statement text with its parameters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sql {
    /// The text, with `$1…` for parameters.
    pub text: String,
    params: IndexSet<Param>,
    aliases: usize,
}

impl PartialEq for Sql {
    fn eq(&self, other: &Self) -> bool {
        // Placeholders go by position, which equality of sets does not heed.
        self.text == other.text && self.params.as_slice() == other.params.as_slice() && self.aliases == other.aliases
    }
}

impl Sql {
    /// Appends text.
    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Appends a placeholder for `value`, with its type. A value bound before is not bound again.
    pub fn bind(&mut self, value: impl Into<Param>) -> &mut Self {
        let value = value.into();
        let cast = value.cast();
        let (position, _) = self.params.insert_full(value);
        // Writing to a String does not fail.
        let _ = write!(self.text, "${}::{cast}", position + 1);
        self
    }

    /// Appends a join with the resources that `entry` names by `rid`, as `r`, each looked up by that alone. Joined as
    /// tables the two are planned together with what else is asked of the resource, and on a table without statistics
    /// the planner goes through all of it.
    pub fn join_resource(&mut self, tenant: i32, entry: &str) -> &mut Self {
        self.push(" CROSS JOIN LATERAL (SELECT * FROM resource q WHERE q.tenant = ").bind(tenant);
        self.push(" AND q.rid = ").push(entry).push(".rid OFFSET 0) r")
    }

    /// A table alias that no other part of this statement uses.
    pub fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    /// The parameters as the driver wants them.
    pub fn params(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.params.iter().map(Param::as_sql).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_a_placeholder() {
        let mut sql = Sql::default();
        sql.push("a = ").bind(1_i64).push(" and b = ").bind("x").push(" and c = ").bind(1_i64);
        assert_eq!(sql.text, "a = $1::int8 and b = $2::text and c = $1::int8");
        assert_eq!(sql.params().len(), 2);
    }

    #[test]
    fn statements_differ_by_the_order_of_what_is_bound() {
        let bound = |first: i64, second: i64| {
            let mut sql = Sql::default();
            sql.push("a BETWEEN ").bind(first).push(" AND ").bind(second);
            sql
        };
        assert_eq!(bound(1, 2).text, bound(2, 1).text);
        assert_ne!(bound(1, 2), bound(2, 1));
        assert_eq!(bound(1, 2), bound(1, 2));
    }
}
