//! What goes wrong with data: about one value in a hundred.

use crate::measure::Measure;
use crate::observation::Unit;
use crate::rng::Rng;

/// A fault of one value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// First charted wrong by this factor, marked so, then charted right.
    EnteredInError(f64),
    /// Sent twice.
    Duplicate,
    /// The first specimen was lost: cancelled, without a value.
    Cancelled,
    /// Right, after a correction.
    Corrected,
    /// In another unit, coded as such.
    OtherUnit(Unit),
    /// Simply wrong and not marked: a loose electrode, a probe that fell off, a fraction that was
    /// sent as percent. With the decimals it has.
    Wrong(f64, usize),
    /// Potassium from broken red cells: too high by this.
    Hemolysed(f64),
}

/// Whether and how a value goes wrong.
pub(crate) fn draw(measure: Measure, rng: &mut Rng) -> Option<Fault> {
    let (any, own, factor) = (rng.unit(), rng.unit(), rng.between(1.5, 3.0));
    if own < 0.01 {
        let fault = match measure {
            Measure::HeartRate => Some(Fault::Wrong(900.0, 0)),
            Measure::Temperature if own < 0.004 => Some(Fault::Wrong(25.4, 1)),
            Measure::Temperature => Some(Fault::OtherUnit(Unit::FAHRENHEIT)),
            Measure::PulseOximetry => Some(Fault::Wrong(0.0, 0)),
            Measure::Fio2 => Some(Fault::Wrong(0.4, 2)),
            Measure::Weight => Some(Fault::Wrong(1.72, 2)),
            _ => None,
        };
        if fault.is_some() {
            return fault;
        }
    }
    if own < 0.03 {
        let fault = match measure {
            Measure::Glucose => Some(Fault::OtherUnit(Unit::GLUCOSE_SI)),
            Measure::Lactate => Some(Fault::OtherUnit(Unit::LACTATE_MASS)),
            Measure::Potassium => Some(Fault::Hemolysed(factor)),
            _ => None,
        };
        if fault.is_some() {
            return fault;
        }
    }
    let lab = measure.spec().category == "laboratory";
    match any {
        x if x < 0.002 => Some(Fault::EnteredInError(factor)),
        x if x < 0.004 => Some(Fault::Duplicate),
        x if x < 0.006 => Some(Fault::Corrected),
        x if x < 0.010 && lab => Some(Fault::Cancelled),
        _ => None,
    }
}
