//! The full print reads back as the same bytes; the default print as the same ops.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use llb::Definition;
use llb::value::Capability;
use llb::verify::Severity;

use crate::load::{Vector, names};

/// The golden definitions, and those of real builds.
fn definitions() -> Vec<(String, Vec<u8>)> {
    let vectors = names().into_iter().map(|name| (Vector::load(&name), name));
    let vectors = vectors
        .filter(|(vector, _)| vector.error().is_none() && vector.values().is_none())
        .map(|(vector, name)| (name, vector.definition()));
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "real"]
        .iter()
        .collect();
    let real = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let real = real
        .filter(|path| path.extension().is_some_and(|extension| extension == "pb"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()));
    vectors.chain(real).collect()
}

#[test]
fn the_full_print_reads_back_as_the_same_bytes() {
    let definitions = definitions();
    assert!(definitions.len() > 300);
    for (name, bytes) in definitions {
        let definition = Definition::from_bytes(&bytes).unwrap();
        let text = definition.to_full_text();
        match Definition::from_text(&text) {
            Ok(read) => assert!(read.to_bytes() == bytes, "{name}\n{text}"),
            Err(error) => panic!("{name}: {error}\n{text}"),
        }
    }
}

#[test]
fn the_default_print_reads_back_as_the_same_ops() {
    for (name, bytes) in definitions() {
        let definition = Definition::from_bytes(&bytes).unwrap();
        let text = definition.to_text();
        if text.contains(" omitted=") {
            continue;
        }
        match Definition::from_text(&text) {
            Ok(read) => {
                let ops = |definition: &Definition| -> Vec<_> {
                    let ops = definition.ops().iter();
                    ops.map(llb::DefinitionOp::digest).collect()
                };
                assert_eq!(ops(&read), ops(&definition), "{name}\n{text}");
            }
            Err(error) => panic!("{name}: {error}\n{text}"),
        }
    }
}

#[test]
fn no_golden_definition_needs_its_bytes_in_the_text() {
    for (name, bytes) in definitions() {
        let text = Definition::from_bytes(&bytes).unwrap().to_full_text();
        assert!(!text.contains(" bytes="), "{name}\n{text}");
    }
}

#[test]
fn golden_definitions_have_no_errors() {
    // The Go client's ways around its own builders ask for no capabilities.
    let around = ["merge-new-direct", "raw-source-image-prefix"];
    let mut found = BTreeSet::new();
    for (name, bytes) in definitions() {
        for finding in Definition::from_bytes(&bytes).unwrap().verify() {
            if finding.severity() == Severity::Error {
                assert_eq!(finding.code(), "missing-cap", "{name}: {finding}");
                found.insert(name.clone());
            }
        }
    }
    assert!(found.iter().eq(around.iter()), "{found:#?}");
}

/// Vectors with capabilities that show only in how an op was made.
const UNTOLD: &[&str] = &[
    "http-header-empty",
    "local-differ-none-required",
    "merge-new-direct",
    "raw-source-image-prefix",
    "secret-env-true-false",
];

#[test]
fn ops_ask_for_what_their_content_needs() {
    // A daemon that sets a path is told apart by the options of a marshal.
    let of_options = Capability::ExecMetaSetsDefaultPath;
    let mut differing = BTreeSet::new();
    for (name, bytes) in definitions() {
        let definition = Definition::from_bytes(&bytes).unwrap();
        let text = definition.to_text();
        if text.contains(" omitted=") {
            continue;
        }
        let read = Definition::from_text(&text).unwrap();
        for (read, op) in read.ops().iter().zip(definition.ops()) {
            if read.metadata().caps.with(of_options) != op.metadata().caps.with(of_options) {
                differing.insert(name.clone());
            }
        }
    }
    assert_eq!(differing.iter().collect::<Vec<_>>(), UNTOLD);
}
