//! Types, conversion between them, and the clock.
//!
//! Source: FHIRPath N1, sections 5.5, 5.9.2, 6.3, 10.2.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::super::ast::Call;
use super::super::evaluate::{Items, Outcome, Run, Scope, boolean, only, single};
use super::super::item::{Item, System};
use super::super::quantity::{Quantity, Unit, calendar_unit, parse_decimal};
use super::super::temporal::{Temporal, TemporalKind};
use super::{Function, string_argument, value};

pub(super) fn is<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    call.type_name.as_ref().map_or(Ok(Vec::new()), |name| run.is(&input, name))
}

pub(super) fn cast<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, scope: Scope<'a, '_>) -> Outcome<'a> {
    only(&input, "as")?;
    of_type(run, call, input, scope)
}

pub(super) fn of_type<'a>(run: &mut Run<'a, '_>, call: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    call.type_name.as_ref().map_or(Ok(Vec::new()), |name| run.of_type(input, name))
}

pub(super) fn type_of<'a>(_: &mut Run<'a, '_>, _: &'a Call, input: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    Ok(input.iter().map(|item| Item::Type(item.type_info())).collect())
}

/// `toInteger()` and its kin.
pub(super) fn convert<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let unit = string_argument(run, call, 0, scope)?;
    let Some(value) = value(&input, call.function)? else { return Ok(Vec::new()) };
    Ok(converted(call.function, value, unit.as_deref()).map(Item::System).into_iter().collect())
}

/// `convertsToInteger()` and its kin.
pub(super) fn converts<'a>(
    run: &mut Run<'a, '_>,
    call: &'a Call,
    input: Items<'a>,
    scope: Scope<'a, '_>,
) -> Outcome<'a> {
    let target = match call.function {
        Function::ConvertsToBoolean => Function::ToBoolean,
        Function::ConvertsToInteger => Function::ToInteger,
        Function::ConvertsToDecimal => Function::ToDecimal,
        Function::ConvertsToDate => Function::ToDate,
        Function::ConvertsToDateTime => Function::ToDateTime,
        Function::ConvertsToTime => Function::ToTime,
        Function::ConvertsToQuantity => Function::ToQuantity,
        _ => Function::ToString,
    };
    let unit = string_argument(run, call, 0, scope)?;
    let Some(item) = only(&input, call.function.name())? else { return Ok(Vec::new()) };
    let converted = item.system().and_then(|value| converted(target, value, unit.as_deref()));
    Ok(boolean(converted.is_some()))
}

fn converted<'a>(target: Function, value: System<'a>, unit: Option<&str>) -> Option<System<'a>> {
    match target {
        Function::ToBoolean => to_boolean(&value).map(System::Boolean),
        Function::ToInteger => match &value {
            System::Boolean(value) => Some(System::Integer((*value).into())),
            System::Integer(number) => Some(System::Integer(*number)),
            System::String(text) => {
                let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
                let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                whole.then(|| text.parse().ok().map(System::Integer))?
            }
            _ => None,
        },
        Function::ToDecimal => match &value {
            System::Boolean(value) => Some(System::Decimal(Decimal::from(u8::from(*value)))),
            System::String(text) => number_text(text).map(System::Decimal),
            other => other.decimal().map(System::Decimal),
        },
        Function::ToString => Some(System::String(value.text())),
        Function::ToDate => temporal(&value, TemporalKind::Date).map(|value| System::Temporal(value.date())),
        Function::ToDateTime => temporal(&value, TemporalKind::Date).map(|value| System::Temporal(value.date_time())),
        Function::ToTime => temporal(&value, TemporalKind::Time).map(System::Temporal),
        _ => to_quantity(&value, unit).map(System::Quantity),
    }
}

fn to_boolean(value: &System<'_>) -> Option<bool> {
    match value {
        System::Boolean(value) => Some(*value),
        System::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "1" | "1.0" => Some(true),
            "false" | "f" | "no" | "n" | "0" | "0.0" => Some(false),
            _ => None,
        },
        other => match other.decimal()?.to_f64()? {
            1.0 => Some(true),
            0.0 => Some(false),
            _ => None,
        },
    }
}

/// `(\+|-)?\d+(\.\d+)?`
fn number_text(text: &str) -> Option<Decimal> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let valid = is_digits(whole) && is_digits(fraction);
    valid.then(|| parse_decimal(text.strip_prefix('+').unwrap_or(text)))?
}

fn temporal(value: &System<'_>, kind: TemporalKind) -> Option<Temporal> {
    match value {
        System::Temporal(value) => {
            ((value.kind == TemporalKind::Time) == (kind == TemporalKind::Time)).then_some(*value)
        }
        System::String(text) if kind == TemporalKind::Time => {
            Temporal::parse_time(text.strip_prefix('T').unwrap_or(text))
        }
        System::String(text) => Temporal::parse_date_time(text),
        _ => None,
    }
}

fn to_quantity(value: &System<'_>, unit: Option<&str>) -> Option<Quantity> {
    let quantity = match value {
        System::Boolean(value) => Quantity::number(Decimal::from(u8::from(*value))),
        System::String(text) => Quantity::parse(text)?,
        other => other.quantity()?.into_owned(),
    };
    let Some(unit) = unit else { return Some(quantity) };
    let target = match calendar_unit(unit) {
        Some(unit) => Quantity::calendar(Decimal::ONE, unit),
        None => Quantity { value: Decimal::ONE, unit: Unit::Ucum(unit.to_owned()) },
    };
    Some(Quantity { value: target.converted(&quantity)?, unit: target.unit })
}

/// `now()`, `today()`, `timeOfDay()`: one moment for the whole evaluation, in UTC.
pub(super) fn clock<'a>(run: &mut Run<'a, '_>, call: &'a Call, _: Items<'a>, _: Scope<'a, '_>) -> Outcome<'a> {
    let clock = || jiff::Timestamp::now().as_microsecond();
    let now = Temporal::from_micros(*run.now.get_or_insert_with(clock));
    Ok(single(System::Temporal(match call.function {
        Function::Now => now,
        Function::Today => now.date(),
        _ => now.time(),
    })))
}
