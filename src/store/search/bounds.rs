//! What conditions on the natural date say of the natural order: a walk need not leave these bounds.

use salus_fhir::{Definitions, Key};

use super::condition::Condition;
use super::intervals::{IntervalTest, SHORT};
use super::start::Clause;
use crate::facts::{natural_date_parameters, parameter_key, stored_as};
use crate::sql::Sql;

/// The key of the parameter whose intervals begin where the rows of the type stand in the natural order; or,
/// where they have no beginning, end there. None for a parameter of which a resource can have several values, which
/// do not all tell of its place.
pub(super) fn natural_key(definitions: &Definitions, resource_type: &str) -> Option<Key> {
    let mut known = natural_date_parameters(resource_type).iter();
    let parameter = known.find_map(|code| definitions.search().get(resource_type, code))?;
    match stored_as(parameter).as_slice() {
        [code] if parameter.occurs_once && parameter.custom.is_none() => Some(parameter_key(resource_type, code)),
        _ => None,
    }
}

/// Where in the natural order matches can be, and which of them may be elsewhere nevertheless.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// The parameter.
    key: Key,
    /// What is asked of its interval.
    test: IntervalTest,
    /// The least and the greatest natural date, where there are such, of matches that are a day long at most.
    lower: i64,
    upper: i64,
}

impl Bounds {
    /// The bounds that all of `clauses` set together, of those that ask for the parameter with this key.
    pub fn of(natural: Key, clauses: &[Clause]) -> Option<Self> {
        let tests: Vec<&IntervalTest> = clauses
            .iter()
            .filter_map(|clause| match &clause.condition {
                Condition::Range { key, test } if *key == natural => Some(test),
                _ => None,
            })
            .collect();
        if tests.is_empty() {
            return None;
        }
        let test = IntervalTest::all(tests);
        let lower = test.begins_from().max(test.reaches().saturating_sub(SHORT));
        Some(Self { key: natural, lower, upper: test.begins_by(), test })
    }

    /// Appends ` AND` the bounds on `column`.
    pub fn write(&self, column: &str, sql: &mut Sql) {
        if self.lower > i64::MIN {
            sql.push(" AND ").push(column).push(" >= ").bind(self.lower);
        }
        if self.upper < i64::MAX {
            sql.push(" AND ").push(column).push(" <= ").bind(self.upper);
        }
    }

    /// The intervals of matches that may lie outside the bounds, if any do: long ones that begin before, and those
    /// without a beginning, which stand where they end.
    pub fn beyond(&self) -> Option<(Key, IntervalTest)> {
        let test = self.test.beginning_by(self.lower.saturating_sub(1));
        (!test.is_impossible()).then_some((self.key, test))
    }

    /// Appends ` AND` that `column` is outside the bounds.
    pub fn write_beyond(&self, column: &str, sql: &mut Sql) {
        sql.push(" AND (").push(column).push(" < ").bind(self.lower).push(" OR ").push(column).push(" > ");
        sql.bind(self.upper).push(")");
    }
}

#[cfg(test)]
mod tests {
    use salus_fhir::datatypes::Interval;
    use salus_fhir::search::query::{Prefix, RangeCondition};

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn bounds(prefixes: &[(Prefix, i64, i64)]) -> Bounds {
        let clause = |&(prefix, low, high): &(Prefix, i64, i64)| {
            let test = RangeCondition::new(prefix, Interval::new(low, high)).into();
            Clause::filter(Condition::Range { key: Key(1), test })
        };
        Bounds::of(Key(1), &prefixes.iter().map(clause).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn prefixes_bound_what_they_can() {
        let of = |prefixes: &[_]| (bounds(prefixes).lower, bounds(prefixes).upper);
        assert_eq!(of(&[(Prefix::Eq, 3, 5)]), (3, 4));
        assert_eq!(of(&[(Prefix::Lt, 3, 5)]), (i64::MIN, 2));
        assert_eq!(of(&[(Prefix::Sa, 3, 5)]), (5, i64::MAX));
        assert_eq!(of(&[(Prefix::Sa, 3, 5), (Prefix::Lt, 9, 10)]), (5, 8));
        // What began long ago may still go on; most did not.
        assert_eq!(of(&[(Prefix::Ge, 30 * DAY, 31 * DAY)]), (30 * DAY - SHORT, i64::MAX));
        assert_eq!(of(&[(Prefix::Ge, 30 * DAY, 31 * DAY), (Prefix::Lt, 40 * DAY, 41 * DAY)]).1, 40 * DAY - 1);
        assert!(bounds(&[(Prefix::Ge, 30 * DAY, 31 * DAY)]).beyond().is_some());
        assert!(bounds(&[(Prefix::Eq, 3, 5)]).beyond().is_none());
        // 'le' is "below, or within": either way it begins before the end.
        assert_eq!(of(&[(Prefix::Le, 3, 5)]), (i64::MIN, 4));
    }

    proptest::proptest! {
        #[test]
        fn what_matches_lies_within_or_is_found_beyond(
            low in -200_i64..200, width in 1_i64..100, search in -200_i64..200, wide in 1_i64..20, which in 0_usize..9,
        ) {
            let prefixes = [
                Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap,
            ];
            let (low, high, search, end) = (low * DAY / 4, (low + width) * DAY / 4, search * DAY / 4, (search + wide) * DAY / 4);
            let bounds = bounds(&[(prefixes[which], search, end)]);
            if RangeCondition::new(prefixes[which], Interval::new(search, end)).matches(low, high) {
                let within = low >= bounds.lower && low <= bounds.upper;
                let beyond = bounds.beyond().is_some_and(|(_, test)| test.matches(low, high));
                proptest::prop_assert!(within || beyond);
            }
        }
    }
}
