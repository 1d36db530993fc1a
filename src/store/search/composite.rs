//! Composite parameters to clauses (R4 search.html#composite).

use salus_fhir::search::query::{
    ReferenceQuery, StringQuery, System, TokenQuery, UriQuery, split_components, split_values,
};
use salus_fhir::search::{ParameterType, SearchParameter};

use super::compile::{invalid, refused, unsupported};
use super::condition::Condition;
use super::intervals::IntervalTest;
use super::range::{self, Unit, qualified};
use super::start::{Clause, Start, rank};
use super::text_test::TextTest;
use crate::Result;
use crate::facts::{composite_key, indexed_string};
use crate::predicate::View;

/// What is asked of a composite's one component that is no fact.
enum Asked {
    Range(IntervalTest),
    Text(TextTest),
}

/// `code$value`: all components of one and the same element, as `Facts` lays them down. The entry with the
/// ranged component's interval has the exact ones in its key, without systems and units; those are facts.
pub(super) fn composite(
    view: &View<'_>,
    resource_type: &str,
    parameter: &SearchParameter,
    code: &str,
    value: &str,
) -> Result<Clause> {
    let mut entries = Vec::new();
    let mut conditions = Vec::new();
    for one in split_values(value) {
        let (plain, exact, asked) = components(view, parameter, one)?;
        let (key, name) = (composite_key(resource_type, code, &plain), composite_key(resource_type, code, &exact));
        let Some(asked) = asked else {
            conditions.push(Condition::AnyFact(vec![name]));
            continue;
        };
        let test = |key| match &asked {
            Asked::Range(test) => Condition::Range { key, test: test.clone() },
            Asked::Text(test) => Condition::Text { key, test: test.clone() },
        };
        conditions.push(if key == name { test(key) } else { qualified(key, name, test) });
        entries.push(match asked {
            Asked::Range(test) => Start::Range { key, test, unique: false },
            Asked::Text(test) => Start::Text { key, tests: vec![test] },
        });
    }
    // Where a value has no entry, the others are not all there is.
    let start = (entries.len() == conditions.len()).then(|| Start::any(entries));
    Ok(Clause { condition: Condition::Any(conditions), start, rank: rank::CODE, implied: false })
}

/// The exact components of a composite value, without and with systems and units, and what is asked of the
/// other one.
type Components = (Vec<String>, Vec<String>, Option<Asked>);

fn components(view: &View<'_>, parameter: &SearchParameter, value: &str) -> Result<Components> {
    let code = parameter.code.as_str();
    let refused = |error| refused(code, error);
    let parts: Vec<&str> = split_components(value).collect();
    if parts.len() != parameter.components.len() {
        return Err(invalid(code, "a composite takes a value for each of its components, separated by '$'"));
    }
    let (mut plain, mut exact, mut asked) = (Vec::new(), Vec::new(), None);
    for ((_, kind), part) in parameter.components.iter().zip(parts) {
        let next = match *kind {
            ParameterType::Token => {
                let TokenQuery { system, code: token } = TokenQuery::parse(part).map_err(refused)?;
                let Some(token) = token else { return Err(unsupported(code, "a component that is only a system")) };
                plain.push(format!("|{token}"));
                exact.push(match system {
                    System::Is(system) => format!("{system}|{token}"),
                    System::Absent => format!("-|{token}"),
                    System::Any => format!("|{token}"),
                });
                continue;
            }
            ParameterType::Reference => match ReferenceQuery::parse(part, None, view.base).map_err(refused)? {
                ReferenceQuery::Resource { resource_type, id } => {
                    plain.push(format!("{resource_type}/{id}"));
                    exact.push(format!("{resource_type}/{id}"));
                    continue;
                }
                _ => return Err(unsupported(code, "a component that is a reference without its type")),
            },
            ParameterType::Uri => {
                let uri = UriQuery::parse(part).map_err(refused)?.0;
                plain.push(uri.clone());
                exact.push(uri);
                continue;
            }
            ParameterType::String => {
                let text = StringQuery::parse(part).map_err(refused)?.normalized;
                Asked::Text(TextTest::StartsWith(indexed_string(&text)))
            }
            kind => {
                let range::Asked { test, unit } = range::asked(view, kind, part).map_err(refused)?;
                if kind == ParameterType::Quantity {
                    let (name, of_entry) = match unit {
                        Unit::Any => (String::new(), String::new()),
                        Unit::Named(unit) => (unit, String::new()),
                        Unit::Canonical(unit) => (unit.clone(), unit),
                    };
                    plain.push(of_entry);
                    exact.push(name);
                }
                Asked::Range(test)
            }
        };
        if asked.replace(next).is_some() {
            return Err(unsupported(code, "a composite of several dates, numbers or strings"));
        }
    }
    Ok((plain, exact, asked))
}
