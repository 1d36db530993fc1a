//! The processes that are measured: starting and stopping them, their processor time and memory.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Fallible;
use crate::http::request;
use crate::load::once;

/// A running server: where it answers, and which processes do its work.
pub struct Place {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its data directory.
    pub data_dir: PathBuf,
    /// From being started to being ready.
    pub start_up: Duration,
    pid: u32,
    /// `None` where it ran already, and goes on.
    process: Option<Child>,
}

impl Place {
    /// Starts `program` with these words (and `--listen`, `--data-dir`), and waits until it is ready.
    ///
    /// # Errors
    /// One that ends, or is not ready within `patience`, with what it wrote.
    pub async fn start(
        program: &Path,
        words: &[&str],
        data_dir: &Path,
        environment: &[(&str, &Path)],
        patience: Duration,
    ) -> Fallible<Self> {
        std::fs::create_dir_all(data_dir)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = data_dir.join("server.log");
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        // However this run ends, the kernel tells its servers to.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(program).args(words);
        command.arg("--listen").arg(address.to_string()).arg("--data-dir").arg(data_dir);
        command.envs(environment.iter().copied()).env_remove("DATABASE_URL");
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let begun = Instant::now();
        let process = command.spawn().map_err(|error| format!("setpriv {}: {error}", program.display()))?;
        let (pid, start_up) = (process.id(), Duration::ZERO);
        let mut place = Self { address, data_dir: data_dir.to_owned(), start_up, pid, process: Some(process) };
        let ready = request("GET", "/health/ready", None, "");
        while !matches!(once(address, &ready).await, Ok((200, _))) {
            if place.has_ended()? || begun.elapsed() > patience {
                let log = std::fs::read_to_string(&log).unwrap_or_default();
                return Err(format!("{} did not get ready:\n{log}", program.display()).into());
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        place.start_up = begun.elapsed();
        Ok(place)
    }

    /// A Salus that runs already, as under a profiler; it is not stopped.
    ///
    /// # Errors
    /// Where none works on this data directory.
    pub fn attach(data_dir: &Path, address: SocketAddr) -> Fallible<Self> {
        let lock = std::fs::read_to_string(data_dir.join("salus.lock"))?;
        let pid = lock.trim().parse().map_err(|_| format!("no server works on {}", data_dir.display()))?;
        Ok(Self { address, data_dir: data_dir.to_owned(), start_up: Duration::ZERO, pid, process: None })
    }

    fn has_ended(&mut self) -> Fallible<bool> {
        Ok(match &mut self.process {
            Some(process) => process.try_wait()?.is_some(),
            None => false,
        })
    }

    /// Processor time so far of the server, its PostgreSQL, and this process.
    pub fn cpu(&self) -> Cpu {
        Cpu {
            server: seconds_of(self.pid).map_or(0.0, |(_, seconds)| seconds),
            postgres: self.postmaster().map_or(0.0, seconds_of_tree),
            generator: seconds_of(std::process::id()).map_or(0.0, |(_, seconds)| seconds),
        }
    }

    /// A field of the server's `/proc/PID/status` in kB, such as `VmRSS` or `VmHWM`, as MB.
    pub fn memory(&self, field: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid)).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        number.map_or(f64::NAN, |kilobytes| kilobytes * 1024.0 / 1e6)
    }

    fn postmaster(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.data_dir.join("postgres").join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        if let Some(pid) = rustix::process::Pid::from_raw(self.pid.cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = process.wait();
    }
}

/// Processor time, seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu {
    /// Of the server.
    pub server: f64,
    /// Of PostgreSQL, all processes of the cluster.
    pub postgres: f64,
    /// Of the load generator.
    pub generator: f64,
}

impl Cpu {
    /// What was used since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            server: self.server - before.server,
            postgres: self.postgres - before.postgres,
            generator: self.generator - before.generator,
        }
    }
}

/// Linux reports processor time in hundredths of a second, whatever its own clock.
const TICKS: f64 = 100.0;

/// Parent and processor seconds of a process (proc(5), `/proc/PID/stat`).
fn seconds_of(pid: u32) -> Option<(u32, f64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(&stat)
}

fn parse_stat(stat: &str) -> Option<(u32, f64)> {
    // The name may hold spaces and parentheses; what follows it does not.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<f64>().ok();
    // Its own, and that of children that ended, as backends do.
    Some((fields.get(1)?.parse().ok()?, (ticks(11)? + ticks(12)? + ticks(13)? + ticks(14)?) / TICKS))
}

fn seconds_of_tree(postmaster: u32) -> f64 {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let of_cluster = pids.filter_map(|pid| Some((pid, seconds_of(pid)?)));
    of_cluster
        .filter(|(pid, (parent, _))| *pid == postmaster || *parent == postmaster)
        .map(|(_, (_, seconds))| seconds)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_an_odd_name_is_read() {
        let stat = "12 (a) b c) S 7 12 12 0 -1 4194560 1 2 3 4 130 50 12 8 20 0 2 0 100 1 1 1";
        assert_eq!(parse_stat(stat), Some((7, 2.0)));
    }
}
