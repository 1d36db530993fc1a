//! Any JSON: validation never panics. Needs the core package in the cache (`scripts/setup`).

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use salus_fhir::json::{Limits, parse_bytes};
use salus_fhir::{Definitions, packages, validation};

static R4: LazyLock<Arc<Definitions>> = LazyLock::new(|| {
    let cache_dir = packages::default_cache_dir().expect("HOME or SALUS_CACHE_DIR is set");
    let core = packages::R4_CORE.path(&cache_dir);
    Definitions::load_or_compile(&cache_dir, &[core]).expect("the core package is in the cache")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(resource) = parse_bytes(bytes, &Limits::default()) {
        validation::validate(&resource, &R4);
    }
});
