//! Starts a postmaster, waits until it takes connections, and stops it.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokio::process::Child;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, NoTls};

use super::account::Accounts;
use super::binaries::Binaries;
use super::launch::Launcher;
use super::layout::{Layout, write_owned};
use super::log::Log;
use super::settings::{self, Sizing};
use super::{ClusterError, DATABASE, ROLE, SUPERUSER, disk, process};

/// Replaying the log after a crash may take minutes; beyond this something is wrong.
const READY_WITHIN: Duration = Duration::from_secs(15 * 60);

/// How long a fast shutdown may take (it writes a checkpoint) before it becomes an immediate one.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// All that is needed to start a postmaster, any number of times.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub layout: Layout,
    pub accounts: Accounts,
    pub binaries: Binaries,
    pub socket_dir: PathBuf,
    pub log: Log,
}

impl Postmaster {
    /// Starts PostgreSQL and returns once it takes connections. Nothing may run on the cluster.
    pub async fn start(&self, progress: &(dyn Fn(&str) + Sync)) -> Result<Child, ClusterError> {
        let launcher = Launcher::new(&self.accounts, &self.layout.cluster).await?;
        self.configure(&launcher).await?;
        let program = self.binaries.program("postgres");
        let mut child =
            launcher.command(&program).stderr(Stdio::piped()).spawn().map_err(ClusterError::io("run", &program))?;
        let following = child.stderr.take().map(|stderr| tokio::spawn(self.log.clone().follow(stderr)));
        let ready = async {
            let client = self.ready(&mut child, progress).await?;
            create_database(&client).await.map_err(Unready::Refused)
        };
        let Err(error) = ready.await else {
            return Ok(child);
        };
        let _ = self.stop(&mut child).await;
        if let Some(following) = following {
            let _ = tokio::time::timeout(Duration::from_secs(1), following).await;
        }
        let full = disk::explains(&self.layout.data_dir, &self.log.tail());
        Err(full.unwrap_or_else(|| error.into_cluster_error(self)))
    }

    async fn configure(&self, launcher: &Launcher) -> Result<(), ClusterError> {
        let cluster = &self.layout.cluster;
        let program = self.binaries.program("postgres");
        let lz4 = launcher
            .command(&program)
            .args(["-C", "default_toast_compression", "-c", "default_toast_compression=lz4"])
            .args(["-c", "wal_compression=lz4"])
            .status()
            .await
            .map_err(ClusterError::io("run", &program))?
            .success();
        let sizing = Sizing {
            memory: settings::available_memory(),
            disk: disk::free(cluster).unwrap_or(0),
            lz4,
            posix_shared_memory: settings::has_posix_shared_memory(),
            custom: cluster.join("custom.conf").exists(),
        };
        let owner = &self.accounts.postgres;
        let conf = settings::postgresql_conf(&sizing, &self.socket_dir);
        write_owned(&cluster.join("postgresql.conf"), &conf, owner)?;
        write_owned(&cluster.join("pg_hba.conf"), settings::pg_hba_conf(), owner)?;
        write_owned(&cluster.join("pg_ident.conf"), &settings::pg_ident_conf(&self.accounts), owner)
    }

    /// Waits until connections are taken, and returns one to the maintenance database.
    async fn ready(&self, child: &mut Child, progress: &(dyn Fn(&str) + Sync)) -> Result<Client, Unready> {
        let mut config = Config::new();
        config.host_path(&self.socket_dir).user(SUPERUSER).dbname("postgres");
        let begun = Instant::now();
        let mut told = begun;
        loop {
            if let Ok(Some(_)) = child.try_wait() {
                return Err(Unready::Exited);
            }
            match config.connect(NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return Ok(client);
                }
                // Refused for good: waiting would not help.
                Err(e) if e.code().is_some_and(|c| *c != SqlState::CANNOT_CONNECT_NOW) => {
                    return Err(Unready::Refused(e));
                }
                Err(_) if begun.elapsed() > READY_WITHIN => return Err(Unready::TimedOut),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                progress(&format!("PostgreSQL is recovering, {} s so far", begun.elapsed().as_secs()));
            }
        }
    }

    /// Stops a postmaster that we started: fast (sessions are ended, a checkpoint is written), and if
    /// that takes too long, at once (the next start then replays the log; nothing is lost).
    pub async fn stop(&self, child: &mut Child) -> Result<(), ClusterError> {
        let Some(pid) = child.id().map(u32::cast_signed) else {
            return Ok(());
        };
        let cluster = &self.layout.cluster;
        for (signal, patience) in [(Signal::INT, STOP_WITHIN), (Signal::QUIT, Duration::from_secs(10))] {
            process::signal(pid, cluster, signal);
            if let Ok(status) = tokio::time::timeout(patience, child.wait()).await {
                let status = status.map_err(ClusterError::io("wait for PostgreSQL on", cluster))?;
                tracing::debug!(target: "postgres", code = status.code(), signal = status.signal(), "stopped");
                return Ok(());
            }
        }
        Err(ClusterError::Stuck { path: cluster.clone(), pid })
    }
}

/// Why a postmaster that was started takes no connections.
enum Unready {
    Exited,
    Refused(tokio_postgres::Error),
    TimedOut,
}

impl Unready {
    fn into_cluster_error(self, postmaster: &Postmaster) -> ClusterError {
        let path = postmaster.layout.cluster.clone();
        let log = postmaster.log.tail();
        match self {
            Self::Exited => ClusterError::Start { path, log },
            Self::Refused(e) => ClusterError::Database(e),
            Self::TimedOut => ClusterError::Unready { path, seconds: READY_WITHIN.as_secs(), log },
        }
    }
}

/// The server's role (not a superuser: an injected statement must not reach the files or a shell)
/// and its database, where they are missing.
async fn create_database(client: &Client) -> Result<(), tokio_postgres::Error> {
    let role = "SELECT 1 FROM pg_roles WHERE rolname = $1";
    if client.query_opt(role, &[&ROLE]).await?.is_none() {
        client.batch_execute(&format!("CREATE ROLE {ROLE} LOGIN")).await?;
    }
    let database = "SELECT 1 FROM pg_database WHERE datname = $1";
    if client.query_opt(database, &[&DATABASE]).await?.is_none() {
        client.batch_execute(&format!("CREATE DATABASE {DATABASE} OWNER {ROLE}")).await?;
    }
    Ok(())
}
