//! What a model sees of an Observation.

use crate::resource::{codings, number};
use crate::time;
use salus_fhir::json::{JsonError, Limits, Value, Wanted, parse_part};

/// The members of an Observation that [`FeatureObservation::from_resource`] looks at.
const LOOKED_AT: Wanted = Wanted::Members(&[
    ("id", Wanted::All),
    ("status", Wanted::All),
    ("code", CONCEPT),
    ("effectiveDateTime", Wanted::All),
    ("effectiveInstant", Wanted::All),
    ("effectivePeriod", Wanted::Members(&[("start", Wanted::All), ("end", Wanted::All)])),
    ("valueQuantity", QUANTITY),
    ("valueInteger", Wanted::All),
    ("dataAbsentReason", PRESENCE),
    (
        "component",
        Wanted::Members(&[
            ("code", CONCEPT),
            ("valueQuantity", QUANTITY),
            ("valueInteger", Wanted::All),
            ("dataAbsentReason", PRESENCE),
        ]),
    ),
]);
const CONCEPT: Wanted =
    Wanted::Members(&[("coding", Wanted::Members(&[("system", Wanted::All), ("code", Wanted::All)]))]);
const QUANTITY: Wanted =
    Wanted::Members(&[("value", Wanted::All), ("unit", Wanted::All), ("system", Wanted::All), ("code", Wanted::All)]);
/// That it is there is enough.
const PRESENCE: Wanted = Wanted::Members(&[]);

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

    /// The same of the JSON text of an Observation that was parsed before, such as a stored one: of its many members
    /// only those that matter here are read.
    ///
    /// # Errors
    /// [`JsonError`] where it is no JSON after all.
    pub fn from_stored(text: &str) -> Result<Vec<FeatureObservation>, JsonError> {
        Ok(Self::from_resource(&parse_part(text, LOOKED_AT, &Limits::default())?))
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
    use proptest::prelude::*;
    use salus_fhir::json::{Object, parse};

    /// What is read of a resource, by both ways to read it.
    fn read(json: &str) -> Vec<FeatureObservation> {
        let found = FeatureObservation::from_resource(&parse(json, &Limits::default()).unwrap());
        assert_eq!(FeatureObservation::from_stored(json).unwrap(), found, "{json}");
        found
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

    /// Resources made of the members that matter, others, and members of the wrong kind, in any order.
    fn observation() -> impl Strategy<Value = Value<'static>> {
        let text = prop_oneof!["final", "cancelled", "8867-4", "/min", "2026-01-0[1-9]", "[a\"\\\\{} é]{0,4}"];
        let leaf = prop_oneof![
            4 => text.prop_map(Value::from),
            4 => (0..500_i64).prop_map(Value::from),
            1 => any::<bool>().prop_map(Value::from),
        ];
        let name = prop_oneof![
            "id|status|code|coding|system|value|unit|start|end|component",
            "effectiveDateTime|effectiveInstant|effectivePeriod|valueQuantity|valueInteger|dataAbsentReason",
            "text|category|referenceRange|note|_status|extension",
        ];
        let anything = leaf.prop_recursive(4, 30, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::vec((name.clone(), inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        });
        (prop::collection::vec(anything, 9), prop::collection::vec(any::<bool>(), 9)).prop_map(|(values, kept)| {
            let sound = parse(SOUND, &Limits::default()).unwrap().into_static();
            let members = sound.as_object().unwrap().iter().zip(values.into_iter().zip(kept));
            let members = members
                .map(|((name, value), (other, kept))| (name.to_owned(), if kept { value.clone() } else { other }));
            Value::Object(members.collect::<Object<'_>>())
        })
    }

    /// Nine members.
    const SOUND: &str = r#"{
        "note": [{"text": "a \"quoted\" {note}"}], "id": "o", "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4", "display": "x"}], "text": "y"},
        "effectiveDateTime": "2026-01-01", "referenceRange": [{"low": {"value": 60}}],
        "valueQuantity": {"value": 80.0, "unit": "bpm", "code": "/min"},
        "component": [{"code": {"coding": [{"code": "1"}]}, "valueInteger": 3}, {"dataAbsentReason": {"text": "z"}}],
        "effectivePeriod": {"end": "2026-01-02"}}"#;

    proptest! {
        #[test]
        fn a_stored_text_reads_as_the_resource_does(observation in observation()) {
            read(&observation.to_string());
        }
    }

    #[test]
    fn the_resource_that_the_property_starts_from_has_values() {
        assert_eq!(read(SOUND).len(), 2);
    }
}
