//! Any text as FHIRPath. Needs the core package in the cache (`scripts/setup`).

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    entries::expression(text);
});
