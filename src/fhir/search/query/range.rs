//! Prefixes, and what they demand of a stored interval.
//!
//! Source: R4 search.html#prefix. Both the stored value and the search value are half-open
//! intervals; each prefix becomes at most two comparisons of their ends, which serve as SQL and in
//! memory alike.

use crate::datatypes::Interval;

/// The comparison that a value of an ordered parameter starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Prefix {
    /// The search interval contains the stored one.
    #[default]
    Eq,
    /// Not `eq`.
    Ne,
    /// The range above the search interval overlaps the stored one.
    Gt,
    /// The range below the search interval overlaps the stored one.
    Lt,
    /// `gt` or `eq`.
    Ge,
    /// `lt` or `eq`.
    Le,
    /// The stored interval starts after the search interval.
    Sa,
    /// The stored interval ends before the search interval.
    Eb,
    /// The two overlap, after the search interval was widened.
    Ap,
}

/// Splits a value into its prefix ([`Prefix::Eq`] where it has none) and the rest.
pub fn parse_prefixed(text: &str) -> (Prefix, &str) {
    let prefix = match text.as_bytes() {
        [b'e', b'q', ..] => Prefix::Eq,
        [b'n', b'e', ..] => Prefix::Ne,
        [b'g', b't', ..] => Prefix::Gt,
        [b'l', b't', ..] => Prefix::Lt,
        [b'g', b'e', ..] => Prefix::Ge,
        [b'l', b'e', ..] => Prefix::Le,
        [b's', b'a', ..] => Prefix::Sa,
        [b'e', b'b', ..] => Prefix::Eb,
        [b'a', b'p', ..] => Prefix::Ap,
        _ => return (Prefix::Eq, text),
    };
    (prefix, &text[2..])
}

/// How one end of a stored interval is compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Operator {
    /// The operator in SQL, with spaces around it.
    pub const fn sql(self) -> &'static str {
        match self {
            Self::Lt => " < ",
            Self::Le => " <= ",
            Self::Gt => " > ",
            Self::Ge => " >= ",
        }
    }

    /// Whether it holds of two values.
    pub fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Lt => left < right,
            Self::Le => left <= right,
            Self::Gt => left > right,
            Self::Ge => left >= right,
        }
    }
}

/// An end of the stored interval compared with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Comparison<T> {
    /// How.
    pub operator: Operator,
    /// With what.
    pub value: T,
}

/// Whether both comparisons must hold or one is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    /// Both.
    And,
    /// Either.
    Or,
}

/// What must hold of the ends of a stored interval `[low, high)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeCondition<T> {
    /// What must hold of `low`, if anything.
    pub low: Option<Comparison<T>>,
    /// What must hold of `high`, if anything.
    pub high: Option<Comparison<T>>,
    /// How the two are joined where both are there.
    pub joint: Joint,
}

/// A part of a condition's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<T> {
    /// An operator, parenthesis or conjunction of SQL.
    Text(&'static str),
    /// The stored interval's lower end.
    Low,
    /// The stored interval's upper end.
    High,
    /// A value to bind.
    Value(T),
}

impl<T: PartialOrd + Copy> RangeCondition<T> {
    /// What `prefix` with this search interval demands. For [`Prefix::Ap`] the interval is the
    /// widened one; for numbers with prefixes that ignore implicit precision it is the point (the
    /// [query values](super::NumberQuery) see to both).
    pub fn new(prefix: Prefix, search: Interval<T>) -> Self {
        use Operator::{Ge, Gt, Le, Lt};
        let Interval { low, high } = search;
        let one = |operator, value| Some(Comparison { operator, value });
        let (low, high, joint) = match prefix {
            Prefix::Eq => (one(Ge, low), one(Le, high), Joint::And),
            Prefix::Ne => (one(Lt, low), one(Gt, high), Joint::Or),
            Prefix::Gt => (None, one(Gt, high), Joint::And),
            Prefix::Lt => (one(Lt, low), None, Joint::And),
            // "above or contained" is "reaches above, or does not start below".
            Prefix::Ge => (one(Ge, low), one(Gt, high), Joint::Or),
            Prefix::Le => (one(Lt, low), one(Le, high), Joint::Or),
            Prefix::Sa => (one(Ge, high), None, Joint::And),
            Prefix::Eb => (None, one(Le, low), Joint::And),
            Prefix::Ap => (one(Lt, high), one(Gt, low), Joint::And),
        };
        Self { low, high, joint }
    }

    /// Whether the stored interval `[low, high)` fulfils it.
    pub fn matches(&self, low: T, high: T) -> bool {
        let low = self.low.map(|comparison| comparison.operator.holds(low, comparison.value));
        let high = self.high.map(|comparison| comparison.operator.holds(high, comparison.value));
        match (low, high, self.joint) {
            (Some(low), Some(high), Joint::And) => low && high,
            (Some(low), Some(high), Joint::Or) => low || high,
            (Some(one), None, _) | (None, Some(one), _) => one,
            (None, None, _) => true,
        }
    }

    /// Writes it piece by piece, in parentheses, as a condition of SQL.
    pub fn write(&self, out: &mut impl FnMut(Piece<T>)) {
        out(Piece::Text("("));
        if let Some(low) = self.low {
            out(Piece::Low);
            out(Piece::Text(low.operator.sql()));
            out(Piece::Value(low.value));
        }
        if self.low.is_some() && self.high.is_some() {
            out(Piece::Text(if self.joint == Joint::And { " AND " } else { " OR " }));
        }
        if let Some(high) = self.high {
            out(Piece::High);
            out(Piece::Text(high.operator.sql()));
            out(Piece::Value(high.value));
        }
        if self.low.is_none() && self.high.is_none() {
            out(Piece::Text("true"));
        }
        out(Piece::Text(")"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PREFIXES: [Prefix; 9] =
        [Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap];

    /// R4 search.html#prefix word by word, over the values 0 to 19 of a small world.
    fn by_the_word(prefix: Prefix, search: Interval<i64>, stored: Interval<i64>) -> bool {
        let values = |interval: Interval<i64>| (0..20).filter(move |v| interval.low <= *v && *v < interval.high);
        let inside = |interval: Interval<i64>, value: i64| interval.low <= value && value < interval.high;
        let contains = values(stored).all(|value| inside(search, value));
        let overlaps = values(stored).any(|value| inside(search, value));
        let above_overlaps = values(stored).any(|value| value >= search.high);
        let below_overlaps = values(stored).any(|value| value < search.low);
        let above_contains = values(stored).all(|value| value >= search.high);
        let below_contains = values(stored).all(|value| value < search.low);
        match prefix {
            Prefix::Eq => contains,
            Prefix::Ne => !contains,
            Prefix::Gt => above_overlaps,
            Prefix::Lt => below_overlaps,
            Prefix::Ge => above_overlaps || contains,
            Prefix::Le => below_overlaps || contains,
            Prefix::Sa => !overlaps && above_contains,
            Prefix::Eb => !overlaps && below_contains,
            Prefix::Ap => overlaps,
        }
    }

    fn interval() -> impl Strategy<Value = Interval<i64>> {
        (0_i64..19, 1_i64..20).prop_map(|(low, width)| Interval::new(low, (low + width).min(20)))
    }

    proptest! {
        #[test]
        fn conditions_are_what_the_specification_says(search in interval(), stored in interval()) {
            for prefix in PREFIXES {
                let condition = RangeCondition::new(prefix, search);
                let expected = by_the_word(prefix, search, stored);
                prop_assert_eq!(condition.matches(stored.low, stored.high), expected, "{:?}", prefix);
            }
        }

        #[test]
        fn the_rest_of_a_prefixed_value_is_its_tail(text in "\\PC{0,10}") {
            let (_, rest) = parse_prefixed(&text);
            prop_assert!(text.ends_with(rest) && text.len() - rest.len() <= 2);
        }
    }

    #[test]
    fn a_condition_writes_as_sql() {
        let sql = |prefix| {
            let mut text = String::new();
            RangeCondition::new(prefix, Interval::new(1_i64, 5)).write(&mut |piece| match piece {
                Piece::Text(part) => text.push_str(part),
                Piece::Low => text.push_str("low"),
                Piece::High => text.push_str("high"),
                Piece::Value(value) => text.push_str(&value.to_string()),
            });
            text
        };
        assert_eq!(sql(Prefix::Eq), "(low >= 1 AND high <= 5)");
        assert_eq!(sql(Prefix::Ne), "(low < 1 OR high > 5)");
        assert_eq!(sql(Prefix::Gt), "(high > 5)");
        assert_eq!(sql(Prefix::Ap), "(low < 5 AND high > 1)");
    }

    #[test]
    fn prefixes_are_read() {
        assert_eq!(parse_prefixed("ge2010"), (Prefix::Ge, "2010"));
        assert_eq!(parse_prefixed("2010"), (Prefix::Eq, "2010"));
        assert_eq!(parse_prefixed("e"), (Prefix::Eq, "e"));
    }
}
