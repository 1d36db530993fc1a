//! On what, of what and when: the line above the table.

use std::process::Command;

/// One line (`benches/run` says the revision it built: the tree may have moved on since): date, revision, processor, cores, memory, kernel.
pub fn described() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpu.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let gigabytes = kilobytes.map_or(f64::NAN, |kilobytes: f64| kilobytes * 1024.0 / 1e9);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{}, revision {}; {cores} cores of {}, {gigabytes:.0} GB; Linux {}",
        said("date", &["-u", "+%F %H:%M UTC"]),
        std::env::var("SALUS_BENCH_REVISION").unwrap_or_else(|_| "unknown".to_owned()),
        model.unwrap_or_else(|| "unknown make".to_owned()),
        said("uname", &["-r"]),
    )
}

/// How many processes ran or waited in the last minute; beyond the measurement's own, others' work.
pub fn load() -> String {
    let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    average.split_whitespace().next().unwrap_or("?").to_owned()
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "unknown".to_owned() } else { text }
}
