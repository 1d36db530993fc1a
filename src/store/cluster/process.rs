//! Which PostgreSQL processes work on a cluster directory, by `/proc`.
//!
//! A process id in a file proves nothing: after a crash the number may belong to anybody. What
//! proves it is that the process runs a `postgres` program and stands in the cluster directory
//! (PostgreSQL changes into it at start and stays), which is what is asked here.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::ClusterError;

/// What a postmaster wrote to `postmaster.pid`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PostmasterFile {
    /// Its process id.
    pub pid: i32,
    /// The directory of its socket, once it listens.
    pub socket_dir: Option<PathBuf>,
    /// It accepts connections.
    pub ready: bool,
}

impl PostmasterFile {
    /// Reads the file of `cluster`; `None` where there is none or it makes no sense.
    pub fn read(cluster: &Path) -> Result<Option<Self>, ClusterError> {
        let path = cluster.join("postmaster.pid");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ClusterError::io("read", &path)(e)),
        }
    }

    // Lines: pid, data directory, start time, port, socket directory, address, shared memory, status.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        let pid = lines.next()?.parse().ok().filter(|pid| *pid > 1)?;
        let socket_dir = lines.nth(3).filter(|line| !line.is_empty()).map(PathBuf::from);
        let ready = lines.nth(2) == Some("ready");
        Some(Self { pid, socket_dir, ready })
    }
}

/// Whether `pid` is a live PostgreSQL process of `cluster`.
pub(super) fn is_postgres_of(pid: i32, cluster: &Path) -> bool {
    let Ok(cluster) = std::fs::metadata(cluster) else {
        return false;
    };
    is_postgres_at(pid, &cluster)
}

fn is_postgres_at(pid: i32, cluster: &std::fs::Metadata) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let Ok(program) = std::fs::read_link(process.join("exe")) else {
        return false;
    };
    // After an upgrade of the package the link reads `…/postgres (deleted)`.
    let named = program.file_name().is_some_and(|n| n.to_string_lossy().starts_with("postgres"));
    named
        && std::fs::metadata(process.join("cwd"))
            .is_ok_and(|cwd| (cwd.dev(), cwd.ino()) == (cluster.dev(), cluster.ino()))
}

/// All live PostgreSQL processes of `cluster`, its children too.
pub(super) fn postgres_of(cluster: &Path) -> Vec<i32> {
    let Ok(cluster) = std::fs::metadata(cluster) else {
        return Vec::new();
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten();
    processes
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| is_postgres_at(*pid, &cluster))
        .collect()
}

/// The short name of a process.
pub(super) fn command_name(pid: i32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim().to_owned())
}

/// Signals a PostgreSQL process of `cluster`; nothing where it is none (any more).
pub(super) fn signal(pid: i32, cluster: &Path, signal: Signal) {
    if is_postgres_of(pid, cluster)
        && let Some(pid) = Pid::from_raw(pid)
    {
        // It may exit in between, which is what the signal is for.
        let _ = kill_process(pid, signal);
    }
}

/// Ends what a former life left running on `cluster`, so that a new postmaster may start.
///
/// With a living postmaster this is a fast shutdown; children whose postmaster was killed end by
/// themselves within moments, and are told to quit where they do not. When this returns nothing
/// runs there, and a `postmaster.pid` that would be mistaken for a living one is gone.
pub(super) async fn end_leftovers(cluster: &Path) -> Result<(), ClusterError> {
    let postmaster = PostmasterFile::read(cluster)?.map(|file| file.pid);
    if let Some(pid) = postmaster {
        signal(pid, cluster, Signal::INT);
    }
    let patience = match postmaster {
        Some(pid) if is_postgres_of(pid, cluster) => Duration::from_secs(60),
        _ => Duration::from_secs(5),
    };
    if !gone_within(cluster, patience).await {
        for pid in postgres_of(cluster) {
            signal(pid, cluster, Signal::QUIT);
        }
        if !gone_within(cluster, Duration::from_secs(10)).await
            && let Some(pid) = postgres_of(cluster).first()
        {
            return Err(ClusterError::Stuck { path: cluster.to_owned(), pid: *pid });
        }
    }
    remove_stale_pid_file(cluster)
}

/// PostgreSQL removes a stale file itself, unless its number was given to another process of the
/// same user. Nothing runs on this cluster (the caller made sure) and we hold its lock.
fn remove_stale_pid_file(cluster: &Path) -> Result<(), ClusterError> {
    let path = cluster.join("postmaster.pid");
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(ClusterError::io("remove", &path)(e)),
        _ => Ok(()),
    }
}

async fn gone_within(cluster: &Path, patience: Duration) -> bool {
    let begun = Instant::now();
    while !postgres_of(cluster).is_empty() {
        if begun.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_read() {
        let text = "13924\n/proc/self/fd/9\n1795573532\n5432\n/run/salus-1\n\n 10037138  4\nready   \n";
        let file = PostmasterFile::parse(text).unwrap();
        assert_eq!(file, PostmasterFile { pid: 13924, socket_dir: Some("/run/salus-1".into()), ready: true });
    }

    #[test]
    fn a_broken_pid_file_is_none() {
        for text in ["", "\n\n", "abc\n", "-1\n", "0\n", "1\n", "99999999999\n"] {
            assert_eq!(PostmasterFile::parse(text), None, "{text:?}");
        }
        let early = PostmasterFile::parse("77\n/d\n1\n5432\n").unwrap();
        assert_eq!(early, PostmasterFile { pid: 77, socket_dir: None, ready: false });
    }

    #[test]
    fn an_unrelated_process_is_not_ours() {
        let here = std::env::current_dir().unwrap();
        let me = std::process::id().cast_signed();
        assert!(!is_postgres_of(me, &here), "stands in the directory but is no postgres");
    }
}
