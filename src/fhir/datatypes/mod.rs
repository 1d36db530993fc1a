//! Dates, decimals and references with the precision they were written in.
//!
//! Everything ordered ends as an [`Interval`] of `i64`, half-open: dates in microseconds since
//! 1970-01-01T00:00:00Z, numbers through [`sortable_f64`]. So one pair of index columns and one set
//! of comparisons ([`crate::search::query::RangeCondition`]) serve both.
//!
//! Source: R4 datatypes.html; search.html#date, #number.

mod date_time;
mod decimal;
mod interval;
mod period;
mod reference;
mod timing;

pub use date_time::{DateTime, Precision, instant};
pub(crate) use date_time::{civil_from_days, days_from_civil, days_in_month};
pub use decimal::{Decimal, sortable_f64};
pub use interval::Interval;
pub use period::period_interval;
pub use reference::{Reference, is_id, is_type_name};
pub use timing::timing_interval;

/// A primitive whose text breaks the rules of its datatype: status 400, issue code `value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {datatype}")]
pub struct ParseError {
    /// The FHIR datatype that was expected.
    pub datatype: &'static str,
}
