//! What conditions on the natural date say of the natural order: a walk need not leave these bounds.

use salus_fhir::Key;
use salus_fhir::search::query::{Joint, Operator, RangeCondition};

use super::condition::Condition;
use super::start::Clause;
use crate::facts::{natural_date_parameters, parameter_key};
use crate::sql::Sql;

/// The types whose first natural date parameter looks at an element that occurs at most once, so that its one
/// interval and the row's place in the natural order tell of each other.
const DATED_ONCE: [&str; 14] = [
    "Composition",
    "Condition",
    "DiagnosticReport",
    "DocumentReference",
    "Encounter",
    "Flag",
    "Immunization",
    "List",
    "MedicationAdministration",
    "Observation",
    "Procedure",
    "QuestionnaireResponse",
    "RiskAssessment",
    "ServiceRequest",
];

/// The key of the parameter whose intervals begin where the rows of the type stand in the natural order; or,
/// where they have no beginning, end there.
pub(super) fn natural_key(types: &[String]) -> Option<Key> {
    let [resource_type] = types else { return None };
    let resource_type = resource_type.as_str();
    let code = natural_date_parameters(resource_type).first().filter(|_| DATED_ONCE.contains(&resource_type))?;
    Some(parameter_key(resource_type, code))
}

/// Where in the natural order matches can be, both ends included. Periods without a beginning may lie above
/// the upper one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Bounds {
    pub lower: Option<i64>,
    pub upper: Option<i64>,
}

impl Bounds {
    /// The bounds that all of `clauses` set together, of those that ask for the parameter with this key.
    pub fn of(natural: Key, clauses: &[Clause]) -> Self {
        let mut bounds = Self::default();
        for clause in clauses {
            if let Condition::Range { key, test } = &clause.condition
                && *key == natural
            {
                bounds.narrow(test);
            }
        }
        bounds
    }

    fn narrow(&mut self, test: &RangeCondition<i64>) {
        if let (Some(low), Some(high), Joint::Or) = (test.low, test.high, test.joint) {
            let below = |operator| matches!(operator, Operator::Le | Operator::Lt);
            if below(low.operator) && below(high.operator) {
                self.below(low.value.max(high.value));
            }
            return;
        }
        if let Some(low) = test.low {
            match low.operator {
                Operator::Ge | Operator::Gt => self.lower = self.lower.max(Some(low.value)),
                Operator::Le | Operator::Lt => self.below(low.value),
            }
        }
        // What ends before a moment begins before it.
        if let Some(high) = test.high.filter(|high| matches!(high.operator, Operator::Le | Operator::Lt)) {
            self.below(high.value);
        }
    }

    fn below(&mut self, value: i64) {
        self.upper = Some(self.upper.map_or(value, |known| known.min(value)));
    }

    /// Appends ` AND` the bounds on `column`.
    pub fn write(&self, column: &str, sql: &mut Sql) {
        if let Some(lower) = self.lower {
            sql.push(" AND ").push(column).push(" >= ").bind(lower);
        }
        if let Some(upper) = self.upper {
            sql.push(" AND ").push(column).push(" <= ").bind(upper);
        }
    }
}

#[cfg(test)]
mod tests {
    use salus_fhir::datatypes::Interval;
    use salus_fhir::search::query::Prefix;

    use super::*;

    fn bounds(prefixes: &[(Prefix, i64, i64)]) -> Bounds {
        let mut bounds = Bounds::default();
        prefixes
            .iter()
            .for_each(|(prefix, low, high)| bounds.narrow(&RangeCondition::new(*prefix, Interval::new(*low, *high))));
        bounds
    }

    #[test]
    fn prefixes_bound_what_they_can() {
        let of = |lower, upper| Bounds { lower, upper };
        assert_eq!(bounds(&[(Prefix::Eq, 3, 5)]), of(Some(3), Some(5)));
        assert_eq!(bounds(&[(Prefix::Lt, 3, 5)]), of(None, Some(3)));
        assert_eq!(bounds(&[(Prefix::Sa, 3, 5)]), of(Some(5), None));
        assert_eq!(bounds(&[(Prefix::Sa, 3, 5), (Prefix::Lt, 9, 10)]), of(Some(5), Some(9)));
        // What began long ago may still go on.
        assert_eq!(bounds(&[(Prefix::Gt, 3, 5)]), Bounds::default());
        assert_eq!(bounds(&[(Prefix::Ge, 3, 5)]), Bounds::default());
        assert_eq!(bounds(&[(Prefix::Ne, 3, 5)]), Bounds::default());
        // 'le' is "below, or within": either way it begins before the end.
        assert_eq!(bounds(&[(Prefix::Le, 3, 5)]), of(None, Some(5)));
    }

    proptest::proptest! {
        #[test]
        fn what_matches_lies_within(
            low in -20_i64..20, width in 1_i64..10, search in -20_i64..20, wide in 1_i64..10, which in 0_usize..9,
        ) {
            let prefixes = [
                Prefix::Eq, Prefix::Ne, Prefix::Gt, Prefix::Lt, Prefix::Ge, Prefix::Le, Prefix::Sa, Prefix::Eb, Prefix::Ap,
            ];
            let test = RangeCondition::new(prefixes[which], Interval::new(search, search + wide));
            let bounds = bounds(&[(prefixes[which], search, search + wide)]);
            if test.matches(low, low + width) {
                proptest::prop_assert!(bounds.lower.is_none_or(|lower| low >= lower));
                proptest::prop_assert!(bounds.upper.is_none_or(|upper| low <= upper));
            }
        }
    }
}
