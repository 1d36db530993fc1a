//! Hashes this crate's source into `SALUS_FHIR_BUILD`, which names the cache of compiled
//! definitions: a build that compiles them otherwise must not read what another has left.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=.");
    println!("cargo:rerun-if-changed=../../Cargo.lock");
    let mut hasher = DefaultHasher::new();
    hash_sources(Path::new("."), &mut hasher);
    std::fs::read("../../Cargo.lock").unwrap_or_default().hash(&mut hasher);
    println!("cargo:rustc-env=SALUS_FHIR_BUILD={:016x}", hasher.finish());
}

fn hash_sources(directory: &Path, hasher: &mut DefaultHasher) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            hash_sources(&path, hasher);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            path.hash(hasher);
            std::fs::read(&path).unwrap_or_default().hash(hasher);
        }
    }
}
