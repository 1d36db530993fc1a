//! Where things lie: the cluster inside the data directory, the socket outside it.

use std::ffi::OsStr;
use std::fs::{DirBuilder, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, fchown};
use std::path::{Path, PathBuf};

use super::ClusterError;
use super::account::Account;

/// The socket's file name; the port in it is fixed, since each cluster has a directory of its own.
const SOCKET: &str = ".s.PGSQL.5432";

/// How the names of unfinished clusters begin.
const UNFINISHED: &str = "postgres.unfinished.";

/// The longest path that `sockaddr_un` takes, without its closing NUL.
const SOCKET_PATH_MAX: usize = 107;

/// The paths of one private cluster.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    /// The data directory, canonical.
    pub data_dir: PathBuf,
    /// PostgreSQL's own directory.
    pub cluster: PathBuf,
    /// Where `initdb` works before its result takes the name above; each process has its own, since
    /// an `initdb` may outlive a killed server.
    pub unfinished: PathBuf,
}

impl Layout {
    /// The layout of an existing data directory.
    pub fn of(data_dir: &Path) -> Result<Self, ClusterError> {
        let data_dir = data_dir.canonicalize().map_err(ClusterError::io("find the data directory", data_dir))?;
        let cluster = data_dir.join("postgres");
        let unfinished = data_dir.join(format!("{UNFINISHED}{}", std::process::id()));
        Ok(Self { data_dir, cluster, unfinished })
    }

    /// The same, making the data directory (mode 0700) where it is missing.
    pub fn create(data_dir: &Path) -> Result<Self, ClusterError> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(ClusterError::io("create", data_dir))?;
        Self::of(data_dir)
    }

    /// The directories that interrupted runs of `initdb` left.
    pub fn abandoned(&self) -> Result<Vec<PathBuf>, ClusterError> {
        let entries = std::fs::read_dir(&self.data_dir);
        let entries = entries.map_err(ClusterError::io("read", &self.data_dir))?.flatten();
        let unfinished = |name: &OsStr| name.to_string_lossy().starts_with(UNFINISHED);
        Ok(entries.filter(|e| unfinished(&e.file_name())).map(|e| e.path()).collect())
    }

    /// The major version of the cluster's data; `None` where there is no cluster yet.
    pub fn data_version(&self) -> Result<Option<u32>, ClusterError> {
        let path = self.cluster.join("PG_VERSION");
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(ClusterError::io("read", &path)(e)),
        }
    }

    /// Makes the socket's directory: only `owner` (and root) may enter it, which is what keeps other
    /// users of the machine out.
    ///
    /// It is not in the data directory, whose path may be too long for a socket or closed to the
    /// account that PostgreSQL runs as.
    pub fn create_runtime_dir(&self, owner: &Account) -> Result<PathBuf, ClusterError> {
        let hash = blake3::hash(self.data_dir.as_os_str().as_encoded_bytes()).to_hex();
        let path = runtime_base().join(format!("salus-{}", &hash[..12]));
        let refuse = |reason| ClusterError::RuntimeDir { path: path.clone(), reason };
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
                // Whoever can write to /tmp may have put something there: it must be ours.
                let found = path.symlink_metadata().map_err(ClusterError::io("look at", &path))?;
                let me = rustix::process::geteuid().as_raw();
                if !found.is_dir() {
                    return Err(refuse("it is not a directory"));
                }
                if found.uid() != owner.uid && found.uid() != me {
                    return Err(refuse("it belongs to another user"));
                }
                if found.mode() & 0o077 != 0 {
                    return Err(refuse("other users may enter it"));
                }
            }
            Err(e) => return Err(ClusterError::io("create", &path)(e)),
        }
        give_dir(&path, owner)?;
        // Left by a killed postmaster; nothing runs here, the caller made sure.
        for stale in [SOCKET.to_owned(), format!("{SOCKET}.lock")] {
            let _ = std::fs::remove_file(path.join(stale));
        }
        Ok(path)
    }
}

/// `/run` for root; the session's runtime directory for others; else `/tmp`.
fn runtime_base() -> PathBuf {
    let me = rustix::process::geteuid().as_raw();
    let candidate =
        if me == 0 { Some(PathBuf::from("/run")) } else { std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) };
    let fits = |dir: &PathBuf| {
        let length = dir.as_os_str().len() + "/salus-0123456789ab/".len() + SOCKET.len();
        let ours = dir.metadata().is_ok_and(|m| m.is_dir() && m.uid() == me && m.mode() & 0o022 == 0);
        let writable = rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok();
        dir.is_absolute() && length <= SOCKET_PATH_MAX && ours && writable
    };
    candidate.filter(fits).unwrap_or_else(|| "/tmp".into())
}

/// Makes a directory `owner`'s alone.
pub(super) fn give_dir(path: &Path, owner: &Account) -> Result<(), ClusterError> {
    chown(path, Some(owner.uid), Some(owner.gid))
        .and_then(|()| std::fs::set_permissions(path, Permissions::from_mode(0o700)))
        .map_err(ClusterError::io("change the owner of", path))
}

/// Writes a file into a directory of `owner`, whole or not at all.
///
/// `owner` may be less privileged than we are and controls the directory: so the file is made anew
/// (a planted link is not followed) and takes its name by a rename.
pub(super) fn write_owned(path: &Path, text: &str, owner: &Account) -> Result<(), ClusterError> {
    let fresh = path.with_extension("salus-tmp");
    let write = || {
        match std::fs::remove_file(&fresh) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fchown(&file, Some(owner.uid), Some(owner.gid))?;
        file.sync_all()?;
        std::fs::rename(&fresh, path)
    };
    write().map_err(ClusterError::io("write", path))
}
