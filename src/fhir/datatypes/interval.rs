//! Half-open intervals.

/// A half-open interval `[low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Interval<T> {
    /// First value inside.
    pub low: T,
    /// First value after.
    pub high: T,
}

impl<T: PartialOrd + Copy> Interval<T> {
    /// The interval `[low, high)`.
    pub const fn new(low: T, high: T) -> Self {
        Self { low, high }
    }

    /// Whether every value of `other` is a value of this interval.
    pub fn contains(&self, other: &Self) -> bool {
        self.low <= other.low && other.high <= self.high
    }

    /// Whether the two share a value.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.low < other.high && other.low < self.high
    }

    /// The smallest interval that holds both.
    pub fn envelope(&self, other: &Self) -> Self {
        Self {
            low: if other.low < self.low { other.low } else { self.low },
            high: if other.high > self.high { other.high } else { self.high },
        }
    }
}

impl Interval<i64> {
    /// All values: what a Period without start and end covers.
    pub const ALL: Self = Self { low: i64::MIN, high: i64::MAX };
}
