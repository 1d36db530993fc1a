//! Any text as `Accept` and as `Content-Type`.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    entries::media(text);
});
