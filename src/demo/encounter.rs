//! Encounters.

use crate::clock::Moment;
use crate::datatypes::{ACT_CODE, Code, period, plain_concept, reference, snomed};
use crate::hospital::{ORGANIZATION, Place, attending};
use crate::json::{Json, list, object};
use crate::person::Person;

/// Seen in a clinic.
pub(crate) const CHECK_UP: Code = snomed("185349003", "Encounter for check up");
/// Seen for a known problem.
pub(crate) const FOLLOW_UP: Code = snomed("390906007", "Follow-up encounter");
/// Seen in the emergency department.
pub(crate) const EMERGENCY: Code = snomed("50849002", "Emergency room admission");
/// Admitted to hospital.
pub(crate) const ADMISSION: Code = snomed("32485007", "Hospital admission");
/// Admitted to intensive care.
pub(crate) const ICU_ADMISSION: Code = snomed("305351004", "Admission to intensive care unit");

/// An encounter before it is written.
pub(crate) struct Visit<'a> {
    pub(crate) person: &'a Person,
    /// Code of v3 ActCode.
    pub(crate) class: &'static str,
    pub(crate) kind: Option<Code>,
    pub(crate) start: Moment,
    pub(crate) end: Option<Moment>,
    /// Where, with the time there.
    pub(crate) places: Vec<(Place, Moment, Option<Moment>)>,
    /// The condition it was for.
    pub(crate) diagnosis: Option<String>,
    /// The encounter it is part of.
    pub(crate) part_of: Option<String>,
    /// Codes of how the patient came and left, for stays.
    pub(crate) admission: Option<(&'static str, Option<&'static str>)>,
}

impl Visit<'_> {
    /// The Encounter.
    pub(crate) fn resource(&self, id: String) -> Json {
        let doctor = attending(self.places.first().map_or(Place::Clinic, |p| p.0));
        object! {
            "resourceType": "Encounter",
            "id": id,
            "status": status(self.end),
            "class": object! {
                "system": ACT_CODE,
                "code": self.class,
                "display": match self.class {
                    "AMB" => "ambulatory",
                    "EMER" => "emergency",
                    "ACUTE" => "inpatient acute",
                    _ => "inpatient encounter",
                },
            },
            "type": self.kind.map(|kind| list![kind.concept()]),
            "subject": reference(self.person.reference()),
            "participant": list![object! {
                "type": list![plain_concept("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "ATND")],
                "individual": reference(doctor.reference()),
            }],
            "period": period(self.start, self.end),
            "diagnosis": self.diagnosis.clone().map(|condition| list![object! {
                "condition": reference(condition),
                "use": plain_concept("http://terminology.hl7.org/CodeSystem/diagnosis-role", "AD"),
                "rank": 1,
            }]),
            "hospitalization": self.hospitalization(),
            "location": self.places.iter().map(|(place, start, end)| object! {
                "location": reference(place.reference()),
                "status": if end.is_some() { "completed" } else { "active" },
                "period": period(*start, *end),
            }).collect::<Vec<_>>(),
            "serviceProvider": reference(ORGANIZATION),
            "partOf": self.part_of.clone().map(reference),
        }
    }

    fn hospitalization(&self) -> Json {
        let Some((source, left)) = self.admission else {
            return Json::Absent;
        };
        let disposition = "http://terminology.hl7.org/CodeSystem/discharge-disposition";
        object! {
            "admitSource": plain_concept("http://terminology.hl7.org/CodeSystem/admit-source", source),
            "dischargeDisposition": left.map(|code| plain_concept(disposition, code)),
        }
    }
}

fn status(end: Option<Moment>) -> &'static str {
    if end.is_some() { "finished" } else { "in-progress" }
}
