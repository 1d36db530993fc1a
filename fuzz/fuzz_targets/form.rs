//! Any bytes as the form of an OAuth request.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entries::form(bytes);
});
