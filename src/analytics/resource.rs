//! Small readings of parsed resources that several modules need.

use salus_fhir::json::Value;

/// A finite number member of an object.
pub(crate) fn number(value: &Value<'_>, name: &str) -> Option<f64> {
    value.get(name)?.as_f64().filter(|number| number.is_finite())
}

/// The `(system, code)` pairs of a CodeableConcept; an absent system is empty.
pub(crate) fn codings<'v>(concept: &'v Value<'_>) -> impl Iterator<Item = (&'v str, &'v str)> {
    concept
        .items("coding")
        .iter()
        .filter_map(|coding| Some((coding.get_str("system").unwrap_or(""), coding.get_str("code")?)))
}
