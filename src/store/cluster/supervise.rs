//! Keeps the database up while the server runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use tokio::process::Child;
use tokio::sync::{oneshot, watch};

use super::postmaster::Postmaster;
use super::{ClusterError, process};

/// Waits before each restart; when they are used up, Salus gives up.
const BACK_OFF: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A database that stayed up this long has recovered: the count of restarts begins anew.
const STEADY: Duration = Duration::from_secs(60);

/// What the private database is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterState {
    /// It takes connections.
    Running,
    /// It died and is being restarted; connections fail until it runs again.
    Restarting,
    /// It died and could not be restarted, with the reason. Final.
    Failed(String),
    /// It was stopped. Final.
    Stopped,
}

/// A postmaster under supervision.
pub(super) struct Supervised {
    pub postmaster: Arc<Postmaster>,
    pub child: Child,
    pub state: watch::Sender<ClusterState>,
    /// The process id of the current postmaster, 0 while there is none.
    pub pid: Arc<AtomicI32>,
}

impl Supervised {
    /// Runs until told to stop (or its teller is dropped), or until restarting is hopeless.
    pub async fn run(mut self, mut stop: oneshot::Receiver<()>) -> Result<(), ClusterError> {
        let mut restarts = 0;
        loop {
            let started = Instant::now();
            tokio::select! {
                _ = &mut stop => return self.stop().await,
                status = self.child.wait() => {
                    self.pid.store(0, Ordering::SeqCst);
                    tracing::warn!(target: "postgres", ?status, "the database died, restarting it");
                }
            }
            self.state.send_replace(ClusterState::Restarting);
            if started.elapsed() > STEADY {
                restarts = 0;
            }
            tokio::select! {
                _ = &mut stop => return self.stop().await,
                restarted = restart(&self.postmaster, &mut restarts) => match restarted {
                    Ok(child) => self.child = child,
                    Err(error) => {
                        tracing::error!(target: "postgres", %error, "giving up");
                        self.state.send_replace(ClusterState::Failed(error.to_string()));
                        return Err(error);
                    }
                }
            }
            self.pid.store(self.child.id().map_or(0, u32::cast_signed), Ordering::SeqCst);
            self.state.send_replace(ClusterState::Running);
            tracing::info!(target: "postgres", "the database runs again");
        }
    }

    async fn stop(&mut self) -> Result<(), ClusterError> {
        let stopped = self.postmaster.stop(&mut self.child).await;
        // A restart under way when we were told to stop has a postmaster that is not our child.
        let ended = process::end_leftovers(&self.postmaster.layout.cluster).await;
        self.pid.store(0, Ordering::SeqCst);
        self.state.send_replace(ClusterState::Stopped);
        stopped.and(ended)
    }
}

/// Starts PostgreSQL again, with growing pauses.
async fn restart(postmaster: &Postmaster, restarts: &mut usize) -> Result<Child, ClusterError> {
    let mut last = String::from("it keeps dying");
    while let Some(pause) = BACK_OFF.get(*restarts) {
        *restarts += 1;
        tokio::time::sleep(*pause).await;
        let tried = async {
            process::end_leftovers(&postmaster.layout.cluster).await?;
            postmaster.start(&|message| tracing::info!(target: "postgres", "{message}")).await
        };
        match tried.await {
            Ok(child) => return Ok(child),
            Err(error) => {
                tracing::warn!(target: "postgres", %error, attempt = *restarts, "restart failed");
                last = error.to_string();
            }
        }
    }
    Err(ClusterError::GaveUp { attempts: BACK_OFF.len() as u32, last })
}
