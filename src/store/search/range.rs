//! Date, number and quantity parameters to clauses (R4 search.html#date, #number, #quantity).

use salus_fhir::Key;
use salus_fhir::search::query::{DateQuery, NumberQuery, QuantityQuery, RangeCondition};
use salus_fhir::search::{ParameterType, SearchError, SearchParameter};

use super::compile::each;
use super::condition::Condition;
use super::start::{Clause, Start, rank};
use crate::Result;
use crate::facts::{parameter_key, qualified_key, unit_key};
use crate::predicate::View;

pub(super) fn range(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    value: &str,
) -> Result<Clause> {
    let key = parameter_key(resource_type, code);
    let mut conditions = each(&parameter.code, value, |one| {
        let (test, unit) = range_test(view, parameter.kind, one)?;
        let range = Condition::Range { key, test };
        Ok(match unit {
            None => range,
            Some(unit) => qualified(key, unit_key(resource_type, code, &unit), |key| Condition::Range { key, test }),
        })
    })?;
    let start = match conditions.as_slice() {
        [Condition::Range { test, .. }] => Some(Start::Range { key, test: *test }),
        _ => None,
    };
    let condition = match (conditions.len(), conditions.pop()) {
        (1, Some(one)) => one,
        (_, last) => Condition::Any(conditions.into_iter().chain(last).collect()),
    };
    Ok(Clause::implied(condition, start, rank::RANGE))
}

/// That an entry of `key` passes the test, and that its value has the fact `name` as well: see
/// `Facts::add_qualified` for the two ways in which it is laid down.
pub(super) fn qualified(key: Key, name: Key, test: impl Fn(Key) -> Condition) -> Condition {
    let together = Condition::All(vec![Condition::AnyFact(vec![name]), test(key)]);
    Condition::Any(vec![together, test(qualified_key(name))])
}

/// How the stored interval must lie, and in which unit.
pub(super) fn range_test(
    view: &View<'_>,
    kind: ParameterType,
    value: &str,
) -> std::result::Result<(RangeCondition<i64>, Option<String>), SearchError> {
    Ok(match kind {
        ParameterType::Date => (DateQuery::parse(value)?.condition(view.now), None),
        ParameterType::Number => (NumberQuery::parse(value)?.condition(), None),
        _ => {
            let QuantityQuery { number, system, code } = QuantityQuery::parse(value)?;
            let unit = match (system, code) {
                (Some(system), Some(code)) => Some(format!("{system}|{code}")),
                (_, code) => code,
            };
            (number.condition(), unit)
        }
    })
}
