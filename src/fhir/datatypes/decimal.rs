//! `decimal` with the precision its text implies, and an order-preserving integer form.
//!
//! Source: R4 datatypes.html#decimal; search.html#number.

use super::{Interval, ParseError};

/// Powers of ten that a double holds exactly.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// A decimal as written: its value, and the values that its written digits stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decimal {
    /// The nearest double.
    pub value: f64,
    /// What the digits imply: `100` is `[99.5, 100.5)`, `100.00` is `[99.995, 100.005)`.
    ///
    /// With an exponent, a mantissa without a point counts as if it had one more digit, because the
    /// specification's own example says that `1e2` is `[95, 105)`.
    pub implied: Interval<f64>,
}

impl Decimal {
    /// Parses the text of a FHIR `decimal` (or `integer`): JSON's number grammar.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Parts::read(text).and_then(|parts| parts.decimal(text)).ok_or(ParseError { datatype: "decimal" })
    }
}

/// Maps a double to an integer so that integers compare as the doubles do; neighbours map to
/// neighbours, and both zeros to 0. Total: infinities lie at the ends, NaN beyond them.
pub fn sortable_f64(value: f64) -> i64 {
    let bits = (value + 0.0).to_bits() as i64;
    // Negative doubles grow away from zero with their bits: mirror them.
    if bits < 0 { i64::MIN.wrapping_sub(bits) } else { bits }
}

/// A number as sign, digits and power of ten.
struct Parts {
    negative: bool,
    /// The digits of the mantissa as an integer; `None` when there are more than fit.
    mantissa: Option<u128>,
    /// Digits after the point.
    decimals: i64,
    exponent: Option<i64>,
}

impl Parts {
    fn read(text: &str) -> Option<Self> {
        let negative = text.starts_with('-');
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, Some(read_exponent(exponent)?)),
            None => (unsigned, None),
        };
        let (whole, fraction) = match number.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
            Some(_) => return None,
            None => (number, ""),
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let mantissa = whole
            .bytes()
            .chain(fraction.bytes())
            .try_fold(0_u128, |number, digit| number.checked_mul(10)?.checked_add(u128::from(digit - b'0')));
        Some(Self { negative, mantissa, decimals: fraction.len() as i64, exponent })
    }

    fn decimal(&self, text: &str) -> Option<Decimal> {
        let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
        // The place of the last digit, as a power of ten.
        let (decimals, exponent) = match self.exponent {
            Some(exponent) => (self.decimals.max(1), exponent),
            None => (self.decimals, 0),
        };
        let ends = self.mantissa.and_then(|mantissa| {
            // In units of a tenth of the last digit, so that half of it is a whole number.
            let shift = 10_u128.checked_pow((decimals - self.decimals) as u32 + 1)?;
            let centre = i128::try_from(mantissa.checked_mul(shift)?).ok()?;
            let centre = if self.negative { -centre } else { centre };
            let power = exponent - decimals - 1;
            Some(Interval::new(scaled(centre - 5, power), scaled(centre + 5, power)))
        });
        // With more digits than a double tells apart, no less than the value itself.
        let own = Interval::new(value, value.next_up());
        let implied = ends.map_or(own, |ends| ends.envelope(&own));
        Some(Decimal { value, implied })
    }
}

fn read_exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let valid = !digits.is_empty() && digits.len() <= 4 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid { text.parse().ok() } else { None }
}

/// `number * 10^power`, correctly rounded, so that the end of one interval is exactly the double that
/// the same decimal parses to elsewhere.
fn scaled(number: i128, power: i64) -> f64 {
    let small = number.unsigned_abs() < 1 << 53;
    match usize::try_from(-power) {
        // Both operands are exact, so the quotient is the nearest double.
        Ok(places) if small && places < EXACT_POWERS.len() => number as f64 / EXACT_POWERS[places],
        _ => format!("{number}e{power}").parse().unwrap_or(number as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn implied(text: &str) -> (f64, f64) {
        let interval = Decimal::parse(text).unwrap().implied;
        (interval.low, interval.high)
    }

    /// R4 search.html#number, the examples there.
    #[test]
    fn digits_imply_an_interval() {
        assert_eq!(implied("100"), (99.5, 100.5));
        assert_eq!(implied("100.00"), (99.995, 100.005));
        assert_eq!(implied("1e2"), (95.0, 105.0));
        assert_eq!(implied("5.4"), (5.35, 5.45));
        assert_eq!(implied("0"), (-0.5, 0.5));
        assert_eq!(implied("-3"), (-3.5, -2.5));
        assert_eq!(implied("0.1"), (0.05, 0.15));
        assert_eq!(implied("1.20E+2"), (119.5, 120.5));
    }

    #[test]
    fn what_is_no_json_number_is_refused() {
        for text in ["", "-", "1.", ".5", "+1", "01", "1e", "1e+", "0x1", "1_0", "NaN", "inf", " 1", "1e999", "1,5"] {
            assert!(Decimal::parse(text).is_err(), "{text}");
        }
        assert!(Decimal::parse(&"9".repeat(300)).is_ok());
        assert!(Decimal::parse(&format!("0.{}", "1".repeat(100_000))).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,50}|\\PC{0,10}") {
            let _ = Decimal::parse(&text);
        }

        #[test]
        fn accepts_what_json_accepts(text in "[-+0-9.eE]{0,9}") {
            // serde_json rounds less carefully than `f64::from_str`, so it judges the grammar only.
            let is_json = serde_json::from_str::<f64>(&text).is_ok();
            let parsed = Decimal::parse(&text).ok().map(|decimal| decimal.value);
            prop_assert_eq!(parsed, is_json.then(|| text.parse::<f64>().unwrap()));
        }

        #[test]
        fn the_value_lies_inside(whole in -1_000_000_i64..1_000_000, decimals in 0_usize..12, exponent in -20_i32..20) {
            for text in [format!("{whole}.{}", "7".repeat(decimals + 1)), format!("{whole}e{exponent}")] {
                let decimal = Decimal::parse(&text).unwrap();
                prop_assert!(decimal.implied.low <= decimal.value && decimal.value < decimal.implied.high, "{text}");
            }
        }

        #[test]
        fn sorting_agrees_with_doubles(a in proptest::num::f64::ANY, b in proptest::num::f64::ANY) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            prop_assert_eq!(sortable_f64(a).cmp(&sortable_f64(b)), a.partial_cmp(&b).unwrap());
            if a.is_finite() && a != 0.0 {
                prop_assert_eq!(sortable_f64(a.next_up()), sortable_f64(a) + 1);
            }
        }
    }
}
