//! Any bytes as a patch. Needs the core package in the cache (`scripts/setup`).

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::patch(bytes);
});
