//! Reading and embedding definitions: those of all vectors, and those of real builds in `real/`.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use llb::{Definition, OpDigest};

use crate::support::load::{Vector, names};
use crate::support::options;

fn real() -> impl Iterator<Item = (String, Vec<u8>)> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", "real"]
        .iter()
        .collect();
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "pb"))
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
}

fn definitions() -> impl Iterator<Item = (String, Vec<u8>)> {
    let with_definition = names().into_iter().map(|name| (Vector::load(&name), name));
    with_definition
        .filter(|(vector, _)| vector.error().is_none() && vector.values().is_none())
        .map(|(vector, name)| (name, vector.definition()))
}

fn digests(definition: &Definition) -> BTreeSet<OpDigest> {
    definition
        .ops()
        .iter()
        .map(llb::DefinitionOp::digest)
        .collect()
}

#[test]
fn definitions_are_written_as_they_were_read() {
    for (name, bytes) in definitions().chain(real()) {
        let definition = Definition::from_bytes(&bytes).unwrap();
        assert!(definition.to_bytes() == bytes, "{name}");
    }
}

#[test]
fn definitions_go_through_a_graph_unchanged() {
    for (name, bytes) in definitions().chain(real()) {
        let definition = Definition::from_bytes(&bytes).unwrap();
        let again = definition.canonical().unwrap();
        assert!(again.ops() == definition.ops(), "{name}");
        assert!(again.to_bytes() == bytes, "{name}");
    }
}

#[test]
fn definitions_go_through_text_and_graph_unchanged() {
    for (name, bytes) in definitions().chain(real()) {
        let text = Definition::from_bytes(&bytes).unwrap().to_full_text();
        let read = Definition::from_text(&text).unwrap();
        assert!(read.canonical().unwrap().to_bytes() == bytes, "{name}");
    }
}

#[test]
fn definitions_built_on_keep_their_ops() {
    for (name, bytes) in definitions().chain(real()) {
        let definition = Definition::from_bytes(&bytes).unwrap();
        let again = definition.state().marshal(&options()).unwrap();
        assert_eq!(digests(&again), digests(&definition), "{name}");
        assert!(
            again.state().marshal(&options()).unwrap() == again,
            "{name}"
        );
    }
}
