//! Any bytes as XML. Needs the core package in the cache (`scripts/setup`).

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::xml(bytes);
});
