//! A body that moves: illness acts on organs, organs act on what is measured.
//!
//! Severity (0 to 1) pulls seven organ axes toward itself, each at its own pace: circulation within
//! hours, kidneys over a day. A measure is the person's own level, plus what the axes add, plus a
//! mean-reverting (Ornstein-Uhlenbeck) wandering, plus a daily rhythm where it has one. Since all
//! measures share the axes, they move together: in shock the pressure falls while heart rate,
//! lactate and, later, creatinine rise. Pressures, saturations and pH are derived from each other
//! as physiology has them, so that they agree.

use crate::clock::{HOUR, Moment};
use crate::measure::{MEASURES, Measure};
use crate::rng::Rng;

/// One number for each organ: shock, lung, kidney, inflammation, liver, brain, heart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Axes(pub(crate) [f64; 7]);

impl Axes {
    /// Nothing wrong.
    pub(crate) const NONE: Axes = Axes([0.0; 7]);
}

/// Hours in which an axis goes most of the way to where illness pulls it.
const PACE: [f64; 7] = [3.0, 5.0, 14.0, 8.0, 22.0, 4.0, 6.0];

/// Hours over which a measure forgets its wandering.
const MEMORY: f64 = 5.0;

/// Simulated in steps of this many minutes.
const STEP: i64 = 30;

/// The state of one body.
#[derive(Clone, Debug)]
pub(crate) struct Physiology {
    own: [f64; MEASURES],
    axes: Axes,
    wander: [f64; MEASURES],
    now: Moment,
    rng: Rng,
}

impl Physiology {
    /// A body with its own levels, well, at a time.
    pub(crate) fn new(own: [f64; MEASURES], now: Moment, mut rng: Rng) -> Physiology {
        let wander = std::array::from_fn(|_| rng.normal());
        Physiology { own, axes: Axes::NONE, wander, now, rng }
    }

    /// Starts ill: the axes already stand where this severity pulls them.
    pub(crate) fn fall_ill(&mut self, pull: &Axes, severity: f64) {
        for (axis, pull) in self.axes.0.iter_mut().zip(pull.0) {
            *axis = pull * severity;
        }
    }

    /// Lives on until `then`, with illness pulling as `severity` says for each moment.
    pub(crate) fn live(&mut self, then: Moment, pull: &Axes, severity: impl Fn(Moment) -> f64) {
        while self.now < then {
            let minutes = STEP.min(then.since(self.now));
            let hours = minutes as f64 / HOUR as f64;
            self.now = self.now.plus(minutes);
            let severity = severity(self.now);
            for ((axis, pull), pace) in self.axes.0.iter_mut().zip(pull.0).zip(PACE) {
                *axis += (pull * severity - *axis) * (hours / pace).min(1.0);
            }
            let keep = 1.0 - (hours / MEMORY).min(1.0);
            let stir = (1.0 - keep * keep).sqrt();
            // One shared disturbance (pain, a turn, a sedative) stirs all vital signs at once.
            let shared = self.rng.normal();
            for (i, wander) in self.wander.iter_mut().enumerate() {
                let sign = if i == Measure::HeartRate as usize
                    || i == Measure::RespiratoryRate as usize
                    || i == Measure::MeanPressure as usize
                {
                    0.6
                } else {
                    0.0
                };
                *wander = *wander * keep + stir * (sign * shared + (1.0 - sign * sign).sqrt() * self.rng.normal());
            }
        }
    }

    /// The level before what is derived from others.
    fn level(&self, measure: Measure) -> f64 {
        let spec = measure.spec();
        let i = measure as usize;
        let illness: f64 = spec.illness.iter().zip(self.axes.0).map(|(e, a)| e * a).sum();
        // What runs high also varies more.
        let stretch = ((self.own[i] + illness) / spec.usual.max(1e-6)).clamp(0.7, 4.0);
        let value = self.own[i] + illness + self.rhythm(measure) + spec.within * stretch * self.wander[i];
        value.clamp(spec.limits.0, spec.limits.1)
    }

    /// The part of the day: highest in the late afternoon, lowest before dawn; a triangle rounded
    /// off, in plain arithmetic.
    fn rhythm(&self, measure: Measure) -> f64 {
        let height = match measure {
            Measure::HeartRate => 4.0,
            Measure::MeanPressure => 3.0,
            Measure::Temperature => 0.25,
            Measure::UrineOutput => 8.0,
            _ => return 0.0,
        };
        let from_peak = (self.now.hour_of_day() - 17.0).abs();
        let from_peak = from_peak.min(24.0 - from_peak) / 12.0;
        height * (1.0 - 2.0 * from_peak * from_peak * (3.0 - 2.0 * from_peak))
    }

    /// What a device or laboratory would report now, in the measure's unit.
    pub(crate) fn read(&self, measure: Measure) -> f64 {
        let spec = measure.spec();
        let pulse = || self.level(Measure::Systolic);
        let value = match measure {
            Measure::Systolic => self.level(Measure::MeanPressure) + pulse() * 2.0 / 3.0,
            Measure::Diastolic => self.level(Measure::MeanPressure) - pulse() / 3.0,
            Measure::ArterialSaturation | Measure::PulseOximetry => {
                saturation(self.level(Measure::Pao2)) + spec.within * self.wander[measure as usize]
            }
            Measure::Ph => {
                let ratio = self.level(Measure::Bicarbonate) / (0.0307 * self.level(Measure::Paco2));
                6.1 + ratio.log10() + spec.within * self.wander[measure as usize]
            }
            Measure::Fio2 => (self.level(measure) / 5.0).round() * 5.0,
            _ => return self.level(measure),
        };
        let (low, high) = match measure {
            Measure::Systolic => (40.0, 240.0),
            Measure::Fio2 => (21.0, 100.0),
            _ => spec.limits,
        };
        value.clamp(low, high)
    }

    /// The present time of this body.
    #[cfg(test)]
    pub(crate) fn axes(&self) -> Axes {
        self.axes
    }
}

/// Haemoglobin's saturation in percent at a partial pressure of oxygen in mmHg (Severinghaus, 1979).
fn saturation(pao2: f64) -> f64 {
    let p = pao2.max(1.0);
    100.0 / (23_400.0 / (p * p * p + 150.0 * p) + 1.0)
}

/// The severity that a course of `(part, severity)` points has at `part` of it, between 0 and 1.
pub(crate) fn severity_at(course: &[(f64, f64)], part: f64) -> f64 {
    let mut before = course.first().copied().unwrap_or((0.0, 0.0));
    for &(at, severity) in course {
        if part <= at {
            let span = at - before.0;
            let along = if span > 0.0 { (part - before.0) / span } else { 1.0 };
            return before.1 + (severity - before.1) * along.clamp(0.0, 1.0);
        }
        before = (at, severity);
    }
    before.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Topic;

    fn body(seed: u64) -> Physiology {
        let own = std::array::from_fn(|i| Measure::specs()[i].usual);
        Physiology::new(own, Moment(0), Rng::stream(seed, 1, Topic::Physiology))
    }

    #[test]
    fn shock_lowers_pressure_and_ph_and_raises_lactate() {
        let (mut well, mut ill) = (body(3), body(3));
        let shock = Axes([1.0, 0.6, 0.8, 0.5, 0.2, 0.5, 0.2]);
        well.live(Moment(36 * HOUR), &Axes::NONE, |_| 0.0);
        ill.live(Moment(36 * HOUR), &shock, |_| 1.0);
        assert!(ill.read(Measure::MeanPressure) + 20.0 < well.read(Measure::MeanPressure));
        assert!(ill.read(Measure::Lactate) > 5.0 && well.read(Measure::Lactate) < 2.0);
        assert!(ill.read(Measure::Ph) < 7.25 && (7.3..7.5).contains(&well.read(Measure::Ph)));
        assert!(ill.read(Measure::Systolic) > ill.read(Measure::Diastolic));
    }

    #[test]
    fn kidneys_follow_the_circulation_later() {
        let mut ill = body(4);
        ill.live(Moment(4 * HOUR), &Axes([1.0; 7]), |_| 1.0);
        let Axes([shock, _, kidney, ..]) = ill.axes();
        assert!(shock > 0.7 && kidney < 0.35, "{shock} {kidney}");
    }

    #[test]
    fn a_course_is_interpolated() {
        let course = [(0.0, 0.2), (0.5, 0.8), (1.0, 0.0)];
        assert!((severity_at(&course, 0.25) - 0.5).abs() < 1e-9);
        assert!((severity_at(&course, 2.0)).abs() < 1e-9);
        assert!((severity_at(&course, -1.0) - 0.2).abs() < 1e-9);
    }

    #[test]
    fn saturation_is_as_published() {
        assert!((saturation(26.86) - 50.0).abs() < 0.5);
        assert!((saturation(60.0) - 90.6).abs() < 0.5);
    }
}
