//! How stored intervals must lie, as bounds of their ends, and how an index finds those that lie so.
//!
//! An interval is indexed by how wide it is and where it begins. One that must reach a moment begins at most its
//! width before that, so that of each class of widths a short stretch of the index has all that can match.

use salus_fhir::search::query::{Comparison, Joint, Operator, RangeCondition};

use crate::sql::Sql;

/// The widest interval of each class, as `width_class` of the schema has them: a minute, a day, a month, a year (in
/// microseconds, and a little more), all others.
const CLASSES: [i64; 5] = [60_000_000, 90_000_000_000, 2_764_800_000_000, 31_708_800_000_000, i64::MAX];

/// What of a day or less reaches a moment begins no longer before it than this.
pub(super) const SHORT: i64 = CLASSES[1];

/// Alternatives that are written one by one.
const FEW: usize = 4;

/// Where the ends of an interval may be; all bounds included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The least and the greatest that its beginning may be.
    pub low: (i64, i64),
    /// The same of its end.
    pub high: (i64, i64),
}

/// What is asked of an interval: that its ends are within any of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IntervalTest(Vec<Ends>);

const ALL: (i64, i64) = (i64::MIN, i64::MAX);

impl Ends {
    fn and(&self, other: &Self) -> Option<Self> {
        let both = |a: (i64, i64), b: (i64, i64)| (a.0.max(b.0), a.1.min(b.1));
        Self { low: both(self.low, other.low), high: both(self.high, other.high) }.possible()
    }

    fn possible(self) -> Option<Self> {
        (self.low.0 <= self.low.1 && self.high.0 <= self.high.1 && self.low.0 < self.high.1).then_some(self)
    }

    fn hold(&self, low: i64, high: i64) -> bool {
        (self.low.0..=self.low.1).contains(&low) && (self.high.0..=self.high.1).contains(&high)
    }

    fn write(&self, low: &str, high: &str, sql: &mut Sql) {
        let mut joint = "";
        for (column, (from, to)) in [(low, self.low), (high, self.high)] {
            for (operator, bound, none) in [(" >= ", from, i64::MIN), (" <= ", to, i64::MAX)] {
                if bound != none {
                    sql.push(joint).push(column).push(operator).bind(bound);
                    joint = " AND ";
                }
            }
        }
        if joint.is_empty() {
            sql.push("true");
        }
    }

    /// The classes of widths that can match, with what bounds the beginning there.
    fn classes(self) -> impl Iterator<Item = (i64, Self)> {
        CLASSES.into_iter().enumerate().filter_map(move |(class, widest)| {
            let narrowest = class.checked_sub(1).map_or(0, |narrower| CLASSES[narrower] + 1);
            // What has no beginning is wider than can be told.
            let from = if widest == i64::MAX { i64::MIN } else { self.high.0.saturating_sub(widest) };
            let low = (self.low.0.max(from), self.low.1.min(self.high.1.saturating_sub(narrowest)));
            (low.0 <= low.1).then_some((class as i64, Self { low, ..self }))
        })
    }
}

impl From<RangeCondition<i64>> for IntervalTest {
    fn from(test: RangeCondition<i64>) -> Self {
        // None where no number is beyond the value.
        let bounds = |Comparison { operator, value }: Comparison<i64>| {
            Some(match operator {
                Operator::Lt => (i64::MIN, value.checked_sub(1)?),
                Operator::Le => (i64::MIN, value),
                Operator::Gt => (value.checked_add(1)?, i64::MAX),
                Operator::Ge => (value, i64::MAX),
            })
        };
        let low = test.low.map_or(Some(ALL), bounds);
        let high = test.high.map_or(Some(ALL), bounds);
        let ends = match (test.joint, test.low.is_some() && test.high.is_some()) {
            (Joint::Or, true) => {
                [low.map(|low| Ends { low, high: ALL }), high.map(|high| Ends { low: ALL, high })].to_vec()
            }
            _ => vec![low.zip(high).map(|(low, high)| Ends { low, high })],
        };
        Self(ends.into_iter().flatten().filter_map(Ends::possible).collect())
    }
}

impl IntervalTest {
    /// That all of `tests` hold of one and the same interval.
    pub fn all<'t>(tests: impl IntoIterator<Item = &'t Self>) -> Self {
        tests.into_iter().fold(Self(vec![Ends { low: ALL, high: ALL }]), |all, test| {
            Self(all.0.iter().flat_map(|one| test.0.iter().filter_map(|other| one.and(other))).collect())
        })
    }

    /// That any of `tests` holds.
    pub fn any(tests: impl IntoIterator<Item = Self>) -> Self {
        Self(tests.into_iter().flat_map(|test| test.0).collect())
    }

    /// The same of intervals that begin at `latest` at the latest.
    pub fn beginning_by(&self, latest: i64) -> Self {
        let clipped = |ends: &Ends| Ends { low: (ends.low.0, ends.low.1.min(latest)), ..*ends }.possible();
        Self(self.0.iter().filter_map(clipped).collect())
    }

    /// Whether nothing passes.
    pub fn is_impossible(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all that passes lies within a stretch, or some, of this length at most.
    pub fn is_bounded(&self, length: i64) -> bool {
        let bounded = |ends: &Ends| {
            ends.low.0 > i64::MIN && ends.high.1 < i64::MAX && ends.high.1.saturating_sub(ends.low.0) <= length
        };
        self.0.iter().all(bounded)
    }

    /// Before which moment nothing that passes begins.
    pub fn begins_from(&self) -> i64 {
        self.0.iter().map(|ends| ends.low.0).min().unwrap_or(i64::MAX)
    }

    /// After which moment nothing that passes begins.
    pub fn begins_by(&self) -> i64 {
        let latest = |ends: &Ends| match ends.high.1 {
            i64::MAX => ends.low.1,
            end => ends.low.1.min(end.saturating_sub(1)),
        };
        self.0.iter().map(latest).max().unwrap_or(i64::MIN)
    }

    /// The first moment that anything that passes begins at or reaches.
    pub fn reaches(&self) -> i64 {
        self.0.iter().map(|ends| ends.high.0.max(ends.low.0)).min().unwrap_or(i64::MAX)
    }

    /// Whether an interval `[low, high)` passes.
    pub fn matches(&self, low: i64, high: i64) -> bool {
        self.0.iter().any(|ends| ends.hold(low, high))
    }

    /// Appends that an entry of `search_index`, of this alias, passes.
    pub fn write(&self, entry: &str, sql: &mut Sql) {
        let (low, high) = (format!("{entry}.low"), format!("{entry}.high"));
        if self.0.len() > FEW {
            sql.push("EXISTS (SELECT FROM unnest(");
            bind_columns(&self.0, sql);
            sql.push(") k(a, b, c, d) WHERE ");
            sql.push(&format!("{low} BETWEEN k.a AND k.b AND {high} BETWEEN k.c AND k.d)"));
            return;
        }
        sql.push(if self.0.is_empty() { "(false" } else { "(" });
        for (position, ends) in self.0.iter().enumerate() {
            sql.push(if position > 0 { " OR (" } else { "(" });
            ends.write(&low, &high, sql);
            sql.push(")");
        }
        sql.push(")");
    }

    /// Appends what yields the stretches of the index where entries that pass are: `k`, with the `class` of widths
    /// and the bounds `a` to `d` of both ends.
    pub fn write_stretches(&self, sql: &mut Sql) {
        let (classes, ends): (Vec<i64>, Vec<Ends>) = self.0.iter().flat_map(|ends| ends.classes()).unzip();
        sql.push("unnest(").bind(classes.as_slice()).push(", ");
        bind_columns(&ends, sql);
        sql.push(") k(class, a, b, c, d)");
    }
}

/// That entries `s` of `search_index` are in the stretch `k`.
pub(super) const IN_STRETCH: &str = "s.high IS NOT NULL AND width_class(s.low, s.high) = k.class \
    AND s.low BETWEEN k.a AND k.b AND s.high BETWEEN k.c AND k.d";

fn bind_columns(ends: &[Ends], sql: &mut Sql) {
    let columns: [fn(&Ends) -> i64; 4] = [|one| one.low.0, |one| one.low.1, |one| one.high.0, |one| one.high.1];
    for (position, column) in columns.into_iter().enumerate() {
        let values: Vec<i64> = ends.iter().map(column).collect();
        sql.push(if position > 0 { ", " } else { "" }).bind(values.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use salus_fhir::datatypes::Interval;
    use salus_fhir::search::query::Prefix;

    use super::*;

    const PREFIXES: [Prefix; 9] =
        [Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap];

    fn moment() -> impl Strategy<Value = i64> {
        // Around what separates the classes, and the ends of all time.
        let near = proptest::sample::select(vec![0, 1, 60_000_000, 90_000_000_000, 40_000_000_000_000]);
        prop_oneof![
            8 => (near, -3_i64..3, any::<bool>()).prop_map(|(at, off, negative)| if negative { off - at } else { at + off }),
            1 => Just(i64::MIN),
            1 => Just(i64::MAX),
        ]
    }

    fn interval() -> impl Strategy<Value = (i64, i64)> {
        (moment(), moment()).prop_filter_map("empty", |(a, b)| (a != b).then_some((a.min(b), a.max(b))))
    }

    fn condition() -> impl Strategy<Value = RangeCondition<i64>> {
        (0..PREFIXES.len(), interval())
            .prop_map(|(which, (low, high))| RangeCondition::new(PREFIXES[which], Interval::new(low, high)))
    }

    fn class(low: i64, high: i64) -> usize {
        CLASSES.iter().position(|widest| high.saturating_sub(*widest) <= low).unwrap_or(CLASSES.len() - 1)
    }

    proptest! {
        #[test]
        fn a_test_says_what_its_condition_says(condition in condition(), (low, high) in interval()) {
            prop_assert_eq!(IntervalTest::from(condition).matches(low, high), condition.matches(low, high));
        }

        #[test]
        fn what_passes_is_in_a_stretch_and_within_bounds(
            conditions in proptest::collection::vec(condition(), 1..4), (low, high) in interval(),
        ) {
            let tests: Vec<IntervalTest> = conditions.iter().map(|&one| one.into()).collect();
            let all = IntervalTest::all(&tests);
            let passes = conditions.iter().all(|one| one.matches(low, high));
            prop_assert_eq!(all.matches(low, high), passes);
            let any = IntervalTest::any(tests);
            prop_assert_eq!(any.matches(low, high), conditions.iter().any(|one| one.matches(low, high)));
            let found = all.0.iter().flat_map(|ends| ends.classes())
                .any(|(of, ends)| of as usize == class(low, high) && ends.hold(low, high));
            prop_assert_eq!(found, passes);
            if passes {
                prop_assert!(low >= all.begins_from() && low <= all.begins_by());
                prop_assert!(low >= all.reaches() || high >= all.reaches());
                prop_assert!(all.beginning_by(low).matches(low, high) && !all.beginning_by(low).is_impossible());
            }
        }
    }
}
