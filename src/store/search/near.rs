//! `near`: Locations by true distance (R4 location.html#positional).

use salus_fhir::search::SearchError;
use salus_fhir::search::query::{Modifier, split_unescaped};

use super::compile::{each, invalid};
use super::condition::Condition;
use super::start::Clause;
use crate::Result;

/// How near is near where the search does not say, in metres.
const NEAR: f64 = 50_000.0;
/// Units of distance, by UCUM code, in metres.
const UNITS: [(&str, f64); 6] = [
    ("m", 1.0),
    ("km", 1_000.0),
    ("cm", 0.01),
    ("[mi_i]", 1_609.344),
    ("[mi_us]", 1_609.347_219),
    ("[nmi_i]", 1_852.0),
];

/// The clause of `near`: `latitude|longitude|distance|units`.
pub(super) fn near(code: &str, modifier: Option<&Modifier>, value: &str) -> Result<Clause> {
    if modifier.is_some() {
        return Err(invalid(code, "this parameter takes no such modifier"));
    }
    let any = each(code, value, place)?;
    Ok(Clause::filter(Condition::Any(any)))
}

fn place(text: &str) -> std::result::Result<Condition, SearchError> {
    let wrong = || SearchError::Value { value: text.to_owned(), expected: "latitude|longitude|distance|units" };
    let mut parts = split_unescaped(text, '|');
    let mut number = |most: f64| match parts.next().map(str::parse::<f64>) {
        Some(Ok(number)) if number.abs() <= most => Ok(number),
        _ => Err(wrong()),
    };
    let (latitude, longitude) = (number(90.0)?, number(180.0)?);
    let distance = match parts.next().filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<f64>().ok().filter(|it| it.is_finite() && *it >= 0.0).ok_or_else(wrong)?),
    };
    let unit = parts.next().filter(|unit| !unit.is_empty()).unwrap_or("km");
    let (_, metres) = UNITS.iter().find(|(known, _)| *known == unit).ok_or_else(wrong)?;
    match parts.next() {
        Some(_) => Err(wrong()),
        None => Ok(Condition::Near { latitude, longitude, metres: distance.map_or(NEAR, |it| it * metres) }),
    }
}
