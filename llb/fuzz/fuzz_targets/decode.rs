//! Definitions from bytes.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/props/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bodies::decode(bytes));
