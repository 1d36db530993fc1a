//! Runs PostgreSQL's programs on a cluster directory as the right account.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::ClusterError;
use super::account::Accounts;

/// The descriptor under which the cluster directory is handed down, see [`Launcher::command`].
const HANDED_DOWN: &str = "/proc/self/fd/9";

/// Knows how to start a program that works on `dir`.
#[derive(Debug, Clone)]
pub(super) struct Launcher {
    accounts: Accounts,
    dir: OsString,
    reachable: bool,
}

impl Launcher {
    /// For a directory that exists and belongs to the account of PostgreSQL.
    pub async fn new(accounts: &Accounts, dir: &Path) -> Result<Self, ClusterError> {
        let mut launcher = Self { accounts: accounts.clone(), dir: dir.into(), reachable: true };
        if accounts.drops_privileges() {
            let mut test = launcher.as_postgres("test".as_ref());
            let status = test.arg("-r").arg(dir).status().await.map_err(|source| ClusterError::MissingTool {
                tool: "setpriv",
                package: "util-linux",
                source,
            })?;
            launcher.reachable = status.success();
        }
        Ok(launcher)
    }

    /// `program -D <dir>`, run as the account of PostgreSQL, detached from the terminal.
    ///
    /// The account may own `dir` and still not reach it: root's home is closed to others, and a clone
    /// there is where many start. Salus opens no directory of somebody else; instead root opens `dir`
    /// and hands the descriptor down, and the program finds it through `/proc/self/fd`.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = if self.reachable {
            self.as_postgres(program.as_os_str())
        } else {
            let mut shell = plain("sh".as_ref());
            shell.args(["-c", "exec 9< \"$0\" && exec \"$@\""]).arg(&self.dir);
            shell.arg("setpriv").args(self.setpriv_args()).arg(program);
            shell
        };
        let dir = if self.reachable { self.dir.as_os_str() } else { HANDED_DOWN.as_ref() };
        command.arg("-D").arg(dir);
        command
    }

    fn as_postgres(&self, program: &OsStr) -> Command {
        if !self.accounts.drops_privileges() {
            return plain(program);
        }
        let mut command = plain("setpriv".as_ref());
        command.args(self.setpriv_args()).arg(program);
        command
    }

    fn setpriv_args(&self) -> Vec<String> {
        let account = &self.accounts.postgres;
        vec![
            format!("--reuid={}", account.uid),
            format!("--regid={}", account.gid),
            "--clear-groups".to_owned(),
            "--no-new-privs".to_owned(),
            "--".to_owned(),
        ]
    }
}

/// A command without our environment (it may hold secrets, and `PG*` variables would be heeded), and
/// in a process group of its own: Ctrl-C is for Salus, which then stops the database in its order.
fn plain(program: &OsStr) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into()))
        .env("LC_ALL", "C")
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}
