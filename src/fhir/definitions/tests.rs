//! What the compiled R4 core says, where the package is present.

use super::*;
use crate::packages::R4_CORE;

/// The R4 core, compiled once; None, with a word why, where the package is not in the cache
/// directory.
pub(crate) fn r4() -> Option<Arc<Definitions>> {
    static R4: std::sync::OnceLock<Option<Arc<Definitions>>> = std::sync::OnceLock::new();
    R4.get_or_init(|| {
        let cache_dir = crate::packages::default_cache_dir()?;
        let package = R4_CORE.path(&cache_dir);
        if !package.exists() {
            eprintln!("SKIPPED: {} is not in the package cache", R4_CORE.file_name());
            return None;
        }
        Some(Definitions::load_or_compile(&cache_dir, &[package]).unwrap())
    })
    .clone()
}
