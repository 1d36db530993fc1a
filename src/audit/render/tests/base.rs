//! Rendered events against the base definitions of R4, by the validation that clients' writes get.

use std::sync::{Arc, OnceLock};

use salus_fhir::json::{Limits, parse};
use salus_fhir::packages::{R4_CORE, default_cache_dir};
use salus_fhir::{Definitions, validation};

/// The definitions of R4, or `None`, said aloud, where the set-up has not fetched the package.
pub fn r4() -> Option<Arc<Definitions>> {
    static R4: OnceLock<Option<Arc<Definitions>>> = OnceLock::new();
    R4.get_or_init(|| {
        let cache_dir = default_cache_dir()?;
        let package = R4_CORE.path(&cache_dir);
        if !package.exists() {
            eprintln!("SKIPPED: the base validation of AuditEvents, for the FHIR R4 package is not in the cache");
            return None;
        }
        Some(Definitions::load_or_compile(&cache_dir, &[package]).unwrap())
    })
    .clone()
}

/// Checks that the base definitions find no fault in an event.
pub fn assert_valid(event: &str, r4: &Definitions) {
    let parsed = parse(event, &Limits::default()).unwrap();
    let issues = validation::validate(&parsed, r4);
    assert!(issues.is_empty(), "{issues:?} in {event}");
}
