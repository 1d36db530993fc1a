//! Any text as scopes.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    entries::scopes(text);
});
