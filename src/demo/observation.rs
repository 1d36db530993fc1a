//! Observations as devices, nurses and laboratories send them, with what goes wrong on the way.

use crate::chart::{Chart, category};
use crate::clock::Moment;
use crate::datatypes::{Code, loinc, plain_concept, quantity, reference};
use crate::faults::{self, Fault};
use crate::hospital::{ANALYZER, MONITOR, Place, attending};
use crate::json::{Json, list, object};
use crate::measure::Measure;
use crate::person::Person;
use crate::rng::Rng;

const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const INTERPRETATION: &str = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";

/// Whom, where and by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) person: &'a Person,
    pub(crate) encounter: &'a str,
    pub(crate) place: Place,
}

/// A unit to report in: the value times `factor` plus `offset`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unit {
    pub(crate) factor: f64,
    pub(crate) offset: f64,
    pub(crate) digits: usize,
    pub(crate) unit: &'static str,
    pub(crate) ucum: &'static str,
}

impl Unit {
    /// The contract's unit.
    fn usual(measure: Measure) -> Unit {
        let spec = measure.spec();
        Unit { factor: 1.0, offset: 0.0, digits: spec.digits, unit: spec.unit, ucum: spec.ucum }
    }

    const fn other(factor: f64, digits: usize, unit: &'static str) -> Unit {
        Unit { factor, offset: 0.0, digits, unit, ucum: unit }
    }

    /// The unit this person's laboratory or nurses use.
    fn of(measure: Measure, person: &Person) -> Unit {
        match measure {
            Measure::Temperature if person.fahrenheit => Unit::FAHRENHEIT,
            Measure::Glucose if person.si_units => Unit::GLUCOSE_SI,
            Measure::Creatinine if person.si_units => Unit::other(88.42, 0, "umol/L"),
            Measure::Bilirubin if person.si_units => Unit::other(17.1, 0, "umol/L"),
            Measure::UreaNitrogen if person.si_units => Unit::other(0.357, 1, "mmol/L"),
            _ => Unit::usual(measure),
        }
    }

    /// Degrees Fahrenheit.
    pub(crate) const FAHRENHEIT: Unit = Unit { factor: 1.8, offset: 32.0, digits: 1, unit: "°F", ucum: "[degF]" };
    /// Glucose in mmol/L.
    pub(crate) const GLUCOSE_SI: Unit = Unit::other(1.0 / 18.016, 1, "mmol/L");
    /// Lactate in mg/dL.
    pub(crate) const LACTATE_MASS: Unit = Unit::other(9.008, 0, "mg/dL");

    fn convert(self, value: f64) -> f64 {
        value * self.factor + self.offset
    }

    fn quantity(self, value: f64) -> Json {
        quantity(self.convert(value), self.digits, self.unit, self.ucum)
    }
}

/// Writes one measured value, with whatever goes wrong; the reference is to the Observation that
/// counts.
pub(crate) fn record(
    chart: &mut Chart,
    setting: Setting<'_>,
    measure: Measure,
    value: f64,
    at: Moment,
    rng: &mut Rng,
) -> String {
    let mut draft = Draft::new(measure, value, at, setting.person);
    let fault = faults::draw(measure, rng);
    match fault {
        Some(Fault::EnteredInError(wrong)) => {
            let mistaken = Draft { value: wrong * value, status: "entered-in-error", ..draft };
            mistaken.write(chart, setting);
        }
        Some(Fault::Duplicate) => {
            draft.write(chart, setting);
        }
        Some(Fault::Cancelled) => {
            let lost = Draft { status: "cancelled", absent: true, ..draft };
            lost.write(chart, setting);
        }
        Some(Fault::Corrected) => draft.status = "corrected",
        Some(Fault::OtherUnit(unit)) => draft.unit = unit,
        Some(Fault::Wrong(wrong, digits)) => {
            draft.value = wrong;
            draft.unit = Unit { digits, ..Unit::usual(measure) };
        }
        Some(Fault::Hemolysed(more)) => {
            draft.value += more;
            draft.note = Some("Specimen hemolyzed; result may be falsely elevated.");
        }
        None => {}
    }
    draft.write(chart, setting)
}

/// An Observation before it is written.
#[derive(Clone, Copy)]
struct Draft {
    measure: Measure,
    value: f64,
    at: Moment,
    unit: Unit,
    status: &'static str,
    absent: bool,
    note: Option<&'static str>,
}

impl Draft {
    fn new(measure: Measure, value: f64, at: Moment, person: &Person) -> Draft {
        Draft { measure, value, at, unit: Unit::of(measure, person), status: "final", absent: false, note: None }
    }

    fn write(self, chart: &mut Chart, setting: Setting<'_>) -> String {
        let spec = self.measure.spec();
        let lab = spec.category == "laboratory";
        let gas = matches!(
            self.measure,
            Measure::Ph | Measure::Paco2 | Measure::Pao2 | Measure::Lactate | Measure::ArterialSaturation
        );
        let device = match (lab, setting.place) {
            (true, _) if gas => Some(ANALYZER),
            (false, Place::IntensiveCare) => Some(MONITOR),
            _ => None,
        };
        chart.add("Observation", |id| {
            object! {
                "resourceType": "Observation",
                "id": id,
                "status": self.status,
                "category": category(CATEGORY, spec.category),
                "code": spec.code.concept(),
                "subject": reference(setting.person.reference()),
                "encounter": reference(setting.encounter),
                "effectiveDateTime": self.at.date_time(),
                "issued": lab.then(|| self.at.plus(if gas { 5 } else { 50 }).date_time()),
                "performer": list![reference(attending(setting.place).reference())],
                "valueQuantity": (!self.absent).then(|| self.value_quantity()),
                "dataAbsentReason": self.absent.then(|| {
                    plain_concept("http://terminology.hl7.org/CodeSystem/data-absent-reason", "error")
                }),
                "interpretation": self.interpretation(),
                "note": self.note.map(|text| list![object! { "text": text }]),
                "device": device.map(reference),
                "referenceRange": lab.then(|| self.reference_range()),
            }
        })
    }

    /// The value; troponin below the assay's limit is reported as less than that.
    fn value_quantity(self) -> Json {
        let floor = match self.measure {
            Measure::TroponinI | Measure::TroponinT => 0.01,
            _ => f64::NEG_INFINITY,
        };
        if self.value < floor {
            return object! {
                "value": Json::decimal(floor, self.unit.digits),
                "comparator": "<",
                "unit": self.unit.unit,
                "system": crate::datatypes::UCUM,
                "code": self.unit.ucum,
            };
        }
        self.unit.quantity(self.value)
    }

    fn reference_range(self) -> Json {
        self.measure.spec().reference.map_or(Json::Absent, |(low, high)| {
            list![object! { "low": self.unit.quantity(low), "high": self.unit.quantity(high) }]
        })
    }

    fn interpretation(self) -> Json {
        let Some((low, high)) = self.measure.spec().reference else {
            return Json::Absent;
        };
        let code = match () {
            () if self.absent => return Json::Absent,
            () if self.value < low => "L",
            () if self.value > high => "H",
            () if self.measure.spec().category != "laboratory" => return Json::Absent,
            () => "N",
        };
        list![plain_concept(INTERPRETATION, code)]
    }
}

/// Writes systolic, diastolic and, where `mean` is given, mean pressure: as a panel or one by one.
pub(crate) fn record_pressure(
    chart: &mut Chart,
    setting: Setting<'_>,
    (systolic, diastolic, mean): (f64, f64, Option<f64>),
    at: Moment,
    rng: &mut Rng,
) {
    let readings =
        [(Measure::Systolic, Some(systolic)), (Measure::Diastolic, Some(diastolic)), (Measure::MeanPressure, mean)];
    let readings = readings.into_iter().filter_map(|(m, v)| v.map(|v| (m, v)));
    if !setting.person.pressure_panel {
        for (measure, value) in readings {
            record(chart, setting, measure, value, at, rng);
        }
        return;
    }
    let components: Vec<Json> = readings
        .map(|(measure, value)| {
            object! {
                "code": measure.spec().code.concept(),
                "valueQuantity": Unit::usual(measure).quantity(value),
            }
        })
        .collect();
    let panel = loinc("85354-9", "Blood pressure panel with all children optional");
    let device = (setting.place == Place::IntensiveCare).then(|| reference(MONITOR));
    chart.add("Observation", |id| {
        object! {
            "resourceType": "Observation",
            "id": id,
            "status": "final",
            "category": category(CATEGORY, "vital-signs"),
            "code": panel.concept(),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "effectiveDateTime": at.date_time(),
            "performer": list![reference(attending(setting.place).reference())],
            "device": device,
            "component": components,
        }
    });
}

/// Writes a quantity that is no [`Measure`], such as height.
pub(crate) fn record_quantity(
    chart: &mut Chart,
    setting: Setting<'_>,
    (code, category_code): (Code, &'static str),
    value: Json,
    at: Moment,
) -> String {
    chart.add("Observation", |id| {
        object! {
            "resourceType": "Observation",
            "id": id,
            "status": "final",
            "category": category(CATEGORY, category_code),
            "code": code.concept(),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "effectiveDateTime": at.date_time(),
            "performer": list![reference(attending(setting.place).reference())],
            "valueQuantity": value,
        }
    })
}

/// Writes an answer by code, such as smoking status.
pub(crate) fn record_code(
    chart: &mut Chart,
    setting: Setting<'_>,
    (code, category_code): (Code, &'static str),
    value: Code,
    at: Moment,
) -> String {
    chart.add("Observation", |id| {
        object! {
            "resourceType": "Observation",
            "id": id,
            "status": "final",
            "category": category(CATEGORY, category_code),
            "code": code.concept(),
            "subject": reference(setting.person.reference()),
            "encounter": reference(setting.encounter),
            "effectiveDateTime": at.date_time(),
            "performer": list![reference(attending(setting.place).reference())],
            "valueCodeableConcept": value.concept(),
        }
    })
}
