//! Existence, filters, subsets, combination, navigation.
//!
//! Source: FHIRPath N1, sections 5.1 to 5.4, 5.8, 5.9, 7; 2.0.0 for `sort`.

use std::cmp::Ordering;

use super::super::ast::{Ast, Call};
use super::super::error::FhirPathError;
use super::super::evaluate::{Items, Outcome, Run, Scope, boolean, only, single, truth};
use super::super::item::{Item, System};
use super::super::operators::compare_values;
use super::{Function, argument, integer_argument, string_argument, unfit};

pub(super) fn empty<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(boolean(input.is_empty()))
}

pub(super) fn exists<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let Some(criteria) = call.arguments.first() else { return Ok(boolean(!input.is_empty())) };
    for (index, item) in input.iter().enumerate() {
        if truth(&run.eval_item(criteria, item, index, scope)?, "exists")? == Some(true) {
            return Ok(boolean(true));
        }
    }
    Ok(boolean(false))
}

pub(super) fn all<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    for (index, item) in input.iter().enumerate() {
        if truth(&run.eval_item(&call.arguments[0], item, index, scope)?, "all")? != Some(true) {
            return Ok(boolean(false));
        }
    }
    Ok(boolean(true))
}

/// `allTrue`, `anyTrue`, `allFalse`, `anyFalse`
pub(super) fn all_booleans<'a>(_: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let value = |item: &Item<'a>| match item.system() {
        Some(System::Boolean(value)) => Ok(value),
        _ => Err(unfit(call.function, &item.type_info().name)),
    };
    let values = input.iter().map(value).collect::<Result<Vec<bool>, _>>()?;
    Ok(boolean(match call.function {
        Function::AllTrue => values.iter().all(|value| *value),
        Function::AnyTrue => values.contains(&true),
        Function::AllFalse => !values.contains(&true),
        _ => values.contains(&false),
    }))
}

fn is_subset<'a>(run: &mut Run<'a, '_>, items: &Items<'a>, of: &Items<'a>) -> Result<bool, FhirPathError> {
    for item in items {
        if !run.holds(of, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn subset_of<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    is_subset(run, &input, &other).map(boolean)
}

pub(super) fn superset_of<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    is_subset(run, &other, &input).map(boolean)
}

pub(super) fn count<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(single(System::Integer(input.len() as i64)))
}

pub(super) fn distinct<'a>(run: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    run.distinct(input)
}

pub(super) fn is_distinct<'a>(run: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let count = input.len();
    Ok(boolean(run.distinct(input)?.len() == count))
}

pub(super) fn filter<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let mut out = Vec::new();
    for (index, item) in input.into_iter().enumerate() {
        if truth(&run.eval_item(&call.arguments[0], &item, index, scope)?, "where")? == Some(true) {
            out.push(item);
        }
    }
    Ok(out)
}

pub(super) fn select<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let mut out = Vec::new();
    for (index, item) in input.iter().enumerate() {
        let items = run.eval_item(&call.arguments[0], item, index, scope)?;
        run.charge(items.len())?;
        out.extend(items);
    }
    Ok(out)
}

/// Applies the projection to what it gave, until nothing new comes.
pub(super) fn repeat<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let (mut out, mut queue): (Items<'a>, _) = (Vec::new(), std::collections::VecDeque::from(input));
    while let Some(item) = queue.pop_front() {
        for found in run.eval_item(&call.arguments[0], &item, 0, scope)? {
            if !run.holds(&out, &found)? {
                out.push(found.clone());
                queue.push_back(found);
            }
        }
    }
    Ok(out)
}

pub(super) fn single_item<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    only(&input, "single")?;
    Ok(input)
}

pub(super) fn first<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(input.into_iter().take(1).collect())
}

pub(super) fn last<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(input.into_iter().next_back().into_iter().collect())
}

pub(super) fn tail<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(input.into_iter().skip(1).collect())
}

/// A count that is not below zero; None where the argument is empty.
fn amount<'a>(run: &mut Run<'a, '_>, call: &'a Call, scope: Scope<'a, '_>) -> Result<Option<usize>, FhirPathError> {
    let amount = integer_argument(run, call, 0, scope)?;
    Ok(amount.map(|amount| usize::try_from(amount).unwrap_or(0)))
}

pub(super) fn skip<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let amount = amount(run, call, scope)?.unwrap_or(0);
    Ok(input.into_iter().skip(amount).collect())
}

pub(super) fn take<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let amount = amount(run, call, scope)?.unwrap_or(0);
    Ok(input.into_iter().take(amount).collect())
}

pub(super) fn intersect<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    let mut out = Vec::new();
    for item in input {
        if run.holds(&other, &item)? {
            out.push(item);
        }
    }
    run.distinct(out)
}

pub(super) fn exclude<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    let mut out = Vec::new();
    for item in input {
        if !run.holds(&other, &item)? {
            out.push(item);
        }
    }
    Ok(out)
}

pub(super) fn union<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let all = combine(run, call, input, scope)?;
    run.distinct(all)
}

pub(super) fn combine<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    mut input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    input.extend(argument(run, call, 0, scope)?);
    run.charge(input.len())?;
    Ok(input)
}

pub(super) fn aggregate<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let mut total = argument(run, call, 1, scope)?;
    for (index, item) in input.iter().enumerate() {
        let this = std::slice::from_ref(item);
        total = run.eval(&call.arguments[0], Scope { this, index: Some(index), total: &total })?;
        run.charge(total.len())?;
    }
    Ok(total)
}

/// Sorts by keys, each ascending or, with a `-` before it, descending; without keys by the items.
pub(super) fn sort<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let mut keyed = Vec::with_capacity(input.len());
    for (index, item) in input.into_iter().enumerate() {
        let mut keys = Vec::new();
        for argument in &call.arguments {
            let (key, descending) = match argument {
                Ast::Negate(key) => (&**key, true),
                key => (key, false),
            };
            let items = run.eval_item(key, &item, index, scope)?;
            keys.push((only(&items, "sort")?.and_then(Item::system), descending));
        }
        if call.arguments.is_empty() {
            keys.push((item.system(), false));
        }
        keyed.push((keys, item));
    }
    run.charge(keyed.len() * 16)?;
    let mut fault = None;
    keyed.sort_by(|(a, _), (b, _)| {
        let orders = a.iter().zip(b).map(|((a, descending), (b, _))| {
            let (Some(a), Some(b)) = (a, b) else {
                // What has no key stands first, whatever the direction, as the suite has it.
                return a.is_some().cmp(&b.is_some());
            };
            let order = compare_values(a, b).unwrap_or_else(|error| {
                fault = Some(error);
                None
            });
            let order = order.unwrap_or(Ordering::Equal);
            if *descending { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    match fault {
        Some(fault) => Err(fault),
        None => Ok(keyed.into_iter().map(|(_, item)| item).collect()),
    }
}

pub(super) fn iif<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    only(&input, "iif")?;
    // An input that is no focus, as in `iif(…)`, leaves the one that is.
    let scope = if input.is_empty() { scope } else { Scope { this: &input, ..scope } };
    let criterion = argument(run, call, 0, scope)?;
    let is_boolean = matches!(criterion.first().map(Item::system), None | Some(Some(System::Boolean(_))));
    if run.env.is_strict() && !is_boolean {
        return Err(FhirPathError::semantic("the criterion of iif must be a boolean"));
    }
    let chosen = if truth(&criterion, "iif")? == Some(true) { 1 } else { 2 };
    argument(run, call, chosen, scope)
}

pub(super) fn not<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(boolean(truth(&input, "not")?.map(|value| !value)))
}

pub(super) fn children<'a>(run: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let mut out = Vec::new();
    for item in &input {
        if let Item::Node(node) = item {
            node.all_children(run.types, &mut out);
        }
    }
    run.charge(out.len())?;
    Ok(out)
}

pub(super) fn descendants<'a>(run: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let (mut out, mut level) = (Vec::new(), input);
    while !level.is_empty() {
        let mut next = Vec::new();
        for item in &level {
            if let Item::Node(node) = item {
                node.all_children(run.types, &mut next);
            }
        }
        run.charge(next.len())?;
        out.extend(next.iter().cloned());
        level = next;
    }
    Ok(out)
}

pub(super) fn trace<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let name = string_argument(run, call, 0, scope)?.unwrap_or_default();
    let mut shown = Vec::new();
    if let Some(projection) = call.arguments.get(1) {
        for (index, item) in input.iter().enumerate() {
            shown.extend(run.eval_item(projection, item, index, scope)?);
        }
    }
    if let Some(services) = run.env.services() {
        services.trace(&name, if call.arguments.len() > 1 { &shown } else { &input });
    }
    Ok(input)
}
