//! What happens to a patient over three years: visits, emergencies, stays, death.

use crate::catalogue::acute::{self, CRITICAL, FATAL, Illness, MINOR, WARD};
use crate::clock::{DAY, HOUR, Moment};
use crate::person::Person;
use crate::rng::{Rng, Topic};
use crate::roles;

/// A stay in hospital.
#[derive(Debug)]
pub(crate) struct Stay {
    pub(crate) illness: &'static Illness,
    pub(crate) start: Moment,
    /// `None` while it lasts.
    pub(crate) end: Option<Moment>,
    /// The part in intensive care, with its own end, if any.
    pub(crate) icu: Option<(Moment, Option<Moment>)>,
    /// How severity goes, over `planned` minutes from the start.
    pub(crate) course: &'static [(f64, f64)],
    pub(crate) planned: i64,
    /// Scales the course.
    pub(crate) gravity: f64,
    pub(crate) fatal: bool,
    /// On the surgical ward rather than the medical one.
    pub(crate) surgical: bool,
}

/// All that happens.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) visits: Vec<Moment>,
    pub(crate) emergencies: Vec<(Moment, &'static Illness)>,
    pub(crate) stays: Vec<Stay>,
    pub(crate) death: Option<Moment>,
}

impl Plan {
    /// Draws what happens to `person` up to `reference`.
    pub(crate) fn draw(seed: u64, person: &Person, reference: Moment) -> Plan {
        let rng = &mut Rng::stream(seed, person.number, Topic::Plan);
        let mut plan = Plan::default();
        if let Some(stay) = current_stay(person.number, reference, rng) {
            plan.stays.push(stay);
        }
        if roles::has_intensive_care(person.number) && plan.stays.is_empty() {
            let start = past(reference, rng);
            let fatal = person.age > 45 && rng.chance(0.4);
            let stay = icu_stay(rng.pick(CRITICAL), start, fatal, rng);
            if fatal {
                plan.death = stay.end;
            }
            plan.stays.push(stay);
        }
        if person.number.is_multiple_of(3) && person.number > roles::EXPIRED_CONSENT {
            plan.stays.push(ward_stay(past(reference, rng), rng));
        }
        if plan.death.is_none() && plan.stays.is_empty() && person.age > 72 && rng.chance(0.4) {
            plan.death = Some(reference.plus(-rng.whole(30, 500) * DAY));
        }
        plan.draw_outpatient(person, reference, rng);
        plan.keep_possible();
        plan
    }

    /// Visits and emergencies over three years; more for those with more problems.
    fn draw_outpatient(&mut self, person: &Person, reference: Moment, rng: &mut Rng) {
        let visits = 3 + person.problems.len().min(5) as i64 + rng.whole(0, 2);
        for i in 0..visits {
            let day = reference.plus(-(1080 * (visits - i) / visits - rng.whole(2, 60)) * DAY);
            self.visits.push(day.at(rng.whole(8, 16), rng.whole(0, 11) * 5));
        }
        for _ in 0..rng.whole(0, 2) {
            let at = past(reference, rng);
            self.emergencies.push((at, rng.pick(MINOR)));
        }
    }

    /// Drops what would fall into a stay or after death.
    fn keep_possible(&mut self) {
        self.stays.sort_by_key(|stay| stay.start);
        let mut free = Moment(i64::MIN);
        let death = self.death;
        self.stays.retain(|stay| {
            let fits = stay.start > free && (stay.fatal || death.is_none_or(|d| stay.start.plus(20 * DAY) < d));
            if fits {
                free = stay.end.map_or(Moment(i64::MAX), |end| end.plus(DAY));
            }
            fits
        });
        let taken: Vec<_> = self.stays.iter().map(|s| (s.start, s.end)).collect();
        let possible = |at: Moment| {
            death.is_none_or(|d| at.plus(DAY) < d)
                && taken.iter().all(|(start, end)| at.plus(DAY) < *start || end.is_some_and(|e| at > e.plus(DAY)))
        };
        self.visits.retain(|at| possible(*at));
        self.emergencies.retain(|(at, _)| possible(*at));
    }
}

/// A time in the three years before the last month.
fn past(reference: Moment, rng: &mut Rng) -> Moment {
    reference.plus(-rng.whole(32 * 24, 1050 * 24) * HOUR + rng.whole(0, 11) * 5)
}

/// The stay that lasts at the reference date, for those who have one.
fn current_stay(number: usize, reference: Moment, rng: &mut Rng) -> Option<Stay> {
    let in_icu = |illness, hours: i64, planned: i64, course: &'static [(f64, f64)], gravity| Stay {
        illness,
        start: reference.plus(-hours * HOUR - 3 * HOUR),
        end: None,
        icu: Some((reference.plus(-hours * HOUR), None)),
        course,
        planned: planned * HOUR,
        gravity,
        fatal: false,
        surgical: false,
    };
    match number {
        roles::ORDINARY => {
            let illness = &acute::AFTER_BYPASS;
            Some(in_icu(illness, 40, 60, illness.course, 0.9))
        }
        roles::HIGH_RISK => Some(in_icu(&acute::SEPTIC_SHOCK, 30, 32, FATAL, 1.0)),
        roles::CONSENT_RESTRICTED => {
            let illness = &acute::SEPSIS;
            Some(in_icu(illness, 36, 80, illness.course, 1.0))
        }
        _ if roles::now_in_intensive_care(number) => {
            let illness: &'static Illness = rng.pick(CRITICAL);
            let gravity = rng.between(0.5, 1.0);
            Some(in_icu(illness, rng.whole(20, 60), 96, illness.course, gravity))
        }
        _ if roles::now_on_ward(number) => {
            let mut stay = ward_stay(reference.plus(-rng.whole(20, 70) * HOUR), rng);
            stay.end = None;
            Some(stay)
        }
        _ => None,
    }
}

fn icu_stay(illness: &'static Illness, start: Moment, fatal: bool, rng: &mut Rng) -> Stay {
    let icu_start = start.plus(rng.whole(1, 5) * HOUR + rng.whole(0, 11) * 5);
    let icu_hours = rng.whole(30, 110);
    let icu_end = icu_start.plus(icu_hours * HOUR);
    let end = if fatal { icu_end } else { icu_end.plus(rng.whole(36, 96) * HOUR) };
    Stay {
        illness,
        start,
        end: Some(end),
        icu: Some((icu_start, Some(icu_end))),
        course: if fatal { FATAL } else { illness.course },
        planned: end.since(start),
        gravity: if fatal { 1.0 } else { rng.between(0.5, 1.0) },
        fatal,
        surgical: false,
    }
}

fn ward_stay(start: Moment, rng: &mut Rng) -> Stay {
    let illness: &'static Illness = rng.pick(WARD);
    let planned = rng.whole(40, 120) * HOUR;
    Stay {
        illness,
        start,
        end: Some(start.plus(planned)),
        icu: None,
        course: illness.course,
        planned,
        gravity: rng.between(0.6, 1.0),
        fatal: false,
        surgical: illness.code.code == "74400008",
    }
}
