//! A stay in hospital, hour by hour.

use crate::catalogue::acute::Illness;
use crate::chart::Chart;
use crate::clinical;
use crate::clock::{DAY, HOUR, Moment};
use crate::encounter::{ADMISSION, ICU_ADMISSION, Visit};
use crate::hospital::Place;
use crate::laboratory::{self, Panel};
use crate::notes;
use crate::observation::Setting;
use crate::person::Person;
use crate::physiology::{Physiology, severity_at};
use crate::plan::Stay;
use crate::rng::{Rng, Topic};
use crate::roles;
use crate::vitals::{self, Round};

/// Something that is done at a time.
#[derive(Clone, Copy, Debug)]
enum Event {
    Vitals(Round),
    Draw(Panel),
    AdmissionNote,
    DailyNote,
}

/// What the stay is written with.
pub(crate) struct Inpatient<'a> {
    pub(crate) seed: u64,
    pub(crate) person: &'a Person,
    pub(crate) stay: &'a Stay,
    pub(crate) reference: Moment,
}

impl Inpatient<'_> {
    /// Writes the stay.
    pub(crate) fn write(&self, chart: &mut Chart) {
        let number = self.person.number;
        let stream = number ^ ((self.stay.start.0 as usize) << 20);
        let mut sampling = Rng::stream(self.seed, stream, Topic::Sampling);
        let (hospital, condition) = self.write_encounter(chart);
        let ward = self.setting(&hospital, self.ward());
        clinical::treatment(chart, ward, self.stay.illness, (&condition, self.stay.start, self.stay.end.is_some()));
        let physiology = Rng::stream(self.seed, stream, Topic::Physiology);
        let mut body = Physiology::new(self.person.own, self.stay.start, physiology);
        let first = severity_at(self.stay.course, 0.0) * self.stay.gravity;
        body.fall_ill(&self.stay.illness.axes, first);

        let mut ward_from = self.stay.start;
        if let Some((start, end)) = self.stay.icu {
            let icu = self.write_icu_encounter(chart, &hospital, &condition, start, end);
            let setting = self.setting(&icu, Place::IntensiveCare);
            self.write_procedures(chart, setting, &condition, start.plus(HOUR), end);
            let events = self.icu_events(start, end.unwrap_or(self.reference), &mut sampling);
            self.follow(chart, setting, &mut body, events);
            ward_from = end.unwrap_or(self.reference);
        } else {
            self.write_procedures(chart, ward, &condition, self.stay.start.plus(3 * HOUR), self.stay.end);
        }
        let ward_until = self.stay.end.unwrap_or(self.reference);
        let events = self.ward_events(ward_from, ward_until, &mut sampling);
        self.follow(chart, ward, &mut body, events);
        if let Some(end) = self.stay.end {
            let mut rng = Rng::stream(self.seed, stream, Topic::Notes);
            notes::discharge(chart, ward, self.stay.illness, (end, self.stay.fatal), &mut rng);
        }
    }

    fn setting<'b>(&'b self, encounter: &'b str, place: Place) -> Setting<'b> {
        Setting { person: self.person, encounter, place }
    }

    fn ward(&self) -> Place {
        if self.stay.surgical { Place::Surgical } else { Place::Medical }
    }

    /// The whole stay. It does not list intensive care among its places: that has an Encounter of
    /// its own, whose period is the time spent there.
    fn write_encounter(&self, chart: &mut Chart) -> (String, String) {
        let stay = self.stay;
        let condition = chart.upcoming("Condition");
        let (icu_start, icu_end) = stay.icu.map_or((stay.start.plus(2 * HOUR), None), |(s, e)| (s, e));
        let mut places = vec![(Place::Emergency, stay.start, Some(icu_start))];
        let on_ward = if stay.icu.is_some() { icu_end } else { Some(icu_start) };
        if let Some(from) = on_ward
            && !stay.fatal
        {
            places.push((self.ward(), from, stay.end));
        }
        let left = stay.end.map(|_| if stay.fatal { "exp" } else { "home" });
        let visit = Visit {
            person: self.person,
            class: "IMP",
            kind: Some(ADMISSION),
            start: stay.start,
            end: stay.end,
            places,
            diagnosis: Some(condition.clone()),
            part_of: None,
            admission: Some(("emd", left)),
        };
        let hospital = chart.add("Encounter", |id| visit.resource(id));
        let setting = self.setting(&hospital, self.ward());
        let resolved = stay.end.filter(|_| !stay.fatal);
        clinical::illness(chart, setting, stay.illness, stay.start, resolved);
        (hospital, condition)
    }

    /// The time in intensive care. Most hospitals say so by class; some only by type or place.
    fn write_icu_encounter(
        &self,
        chart: &mut Chart,
        hospital: &str,
        condition: &str,
        start: Moment,
        end: Option<Moment>,
    ) -> String {
        let number = self.person.number;
        let by_place_only = number.is_multiple_of(16);
        let by_type = number.is_multiple_of(8) || number <= roles::CONSENT_RESTRICTED;
        let visit = Visit {
            person: self.person,
            class: if number.is_multiple_of(8) { "IMP" } else { "ACUTE" },
            kind: (by_type && !by_place_only).then_some(ICU_ADMISSION),
            start,
            end,
            places: vec![(Place::IntensiveCare, start, end)],
            diagnosis: Some(condition.to_owned()),
            part_of: Some(hospital.to_owned()),
            admission: None,
        };
        chart.add("Encounter", |id| visit.resource(id))
    }

    fn write_procedures(
        &self,
        chart: &mut Chart,
        setting: Setting<'_>,
        condition: &str,
        start: Moment,
        end: Option<Moment>,
    ) {
        for (i, &code) in self.stay.illness.procedures.iter().enumerate() {
            let start = start.plus(20 * i as i64);
            // Ventilation goes on; everything else takes half an hour.
            let ongoing = code.code == "40617009";
            let done = if ongoing { end } else { Some(start.plus(30)) };
            clinical::procedure(chart, setting, code, (start, done), Some(condition));
            if code.code == "399208008" {
                laboratory::chest_xray(chart, setting, start.plus(30), is_lung(self.stay.illness));
            }
        }
    }

    /// Lives through the events in order and writes each.
    fn follow(&self, chart: &mut Chart, setting: Setting<'_>, body: &mut Physiology, mut events: Vec<(Moment, Event)>) {
        events.sort_by_key(|(at, _)| *at);
        let stay = self.stay;
        let stream = self.person.number ^ ((stay.start.0 as usize) << 21) ^ ((setting.place as usize) << 16);
        let mut faults = Rng::stream(self.seed, stream, Topic::Faults);
        let mut words = Rng::stream(self.seed, stream, Topic::Notes);
        let complete = self.person.number <= roles::CONSENT_RESTRICTED;
        for (at, event) in events {
            body.live(at, &stay.illness.axes, |now| {
                let part = now.since(stay.start) as f64 / stay.planned.max(1) as f64;
                stay.gravity * severity_at(stay.course, part)
            });
            let seen = (&*body, at);
            match event {
                Event::Vitals(round) => vitals::take(chart, setting, round, seen, &mut faults),
                Event::Draw(panel) => {
                    laboratory::draw(chart, setting, panel, seen, (complete, &mut faults));
                }
                Event::AdmissionNote => notes::admission(chart, setting, stay.illness, seen, &mut words),
                Event::DailyNote => notes::daily(chart, setting, stay.illness, seen, &mut words),
            }
        }
    }

    fn icu_events(&self, start: Moment, end: Moment, rng: &mut Rng) -> Vec<(Moment, Event)> {
        let close = self.person.number <= roles::CONSENT_RESTRICTED;
        let mut events = Vec::new();
        let mut every = |from: i64, step: i64, jitter: i64, event: Event, rng: &mut Rng| {
            let mut at = start.plus(from);
            while at < end {
                if close || !rng.chance(0.04) {
                    events.push((at.plus(rng.whole(0, jitter)), event));
                }
                at = at.plus(step);
            }
        };
        let monitor = if close { HOUR } else { 2 * HOUR };
        every(10, monitor, 6, Event::Vitals(Round::Monitor), rng);
        every(240, 4 * HOUR, 10, Event::Vitals(Round::Nurse(4 * HOUR)), rng);
        let draws = if close { 6 * HOUR } else { 8 * HOUR };
        every(30, draws, 20, Event::Draw(Panel::Metabolic), rng);
        every(30, draws, 20, Event::Draw(Panel::BloodCount), rng);
        let sick = self.stay.gravity > 0.75;
        let gases = if sick || close { 6 * HOUR } else { 12 * HOUR };
        every(45, gases, 25, Event::Draw(Panel::BloodGas), rng);
        every(30, DAY, 20, Event::Draw(Panel::Liver), rng);
        every(30, DAY, 20, Event::Draw(Panel::Magnesium), rng);
        every(40, 12 * HOUR, 30, Event::Draw(Panel::Cardiac), rng);
        every(60, DAY, 20, Event::Vitals(Round::Scale), rng);
        every(18 * HOUR, DAY, 60, Event::DailyNote, rng);
        events.push((start.plus(90), Event::AdmissionNote));
        self.leave_gap(&mut events, start, end, rng);
        events.retain(|(at, _)| *at < end);
        events
    }

    /// In a third of stays the patient is away (operating room, scanner) and nothing is charted.
    fn leave_gap(&self, events: &mut Vec<(Moment, Event)>, start: Moment, end: Moment, rng: &mut Rng) {
        if self.person.number <= roles::CONSENT_RESTRICTED || !rng.chance(0.35) {
            return;
        }
        let gone = start.plus(rng.whole(8 * HOUR, (end.since(start)).max(9 * HOUR)));
        let back = gone.plus(rng.whole(4, 7) * HOUR);
        events.retain(|(at, _)| *at < gone || *at > back);
    }

    fn ward_events(&self, start: Moment, end: Moment, rng: &mut Rng) -> Vec<(Moment, Event)> {
        let mut events = Vec::new();
        let mut at = start.plus(rng.whole(10, 60));
        while at < end {
            if !rng.chance(0.08) {
                events.push((at, Event::Vitals(Round::Ward)));
            }
            at = at.plus(6 * HOUR + rng.whole(-25, 25));
        }
        let mut morning = start.plus(DAY).at(6, rng.whole(0, 50));
        while morning < end {
            events.push((morning, Event::Draw(Panel::Metabolic)));
            events.push((morning, Event::Draw(Panel::BloodCount)));
            events.push((morning.plus(180), Event::DailyNote));
            morning = morning.plus(DAY);
        }
        if self.stay.icu.is_none() {
            events.push((start.plus(100), Event::AdmissionNote));
            events.push((start.plus(40), Event::Draw(Panel::Metabolic)));
            events.push((start.plus(40), Event::Draw(Panel::BloodCount)));
            events.push((start.plus(40), Event::Draw(Panel::Liver)));
            events.push((start.plus(150), Event::Vitals(Round::Scale)));
        }
        events.retain(|(at, _)| *at < end);
        events
    }
}

fn is_lung(illness: &Illness) -> bool {
    illness.axes.0[1] > 0.5
}
