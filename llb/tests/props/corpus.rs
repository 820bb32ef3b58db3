//! What the fuzzer found worth keeping, tried again.

use std::fs;
use std::path::Path;

use crate::bodies;

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let entries = fs::read_dir(folder).unwrap();
    let inputs: Vec<_> = entries
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!inputs.is_empty());
    inputs
}

#[test]
fn kept_bytes_are_read_or_refused() {
    for bytes in inputs("decode") {
        bodies::decode(&bytes);
    }
}

#[test]
fn kept_texts_are_read_or_refused() {
    for bytes in inputs("text") {
        bodies::text(&String::from_utf8_lossy(&bytes));
    }
}
