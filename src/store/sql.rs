//! A statement under construction: text of ours, and bound parameters. No value ever enters the text.

use std::fmt::Write as _;

use salus_fhir::Key;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

/// A bound parameter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Param {
    Int(i32),
    Long(i64),
    Longs(Vec<i64>),
    Double(f64),
    Uuid(Uuid),
    Uuids(Vec<Uuid>),
    Text(String),
    Texts(Vec<String>),
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
            Self::Double(value) => value,
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
        Self::Double(value)
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

/// Begins whether a row exists that is tied to the row at hand, to be probed for each row as it comes. Unlike
/// `EXISTS` this is never turned into a join that reads a whole index first, which is what the planner prefers
/// while it knows little of a table.
pub(crate) const PROBE: &str = "coalesce((SELECT true FROM ";
/// Ends what [`PROBE`] began.
pub(crate) const PROBED: &str = " LIMIT 1), false)";

/// Statement text with its parameters.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sql {
    /// The text, with `$1…` for parameters.
    pub text: String,
    params: Vec<Param>,
    aliases: usize,
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
        let position = match self.params.iter().position(|known| *known == value) {
            Some(position) => position,
            None => {
                self.params.push(value);
                self.params.len() - 1
            }
        };
        // Writing to a String does not fail.
        let _ = write!(self.text, "${}::{}", position + 1, self.params[position].cast());
        self
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
}
