//! One server a data directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{ClusterError, process};

/// Exclusive use of a data directory, held until dropped.
///
/// The lock is the kernel's (`flock` on `<data-dir>/salus.lock`), so it goes with the process,
/// however that ends; the process id in the file is only there to be named in messages.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock, or says who has it ([`ClusterError::InUse`]).
    pub fn acquire(data_dir: &Path) -> Result<Self, ClusterError> {
        let path = data_dir.join("salus.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(ClusterError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                return Err(ClusterError::InUse { path: data_dir.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => {
                return Err(ClusterError::io("lock", &path)(source));
            }
        }
        write_pid(&mut file).map_err(ClusterError::io("write", &path))?;
        Ok(Self { _file: file })
    }
}

fn write_pid(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text);
    match (read, text.trim().parse::<i32>()) {
        (Ok(_), Ok(pid)) => match process::command_name(pid) {
            Some(name) => format!("process {pid} ({name})"),
            None => format!("process {pid}"),
        },
        _ => "another process".to_owned(),
    }
}
