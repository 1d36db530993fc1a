//! Finds an installed PostgreSQL server.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::ClusterError;

/// The oldest major version with all that the schema uses (`MERGE`, LZ4 of WAL).
pub(super) const MINIMUM: u32 = 15;

/// One installed PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    /// The major version, as 15.
    pub major: u32,
    /// The directory with `postgres` and `initdb`.
    pub dir: PathBuf,
}

impl Binaries {
    /// The newest installed server; for an existing cluster, the one of its major version.
    pub fn find(existing: Option<u32>, cluster: &Path) -> Result<Self, ClusterError> {
        // PATH last, and only where needed: asking each program for its version takes a while.
        let installed = Self::of_packages();
        Self::choose(installed.clone(), existing, cluster)
            .or_else(|_| Self::choose([installed, Self::in_path()].concat(), existing, cluster))
    }

    fn choose(installed: Vec<Self>, existing: Option<u32>, cluster: &Path) -> Result<Self, ClusterError> {
        let mut found: Vec<u32> = installed.iter().map(|b| b.major).collect();
        found.sort_unstable();
        found.dedup();
        if found.last().is_none_or(|newest| *newest < MINIMUM) {
            return Err(ClusterError::NoBinaries { minimum: MINIMUM, found });
        }
        let wanted = existing.or(found.last().copied()).unwrap_or(MINIMUM);
        let path = cluster.to_owned();
        installed.into_iter().find(|b| b.major == wanted).ok_or(ClusterError::VersionMismatch {
            path,
            data: wanted,
            found,
        })
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn of_packages() -> Vec<Self> {
        let mut dirs = children("/usr/lib/postgresql");
        dirs.extend(
            children("/usr")
                .into_iter()
                .filter(|dir| dir.file_name().is_some_and(|name| name.to_string_lossy().starts_with("pgsql-"))),
        );
        dirs.push("/usr/local/pgsql".into());
        dirs.into_iter().filter_map(|dir| Self::at(dir.join("bin"))).collect()
    }

    fn in_path() -> Vec<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).filter_map(Self::at).collect()
    }

    fn at(dir: PathBuf) -> Option<Self> {
        // A relative entry of PATH would run whatever lies in the working directory.
        if !dir.is_absolute() || !dir.join("initdb").is_file() {
            return None;
        }
        let output = Command::new(dir.join("postgres")).arg("--version").output().ok()?;
        let major = major_version(&String::from_utf8_lossy(&output.stdout))?;
        Some(Self { major, dir })
    }
}

fn children(dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// The major version in `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_version(printed: &str) -> Option<u32> {
    let number = printed.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installed(majors: &[u32]) -> Vec<Binaries> {
        majors.iter().map(|m| Binaries { major: *m, dir: format!("/pg/{m}/bin").into() }).collect()
    }

    fn choose(majors: &[u32], existing: Option<u32>) -> Result<u32, ClusterError> {
        Binaries::choose(installed(majors), existing, Path::new("/d/postgres")).map(|b| b.major)
    }

    #[test]
    fn the_version_line_is_read() {
        assert_eq!(major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), Some(15));
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("something else"), None);
    }

    #[test]
    fn a_new_cluster_takes_the_newest_and_an_old_one_its_own() {
        assert_eq!(choose(&[15, 17, 16], None).unwrap(), 17);
        assert_eq!(choose(&[15, 17, 16], Some(15)).unwrap(), 15);
    }

    #[test]
    fn what_is_missing_is_said() {
        let none = choose(&[], None).unwrap_err().to_string();
        assert!(none.contains("apt-get install postgresql"), "{none}");
        let old = choose(&[13], None).unwrap_err().to_string();
        assert!(old.contains("only 13"), "{old}");
        let other = choose(&[16, 17], Some(15)).unwrap_err().to_string();
        assert!(other.contains("written by PostgreSQL 15, but only 16, 17"), "{other}");
    }
}
