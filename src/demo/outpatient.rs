//! Clinic visits and visits to the emergency department.

use crate::catalogue::acute::Illness;
use crate::catalogue::problems::{DIABETES, PROBLEMS};
use crate::catalogue::services::{INFLUENZA, PROCEDURES, VACCINES};
use crate::chart::Chart;
use crate::clinical;
use crate::clock::{HOUR, Moment};
use crate::datatypes::{loinc, quantity, snomed};
use crate::encounter::{CHECK_UP, EMERGENCY, FOLLOW_UP, Visit};
use crate::hospital::Place;
use crate::laboratory::{self, Panel};
use crate::measure::Measure;
use crate::notes;
use crate::observation::{Setting, record_code, record_quantity};
use crate::person::Person;
use crate::physiology::{Axes, Physiology};
use crate::rng::{Rng, Topic};
use crate::vitals::{self, Round};

/// Streams of one occasion.
fn streams(seed: u64, person: &Person, at: Moment) -> (Physiology, Rng) {
    let stream = person.number ^ ((at.0 as usize) << 20);
    let physiology = Rng::stream(seed, stream, Topic::Physiology);
    let mut body = Physiology::new(person.own, at.plus(-HOUR), physiology);
    body.live(at, &Axes::NONE, |_| 0.0);
    (body, Rng::stream(seed, stream, Topic::Faults))
}

/// Writes visit `index` to the clinic.
pub(crate) fn visit(chart: &mut Chart, seed: u64, person: &Person, at: Moment, index: usize) {
    let (body, mut rng) = streams(seed, person, at);
    let rng = &mut rng;
    let end = at.plus(30);
    let encounter = Visit {
        person,
        class: "AMB",
        kind: Some(if index == 0 { CHECK_UP } else { FOLLOW_UP }),
        start: at,
        end: Some(end),
        places: vec![(Place::Clinic, at, Some(end))],
        diagnosis: None,
        part_of: None,
        admission: None,
    };
    let encounter = chart.add("Encounter", |id| encounter.resource(id));
    let setting = Setting { person, encounter: &encounter, place: Place::Clinic };
    vitals::take(chart, setting, Round::Ward, (&body, at.plus(5)), rng);
    vitals::take(chart, setting, Round::Scale, (&body, at.plus(5)), rng);
    if index == 0 {
        first_visit(chart, setting, at, rng);
    }
    if index.is_multiple_of(2) {
        draws(chart, setting, (&body, at.plus(20)), rng);
    }
    prevention(chart, setting, (at.plus(25), index), rng);
    notes::visit(chart, setting, (&body, end), rng);
    if index < 2 {
        notes::sensitive(chart, setting, end);
    }
}

fn first_visit(chart: &mut Chart, setting: Setting<'_>, at: Moment, rng: &mut Rng) {
    let height = quantity(setting.person.height, 1, "cm", "cm");
    let code = (loinc("8302-2", "Body height"), "vital-signs");
    record_quantity(chart, setting, code, height, at.plus(5));
    let smoking = rng.pick(&[
        snomed("266919005", "Never smoker"),
        snomed("266919005", "Never smoker"),
        snomed("8517006", "Former smoker"),
        snomed("449868002", "Current every day smoker"),
    ]);
    let code = (loinc("72166-2", "Tobacco smoking status"), "social-history");
    record_code(chart, setting, code, smoking, at.plus(5));
}

fn draws(chart: &mut Chart, setting: Setting<'_>, (body, at): (&Physiology, Moment), rng: &mut Rng) {
    laboratory::draw(chart, setting, Panel::Metabolic, (body, at), (false, rng));
    if rng.chance(0.5) {
        laboratory::draw(chart, setting, Panel::BloodCount, (body, at), (false, rng));
    }
    let diabetic = setting.person.problems.iter().any(|p| std::ptr::eq(*p, &PROBLEMS[DIABETES]));
    if diabetic {
        // The average glucose that a haemoglobin A1c stands for (ADAG: 28.7 a1c - 46.7).
        let a1c = (setting.person.own[Measure::Glucose as usize] + 46.7) / 28.7;
        let value = quantity(a1c + 0.25 * rng.normal(), 1, "%", "%");
        let code = loinc("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood");
        record_quantity(chart, setting, (code, "laboratory"), value, at);
    }
}

fn prevention(chart: &mut Chart, setting: Setting<'_>, (at, index): (Moment, usize), rng: &mut Rng) {
    if matches!(at.civil().1, 9..=12) {
        clinical::immunization(chart, setting, INFLUENZA, at);
    }
    if let Some((vaccine, from_age)) = VACCINES.get(index)
        && setting.person.age >= from_age + 3
    {
        clinical::immunization(chart, setting, *vaccine, at);
    }
    if setting.person.age >= 45 && rng.chance(0.2) {
        let code = rng.pick(PROCEDURES);
        clinical::procedure(chart, setting, code, (at, Some(at.plus(5))), None);
    }
}

/// Writes a visit to the emergency department that ends at home.
pub(crate) fn emergency(chart: &mut Chart, seed: u64, person: &Person, at: Moment, illness: &'static Illness) {
    let (mut body, mut rng) = streams(seed, person, at);
    let rng = &mut rng;
    let end = at.plus(4 * HOUR);
    let condition = chart.upcoming("Condition");
    let encounter = Visit {
        person,
        class: "EMER",
        kind: Some(EMERGENCY),
        start: at,
        end: Some(end),
        places: vec![(Place::Emergency, at, Some(end))],
        diagnosis: Some(condition.clone()),
        part_of: None,
        admission: None,
    };
    let encounter = chart.add("Encounter", |id| encounter.resource(id));
    let setting = Setting { person, encounter: &encounter, place: Place::Emergency };
    clinical::illness(chart, setting, illness, at, Some(end.plus(10 * 24 * HOUR)));
    clinical::treatment(chart, setting, illness, (&condition, end, true));
    body.fall_ill(&illness.axes, 0.6);
    vitals::take(chart, setting, Round::Ward, (&body, at.plus(10)), rng);
    for code in illness.procedures {
        let start = at.plus(60);
        clinical::procedure(chart, setting, *code, (start, Some(start.plus(15))), Some(&condition));
        laboratory::chest_xray(chart, setting, start.plus(15), false);
    }
    body.live(end.plus(-20), &illness.axes, |_| 0.4);
    vitals::take(chart, setting, Round::Ward, (&body, end.plus(-20)), rng);
    notes::emergency(chart, setting, illness, (&body, end), rng);
}
