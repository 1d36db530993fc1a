//! Who PostgreSQL runs as.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use super::ClusterError;

/// Accounts that root lets PostgreSQL run as, in this order.
const UNPRIVILEGED: [&str; 2] = ["salus", "postgres"];

/// An account of the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Its name.
    pub name: String,
    /// Its user id.
    pub uid: u32,
    /// Its group id.
    pub gid: u32,
}

/// The two accounts at work: they are one unless Salus was started by root.
#[derive(Debug, Clone)]
pub(super) struct Accounts {
    /// Who Salus runs as.
    pub server: Account,
    /// Who PostgreSQL runs as; never root.
    pub postgres: Account,
}

impl Accounts {
    /// Decides for a cluster directory, which may not exist yet. Root keeps an existing owner.
    pub fn for_cluster(cluster: &Path) -> Result<Self, ClusterError> {
        let uid = rustix::process::geteuid().as_raw();
        let server = lookup(&uid.to_string())?.unwrap_or_else(|| Account {
            name: uid.to_string(),
            uid,
            gid: rustix::process::getegid().as_raw(),
        });
        if uid != 0 {
            return Ok(Self { postgres: server.clone(), server });
        }
        let owner = std::fs::metadata(cluster).map(|m| m.uid()).ok().filter(|uid| *uid != 0);
        let names = owner.map(|uid| uid.to_string()).into_iter();
        for name in names.chain(UNPRIVILEGED.map(str::to_owned)) {
            if let Some(postgres) = lookup(&name)?.filter(|account| account.uid != 0) {
                return Ok(Self { server, postgres });
            }
        }
        Err(ClusterError::NoAccount)
    }

    /// Whether starting PostgreSQL means to give up root.
    pub fn drops_privileges(&self) -> bool {
        self.server.uid != self.postgres.uid
    }
}

/// An account by name or number. `getent` rather than `/etc/passwd`, for accounts in a directory.
fn lookup(key: &str) -> Result<Option<Account>, ClusterError> {
    let output = Command::new("getent").args(["passwd", key]).output().map_err(|source| ClusterError::MissingTool {
        tool: "getent",
        package: "libc-bin",
        source,
    })?;
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

fn parse(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passwd_line_is_read() {
        let account = parse("postgres:x:101:104:,,,:/var/lib/postgresql:/bin/bash\n").unwrap();
        assert_eq!(account, Account { name: "postgres".into(), uid: 101, gid: 104 });
        assert_eq!(parse(""), None);
        assert_eq!(parse("a:b:c"), None);
    }

    #[test]
    fn postgres_is_never_root() {
        match Accounts::for_cluster(Path::new("/nonexistent/postgres")) {
            Ok(accounts) => assert_ne!(accounts.postgres.uid, 0),
            Err(ClusterError::NoAccount) => {}
            Err(other) => panic!("{other}"),
        }
    }
}
