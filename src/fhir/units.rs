//! Units of measure (UCUM) as search needs them: every value in its unit's canonical one.
//!
//! Source: <https://ucum.org/ucum>, sections 2 to 4; R4 search.html#quantity asks that `1 g` finds `1000 mg`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, RwLock};

use crate::datatypes::Interval;

/// The system of UCUM codes.
pub const UCUM: &str = "http://unitsofmeasure.org";

/// Units remembered; a server sees a few hundred.
const REMEMBERED: usize = 4096;
/// Longest code looked at, bytes.
const LONGEST: usize = 200;

/// How values in a unit are had in base units.
#[derive(Debug, Clone, PartialEq)]
pub struct Canonical {
    /// The product of base units: `m-3.g` for `mg/dL`, `1` for `%`.
    pub unit: String,
    factor: f64,
    offset: f64,
}

impl Canonical {
    /// The canonical form of a UCUM code. None for what is no code of UCUM, and for units on a scale that is not
    /// linear (`[pH]`, `B`), whose values have no such form.
    pub fn of(code: &str) -> Option<Arc<Self>> {
        static KNOWN: LazyLock<RwLock<HashMap<String, Option<Arc<Canonical>>>>> = LazyLock::new(RwLock::default);
        if let Ok(known) = KNOWN.read()
            && let Some(canonical) = known.get(code)
        {
            return canonical.clone();
        }
        let canonical = Self::read(code).map(Arc::new);
        if let Ok(mut known) = KNOWN.write() {
            if known.len() >= REMEMBERED {
                known.clear();
            }
            known.insert(code.to_owned(), canonical.clone());
        }
        canonical
    }

    fn read(code: &str) -> Option<Self> {
        if code.is_empty() || code.len() > LONGEST {
            return None;
        }
        let canonical = octofhir_ucum::get_canonical_units(code).ok()?;
        let (factor, offset) = (canonical.factor.to_f64(), canonical.offset.to_f64());
        let usable = factor.is_normal() && factor > 0.0 && offset.is_finite();
        usable.then_some(Self { unit: canonical.unit, factor, offset })
    }

    /// A number in the unit, in the canonical one: to 15 significant digits, so that what is the same in two units is
    /// the same here.
    pub fn value(&self, value: f64) -> f64 {
        let converted = value * self.factor + self.offset;
        if !converted.is_finite() {
            return converted;
        }
        format!("{converted:.14e}").parse().unwrap_or(converted)
    }

    /// The ends of an interval in the canonical unit.
    pub fn interval(&self, interval: Interval<f64>) -> Interval<f64> {
        Interval::new(self.value(interval.low), self.value(interval.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_canonical(value: f64, code: &str) -> (f64, String) {
        let canonical = Canonical::of(code).unwrap();
        (canonical.value(value), canonical.unit.clone())
    }

    #[test]
    fn the_same_in_several_units_is_the_same() {
        for same in [
            &[(1.0, "g"), (1000.0, "mg"), (0.001, "kg"), (1e6, "ug")][..],
            &[(37.0, "Cel"), (98.6, "[degF]"), (310.15, "K")],
            &[(0.3, "g/L"), (30.0, "mg/dL"), (300.0, "mg/L"), (300.0, "ug/mL")],
            &[(120.0, "/min"), (2.0, "/s"), (2.0, "Hz")],
            &[(5.0, "%"), (0.05, "1"), (50.0, "[ppth]")],
        ] {
            let first = in_canonical(same[0].0, same[0].1);
            for (value, code) in same {
                assert_eq!(in_canonical(*value, code), first, "{value} {code}");
            }
        }
    }

    #[test]
    fn what_has_no_linear_scale_has_no_canonical_form() {
        for code in ["[pH]", "nonsense", "", "mg/", &"(".repeat(500)] {
            assert_eq!(Canonical::of(code), None, "{code}");
        }
        // Arbitrary units are commensurable with nothing but themselves.
        assert_eq!(in_canonical(1.0, "[iU]/mL").1, "m-3.[iU]");
    }
}
