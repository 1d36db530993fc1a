//! Reference parameters to clauses (R4 search.html#reference).

use salus_fhir::Key;
use salus_fhir::search::SearchParameter;
use salus_fhir::search::query::{Modifier, ReferenceQuery, System, TokenQuery, split_values};

use super::chain::targets;
use super::compile::{each, invalid, unsupported};
use super::condition::Condition;
use super::start::{Clause, KeyStart, Start, rank};
use crate::Result;
use crate::facts::{parameter_key, reference_identifier_key, url_target};
use crate::predicate::View;

pub(super) fn reference(
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
