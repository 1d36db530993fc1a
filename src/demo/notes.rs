//! Clinical prose with what makes it hard to read for machines: negations, history, relatives,
//! doubt, and things that may yet happen.

use base64::Engine as _;

use crate::catalogue::acute::Illness;
use crate::chart::Chart;
use crate::clock::Moment;
use crate::datatypes::{Code, labelled, loinc, plain_concept, reference};
use crate::hospital::{ORGANIZATION, Staff, attending, psychiatrist};
use crate::json::{list, object};
use crate::measure::Measure;
use crate::observation::Setting;
use crate::person::Person;
use crate::physiology::Physiology;
use crate::rng::Rng;

const HISTORY_AND_PHYSICAL: Code = loinc("34117-2", "History and physical note");
const PROGRESS: Code = loinc("11506-3", "Progress note");
const DISCHARGE: Code = loinc("18842-5", "Discharge summary");
const EMERGENCY_NOTE: Code = loinc("34111-5", "Emergency department Note");
const PSYCHIATRY: Code = loinc("34788-0", "Psychiatry Consult note");

/// Relatives' illnesses.
const FAMILY: &[&str] = &[
    "Mother with breast cancer at 61. Father died of a myocardial infarction at 66.",
    "Father with type 2 diabetes. No family history of colon cancer.",
    "Sister with asthma. Mother had a stroke at 78. No family history of sudden death.",
    "Brother with hypertension. Family history negative for kidney disease.",
];

/// Doubt about something else.
const DOUBT: &[&str] = &[
    "Possible early heart failure cannot be excluded.",
    "Findings are suspicious for anemia of chronic disease.",
    "Questionable history of gout.",
    "Rule out deep vein thrombosis.",
];

/// What may happen.
const IF: &[&str] = &[
    "Return to the emergency department for chest pain, fainting or fever above 38.5 C.",
    "If shortness of breath worsens, obtain a chest X-ray to look for pneumonia.",
    "Should a rash develop, stop the antibiotic and call.",
    "Will consider dialysis if hyperkalemia recurs.",
];

fn write(
    chart: &mut Chart,
    setting: Setting<'_>,
    (code, author): (Code, &'static Staff),
    at: Moment,
    (text, sensitivity): (String, Option<&'static str>),
) {
    let size = text.len() as u32;
    chart.add("DocumentReference", |id| {
        object! {
            "resourceType": "DocumentReference",
            "id": id,
            "meta": labelled(sensitivity),
            "status": "current",
            "docStatus": "final",
            "type": code.concept(),
            "category": list![plain_concept(
                "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                "clinical-note",
            )],
            "subject": reference(setting.person.reference()),
            "date": at.date_time(),
            "author": list![reference(author.reference())],
            "custodian": reference(ORGANIZATION),
            "content": list![object! {
                "attachment": object! {
                    "contentType": "text/plain; charset=utf-8",
                    "language": "en-US",
                    "data": base64::engine::general_purpose::STANDARD.encode(&text),
                    "size": size,
                    "title": code.display,
                    "creation": at.date_time(),
                },
            }],
            "context": object! { "encounter": list![reference(setting.encounter)] },
        }
    });
}

fn listed<'a>(items: impl Iterator<Item = &'a str>, none: &str) -> String {
    let items: Vec<&str> = items.collect();
    match items.as_slice() {
        [] => none.to_owned(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn history(person: &Person) -> String {
    listed(person.open_problems().map(|p| p.name), "no chronic illness")
}

fn medications(person: &Person) -> String {
    let drugs = person.open_problems().flat_map(|p| p.drugs);
    let lines: Vec<String> = drugs.map(|d| format!("- {}: {}", d.name, d.sig)).collect();
    if lines.is_empty() { "None.".to_owned() } else { lines.join("\n") }
}

fn allergies(person: &Person) -> String {
    let names = person.allergies.iter().map(|a| a.name);
    listed(names, "No known drug allergies")
}

fn vital_signs(body: &Physiology) -> String {
    format!(
        "Temp {:.1} C, heart rate {:.0}, blood pressure {:.0}/{:.0}, respiratory rate {:.0}, oxygen saturation {:.0}%",
        body.read(Measure::Temperature),
        body.read(Measure::HeartRate),
        body.read(Measure::Systolic),
        body.read(Measure::Diastolic),
        body.read(Measure::RespiratoryRate),
        body.read(Measure::PulseOximetry),
    )
}

/// Age at a time, in years.
fn age(person: &Person, at: Moment) -> i64 {
    at.since(person.birth) / (365 * 24 * 60 + 6 * 60)
}

/// The note on admission.
pub(crate) fn admission(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &Illness,
    (body, at): (&Physiology, Moment),
    rng: &mut Rng,
) {
    let person = setting.person;
    let text = format!(
        "HISTORY AND PHYSICAL\n\nCHIEF COMPLAINT: {complaint}.\n\nHISTORY OF PRESENT ILLNESS: {given} {family} is a \
         {age}-year-old {noun} with a history of {history}, admitted with {illness}. Presented with {complaint}. \
         {ruled_out}.\n\nPAST MEDICAL HISTORY: {history}. No prior surgery of note.\n\nFAMILY HISTORY: {relatives}\n\n\
         MEDICATIONS:\n{medications}\n\nALLERGIES: {allergies}.\n\nPHYSICAL EXAM: {vitals}. No rash. No focal \
         neurologic deficit beyond what is stated above.\n\nLABORATORY DATA: White count {white:.1}, hematocrit \
         {hematocrit:.1}, platelets {platelets:.0}.\n\nASSESSMENT AND PLAN: {illness}. {doubt} {hypothetical}\n",
        complaint = illness.complaint,
        given = person.given,
        family = person.family,
        age = age(person, at),
        noun = person.noun(),
        history = history(person),
        illness = illness.name,
        ruled_out = illness.ruled_out,
        relatives = rng.pick(FAMILY),
        medications = medications(person),
        allergies = allergies(person),
        vitals = vital_signs(body),
        white = body.read(Measure::Leukocytes),
        hematocrit = body.read(Measure::Haematocrit),
        platelets = body.read(Measure::Platelets),
        doubt = rng.pick(DOUBT),
        hypothetical = rng.pick(IF),
    );
    let author = attending(setting.place);
    write(chart, setting, (HISTORY_AND_PHYSICAL, author), at, (text, None));
}

/// A note of a day in hospital.
pub(crate) fn daily(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &Illness,
    (body, at): (&Physiology, Moment),
    rng: &mut Rng,
) {
    let pressure = body.read(Measure::MeanPressure);
    let trend = if pressure < 65.0 {
        "Remains hypotensive and requires vasopressors. No improvement overnight."
    } else if body.read(Measure::HeartRate) > 105.0 {
        "Still tachycardic. No new complaints. Denies chest pain."
    } else {
        "Improving. No events overnight. Denies pain, nausea and shortness of breath."
    };
    let text = format!(
        "PROGRESS NOTE\n\nSUBJECTIVE: {trend}\n\nOBJECTIVE: {vitals}, mean pressure {pressure:.0}.\n\nASSESSMENT: \
         {illness}. History of {history}. No evidence of new infection.\n\nPLAN: Continue treatment. {hypothetical}\n",
        vitals = vital_signs(body),
        illness = illness.name,
        history = history(setting.person),
        hypothetical = rng.pick(IF),
    );
    let author = attending(setting.place);
    write(chart, setting, (PROGRESS, author), at, (text, None));
}

/// The summary at the end of a stay.
pub(crate) fn discharge(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &Illness,
    (at, died): (Moment, bool),
    rng: &mut Rng,
) {
    let course = if died {
        "Despite full treatment the patient deteriorated with multiple organ failure and died. The family was present."
    } else {
        "Recovered well. At discharge afebrile, walking without help, no oxygen requirement."
    };
    let text = format!(
        "DISCHARGE SUMMARY\n\nDIAGNOSIS: {illness}.\n\nHISTORY: {history}. {relatives}\n\nHOSPITAL COURSE: Presented \
         with {complaint}. {ruled_out}. {course}\n\nMEDICATIONS:\n{medications}\n\nALLERGIES: {allergies}.\n\n\
         FOLLOW-UP: {follow_up}\n",
        illness = illness.name,
        history = history(setting.person),
        relatives = rng.pick(FAMILY),
        complaint = illness.complaint,
        ruled_out = illness.ruled_out,
        medications = medications(setting.person),
        allergies = allergies(setting.person),
        follow_up = if died { "None." } else { rng.pick(IF) },
    );
    let author = attending(setting.place);
    write(chart, setting, (DISCHARGE, author), at, (text, None));
}

/// The note of the emergency department.
pub(crate) fn emergency(
    chart: &mut Chart,
    setting: Setting<'_>,
    illness: &Illness,
    (body, at): (&Physiology, Moment),
    rng: &mut Rng,
) {
    let text = format!(
        "EMERGENCY DEPARTMENT NOTE\n\n{age}-year-old {noun} with {complaint}. History of {history}. {ruled_out}.\n\n\
         VITAL SIGNS: {vitals}.\n\nIMPRESSION: {illness}.\n\nDISPOSITION: Discharged home. {hypothetical}\n",
        age = age(setting.person, at),
        noun = setting.person.noun(),
        complaint = illness.complaint,
        history = history(setting.person),
        ruled_out = illness.ruled_out,
        vitals = vital_signs(body),
        illness = illness.name,
        hypothetical = rng.pick(IF),
    );
    let author = attending(setting.place);
    write(chart, setting, (EMERGENCY_NOTE, author), at, (text, None));
}

/// The note of a clinic visit.
pub(crate) fn visit(chart: &mut Chart, setting: Setting<'_>, (body, at): (&Physiology, Moment), rng: &mut Rng) {
    let text = format!(
        "CLINIC NOTE\n\nSUBJECTIVE: {age}-year-old {noun} with {history}, here for follow-up. Feels well. Denies chest \
         pain, shortness of breath and dizziness. No falls.\n\nFAMILY HISTORY: {relatives}\n\nMEDICATIONS:\n\
         {medications}\n\nALLERGIES: {allergies}.\n\nOBJECTIVE: {vitals}. Lungs clear, no edema.\n\nASSESSMENT AND \
         PLAN: Stable. {doubt} {hypothetical}\n",
        age = age(setting.person, at),
        noun = setting.person.noun(),
        history = history(setting.person),
        relatives = rng.pick(FAMILY),
        medications = medications(setting.person),
        allergies = allergies(setting.person),
        vitals = vital_signs(body),
        doubt = rng.pick(DOUBT),
        hypothetical = rng.pick(IF),
    );
    let author = attending(setting.place);
    write(chart, setting, (PROGRESS, author), at, (text, None));
}

/// A restricted note about a sensitive problem, which no other note mentions.
pub(crate) fn sensitive(chart: &mut Chart, setting: Setting<'_>, at: Moment) {
    for problem in &setting.person.problems {
        let Some(why) = problem.sensitivity else {
            continue;
        };
        let drugs = listed(problem.drugs.iter().map(|d| d.name), "no medication");
        let text = format!(
            "CONFIDENTIAL NOTE\n\nSeen for {name}. Takes {drugs}. Reports steady progress. Denies suicidal thoughts. No \
             relapse since the last visit. Mother with depression.\n\nPLAN: Continue. If mood worsens, call the same day.\n",
            name = problem.name,
        );
        write(chart, setting, (PSYCHIATRY, psychiatrist()), at, (text, Some(why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_prose() {
        assert_eq!(listed(["a", "b", "c"].into_iter(), "none"), "a, b and c");
        assert_eq!(listed(["a"].into_iter(), "none"), "a");
        assert_eq!(listed(std::iter::empty(), "none"), "none");
    }
}
