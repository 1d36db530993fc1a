//! Date, number and quantity parameters to clauses (R4 search.html#date, #number, #quantity).

use salus_fhir::Key;
use salus_fhir::search::query::{DateQuery, NumberQuery, QuantityQuery};
use salus_fhir::search::{ParameterType, SearchError, SearchParameter};
use salus_fhir::units::{Canonical, UCUM};

use super::compile::{each, lookup};
use super::condition::Condition;
use super::intervals::{IntervalTest, SHORT};
use super::start::{Clause, Start, rank};
use crate::Result;
use crate::facts::{canonical_key, canonical_unit, parameter_key, qualified_key, unit_key};
use crate::predicate::View;

/// What a value of a range parameter asks.
pub(super) struct Asked {
    /// How the stored interval must lie.
    pub test: IntervalTest,
    /// Of which unit the stored values must be.
    pub unit: Unit,
}

/// The unit that a quantity is asked for in.
pub(super) enum Unit {
    /// Whatever unit, or none.
    Any,
    /// One with this name: `system|code`, a code or what is printed.
    Named(String),
    /// Any that is commensurable with this one of UCUM; the interval is in it.
    Canonical(String),
}

pub(super) fn range(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    value: &str,
) -> Result<Clause> {
    let key = parameter_key(resource_type, code);
    let unique = lookup(view, resource_type, code)?.occurs_once;
    let (mut conditions, mut starts, mut implied) = (Vec::new(), Vec::new(), true);
    let mut narrow = true;
    // Values without a name are one test.
    let mut plain: Vec<(Key, Vec<IntervalTest>)> = Vec::new();
    for Asked { test, unit } in each(&parameter.code, value, |one| asked(view, parameter.kind, one))? {
        narrow &= test.is_bounded(if parameter.kind == ParameterType::Date { SHORT } else { i64::MAX });
        let key = match unit {
            Unit::Any => key,
            Unit::Canonical(unit) => canonical_key(resource_type, code, &unit),
            Unit::Named(unit) => {
                let name = unit_key(resource_type, code, &unit);
                conditions.push(qualified(key, name, |key| Condition::Range { key, test: test.clone() }));
                starts.push(Start::Range { key, test, unique });
                implied = false;
                continue;
            }
        };
        match plain.iter_mut().find(|(known, _)| *known == key) {
            Some((_, tests)) => tests.push(test),
            None => plain.push((key, vec![test])),
        }
    }
    for (key, tests) in plain {
        let test = IntervalTest::any(tests);
        conditions.push(Condition::Range { key, test: test.clone() });
        starts.push(Start::Range { key, test, unique });
    }
    let condition = match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::Any(conditions),
    };
    let rank = if narrow { rank::VALUE } else { rank::RANGE };
    Ok(Clause { condition, start: Some(Start::any(starts)), rank, implied })
}

/// That an entry of `key` passes the test, and that its value has the fact `name` as well: see
/// `Facts::add_qualified` for the two ways in which it is laid down.
pub(super) fn qualified(key: Key, name: Key, test: impl Fn(Key) -> Condition) -> Condition {
    let together = Condition::All(vec![Condition::AnyFact(vec![name]), test(key)]);
    Condition::Any(vec![together, test(qualified_key(name))])
}

/// What one value asks.
pub(super) fn asked(view: &View<'_>, kind: ParameterType, value: &str) -> std::result::Result<Asked, SearchError> {
    let (test, unit) = match kind {
        ParameterType::Date => (DateQuery::parse(value)?.condition(view.now), Unit::Any),
        ParameterType::Number => (NumberQuery::parse(value)?.condition(), Unit::Any),
        _ => match QuantityQuery::parse(value)? {
            QuantityQuery { number, code: None, .. } => (number.condition(), Unit::Any),
            QuantityQuery { number, system: None, code: Some(code) } => (number.condition(), Unit::Named(code)),
            QuantityQuery { number, system: Some(system), code: Some(code) } => {
                match Canonical::of(&code).filter(|_| system == UCUM) {
                    Some(unit) => (number.condition_in(&unit), Unit::Canonical(canonical_unit(&unit))),
                    None => (number.condition(), Unit::Named(format!("{system}|{code}"))),
                }
            }
        },
    };
    Ok(Asked { test: test.into(), unit })
}
