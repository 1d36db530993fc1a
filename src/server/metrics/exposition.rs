//! The Prometheus text format, version 0.0.4.

use std::fmt::{Display, Write as _};

use super::histogram::BOUNDS;
use super::{ByClass, CLASSES};

/// Figures being written. Labels are names of our own, so none needs escaping.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A value that only grows.
    pub fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        let _ = writeln!(self.text, "{name} {value}");
    }

    /// A value that comes and goes.
    pub fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        let _ = writeln!(self.text, "{name} {value}");
    }

    /// A fact, told by a label.
    pub fn info(&mut self, name: &str, help: &str, label: &str, value: &str) {
        self.family(name, "gauge", help);
        let _ = writeln!(self.text, "{name}{{{label}=\"{value}\"}} 1");
    }

    /// Histograms by a label and status class; those that counted nothing are left out.
    pub fn histograms(&mut self, name: &str, help: &str, label: &str, series: &[(String, &ByClass)]) {
        self.family(name, "histogram", help);
        for (value, by_class) in series {
            for (class, histogram) in CLASSES.iter().zip(by_class.iter()) {
                let cumulative = histogram.cumulative();
                let count = cumulative[BOUNDS.len()];
                if count == 0 {
                    continue;
                }
                let labels = format!("{label}=\"{value}\",status=\"{class}\"");
                for (bound, below) in BOUNDS.iter().zip(cumulative) {
                    let bound = *bound as f64 / 1e6;
                    let _ = writeln!(self.text, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
                }
                let _ = writeln!(self.text, "{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
                let _ = writeln!(self.text, "{name}_sum{{{labels}}} {}", histogram.seconds());
                let _ = writeln!(self.text, "{name}_count{{{labels}}} {count}");
            }
        }
    }

    /// The text.
    pub fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_histogram_is_cumulative_and_ends_in_infinity() {
        let by_class = ByClass::default();
        by_class[1].observe(Duration::from_micros(300));
        let mut out = Exposition::default();
        out.histograms("h", "Help.", "interaction", &[("read".to_owned(), &by_class)]);
        let text = out.finish();
        assert!(text.starts_with("# HELP h Help.\n# TYPE h histogram\n"), "{text}");
        for line in [
            r#"h_bucket{interaction="read",status="2xx",le="0.00025"} 0"#,
            r#"h_bucket{interaction="read",status="2xx",le="0.0005"} 1"#,
            r#"h_bucket{interaction="read",status="2xx",le="+Inf"} 1"#,
            r#"h_sum{interaction="read",status="2xx"} 0.0003"#,
            r#"h_count{interaction="read",status="2xx"} 1"#,
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert!(!text.contains("4xx"));
    }

    #[test]
    fn plain_values_name_their_type() {
        let mut out = Exposition::default();
        out.counter("c_total", "Some.", 3);
        out.info("i", "Info.", "version", "1");
        assert_eq!(
            out.finish(),
            "# HELP c_total Some.\n# TYPE c_total counter\nc_total 3\n# HELP i Info.\n# TYPE i gauge\ni{version=\"1\"} 1\n"
        );
    }
}
