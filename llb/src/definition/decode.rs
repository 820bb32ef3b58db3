//! Reads definitions from their wire form, whoever wrote them.
//!
//! Op bytes are kept as they are, because their digests are names; everything else is read and written anew. What a
//! newer BuildKit adds to ops or capabilities survives, fields it adds beside them do not.

use std::collections::BTreeSet;
use std::sync::Arc;

use prost::Message as _;

use super::{Definition, DefinitionOp, OpData, OpDigest, SourceInfo};
use crate::error::{Error, ErrorKind, Problem};
use crate::metadata::{LinuxResources, OpMetadata, ProgressGroup};
use crate::proto::pb;
use crate::sourcemap::{Position, Range};
use crate::value::Capability;

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
        let message = pb::Definition::decode(bytes)
            .map_err(|error| fault(format!("invalid definition: {error}")))?;
        Self::from_message(message)
    }

    pub(crate) fn from_message(message: pb::Definition) -> Result<Self, Error> {
        let pb::Definition {
            def,
            mut metadata,
            source,
        } = message;
        let pb::Source {
            mut locations,
            infos,
        } = source.unwrap_or_default();
        let infos = infos
            .into_iter()
            .map(SourceInfo::from_message)
            .collect::<Result<Vec<_>, _>>()?;

        // An op that is there twice is one op. The last one is not part of the graph, wherever else it is.
        let last = def.last().map(|bytes| OpDigest::of(bytes));
        let count = def.len();
        let mut known = BTreeSet::new();
        let mut ops = Vec::with_capacity(def.len());
        let mut messages = Vec::with_capacity(def.len());
        for (position, bytes) in def.into_iter().enumerate() {
            let digest = OpDigest::of(&bytes);
            let is_last = position + 1 == count;
            if !is_last && (Some(digest) == last || !known.insert(digest)) {
                continue;
            }
            let message = pb::Op::decode(bytes.clone())
                .map_err(|error| fault(format!("invalid op {digest}: {error}")))?;
            messages.push(message);
            let text = digest.to_string();
            let places = locations.remove(&text).unwrap_or_default().locations;
            ops.push(DefinitionOp::from(OpData {
                digest,
                bytes,
                metadata: metadata
                    .remove(&text)
                    .map(OpMetadata::from_message)
                    .unwrap_or_default(),
                locations: places
                    .into_iter()
                    .map(|place| read_location(place, digest, infos.len()))
                    .collect::<Result<_, _>>()?,
            }));
        }

        for (op, message) in ops.iter().zip(&messages) {
            let reader = op.digest();
            for input in &message.inputs {
                let is_known =
                    OpDigest::parse(&input.digest).is_some_and(|digest| known.contains(&digest));
                if !is_known {
                    let read = &input.digest;
                    return Err(fault(format!(
                        "invalid definition: op {reader} reads {read:?}, which is not in it"
                    )));
                }
                if u32::try_from(input.index).is_err() {
                    let index = input.index;
                    return Err(fault(format!(
                        "invalid definition: op {reader} reads output {index}, which no op has"
                    )));
                }
            }
        }
        let head = match messages.last() {
            None => None,
            Some(pb::Op {
                inputs, op: None, ..
            }) if inputs.len() == 1 => head_of(&inputs[0]),
            Some(_) => {
                let message = "invalid definition: its last op must have one input and nothing else, to name the result";
                return Err(fault(message));
            }
        };
        if let Some(digest) = metadata.keys().chain(locations.keys()).next() {
            return Err(fault(format!(
                "invalid definition: it describes op {digest:?}, which is not in it"
            )));
        }
        Ok(Self {
            ops: Arc::new(ops),
            infos: Arc::new(infos),
            head,
        })
    }
}

fn head_of(input: &pb::Input) -> Option<(OpDigest, u32)> {
    Some((
        OpDigest::parse(&input.digest)?,
        u32::try_from(input.index).unwrap_or_default(),
    ))
}

fn fault(message: impl Into<String>) -> Error {
    Error::new(vec![Problem::without_location(
        ErrorKind::Definition,
        message,
    )])
}

fn read_location(
    place: pb::Location,
    digest: OpDigest,
    infos: usize,
) -> Result<(u32, Vec<Range>), Error> {
    let position = |position: pb::Position| Position {
        line: position.line,
        character: position.character,
    };
    match u32::try_from(place.source_index) {
        Ok(info) if (info as usize) < infos => {
            let ranges = place.ranges.into_iter();
            Ok((
                info,
                ranges
                    .map(|range| Range {
                        start: range.start.map(position),
                        end: range.end.map(position),
                    })
                    .collect(),
            ))
        }
        _ => Err(fault(format!(
            "invalid definition: op {digest} comes from source file {}, but there are {infos}",
            place.source_index
        ))),
    }
}

impl SourceInfo {
    fn from_message(message: pb::SourceInfo) -> Result<Self, Error> {
        Ok(Self {
            filename: message.filename,
            language: message.language,
            data: message.data.into(),
            definition: message
                .definition
                .map(Definition::from_message)
                .transpose()?
                .map(Box::new),
        })
    }
}

impl OpMetadata {
    fn from_message(message: pb::OpMetadata) -> Self {
        let mut metadata = Self {
            ignore_cache: message.ignore_cache,
            description: message.description,
            export_cache: message.export_cache.map(|export| export.value),
            progress_group: message.progress_group.map(|group| ProgressGroup {
                id: group.id,
                name: group.name,
                weak: group.weak,
            }),
            linux_resources: message.linux_resources.map(|resources| LinuxResources {
                memory: resources.memory,
                memory_swap: resources.memory_swap,
                cpu_shares: resources.cpu_shares,
                cpu_period: resources.cpu_period,
                cpu_quota: resources.cpu_quota,
                cpuset_cpus: resources.cpuset_cpus,
                cpuset_mems: resources.cpuset_mems,
            }),
            ..Self::default()
        };
        for (name, needed) in message.caps {
            match Capability::from_name(&name) {
                Some(capability) if needed => metadata.caps.insert(capability),
                _ => _ = metadata.other_caps.insert(name, needed),
            }
        }
        metadata
    }
}

impl OpDigest {
    /// Reads `sha256:` and 64 lower-case hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:")?.as_bytes();
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        };
        let mut hash = [0; 32];
        if digits.len() != 2 * hash.len() {
            return None;
        }
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
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

    fn error(message: pb::Definition) -> String {
        Definition::from_message(message).unwrap_err().to_string()
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
        let read = Definition::from_message(message.clone()).unwrap();
        assert_eq!(pb::Definition::decode(&*read.to_bytes()).unwrap(), message);
    }

    #[test]
    fn broken_definitions_are_refused() {
        let mut without_source = message();
        without_source.def.remove(0);
        assert!(error(without_source).contains("which is not in it"));

        let mut without_result = message();
        without_result.def.pop();
        assert!(error(without_result).contains("last op"));

        let mut elsewhere = message();
        for locations in elsewhere.source.as_mut().unwrap().locations.values_mut() {
            locations.locations.push(pb::Location {
                source_index: 0,
                ranges: Vec::new(),
            });
        }
        assert!(error(elsewhere).contains("comes from source file 0, but there are 0"));
    }

    #[test]
    fn digests_that_name_no_op_are_refused() {
        let mut metadata = message();
        let digest = OpDigest::of(b"nothing").to_string();
        metadata
            .metadata
            .insert(digest.clone(), pb::OpMetadata::default());
        assert!(error(metadata).contains("describes op \"sha256:"));

        let mut locations = message();
        let source = locations.source.get_or_insert_default();
        source.locations.insert(digest, pb::Locations::default());
        assert!(error(locations).contains("describes op \"sha256:"));
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
            assert!(error(message).contains("which no op has"));
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
            Definition::from_message(once),
            Definition::from_message(twice),
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
