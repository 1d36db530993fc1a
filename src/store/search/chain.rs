//! Chains and `_has` to clauses (R4 search.html#chaining, #has).

use salus_fhir::Key;
use salus_fhir::search::SearchParameter;
use salus_fhir::search::query::ParameterName;

use super::compile::{clause, expect_reference, invalid, lookup};
use super::condition::Condition;
use super::start::{Clause, KeyStart, Pointing, Start, rank};
use super::token::codes;
use crate::Result;
use crate::facts::{is_about, otherwise_in_compartment, parameter_key, stored_as};
use crate::predicate::View;

/// `subject:Patient.name`: what points at resources of which `rest` holds.
pub(super) fn chain(
    view: &View<'_>,
    resource_type: &str,
    code: &str,
    target: Option<&str>,
    rest: &ParameterName,
    value: &str,
) -> Result<Clause> {
    let parameter = lookup(view, resource_type, code)?;
    expect_reference(parameter)?;
    let targets = match target {
        Some(target) if !view.definitions.is_resource_type(target) => {
            return Err(invalid(code, &format!("'{target}' is not a resource type of R4")));
        }
        Some(target) => vec![target],
        None => targets(view, parameter),
    };
    let (mut pointing, mut refusal) = (Vec::new(), None);
    for target in targets {
        // A polymorphic reference is followed to every type that has the parameter.
        match clause(view, target, rest, value) {
            Ok(clause) => pointing.extend(stored_as(parameter).into_iter().map(|code| Pointing {
                parameter: parameter_key(resource_type, code),
                compartment:
                    (target == "Patient" && in_compartment(view, resource_type, code)).then(|| parameter.code.clone()),
                target_type: target.to_owned(),
                of: Box::new(clause.clone()),
            })),
            Err(error) => refusal = Some(error),
        }
    }
    if pointing.is_empty() {
        return Err(refusal.unwrap_or_else(|| invalid(code, "nothing to follow")));
    }
    let alternatives = pointing.iter().map(|Pointing { parameter, target_type, of, .. }| Condition::Chain {
        parameter: *parameter,
        target_type: target_type.clone(),
        of: of.clone(),
    });
    let condition = Condition::Any(alternatives.collect());
    let selective = pointing.iter().all(|one| one.of.is_selective());
    let rank = pointing.iter().map(|one| one.of.rank).max().unwrap_or(u8::MAX).max(rank::REFERENCE);
    Ok(Clause::implied(condition, selective.then_some(Start::Pointing(pointing)), rank))
}

/// `_has:Observation:patient:code`: what resources point at of which `rest` holds.
pub(super) fn reverse_chain(
    view: &View<'_>,
    resource_type: &str,
    source: &str,
    reference: &str,
    rest: &ParameterName,
    value: &str,
) -> Result<Clause> {
    let parameter = lookup(view, source, reference)?;
    expect_reference(parameter)?;
    let of = Box::new(clause(view, source, rest, value)?);
    // Sources that point at a patient so are in the patient's compartment, where codes are indexed by patient.
    let patients = resource_type == "Patient" && in_compartment(view, source, reference);
    let codes = match rest {
        ParameterName::Plain { code, modifier } if patients => {
            codes(view, source, code, modifier.as_ref(), &of).map(|keys| with_patient(keys, reference))
        }
        _ => None,
    };
    let chain = |code: &str| Condition::ReverseChain {
        parameter: parameter_key(source, code),
        codes: codes.clone().unwrap_or_default(),
        source_type: source.to_owned(),
        of: of.clone(),
    };
    let condition = Condition::Any(stored_as(parameter).into_iter().map(chain).collect());
    if !(patients && of.is_selective()) {
        return Ok(Clause::filter(condition));
    }
    let rank = of.rank.max(rank::REFERENCE);
    let start = Some(Start::PatientsOf { source_type: source.to_owned(), of });
    Ok(Clause { condition, start, rank, implied: false })
}

/// Under which keys resources with these codes stand together with a patient at whom they point by `reference`.
pub(super) fn with_patient(codes: &[KeyStart], reference: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = codes.iter().map(|start| start.key).collect();
    if !is_about(reference) {
        keys.extend(codes.iter().map(|start| otherwise_in_compartment(start.key)));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Most resource types that one chain may lead through, all its branches together: each is a part of the statement.
const BREADTH: usize = 500;

/// Refuses a chain that names no types and leads through very many.
///
/// # Errors
/// [`crate::Error::Search`] that asks to name the types.
pub(super) fn expect_narrow(view: &View<'_>, types: &[String], name: &ParameterName) -> Result<()> {
    let mut budget = BREADTH;
    match types.iter().all(|resource_type| is_narrow(view, resource_type, name, &mut budget)) {
        true => Ok(()),
        false => Err(invalid(
            chain_code(name),
            "this chain leads through too many types; name them, as in subject:Patient.name",
        )),
    }
}

fn is_narrow(view: &View<'_>, resource_type: &str, name: &ParameterName, budget: &mut usize) -> bool {
    let Some(left) = budget.checked_sub(1) else { return false };
    *budget = left;
    match name {
        ParameterName::Plain { .. } => true,
        ParameterName::Has { resource_type: source, rest, .. } => is_narrow(view, source, rest, budget),
        ParameterName::Chain { code, target, rest } => {
            let Some(parameter) = view.definitions.search().get(resource_type, code) else { return true };
            match target {
                Some(target) => is_narrow(view, target, rest, budget),
                None => targets(view, parameter).into_iter().all(|target| is_narrow(view, target, rest, budget)),
            }
        }
    }
}

fn chain_code(name: &ParameterName) -> &str {
    match name {
        ParameterName::Plain { code, .. } | ParameterName::Chain { code, .. } => code,
        ParameterName::Has { reference, .. } => reference,
    }
}

/// The types that a reference parameter can point at.
pub(super) fn targets<'v>(view: &'v View<'_>, parameter: &'v SearchParameter) -> Vec<&'v str> {
    match parameter.targets.as_slice() {
        [] => view.definitions.resource_types().collect(),
        targets => targets.iter().map(String::as_str).collect(),
    }
}

/// Whether pointing at a patient by this parameter places a resource in the patient's compartment, so that all
/// matches are found there. The compartment's definition lists either `patient` or `subject`, which find the
/// same patients.
pub(super) fn in_compartment(view: &View<'_>, resource_type: &str, code: &str) -> bool {
    let listed =
        view.definitions.compartment("Patient").map_or(&[][..], |compartment| compartment.parameters(resource_type));
    let lists = |code: &str| listed.iter().any(|known| known == code);
    if listed.is_empty() {
        return matches!(code, "patient" | "subject");
    }
    let parts = view.definitions.search().get(resource_type, code).map(stored_as).unwrap_or_default();
    lists(code) || (code == "subject" && lists("patient")) || parts.iter().all(|part| lists(part))
}
