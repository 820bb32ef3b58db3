//! What is tried on every input, shared with the fuzz targets in `llb/fuzz`.

use llb::proto::pb;
use llb::{Definition, MarshalOptions};
use prost::Message as _;

/// Reads bytes as a definition; whatever is read can be printed, read back and built on.
pub(crate) fn decode(bytes: &[u8]) {
    let definition = match Definition::from_bytes(bytes) {
        Ok(definition) => definition,
        Err(error) => return refused(bytes, &error.to_string()),
    };
    for op in definition.ops() {
        pb::Op::decode(op.bytes()).expect("an op that was looked through is one");
    }
    let encoded = definition.to_bytes();
    let again = Definition::from_bytes(&encoded).expect("what was written can be read");
    assert!(
        again.to_bytes() == encoded,
        "reading and writing changes nothing"
    );
    check(&definition);
}

/// What is said to be no message is none to others either. Groups and depth are allowed elsewhere.
fn refused(bytes: &[u8], error: &str) {
    let is_stricter = error.contains("is of no field") || error.contains("nested too deeply");
    if is_stricter || !error.contains("at byte") {
        return;
    }
    let is_message = pb::Definition::decode(bytes)
        .is_ok_and(|message| message.def.iter().all(|op| pb::Op::decode(&**op).is_ok()));
    assert!(!is_message, "{error}");
}

/// Reads a text as a definition; whatever is read can be printed and read back.
pub(crate) fn text(text: &str) {
    match Definition::from_text(text) {
        Ok(definition) => check(&definition),
        Err(error) => assert!(!error.problems().is_empty(), "an error says what is wrong"),
    }
}

fn check(definition: &Definition) {
    let text = definition.to_full_text();
    let read = match Definition::from_text(&text) {
        Ok(read) => read,
        Err(error) => panic!("{error}\n{text}"),
    };
    assert!(read.to_bytes() == definition.to_bytes(), "{text}");
    assert_eq!(read.to_full_text(), text);
    // The default print may leave out what cannot be read back, but never fails otherwise.
    if let Ok(read) = Definition::from_text(&definition.to_text()) {
        assert_eq!(read.head(), definition.head());
    }
    definition.verify();
    definition.to_tree();
    definition.to_dot();
    if let Ok(canonical) = definition.canonical() {
        assert!(canonical.canonical().expect("a graph is one") == canonical);
        let known =
            |op: &llb::DefinitionOp| definition.metadata(op.digest()) == Some(op.metadata());
        let mut ops = canonical.ops().iter().rev().skip(1);
        assert!(ops.all(known), "ops stay what they are");
    }
    definition.to_json();
    if let Ok(built) = definition.state().marshal(&MarshalOptions::linux_amd64()) {
        assert_eq!(built.head(), definition.head());
    }
}
