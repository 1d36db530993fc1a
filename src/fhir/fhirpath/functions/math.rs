//! Numbers: functions, precision, boundaries.
//!
//! Source: FHIRPath N1, section 5.7; 2.0.0 for boundaries and precision.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::super::ast::Call;
use super::super::evaluate::{Items, Outcome, Run, Scope, boolean, single};
use super::super::item::{Item, System};
use super::super::quantity::Quantity;
use super::{Function, argument, decimal, integer_argument, unfit, value};

/// The most digits after the point that a Decimal has.
const MAX_SCALE: i64 = 28;

/// Digits after the point that a boundary has unless said otherwise.
const BOUNDARY_SCALE: i64 = 8;

fn optional(value: Option<System<'_>>) -> Items<'_> {
    value.map(Item::System).into_iter().collect()
}

fn approximate(value: f64) -> Option<System<'static>> {
    Decimal::try_from(value).ok().map(|value| System::Decimal(value.normalize()))
}

pub(super) fn unary<'a>(_: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let Some(value) = value(&input, call.function)? else { return Ok(Vec::new()) };
    if let (Function::Abs, System::Quantity(quantity)) = (call.function, &value) {
        return Ok(single(System::Quantity(Quantity { value: quantity.value.abs(), unit: quantity.unit.clone() })));
    }
    let number = value.decimal().ok_or_else(|| unfit(call.function, value.type_name()))?;
    let whole = |number: Decimal| number.to_i64().map(System::Integer);
    let float = number.to_f64().unwrap_or(f64::NAN);
    Ok(optional(match call.function {
        Function::Abs => match value {
            System::Integer(number) => number.checked_abs().map(System::Integer),
            _ => Some(System::Decimal(number.abs())),
        },
        Function::Ceiling => whole(number.ceil()),
        Function::Floor => whole(number.floor()),
        Function::Truncate => whole(number.trunc()),
        Function::Exp => approximate(float.exp()),
        Function::Ln => approximate(float.ln()),
        _ => approximate(float.sqrt()),
    }))
}

/// `log` and `power`
pub(super) fn binary<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    let (Some(base), Some(other)) = (decimal(&input, call.function)?, decimal(&other, call.function)?) else {
        return Ok(Vec::new());
    };
    let (float, other_float) = (base.to_f64().unwrap_or(f64::NAN), other.to_f64().unwrap_or(f64::NAN));
    if call.function == Function::Log {
        return Ok(optional(approximate(float.log(other_float))));
    }
    let exact = other.to_u32().filter(|_| other.fract().is_zero()).and_then(|exponent| exact_power(base, exponent));
    let whole = matches!(value(&input, call.function)?, Some(System::Integer(_)));
    Ok(optional(match exact {
        Some(power) if whole => power.to_i64().map(System::Integer),
        Some(power) => Some(System::Decimal(power)),
        None => approximate(float.powf(other_float)),
    }))
}

fn exact_power(base: Decimal, exponent: u32) -> Option<Decimal> {
    (exponent <= 128).then(|| (0..exponent).try_fold(Decimal::ONE, |power, _| power.checked_mul(base)))?
}

pub(super) fn round<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    let places = integer_argument(run, call, 0, scope)?.unwrap_or(0);
    let places = u32::try_from(places).map_err(|_| unfit(call.function, "a negative precision"))?;
    let Some(number) = decimal(&input, call.function)? else { return Ok(Vec::new()) };
    let rounded = number.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero);
    Ok(single(System::Decimal(rounded)))
}

/// How many digits were written: after the point of a number, of a date or time in all.
pub(super) fn precision<'a>(_: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let Some(value) = value(&input, call.function)? else { return Ok(Vec::new()) };
    let digits = match &value {
        System::Temporal(value) => value.digits(),
        System::Integer(_) => 0,
        System::Decimal(number) => number.scale().into(),
        other => return Err(unfit(call.function, other.type_name())),
    };
    Ok(single(System::Integer(digits)))
}

/// `lowBoundary` and `highBoundary`
pub(super) fn boundary<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let digits = integer_argument(run, call, 0, scope)?;
    let high = call.function == Function::HighBoundary;
    let Some(value) = value(&input, call.function)? else { return Ok(Vec::new()) };
    let of_number = |number| number_boundary(number, high, digits.unwrap_or(BOUNDARY_SCALE));
    Ok(optional(match &value {
        System::Temporal(value) => value.boundary(high, digits).map(System::Temporal),
        System::Quantity(quantity) => {
            of_number(quantity.value).map(|value| System::Quantity(Quantity { value, unit: quantity.unit.clone() }))
        }
        other => {
            let number = other.decimal().ok_or_else(|| unfit(call.function, other.type_name()))?;
            of_number(number).map(System::Decimal)
        }
    }))
}

/// Half a unit of the last digit away, brought outwards to `digits` digits after the point.
fn number_boundary(number: Decimal, high: bool, digits: i64) -> Option<Decimal> {
    let scale = u32::try_from(digits).ok().filter(|_| digits <= MAX_SCALE)?;
    let half = Decimal::try_new(5, number.scale() + 1).ok()?;
    let edge = if high { number.checked_add(half)? } else { number.checked_sub(half)? };
    let outwards = if high { RoundingStrategy::ToPositiveInfinity } else { RoundingStrategy::ToNegativeInfinity };
    let mut edge = edge.round_dp_with_strategy(scale, outwards);
    edge.rescale(scale);
    Some(edge)
}

/// Whether two quantities measure the same.
pub(super) fn comparable<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let other = argument(run, call, 0, scope)?;
    let (Some(left), Some(right)) = (value(&input, call.function)?, value(&other, call.function)?) else {
        return Ok(Vec::new());
    };
    match (left.quantity(), right.quantity()) {
        (Some(left), Some(right)) => Ok(boolean(left.converted(&right).is_some())),
        _ => Err(unfit(call.function, left.type_name())),
    }
}
