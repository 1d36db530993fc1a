//! `date`, `dateTime` and `instant`, and the form of them that searches use.
//!
//! Source: R4 datatypes.html#dateTime (the regular expressions there are followed strictly, and the
//! day must exist in the calendar); search.html#date.
//!
//! A value without a time zone is read as UTC: the specification leaves that to the server, and one
//! fixed zone keeps an answer the same on every node. A leap second (`:60`) is the second after `:59`.

use super::{Interval, ParseError};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How much of a date was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Precision {
    /// `2012`
    Year,
    /// `2012-03`
    Month,
    /// `2012-03-04`
    Day,
    /// `2012-03-04T05:06Z`: only in searches.
    Minute,
    /// `2012-03-04T05:06:07Z`
    Second,
    /// With this many digits of a second, 1 to 6; further digits are beyond a microsecond and cut.
    Fraction(u8),
}

/// A date, dateTime or instant with the span of time it stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    /// Microseconds since 1970-01-01T00:00:00Z: from the moment named to the first one after it.
    pub interval: Interval<i64>,
    /// How much was written.
    pub precision: Precision,
    /// Offset from UTC in minutes, where a time zone was written.
    pub offset: Option<i16>,
}

/// What differs between the datatypes that share this grammar.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Date,
    DateTime,
    Instant,
    Search,
}

impl DateTime {
    /// Parses a FHIR `dateTime`: a year, month, day, or day and time with seconds and time zone.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse(text, Form::DateTime).ok_or(ParseError { datatype: "dateTime" })
    }

    /// Parses a FHIR `date`: a year, month or day.
    pub fn parse_date(text: &str) -> Result<Self, ParseError> {
        parse(text, Form::Date).ok_or(ParseError { datatype: "date" })
    }

    /// Parses a FHIR `instant`: day, time to the second at least, and time zone.
    pub fn parse_instant(text: &str) -> Result<Self, ParseError> {
        parse(text, Form::Instant).ok_or(ParseError { datatype: "instant" })
    }

    /// Parses the value of a date search parameter: as `dateTime`, but seconds and time zone may be
    /// absent, and the `+` of a time zone may have been decoded to a space (R4 search.html#date).
    pub fn parse_search(text: &str) -> Result<Self, ParseError> {
        parse(text, Form::Search).ok_or(ParseError { datatype: "date" })
    }
}

/// Writes microseconds since the epoch as an `instant` in UTC with milliseconds, as
/// `meta.lastUpdated` is written. Times outside the years 1 to 9999 are clamped to them.
pub fn instant(microseconds: i64) -> String {
    let low = days_from_civil(1, 1, 1) * DAY;
    let high = days_from_civil(10_000, 1, 1) * DAY - 1;
    let microseconds = microseconds.clamp(low, high);
    let (days, rest) = (microseconds.div_euclid(DAY), microseconds.rem_euclid(DAY));
    let (year, month, day) = civil_from_days(days);
    let (second, milli) = (rest / SECOND, rest % SECOND / 1000);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// Reads the text from left to right; each `take_` consumes or leaves the rest alone.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Exactly `count` digits whose number lies in `low..=high`.
    fn take_number(&mut self, count: usize, low: i64, high: i64) -> Option<i64> {
        let digits = self.rest.get(..count)?;
        let mut number = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            number = number * 10 + i64::from(digit - b'0');
        }
        self.rest = &self.rest[count..];
        (low..=high).contains(&number).then_some(number)
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

fn parse(text: &str, form: Form) -> Option<DateTime> {
    let mut reader = Reader { rest: text.as_bytes() };
    let year = reader.take_number(4, 1, 9999)?;
    if reader.is_empty() {
        return calendar(form, Precision::Year, (year, 1, 1), (year + 1, 1, 1));
    }
    let month = reader.take(b'-').then(|| reader.take_number(2, 1, 12))??;
    if reader.is_empty() {
        let next = if month == 12 { (year + 1, 1, 1) } else { (year, month + 1, 1) };
        return calendar(form, Precision::Month, (year, month, 1), next);
    }
    let day = reader.take(b'-').then(|| reader.take_number(2, 1, days_in_month(year, month)))??;
    let midnight = days_from_civil(year, month, day) * DAY;
    if reader.is_empty() {
        let interval = Interval::new(midnight, midnight + DAY);
        return (form != Form::Instant).then_some(DateTime { interval, precision: Precision::Day, offset: None });
    }
    if form == Form::Date || !reader.take(b'T') {
        return None;
    }
    time(reader, form, midnight)
}

fn calendar(form: Form, precision: Precision, from: (i64, i64, i64), to: (i64, i64, i64)) -> Option<DateTime> {
    let start = |(year, month, day)| days_from_civil(year, month, day) * DAY;
    let interval = Interval::new(start(from), start(to));
    (form != Form::Instant).then_some(DateTime { interval, precision, offset: None })
}

fn time(mut reader: Reader<'_>, form: Form, midnight: i64) -> Option<DateTime> {
    let hour = reader.take_number(2, 0, 23)?;
    let minute = reader.take(b':').then(|| reader.take_number(2, 0, 59))??;
    let mut moment = midnight + (hour * 60 + minute) * 60 * SECOND;
    let (mut precision, mut width) = (Precision::Minute, 60 * SECOND);
    if reader.take(b':') {
        moment += reader.take_number(2, 0, 60)? * SECOND;
        (precision, width) = (Precision::Second, SECOND);
        if reader.take(b'.') {
            let (fraction, digits) = take_fraction(&mut reader)?;
            moment += fraction;
            (precision, width) = (Precision::Fraction(digits), 10_i64.pow(6 - u32::from(digits)));
        }
    } else if form != Form::Search {
        return None;
    }
    let offset = take_offset(&mut reader, form)?;
    if !reader.is_empty() {
        return None;
    }
    moment -= i64::from(offset.unwrap_or(0)) * 60 * SECOND;
    Some(DateTime { interval: Interval::new(moment, moment + width), precision, offset })
}

/// The digits after the point, as microseconds, and how many of them count (at most 6).
fn take_fraction(reader: &mut Reader<'_>) -> Option<(i64, u8)> {
    let length = reader.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = reader.rest.split_at(length);
    reader.rest = rest;
    let counted = length.min(6);
    let number = digits[..counted].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
    (length > 0).then_some((number * 10_i64.pow(6 - counted as u32), counted as u8))
}

/// The outer `None` refuses the text; the inner one is a search value without a time zone.
fn take_offset(reader: &mut Reader<'_>, form: Form) -> Option<Option<i16>> {
    if reader.take(b'Z') {
        return Some(Some(0));
    }
    if reader.is_empty() && form == Form::Search {
        return Some(None);
    }
    let sign = match () {
        () if reader.take(b'+') => 1,
        () if reader.take(b'-') => -1,
        () if form == Form::Search && reader.take(b' ') => 1,
        () => return None,
    };
    let hours = reader.take_number(2, 0, 14)?;
    let last_minute = if hours == 14 { 0 } else { 59 };
    let minutes = reader.take(b':').then(|| reader.take_number(2, 0, last_minute))??;
    Some(Some(sign * (hours * 60 + minutes) as i16))
}

/// How many days a month has.
pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar. Years are counted from March, so that
/// the leap day is the last of its year, in cycles of 400 years (146,097 days).
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year_of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * 146_097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year - 719_468
}

/// The year, month and day of a number of days since 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (cycle, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_cycle = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = cycle * 400 + year_of_cycle + i64::from(month <= 2);
    (year, month, day_of_year - (153 * march_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn span(text: &str) -> (String, String) {
        let interval = DateTime::parse_search(text).unwrap().interval;
        (instant(interval.low), instant(interval.high))
    }

    #[test]
    fn a_value_spans_what_it_leaves_open() {
        let expected = |low: &str, high: &str| (low.to_owned(), high.to_owned());
        assert_eq!(span("2012"), expected("2012-01-01T00:00:00.000Z", "2013-01-01T00:00:00.000Z"));
        assert_eq!(span("2012-12"), expected("2012-12-01T00:00:00.000Z", "2013-01-01T00:00:00.000Z"));
        assert_eq!(span("2012-02-28"), expected("2012-02-28T00:00:00.000Z", "2012-02-29T00:00:00.000Z"));
        assert_eq!(span("2012-02-28T10:30"), expected("2012-02-28T10:30:00.000Z", "2012-02-28T10:31:00.000Z"));
        assert_eq!(
            span("2012-02-28T10:30:15.25+02:00"),
            expected("2012-02-28T08:30:15.250Z", "2012-02-28T08:30:15.260Z")
        );
        assert_eq!(span("2012-02-28T10:30 02:00"), span("2012-02-28T10:30+02:00"));
        assert_eq!(span("2016-12-31T23:59:60Z").0, "2017-01-01T00:00:00.000Z");
    }

    #[test]
    fn fractions_beyond_a_microsecond_are_cut() {
        let long = DateTime::parse("2020-01-01T00:00:00.123456789Z").unwrap();
        assert_eq!(long.precision, Precision::Fraction(6));
        assert_eq!(long.interval.high - long.interval.low, 1);
    }

    #[test]
    fn what_the_grammar_excludes_is_refused() {
        for text in [
            "",
            "0000",
            "12",
            "20120",
            "2012-13",
            "2012-00",
            "2012-1",
            "2011-02-29",
            "2012-02-30",
            "2012-02-28T",
            "2012-02-28T10:30Z",
            "2012-02-28T10:30:00",
            "2012-02-28T24:00:00Z",
            "2012-02-28T10:30:61Z",
            "2012-02-28T10:30:00.Z",
            "2012-02-28T10:30:00+14:01",
            "2012-02-28T10:30:00+15:00",
            "2012-02-28 10:30:00Z",
            "2012-02-28T10:30:00 02:00",
            "2012-02-28T10:30:00z",
            " 2012",
            "2012 ",
            "２０１２",
        ] {
            assert!(DateTime::parse(text).is_err(), "{text}");
        }
        assert!(DateTime::parse_date("2012-02-28T10:30:00Z").is_err());
        assert!(DateTime::parse_instant("2012-02-28").is_err());
        assert!(DateTime::parse_instant("2012-02-28T10:30:00Z").is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = DateTime::parse_search(&text);
        }

        #[test]
        fn nearly_right_text_does_not_panic(text in "[0-9]{4}(-[0-9]{2}){0,2}(T[0-9:.+Z -]{0,24})?") {
            let _ = DateTime::parse_search(&text);
        }

        #[test]
        fn an_instant_reads_back(microseconds in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let text = instant(microseconds);
            let parsed = DateTime::parse_instant(&text).unwrap();
            prop_assert_eq!(parsed.interval.low, microseconds.div_euclid(1000) * 1000);
            prop_assert_eq!(parsed.interval.high - parsed.interval.low, 1000);
        }

        #[test]
        fn the_calendar_agrees_with_jiff(year in 1_i16..=9999, month in 1_i8..=12, day in 1_i8..=31) {
            let ours = DateTime::parse(&format!("{year:04}-{month:02}-{day:02}")).ok();
            let theirs = jiff::civil::Date::new(year, month, day).ok().map(|date| {
                let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).unwrap();
                zoned.timestamp().as_microsecond()
            });
            prop_assert_eq!(ours.map(|date| date.interval.low), theirs);
        }

        #[test]
        fn less_precision_is_a_wider_interval(microseconds in -62_135_596_800_000_000_i64..253_402_300_800_000_000) {
            let text = instant(microseconds);
            let mut inner = DateTime::parse_search(&text).unwrap().interval;
            for cut in [19, 16, 10, 7, 4] {
                let outer = DateTime::parse_search(&text[..cut]).unwrap().interval;
                prop_assert!(outer.contains(&inner), "{} does not hold {}", &text[..cut], text);
                inner = outer;
            }
        }
    }
}
