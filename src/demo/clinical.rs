//! Conditions, orders, allergies, immunizations and procedures.

use crate::catalogue::acute::Illness;
use crate::catalogue::problems::{Allergy, Drug, Problem};
use crate::chart::{Chart, category};
use crate::clock::Moment;
use crate::datatypes::{Code, labelled, period, plain_concept, reference};
use crate::hospital::{ORGANIZATION, Place, Staff, attending, psychiatrist};
use crate::json::{Json, list, object};
use crate::observation::Setting;
use crate::person::Person;

const CONDITION_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/condition-category";
const CLINICAL: &str = "http://terminology.hl7.org/CodeSystem/condition-clinical";
const VERIFICATION: &str = "http://terminology.hl7.org/CodeSystem/condition-ver-status";
const ORDER_CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/medicationrequest-category";

/// Both codings of a diagnosis.
fn diagnosis(code: Code, icd: Code) -> Json {
    object! { "coding": list![code.coding(), icd.coding()], "text": code.display }
}

/// Writes a long-standing problem and what is taken for it; the dead take nothing any more.
pub(crate) fn problem(chart: &mut Chart, person: &Person, problem: &Problem, (onset, alive): (Moment, bool)) {
    let doctor = if problem.sensitivity.is_some() { psychiatrist() } else { attending(Place::Clinic) };
    let condition = chart.add("Condition", |id| {
        object! {
            "resourceType": "Condition",
            "id": id,
            "meta": labelled(problem.sensitivity),
            "clinicalStatus": plain_concept(CLINICAL, "active"),
            "verificationStatus": plain_concept(VERIFICATION, "confirmed"),
            "category": category(CONDITION_CATEGORY, "problem-list-item"),
            "code": diagnosis(problem.code, problem.icd),
            "subject": reference(person.reference()),
            "onsetDateTime": onset.date(),
            "recordedDate": onset.date(),
            "asserter": reference(doctor.reference()),
        }
    });
    for drug in problem.drugs {
        let order = Order {
            drug,
            status: if alive { "active" } else { "stopped" },
            setting: "community",
            written: onset,
            encounter: None,
            reason: &condition,
            doctor,
            sensitivity: problem.sensitivity,
        };
        order.write(chart, person);
    }
}

/// A medication order.
struct Order<'a> {
    drug: &'static Drug,
    status: &'static str,
    setting: &'static str,
    written: Moment,
    encounter: Option<&'a str>,
    reason: &'a str,
    doctor: &'static Staff,
    sensitivity: Option<&'static str>,
}

impl Order<'_> {
    fn write(self, chart: &mut Chart, person: &Person) {
        chart.add("MedicationRequest", |id| {
            object! {
                "resourceType": "MedicationRequest",
                "id": id,
                "meta": labelled(self.sensitivity),
                "status": self.status,
                "intent": "order",
                "category": category(ORDER_CATEGORY, self.setting),
                "medicationCodeableConcept": self.drug.code.concept(),
                "subject": reference(person.reference()),
                "encounter": self.encounter.map(reference),
                "authoredOn": self.written.date_time(),
                "requester": reference(self.doctor.reference()),
                "reasonReference": list![reference(self.reason)],
                "dosageInstruction": list![dosage(self.drug)],
            }
        });
    }
}

fn dosage(drug: &Drug) -> Json {
    let timing = (drug.per_day > 0).then(|| {
        object! { "repeat": object! { "frequency": drug.per_day, "period": 1, "periodUnit": "d" } }
    });
    object! {
        "sequence": 1,
        "text": drug.sig,
        "timing": timing,
        "asNeededBoolean": drug.sig.contains("as needed").then_some(true),
        "route": drug.route.concept(),
    }
}

/// Writes what an illness is, as the diagnosis of an encounter; resolved when it has an end.
pub(crate) fn illness(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &Illness,
    onset: Moment,
    resolved: Option<Moment>,
) -> String {
    let status = if resolved.is_some() { "resolved" } else { "active" };
    chart.add("Condition", |id| {
        object! {
            "resourceType": "Condition",
            "id": id,
            "clinicalStatus": plain_concept(CLINICAL, status),
            "verificationStatus": plain_concept(VERIFICATION, "confirmed"),
            "category": category(CONDITION_CATEGORY, "encounter-diagnosis"),
            "code": diagnosis(illness.code, illness.icd),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "onsetDateTime": onset.date_time(),
            "abatementDateTime": resolved.map(Moment::date_time),
            "recordedDate": onset.date_time(),
            "asserter": reference(attending(setting.place).reference()),
        }
    })
}

/// Writes the drugs that an illness is treated with.
pub(crate) fn treatment(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &'static Illness,
    (condition, at, over): (&str, Moment, bool),
) {
    for drug in illness.drugs {
        let order = Order {
            drug,
            status: if over { "completed" } else { "active" },
            setting: match setting.place {
                Place::Emergency | Place::Clinic => "outpatient",
                _ => "inpatient",
            },
            written: at,
            encounter: Some(setting.encounter),
            reason: condition,
            doctor: attending(setting.place),
            sensitivity: None,
        };
        order.write(chart, setting.person);
    }
}

/// Writes an allergy.
pub(crate) fn allergy(chart: &mut Chart, person: &Person, allergy: &Allergy, recorded: Moment) {
    let system = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical";
    let verification = "http://terminology.hl7.org/CodeSystem/allergyintolerance-verification";
    chart.add("AllergyIntolerance", |id| {
        object! {
            "resourceType": "AllergyIntolerance",
            "id": id,
            "clinicalStatus": plain_concept(system, "active"),
            "verificationStatus": plain_concept(verification, "confirmed"),
            "type": "allergy",
            "category": list![allergy.category],
            "criticality": allergy.criticality,
            "code": allergy.substance.concept(),
            "patient": reference(person.reference()),
            "recordedDate": recorded.date(),
            "recorder": reference(attending(Place::Clinic).reference()),
            "reaction": list![object! {
                "manifestation": list![allergy.reaction.concept()],
                "severity": allergy.severity,
            }],
        }
    });
}

/// Writes an immunization given at a visit.
pub(crate) fn immunization(chart: &mut Chart, setting: Setting<'_>, vaccine: Code, at: Moment) {
    chart.add("Immunization", |id| {
        object! {
            "resourceType": "Immunization",
            "id": id,
            "status": "completed",
            "vaccineCode": vaccine.concept(),
            "patient": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "occurrenceDateTime": at.date_time(),
            "primarySource": true,
            "location": reference(setting.place.reference()),
            "performer": list![object! { "actor": reference(attending(setting.place).reference()) }],
        }
    });
}

/// Writes a procedure; without an end it is still going on.
pub(crate) fn procedure(
    chart: &mut Chart,
    setting: Setting<'_>,
    code: Code,
    (start, end): (Moment, Option<Moment>),
    reason: Option<&str>,
) {
    chart.add("Procedure", |id| {
        object! {
            "resourceType": "Procedure",
            "id": id,
            "status": if end.is_some() { "completed" } else { "in-progress" },
            "code": code.concept(),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "performedPeriod": period(start, end),
            "performer": list![object! {
                "actor": reference(attending(setting.place).reference()),
                "onBehalfOf": reference(ORGANIZATION),
            }],
            "location": reference(setting.place.reference()),
            "reasonReference": reason.map(|r| list![reference(r)]),
        }
    });
}
