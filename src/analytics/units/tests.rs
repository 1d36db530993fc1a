use super::*;
use proptest::prelude::*;

fn convert(value: f64, from: &str, to: &str, molar_mass: Option<f64>, valence: Option<f64>) -> Option<f64> {
    Unit::parse(from)?.convert(value, &Unit::parse(to)?, Analyte { molar_mass, valence })
}

#[test]
fn laboratory_units_convert() {
    // Expected values by hand from molar masses and definitions.
    for (value, from, to, molar_mass, expected) in [
        (5.5, "mmol/L", "mg/dL", Some(180.156), 99.0858),
        (88.4, "umol/L", "mg/dL", Some(113.118), 0.999_963),
        (17.1, "umol/L", "mg/dL", Some(584.662), 0.999_772),
        (18.0, "mg/dL", "mmol/L", Some(90.078), 1.998_268),
        (0.85, "mmol/L", "mg/dL", Some(24.305), 2.065_925),
        (7.14, "mmol/L", "mg/dL", Some(28.0134), 20.001_57),
        (35.0, "g/L", "g/dL", None, 3.5),
        (40.0, "ng/L", "ng/mL", None, 0.04),
        (98.6, "[degF]", "Cel", None, 37.0),
        (310.15, "K", "Cel", None, 37.0),
        (5.333, "kPa", "mm[Hg]", None, 40.000_9),
        (8.2, "10*9/L", "10*3/uL", None, 8.2),
        (8200.0, "/uL", "10*3/uL", None, 8.2),
        (0.4, "1", "%", None, 40.0),
        (0.32, "L/L", "%", None, 32.0),
        (1.0, "ukat/L", "U/L", None, 60.0),
        (35.0, "[iU]/L", "U/L", None, 35.0),
        (150.0, "[lb_av]", "kg", None, 68.038_86),
        (1.2, "Hz", "/min", None, 72.0),
        (72.0, "{beats}/min", "/min", None, 72.0),
        (15.0, "{score}", "{score}", None, 15.0),
        (80.0, "g", "kg", None, 0.08),
        (1.5, "dL", "mL", None, 150.0),
    ] {
        let got = convert(value, from, to, molar_mass, None).unwrap_or(f64::NAN);
        assert!((got - expected).abs() <= expected.abs() * 1e-5, "{value} {from} -> {to}: {got}");
    }
}

#[test]
fn equivalents_need_the_valence() {
    assert_eq!(convert(140.0, "meq/L", "mmol/L", None, Some(1.0)), Some(140.0));
    let magnesium = convert(2.0, "meq/L", "mg/dL", Some(24.305), Some(2.0)).unwrap();
    assert!((magnesium - 2.4305).abs() < 1e-9);
}

#[test]
fn what_does_not_measure_the_same_is_not_converted() {
    for (from, to) in [("mg/dL", "mmol/L"), ("mg/dL", "/min"), ("kg", "Cel"), ("mm[Hg]", "%"), ("U/L", "mg/dL")] {
        assert_eq!(convert(1.0, from, to, None, None), None, "{from} -> {to}");
    }
}

#[test]
fn the_same_unit_leaves_the_value_untouched() {
    assert_eq!(convert(0.1 + 0.2, "mg/dL", "mg/dL", None, None), Some(0.1 + 0.2));
    assert_eq!(convert(37.1, "Cel", "Cel", None, None), Some(37.1));
}

#[test]
fn printed_forms_are_read() {
    for (printed, code) in [
        ("mmHg", "mm[Hg]"),
        ("bpm", "/min"),
        ("°F", "[degF]"),
        ("K/uL", "10*3/uL"),
        ("x10^9/L", "10*9/L"),
        ("mEq/L", "meq/L"),
        ("IU/L", "U/L"),
    ] {
        assert_eq!(Unit::parse(printed), Unit::parse(code), "{printed}");
    }
}

#[test]
fn what_is_no_unit_is_refused() {
    for text in ["", " ", "furlong", "mg/", "mg//dL", "{open", "10*99", "mg/dL/", "m[", "--", "mg.", "1e5"] {
        assert_eq!(Unit::parse(text), None, "{text}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in "\\PC{0,70}") {
        let _ = Unit::parse(&text);
    }

    #[test]
    fn conversion_there_and_back_is_the_identity(value in -1e6f64..1e6) {
        for (a, b) in [("[degF]", "Cel"), ("mg/dL", "umol/L"), ("kPa", "mm[Hg]"), ("ukat/L", "U/L")] {
            let there = convert(value, a, b, Some(113.118), None).unwrap();
            let back = convert(there, b, a, Some(113.118), None).unwrap();
            prop_assert!((back - value).abs() <= 1e-9 * value.abs().max(1000.0));
        }
    }
}
