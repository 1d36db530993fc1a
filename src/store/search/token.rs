//! Token parameters to clauses (R4 search.html#token).

use salus_fhir::search::query::{Modifier, OfTypeQuery, System, TokenQuery};

use super::compile::{each, invalid, lookup, unsupported};
use super::condition::Condition;
use super::start::{Clause, KeyStart, Start, rank};
use crate::Result;
use crate::facts::{code_key, coding_key, of_type_key, starts_with_patient, system_key, system_low};
use crate::predicate::View;

pub(super) fn token(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
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
