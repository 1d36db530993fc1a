//! Who a patient is: demographics, problems, own levels, and the habits of those who measure.

use crate::catalogue::names;
use crate::catalogue::problems::{
    ALCOHOL, ALLERGIES, Allergy, DEPRESSION, DIABETES, KIDNEY_DISEASE, PROBLEMS, Problem,
};
use crate::clock::{DAY, Moment};
use crate::measure::{MEASURES, Measure};
use crate::rng::{Rng, Topic};
use crate::roles;

/// A person.
#[derive(Debug)]
pub(crate) struct Person {
    /// Number in the population, from 1.
    pub(crate) number: usize,
    /// `female` or `male`.
    pub(crate) female: bool,
    pub(crate) given: &'static str,
    pub(crate) middle: &'static str,
    pub(crate) family: &'static str,
    pub(crate) birth: Moment,
    /// In years, at the reference date.
    pub(crate) age: i64,
    pub(crate) street: String,
    pub(crate) city: (&'static str, &'static str),
    pub(crate) race: (&'static str, &'static str),
    pub(crate) hispanic: bool,
    pub(crate) married: bool,
    pub(crate) problems: Vec<&'static Problem>,
    pub(crate) allergies: Vec<&'static Allergy>,
    /// Own level of each measure when well.
    pub(crate) own: [f64; MEASURES],
    /// In cm.
    pub(crate) height: f64,
    /// The laboratory reports in SI units.
    pub(crate) si_units: bool,
    /// Nurses chart temperature in Fahrenheit.
    pub(crate) fahrenheit: bool,
    /// Blood pressure comes as one panel rather than as single Observations.
    pub(crate) pressure_panel: bool,
}

/// Age, whether female, and problems of those with a role.
fn cast(number: usize) -> Option<(i64, bool, &'static [usize])> {
    match number {
        roles::ORDINARY => Some((54, false, &[0, 2, 5])),
        roles::HIGH_RISK => Some((79, true, &[0, DIABETES, 6, KIDNEY_DISEASE])),
        roles::CONSENT_RESTRICTED => Some((46, false, &[0, DEPRESSION, ALCOHOL])),
        _ => None,
    }
}

impl Person {
    /// Draws person `number` of the population of `seed`.
    pub(crate) fn draw(seed: u64, number: usize, reference: Moment) -> Person {
        let rng = &mut Rng::stream(seed, number, Topic::Person);
        let role = cast(number);
        let age = draw_age(number, rng);
        let female = rng.chance(0.52);
        let (age, female) = role.map_or((age, female), |(age, female, _)| (age, female));
        let given = if female { names::FEMALE } else { names::MALE };
        let mut person = Person {
            number,
            female,
            given: rng.pick(given),
            middle: rng.pick(given),
            family: names::FAMILY[(number * 37 + 11) % names::FAMILY.len()],
            birth: reference.plus(-(age * 365 + age / 4 + rng.whole(20, 340)) * DAY),
            age,
            street: format!("{} {}", rng.whole(2, 980), rng.pick(names::STREETS)),
            city: rng.pick(names::CITIES),
            race: draw_race(rng),
            hispanic: rng.chance(0.13),
            married: age > 24 && rng.chance(0.55),
            problems: Vec::new(),
            allergies: Vec::new(),
            own: [0.0; MEASURES],
            height: (if female { 162.0 } else { 176.0 }) + 6.5 * rng.normal(),
            si_units: role.is_none() && number % 9 == 2,
            fahrenheit: role.is_none() && number % 4 == 1,
            pressure_panel: number.is_multiple_of(2),
        };
        person.fall_into_problems(&mut Rng::stream(seed, number, Topic::Problems), role);
        person.settle(rng);
        person
    }

    fn fall_into_problems(&mut self, rng: &mut Rng, role: Option<(i64, bool, &'static [usize])>) {
        for (i, problem) in PROBLEMS.iter().enumerate() {
            let drawn = self.age >= problem.from_age && rng.chance(problem.share);
            if role.map_or(drawn, |(_, _, fixed)| fixed.contains(&i)) {
                self.problems.push(problem);
            }
        }
        for allergy in ALLERGIES {
            if rng.chance(0.07) {
                self.allergies.push(allergy);
            }
        }
    }

    /// Own levels: drawn around what is usual, then moved by sex, age and problems.
    fn settle(&mut self, rng: &mut Rng) {
        for (own, spec) in self.own.iter_mut().zip(Measure::specs()) {
            *own = spec.usual + spec.between * rng.normal();
        }
        let has = |i: usize| self.problems.iter().any(|p| std::ptr::eq(*p, &PROBLEMS[i]));
        let mut moves = vec![
            (Measure::MeanPressure, (self.age - 50) as f64 * 0.12),
            (Measure::Systolic, (self.age - 50) as f64 * 0.25),
            (Measure::Pao2, -(self.age - 50) as f64 * 0.2),
        ];
        if has(0) {
            moves.extend([(Measure::MeanPressure, 9.0), (Measure::Systolic, 8.0)]);
        }
        if has(DIABETES) {
            moves.push((Measure::Glucose, rng.between(35.0, 90.0)));
        }
        if has(KIDNEY_DISEASE) {
            moves.extend([(Measure::Creatinine, 0.75), (Measure::UreaNitrogen, 13.0)]);
        }
        if self.female {
            moves.extend([(Measure::Haematocrit, -2.5), (Measure::Creatinine, -0.12)]);
        } else {
            moves.extend([(Measure::Haematocrit, 2.5), (Measure::Creatinine, 0.08)]);
        }
        for (measure, by) in moves {
            self.own[measure as usize] += by;
        }
        let index = (27.0 + 4.5 * rng.normal()).clamp(18.0, 46.0);
        let grown = if self.age < 18 { 0.75 } else { 1.0 };
        let metres = self.height / 100.0;
        self.own[Measure::Weight as usize] = index * metres * metres * grown;
    }

    /// The FHIR id.
    pub(crate) fn id(&self) -> String {
        roles::patient_id(self.number)
    }

    /// A literal reference to the Patient.
    pub(crate) fn reference(&self) -> String {
        format!("Patient/{}", self.id())
    }

    /// `man` or `woman`, for prose.
    pub(crate) fn noun(&self) -> &'static str {
        match (self.female, self.age < 18) {
            (true, false) => "woman",
            (false, false) => "man",
            (true, true) => "girl",
            (false, true) => "boy",
        }
    }

    /// Problems that may be told in any note.
    pub(crate) fn open_problems(&self) -> impl Iterator<Item = &'static Problem> {
        self.problems.iter().copied().filter(|p| p.sensitivity.is_none())
    }
}

/// Intensive care is mostly for the old; clinics see everyone from 12 on.
fn draw_age(number: usize, rng: &mut Rng) -> i64 {
    let old = 63.0 + 14.0 * rng.normal();
    let any = rng.between(12.0, 90.0);
    let age = if roles::has_intensive_care(number) { old } else { any };
    age.clamp(12.0, 94.0) as i64
}

fn draw_race(rng: &mut Rng) -> (&'static str, &'static str) {
    let mut left = rng.unit();
    for &(code, display, share) in names::RACES {
        left -= share;
        if left < 0.0 {
            return (code, display);
        }
    }
    (names::RACES[0].0, names::RACES[0].1)
}
