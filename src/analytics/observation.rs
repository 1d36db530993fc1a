//! What a model sees of an Observation.

use crate::resource::{codings, number};
use crate::time;
use salus_fhir::json::Value;

/// One coded number of an Observation, or of one of its components.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureObservation {
    /// `Observation/[id]`; of a component, its Observation.
    pub reference: String,
    /// `(system, code)` of `code`; an absent system is empty.
    pub codes: Vec<(String, String)>,
    /// When it was true of the patient, in microseconds since 1970; of a period its end, since only
    /// then the value was known.
    pub effective: i64,
    /// The number, in the unit given.
    pub value: f64,
    /// UCUM code of the unit, or what was printed where there is no code; `None` where neither is.
    pub unit: Option<String>,
}

impl FeatureObservation {
    /// Every coded number of an Observation resource: its own `valueQuantity` or `valueInteger` and
    /// those of its components.
    ///
    /// Empty for what never happened or was taken back (`entered-in-error`, `cancelled`), for
    /// values that are absent (`dataAbsentReason`), and without an effective time. A `comparator`
    /// (`<5`) leaves the limit itself, which is what a laboratory's own limit of detection means.
    pub fn from_resource(observation: &Value<'_>) -> Vec<FeatureObservation> {
        let counts = !matches!(
            observation.get_str("status"),
            None | Some("entered-in-error" | "cancelled" | "registered")
        );
        let (true, Some(id), Some(effective)) =
            (counts, observation.get_str("id"), effective(observation))
        else {
            return Vec::new();
        };
        std::iter::once(observation)
            .chain(observation.items("component"))
            .filter_map(|part| coded_number(part, id, effective))
            .collect()
    }
}

fn coded_number(part: &Value<'_>, id: &str, effective: i64) -> Option<FeatureObservation> {
    if part.get("dataAbsentReason").is_some() {
        return None;
    }
    let (value, unit) = match part.get("valueQuantity") {
        Some(quantity) => (number(quantity, "value")?, unit(quantity)),
        None => (number(part, "valueInteger")?, None),
    };
    let codes: Vec<_> = codings(part.get("code")?)
        .map(|(system, code)| (system.to_owned(), code.to_owned()))
        .collect();
    (!codes.is_empty()).then(|| FeatureObservation {
        reference: format!("Observation/{id}"),
        codes,
        effective,
        value,
        unit,
    })
}

/// The unit's UCUM code; otherwise what is printed.
fn unit(quantity: &Value<'_>) -> Option<String> {
    let code = quantity.get_str("code");
    let printed = quantity.get_str("unit");
    let coded = quantity
        .get_str("system")
        .is_none_or(|system| system == crate::UCUM);
    code.filter(|_| coded).or(printed).map(str::to_owned)
}

fn effective(observation: &Value<'_>) -> Option<i64> {
    let written = observation
        .get_str("effectiveDateTime")
        .or_else(|| observation.get_str("effectiveInstant"))
        .or_else(|| {
            let period = observation.get("effectivePeriod")?;
            period.get_str("end").or_else(|| period.get_str("start"))
        })?;
    time::parse(written).ok()
}
