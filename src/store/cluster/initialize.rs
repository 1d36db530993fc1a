//! Makes a new cluster.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::account::Accounts;
use super::binaries::Binaries;
use super::launch::Launcher;
use super::layout::{Layout, give_dir};
use super::{ClusterError, disk, process};

/// Runs `initdb` beside the cluster's place, then renames its result there.
///
/// So a cluster is there whole or not at all: what an interrupted run left has another name, is
/// nobody's data, and is wiped.
pub(super) async fn initialize(layout: &Layout, accounts: &Accounts, binaries: &Binaries) -> Result<(), ClusterError> {
    refuse_foreign(layout)?;
    disk::check_room(&layout.data_dir)?;
    for dir in layout.abandoned()? {
        wipe(&dir).await?;
    }
    let dir = &layout.unfinished;
    DirBuilder::new().mode(0o700).create(dir).map_err(ClusterError::io("create", dir))?;
    give_dir(dir, &accounts.postgres)?;
    run_initdb(layout, accounts, binaries).await?;
    std::fs::rename(dir, &layout.cluster).map_err(ClusterError::io("rename", dir))?;
    File::open(&layout.data_dir)
        .and_then(|parent| parent.sync_all())
        .map_err(ClusterError::io("sync", &layout.data_dir))
}

/// Removes what an interrupted run left; that run may still be going on.
async fn wipe(dir: &Path) -> Result<(), ClusterError> {
    let mut tries = 0;
    loop {
        for pid in process::postgres_of(dir) {
            process::signal(pid, dir, Signal::QUIT);
        }
        tries += 1;
        match std::fs::remove_dir_all(dir) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(e) if tries == 20 => return Err(ClusterError::io("remove", dir)(e)),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn refuse_foreign(layout: &Layout) -> Result<(), ClusterError> {
    let path = &layout.cluster;
    match std::fs::read_dir(path).map(Iterator::count) {
        Ok(1..) => Err(ClusterError::Foreign { path: path.clone() }),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(ClusterError::io("read", path)(e)),
    }
}

async fn run_initdb(layout: &Layout, accounts: &Accounts, binaries: &Binaries) -> Result<(), ClusterError> {
    let program = binaries.program("initdb");
    let mut command = Launcher::new(accounts, &layout.unfinished).await?.command(&program);
    command.args(["--encoding=UTF8", "--locale=C", "--data-checksums", "--no-instructions"]);
    command.args(["--auth-local=peer", "--auth-host=reject"]);
    command.arg(format!("--username={}", super::SUPERUSER));
    let output = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(ClusterError::io("run", &program))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(disk::explains(&layout.data_dir, &text)
        .unwrap_or(ClusterError::Initdb { path: layout.cluster.clone(), output: text }))
}
