//! Reads definitions from their wire form, whoever wrote them.
//!
//! Op bytes are kept as they are, because their digests are names; everything else is read and written anew. What a
//! newer BuildKit adds to ops or capabilities survives, fields it adds beside them do not.
//!
//! The bytes are gone through field by field, and what is kept of them is copied once: the ops to one buffer that they
//! share. Time and memory are in proportion to the bytes that are there, not to what they claim.

mod fields;
mod metadata;
mod schema;
mod source;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use super::common::CommonMetadata;
use super::positions::Positions;
use super::{Definition, Locations, Made, OpData, OpDigest, OpList, SourceInfo};
use crate::error::{Error, ErrorKind, Problem};
use crate::metadata::OpMetadata;
use crate::proto::pb;
use crate::sourcemap::Range;
use fields::{Malformed, Part, Reason};

/// So many ops are looked up one right after the other, so that waiting for memory overlaps.
const AT_ONCE: usize = 64;

/// Definitions inside definitions, where source files come from, may be so deep.
const DEEPEST: usize = 33;

impl Definition {
    /// Reads a definition from protobuf bytes (`pb.Definition`): what `buildctl` and Go programs write.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let definition = image("alpine").run(sh("true")).marshal(&MarshalOptions::linux_amd64())?;
    /// let read = Definition::from_bytes(&definition.to_bytes())?;
    /// assert_eq!(read.to_bytes(), definition.to_bytes());
    /// assert!(Definition::from_bytes(b"no definition").is_err());
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The bytes are no definition; an op reads one that is not there, or an output that cannot be; metadata or places
    /// are of an op that is not there; or no op names the result.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        definition(Part::whole(bytes), 0).map_err(|fault| {
            let message = format!("invalid {}", fault.0);
            Error::new(vec![Problem::without_location(
                ErrorKind::Definition,
                message,
            )])
        })
    }
}

/// What is wrong, beginning with what it is wrong with.
struct Fault(Cow<'static, str>);

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self(format!("definition: {malformed}").into())
    }
}

impl Fault {
    fn new(message: String) -> Self {
        Self(message.into())
    }
}

fn definition(message: Part<'_>, depth: usize) -> Result<Definition, Fault> {
    if depth > DEEPEST {
        return Err(message.malformed(Reason::Depth).into());
    }
    let parts = Parts::of(message)?;
    let infos = parts.infos.iter().map(|info| source::info(*info, depth));
    let infos: Vec<SourceInfo> = infos.collect::<Result<_, _>>()?;
    let ops = Ops::of(&parts.ops)?;
    let head = ops.check_inputs()?;
    let metadata = ops.entries(&parts.metadata)?;
    let locations = ops.entries(&parts.locations)?;

    // Entries say where everything about an op is, so that each op is made at once and in its place.
    let mut common = CommonMetadata::default();
    let mut whole = Vec::with_capacity(ops.digests.len());
    for (position, digest) in ops.digests.iter().enumerate() {
        let metadata = match &metadata[position] {
            Some(message) => metadata::read(*message)?,
            None => OpMetadata::default(),
        };
        let locations = match &locations[position] {
            Some(message) => check_locations(source::locations(*message)?, *digest, infos.len())?,
            None => Locations::default(),
        };
        let bytes = ops.range(position);
        whole.push(OpData {
            digest: *digest,
            start: bytes.start,
            end: bytes.end,
            block: 0,
            metadata: common.share(metadata),
            locations,
        });
    }
    let lacks_metadata = !ops.digests.is_empty() && parts.metadata.is_empty();
    let list = OpList::from(Made {
        ops: whole,
        blocks: vec![ops.buffer],
        metadata: common.finish(),
        merged: Vec::new(),
    });
    Ok(Definition {
        ops: Arc::new(Arc::new(list).into()),
        infos: Arc::new(infos),
        head,
        lacks_metadata,
    })
}

/// The fields of a definition.
#[derive(Default)]
struct Parts<'b> {
    ops: Vec<Part<'b>>,
    metadata: Vec<Part<'b>>,
    locations: Vec<Part<'b>>,
    infos: Vec<Part<'b>>,
}

impl<'b> Parts<'b> {
    fn of(message: Part<'b>) -> Result<Self, Malformed> {
        let mut parts = Self::default();
        let mut fields = message.fields();
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => parts.ops.push(value.part(number, message)?),
                2 => parts.metadata.push(value.part(number, message)?),
                3 => {
                    let source = value.part(number, message)?;
                    let mut fields = source.fields();
                    while let Some((number, value)) = fields.next()? {
                        match number {
                            1 => parts.locations.push(value.part(number, source)?),
                            2 => parts.infos.push(value.part(number, source)?),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(parts)
    }
}

/// The ops of a definition, each once.
struct Ops {
    digests: Vec<OpDigest>,
    /// Where the bytes of each op end in the buffer; they begin where those before it end.
    ends: Vec<usize>,
    buffer: Bytes,
    positions: Positions,
}

impl Ops {
    fn of(parts: &[Part<'_>]) -> Result<Self, Fault> {
        let Some((last, body)) = parts.split_last() else {
            return Ok(Self {
                digests: Vec::new(),
                ends: Vec::new(),
                buffer: Bytes::new(),
                positions: Positions::with_capacity(0),
            });
        };
        if u32::try_from(parts.len()).is_err() {
            let count = parts.len();
            let message = format!("definition: it has {count} ops, more than 32 bits can count");
            return Err(Fault::new(message));
        }
        let mut buffer = Vec::with_capacity(parts.iter().map(|part| part.bytes.len()).sum());
        let mut digests = Vec::with_capacity(parts.len());
        let mut ends = Vec::with_capacity(parts.len());
        let mut positions = Positions::with_capacity(parts.len());
        // An op that is there twice is one op. The last one is not part of the graph, wherever else it is.
        let last_digest = OpDigest::of(last.bytes);
        for part in body {
            let digest = OpDigest::of(part.bytes);
            let position = u32::try_from(digests.len()).expect("there are fewer ops than parts");
            if digest == last_digest
                || positions
                    .find_or_insert(position, digest, |position: usize| digests[position])
                    .is_some()
            {
                continue;
            }
            check_op(digest, part.bytes)?;
            buffer.extend_from_slice(part.bytes);
            digests.push(digest);
            ends.push(buffer.len());
        }
        check_op(last_digest, last.bytes)?;
        buffer.extend_from_slice(last.bytes);
        digests.push(last_digest);
        ends.push(buffer.len());
        Ok(Self {
            digests,
            ends,
            buffer: buffer.into(),
            positions,
        })
    }

    fn range(&self, position: usize) -> std::ops::Range<usize> {
        let start = position
            .checked_sub(1)
            .map_or(0, |before| self.ends[before]);
        start..self.ends[position]
    }

    fn has(&self, digest: OpDigest) -> bool {
        let digest_at = |position: usize| self.digests[position];
        self.positions.find(digest, digest_at).is_some()
    }

    /// Whether all that ops read is there; gives what the last op reads, which is the result.
    fn check_inputs(&self) -> Result<Option<(OpDigest, u32)>, Fault> {
        let Some(last) = self.digests.len().checked_sub(1) else {
            return Ok(None);
        };
        let (mut count, mut head) = (0, None);
        for (position, reader) in self.digests.iter().enumerate() {
            for input in inputs(&self.buffer[self.range(position)]) {
                let before = position.checked_sub(1).map(|before| self.digests[before]);
                let digest = OpDigest::parse(input.digest)
                    .filter(|digest| Some(*digest) == before || self.has(*digest));
                let Some(digest) = digest else {
                    let message = format!(
                        "definition: op {reader} reads {:?}, which is not in it",
                        input.digest
                    );
                    return Err(Fault::new(message));
                };
                let Ok(index) = u32::try_from(input.index) else {
                    let index = input.index;
                    let message =
                        format!("definition: op {reader} reads output {index}, which no op has");
                    return Err(Fault::new(message));
                };
                if position == last {
                    count += 1;
                    head = Some((digest, index));
                }
            }
        }
        if count != 1 || is_op(&self.buffer[self.range(last)]) {
            let message =
                "definition: its last op must have one input and nothing else, to name the result";
            return Err(Fault(message.into()));
        }
        Ok(head)
    }

    /// The values of a map by digest, each at the position of its op. Of equal keys the last one counts.
    fn entries<'b>(&self, entries: &[Part<'b>]) -> Result<Vec<Option<Part<'b>>>, Fault> {
        let mut values = vec![None; self.digests.len()];
        let mut found = Vec::with_capacity(entries.len().min(AT_ONCE));
        for entries in entries.chunks(AT_ONCE) {
            found.clear();
            for entry in entries {
                found.push(read_entry(*entry)?);
            }
            for (key, digest, message) in &found {
                let position = digest.and_then(|digest| self.position(digest));
                let Some(position) = position else {
                    let message =
                        format!("definition: it describes op {key:?}, which is not in it");
                    return Err(Fault::new(message));
                };
                values[position] = Some(*message);
            }
        }
        Ok(values)
    }

    /// Where an op is, the last one included.
    fn position(&self, digest: OpDigest) -> Option<usize> {
        if self.digests.last() == Some(&digest) {
            return Some(self.digests.len() - 1);
        }
        let digest_at = |position: usize| self.digests[position];
        self.positions.find(digest, digest_at)
    }
}

/// The key and the value of an entry of a map by digest.
fn read_entry(entry: Part<'_>) -> Result<(&str, Option<OpDigest>, Part<'_>), Malformed> {
    let (mut key, mut message) = ("", Part::default());
    let mut fields = entry.fields();
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => key = value.text(number, entry)?,
            2 => message = value.part(number, entry)?,
            _ => {}
        }
    }
    Ok((key, OpDigest::parse(key), message))
}

fn check_op(digest: OpDigest, bytes: &[u8]) -> Result<(), Fault> {
    schema::check_op(Part::whole(bytes))
        .map_err(|malformed| Fault::new(format!("op {digest}: {malformed}")))
}

/// What an op reads, as it is written there.
pub(crate) struct WireInput<'b> {
    pub(crate) digest: &'b str,
    pub(crate) index: i64,
}

/// The inputs of an op of a definition.
pub(crate) fn inputs(op: &[u8]) -> impl Iterator<Item = WireInput<'_>> {
    let mut fields = Part::whole(op).fields();
    std::iter::from_fn(move || {
        // Whatever is in a definition has been looked through.
        while let Ok(Some((number, value))) = fields.next() {
            if number == 1 {
                let message = value.part(number, Part::default()).ok()?;
                let mut input = WireInput {
                    digest: "",
                    index: 0,
                };
                let mut fields = message.fields();
                while let Ok(Some((number, value))) = fields.next() {
                    match number {
                        1 => input.digest = value.text(number, message).ok()?,
                        2 => input.index = value.integer(number, message).ok()?.cast_signed(),
                        _ => {}
                    }
                }
                return Some(input);
            }
        }
        None
    })
}

/// The platform of an op of a definition.
pub(super) fn platform(op: &[u8]) -> Option<pb::Platform> {
    let mut platform = None;
    let mut fields = Part::whole(op).fields();
    while let Ok(Some((number, value))) = fields.next() {
        if number == 10 {
            let message = value.part(number, Part::default()).ok()?;
            let platform: &mut pb::Platform = platform.get_or_insert_default();
            platform.merge(message.bytes).ok()?;
        }
    }
    platform
}

/// Whether an op of a definition does something, and not only names a result.
fn is_op(op: &[u8]) -> bool {
    let mut fields = Part::whole(op).fields();
    while let Ok(Some((number, _))) = fields.next() {
        if (2..=8).contains(&number) {
            return true;
        }
    }
    false
}

fn check_locations(
    locations: Vec<(i32, Vec<Range>)>,
    digest: OpDigest,
    infos: usize,
) -> Result<Locations, Fault> {
    let locations = locations.into_iter().map(|(info, ranges)| {
        let known = u32::try_from(info).ok();
        match known.filter(|known| (*known as usize) < infos) {
            Some(known) => Ok((known, ranges)),
            None => Err(Fault::new(format!(
                "definition: op {digest} comes from source file {info}, but there are {infos}"
            ))),
        }
    });
    locations.collect()
}

/// The value of each lower-case hexadecimal digit, and 255 for what is none.
const DIGITS: [u8; 256] = {
    let mut values = [255; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

impl OpDigest {
    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?.as_bytes();
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        let mut seen = 0;
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
            seen |= high | low;
            *byte = high << 4 | low & 15;
        }
        if seen > 15 {
            return None;
        }
        Some(Self(hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    fn message() -> pb::Definition {
        let definition = image("alpine")
            .run(sh("true").name("x"))
            .marshal(&MarshalOptions::linux_amd64())
            .unwrap();
        pb::Definition::decode(&*definition.to_bytes()).unwrap()
    }

    fn error(message: &pb::Definition) -> String {
        Definition::from_bytes(&message.encode_to_vec())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn digests_are_read_as_they_are_printed() {
        let digest = OpDigest::of(b"x");
        assert_eq!(OpDigest::parse(&digest.to_string()), Some(digest));
        for text in [
            "",
            "sha256:",
            &digest.to_string()[7..],
            &digest.to_string().to_uppercase(),
        ] {
            assert_eq!(OpDigest::parse(text), None, "{text}");
        }
    }

    #[test]
    fn capabilities_that_are_not_known_survive() {
        let mut message = message();
        for metadata in message.metadata.values_mut() {
            metadata.caps.insert("a.new.one".to_owned(), true);
            metadata.caps.insert("mergeop".to_owned(), false);
        }
        let read = Definition::from_bytes(&message.encode_to_vec()).unwrap();
        assert_eq!(pb::Definition::decode(&*read.to_bytes()).unwrap(), message);
    }

    #[test]
    fn broken_definitions_are_refused() {
        let mut without_source = message();
        without_source.def.remove(0);
        assert!(error(&without_source).contains("which is not in it"));

        let mut without_result = message();
        without_result.def.pop();
        assert!(error(&without_result).contains("last op"));

        let mut elsewhere = message();
        for locations in elsewhere.source.as_mut().unwrap().locations.values_mut() {
            locations.locations.push(pb::Location {
                source_index: 0,
                ranges: Vec::new(),
            });
        }
        assert!(error(&elsewhere).contains("comes from source file 0, but there are 0"));
    }

    #[test]
    fn digests_that_name_no_op_are_refused() {
        let mut metadata = message();
        let digest = OpDigest::of(b"nothing").to_string();
        metadata
            .metadata
            .insert(digest.clone(), pb::OpMetadata::default());
        assert!(error(&metadata).contains("describes op \"sha256:"));

        let mut locations = message();
        let source = locations.source.get_or_insert_default();
        source.locations.insert(digest, pb::Locations::default());
        assert!(error(&locations).contains("describes op \"sha256:"));
    }

    #[test]
    fn outputs_that_cannot_be_are_refused() {
        for index in [-1, i64::from(u32::MAX) + 1] {
            let mut message = message();
            let mut last = pb::Op::decode(message.def.pop().unwrap()).unwrap();
            let old = OpDigest::of(&last.encode_to_vec()).to_string();
            last.inputs[0].index = index;
            let bytes = last.encode_to_vec();
            let metadata = message.metadata.remove(&old).unwrap();
            message
                .metadata
                .insert(OpDigest::of(&bytes).to_string(), metadata);
            message.def.push(bytes.into());
            assert!(error(&message).contains("which no op has"));
        }
    }

    #[test]
    fn an_op_that_is_there_twice_is_one_op() {
        let once = message();
        let mut twice = once.clone();
        let last = twice.def.last().unwrap().clone();
        twice.def.insert(1, twice.def[0].clone());
        twice.def.insert(1, last);
        let (once, twice) = (
            Definition::from_bytes(&once.encode_to_vec()),
            Definition::from_bytes(&twice.encode_to_vec()),
        );
        assert_eq!(once.unwrap(), twice.unwrap());
    }

    #[test]
    fn the_empty_definition_is_scratch() {
        let read = Definition::from_bytes(&[]).unwrap();
        assert!(read.head().is_none());
        assert!(read.state().is_scratch());
    }
}
