//! Instants as microseconds since 1970, from and to FHIR text.

use crate::error::{Error, Result};
use jiff::{Timestamp, ToSpan, civil, tz::TimeZone};

/// Microseconds in an hour.
pub const HOUR: i64 = 3_600_000_000;

/// The first instant of a FHIR `dateTime`, `date` or `instant` (R4 datatypes.html#dateTime), in
/// microseconds since 1970. Text without an offset is taken as UTC.
///
/// # Errors
/// [`Error::DateTime`] where the text is none of these.
pub fn parse(text: &str) -> Result<i64> {
    first_instant(text).ok_or_else(|| Error::DateTime(text.chars().take(40).collect()))
}

fn first_instant(text: &str) -> Option<i64> {
    if text.contains('T') {
        return text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond);
    }
    civil_date(text)?.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp().as_microsecond())
}

/// The last instant that a FHIR `dateTime` or `date` can mean, in microseconds since 1970: of a
/// day, month or year its last microsecond.
///
/// # Errors
/// [`Error::DateTime`] where the text is neither.
pub fn parse_end(text: &str) -> Result<i64> {
    let first = parse(text)?;
    let next = civil_date(text).and_then(|day| {
        let span = match text.len() {
            4 => 1.year(),
            7 => 1.month(),
            _ => 1.day(),
        };
        day.checked_add(span).ok()?.to_zoned(TimeZone::UTC).ok()
    });
    Ok(next.map_or(first, |next| next.timestamp().as_microsecond() - 1))
}

/// A FHIR `date` of any precision as the first day it can mean.
pub(crate) fn civil_date(text: &str) -> Option<civil::Date> {
    let digits = |part: &str, width: usize| {
        (part.len() == width && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<i16>().ok())?
    };
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = parts.next().map_or(Some(1), |p| digits(p, 2))?;
    let day = parts.next().map_or(Some(1), |p| digits(p, 2))?;
    civil::Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

/// An instant as FHIR writes it, in UTC with millisecond precision at most.
pub fn format(micros: i64) -> String {
    let clamped = micros.clamp(Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
    let millis = clamped.div_euclid(1000);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// Completed years of age at an instant, from a `birthDate` of any precision.
pub fn age_years(birth_date: &str, at: i64) -> Option<f64> {
    let born = civil_date(birth_date)?;
    let day = Timestamp::from_microsecond(at).ok()?.to_zoned(TimeZone::UTC).date();
    let years = i32::from(day.year()) - i32::from(born.year());
    let before_birthday = (day.month(), day.day()) < (born.month(), born.day());
    let age = years - i32::from(before_birthday);
    (day >= born).then(|| f64::from(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_dates_mean_their_first_instant() {
        for (text, written) in [
            ("2020", "2020-01-01T00:00:00Z"),
            ("2020-03", "2020-03-01T00:00:00Z"),
            ("2020-03-05", "2020-03-05T00:00:00Z"),
            ("2020-03-05T10:00:00+02:00", "2020-03-05T08:00:00Z"),
            ("2020-03-05T10:00:00.1234567Z", "2020-03-05T10:00:00.123Z"),
        ] {
            assert_eq!(format(parse(text).unwrap()), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in ["", "20", "2020-13", "2020-02-30", "2020-2-3", "yesterday", "2020-01-01T", "+020-01-01"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn age_is_in_completed_years() {
        for (day, age) in [("2020-06-30", 69.0), ("2020-07-01", 70.0), ("1950-07-01", 0.0)] {
            assert_eq!(age_years("1950-07-01", parse(day).unwrap()), Some(age), "{day}");
        }
        assert_eq!(age_years("1950", parse("2020").unwrap()), Some(70.0));
        assert_eq!(age_years("2030-01-01", parse("2020").unwrap()), None);
        assert_eq!(age_years("unknown", parse("2020").unwrap()), None);
    }
}
