//! `Timing` as an interval.

use super::{DateTime, Interval, period_interval};
use crate::json::Value;

/// The outer limits of a `Timing`, in microseconds since the epoch: what its events and its
/// `repeat.boundsPeriod` cover together. `None` where it has neither.
///
/// Source: R4 search.html#date ("Timing: the specified scheduling details are ignored and only the
/// outer limits matter").
pub fn timing_interval(timing: &Value<'_>) -> Option<Interval<i64>> {
    let events = timing.items("event").iter().filter_map(Value::as_str);
    let events = events.filter_map(|event| DateTime::parse(event).ok()).map(|event| event.interval);
    let bounds = timing.at(&["repeat", "boundsPeriod"]).and_then(period_interval);
    events.chain(bounds).reduce(|all, one| all.envelope(&one))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Limits, parse};

    #[test]
    fn events_and_bounds_make_the_outer_limits() {
        let interval = |json: &str| timing_interval(&parse(json, &Limits::default()).unwrap());
        let of = |text: &str| DateTime::parse(text).unwrap().interval;
        let events = interval(r#"{"event":["2012-03-02","2012-03-01","2012-03-05"]}"#);
        assert_eq!(events, Some(Interval::new(of("2012-03-01").low, of("2012-03-05").high)));
        let bounds = interval(r#"{"event":["2012"],"repeat":{"boundsPeriod":{"start":"2011"}}}"#);
        assert_eq!(bounds, Some(Interval::new(of("2011").low, i64::MAX)));
        assert_eq!(interval(r#"{"code":{"text":"BID"}}"#), None);
    }
}
