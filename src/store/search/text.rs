//! String and uri parameters to clauses, and what is found by the text of the body alone (R4 search.html#string,
//! #uri, #modifiers).

use salus_fhir::Key;
use salus_fhir::search::query::{Modifier, StringQuery, UriQuery};
use salus_fhir::search::{ParameterType, Part, SearchParameter};

use super::compile::{each, invalid, unsupported};
use super::condition::Condition;
use super::start::{Clause, KeyStart, Start, rank};
use super::text_test::{BodyTest, TextTest};
use crate::Result;
use crate::facts::{indexed_string, parameter_key, uri_key};

pub(super) fn string(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
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
    let start = Some(Start::Text { key, tests: tests.clone() });
    let condition = Condition::Any(tests.into_iter().map(|test| Condition::Text { key, test }).collect());
    Ok(Clause::implied(condition, start, rank::TEXT))
}

pub(super) fn uri(resource_type: &str, code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
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

/// What no index is kept of: the text beside a code or a reference, and URLs by how they begin
/// (R4 search.html#modifiers).
pub(super) fn in_body(
    parameter: &SearchParameter,
    modifier: Option<&Modifier>,
    value: &str,
) -> Option<Result<Condition>> {
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
