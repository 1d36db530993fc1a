//! Which time a model looks at.
//!
//! The rule of the contract: the first hours of the ICU stay that holds the moment asked about;
//! without such a stay, the hours before that moment, and the answer says that the patient is
//! outside the population the model was made for. A value later than the moment asked about never
//! counts, so an answer for a past moment is what would have been said then.

use crate::description::{Anchor, WindowRule};
use crate::resource;
use crate::time::{self, HOUR};
use salus_fhir::json::Value;
use std::collections::HashSet;

/// SNOMED CT "Admission to intensive care unit (procedure)".
pub const ICU_ADMISSION: &str = "305351004";

/// Encounter statuses that say that the patient was (or is) there.
const PRESENT: &[&str] = &["arrived", "triaged", "in-progress", "onleave", "finished", "unknown"];

/// A stay in an intensive care unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// `Encounter/[id]`.
    pub reference: String,
    /// Microseconds since 1970.
    pub start: i64,
    /// Microseconds since 1970, not before `start`; `None` while it lasts.
    pub end: Option<i64>,
}

impl Stay {
    /// The ICU stays that an Encounter records: the encounter itself where its class is `ACUTE` or
    /// a type is SNOMED CT 305351004, otherwise each of its locations that is in `icu_locations`
    /// (references to Locations of type ICU), with the location's own period where it has one.
    /// Empty for encounters that did not take place, or without a start.
    pub fn from_encounter(encounter: &Value<'_>, icu_locations: &HashSet<String>) -> Vec<Stay> {
        let (Some(id), Some(status)) = (encounter.get_str("id"), encounter.get_str("status")) else {
            return Vec::new();
        };
        if !PRESENT.contains(&status) {
            return Vec::new();
        }
        let reference = format!("Encounter/{id}");
        let own = period(encounter);
        if is_icu(encounter) {
            return own.map(|(start, end)| Stay { reference, start, end }).into_iter().collect();
        }
        encounter
            .items("location")
            .iter()
            .filter(|part| {
                part.get("location")
                    .and_then(|location| location.get_str("reference"))
                    .is_some_and(|reference| icu_locations.contains(reference))
            })
            .filter_map(|part| period(part).or(own))
            .map(|(start, end)| Stay { reference: reference.clone(), start, end })
            .collect()
    }
}

fn is_icu(encounter: &Value<'_>) -> bool {
    let acute = encounter.get("class").is_some_and(|class| {
        class.get_str("code") == Some("ACUTE")
            && class.get_str("system").is_none_or(|system| system == "http://terminology.hl7.org/CodeSystem/v3-ActCode")
    });
    acute
        || encounter
            .items("type")
            .iter()
            .flat_map(resource::codings)
            .any(|(system, code)| code == ICU_ADMISSION && system == "http://snomed.info/sct")
}

fn period(parent: &Value<'_>) -> Option<(i64, Option<i64>)> {
    let period = parent.get("period")?;
    let start = time::parse(period.get_str("start")?).ok()?;
    let end = period.get_str("end").and_then(|end| time::parse_end(end).ok());
    end.is_none_or(|end| end >= start).then_some((start, end))
}

/// The time that a prediction looks at, both ends included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Microseconds since 1970.
    pub start: i64,
    /// Microseconds since 1970; never later than `as_of`.
    pub end: i64,
    /// The moment asked about.
    pub as_of: i64,
    /// The ICU stay it was taken from, as `Encounter/[id]`.
    pub encounter: Option<String>,
    /// Whether the model needs an ICU stay and none held the moment asked about.
    pub outside_population: bool,
}

impl Window {
    /// The window of a rule at a moment. Of several stays that hold the moment, the one that began
    /// last counts.
    pub fn choose(rule: &WindowRule, stays: &[Stay], as_of: i64) -> Window {
        let length = i64::from(rule.hours) * HOUR;
        let before = |outside_population| Window {
            start: as_of.saturating_sub(length),
            end: as_of,
            as_of,
            encounter: None,
            outside_population,
        };
        if rule.anchor == Anchor::AsOf {
            return before(false);
        }
        let holds = |stay: &&Stay| stay.start <= as_of && stay.end.is_none_or(|end| as_of <= end);
        match stays.iter().filter(holds).max_by_key(|stay| (stay.start, &stay.reference)) {
            None => before(true),
            Some(stay) => Window {
                start: stay.start,
                end: stay.start.saturating_add(length).min(as_of),
                as_of,
                encounter: Some(stay.reference.clone()),
                outside_population: false,
            },
        }
    }

    /// Whether an instant lies inside.
    pub fn holds(&self, instant: i64) -> bool {
        (self.start..=self.end).contains(&instant)
    }

    /// A window wide enough for any stay, for a first query: everything up to the moment asked
    /// about.
    pub fn everything_until(as_of: i64) -> Window {
        Window { start: i64::MIN, end: as_of, as_of, encounter: None, outside_population: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use salus_fhir::json::{Limits, parse};

    const RULE: WindowRule = WindowRule { anchor: Anchor::IcuStay, hours: 48 };

    fn at(text: &str) -> i64 {
        time::parse(text).unwrap()
    }

    fn stay(reference: &str, start: &str, end: Option<&str>) -> Stay {
        Stay { reference: reference.into(), start: at(start), end: end.map(at) }
    }

    #[test]
    fn the_window_rule_of_the_contract() {
        let stays = [
            stay("Encounter/a", "2026-01-01T00:00:00Z", Some("2026-01-10T00:00:00Z")),
            stay("Encounter/b", "2026-02-01T00:00:00Z", None),
        ];
        // as-of, start, end, encounter
        for (as_of, start, end, encounter) in [
            ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", Some("Encounter/a")),
            ("2026-01-01T12:00:00Z", "2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z", Some("Encounter/a")),
            ("2026-01-05T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", Some("Encounter/a")),
            ("2026-01-10T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", Some("Encounter/a")),
            ("2026-01-10T00:00:01Z", "2026-01-08T00:00:01Z", "2026-01-10T00:00:01Z", None),
            ("2025-12-31T00:00:00Z", "2025-12-29T00:00:00Z", "2025-12-31T00:00:00Z", None),
            ("2027-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-02-03T00:00:00Z", Some("Encounter/b")),
        ] {
            let window = Window::choose(&RULE, &stays, at(as_of));
            assert_eq!((window.start, window.end), (at(start), at(end)), "{as_of}");
            assert_eq!(window.encounter.as_deref(), encounter, "{as_of}");
            assert_eq!(window.outside_population, encounter.is_none(), "{as_of}");
        }
    }

    #[test]
    fn of_stays_that_overlap_the_one_that_began_last_counts() {
        let stays = [
            stay("Encounter/outer", "2026-01-01T00:00:00Z", None),
            stay("Encounter/inner", "2026-01-04T00:00:00Z", Some("2026-01-06T00:00:00Z")),
        ];
        let window = |as_of| Window::choose(&RULE, &stays, at(as_of)).encounter.unwrap();
        assert_eq!(window("2026-01-05T00:00:00Z"), "Encounter/inner");
        assert_eq!(window("2026-01-07T00:00:00Z"), "Encounter/outer");
    }

    #[test]
    fn a_rule_without_a_stay_looks_back() {
        let rule = WindowRule { anchor: Anchor::AsOf, hours: 6 };
        let window = Window::choose(&rule, &[], at("2026-01-01T06:00:00Z"));
        assert_eq!(window.start, at("2026-01-01T00:00:00Z"));
        assert!(!window.outside_population);
    }

    fn stays(json: &str) -> Vec<Stay> {
        let encounter = parse(json, &Limits::default()).unwrap();
        Stay::from_encounter(&encounter, &HashSet::from(["Location/icu".to_owned()]))
    }

    #[test]
    fn icu_stays_are_known_by_class_type_or_location() {
        let period = r#""period":{"start":"2026-01-01T00:00:00Z"}"#;
        for (what, holds) in [
            (r#""class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"ACUTE"}"#, true),
            (r#""class":{"system":"http://example.org","code":"ACUTE"}"#, false),
            (r#""class":{"code":"IMP"}"#, false),
            (r#""type":[{"coding":[{"system":"http://snomed.info/sct","code":"305351004"}]}]"#, true),
            (r#""type":[{"coding":[{"system":"http://loinc.org","code":"305351004"}]}]"#, false),
            (r#""location":[{"location":{"reference":"Location/icu"}}]"#, true),
            (r#""location":[{"location":{"reference":"Location/ward"}}]"#, false),
        ] {
            let json = format!(r#"{{"resourceType":"Encounter","id":"e","status":"in-progress",{what},{period}}}"#);
            assert_eq!(!stays(&json).is_empty(), holds, "{what}");
        }
    }

    #[test]
    fn a_location_has_its_own_period() {
        let found = stays(
            r#"{"resourceType":"Encounter","id":"e","status":"finished",
                "period":{"start":"2026-01-01","end":"2026-01-20"},
                "location":[{"location":{"reference":"Location/ward"}},
                            {"location":{"reference":"Location/icu"},"period":{"start":"2026-01-02","end":"2026-01-03"}}]}"#,
        );
        // A day's end is its last microsecond.
        assert_eq!(
            found,
            [Stay { reference: "Encounter/e".into(), start: at("2026-01-02"), end: Some(at("2026-01-04") - 1) }]
        );
    }

    #[test]
    fn what_did_not_take_place_is_no_stay() {
        for status in ["planned", "cancelled", "entered-in-error"] {
            let json = format!(
                r#"{{"resourceType":"Encounter","id":"e","status":"{status}","class":{{"code":"ACUTE"}},"period":{{"start":"2026-01-01"}}}}"#
            );
            assert!(stays(&json).is_empty(), "{status}");
        }
        for period in [r#"{}"#, r#"{"end":"2026-01-01"}"#, r#"{"start":"2026-01-02","end":"2026-01-01"}"#] {
            let json = format!(
                r#"{{"resourceType":"Encounter","id":"e","status":"finished","class":{{"code":"ACUTE"}},"period":{period}}}"#
            );
            assert!(stays(&json).is_empty(), "{period}");
        }
    }
}
