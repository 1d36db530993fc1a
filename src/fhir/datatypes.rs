//! Dates, decimals and references with the precision they were written in.

/// A half-open interval `[low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval<T> {
    /// First value inside.
    pub low: T,
    /// First value after.
    pub high: T,
}
