//! When two JSON values are the same to `test` (RFC 6902, section 4.6).

use crate::json::{Object, Value};

/// Whether two values are the same: numbers by value, whatever their digits; objects whatever the
/// order of their members.
pub(super) fn same(a: &Value<'_>, b: &Value<'_>) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a == b || number(a).is_some_and(|a| number(b) == Some(a)),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => a.len() == b.len() && same_members(a, b),
        _ => a == b,
    }
}

fn same_members(a: &Object<'_>, b: &Object<'_>) -> bool {
    let sorted = |object: &Object<'_>| {
        let mut order: Vec<usize> = (0..object.len()).collect();
        order.sort_unstable_by(|x, y| object.0[*x].0.cmp(&object.0[*y].0));
        order
    };
    sorted(a).into_iter().zip(sorted(b)).all(|(x, y)| {
        let ((name, value), (other, other_value)) = (&a.0[x], &b.0[y]);
        name == other && same(value, other_value)
    })
}

/// A number as sign, digits without zeros at either end, and the power of ten of the last digit.
fn number(text: &str) -> Option<(bool, String, i64)> {
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let zeros = digits.len() - significant.len();
    let significant = significant.trim_start_matches('0').to_owned();
    if significant.is_empty() {
        return Some((false, significant, 0));
    }
    let power = exponent.checked_sub(fraction.len() as i64)?.checked_add(zeros as i64)?;
    Some((negative, significant, power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_by_value() {
        let same = |a: &'static str, b: &'static str| same(&Value::Number(a.into()), &Value::Number(b.into()));
        assert!(same("1.0", "1") && same("100", "1E+2") && same("-0", "0.00") && same("0.0120", "12e-3"));
        assert!(same("12345678901234567890.10", "12345678901234567890.1"));
        assert!(!same("12345678901234567890.1", "12345678901234567890.2") && !same("1", "-1") && !same("1", "10"));
        assert!(same("1e99999999999999999999", "1e99999999999999999999"));
        assert!(!same("1e99999999999999999999", "1"));
    }
}
