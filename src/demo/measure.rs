//! What is measured: LOINC code, UCUM unit, what is normal, and how illness moves it.
//!
//! Codes and units are those of the contract's `$risk-score` section.

use crate::datatypes::{Code, loinc};

/// A quantity that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Measure {
    HeartRate,
    Systolic,
    Diastolic,
    MeanPressure,
    RespiratoryRate,
    ArterialSaturation,
    PulseOximetry,
    Temperature,
    GlasgowComaScale,
    Glucose,
    UreaNitrogen,
    Creatinine,
    Sodium,
    Potassium,
    Bicarbonate,
    Haematocrit,
    Leukocytes,
    Platelets,
    Bilirubin,
    Lactate,
    Ph,
    Paco2,
    Pao2,
    Fio2,
    Albumin,
    Alt,
    Ast,
    Alp,
    Magnesium,
    TroponinI,
    TroponinT,
    Weight,
    UrineOutput,
}

/// How many measures there are.
pub(crate) const MEASURES: usize = 33;

/// What is known of a measure.
#[derive(Debug)]
pub(crate) struct Spec {
    /// LOINC.
    pub(crate) code: Code,
    /// UCUM.
    pub(crate) ucum: &'static str,
    /// The unit as a monitor or laboratory prints it.
    pub(crate) unit: &'static str,
    /// Decimals reported.
    pub(crate) digits: usize,
    /// `vital-signs`, `laboratory` or `exam`.
    pub(crate) category: &'static str,
    /// What is usual in the healthy, in the unit.
    pub(crate) usual: f64,
    /// Deviation between healthy people, in the unit.
    pub(crate) between: f64,
    /// Deviation within one person, in the unit.
    pub(crate) within: f64,
    /// What full severity adds: shock, lung, kidney, inflammation, liver, brain, heart.
    pub(crate) illness: [f64; 7],
    /// Compatible with life and with the device.
    pub(crate) limits: (f64, f64),
    /// Reference range printed with the result.
    pub(crate) reference: Option<(f64, f64)>,
}

const VITAL: &str = "vital-signs";
const LAB: &str = "laboratory";
const EXAM: &str = "exam";

#[allow(clippy::too_many_arguments)]
const fn spec(
    code: (&'static str, &'static str),
    units: (&'static str, &'static str, usize),
    category: &'static str,
    (usual, between, within): (f64, f64, f64),
    illness: [f64; 7],
    limits: (f64, f64),
    reference: Option<(f64, f64)>,
) -> Spec {
    Spec {
        code: loinc(code.0, code.1),
        ucum: units.0,
        unit: units.1,
        digits: units.2,
        category,
        usual,
        between,
        within,
        illness,
        limits,
        reference,
    }
}

/// In the order of [`Measure`].
#[rustfmt::skip]
static SPECS: [Spec; MEASURES] = [
    //                                                                                              usual between within   shock lung kidney infl. liver brain heart   limits          reference
    spec(("8867-4", "Heart rate"), ("/min", "beats/minute", 0), VITAL,                              (76.0, 8.0, 3.5),     [48.0, 10.0, 0.0, 14.0, 0.0, 0.0, 10.0],    (38.0, 175.0),  Some((60.0, 100.0))),
    // Systolic and diastolic follow from the mean pressure and the pulse pressure held here.
    spec(("8480-6", "Systolic blood pressure"), ("mm[Hg]", "mmHg", 0), VITAL,                       (46.0, 6.0, 3.5),     [-16.0, 0.0, 0.0, 0.0, 0.0, 0.0, -6.0],     (16.0, 90.0),   None),
    spec(("8462-4", "Diastolic blood pressure"), ("mm[Hg]", "mmHg", 0), VITAL,                      (0.0, 0.0, 0.0),      [0.0; 7],                                   (20.0, 140.0),  None),
    spec(("8478-0", "Mean blood pressure"), ("mm[Hg]", "mmHg", 0), VITAL,                           (88.0, 7.0, 3.0),     [-40.0, 0.0, 0.0, -4.0, 0.0, 3.0, -3.0],    (34.0, 135.0),  Some((70.0, 105.0))),
    spec(("9279-1", "Respiratory rate"), ("/min", "breaths/minute", 0), VITAL,                      (15.0, 1.3, 1.2),     [4.0, 14.0, 1.0, 4.0, 0.0, 0.0, 0.0],       (8.0, 46.0),    Some((12.0, 20.0))),
    spec(("2708-6", "Oxygen saturation in Arterial blood"), ("%", "%", 0), LAB,                     (0.0, 0.0, 0.5),      [0.0; 7],                                   (60.0, 100.0),  Some((94.0, 100.0))),
    spec(("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"), ("%", "%", 0), VITAL,(0.0, 0.0, 0.8),      [0.0; 7],                                   (60.0, 100.0),  Some((94.0, 100.0))),
    spec(("8310-5", "Body temperature"), ("Cel", "°C", 1), VITAL,                                   (36.8, 0.15, 0.15),   [-1.6, 0.0, 0.0, 2.1, 0.0, 0.0, 0.0],       (33.5, 41.2),   Some((36.1, 38.0))),
    spec(("9269-2", "Glasgow coma score total"), ("{score}", "{score}", 0), EXAM,                   (15.2, 0.0, 0.25),    [-1.0, -0.5, 0.0, 0.0, 0.0, -11.0, 0.0],    (3.0, 15.0),    None),
    spec(("2345-7", "Glucose [Mass/volume] in Serum or Plasma"), ("mg/dL", "mg/dL", 0), LAB,        (96.0, 8.0, 11.0),    [40.0, 0.0, 0.0, 50.0, 0.0, 0.0, 10.0],     (45.0, 520.0),  Some((70.0, 99.0))),
    spec(("3094-0", "Urea nitrogen [Mass/volume] in Serum or Plasma"), ("mg/dL", "mg/dL", 0), LAB,  (14.0, 3.0, 1.0),     [8.0, 0.0, 58.0, 2.0, 0.0, 0.0, 0.0],       (4.0, 160.0),   Some((7.0, 20.0))),
    spec(("2160-0", "Creatinine [Mass/volume] in Serum or Plasma"), ("mg/dL", "mg/dL", 2), LAB,     (0.88, 0.13, 0.04),   [0.1, 0.0, 3.5, 0.0, 0.0, 0.0, 0.0],        (0.4, 10.0),    Some((0.6, 1.2))),
    spec(("2951-2", "Sodium [Moles/volume] in Serum or Plasma"), ("mmol/L", "mmol/L", 0), LAB,      (139.5, 1.3, 1.3),    [0.0, 0.0, -3.0, -1.0, -2.0, 2.0, 0.0],     (118.0, 160.0), Some((136.0, 145.0))),
    spec(("2823-3", "Potassium [Moles/volume] in Serum or Plasma"), ("mmol/L", "mmol/L", 1), LAB,   (4.1, 0.2, 0.16),     [0.3, 0.0, 1.4, 0.0, 0.0, 0.0, 0.0],        (2.6, 7.2),     Some((3.5, 5.1))),
    spec(("1963-8", "Bicarbonate [Moles/volume] in Serum or Plasma"), ("mmol/L", "mmol/L", 0), LAB, (24.8, 1.0, 0.8),     [-9.0, 1.0, -5.0, 0.0, -1.0, 0.0, 0.0],     (6.0, 42.0),    Some((22.0, 29.0))),
    spec(("4544-3", "Hematocrit [Volume Fraction] of Blood by Automated count"), ("%", "%", 1), LAB,(40.0, 3.0, 0.7),     [-5.0, 0.0, -4.0, -5.0, 0.0, 0.0, 0.0],     (17.0, 54.0),   Some((36.0, 48.0))),
    spec(("6690-2", "Leukocytes [#/volume] in Blood by Automated count"), ("10*3/uL", "10*3/uL", 1), LAB, (7.1, 1.3, 0.5), [2.0, 0.0, 0.0, 13.0, 0.0, 0.0, 1.5],      (0.6, 48.0),    Some((4.5, 11.0))),
    spec(("777-3", "Platelets [#/volume] in Blood by Automated count"), ("10*3/uL", "10*3/uL", 0), LAB, (248.0, 45.0, 10.0), [-55.0, 0.0, 0.0, -70.0, -70.0, 0.0, 0.0], (10.0, 620.0), Some((150.0, 400.0))),
    spec(("1975-2", "Bilirubin.total [Mass/volume] in Serum or Plasma"), ("mg/dL", "mg/dL", 1), LAB,(0.6, 0.15, 0.06),    [0.5, 0.0, 0.0, 0.0, 6.5, 0.0, 0.0],        (0.1, 28.0),    Some((0.2, 1.2))),
    spec(("2524-7", "Lactate [Moles/volume] in Serum or Plasma"), ("mmol/L", "mmol/L", 1), LAB,     (1.1, 0.2, 0.15),     [8.5, 0.3, 0.0, 0.3, 1.0, 0.0, 0.0],        (0.4, 22.0),    Some((0.5, 2.0))),
    // pH follows from bicarbonate and carbon dioxide.
    spec(("2744-1", "pH of Arterial blood"), ("[pH]", "pH", 2), LAB,                                (0.0, 0.0, 0.008),    [0.0; 7],                                   (6.8, 7.7),     Some((7.35, 7.45))),
    spec(("2019-8", "Carbon dioxide [Partial pressure] in Arterial blood"), ("mm[Hg]", "mmHg", 0), LAB, (39.0, 1.8, 2.0), [-8.0, 9.0, -3.0, 0.0, 0.0, 0.0, 0.0],      (18.0, 95.0),   Some((35.0, 45.0))),
    spec(("2703-7", "Oxygen [Partial pressure] in Arterial blood"), ("mm[Hg]", "mmHg", 0), LAB,     (95.0, 4.0, 6.0),     [-4.0, -34.0, 0.0, 0.0, 0.0, 0.0, 0.0],     (40.0, 260.0),  Some((80.0, 100.0))),
    spec(("3150-6", "Inhaled oxygen concentration"), ("%", "%", 0), VITAL,                          (24.0, 0.0, 1.5),     [12.0, 66.0, 0.0, 0.0, 0.0, 4.0, 0.0],      (21.0, 100.0),  None),
    spec(("1751-7", "Albumin [Mass/volume] in Serum or Plasma"), ("g/dL", "g/dL", 1), LAB,          (4.1, 0.25, 0.07),    [-0.3, 0.0, -0.1, -1.3, -0.5, 0.0, 0.0],    (1.2, 5.4),     Some((3.5, 5.0))),
    spec(("1742-6", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma"), ("U/L", "U/L", 0), LAB, (24.0, 6.0, 2.0), [120.0, 0.0, 0.0, 0.0, 640.0, 0.0, 10.0], (5.0, 6000.0), Some((7.0, 56.0))),
    spec(("1920-8", "Aspartate aminotransferase [Enzymatic activity/volume] in Serum or Plasma"), ("U/L", "U/L", 0), LAB, (26.0, 6.0, 2.0), [190.0, 0.0, 0.0, 0.0, 820.0, 0.0, 90.0], (6.0, 8000.0), Some((10.0, 40.0))),
    spec(("6768-6", "Alkaline phosphatase [Enzymatic activity/volume] in Serum or Plasma"), ("U/L", "U/L", 0), LAB, (76.0, 14.0, 4.0), [10.0, 0.0, 0.0, 12.0, 120.0, 0.0, 0.0], (20.0, 1200.0), Some((44.0, 147.0))),
    spec(("2601-3", "Magnesium [Moles/volume] in Serum or Plasma"), ("mmol/L", "mmol/L", 2), LAB,   (0.84, 0.05, 0.03),   [0.0, 0.0, 0.28, -0.04, 0.0, 0.0, 0.0],     (0.35, 2.2),    Some((0.66, 1.07))),
    spec(("10839-9", "Troponin I.cardiac [Mass/volume] in Serum or Plasma"), ("ng/mL", "ng/mL", 2), LAB, (0.015, 0.004, 0.004), [1.1, 0.0, 0.1, 0.0, 0.0, 0.0, 14.0],  (0.001, 80.0),  Some((0.0, 0.04))),
    spec(("6598-7", "Troponin T.cardiac [Mass/volume] in Serum or Plasma"), ("ng/mL", "ng/mL", 2), LAB, (0.008, 0.002, 0.002), [0.24, 0.0, 0.04, 0.0, 0.0, 0.0, 1.9], (0.001, 20.0),  Some((0.0, 0.01))),
    spec(("29463-7", "Body weight"), ("kg", "kg", 1), VITAL,                                        (78.0, 0.0, 0.3),     [2.0, 0.0, 4.5, 1.0, 0.0, 0.0, 1.0],        (30.0, 220.0),  None),
    // Held as mL an hour; what is reported is the volume since the last emptying.
    spec(("9187-6", "Urine output"), ("mL", "mL", 0), EXAM,                                         (76.0, 12.0, 11.0),   [-24.0, 0.0, -60.0, 0.0, 0.0, 0.0, 0.0],    (1.0, 320.0),   None),
];

impl Measure {
    /// What is known of it.
    pub(crate) fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// All of them with their place in arrays of [`MEASURES`].
    pub(crate) fn specs() -> &'static [Spec; MEASURES] {
        &SPECS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        assert_eq!(Measure::HeartRate.spec().code.code, "8867-4");
        assert_eq!(Measure::MeanPressure.spec().code.code, "8478-0");
        assert_eq!(Measure::Glucose.spec().code.code, "2345-7");
        assert_eq!(Measure::Lactate.spec().code.code, "2524-7");
        assert_eq!(Measure::Fio2.spec().code.code, "3150-6");
        assert_eq!(Measure::Magnesium.spec().code.code, "2601-3");
        assert_eq!(Measure::UrineOutput.spec().code.code, "9187-6");
        assert_eq!(Measure::UrineOutput as usize, MEASURES - 1);
    }
}
