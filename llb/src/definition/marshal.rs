//! From a graph to a definition: order, deduplication, metadata, source maps.

use std::hash::{BuildHasherDefault, Hasher};

use super::encode::{Encoded, EncodedInput, encode, encode_final};
use super::{Definition, DefinitionOp, MarshalOptions, OpDigest, SourceInfo};
use crate::error::{Error, Problem};
use crate::graph::{Output, Vertex};
use crate::metadata::OpMetadata;
use crate::op::Op;
use crate::sourcemap::{Position, SourceLocation, SourceMap};
use crate::value::Capability;

/// Marshals what `head` stands for; scratch gives the empty definition.
pub(crate) fn marshal(
    head: Option<&Output>,
    options: &MarshalOptions,
) -> Result<Definition, Error> {
    let Some(head) = head else {
        return Ok(Definition::default());
    };
    let mut marshaller = Marshaller::new(options);
    let digest = marshaller.visit_all(&head.vertex);
    marshaller.finish(digest, head.index)
}

struct Marshaller<'a> {
    options: &'a MarshalOptions,
    ops: Vec<DefinitionOp>,
    /// The op that each visited vertex became. Only looked up, never iterated.
    visited: AddressMap<u32>,
    /// The op that has each digest. Only looked up, never iterated.
    by_digest: AddressMap<Vec<u32>>,
    maps: Vec<SourceMap>,
    infos: Vec<SourceInfo>,
    problems: Vec<Problem>,
}

struct Visit<'a> {
    vertex: &'a Vertex,
    next: usize,
}

impl<'a> Marshaller<'a> {
    fn new(options: &'a MarshalOptions) -> Self {
        Self {
            options,
            ops: Vec::new(),
            visited: AddressMap::default(),
            by_digest: AddressMap::default(),
            maps: Vec::new(),
            infos: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Emits everything `head` needs, then `head`, without using the call stack for depth.
    fn visit_all(&mut self, head: &Vertex) -> OpDigest {
        let mut stack = vec![Visit {
            vertex: head,
            next: 0,
        }];
        while let Some(top) = stack.last_mut() {
            let data = top.vertex.data();
            let input = match &data.op {
                Op::File(file) => file
                    .visits
                    .get(top.next)
                    .map(|&position| &data.inputs[position as usize]),
                _ => data.inputs.get(top.next),
            };
            top.next += 1;
            match input {
                Some(input) if self.visited.contains_key(&(input.vertex.id() as u64)) => {}
                Some(input) => stack.push(Visit {
                    vertex: &input.vertex,
                    next: 0,
                }),
                None => {
                    let vertex = top.vertex;
                    stack.pop();
                    self.emit(vertex);
                }
            }
        }
        self.digest_of(head)
    }

    fn digest_of(&self, vertex: &Vertex) -> OpDigest {
        self.ops[self.visited[&(vertex.id() as u64)] as usize].digest
    }

    fn emit(&mut self, vertex: &Vertex) {
        let data = vertex.data();
        self.problems.extend(data.problems.iter().cloned());
        let inputs: Vec<EncodedInput> = data
            .inputs
            .iter()
            .map(|input| EncodedInput {
                digest: self.digest_of(&input.vertex),
                index: input.index,
            })
            .collect();
        let Encoded { bytes, metadata } = encode(data, &inputs, self.options);
        let digest = OpDigest::of(&bytes);
        let position = if let Some(position) = self.position_of(digest) {
            self.ops[position as usize].metadata.overlay(&metadata);
            position
        } else {
            let position =
                u32::try_from(self.ops.len()).expect("a definition has fewer than 2^32 ops");
            self.by_digest
                .entry(digest.prefix())
                .or_default()
                .push(position);
            self.ops.push(DefinitionOp {
                digest,
                bytes,
                metadata,
                locations: Vec::new(),
            });
            position
        };
        self.visited.insert(vertex.id() as u64, position);
        for location in &data.constraints.options().locations {
            let info = self.info_of(location);
            self.ops[position as usize]
                .locations
                .push((info, location.ranges.clone()));
        }
        if self.options.caller_locations {
            let place = |place: u32| i32::try_from(place).unwrap_or(i32::MAX);
            let (line, character) = (
                place(data.location.line()),
                place(data.location.column() - 1),
            );
            let location = SourceMap::new(data.location.file(), "rust", "").location([Position {
                line,
                character,
            }
            .into()]);
            let info = self.info_of(&location);
            self.ops[position as usize]
                .locations
                .push((info, location.ranges));
        }
    }

    fn position_of(&self, digest: OpDigest) -> Option<u32> {
        let candidates = self.by_digest.get(&digest.prefix())?;
        candidates
            .iter()
            .copied()
            .find(|&position| self.ops[position as usize].digest == digest)
    }

    fn info_of(&mut self, location: &SourceLocation) -> u32 {
        let known = self
            .maps
            .iter()
            .position(|map| map.is_same_file(&location.map));
        let position = known.unwrap_or_else(|| {
            let map = &location.map.0;
            let definition =
                map.state
                    .as_ref()
                    .and_then(|state| match state.marshal(self.options) {
                        Ok(definition) => Some(Box::new(definition)),
                        Err(error) => {
                            self.problems.extend(error.problems().iter().cloned());
                            None
                        }
                    });
            self.infos.push(SourceInfo {
                filename: map.filename.clone(),
                language: map.language.clone(),
                data: map.data.clone(),
                definition,
            });
            self.maps.push(location.map.clone());
            self.maps.len() - 1
        });
        u32::try_from(position).expect("a definition has fewer than 2^32 source files")
    }

    fn finish(mut self, head: OpDigest, index: u32) -> Result<Definition, Error> {
        if !self.problems.is_empty() {
            return Err(Error::new(self.problems));
        }
        let bytes = encode_final(EncodedInput {
            digest: head,
            index,
        });
        let mut metadata = OpMetadata::default();
        metadata.require(Capability::Constraints);
        metadata.require(Capability::Platform);
        let any = |has: fn(&OpMetadata) -> bool| self.ops.iter().any(|op| has(&op.metadata));
        if any(|op| op.ignore_cache) {
            metadata.require(Capability::MetaIgnoreCache);
        }
        if any(|op| !op.description.is_empty()) {
            metadata.require(Capability::MetaDescription);
        }
        if any(|op| op.export_cache.is_some()) {
            metadata.require(Capability::MetaExportCache);
        }
        let digest = OpDigest::of(&bytes);
        self.ops.push(DefinitionOp {
            digest,
            bytes,
            metadata,
            locations: Vec::new(),
        });
        Ok(Definition {
            ops: self.ops,
            infos: self.infos,
            head: Some((head, index)),
        })
    }
}

impl OpDigest {
    fn prefix(&self) -> u64 {
        self.0
            .iter()
            .take(8)
            .fold(0, |prefix, &byte| prefix << 8 | u64::from(byte))
    }
}

#[expect(
    clippy::disallowed_types,
    reason = "only looked up, never iterated, so its order shows nowhere"
)]
type AddressMap<V> = std::collections::HashMap<u64, V, BuildHasherDefault<AddressHasher>>;

/// Hashes addresses and digest prefixes, which are spread already but for their lowest bits.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}
