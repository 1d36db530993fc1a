//! One search parameter with its value, to a clause: what must hold, and where to start
//! (R4 search.html).

use salus_fhir::Key;
use salus_fhir::search::query::{
    DateQuery, Modifier, NumberQuery, OfTypeQuery, Operator, ParameterName, QuantityQuery, RangeCondition,
    ReferenceQuery, StringQuery, System, TokenQuery, UriQuery, split_values,
};
use salus_fhir::search::{ParameterType, Part, SearchError, SearchParameter};

use super::chain::{chain, expect_narrow, reverse_chain, targets};
use super::composite::composite;
use super::condition::{BodyTest, Condition, TextTest};
use super::filter::{FILTER, filter};
use super::near::near;
use super::start::{Clause, KeyStart, Start, rank};
use super::words::words;
use crate::facts::{
    code_key, coding_key, indexed_string, of_type_key, parameter_key, qualified_key, reference_identifier_key,
    starts_with_patient, stored_as, system_key, system_low, unit_key, uri_key, url_target,
};
use crate::predicate::View;
use crate::{Error, Result};

/// How long ago "lately" is, in microseconds: a week.
const LATELY: i64 = 7 * 24 * 3600 * 1_000_000;

/// The condition of one parameter, as granular scopes hold them.
pub(crate) fn parameter(view: &View<'_>, resource_type: &str, name: &str, value: &str) -> Result<Condition> {
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

/// What no index is kept of: the text beside a code or a reference, and URLs by how they begin
/// (R4 search.html#modifiers).
fn in_body(parameter: &SearchParameter, modifier: Option<&Modifier>, value: &str) -> Option<Result<Condition>> {
    let (part, test): (_, fn(String) -> BodyTest) = match (parameter.kind, modifier?) {
        (ParameterType::Token | ParameterType::Reference, Modifier::Text) => (Part::Text, BodyTest::StartsWith),
        (ParameterType::Uri, Modifier::Below) => (Part::Value, BodyTest::Below),
        (ParameterType::Uri, Modifier::Contains) => (Part::Value, BodyTest::Contains),
        _ => return None,
    };
    let paths = parameter.json_paths(part);
    if paths.is_empty() {
        return Some(Err(invalid(&parameter.code, "this parameter's values have no text beside them")));
    }
    let tests = each(&parameter.code, value, |one| Ok(test(StringQuery::parse(one)?.exact)));
    Some(tests.map(|tests| {
        Condition::Any(tests.into_iter().map(|test| Condition::Body { paths: paths.clone(), test }).collect())
    }))
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
    let starts = clauses.into_iter().map(|clause| match clause.start {
        Some(Start::Keys(keys)) => Some(keys),
        _ => None,
    });
    let start = starts.collect::<Option<Vec<_>>>().map(|keys| Start::Keys(keys.concat()));
    Clause::implied(Condition::Any(conditions), start, rank)
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

fn token(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    if modifier == Some(&Modifier::OfType) {
        let facts = each(code, value, |one| {
            let OfTypeQuery { system, code: kind, value } = OfTypeQuery::parse(one)?;
            Ok(of_type_key(resource_type, code, &system, &kind, &value))
        })?;
        return Ok(Clause::filter(Condition::AnyFact(facts)));
    }
    let mut facts = Vec::new();
    let mut starts = Some(Vec::new());
    for query in each(code, value, TokenQuery::parse)? {
        let (fact, start) = match (&query.system, query.code.as_deref()) {
            (System::Any, Some(token)) => (code_key(resource_type, code, token), Some((token, None))),
            (System::Absent, Some(token)) => (coding_key(resource_type, code, "", token), Some((token, Some(0)))),
            (System::Is(system), Some(token)) => {
                (coding_key(resource_type, code, system, token), Some((token, Some(system_low(Some(system))))))
            }
            (System::Is(system), None) => (system_key(resource_type, code, system), None),
            (System::Any | System::Absent, None) => return Err(invalid(code, "a code is missing")),
        };
        facts.push(fact);
        starts = starts.zip(start).map(|(mut starts, (token, low))| {
            starts.push(KeyStart { key: code_key(resource_type, code, token), low, unique: low.is_some(), fact });
            starts
        });
    }
    let condition = Condition::AnyFact(facts);
    match modifier {
        None => Ok(Clause::implied(condition, starts.map(Start::Keys), token_rank(code))),
        Some(Modifier::Not) => Ok(Clause::filter(Condition::Not(Box::new(condition)))),
        Some(_) => Err(unsupported(code, "this modifier")),
    }
}

fn token_rank(code: &str) -> u8 {
    match code {
        "identifier" | "email" | "phone" | "telecom" => rank::IDENTIFIER,
        "code" => rank::CODE,
        _ => rank::CATEGORY,
    }
}

/// The entries that a clause of a token parameter starts from, if the parameter is one whose codes are indexed
/// with a patient as well.
pub(super) fn codes<'c>(
    view: &View<'_>,
    resource_type: &str,
    parameter: &str,
    modifier: Option<&Modifier>,
    clause: &'c Clause,
) -> Option<&'c [KeyStart]> {
    let own = lookup(view, resource_type, parameter).is_ok_and(|parameter| parameter.parts.is_empty());
    match &clause.start {
        Some(Start::Keys(keys)) if own && starts_with_patient(parameter) && modifier.is_none() => Some(keys),
        _ => None,
    }
}

fn reference(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    modifier: Option<&Modifier>,
    value: &str,
) -> Result<Clause> {
    if !matches!(modifier, None | Some(Modifier::Identifier | Modifier::Type(_) | Modifier::Not)) {
        return Err(unsupported(code, "this modifier"));
    }
    if let Some(Modifier::Type(name)) = modifier
        && !view.definitions.is_resource_type(name)
    {
        return Err(invalid(code, &format!("'{name}' is not a resource type of R4")));
    }
    let key = parameter_key(resource_type, code);
    let (mut facts, mut start) = (Vec::new(), true);
    let targets = targets(view, parameter);
    for query in
        each(code, value, |one| ReferenceQuery::parse(one, modifier.filter(|m| **m != Modifier::Not), view.base))?
    {
        match query {
            ReferenceQuery::Id(id) => {
                facts.extend(targets.iter().map(|target| key.reference(Key::resource(target, &id))));
            }
            // The parameter that it is indexed under may point at more types than this one.
            ReferenceQuery::Resource { resource_type, id } if targets.contains(&resource_type.as_str()) => {
                facts.push(key.reference(Key::resource(&resource_type, &id)))
            }
            ReferenceQuery::Resource { .. } => {}
            ReferenceQuery::Url(url) => {
                start &= code == parameter.code;
                facts.push(parameter_key(resource_type, &parameter.code).reference(url_target(&url)));
            }
            ReferenceQuery::Identifier(TokenQuery { system, code: value }) => {
                start = false;
                let Some(value) = value else { return Err(unsupported(code, "an identifier without a value")) };
                let own = &parameter.code;
                facts.push(match system {
                    System::Any => reference_identifier_key(resource_type, own, None, &value),
                    System::Absent => reference_identifier_key(resource_type, own, Some(""), &value),
                    System::Is(system) => reference_identifier_key(resource_type, own, Some(&system), &value),
                });
            }
        }
    }
    if modifier == Some(&Modifier::Not) {
        return Ok(Clause::filter(Condition::Not(Box::new(Condition::AnyFact(facts)))));
    }
    let starts = facts.iter().map(|&key| KeyStart::of(key, true)).collect();
    let start = start.then_some(Start::Keys(starts));
    let rank = if matches!(code, "patient" | "subject") { rank::COMPARTMENT } else { rank::REFERENCE };
    Ok(Clause::implied(Condition::AnyFact(facts), start, rank))
}

/// The one patient that a reference value names, if it names just one.
pub(super) fn one_patient(view: &View<'_>, parameter: &str, modifier: Option<&Modifier>, value: &str) -> Option<Key> {
    if !matches!(parameter, "patient" | "subject") || !matches!(modifier, None | Some(Modifier::Type(_))) {
        return None;
    }
    let mut values = split_values(value);
    let (one, None) = (values.next()?, values.next()) else { return None };
    match ReferenceQuery::parse(one, modifier, view.base).ok()? {
        ReferenceQuery::Resource { resource_type, id } if resource_type == "Patient" => {
            Some(Key::resource("Patient", &id))
        }
        ReferenceQuery::Id(id) if parameter == "patient" => Some(Key::resource("Patient", &id)),
        _ => None,
    }
}

fn string(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    let key = parameter_key(resource_type, code);
    let tests = each(code, value, |one| {
        let StringQuery { exact, normalized } = StringQuery::parse(one)?;
        Ok(match modifier {
            Some(Modifier::Exact) => TextTest::Exact(exact),
            Some(Modifier::Contains) => TextTest::Contains(indexed_string(&normalized)),
            _ => TextTest::StartsWith(indexed_string(&normalized)),
        })
    })?;
    if !matches!(modifier, None | Some(Modifier::Exact | Modifier::Contains)) {
        return Err(unsupported(code, "this modifier"));
    }
    let start = match tests.as_slice() {
        [test] => Some(Start::Text { key, test: test.clone() }),
        _ => None,
    };
    let condition = Condition::Any(tests.into_iter().map(|test| Condition::Text { key, test }).collect());
    Ok(Clause::implied(condition, start, rank::TEXT))
}

fn uri(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    let uris = each(code, value, |one| Ok(UriQuery::parse(one)?.0))?;
    let key = |uri: &str| uri_key(resource_type, code, uri);
    let facts: Vec<Key> = match modifier {
        // What is above a URL are the beginnings of its path.
        Some(Modifier::Above) => uris.iter().flat_map(|uri| above(uri)).map(key).collect(),
        _ => uris.iter().map(|uri| key(uri)).collect(),
    };
    match modifier {
        None | Some(Modifier::Above) => {
            let starts = facts.iter().map(|&key| KeyStart::of(key, true)).collect();
            Ok(Clause::implied(Condition::AnyFact(facts), Some(Start::Keys(starts)), rank::REFERENCE))
        }
        Some(Modifier::Not) => Ok(Clause::filter(Condition::Not(Box::new(Condition::AnyFact(facts))))),
        Some(_) => Err(unsupported(code, "this modifier")),
    }
}

/// A URL and those that it is below, with and without their last slash (R4 search.html#uri).
fn above(uri: &str) -> Vec<&str> {
    let path = uri.find("://").map_or(0, |at| at + 3);
    let slashes = uri.bytes().enumerate().skip(path).filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    slashes.flat_map(|at| [&uri[..at], &uri[..=at]]).chain([uri]).collect()
}

fn range(view: &View<'_>, resource_type: &str, parameter: &SearchParameter, code: &str, value: &str) -> Result<Clause> {
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

/// Parses each of the values separated by commas.
pub(super) fn each<T>(
    code: &str,
    value: &str,
    parse: impl Fn(&str) -> std::result::Result<T, SearchError>,
) -> Result<Vec<T>> {
    split_values(value).map(|one| parse(one).map_err(|error| refused(code, error))).collect()
}

pub(super) fn lookup<'v>(view: &View<'v>, resource_type: &str, code: &str) -> Result<&'v SearchParameter> {
    view.definitions
        .search()
        .get(resource_type, code)
        .ok_or_else(|| invalid(code, &format!("{resource_type} has no such search parameter")))
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
