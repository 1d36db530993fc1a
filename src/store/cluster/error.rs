//! What can go wrong with the private cluster, each said so that an operator knows what to do.

use std::path::{Path, PathBuf};

/// Why the private PostgreSQL cluster could not be started, used or stopped.
///
/// These happen before the server answers requests, so most have no HTTP form: the command prints
/// the message and exits. Where one reaches a running server (the database died and could not be
/// brought back), every request answers 503 with OperationOutcome code `transient`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// No PostgreSQL server of a usable version is installed.
    #[error(
        "no PostgreSQL server {minimum} or newer found{}; install one (Debian: `apt-get install postgresql`) \
         or set DATABASE_URL to use a database of yours",
        older(found)
    )]
    NoBinaries {
        /// The oldest major version that Salus works with.
        minimum: u32,
        /// Major versions that are installed but too old.
        found: Vec<u32>,
    },

    /// The data were written by a major version of PostgreSQL that is not installed.
    #[error(
        "{} was written by PostgreSQL {data}, but only {} is installed; install postgresql-{data} beside it, \
         or move the data over with pg_upgrade",
        path.display(), list(found)
    )]
    VersionMismatch {
        /// The cluster's directory.
        path: PathBuf,
        /// The major version in its `PG_VERSION`.
        data: u32,
        /// The major versions that are installed.
        found: Vec<u32>,
    },

    /// Another process works on the same data directory.
    #[error(
        "{} is in use by {holder}; stop it first, or give this one a data directory of its own (--data-dir)",
        path.display()
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// The process that holds the lock, as `process 123 (salus)`.
        holder: String,
    },

    /// The place of the cluster is taken by something that is not a cluster.
    #[error(
        "{} is not empty and holds no PostgreSQL cluster; Salus deletes nothing it did not make: move it away, \
         or give another data directory (--data-dir)",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
    },

    /// Started by root, but there is no account to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither an account `salus` nor `postgres` to run it as; \
         make one (`useradd --system --shell /usr/sbin/nologin salus`) or start Salus as an ordinary user"
    )]
    NoAccount,

    /// A system tool is missing.
    #[error("cannot run `{tool}`: {source}; install it (Debian package {package})")]
    MissingTool {
        /// The command.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
        /// What the system said.
        source: std::io::Error,
    },

    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// The file system is full, or too full to begin.
    #[error(
        "no space for the database in {}: {} MB free there; free some, or give a data directory \
         on another disk (--data-dir)",
        path.display(), free / 1_000_000
    )]
    DiskFull {
        /// The directory on the full file system.
        path: PathBuf,
        /// Bytes free to unprivileged users.
        free: u64,
    },

    /// No safe directory for the socket.
    #[error(
        "cannot use {} for the database's socket: {reason}; remove it, or set XDG_RUNTIME_DIR to a directory \
         that only you can enter",
        path.display()
    )]
    RuntimeDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },

    /// `initdb` failed.
    #[error("initdb could not create {}:\n{output}", path.display())]
    Initdb {
        /// The cluster's directory.
        path: PathBuf,
        /// What it printed.
        output: String,
    },

    /// PostgreSQL exited instead of starting.
    #[error("PostgreSQL did not start on {}; its last words:\n{log}", path.display())]
    Start {
        /// The cluster's directory.
        path: PathBuf,
        /// The end of its log.
        log: String,
    },

    /// PostgreSQL runs but does not accept connections.
    #[error(
        "PostgreSQL on {} accepts no connections after {seconds} s; its last words:\n{log}",
        path.display()
    )]
    Unready {
        /// The cluster's directory.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
        /// The end of its log.
        log: String,
    },

    /// A PostgreSQL process does not go away.
    #[error("PostgreSQL process {pid} on {} does not stop; look at it, then `kill -QUIT {pid}`", path.display())]
    Stuck {
        /// The cluster's directory.
        path: PathBuf,
        /// The process.
        pid: i32,
    },

    /// PostgreSQL died again and again while the server ran.
    #[error("PostgreSQL died and could not be restarted in {attempts} attempts: {last}")]
    GaveUp {
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt said.
        last: String,
    },

    /// PostgreSQL refused the connection or a statement while the cluster was set up.
    #[error("the private database refused: {}", database_message(.0))]
    Database(#[from] tokio_postgres::Error),
}

impl ClusterError {
    /// For `map_err`: an I/O error with what was tried and where. `ENOSPC` becomes [`Self::DiskFull`].
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                let dir = path.parent().map_or_else(|| path.clone(), Path::to_owned);
                Self::DiskFull { free: super::disk::free(&dir).unwrap_or(0), path: dir }
            }
            _ => Self::Io { action, path, source },
        }
    }
}

fn older(found: &[u32]) -> String {
    if found.is_empty() { String::new() } else { format!(" (only {})", list(found)) }
}

fn list(versions: &[u32]) -> String {
    versions.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn database_message(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().to_owned())
}
