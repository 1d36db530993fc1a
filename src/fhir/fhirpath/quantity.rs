//! Quantities: a decimal with a UCUM unit or one of the calendar's.
//!
//! Source: FHIRPath N1, sections 4.1.7, 6.1, 6.2 and 6.6; The Unified Code for Units of Measure.

use std::cmp::Ordering;
use std::fmt;

use octofhir_ucum::AdvancedConversionContext;
use rust_decimal::Decimal;

use super::temporal::CalendarUnit;
use crate::json::Value;

/// The system of UCUM units in a FHIR Quantity.
const UCUM: &str = "http://unitsofmeasure.org";

/// The longest unit that is looked at; UCUM's own are far shorter.
const MAX_UNIT: usize = 128;

/// A number with a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    /// How much.
    pub value: Decimal,
    /// Of what.
    pub unit: Unit,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// A UCUM code; `1` for a plain number.
    Ucum(String),
    /// A unit of the calendar, written as a word: `days`.
    Calendar(CalendarUnit),
    /// A unit that is not UCUM's, from a FHIR Quantity: equal to itself only.
    Other(String),
}

/// The calendar unit that a word names, singular or plural.
pub(super) fn calendar_unit(word: &str) -> Option<CalendarUnit> {
    use CalendarUnit::*;
    let units = [Year, Month, Week, Day, Hour, Minute, Second, Millisecond];
    let singular = word.strip_suffix('s').unwrap_or(word);
    units.into_iter().find(|unit| unit.name() == singular)
}

impl Quantity {
    pub(super) fn ucum(value: Decimal, unit: String) -> Self {
        Self { value, unit: Unit::Ucum(unit) }
    }

    pub(super) fn calendar(value: Decimal, unit: CalendarUnit) -> Self {
        Self { value, unit: Unit::Calendar(unit) }
    }

    /// A plain number.
    pub(super) fn number(value: Decimal) -> Self {
        Self::ucum(value, "1".to_owned())
    }

    /// A FHIR Quantity. None without a value, or with a comparator, which makes it no quantity.
    pub fn from_json(quantity: &Value<'_>) -> Option<Self> {
        if quantity.get("comparator").is_some() {
            return None;
        }
        let value = parse_decimal(quantity.get("value")?.as_number()?)?;
        let code = quantity.get_str("code").or(quantity.get_str("unit")).unwrap_or("1");
        let is_ucum = quantity.get_str("system").is_none_or(|system| system == UCUM);
        let unit = if is_ucum { Unit::Ucum(code.to_owned()) } else { Unit::Other(code.to_owned()) };
        Some(Self { value, unit })
    }

    /// Reads `4`, `4.0 'mg'` or `4 days`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.find(|c: char| !matches!(c, '0'..='9' | '.' | '+' | '-')).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let value = parse_decimal(number.strip_prefix('+').unwrap_or(number))?;
        let spaced = unit.starts_with(char::is_whitespace);
        let unit = unit.trim();
        if unit.is_empty() {
            return (!spaced).then(|| Self::number(value));
        }
        if let Some(code) = unit.strip_prefix('\'').and_then(|unit| unit.strip_suffix('\'')) {
            return (!code.is_empty() && !code.contains('\'')).then(|| Self::ucum(value, code.to_owned()));
        }
        Some(Self::calendar(value, calendar_unit(unit).filter(|_| spaced)?))
    }

    /// The UCUM code that says the same; None for years and months, whose length UCUM sets otherwise,
    /// and for units that are not UCUM's.
    fn code(&self) -> Option<&str> {
        match &self.unit {
            Unit::Ucum(code) => Some(code),
            Unit::Other(_) => None,
            Unit::Calendar(unit) => match unit {
                CalendarUnit::Year | CalendarUnit::Month => None,
                CalendarUnit::Week => Some("wk"),
                CalendarUnit::Day => Some("d"),
                CalendarUnit::Hour => Some("h"),
                CalendarUnit::Minute => Some("min"),
                CalendarUnit::Second => Some("s"),
                CalendarUnit::Millisecond => Some("ms"),
            },
        }
    }

    /// The unit of the calendar that a date can be moved by; None where there is none.
    pub(super) fn calendar_step(&self) -> Option<CalendarUnit> {
        match &self.unit {
            Unit::Calendar(unit) => Some(*unit),
            Unit::Other(_) => None,
            Unit::Ucum(code) => match code.as_str() {
                "wk" => Some(CalendarUnit::Week),
                "d" => Some(CalendarUnit::Day),
                "h" => Some(CalendarUnit::Hour),
                "min" => Some(CalendarUnit::Minute),
                "s" => Some(CalendarUnit::Second),
                "ms" => Some(CalendarUnit::Millisecond),
                word => calendar_unit(word),
            },
        }
    }

    /// The value of `other` in this one's unit; None where the units do not measure the same.
    pub fn converted(&self, other: &Self) -> Option<Decimal> {
        if self.unit == other.unit {
            return Some(other.value);
        }
        if let (Unit::Calendar(to), Unit::Calendar(from)) = (&self.unit, &other.unit) {
            match (from, to) {
                (CalendarUnit::Year, CalendarUnit::Month) => return other.value.checked_mul(Decimal::from(12)),
                (CalendarUnit::Month, CalendarUnit::Year) => return other.value.checked_div(Decimal::from(12)),
                _ => {}
            }
        }
        let (to, from) = (self.code()?, other.code()?);
        if to == from {
            return Some(other.value);
        }
        if to.len() > MAX_UNIT || from.len() > MAX_UNIT {
            return None;
        }
        let (factor, offset) = linear(from, to)?;
        if offset != "0" {
            return other.value.checked_mul(rounded(&factor)?)?.checked_add(rounded(&offset)?);
        }
        // Of a factor and its inverse the one with fewer digits is exact: 60 and not 1/60.
        let (inverse, _) = linear(to, from)?;
        if inverse.len() < factor.len() {
            return other.value.checked_div(rounded(&inverse)?);
        }
        other.value.checked_mul(rounded(&factor)?)
    }

    /// How the two compare; None where their units do not.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.value.cmp(&self.converted(other)?))
    }

    /// Whether the two are the same to the lesser precision of both.
    pub(super) fn equivalent(&self, other: &Self) -> bool {
        let calendar_alike = || match (&self.unit, &other.unit) {
            (Unit::Calendar(CalendarUnit::Year), Unit::Ucum(code))
            | (Unit::Ucum(code), Unit::Calendar(CalendarUnit::Year)) => code == "a",
            (Unit::Calendar(CalendarUnit::Month), Unit::Ucum(code))
            | (Unit::Ucum(code), Unit::Calendar(CalendarUnit::Month)) => code == "mo",
            _ => false,
        };
        let converted = self.converted(other).or_else(|| calendar_alike().then_some(other.value));
        converted.is_some_and(|converted| decimals_equivalent(self.value, converted))
    }

    /// Sum or difference, in this one's unit.
    pub(super) fn add(&self, other: &Self, negative: bool) -> Option<Self> {
        let converted = self.converted(other)?;
        let value = if negative { self.value.checked_sub(converted) } else { self.value.checked_add(converted) };
        Some(Self { value: value?, unit: self.unit.clone() })
    }

    /// Product or quotient, with the unit that follows.
    pub(super) fn multiply(&self, other: &Self, divide: bool) -> Option<Self> {
        let value = if divide { self.value.checked_div(other.value)? } else { self.value.checked_mul(other.value)? };
        let unit = match (self.code()?, other.code()?) {
            (unit, "1") => unit.to_owned(),
            (a, b) if divide && a == b => "1".to_owned(),
            (a, b) if divide => format!("({a})/({b})"),
            ("1", unit) => unit.to_owned(),
            (a, b) => format!("({a}).({b})"),
        };
        (unit.len() <= MAX_UNIT).then_some(Self { value, unit: Unit::Ucum(unit) })
    }
}

/// What a number in one unit is multiplied by, and what is added then, to have it in another.
fn linear(from: &str, to: &str) -> Option<(String, String)> {
    let context = AdvancedConversionContext::default();
    let conversion = octofhir_ucum::convert_with_context(1.0, from, to, &context).ok()?;
    let offset = conversion.offset.map_or_else(|| "0".to_owned(), |offset| offset.to_string());
    Some((conversion.factor?.to_string(), offset))
}

/// A decimal, rounded to what it can hold.
fn rounded(text: &str) -> Option<Decimal> {
    if text.contains('e') { Decimal::from_scientific(text).ok() } else { text.parse().ok() }
}

/// A decimal with its digits, exponents included; None where it has more than 28 of them.
pub(super) fn parse_decimal(text: &str) -> Option<Decimal> {
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).ok();
    }
    Decimal::from_str_exact(text).ok()
}

/// Whether two decimals are the same when both have the digits of the less precise one (N1, 6.1.2).
pub(super) fn decimals_equivalent(a: Decimal, b: Decimal) -> bool {
    let (a, b) = (a.normalize(), b.normalize());
    let places = a.scale().min(b.scale());
    let round =
        |value: Decimal| value.round_dp_with_strategy(places, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
    round(a) == round(b)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unit {
            Unit::Ucum(code) | Unit::Other(code) => write!(f, "{} '{code}'", self.value),
            Unit::Calendar(unit) => {
                let plural = if self.value == Decimal::ONE { "" } else { "s" };
                write!(f, "{} {}{plural}", self.value, unit.name())
            }
        }
    }
}
