//! Date, DateTime and Time with the precision they were written in.
//!
//! Source: FHIRPath N1, sections 4.1.4 to 4.1.6, 6.1, 6.2 and 6.6.7; the boundaries of 2.0.0.

use std::cmp::Ordering;
use std::fmt;

use crate::datatypes::{civil_from_days, days_from_civil, days_in_month};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;

/// Which of the three types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemporalKind {
    /// A day, month or year.
    Date,
    /// A moment, to any precision from the year on.
    DateTime,
    /// A time of day.
    Time,
}

/// The last part that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
}

/// A Date, DateTime or Time. Parts that were not written are the first of their range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Temporal {
    pub(super) kind: TemporalKind,
    /// Days since 1970-01-01, in the written time zone; 0 for a Time.
    days: i64,
    /// Microseconds since midnight, in the written time zone.
    micros: i64,
    pub(super) precision: Part,
    /// Digits of the second's fraction, at most 6; further ones are beyond a microsecond and cut.
    fraction: u8,
    /// Minutes from UTC, where a time zone was written.
    offset: Option<i16>,
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CalendarUnit {
    /// 12 months.
    Year,
    /// A month of the calendar.
    Month,
    /// 7 days.
    Week,
    /// 24 hours.
    Day,
    /// 60 minutes.
    Hour,
    /// 60 seconds.
    Minute,
    /// A second.
    Second,
    /// A thousandth of a second.
    Millisecond,
}

impl CalendarUnit {
    /// Its English name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
            Self::Millisecond => "millisecond",
        }
    }

    /// Its length in microseconds; None for what has no fixed one.
    fn micros(self) -> Option<i64> {
        match self {
            Self::Year | Self::Month => None,
            Self::Week => Some(7 * DAY),
            Self::Day => Some(DAY),
            Self::Hour => Some(HOUR),
            Self::Minute => Some(60 * SECOND),
            Self::Second => Some(SECOND),
            Self::Millisecond => Some(SECOND / 1000),
        }
    }
}

/// Reads digits from the left; each `take_` consumes what it accepts, or leaves the rest alone.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest().first() == Some(&byte);
        self.at += usize::from(found);
        found
    }

    /// `sign` and two digits (or four with no sign) in a range; nothing is taken where they lack.
    fn take_number(&mut self, sign: Option<u8>, count: usize, low: i64, high: i64) -> Option<i64> {
        let skip = usize::from(sign.is_some());
        let rest = self.rest();
        let digits = rest.get(skip..skip + count)?;
        if sign.is_some_and(|sign| rest[0] != sign) || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        let number = digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        if !(low..=high).contains(&number) {
            return None;
        }
        self.at += skip + count;
        Some(number)
    }
}

impl Temporal {
    fn new(kind: TemporalKind) -> Self {
        Self { kind, days: 0, micros: 0, precision: Part::Year, fraction: 0, offset: None }
    }

    /// Reads what follows the `@` of a literal, and how long it is.
    pub(super) fn read_literal(text: &str) -> Result<(Self, usize), String> {
        let mut reader = Reader { text, at: 0 };
        let value = if reader.take(b'T') {
            let mut value = Self::new(TemporalKind::Time);
            reader.time(&mut value).map(|()| value)
        } else {
            reader.date_time()
        };
        let value = value.ok_or("this is no date or time")?;
        Ok((value, reader.at))
    }

    /// A Date or DateTime from its text without `@`: a DateTime where a `T` stands in it.
    pub(super) fn parse_date_time(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        reader.date_time().filter(|_| reader.at == text.len())
    }

    /// A Time from its text without `@T`.
    pub(super) fn parse_time(text: &str) -> Option<Self> {
        let mut reader = Reader { text, at: 0 };
        let mut value = Self::new(TemporalKind::Time);
        reader.time(&mut value)?;
        (reader.at == text.len()).then_some(value)
    }

    /// A moment in UTC to the millisecond.
    pub(super) fn from_micros(micros: i64) -> Self {
        let (days, micros) = (micros.div_euclid(DAY), micros.rem_euclid(DAY) / 1000 * 1000);
        Self { kind: TemporalKind::DateTime, days, micros, precision: Part::Second, fraction: 3, offset: Some(0) }
    }

    /// The day, without time and time zone.
    pub(super) fn date(self) -> Self {
        let precision = self.precision.min(Part::Day);
        Self { kind: TemporalKind::Date, micros: 0, fraction: 0, offset: None, precision, ..self }
    }

    /// The time of day.
    pub(super) fn time(self) -> Self {
        Self { kind: TemporalKind::Time, days: 0, offset: None, ..self }
    }

    /// The same as a DateTime.
    pub(super) fn date_time(self) -> Self {
        Self { kind: TemporalKind::DateTime, ..self }
    }

    fn parts(&self) -> [i64; 6] {
        let (year, month, day) = civil_from_days(self.days);
        [year, month, day, self.micros / HOUR, self.micros / (60 * SECOND) % 60, self.micros % (60 * SECOND)]
    }

    /// The same moment in UTC, where there is a time zone and a time.
    fn utc(&self) -> Self {
        let Some(offset) = self.offset.filter(|_| self.precision >= Part::Hour) else {
            return *self;
        };
        let micros = self.micros - i64::from(offset) * 60 * SECOND;
        Self { days: self.days + micros.div_euclid(DAY), micros: micros.rem_euclid(DAY), ..*self }
    }

    /// How the two compare; None where precision or a missing time zone leaves it open.
    ///
    /// # Errors
    /// Where one is a Time and the other is not.
    pub(super) fn compare(&self, other: &Self) -> Result<Option<Ordering>, ()> {
        if (self.kind == TemporalKind::Time) != (other.kind == TemporalKind::Time) {
            return Err(());
        }
        if self.offset.is_some() != other.offset.is_some() {
            let (a, b) = (self.span(), other.span());
            return Ok(match () {
                () if a.1 <= b.0 => Some(Ordering::Less),
                () if b.1 <= a.0 => Some(Ordering::Greater),
                () => None,
            });
        }
        let (a, b) = (self.utc().parts(), other.utc().parts());
        let first = if self.kind == TemporalKind::Time { Part::Hour as usize } else { 0 };
        let common = self.precision.min(other.precision) as usize;
        let order = a[first..=common].cmp(&b[first..=common]);
        Ok((order.is_ne() || self.precision == other.precision).then_some(order))
    }

    /// The moments it may stand for, in microseconds of UTC, the end excluded: without time zone,
    /// in any that there is.
    fn span(&self) -> (i64, i64) {
        let (low, high) = (self.filled(false), self.filled(true));
        let moment = |value: &Self, offset: i64| value.days * DAY + value.micros - offset * 60 * SECOND;
        match self.offset {
            Some(offset) => (moment(&low, i64::from(offset)), moment(&high, i64::from(offset)) + 1),
            None => (moment(&low, 14 * 60), moment(&high, -12 * 60) + 1),
        }
    }

    /// With the parts that were not written at their lowest or highest, to the microsecond.
    fn filled(&self, high: bool) -> Self {
        let mut filled = Self { precision: Part::Second, fraction: 6, ..*self };
        if !high {
            return filled;
        }
        let [year, month, ..] = self.parts();
        if self.kind != TemporalKind::Time && self.precision < Part::Day {
            let month = if self.precision < Part::Month { 12 } else { month };
            filled.days = days_from_civil(year, month, days_in_month(year, month));
        }
        filled.micros += match self.precision {
            Part::Year | Part::Month | Part::Day => DAY,
            Part::Hour => HOUR,
            Part::Minute => 60 * SECOND,
            Part::Second => 10_i64.pow(6 - u32::from(self.fraction)),
        } - 1;
        filled
    }

    /// The lowest or highest value it may stand for, to `digits` digits; None where the type has no
    /// value with so many.
    pub(super) fn boundary(&self, high: bool, digits: Option<i64>) -> Option<Self> {
        let mut value = self.filled(high);
        let (default, parts): (i64, &[(i64, Part)]) = match self.kind {
            TemporalKind::Date => (8, &[(4, Part::Year), (6, Part::Month), (8, Part::Day)]),
            TemporalKind::Time => (9, &[(2, Part::Hour), (4, Part::Minute), (6, Part::Second), (9, Part::Second)]),
            TemporalKind::DateTime => (
                17,
                &[
                    (4, Part::Year),
                    (6, Part::Month),
                    (8, Part::Day),
                    (10, Part::Hour),
                    (12, Part::Minute),
                    (14, Part::Second),
                    (17, Part::Second),
                ],
            ),
        };
        let digits = digits.unwrap_or(default);
        value.precision = parts.iter().find(|(count, _)| *count == digits)?.1;
        value.fraction = if matches!(digits, 9 | 17) { 3 } else { 0 };
        let has_zone = self.kind == TemporalKind::DateTime && value.precision >= Part::Hour;
        let open = if high { -12 * 60 } else { 14 * 60 };
        value.offset = has_zone.then_some(self.offset.unwrap_or(open));
        Some(value.truncated())
    }

    /// Without what lies beyond its precision.
    fn truncated(mut self) -> Self {
        let (year, month, _) = civil_from_days(self.days);
        let unit = match self.precision {
            Part::Year => {
                self.days = days_from_civil(year, 1, 1);
                DAY
            }
            Part::Month => {
                self.days = days_from_civil(year, month, 1);
                DAY
            }
            Part::Day => DAY,
            Part::Hour => HOUR,
            Part::Minute => 60 * SECOND,
            Part::Second => 10_i64.pow(6 - u32::from(self.fraction)),
        };
        self.micros -= self.micros % unit;
        self
    }

    /// How many digits were written, as `precision()` counts them.
    pub(super) fn digits(&self) -> i64 {
        let date = match self.precision {
            Part::Year => 4,
            Part::Month => 6,
            Part::Day => 8,
            Part::Hour => 10,
            Part::Minute => 12,
            Part::Second => 14 + i64::from(self.fraction),
        };
        if self.kind == TemporalKind::Time { date - 8 } else { date }
    }

    /// Adds whole units; None beyond the years 1 to 9999, or for days added to a Time.
    pub(super) fn add(&self, amount: i64, unit: CalendarUnit) -> Option<Self> {
        if self.kind == TemporalKind::Time {
            let micros = unit.micros().filter(|micros| *micros < DAY)?;
            let sum = (i128::from(self.micros) + i128::from(amount) * i128::from(micros)).rem_euclid(DAY.into());
            return Some(Self { micros: sum as i64, ..*self }.truncated());
        }
        let months = match (unit.micros(), self.precision) {
            (None, _) => amount.checked_mul(if unit == CalendarUnit::Year { 12 } else { 1 })?,
            // What is finer than the value is first brought to its unit (N1, 6.6.7).
            (Some(micros), Part::Year) => amount.checked_mul(micros)? / (365 * DAY) * 12,
            (Some(micros), Part::Month) => amount.checked_mul(micros)? / (30 * DAY),
            (Some(micros), _) => return self.add_micros(amount.checked_mul(micros)?),
        };
        let [year, month, day, ..] = self.parts();
        let months = if self.precision == Part::Year { months / 12 * 12 } else { months };
        let total = year.checked_mul(12)?.checked_add(month - 1)?.checked_add(months)?;
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
        if !(1..=9999).contains(&year) {
            return None;
        }
        let day = day.min(days_in_month(year, month));
        Some(Self { days: days_from_civil(year, month, day), ..*self })
    }

    fn add_micros(&self, micros: i64) -> Option<Self> {
        let unit = match self.precision {
            Part::Hour => HOUR,
            Part::Minute => 60 * SECOND,
            Part::Second => 1,
            _ => DAY,
        };
        let sum = self.micros.checked_add(micros / unit * unit)?;
        let days = self.days.checked_add(sum.div_euclid(DAY))?;
        let within = days_from_civil(1, 1, 1)..days_from_civil(10_000, 1, 1);
        let written = if self.fraction == 0 { SECOND } else { 10_i64.pow(6 - u32::from(self.fraction)) };
        let micros = sum.rem_euclid(DAY);
        within.contains(&days).then_some(Self { days, micros: micros / written * written, ..*self })
    }
}

impl Reader<'_> {
    fn date_time(&mut self) -> Option<Temporal> {
        let mut value = Temporal::new(TemporalKind::Date);
        let year = self.take_number(None, 4, 1, 9999)?;
        let (mut month, mut day) = (1, 1);
        if let Some(number) = self.take_number(Some(b'-'), 2, 1, 12) {
            (month, value.precision) = (number, Part::Month);
            if let Some(number) = self.take_number(Some(b'-'), 2, 1, days_in_month(year, month)) {
                (day, value.precision) = (number, Part::Day);
            }
        }
        value.days = days_from_civil(year, month, day);
        if self.take(b'T') {
            value.kind = TemporalKind::DateTime;
            if value.precision == Part::Day && self.rest().first().is_some_and(u8::is_ascii_digit) {
                self.time(&mut value)?;
                self.zone(&mut value)?;
            }
        }
        Some(value)
    }

    fn time(&mut self, value: &mut Temporal) -> Option<()> {
        value.micros = self.take_number(None, 2, 0, 23)? * HOUR;
        value.precision = Part::Hour;
        let Some(minute) = self.take_number(Some(b':'), 2, 0, 59) else { return Some(()) };
        value.micros += minute * 60 * SECOND;
        value.precision = Part::Minute;
        let Some(second) = self.take_number(Some(b':'), 2, 0, 60) else { return Some(()) };
        // A leap second counts as the one before it: the day keeps 24 hours.
        value.micros += second.min(59) * SECOND;
        value.precision = Part::Second;
        let fraction = self.rest().strip_prefix(b".").unwrap_or_default();
        let length = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if length > 0 {
            let counted = length.min(6);
            let number = fraction[..counted].iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
            value.fraction = counted as u8;
            value.micros += number * 10_i64.pow(6 - counted as u32);
            self.at += 1 + length;
        }
        Some(())
    }

    fn zone(&mut self, value: &mut Temporal) -> Option<()> {
        if self.take(b'Z') {
            value.offset = Some(0);
            return Some(());
        }
        let sign = match self.rest() {
            // A sign with no two digits and colon after it is an operator.
            [b'+', a, b, b':', ..] if a.is_ascii_digit() && b.is_ascii_digit() => 1,
            [b'-', a, b, b':', ..] if a.is_ascii_digit() && b.is_ascii_digit() => -1,
            _ => return Some(()),
        };
        self.at += 1;
        let hours = self.take_number(None, 2, 0, 14)?;
        let minutes = self.take_number(Some(b':'), 2, 0, 59)?;
        value.offset = Some(sign * (hours * 60 + minutes) as i16);
        Some(())
    }
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day, hour, minute, _] = self.parts();
        if self.kind != TemporalKind::Time {
            write!(f, "{year:04}")?;
            if self.precision >= Part::Month {
                write!(f, "-{month:02}")?;
            }
            if self.precision >= Part::Day {
                write!(f, "-{day:02}")?;
            }
            if self.precision < Part::Hour {
                return Ok(());
            }
            f.write_str("T")?;
        }
        write!(f, "{hour:02}")?;
        if self.precision >= Part::Minute {
            write!(f, ":{minute:02}")?;
        }
        if self.precision >= Part::Second {
            write!(f, ":{:02}", self.micros / SECOND % 60)?;
            if self.fraction > 0 {
                let digits = format!("{:06}", self.micros % SECOND);
                write!(f, ".{}", &digits[..usize::from(self.fraction)])?;
            }
        }
        match self.offset {
            None => Ok(()),
            Some(0) => f.write_str("Z"),
            Some(offset) => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}
