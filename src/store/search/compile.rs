//! One search parameter with its value, to a clause: what must hold, and where to start
//! (R4 search.html).

use salus_fhir::Key;
use salus_fhir::search::query::{
    DateQuery, Modifier, NumberQuery, OfTypeQuery, ParameterName, QuantityQuery, RangeCondition, ReferenceQuery,
    StringQuery, System, TokenQuery, UriQuery, split_components, split_values,
};
use salus_fhir::search::{ParameterType, SearchError, SearchParameter};

use super::condition::{Condition, TextTest};
use super::start::{Clause, KeyStart, Start, rank};
use crate::facts::{
    code_key, coding_key, composite_key, indexed_string, of_type_key, parameter_key, reference_identifier_key,
    starts_with_patient, stored_as, system_key, system_low, uri_key, url_target,
};
use crate::predicate::View;
use crate::{Error, Result};

/// The condition of one parameter, as granular scopes hold them.
pub(crate) fn parameter(view: &View<'_>, resource_type: &str, name: &str, value: &str) -> Result<Condition> {
    let parsed = ParameterName::parse(name).map_err(|error| refused(name, error))?;
    clause(view, resource_type, &parsed, value).map(|clause| clause.condition)
}

/// The clause of one parameter.
///
/// # Errors
/// [`Error::Search`] for a parameter the type does not have, or a value or modifier it cannot take.
pub(crate) fn clause(view: &View<'_>, resource_type: &str, name: &ParameterName, value: &str) -> Result<Clause> {
    match name {
        ParameterName::Plain { code, modifier } => plain(view, resource_type, code, modifier.as_ref(), value),
        ParameterName::Chain { code, target, rest } => {
            chain(view, resource_type, code, target.as_deref(), rest, value).map(Clause::filter)
        }
        ParameterName::Has { resource_type: source, reference, rest } => {
            let parameter = lookup(view, source, reference)?;
            expect_reference(parameter)?;
            let of = Box::new(clause(view, source, rest, value)?.condition);
            let chain = |code: &str| {
                let parameter = parameter_key(source, code);
                Condition::ReverseChain { parameter, source_type: source.clone(), of: of.clone() }
            };
            Ok(Clause::filter(Condition::Any(stored_as(parameter).into_iter().map(chain).collect())))
        }
    }
}

fn plain(view: &View<'_>, resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    match code {
        "_id" => return ids(resource_type, modifier, value),
        "_lastUpdated" if modifier.is_none() => {
            let tests = each(code, value, |one| Ok(Condition::Updated(DateQuery::parse(one)?.condition(view.now))))?;
            return Ok(Clause::filter(Condition::Any(tests)));
        }
        _ => {}
    }
    let parameter = lookup(view, resource_type, code)?;
    if modifier == Some(&Modifier::Missing) {
        return missing(resource_type, code, value);
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
    Clause { condition: Condition::Any(conditions), start, rank }
}

fn ids(resource_type: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    let rows: Vec<Key> = split_values(value).map(|id| Key::resource(resource_type, id)).collect();
    match modifier {
        None => {
            Ok(Clause { condition: Condition::Rows(rows.clone()), start: Some(Start::Rows(rows)), rank: rank::ROWS })
        }
        Some(Modifier::Not) => Ok(Clause::filter(Condition::Not(Box::new(Condition::Rows(rows))))),
        Some(_) => Err(unsupported("_id", "this modifier")),
    }
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
            starts.push(KeyStart { key: code_key(resource_type, code, token), low, unique: low.is_some() });
            starts
        });
    }
    let condition = Condition::AnyFact(facts);
    match modifier {
        None => Ok(Clause { condition, start: starts.map(Start::Keys), rank: token_rank(code) }),
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

/// The codes that a token value asks for, if it asks for codes; what is indexed with a patient.
pub(super) fn codes(parameter: &str, modifier: Option<&Modifier>, value: &str) -> Option<Vec<String>> {
    if !starts_with_patient(parameter) || modifier.is_some() {
        return None;
    }
    split_values(value).map(|one| TokenQuery::parse(one).ok()?.code).collect()
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
    let key = parameter_key(resource_type, code);
    let (mut facts, mut start) = (Vec::new(), true);
    for query in
        each(code, value, |one| ReferenceQuery::parse(one, modifier.filter(|m| **m != Modifier::Not), view.base))?
    {
        match query {
            ReferenceQuery::Id(id) => {
                facts.extend(parameter.targets.iter().map(|target| key.reference(Key::resource(target, &id))));
            }
            ReferenceQuery::Resource { resource_type, id } => {
                facts.push(key.reference(Key::resource(&resource_type, &id)))
            }
            ReferenceQuery::Url(url) => facts.push(key.reference(url_target(&url))),
            ReferenceQuery::Identifier(TokenQuery { system, code: value }) => {
                start = false;
                let Some(value) = value else { return Err(unsupported(code, "an identifier without a value")) };
                facts.push(match system {
                    System::Any => reference_identifier_key(resource_type, code, None, &value),
                    System::Absent => reference_identifier_key(resource_type, code, Some(""), &value),
                    System::Is(system) => reference_identifier_key(resource_type, code, Some(&system), &value),
                });
            }
        }
    }
    if modifier == Some(&Modifier::Not) {
        return Ok(Clause::filter(Condition::Not(Box::new(Condition::AnyFact(facts)))));
    }
    let starts = facts.iter().map(|&key| KeyStart { key, low: None, unique: true }).collect();
    let start = start.then_some(Start::Keys(starts));
    let rank = if matches!(code, "patient" | "subject") { rank::COMPARTMENT } else { rank::REFERENCE };
    Ok(Clause { condition: Condition::AnyFact(facts), start, rank })
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
    Ok(Clause { condition, start, rank: rank::TEXT })
}

fn uri(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    let facts = each(code, value, |one| Ok(uri_key(resource_type, code, &UriQuery::parse(one)?.0)))?;
    match modifier {
        None => {
            let starts = facts.iter().map(|&key| KeyStart { key, low: None, unique: true }).collect();
            Ok(Clause { condition: Condition::AnyFact(facts), start: Some(Start::Keys(starts)), rank: rank::REFERENCE })
        }
        Some(Modifier::Not) => Ok(Clause::filter(Condition::Not(Box::new(Condition::AnyFact(facts))))),
        Some(_) => Err(unsupported(code, "this modifier")),
    }
}

fn range(view: &View<'_>, resource_type: &str, parameter: &SearchParameter, code: &str, value: &str) -> Result<Clause> {
    let key = parameter_key(resource_type, code);
    let mut conditions = each(&parameter.code, value, |one| {
        let (test, unit) = range_test(view, parameter.kind, one)?;
        let range = Condition::Range { key, test };
        Ok(match unit {
            None => range,
            Some(unit) => {
                let unit = crate::facts::unit_key(resource_type, code, &unit);
                Condition::All(vec![range, Condition::AnyFact(vec![unit])])
            }
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
    Ok(Clause { condition, start, rank: rank::RANGE })
}

/// How the stored interval must lie, and in which unit.
fn range_test(
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

/// `code$value`: all components of one and the same element, as `Facts` lays them down. The entry with the
/// ranged component's interval has the exact ones in its key, without systems and units; those are facts.
fn composite(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    value: &str,
) -> Result<Clause> {
    let conditions = each(&parameter.code, value, |one| {
        let parts: Vec<&str> = split_components(one).collect();
        if parts.len() != parameter.components.len() {
            return Err(SearchError::Value { value: one.to_owned(), expected: "composite with all its components" });
        }
        let (mut exact, mut plain, mut test) = (Vec::new(), Vec::new(), None);
        for ((_, kind), part) in parameter.components.iter().zip(parts) {
            match *kind {
                ParameterType::Token => {
                    let TokenQuery { system, code } = TokenQuery::parse(part)?;
                    let code = code.unwrap_or_default();
                    plain.push(format!("|{code}"));
                    exact.push(match system {
                        System::Is(system) => format!("{system}|{code}"),
                        System::Absent => format!("-|{code}"),
                        System::Any => format!("|{code}"),
                    });
                    continue;
                }
                ParameterType::Reference => exact.push(part.to_owned()),
                ParameterType::Uri => exact.push(UriQuery::parse(part)?.0),
                ParameterType::String => exact.push(indexed_string(&StringQuery::parse(part)?.normalized)),
                kind => {
                    let (range, unit) = range_test(view, kind, part)?;
                    test = Some(range);
                    if kind == ParameterType::Quantity {
                        plain.push(String::new());
                        exact.push(unit.unwrap_or_default());
                    }
                    continue;
                }
            }
            plain.extend(exact.last().cloned());
        }
        let fact = Condition::AnyFact(vec![composite_key(resource_type, code, &exact)]);
        let entry = composite_key(resource_type, code, &plain);
        Ok(match test {
            Some(test) if exact == plain => Condition::Range { key: entry, test },
            Some(test) => Condition::All(vec![Condition::Range { key: entry, test }, fact]),
            None => fact,
        })
    })?;
    let start = match conditions.as_slice() {
        [Condition::Range { key, test }] => Some(Start::Range { key: *key, test: *test }),
        _ => None,
    };
    Ok(Clause { condition: Condition::Any(conditions), start, rank: rank::CODE })
}

fn chain(
    view: &View<'_>,
    resource_type: &str,
    code: &str,
    target: Option<&str>,
    rest: &ParameterName,
    value: &str,
) -> Result<Condition> {
    let parameter = lookup(view, resource_type, code)?;
    expect_reference(parameter)?;
    let targets: Vec<&str> = match target {
        Some(target) => vec![target],
        None => parameter.targets.iter().map(String::as_str).collect(),
    };
    let mut alternatives = Vec::new();
    let mut refusal = None;
    for target in targets {
        // A polymorphic reference is followed to every type that has the parameter.
        match clause(view, target, rest, value) {
            Ok(clause) => alternatives.extend(stored_as(parameter).into_iter().map(|code| Condition::Chain {
                parameter: parameter_key(resource_type, code),
                target_type: target.to_owned(),
                of: Box::new(clause.condition.clone()),
            })),
            Err(error) => refusal = Some(error),
        }
    }
    match (alternatives.is_empty(), refusal) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(invalid(code, "nothing to follow")),
        (false, _) => Ok(Condition::Any(alternatives)),
    }
}

/// Parses each of the values separated by commas.
fn each<T>(code: &str, value: &str, parse: impl Fn(&str) -> std::result::Result<T, SearchError>) -> Result<Vec<T>> {
    split_values(value).map(|one| parse(one).map_err(|error| refused(code, error))).collect()
}

fn lookup<'v>(view: &View<'v>, resource_type: &str, code: &str) -> Result<&'v SearchParameter> {
    view.definitions
        .search()
        .get(resource_type, code)
        .ok_or_else(|| invalid(code, &format!("{resource_type} has no such search parameter")))
}

fn expect_reference(parameter: &SearchParameter) -> Result<()> {
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

fn refused(parameter: &str, error: SearchError) -> Error {
    invalid(parameter, &error.to_string())
}

fn invalid(parameter: &str, message: &str) -> Error {
    Error::Search { parameter: parameter.to_owned(), message: message.to_owned() }
}

fn unsupported(parameter: &str, what: &str) -> Error {
    invalid(parameter, &format!("{what} is not supported here yet"))
}
