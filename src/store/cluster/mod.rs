//! The server's own PostgreSQL cluster.
//!
//! Without a `DATABASE_URL`, Salus runs PostgreSQL itself in `<data-dir>/postgres`: made with
//! checksums, reached over a unix socket only, run by an unprivileged account even where Salus was
//! started by root, stopped with the server, and brought back after either was killed.
//!
//! [`Cluster`] is the type to know. A server calls [`Cluster::start`]; a command that works beside
//! a running server calls [`Cluster::attach_or_start`].
//!
//! How the promises are kept:
//! - **One server a data directory**: [`DataDirLock`], a kernel lock that ends with its process.
//! - **Whole or not at all**: `initdb` works under another name, renamed when done.
//! - **Whose process is it**: never judged by a pid file, but by what `/proc` says: a `postgres` that
//!   stands in our directory. A server that was killed leaves such a process; the next start shuts
//!   it down and starts its own, so that there is one way to run, one log and one set of settings.
//! - **Nobody else gets in**: the socket's directory is open to one account, and the kernel tells
//!   PostgreSQL who connects (peer authentication). No password exists.
//! - **Least privilege**: the server's role owns its database and is no superuser.
//! - **It stays up**: a postmaster that dies is restarted, with growing pauses, until that is hopeless.
//!
//! Out of scope: replicas, upgrades between major versions, anything over a network. Those who need
//! them set `DATABASE_URL`.

mod account;
mod binaries;
mod disk;
mod error;
mod initialize;
mod launch;
mod layout;
mod lock;
mod log;
mod postmaster;
mod process;
mod settings;
mod supervise;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

pub use error::ClusterError;
pub use lock::DataDirLock;
pub use supervise::ClusterState;

use account::Accounts;
use binaries::Binaries;
use layout::Layout;
use log::Log;
use postmaster::Postmaster;
use process::PostmasterFile;
use supervise::Supervised;

/// The database that Salus keeps its rows in.
pub const DATABASE: &str = "salus";
/// The role that owns it.
const ROLE: &str = "salus";
/// The cluster's superuser, used to set it up and to copy it for backups.
const SUPERUSER: &str = "postgres";

/// A private PostgreSQL cluster, ready for connections.
///
/// Call [`Cluster::stop`] to end it in order. Dropping it asks for the same shutdown and waits for
/// it a few seconds, as a panicking server or test would.
#[derive(Debug)]
pub struct Cluster {
    socket_dir: PathBuf,
    state: watch::Receiver<ClusterState>,
    owned: Option<Owned>,
}

/// What only the process that runs the cluster holds.
#[derive(Debug)]
struct Owned {
    postmaster: Arc<Postmaster>,
    pid: Arc<AtomicI32>,
    stop: oneshot::Sender<()>,
    supervision: JoinHandle<Result<(), ClusterError>>,
    _lock: DataDirLock,
}

impl Cluster {
    /// Starts the cluster of `data_dir`, making directory and cluster where they are missing, and
    /// keeps it running. `progress` gets a line for each step that may take seconds.
    ///
    /// # Errors
    /// [`ClusterError::InUse`] where another process works there; else see the variants.
    pub async fn start(data_dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, ClusterError> {
        let layout = Layout::create(data_dir)?;
        let lock = DataDirLock::acquire(&layout.data_dir)?;
        let existing = layout.data_version()?;
        let binaries = Binaries::find(existing, &layout.cluster)?;
        let accounts = Accounts::for_cluster(&layout.cluster)?;
        if existing.is_none() {
            progress("creating the database cluster");
            initialize::initialize(&layout, &accounts, &binaries).await?;
        } else if !process::postgres_of(&layout.cluster).is_empty() {
            progress("shutting down the PostgreSQL that a killed server left");
        }
        process::end_leftovers(&layout.cluster).await?;
        let socket_dir = layout.create_runtime_dir(&accounts.postgres)?;
        let log = Log::default();
        let postmaster = Postmaster { layout, accounts, binaries, socket_dir, log };
        progress("starting PostgreSQL");
        Self::supervised(postmaster, lock, progress).await
    }

    async fn supervised(
        postmaster: Postmaster,
        lock: DataDirLock,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, ClusterError> {
        let child = postmaster.start(progress).await?;
        let socket_dir = postmaster.socket_dir.clone();
        let postmaster = Arc::new(postmaster);
        let pid = Arc::new(AtomicI32::new(child.id().map_or(0, u32::cast_signed)));
        let (sender, state) = watch::channel(ClusterState::Running);
        let (stop, stopped) = oneshot::channel();
        let supervised = Supervised { postmaster: postmaster.clone(), child, state: sender, pid: pid.clone() };
        let supervision = tokio::spawn(supervised.run(stopped));
        let owned = Owned { postmaster, pid, stop, supervision, _lock: lock };
        Ok(Self { socket_dir, state, owned: Some(owned) })
    }

    /// Uses the cluster of `data_dir` that another process runs, without owning it: stopping or
    /// dropping this leaves it alone. `None` where none takes connections.
    ///
    /// # Errors
    /// [`ClusterError::Io`] where the data directory is another user's.
    pub fn attach(data_dir: &Path) -> Result<Option<Self>, ClusterError> {
        if !data_dir.exists() {
            return Ok(None);
        }
        let layout = Layout::of(data_dir)?;
        let Some(PostmasterFile { pid, socket_dir: Some(socket_dir), ready: true }) =
            PostmasterFile::read(&layout.cluster)?
        else {
            return Ok(None);
        };
        if !process::is_postgres_of(pid, &layout.cluster) {
            return Ok(None);
        }
        let (_, state) = watch::channel(ClusterState::Running);
        Ok(Some(Self { socket_dir, state, owned: None }))
    }

    /// For commands: uses the cluster of a running server, or starts it for their own time.
    ///
    /// # Errors
    /// As [`Cluster::start`]; [`ClusterError::InUse`] where the server that holds the data directory
    /// does not get its database ready within half a minute.
    pub async fn attach_or_start(data_dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<Self, ClusterError> {
        let begun = Instant::now();
        loop {
            // Start first: only who gets no lock may attach, since a cluster without a server is
            // nobody's, and would stay behind.
            match Self::start(data_dir, progress).await {
                Err(in_use @ ClusterError::InUse { .. }) => match Self::attach(data_dir)? {
                    Some(cluster) => return Ok(cluster),
                    None if begun.elapsed() > Duration::from_secs(30) => return Err(in_use),
                    None => tokio::time::sleep(Duration::from_millis(200)).await,
                },
                other => return other,
            }
        }
    }

    /// How to connect: over the socket, as the role that owns the database.
    pub fn config(&self) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.socket_dir).user(ROLE).dbname(DATABASE).application_name("salus");
        config
    }

    /// The same as a URL, for `psql` and `DATABASE_URL`. It holds no secret.
    pub fn url(&self) -> String {
        let host = percent_encode(&self.socket_dir.to_string_lossy());
        format!("postgresql://{ROLE}@{host}/{DATABASE}")
    }

    /// Whether this process runs the cluster (and will stop it).
    pub fn is_owned(&self) -> bool {
        self.owned.is_some()
    }

    /// What the database is doing, now and at each change. One that is not owned reads `Running`.
    pub fn state(&self) -> watch::Receiver<ClusterState> {
        self.state.clone()
    }

    /// Waits until the database died for good, and says why. For a server to end itself with, beside
    /// what else it waits for; never resolves for a cluster that is not owned or was stopped.
    pub async fn failed(&self) -> String {
        let mut state = self.state.clone();
        let failure = state.wait_for(|state| matches!(state, ClusterState::Failed(_))).await;
        if let Ok(ClusterState::Failed(reason)) = failure.as_deref() {
            return reason.clone();
        }
        drop(failure);
        std::future::pending().await
    }

    /// Shuts PostgreSQL down (sessions end, what they had not committed is rolled back) and waits
    /// for it. A cluster that is not owned is left alone.
    ///
    /// # Errors
    /// [`ClusterError::Stuck`] where it does not end; what had made it fail, where it had failed.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let Some(owned) = self.owned.take() else {
            return Ok(());
        };
        let _ = owned.stop.send(());
        let result = match owned.supervision.await {
            Ok(result) => result,
            // The runtime is going down and took the task with it.
            Err(_) => process::end_leftovers(&owned.postmaster.layout.cluster).await,
        };
        let _ = std::fs::remove_dir_all(&self.socket_dir);
        result
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let Some(owned) = self.owned.take() else {
            return;
        };
        // No restart of what we stop here.
        owned.supervision.abort();
        let cluster = &owned.postmaster.layout.cluster;
        let pid = owned.pid.load(Ordering::SeqCst);
        process::signal(pid, cluster, Signal::INT);
        let begun = Instant::now();
        while process::is_postgres_of(pid, cluster) && begun.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = std::fs::remove_dir_all(&self.socket_dir);
    }
}

/// Percent-encodes all but unreserved characters (RFC 3986, 2.3).
fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
