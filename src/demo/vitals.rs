//! Vital signs as nurses and monitors take them.

use crate::chart::Chart;
use crate::clock::{HOUR, Moment};
use crate::measure::Measure;
use crate::observation::{Setting, record, record_pressure};
use crate::physiology::Physiology;
use crate::rng::Rng;

/// Which vital signs are taken at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// What the monitor shows: heart rate, pressures with the mean, breathing, saturation.
    Monitor,
    /// What the nurse adds in intensive care: temperature, consciousness, oxygen, urine since
    /// that many minutes ago.
    Nurse(i64),
    /// A round on the ward or in the clinic: all but what only intensive care takes.
    Ward,
    /// Body weight.
    Scale,
}

/// Writes one round.
pub(crate) fn take(
    chart: &mut Chart,
    setting: Setting<'_>,
    round: Round,
    (body, at): (&Physiology, Moment),
    rng: &mut Rng,
) {
    let one = |chart: &mut Chart, measure: Measure, rng: &mut Rng| {
        record(chart, setting, measure, body.read(measure), at, rng);
    };
    match round {
        Round::Monitor => {
            one(chart, Measure::HeartRate, rng);
            pressure(chart, setting, body, at, rng, true);
            one(chart, Measure::RespiratoryRate, rng);
            one(chart, Measure::PulseOximetry, rng);
        }
        Round::Nurse(minutes) => {
            one(chart, Measure::Temperature, rng);
            one(chart, Measure::GlasgowComaScale, rng);
            one(chart, Measure::Fio2, rng);
            let volume = body.read(Measure::UrineOutput) * minutes as f64 / HOUR as f64;
            let volume = (volume / 5.0).round() * 5.0;
            record(chart, setting, Measure::UrineOutput, volume, at, rng);
        }
        Round::Ward => {
            one(chart, Measure::HeartRate, rng);
            pressure(chart, setting, body, at, rng, false);
            one(chart, Measure::RespiratoryRate, rng);
            one(chart, Measure::PulseOximetry, rng);
            one(chart, Measure::Temperature, rng);
        }
        Round::Scale => one(chart, Measure::Weight, rng),
    }
}

fn pressure(chart: &mut Chart, setting: Setting<'_>, body: &Physiology, at: Moment, rng: &mut Rng, mean: bool) {
    let mean = mean.then(|| body.read(Measure::MeanPressure));
    let values = (body.read(Measure::Systolic), body.read(Measure::Diastolic), mean);
    record_pressure(chart, setting, values, at, rng);
}
