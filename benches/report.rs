//! The table that is printed: Markdown, with the target beside each figure.

use crate::lab::cpu_a_request;
use crate::load::{Turn, median, spread};

/// A line of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What was measured.
    pub figure: String,
    /// What Salus reached, with its unit.
    pub salus: String,
    /// What it is compared with.
    pub beside: String,
    /// The ratio and its spread.
    pub ratio: String,
    /// What was asked for.
    pub target: String,
    /// Whether it was reached, where there is a target.
    pub reached: Option<bool>,
}

/// Everything that was found out.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
    costs: Vec<String>,
    notes: Vec<String>,
}

impl Report {
    /// Adds a line.
    pub fn row(&mut self, row: Row) {
        crate::progress(&format!("{}: {} | {} | {}", row.figure, row.salus, row.beside, row.ratio));
        self.rows.push(row);
    }

    /// Adds a sentence below the tables.
    pub fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Adds what a request of this kind costs in processor time.
    pub fn cost(&mut self, what: &str, turns: &[Turn]) {
        let cpu = cpu_a_request(turns);
        let (rate, latency) = (median(turns.iter().map(Turn::rate)), |share| {
            median(turns.iter().map(|turn| turn.percentile(share))) * 1e3
        });
        self.costs.push(format!(
            "| {what} | {rate:.0} | {:.2} | {:.2} | {:.0} | {:.0} | {:.0} |",
            latency(0.5),
            latency(0.99),
            cpu.server,
            cpu.postgres,
            cpu.generator
        ));
    }

    /// A line that compares rates, turn by turn, with at least `target` asked for.
    pub fn ratio(&mut self, figure: &str, beside: &str, salus: &[Turn], other: &[Turn], target: Option<f64>) {
        let ratios: Vec<f64> = salus.iter().zip(other).map(|(a, b)| a.rate() / b.rate()).collect();
        let (middle, (low, high)) = (median(ratios.iter().copied()), spread(ratios));
        self.row(Row {
            figure: figure.to_owned(),
            salus: format!("{:.0}/s", median(salus.iter().map(Turn::rate))),
            beside: format!("{beside} {:.0}/s", median(other.iter().map(Turn::rate))),
            ratio: format!("{middle:.2} ({low:.2} to {high:.2})"),
            target: target.map(|target| format!("≥ {target}")).unwrap_or_default(),
            reached: target.map(|target| middle >= target),
        });
    }

    /// All of it as Markdown.
    pub fn markdown(&self) -> String {
        let mut text =
            String::from("| figure | Salus | beside | ratio (spread) | target | |\n|---|---|---|---|---|---|\n");
        for row in &self.rows {
            let mark = row.reached.map(|reached| if reached { "reached" } else { "**short**" }).unwrap_or_default();
            let cells = [&row.figure, &row.salus, &row.beside, &row.ratio, &row.target].map(String::as_str);
            text.push_str(&format!("| {} | {mark} |\n", cells.join(" | ")));
        }
        if !self.costs.is_empty() {
            text.push_str("\nLatency, and processor time a request (server, its PostgreSQL, load generator):\n\n");
            text.push_str("| requests | /s | p50 ms | p99 ms | server µs | PostgreSQL µs | generator µs |\n");
            text.push_str("|---|---|---|---|---|---|---|\n");
            self.costs.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        for note in &self.notes {
            text.push_str(&format!("\n- {note}"));
        }
        text.push('\n');
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Cpu;

    #[test]
    fn a_ratio_below_its_target_is_marked() {
        let turn = |seconds| Turn { requests: 100, seconds, latencies: vec![0.001], cpu: Cpu::default() };
        let mut report = Report::default();
        report.ratio("read", "bare", &[turn(2.0), turn(2.0)], &[turn(1.0), turn(1.0)], Some(0.6));
        let text = report.markdown();
        assert!(text.contains("| read | 50/s | bare 100/s | 0.50 (0.50 to 0.50) | ≥ 0.6 | **short** |"), "{text}");
    }
}
