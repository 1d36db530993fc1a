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
        let counts =
            !matches!(observation.get_str("status"), None | Some("entered-in-error" | "cancelled" | "registered"));
        let (true, Some(id), Some(effective)) = (counts, observation.get_str("id"), effective(observation)) else {
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
    let codes: Vec<_> = codings(part.get("code")?).map(|(system, code)| (system.to_owned(), code.to_owned())).collect();
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
    let coded = quantity.get_str("system").is_none_or(|system| system == crate::UCUM);
    code.filter(|_| coded).or(printed).map(str::to_owned)
}

fn effective(observation: &Value<'_>) -> Option<i64> {
    let written =
        observation.get_str("effectiveDateTime").or_else(|| observation.get_str("effectiveInstant")).or_else(|| {
            let period = observation.get("effectivePeriod")?;
            period.get_str("end").or_else(|| period.get_str("start"))
        })?;
    time::parse(written).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use salus_fhir::json::{Limits, parse};

    fn read(json: &str) -> Vec<FeatureObservation> {
        FeatureObservation::from_resource(&parse(json, &Limits::default()).unwrap())
    }

    fn heart_rate(extra: &str) -> Vec<FeatureObservation> {
        read(&format!(
            r#"{{"resourceType":"Observation","id":"o","code":{{"coding":[{{"system":"http://loinc.org","code":"8867-4"}}]}},{extra}}}"#
        ))
    }

    #[test]
    fn a_blood_pressure_panel_gives_its_components() {
        let found = read(
            r#"{"resourceType":"Observation","id":"bp","status":"final",
                "code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},
                "effectiveDateTime":"2026-01-01T00:00:00Z",
                "component":[
                  {"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
                   "valueQuantity":{"value":120,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
                  {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},
                   "dataAbsentReason":{"text":"not measured"}}]}"#,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].reference, "Observation/bp");
        assert_eq!(found[0].codes, [("http://loinc.org".to_owned(), "8480-6".to_owned())]);
        assert_eq!((found[0].value, found[0].unit.as_deref()), (120.0, Some("mm[Hg]")));
    }

    #[test]
    fn what_was_taken_back_or_has_no_time_or_value_does_not_count() {
        let value = r#""valueQuantity":{"value":80,"unit":"bpm"}"#;
        let when = r#""effectiveDateTime":"2026-01-01""#;
        assert_eq!(heart_rate(&format!(r#""status":"final",{when},{value}"#)).len(), 1);
        assert_eq!(heart_rate(&format!(r#""status":"preliminary",{when},{value}"#)).len(), 1);
        for extra in [
            format!(r#""status":"entered-in-error",{when},{value}"#),
            format!(r#""status":"cancelled",{when},{value}"#),
            format!(r#"{when},{value}"#),
            format!(r#""status":"final",{value}"#),
            format!(r#""status":"final","effectiveDateTime":"soon",{value}"#),
            format!(r#""status":"final",{when}"#),
            format!(r#""status":"final",{when},"valueString":"80""#),
            format!(r#""status":"final",{when},{value},"dataAbsentReason":{{"text":"error"}}"#),
        ] {
            assert!(heart_rate(&extra).is_empty(), "{extra}");
        }
    }

    #[test]
    fn the_end_of_a_period_is_when_the_value_was_known() {
        let found = heart_rate(
            r#""status":"final","valueInteger":80,"effectivePeriod":{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T01:00:00Z"}"#,
        );
        assert_eq!(found[0].effective, time::parse("2026-01-01T01:00:00Z").unwrap());
        assert_eq!(found[0].unit, None);
    }

    #[test]
    fn a_local_unit_code_gives_way_to_what_is_printed() {
        let found = heart_rate(
            r#""status":"final","effectiveDateTime":"2026-01-01","valueQuantity":{"value":80,"unit":"bpm","system":"http://example.org/units","code":"X7"}"#,
        );
        assert_eq!(found[0].unit.as_deref(), Some("bpm"));
    }
}
