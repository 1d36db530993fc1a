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
const PRESENT: &[&str] = &[
    "arrived",
    "triaged",
    "in-progress",
    "onleave",
    "finished",
    "unknown",
];

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
        let (Some(id), Some(status)) = (encounter.get_str("id"), encounter.get_str("status"))
        else {
            return Vec::new();
        };
        if !PRESENT.contains(&status) {
            return Vec::new();
        }
        let reference = format!("Encounter/{id}");
        let own = period(encounter);
        if is_icu(encounter) {
            return own
                .map(|(start, end)| Stay {
                    reference,
                    start,
                    end,
                })
                .into_iter()
                .collect();
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
            .map(|(start, end)| Stay {
                reference: reference.clone(),
                start,
                end,
            })
            .collect()
    }
}

fn is_icu(encounter: &Value<'_>) -> bool {
    let acute = encounter.get("class").is_some_and(|class| {
        class.get_str("code") == Some("ACUTE")
            && class
                .get_str("system")
                .is_none_or(|system| system == "http://terminology.hl7.org/CodeSystem/v3-ActCode")
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
    let end = period
        .get_str("end")
        .and_then(|end| time::parse_end(end).ok());
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
        match stays
            .iter()
            .filter(holds)
            .max_by_key(|stay| (stay.start, &stay.reference))
        {
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
        Window {
            start: i64::MIN,
            end: as_of,
            as_of,
            encounter: None,
            outside_population: false,
        }
    }
}
