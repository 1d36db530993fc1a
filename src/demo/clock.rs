//! Time in whole minutes, and how FHIR writes it.

use jiff::civil;

/// Minutes in an hour.
pub(crate) const HOUR: i64 = 60;
/// Minutes in a day.
pub(crate) const DAY: i64 = 24 * HOUR;

/// The hospital's clock is five hours behind UTC all year round.
const OFFSET: i64 = -5 * HOUR;

/// A point in time: minutes since 1970-01-01T00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    /// Midnight UTC of a date.
    pub(crate) fn midnight(date: civil::Date) -> Moment {
        let (y, m, d) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        // Days from the civil calendar, by 400-year eras that start in March.
        let y = if m <= 2 { y - 1 } else { y };
        let era = y.div_euclid(400);
        let year_of_era = y.rem_euclid(400);
        let day_of_year = (153 * ((m + 9) % 12) + 2) / 5 + d - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        Moment((era * 146_097 + day_of_era - 719_468) * DAY)
    }

    /// This moment and `minutes` more.
    pub(crate) fn plus(self, minutes: i64) -> Moment {
        Moment(self.0 + minutes)
    }

    /// Minutes from `earlier` to this.
    pub(crate) fn since(self, earlier: Moment) -> i64 {
        self.0 - earlier.0
    }

    /// Hour of the day on the hospital's clock, with its fraction.
    pub(crate) fn hour_of_day(self) -> f64 {
        (self.0 + OFFSET).rem_euclid(DAY) as f64 / HOUR as f64
    }

    /// The same day at this time on the hospital's clock.
    pub(crate) fn at(self, hour: i64, minute: i64) -> Moment {
        let local = self.0 + OFFSET;
        Moment(local - local.rem_euclid(DAY) + hour * HOUR + minute - OFFSET)
    }

    /// Year, month and day on the hospital's clock.
    pub(crate) fn civil(self) -> (i64, i64, i64) {
        let days = (self.0 + OFFSET).div_euclid(DAY) + 719_468;
        let era = days.div_euclid(146_097);
        let doe = days.rem_euclid(146_097);
        let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        (year, month, doy - (153 * mp + 2) / 5 + 1)
    }

    /// A FHIR `date`.
    pub(crate) fn date(self) -> String {
        let (y, m, d) = self.civil();
        format!("{y:04}-{m:02}-{d:02}")
    }

    /// A FHIR `dateTime` or `instant` with the hospital's offset.
    pub(crate) fn date_time(self) -> String {
        let minute = (self.0 + OFFSET).rem_euclid(DAY);
        format!("{}T{:02}:{:02}:00-05:00", self.date(), minute / HOUR, minute % HOUR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for (y, m, d) in [(1970, 1, 1), (2000, 2, 29), (1899, 12, 31), (2026, 3, 1)] {
            let moment = Moment::midnight(civil::date(y, m, d)).plus(5 * HOUR);
            assert_eq!(moment.date(), format!("{y:04}-{m:02}-{d:02}"));
        }
        assert_eq!(Moment::midnight(civil::date(1970, 1, 2)), Moment(DAY), "the epoch");
    }

    #[test]
    fn a_moment_is_written_on_the_hospitals_clock() {
        let moment = Moment::midnight(civil::date(2026, 3, 1)).plus(90);
        assert_eq!(moment.date_time(), "2026-02-28T20:30:00-05:00");
        assert_eq!(moment.at(9, 5).date_time(), "2026-02-28T09:05:00-05:00", "same local day");
    }
}
