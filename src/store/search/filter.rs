//! `_filter` to a condition (R4 search_filter.html).
//!
//! Each test is what a search parameter says with a prefix or a modifier, so that both find the same. The codes that
//! `in`, `ni`, `ss` and `sb` find are looked up before ([`super::terminology`]).

use std::borrow::Cow;

use salus_fhir::search::query::{
    Comparison, DateQuery, Filter, FilterOperator, FilterStep, Joint, Modifier, Operator, ParameterName, Prefix,
    RangeCondition, StringQuery, escape,
};
use salus_fhir::search::{ParameterType, Part, SearchParameter};

use super::chain::targets;
use super::compile::{clause, expect_reference, invalid, lookup, refused};
use super::condition::Condition;
use super::start::Clause;
use super::text_test::{BodyTest, TextTest};
use crate::Result;
use crate::facts::{indexed_string, parameter_key, stored_as};
use crate::predicate::View;

/// The name of the parameter.
pub(super) const FILTER: &str = "_filter";

/// The clause of a `_filter`.
pub(super) fn filter(view: &View<'_>, resource_type: &str, text: &str) -> Result<Clause> {
    let filter = Filter::parse(text).map_err(|error| refused(FILTER, error))?;
    condition(view, resource_type, &filter).map(Clause::filter)
}

fn condition(view: &View<'_>, resource_type: &str, filter: &Filter) -> Result<Condition> {
    let both = |left, right| -> Result<Vec<Condition>> {
        Ok(vec![condition(view, resource_type, left)?, condition(view, resource_type, right)?])
    };
    Ok(match filter {
        Filter::And(left, right) => Condition::All(both(left, right)?),
        Filter::Or(left, right) => Condition::Any(both(left, right)?),
        Filter::Not(not) => Condition::Not(Box::new(condition(view, resource_type, not)?)),
        Filter::Test { path, operator, value } => match path.as_slice() {
            [] => Condition::Nothing,
            [FilterStep { code, .. }] => test(view, resource_type, code, *operator, value)?,
            [step, rest @ ..] => {
                let rest = Filter::Test { path: rest.to_vec(), operator: *operator, value: value.clone() };
                followed(view, resource_type, step, &rest)?
            }
        },
    })
}

/// What points at a resource of which all that is asked holds.
fn followed(view: &View<'_>, resource_type: &str, step: &FilterStep, rest: &Filter) -> Result<Condition> {
    let parameter = lookup(view, resource_type, &step.code)?;
    expect_reference(parameter)?;
    let (mut chains, mut refusal) = (Vec::new(), None);
    for target in targets(view, parameter) {
        let of = || -> Result<Condition> {
            let mut all = vec![condition(view, target, rest)?];
            if let Some(filter) = &step.filter {
                all.push(condition(view, target, filter)?);
            }
            Ok(Condition::All(all))
        };
        match of() {
            Ok(of) => chains.extend(stored_as(parameter).into_iter().map(|code| Condition::Chain {
                parameter: parameter_key(resource_type, code),
                target_type: target.to_owned(),
                of: Box::new(Clause::filter(of.clone())),
            })),
            Err(error) => refusal = Some(error),
        }
    }
    match chains.is_empty() {
        true => Err(refusal.unwrap_or_else(|| invalid(&step.code, "nothing to follow"))),
        false => Ok(Condition::Any(chains)),
    }
}

fn test(view: &View<'_>, resource_type: &str, code: &str, operator: FilterOperator, value: &str) -> Result<Condition> {
    use FilterOperator::{Ap, Co, Eb, Eq, Ew, Ge, Gt, In, Le, Lt, Ne, Ni, Po, Pr, Re, Sa, Sb, Ss, Sw};
    let ask = |prefix: &str, modifier: Option<Modifier>| -> Result<Condition> {
        let name = ParameterName::Plain { code: code.to_owned(), modifier };
        Ok(clause(view, resource_type, &name, &format!("{prefix}{}", escape(value)))?.condition)
    };
    if matches!(code, "_id" | "_lastUpdated") {
        return match (code, operator) {
            ("_id", Eq) | ("_lastUpdated", Eq | Ne | Gt | Lt | Ge | Le | Ap | Sa | Eb) => {
                ask(if code == "_id" { "" } else { operator.as_str() }, None)
            }
            ("_id", Ne) => ask("", Some(Modifier::Not)),
            _ => Err(unusable(code, operator)),
        };
    }
    let parameter = lookup(view, resource_type, code)?;
    match (parameter.kind, operator) {
        (_, Pr) => match value {
            "true" | "false" => ask("", Some(Modifier::Missing)).map(|present| Condition::Not(Box::new(present))),
            _ => Err(invalid(code, "'pr' takes true or false")),
        },
        (
            ParameterType::Date | ParameterType::Number | ParameterType::Quantity,
            Eq | Ne | Gt | Lt | Ge | Le | Ap | Sa | Eb,
        ) => ask(operator.as_str(), None),
        (ParameterType::Date, Po) => overlaps(view, resource_type, parameter, value),
        (ParameterType::Date, Co) => contains(view, resource_type, parameter, value),
        (ParameterType::String, Gt | Lt | Ge | Le) => {
            let compared = match operator {
                Gt => Operator::Gt,
                Lt => Operator::Lt,
                Ge => Operator::Ge,
                _ => Operator::Le,
            };
            text(resource_type, parameter, value, |text| TextTest::Compares(compared, text))
        }
        // Its components are told apart by '$', which is none of their values.
        (ParameterType::Composite, Eq) => one(view, resource_type, code, None, &value.replace(',', "\\,")),
        (ParameterType::Composite, Ne) => {
            let equal = one(view, resource_type, code, None, &value.replace(',', "\\,"))?;
            Ok(other_than(resource_type, code, equal))
        }
        (ParameterType::String, Eq) => text(resource_type, parameter, value, TextTest::Equals),
        (ParameterType::String, Ne) => {
            let equal = text(resource_type, parameter, value, TextTest::Equals)?;
            Ok(other_than(resource_type, code, equal))
        }
        (ParameterType::String, Co) => ask("", Some(Modifier::Contains)),
        (ParameterType::String, Sw) => ask("", None),
        (ParameterType::String, Ew) => text(resource_type, parameter, value, TextTest::EndsWith),
        (ParameterType::Token, Eq) => one(view, resource_type, code, None, &escape(&full_system(value))),
        (ParameterType::Token, Ne) => {
            let equal = one(view, resource_type, code, None, &escape(&full_system(value)))?;
            Ok(other_than(resource_type, code, equal))
        }
        (ParameterType::Token, Ss | Sb | In | Ni) => {
            let known = view.filter_sets.and_then(|sets| sets.get(&(operator, value.to_owned())));
            let codes = known.ok_or_else(|| unusable(code, operator))?;
            one(view, resource_type, code, (operator == Ni).then_some(Modifier::Not), codes)
        }
        (ParameterType::Uri, Eq) | (ParameterType::Reference, Eq | Re) => ask("", None),
        (ParameterType::Uri | ParameterType::Reference, Ne) => Ok(other_than(resource_type, code, ask("", None)?)),
        (ParameterType::Token | ParameterType::Uri, Co | Sw | Ew) => body(parameter, operator, value),
        // The value subsumes what is below it.
        (ParameterType::Uri, Ss) => ask("", Some(Modifier::Below)),
        (ParameterType::Uri, Sb) => ask("", Some(Modifier::Above)),
        _ => Err(unusable(code, operator)),
    }
}

/// What a parameter finds by a value as a search has it.
fn one(view: &View<'_>, resource_type: &str, code: &str, modifier: Option<Modifier>, value: &str) -> Result<Condition> {
    let name = ParameterName::Plain { code: code.to_owned(), modifier };
    Ok(clause(view, resource_type, &name, value)?.condition)
}

/// Short names of code systems, for convenience (R4 search_filter.html#ops, the notes).
const SYSTEMS: [(&str, &str); 4] = [
    ("loinc", "http://loinc.org"),
    ("snomed", "http://snomed.info/sct"),
    ("rxnorm", "http://www.nlm.nih.gov/research/umls/rxnorm"),
    ("ucum", "http://unitsofmeasure.org"),
];

/// A token with its system in full.
pub(super) fn full_system(value: &str) -> Cow<'_, str> {
    let short = value.split_once('|').and_then(|(system, code)| {
        let (_, url) = SYSTEMS.iter().find(|(short, _)| *short == system)?;
        Some(format!("{url}|{code}"))
    });
    short.map_or(Cow::Borrowed(value), Cow::Owned)
}

fn unusable(code: &str, operator: FilterOperator) -> crate::Error {
    invalid(FILTER, &format!("'{}' cannot be asked of '{code}'", operator.as_str()))
}

/// The parameter has a value, and none that is `equal`.
fn other_than(resource_type: &str, code: &str, equal: Condition) -> Condition {
    Condition::All(vec![Condition::AnyFact(vec![parameter_key(resource_type, code)]), Condition::Not(Box::new(equal))])
}

/// Some of the time lies in the time that the value stands for.
fn overlaps(view: &View<'_>, resource_type: &str, parameter: &SearchParameter, value: &str) -> Result<Condition> {
    let (low, high) = time(view, parameter, value)?;
    within(resource_type, parameter, (Operator::Lt, high), (Operator::Gt, low))
}

/// All of the time that the value stands for lies in the time.
fn contains(view: &View<'_>, resource_type: &str, parameter: &SearchParameter, value: &str) -> Result<Condition> {
    let (low, high) = time(view, parameter, value)?;
    within(resource_type, parameter, (Operator::Le, low), (Operator::Ge, high))
}

/// The time that a date without a prefix stands for.
fn time(view: &View<'_>, parameter: &SearchParameter, value: &str) -> Result<(i64, i64)> {
    let query = DateQuery::parse(value).map_err(|error| refused(&parameter.code, error))?;
    match (query.prefix, query.condition(view.now)) {
        (Prefix::Eq, RangeCondition { low: Some(low), high: Some(high), .. }) => Ok((low.value, high.value)),
        _ => Err(invalid(&parameter.code, "this operator takes a date without a prefix")),
    }
}

/// The time begins and ends as demanded.
fn within(
    resource_type: &str,
    parameter: &SearchParameter,
    low: (Operator, i64),
    high: (Operator, i64),
) -> Result<Condition> {
    let compared = |(operator, value)| Some(Comparison { operator, value });
    let test = RangeCondition { low: compared(low), high: compared(high), joint: Joint::And };
    let keys = stored_as(parameter).into_iter().map(|code| parameter_key(resource_type, code));
    Ok(Condition::Any(keys.map(|key| Condition::Range { key, test: test.into() }).collect()))
}

fn text(
    resource_type: &str,
    parameter: &SearchParameter,
    value: &str,
    test: impl Fn(String) -> TextTest,
) -> Result<Condition> {
    let query = StringQuery::parse(&escape(value)).map_err(|error| refused(&parameter.code, error))?;
    let test = test(indexed_string(&query.normalized));
    let keys = stored_as(parameter).into_iter().map(|code| parameter_key(resource_type, code));
    Ok(Condition::Any(keys.map(|key| Condition::Text { key, test: test.clone() }).collect()))
}

fn body(parameter: &SearchParameter, operator: FilterOperator, value: &str) -> Result<Condition> {
    let paths = parameter.json_paths(Part::Value);
    if paths.is_empty() {
        return Err(unusable(&parameter.code, operator));
    }
    let test = match operator {
        FilterOperator::Co => BodyTest::Contains(value.to_owned()),
        FilterOperator::Sw => BodyTest::StartsWith(value.to_owned()),
        _ => BodyTest::EndsWith(value.to_owned()),
    };
    Ok(Condition::Body { paths, test })
}
