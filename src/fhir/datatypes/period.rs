//! `Period` as an interval.

use super::{DateTime, Interval};
use crate::json::Value;

/// The time a `Period` covers, in microseconds since the epoch: from the start of `start` to the end
/// of `end`; an absent end is open (`i64::MIN`, `i64::MAX`). `None` for one without either, for one
/// whose dates are not valid, and for one that ends before it starts.
///
/// Source: R4 datatypes.html#Period ("If the end of the period is missing, it means that the period
/// is ongoing"; a date without time is included whole).
pub fn period_interval(period: &Value<'_>) -> Option<Interval<i64>> {
    let end_of = |name| match period.get_str(name) {
        Some(text) => DateTime::parse(text).map(|date| Some(date.interval)),
        None => Ok(None),
    };
    let (start, end) = (end_of("start").ok()?, end_of("end").ok()?);
    let low = start.map_or(i64::MIN, |start| start.low);
    let high = end.map_or(i64::MAX, |end| end.high);
    let stated = start.is_some() || end.is_some();
    (stated && low < high).then_some(Interval { low, high })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    fn interval(json: &str) -> Option<Interval<i64>> {
        period_interval(&parse(json, &Limits::default()).unwrap())
    }

    #[test]
    fn an_absent_end_is_open() {
        let year = DateTime::parse("2012").unwrap().interval;
        let whole = interval(r#"{"start":"2012","end":"2012"}"#);
        assert_eq!(whole, Some(year));
        assert_eq!(interval(r#"{"start":"2012"}"#), Some(Interval::new(year.low, i64::MAX)));
        assert_eq!(interval(r#"{"end":"2012"}"#), Some(Interval::new(i64::MIN, year.high)));
    }

    #[test]
    fn what_says_no_time_has_no_interval() {
        assert_eq!(interval("{}"), None);
        assert_eq!(interval(r#"{"start":"2013","end":"2012"}"#), None);
        assert_eq!(interval(r#"{"start":"yesterday"}"#), None);
        assert_eq!(interval("1"), None);
    }
}
