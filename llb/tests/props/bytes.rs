//! Bytes and texts that are nearly right.

use llb::prelude::*;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::{bodies, graphs, wire};

/// A change of bytes.
#[derive(Clone, Debug)]
enum Change {
    Flip(Index, u8),
    Remove(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
    Cut(Index),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let index = any::<Index>;
    let change = prop_oneof![
        4 => (index(), any::<u8>()).prop_map(|(at, bits)| Change::Flip(at, bits)),
        2 => (index(), any::<u8>()).prop_map(|(at, count)| Change::Remove(at, count)),
        2 => (index(), proptest::collection::vec(any::<u8>(), 1..12)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (index(), index()).prop_map(|(start, end)| Change::Repeat(start, end)),
        1 => index().prop_map(Change::Cut),
    ];
    proptest::collection::vec(change, 1..5)
}

fn apply(bytes: &mut Vec<u8>, changes: &[Change]) {
    for change in changes {
        if bytes.is_empty() {
            return;
        }
        match change {
            Change::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Change::Remove(at, count) => {
                let start = at.index(bytes.len());
                let end = (start + usize::from(*count)).min(bytes.len());
                bytes.drain(start..end);
            }
            Change::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Change::Repeat(start, end) => {
                let (start, end) = (start.index(bytes.len()), end.index(bytes.len()));
                let part = bytes[start.min(end)..start.max(end)].to_vec();
                bytes.splice(start..start, part);
            }
            Change::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

fn marshal(calls: &[graphs::Call]) -> Option<Definition> {
    graphs::build(calls)
        .marshal(&MarshalOptions::linux_amd64())
        .ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn whatever_was_built_is_written_printed_and_read_back(calls in graphs::calls()) {
        if let Some(definition) = marshal(&calls) {
            let read = Definition::from_bytes(&definition.to_bytes()).unwrap();
            prop_assert_eq!(&read, &definition);
            prop_assert_eq!(&read.canonical().unwrap(), &definition);
            bodies::decode(&definition.to_bytes());
        }
    }

    #[test]
    fn any_op_is_printed_and_read_back(definition in wire::definition()) {
        let definition = Definition::from_bytes(&definition).unwrap();
        bodies::decode(&definition.to_bytes());
    }

    #[test]
    fn damaged_bytes_are_read_or_refused(calls in graphs::calls(), changes in changes()) {
        if let Some(definition) = marshal(&calls) {
            let mut bytes = definition.to_bytes();
            apply(&mut bytes, &changes);
            bodies::decode(&bytes);
        }
    }

    #[test]
    fn damaged_texts_are_read_or_refused(calls in graphs::calls(), changes in changes(), is_full: bool) {
        if let Some(definition) = marshal(&calls) {
            let text = if is_full { definition.to_full_text() } else { definition.to_text() };
            let mut bytes = text.into_bytes();
            apply(&mut bytes, &changes);
            bodies::text(&String::from_utf8_lossy(&bytes));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        bodies::decode(&bytes);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[%a-z0-9=\"{}\\[\\],\\\\ \n>.#@$!;/-]{0,80}") {
        bodies::text(&text);
    }
}

#[test]
fn absurd_lengths_are_refused() {
    // An op of 2^60 bytes; a string of 2^31; a length that does not end.
    for bytes in [
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10][..],
        &[0x12, 0x06, 0x0a, 0xff, 0xff, 0xff, 0xff, 0x07],
        &[
            0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        ],
    ] {
        assert!(Definition::from_bytes(bytes).is_err());
    }
}

#[test]
fn definitions_nested_without_end_are_refused() {
    let mut bytes = Vec::new();
    for _ in 0..2000 {
        // Definition.source.infos.definition
        for tag in [0x1a, 0x12, 0x1a] {
            let mut outer = vec![tag];
            let mut length = bytes.len();
            while length >= 0x80 {
                outer.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            outer.push(u8::try_from(length).unwrap());
            outer.append(&mut bytes);
            bytes = outer;
        }
    }
    assert!(Definition::from_bytes(&bytes).is_err());
}

#[test]
fn very_many_ops_are_read_in_little_stack() {
    // A hundred thousand equal ops, and an op that names the result.
    let op = [0x1a, 0x03, 0x0a, 0x01, b'x'];
    let mut bytes = Vec::new();
    for _ in 0..100_000 {
        bytes.extend_from_slice(&[0x0a, 0x05]);
        bytes.extend_from_slice(&op);
    }
    let digest = llb::OpDigest::of(&op).to_string();
    bytes.extend_from_slice(&[0x0a, 0x4b, 0x0a, 0x49, 0x0a, 0x47]);
    bytes.extend_from_slice(digest.as_bytes());
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    let read = thread.spawn(move || Definition::from_bytes(&bytes).unwrap().ops().len());
    assert_eq!(read.unwrap().join().unwrap(), 2);
}
