//! What the disk itself takes to make a write durable.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use crate::Fallible;

/// A page of PostgreSQL's log.
const PAGE: usize = 8192;
/// Pages of a segment of its log, which is overwritten in place.
const PAGES: usize = 2048;

/// A file like a segment of PostgreSQL's log: there already, written page by page.
pub struct Disk {
    file: File,
    at: usize,
}

impl Disk {
    /// Makes the file in `dir`.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(dir: &Path) -> Fallible<Self> {
        let path = dir.join("fsync");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
        file.write_all(&vec![0; PAGE * PAGES])?;
        file.sync_all()?;
        Ok(Self { file, at: 0 })
    }

    /// Writes pages one by one, each made durable (`fdatasync`, as PostgreSQL does); seconds of each.
    ///
    /// # Errors
    /// What the system says.
    pub fn writes(&mut self, count: usize) -> Fallible<Vec<f64>> {
        let page = vec![1; PAGE];
        (0..count)
            .map(|_| {
                self.file.seek(SeekFrom::Start((self.at % PAGES * PAGE) as u64))?;
                self.at += 1;
                let begun = Instant::now();
                self.file.write_all(&page)?;
                self.file.sync_data()?;
                Ok(begun.elapsed().as_secs_f64())
            })
            .collect()
    }
}
