//! One search parameter with its value, to a clause: what must hold, and where to start
//! (R4 search.html).

use salus_fhir::Key;
use salus_fhir::search::query::{DateQuery, Modifier, Operator, ParameterName, RangeCondition, split_values};
use salus_fhir::search::{ParameterType, SearchError, SearchParameter};

use super::chain::{chain, expect_narrow, reverse_chain};
use super::composite::composite;
use super::condition::Condition;
use super::filter::{FILTER, filter};
use super::merge::merge_starts;
use super::near::near;
use super::range::range;
use super::reference::reference;
use super::start::{Clause, Start, rank};
use super::text::{in_body, string, uri};
use super::token::token;
use super::words::words;
use crate::facts::{parameter_key, stored_as};
use crate::predicate::View;
use crate::{Error, Result};

/// How long ago "lately" is, in microseconds: a week.
const LATELY: i64 = 7 * 24 * 3600 * 1_000_000;

/// The condition of one parameter, as granular scopes hold them.
pub(crate) fn parameter(view: &View<'_>, resource_type: &str, name: &str, value: &str) -> Result<Condition> {
    // Sets of codes were looked up before (`Store::with_code_sets`).
    let (name, value) = view.access.code_set(name, value).unwrap_or((name, value));
    let parsed = ParameterName::parse(name).map_err(|error| refused(name, error))?;
    expect_narrow(view, &[resource_type.to_owned()], &parsed)?;
    let condition = clause(view, resource_type, &parsed, value)?.condition;
    // What is about to be written has to be tested too, by its facts, and so has a former version.
    if condition.asks_body() || name.ends_with(FILTER) {
        Err(unsupported(name, "this in a scope"))
    } else {
        Ok(condition)
    }
}

/// The clause of one parameter.
///
/// # Errors
/// [`Error::Search`] for a parameter the type does not have, or a value or modifier it cannot take.
pub(crate) fn clause(view: &View<'_>, resource_type: &str, name: &ParameterName, value: &str) -> Result<Clause> {
    match name {
        ParameterName::Plain { code, modifier } => plain(view, resource_type, code, modifier.as_ref(), value),
        ParameterName::Chain { code, target, rest } => chain(view, resource_type, code, target.as_deref(), rest, value),
        ParameterName::Has { resource_type: source, reference, rest } => {
            reverse_chain(view, resource_type, source, reference, rest, value)
        }
    }
}

fn plain(view: &View<'_>, resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    match code {
        "_id" => return ids(resource_type, modifier, value),
        "_lastUpdated" if modifier.is_none() => {
            return updated(view, resource_type, value);
        }
        "_list" => return list(view, resource_type, modifier, value),
        "_text" | "_content" => return words(code, modifier, value),
        FILTER if modifier.is_none() => return filter(view, resource_type, value),
        _ => {}
    }
    let parameter = lookup(view, resource_type, code)?;
    if modifier == Some(&Modifier::Missing) {
        return missing(resource_type, code, value);
    }
    if let Some(condition) = in_body(parameter, modifier, value) {
        return condition.map(Clause::filter);
    }
    // What other parameters are indexed for need not be indexed twice: ask those.
    let codes = stored_as(parameter);
    let clauses = codes.iter().map(|code| indexed(view, resource_type, parameter, code, modifier, value));
    Ok(either(clauses.collect::<Result<_>>()?, modifier == Some(&Modifier::Not)))
}

/// The clause of a parameter whose values are indexed under `code`.
fn indexed(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    modifier: Option<&Modifier>,
    value: &str,
) -> Result<Clause> {
    match parameter.kind {
        ParameterType::Token => token(resource_type, code, modifier, value),
        ParameterType::Reference => reference(view, resource_type, parameter, code, modifier, value),
        ParameterType::String => string(resource_type, code, modifier, value),
        ParameterType::Uri => uri(resource_type, code, modifier, value),
        ParameterType::Composite => {
            no_modifier(code, modifier)?;
            composite(view, resource_type, parameter, code, value)
        }
        ParameterType::Date | ParameterType::Number | ParameterType::Quantity => {
            no_modifier(code, modifier)?;
            range(view, resource_type, parameter, code, value)
        }
        ParameterType::Special if code == "near" => near(code, modifier, value),
        ParameterType::Special => Err(unsupported(code, "this kind of search")),
    }
}

/// Any of the clauses; where each of them says what must not be, all of them.
fn either(mut clauses: Vec<Clause>, negated: bool) -> Clause {
    if clauses.len() == 1 {
        return clauses.remove(0);
    }
    let conditions: Vec<Condition> = clauses.iter().map(|clause| clause.condition.clone()).collect();
    if negated {
        return Clause::filter(Condition::All(conditions));
    }
    let rank = clauses.iter().map(|clause| clause.rank).max().unwrap_or(u8::MAX);
    let implied = clauses.iter().all(|clause| clause.implied);
    let start = clauses.into_iter().map(|clause| clause.start).collect::<Option<Vec<_>>>().map(merge_starts);
    Clause { condition: Condition::Any(conditions), start, rank, implied }
}

/// `_list`: what stands in a List that the caller may see (R4 search.html#list).
fn list(view: &View<'_>, resource_type: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    no_modifier("_list", modifier)?;
    if value.starts_with('$') {
        return Err(unsupported("_list", "a functional list"));
    }
    let id = ParameterName::Plain { code: "_id".to_owned(), modifier: None };
    reverse_chain(view, resource_type, "List", "item", &id, value)
}

fn ids(resource_type: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    let rows: Vec<Key> = split_values(value).map(|id| Key::resource(resource_type, id)).collect();
    match modifier {
        None => Ok(Clause::implied(Condition::Rows(rows.clone()), Some(Start::Rows(rows)), rank::ROWS)),
        Some(Modifier::Not) => Ok(Clause::filter(Condition::Not(Box::new(Condition::Rows(rows))))),
        Some(_) => Err(unsupported("_id", "this modifier")),
    }
}

/// `_lastUpdated`. Asking for what changed lately is what those do who keep a copy: there it is worth starting
/// from.
fn updated(view: &View<'_>, resource_type: &str, value: &str) -> Result<Clause> {
    let tests = each("_lastUpdated", value, |one| Ok(DateQuery::parse(one)?.condition(view.now)))?;
    let lately = |test: &RangeCondition<i64>| {
        let since = [test.low, test.high]
            .into_iter()
            .flatten()
            .filter(|end| matches!(end.operator, Operator::Ge | Operator::Gt));
        since.map(|end| end.value).min().is_some_and(|since| since > view.now - LATELY)
    };
    let start = match tests.as_slice() {
        [test] if lately(test) => Some(Start::Updated { types: vec![resource_type.to_owned()], test: Some(*test) }),
        _ => None,
    };
    let condition = Condition::Any(tests.into_iter().map(Condition::Updated).collect());
    Ok(Clause::implied(condition, start, rank::RANGE))
}

fn missing(resource_type: &str, code: &str, value: &str) -> Result<Clause> {
    let present = Condition::AnyFact(vec![parameter_key(resource_type, code)]);
    match value {
        "true" => Ok(Clause::filter(Condition::Not(Box::new(present)))),
        "false" => Ok(Clause::filter(present)),
        _ => Err(invalid(code, "':missing' takes true or false")),
    }
}

/// Parses each of the values separated by commas.
pub(super) fn each<T>(
    code: &str,
    value: &str,
    parse: impl Fn(&str) -> std::result::Result<T, SearchError>,
) -> Result<Vec<T>> {
    split_values(value).map(|one| parse(one).map_err(|error| refused(code, error))).collect()
}

pub(super) fn lookup<'v>(view: &'v View<'_>, resource_type: &str, code: &str) -> Result<&'v SearchParameter> {
    let table = view.definitions.search();
    table.get(resource_type, code).ok_or_else(|| {
        let why = table.why_not(resource_type, code);
        invalid(code, &why.unwrap_or_else(|| format!("{resource_type} has no such search parameter")))
    })
}

pub(super) fn expect_reference(parameter: &SearchParameter) -> Result<()> {
    match parameter.kind {
        ParameterType::Reference => Ok(()),
        _ => Err(invalid(&parameter.code, "only references can be chained")),
    }
}

fn no_modifier(code: &str, modifier: Option<&Modifier>) -> Result<()> {
    match modifier {
        None => Ok(()),
        Some(_) => Err(invalid(code, "this parameter takes no such modifier")),
    }
}

pub(super) fn refused(parameter: &str, error: SearchError) -> Error {
    invalid(parameter, &error.to_string())
}

pub(super) fn invalid(parameter: &str, message: &str) -> Error {
    Error::Search { parameter: parameter.to_owned(), message: message.to_owned() }
}

pub(super) fn unsupported(parameter: &str, what: &str) -> Error {
    invalid(parameter, &format!("{what} is not supported here yet"))
}
