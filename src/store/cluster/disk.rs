//! Free space, and telling a full disk from other failures.

use std::path::Path;

use super::ClusterError;

/// What a new cluster takes (files of `initdb`, the first WAL segments, our schema) with some air.
pub(super) const NEEDED_TO_CREATE: u64 = 256 * 1024 * 1024;

/// Below this, PostgreSQL cannot even recycle a WAL segment (16 MiB) and stops.
const NEARLY_NONE: u64 = 24 * 1024 * 1024;

/// Bytes free to unprivileged users on the file system that holds `path`.
pub(super) fn free(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Refuses to create a cluster where it would fill the disk.
pub(super) fn check_room(path: &Path) -> Result<(), ClusterError> {
    match free(path) {
        Some(free) if free < NEEDED_TO_CREATE => Err(ClusterError::DiskFull { path: path.to_owned(), free }),
        _ => Ok(()),
    }
}

/// A failure whose true cause is a full disk, judged by what was printed or by what is left.
pub(super) fn explains(path: &Path, output: &str) -> Option<ClusterError> {
    let free = free(path)?;
    let full =
        output.contains("No space left on device") || output.contains("Disk quota exceeded") || free < NEARLY_NONE;
    full.then(|| ClusterError::DiskFull { path: path.to_owned(), free })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_failures() {
        let here = std::env::temp_dir();
        let said = "FATAL:  could not write lock file \"postmaster.pid\": No space left on device";
        assert!(matches!(explains(&here, said), Some(ClusterError::DiskFull { .. })));
        if free(&here).unwrap() > NEARLY_NONE {
            assert!(explains(&here, "FATAL:  invalid value").is_none());
        }
    }
}
