//! Definitions from their text.

#![no_main]

#[allow(dead_code)]
#[path = "../../tests/props/bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|text: &str| bodies::text(text));
