//! Any bytes: the parser never panics, a fault lies inside the text, and what is accepted is
//! written to text that reads as the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use salus_fhir::json::{Limits, parse, parse_bytes};

fuzz_target!(|bytes: &[u8]| {
    match parse_bytes(bytes, &Limits::default()) {
        Ok(value) => {
            let text = value.to_string();
            let again = parse(&text, &Limits::default()).expect("what was written can be read");
            assert_eq!(value, again);
        }
        Err(error) => assert!(error.offset <= bytes.len()),
    }
});
