//! The statistics of `$stats` (R4 codesystem-observation-statistics.html).
//!
//! Where the code system leaves a choice: variance and standard deviation are a sample's (n - 1), percentiles
//! interpolate between neighbours, skew and kurtosis are those of the data (kurtosis 3 for a normal distribution),
//! and the regression is the slope by time, a day its unit.

/// A code of `observation-statistics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statistic {
    Average,
    Maximum,
    Minimum,
    Count,
    TotalCount,
    Median,
    StandardDeviation,
    Sum,
    Variance,
    /// A percentile, under the code it was asked by.
    Percentile(&'static str, u32),
    QuartileDeviation,
    Skew,
    Kurtosis,
    Regression,
}

/// What the unit of a statistic is, by that of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// The same.
    Same,
    /// Its square.
    Square,
    /// None.
    One,
    /// By day.
    ByDay,
}

const PERCENTILES: [(&str, u32); 8] = [
    ("20-percent", 20),
    ("80-percent", 80),
    ("4-lower", 25),
    ("4-upper", 75),
    ("5-1", 20),
    ("5-2", 40),
    ("5-3", 60),
    ("5-4", 80),
];

/// Microseconds of a day.
const DAY: f64 = 86_400_000_000.0;

/// A value and when it was measured, microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    pub value: f64,
    pub at: i64,
}

impl Statistic {
    /// Reads a code.
    pub fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "average" => Self::Average,
            "maximum" => Self::Maximum,
            "minimum" => Self::Minimum,
            "count" => Self::Count,
            "total-count" => Self::TotalCount,
            "median" => Self::Median,
            "std-dev" => Self::StandardDeviation,
            "sum" => Self::Sum,
            "variance" => Self::Variance,
            "4-dev" => Self::QuartileDeviation,
            "skew" => Self::Skew,
            "kurtosis" => Self::Kurtosis,
            "regression" => Self::Regression,
            code => {
                let (code, percent) = PERCENTILES.into_iter().find(|(known, _)| *known == code)?;
                Self::Percentile(code, percent)
            }
        })
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Average => "average",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
            Self::Count => "count",
            Self::TotalCount => "total-count",
            Self::Median => "median",
            Self::StandardDeviation => "std-dev",
            Self::Sum => "sum",
            Self::Variance => "variance",
            Self::Percentile(code, _) => code,
            Self::QuartileDeviation => "4-dev",
            Self::Skew => "skew",
            Self::Kurtosis => "kurtosis",
            Self::Regression => "regression",
        }
    }

    /// What its unit is.
    pub fn dimension(self) -> Dimension {
        match self {
            Self::Count | Self::TotalCount | Self::Skew | Self::Kurtosis => Dimension::One,
            Self::Variance => Dimension::Square,
            Self::Regression => Dimension::ByDay,
            _ => Dimension::Same,
        }
    }

    /// Its value; `None` where there are too few values for it. Not for the counts, which are whole numbers.
    pub fn of(self, measured: &[Measured]) -> Option<f64> {
        let mut sorted: Vec<f64> = measured.iter().map(|one| one.value).collect();
        sorted.sort_by(f64::total_cmp);
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len() as f64;
        let mean = sorted.iter().sum::<f64>() / n;
        let moment = |power: i32| sorted.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / n;
        let variance = || (n > 1.0).then(|| moment(2) * n / (n - 1.0));
        // By how much the values differ at all.
        let spread = || Some(moment(2)).filter(|spread| *spread > 0.0);
        let found = match self {
            Self::Average => mean,
            Self::Maximum => last,
            Self::Minimum => first,
            Self::Count | Self::TotalCount => n,
            Self::Median => percentile(&sorted, 50),
            Self::StandardDeviation => variance()?.sqrt(),
            Self::Sum => sorted.iter().sum(),
            Self::Variance => variance()?,
            Self::Percentile(_, percent) => percentile(&sorted, percent),
            Self::QuartileDeviation => percentile(&sorted, 75) - percentile(&sorted, 25),
            Self::Skew => moment(3) / spread()?.powf(1.5),
            Self::Kurtosis => moment(4) / spread()?.powi(2),
            Self::Regression => slope(measured)?,
        };
        found.is_finite().then_some(found)
    }
}

/// Of values in order, that below which `percent` of them lie, interpolated.
fn percentile(sorted: &[f64], percent: u32) -> f64 {
    let place = f64::from(percent) / 100.0 * (sorted.len() as f64 - 1.0);
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// By how much the values rise in a day, by least squares.
fn slope(measured: &[Measured]) -> Option<f64> {
    let n = measured.len() as f64;
    let start = measured.iter().map(|one| one.at).min()?;
    let day = |one: &Measured| one.at.saturating_sub(start) as f64 / DAY;
    let mean_day = measured.iter().map(day).sum::<f64>() / n;
    let mean = measured.iter().map(|one| one.value).sum::<f64>() / n;
    let spread: f64 = measured.iter().map(|one| (day(one) - mean_day).powi(2)).sum();
    let joint: f64 = measured.iter().map(|one| (day(one) - mean_day) * (one.value - mean)).sum();
    (spread > 0.0).then(|| joint / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, values: &[f64]) -> Option<f64> {
        let measured: Vec<Measured> =
            values.iter().enumerate().map(|(day, &value)| Measured { value, at: day as i64 * DAY as i64 }).collect();
        Statistic::parse(code).unwrap().of(&measured)
    }

    #[test]
    fn each_code_is_computed() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        for (code, expected) in [
            ("average", 5.0),
            ("maximum", 9.0),
            ("minimum", 2.0),
            ("count", 8.0),
            ("total-count", 8.0),
            ("median", 4.5),
            ("std-dev", (32.0_f64 / 7.0).sqrt()),
            ("sum", 40.0),
            ("variance", 32.0 / 7.0),
            ("20-percent", 4.0),
            ("80-percent", 6.2),
            ("4-lower", 4.0),
            ("4-upper", 5.5),
            ("4-dev", 1.5),
            ("5-1", 4.0),
            ("5-2", 4.0),
            ("5-3", 5.0),
            ("5-4", 6.2),
            ("skew", 0.65625),
            ("kurtosis", 2.78125),
            ("regression", 34.0 / 42.0),
        ] {
            let found = of(code, &values).unwrap();
            assert!((found - expected).abs() < 1e-9, "{code}: {found} instead of {expected}");
            assert_eq!(Statistic::parse(code).unwrap().code(), code);
        }
        assert_eq!(Statistic::parse("mode"), None);
    }

    #[test]
    fn too_few_values_have_none() {
        for code in ["std-dev", "variance", "skew", "kurtosis", "regression"] {
            assert_eq!(of(code, &[1.0]), None, "{code}");
        }
        assert_eq!(of("median", &[1.0]), Some(1.0));
        assert_eq!(of("average", &[]), None);
        assert_eq!(of("skew", &[1.0, 1.0, 1.0]), None);
    }
}
