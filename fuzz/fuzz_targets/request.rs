//! Any text as method, path and query. Needs the core package in the cache (`scripts/setup`).

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    entries::request(text);
});
