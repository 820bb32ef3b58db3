//! What is tried on every input, shared with the fuzz targets in `llb/fuzz`.

use llb::{Definition, MarshalOptions};

/// Reads bytes as a definition; whatever is read can be printed, read back and built on.
pub(crate) fn decode(bytes: &[u8]) {
    let Ok(definition) = Definition::from_bytes(bytes) else {
        return;
    };
    let encoded = definition.to_bytes();
    let again = Definition::from_bytes(&encoded).expect("what was written can be read");
    assert!(
        again.to_bytes() == encoded,
        "reading and writing changes nothing"
    );
    check(&definition);
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
    if let Ok(built) = definition.state().marshal(&MarshalOptions::linux_amd64()) {
        assert_eq!(built.head(), definition.head());
    }
}
