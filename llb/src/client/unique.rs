//! Makes local sources of a definition those of one session.
//!
//! A daemon takes equal vertices of builds that run at the same time for one, and two builds whose
//! folders are both called `context` have equal vertices. Go's client therefore writes a random
//! `local.unique` into every local source. A definition of this crate has none, so that it is the same
//! every time; it is put in here, when the definition is sent. What a folder contains decides about the
//! cache, so that costs none.
//!
//! The op's bytes are edited, not encoded again: those of another encoder stay as they are. Only local
//! sources, and the digests by which later ops name them, change.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::encoding::{WireType, decode_key, decode_varint, encode_key, encode_varint};
use sha2::{Digest as _, Sha256};

use crate::progress::Event;
use crate::proto::pb;
use crate::session::hex;

/// What a digest was before, by what it is now.
pub(super) type Renamed = BTreeMap<String, String>;

/// A definition as it was sent, to understand what the daemon says of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sent {
    pub(super) definition: Option<pb::Definition>,
    pub(super) renamed: Renamed,
}

impl Sent {
    /// The author's digest of a vertex.
    pub(super) fn original<'a>(&'a self, digest: &'a str) -> &'a str {
        self.renamed.get(digest).map_or(digest, String::as_str)
    }

    /// Gives an event the author's digests.
    pub(super) fn translate(&self, event: &mut Event) {
        if self.renamed.is_empty() {
            return;
        }
        let translate = |digest: &mut String| {
            if let Some(original) = self.renamed.get(digest.as_str()) {
                digest.clone_from(original);
            }
        };
        match event {
            Event::Vertex(vertex) => {
                translate(&mut vertex.digest);
                vertex.inputs.iter_mut().for_each(translate);
            }
            Event::Transfer(transfer) => translate(&mut transfer.vertex),
            Event::Log(log) => translate(&mut log.vertex),
            Event::Warning(warning) => translate(&mut warning.vertex),
        }
    }
}

const UNIQUE: &str = "local.unique";
/// Number of the field of an op with its inputs, and of the field of an input with its digest.
const INPUTS: u32 = 1;
const DIGEST: u32 = 1;
/// Number of the field of an op that is a source, and of the fields of that.
const SOURCE: u32 = 3;
const IDENTIFIER: u32 = 1;
const ATTRIBUTES: u32 = 2;

/// Gives every local source without an id of its own this one. What is no definition stays as it is, for the daemon
/// to refuse.
pub(super) fn make_unique(definition: &mut pb::Definition, id: &str) -> Renamed {
    let mut renamed = Renamed::new();
    let mut now = BTreeMap::new();
    for op in &mut definition.def {
        let Some(edited) = edit_op(op, id, &now) else {
            continue;
        };
        let (before, after) = (digest(op), digest(&edited));
        *op = edited;
        if before == after {
            continue;
        }
        if let Some(metadata) = definition.metadata.remove(&before) {
            definition.metadata.insert(after.clone(), metadata);
        }
        if let Some(source) = &mut definition.source
            && let Some(locations) = source.locations.remove(&before)
        {
            source.locations.insert(after.clone(), locations);
        }
        now.insert(before.clone(), after.clone());
        renamed.insert(after, before);
    }
    renamed
}

fn digest(op: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(op)))
}

/// The op with the id and with the digests its inputs have now; `None` if nothing changes or it is no op.
fn edit_op(op: &[u8], id: &str, now: &BTreeMap<String, String>) -> Option<Bytes> {
    let mut edited = Vec::with_capacity(op.len() + 64);
    let mut changed = false;
    for field in fields(op)? {
        let replaced = match (field.number, field.content) {
            (INPUTS, Some(input)) => edit_input(input, now),
            (SOURCE, Some(source)) => edit_source(source, id),
            _ => None,
        };
        changed |= replaced.is_some();
        match replaced {
            Some(content) => put(&mut edited, field.number, &content),
            None => edited.extend_from_slice(field.bytes),
        }
    }
    changed.then(|| edited.into())
}

fn edit_input(input: &[u8], now: &BTreeMap<String, String>) -> Option<Vec<u8>> {
    let mut edited = Vec::with_capacity(input.len());
    let mut changed = false;
    for field in fields(input)? {
        let digest = (field.number == DIGEST).then_some(field.content).flatten();
        let digest = digest.and_then(|digest| now.get(std::str::from_utf8(digest).ok()?));
        changed |= digest.is_some();
        match digest {
            Some(digest) => put(&mut edited, DIGEST, digest.as_bytes()),
            None => edited.extend_from_slice(field.bytes),
        }
    }
    changed.then_some(edited)
}

fn edit_source(source: &[u8], id: &str) -> Option<Vec<u8>> {
    let all = fields(source)?;
    let is_local = |field: &Field<'_>| {
        field.number == IDENTIFIER
            && field
                .content
                .is_some_and(|content| content.starts_with(b"local://"))
    };
    if !all.iter().any(is_local) {
        return None;
    }
    let entry = {
        let mut entry = Vec::new();
        put(&mut entry, 1, UNIQUE.as_bytes());
        put(&mut entry, 2, id.as_bytes());
        entry
    };
    let mut edited = Vec::with_capacity(source.len() + entry.len() + 8);
    let mut missing = true;
    for field in all {
        let key = (field.number == ATTRIBUTES)
            .then_some(field.content)
            .flatten()
            .and_then(key_and_value);
        // Entries come in the order of their keys, as Go writes them.
        match key {
            Some((UNIQUE, "")) if missing => {
                missing = false;
                put(&mut edited, ATTRIBUTES, &entry);
                continue;
            }
            Some((UNIQUE, _)) => return None,
            Some((key, _)) if key > UNIQUE && missing => {
                missing = false;
                put(&mut edited, ATTRIBUTES, &entry);
            }
            None if field.number > ATTRIBUTES && missing => {
                missing = false;
                put(&mut edited, ATTRIBUTES, &entry);
            }
            _ => {}
        }
        edited.extend_from_slice(field.bytes);
    }
    if missing {
        put(&mut edited, ATTRIBUTES, &entry);
    }
    Some(edited)
}

/// The key and the value of an entry of a map.
fn key_and_value(entry: &[u8]) -> Option<(&str, &str)> {
    let (mut key, mut value) = ("", "");
    for field in fields(entry)? {
        let text = std::str::from_utf8(field.content?).ok()?;
        match field.number {
            1 => key = text,
            2 => value = text,
            _ => {}
        }
    }
    Some((key, value))
}

/// A field of a message.
struct Field<'a> {
    number: u32,
    /// All of it, as it stands.
    bytes: &'a [u8],
    /// What is in it, if that is bytes, a text or a message.
    content: Option<&'a [u8]>,
}

/// The fields of a message in order; `None` if it is none.
fn fields(message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let (number, kind) = decode_key(&mut rest).ok()?;
        let mut content = None;
        let skipped = match kind {
            WireType::Varint => {
                decode_varint(&mut rest).ok()?;
                0
            }
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                content = Some(rest.get(..length)?);
                length
            }
            WireType::StartGroup | WireType::EndGroup => return None,
        };
        rest = rest.get(skipped..)?;
        fields.push(Field {
            number,
            bytes: &start[..start.len() - rest.len()],
            content,
        });
    }
    Some(fields)
}

fn put(message: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    encode_varint(content.len() as u64, message);
    message.extend_from_slice(content);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn graph() -> State {
        image("debian")
            .copy(
                local("context").include(["src", "ü"]).exclude(["x"]),
                "/",
                "/src",
            )
            .run(sh("make").name("make"))
            .copy(local("other").local_unique_id("mine"), "/", "/other")
    }

    fn marshal(options: &MarshalOptions) -> Definition {
        graph().marshal(options).unwrap()
    }

    #[test]
    fn the_bytes_are_those_of_marshalling_with_the_id() {
        let options = MarshalOptions::linux_amd64();
        let mut definition = pb::Definition::from(marshal(&options));
        let before = definition.clone();
        let renamed = make_unique(&mut definition, "session-1");
        let expected = marshal(&options.clone().local_unique_id("session-1"));
        assert!(definition == pb::Definition::from(expected));
        // The source, the copy of it, and all that comes after.
        assert_eq!(renamed.len(), 5);
        for (after, before_it) in &renamed {
            assert!(definition.metadata.contains_key(after));
            assert!(before.metadata.contains_key(before_it));
        }
    }

    #[test]
    fn what_has_ids_or_no_folders_stays() {
        let options = MarshalOptions::linux_amd64();
        let image = image("debian").run(sh("make"));
        for definition in [
            marshal(&options.clone().local_unique_id("one")),
            image.marshal(&options).unwrap(),
        ] {
            let before = pb::Definition::from(definition);
            let mut after = before.clone();
            assert!(make_unique(&mut after, "two").is_empty());
            assert!(before == after);
        }
    }

    #[test]
    fn bytes_that_are_no_op_stay() {
        for bytes in [&b"\xff\xff"[..], b"\x0a\x7fabc", b"\x1b", b""] {
            let mut definition = pb::Definition {
                def: vec![Bytes::from(bytes.to_vec())],
                ..pb::Definition::default()
            };
            assert!(make_unique(&mut definition, "id").is_empty());
            assert_eq!(definition.def[0], bytes);
        }
    }

    #[test]
    fn sources_of_other_clients_get_one_in_the_order_of_keys() {
        let source = |attributes: &[(&str, &str)]| pb::Op {
            op: Some(pb::op::Op::Source(pb::SourceOp {
                identifier: "local://a".into(),
                attrs: attributes
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                    .collect(),
            })),
            ..pb::Op::default()
        };
        for others in [
            &[][..],
            &[("local.followpaths", "x")],
            &[("a", "b"), ("local.vary", "x")],
        ] {
            let bytes = prost::Message::encode_to_vec(&source(others));
            let edited = edit_op(&bytes, "id", &BTreeMap::new()).unwrap();
            let mut all = others.to_vec();
            all.push((UNIQUE, "id"));
            assert_eq!(edited, prost::Message::encode_to_vec(&source(&all)));
        }
    }
}
