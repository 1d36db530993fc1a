//! The compiled definitions as a file.
//!
//! Layout: the 32-byte BLAKE3 hash of the rest, then [`Definitions`] as `postcard`. The name carries
//! a hash of the packages and of this crate's source, so that neither another package nor another
//! build ever reads it.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::Definitions;
use crate::packages::Package;

/// A hash of this crate's source, made by `build.rs`.
const BUILD: &str = env!("SALUS_FHIR_BUILD");

/// What the name of a cache file starts and ends with.
const PREFIX: &str = "definitions-";
const SUFFIX: &str = ".bin";

/// Bytes of the checksum.
const CHECKSUM: usize = blake3::OUT_LEN;

/// Files of other builds and packages that are left beside a new one.
const KEPT: usize = 8;

/// The file that holds what `packages` compile to.
pub(super) fn path(cache_dir: &Path, packages: &[Package]) -> PathBuf {
    let mut hasher = blake3::Hasher::new();
    hasher.update(BUILD.as_bytes());
    for package in packages {
        hasher.update(blake3::hash(package.bytes()).as_bytes());
    }
    let hash = hasher.finalize().to_hex();
    cache_dir.join(format!("{PREFIX}{}{SUFFIX}", &hash.as_str()[..32]))
}

/// Reads the file at `path`; None if there is none or it is damaged.
pub(super) fn load(path: &Path) -> Option<Definitions> {
    let bytes = std::fs::read(path).ok()?;
    let (checksum, content) = bytes.split_at_checked(CHECKSUM)?;
    if blake3::hash(content).as_bytes() != checksum {
        return None;
    }
    let mut definitions: Definitions = postcard::from_bytes(content).ok()?;
    definitions.link();
    Some(definitions)
}

/// Writes `definitions` to `path`, so that a reader sees all of it or nothing.
pub(super) fn store(path: &Path, definitions: &Definitions) -> std::io::Result<()> {
    let content = postcard::to_stdvec(definitions).map_err(std::io::Error::other)?;
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = std::fs::File::create(&unfinished)
        .and_then(|mut file| {
            file.write_all(blake3::hash(&content).as_bytes())?;
            file.write_all(&content)
        })
        .and_then(|()| std::fs::rename(&unfinished, path));
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed either changes nothing.
        let _ = std::fs::remove_file(&unfinished);
    }
    if let Some(directory) = path.parent() {
        prune(directory, path);
    }
    written
}

/// Removes the oldest cache files beside `newest`, which builds that have since been replaced left.
fn prune(directory: &Path, newest: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let is_cache = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path != newest && name.starts_with(PREFIX) && name.ends_with(SUFFIX)
    };
    let mut others: Vec<_> = entries
        .flatten()
        .filter(|entry| is_cache(&entry.path()))
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    let surplus = others.len().saturating_sub(KEPT);
    for (_, path) in &others[..surplus] {
        // Another process may have been faster; a file that stays costs only its space.
        let _ = std::fs::remove_file(path);
    }
}
