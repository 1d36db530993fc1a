//! Any JSON as a resource. Needs the core package in the cache (`scripts/setup`).

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::resource(bytes);
});
