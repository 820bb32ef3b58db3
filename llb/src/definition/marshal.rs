//! From a graph to a definition: order, deduplication, metadata, source maps.

use std::cell::OnceCell;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::panic::Location;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::encode::{EncodedInput, encode, encode_final};
use super::options::MarshalData;
use super::vertex_cache::Remembered;
use super::{Definition, DefinitionOp, MarshalOptions, OpData, OpDigest, SourceInfo};
use crate::error::{Error, Problem};
use crate::graph::{Output, Vertex, VertexData};
use crate::metadata::OpMetadata;
use crate::op::Op;
use crate::sourcemap::{
    CallerLocations, Frame, Position, Range, SourceLocation, SourceMap, is_same_line, public_name,
};
use crate::value::{Capability, CapabilitySet};
use crate::wire::Writer;

/// Marshals what `head` stands for; scratch gives the empty definition.
pub(crate) fn marshal(
    head: Option<&Output>,
    options: &MarshalOptions,
) -> Result<Definition, Error> {
    let Some(head) = head else {
        return Ok(Definition::default());
    };
    let mut remembered = Remembered::new(&options.data);
    let known = head.vertex.data().cache.definition(&mut remembered);
    if let Some(known) = known.filter(|known| known.head_index() == head.index) {
        return Ok(known.clone());
    }
    let mut marshaller = Marshaller::new(options, remembered);
    marshaller.visit_all(&head.vertex);
    marshaller.finish(head)
}

struct Marshaller<'a> {
    options: &'a MarshalOptions,
    remembered: Remembered,
    /// A definition made before that this one begins with, without the op that names its result.
    prefix: Prefix,
    /// The ops after the prefix.
    ops: Vec<NewOp<'a>>,
    /// The position of the op that each visited vertex became. Only looked up, never iterated.
    visited: LookupMap<usize, u32>,
    /// The position of each digest after the prefix. Only looked up, never iterated.
    positions: LookupMap<OpDigest, u32>,
    /// The bytes of all new ops.
    writer: Writer,
    inputs: Vec<EncodedInput>,
    maps: Vec<SourceMap>,
    /// Files of the program, by the names that the compiler knows.
    program_files: Vec<(&'static str, u32)>,
    infos: Vec<SourceInfo>,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct Prefix {
    definition: Definition,
    length: u32,
    head: Option<OpDigest>,
    positions: OnceCell<LookupMap<OpDigest, u32>>,
    /// What ops that turned up again add to the metadata of those in the prefix.
    additions: Vec<(u32, OpMetadata)>,
    /// The places that they add.
    locations: Vec<(u32, u32, Vec<Range>)>,
}

struct NewOp<'a> {
    op: DefinitionOp,
    /// Where the bytes are in the buffer; empty for an op that its vertex remembers.
    span: std::ops::Range<usize>,
    /// Who will remember the op: nobody if it is more than what one vertex says.
    vertex: Option<&'a Vertex>,
}

struct Visit<'a> {
    vertex: &'a Vertex,
    next: usize,
}

impl<'a> Marshaller<'a> {
    fn new(options: &'a MarshalOptions, remembered: Remembered) -> Self {
        Self {
            options,
            remembered,
            prefix: Prefix::default(),
            ops: Vec::new(),
            visited: LookupMap::default(),
            positions: LookupMap::default(),
            writer: Writer::default(),
            inputs: Vec::new(),
            maps: Vec::new(),
            program_files: Vec::new(),
            infos: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn data(&self) -> &'a MarshalData {
        &self.options.data
    }

    /// Emits everything `head` needs, then `head`, without using the call stack for depth.
    fn visit_all(&mut self, head: &'a Vertex) {
        let mut stack = Vec::new();
        self.enter(head, &mut stack);
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
            if let Some(input) = input {
                self.enter(&input.vertex, &mut stack);
            } else {
                let vertex = top.vertex;
                stack.pop();
                self.emit(vertex);
            }
        }
    }

    /// Puts a vertex on the stack unless it has been emitted.
    fn enter(&mut self, vertex: &'a Vertex, stack: &mut Vec<Visit<'a>>) {
        if self.visited.contains_key(&vertex.id()) || self.is_in_prefix(vertex) {
            return;
        }
        if self.ops.is_empty() && self.prefix.length == 0 {
            let cache = &vertex.data().cache;
            // Locations are numbered for a whole definition, so only one without any can be a part of another.
            let known = cache.definition(&mut self.remembered);
            if let Some(known) = known.filter(|known| known.infos.is_empty()).cloned() {
                self.begin_with(vertex, known);
                return;
            }
        }
        stack.push(Visit { vertex, next: 0 });
    }

    /// Whatever comes first in a graph comes first, in the same order, in the graph's definition.
    fn begin_with(&mut self, vertex: &Vertex, known: Definition) {
        let length = known.ops.len() - 1;
        self.prefix.length = position(length);
        self.prefix.head = known.head();
        self.visited.insert(vertex.id(), position(length - 1));
        self.prefix.definition = known;
    }

    fn is_in_prefix(&mut self, vertex: &Vertex) -> bool {
        if self.prefix.length == 0 {
            return false;
        }
        let Some(op) = vertex.data().cache.op(&mut self.remembered) else {
            return false;
        };
        let Some(position) = self.prefix.position_of(op.digest()) else {
            return false;
        };
        self.visited.insert(vertex.id(), position);
        true
    }

    fn digest_at(&self, position: u32) -> OpDigest {
        match position.checked_sub(self.prefix.length) {
            None => self.prefix.definition.ops[position as usize].digest(),
            Some(position) => self.ops[position as usize].op.digest(),
        }
    }

    fn emit(&mut self, vertex: &'a Vertex) {
        let data = vertex.data();
        self.problems.extend(data.problems.iter().cloned());
        let mut inputs = std::mem::take(&mut self.inputs);
        inputs.clear();
        inputs.extend(data.inputs.iter().map(|input| EncodedInput {
            digest: self.digest_at(self.visited[&input.vertex.id()]),
            index: input.index,
        }));
        let position = match data.cache.op(&mut self.remembered).cloned() {
            Some(known) => match self.position_of(known.digest(), &inputs) {
                Some(position) => {
                    self.add_metadata(position, known.metadata());
                    position
                }
                None => self.push(NewOp {
                    op: known,
                    span: 0..0,
                    vertex: None,
                }),
            },
            None => self.encode(vertex, &inputs),
        };
        self.inputs = inputs;
        self.visited.insert(vertex.id(), position);
        self.locate(vertex, position);
    }

    fn encode(&mut self, vertex: &'a Vertex, inputs: &[EncodedInput]) -> u32 {
        let start = self.writer.written().len();
        let options = self.data();
        let metadata = encode(&mut self.writer, vertex.data(), inputs, options);
        let bytes = &self.writer.written()[start..];
        let (digest, end) = (OpDigest::of(bytes), start + bytes.len());
        if let Some(position) = self.position_of(digest, inputs) {
            self.writer.truncate(start);
            self.add_metadata(position, &metadata);
            return position;
        }
        self.push(NewOp {
            op: DefinitionOp::from(OpData {
                digest,
                bytes: Bytes::new(),
                metadata,
                locations: Vec::new(),
            }),
            span: start..end,
            vertex: Some(vertex),
        })
    }

    fn push(&mut self, op: NewOp<'a>) -> u32 {
        let position = self.prefix.length + position(self.ops.len());
        self.positions.insert(op.op.digest(), position);
        self.ops.push(op);
        position
    }

    fn position_of(&self, digest: OpDigest, inputs: &[EncodedInput]) -> Option<u32> {
        if let Some(&position) = self.positions.get(&digest) {
            return Some(position);
        }
        // An op that reads something that is not before the prefix's head cannot be in the prefix.
        let is_behind = |input: &EncodedInput| {
            Some(input.digest) == self.prefix.head || self.positions.contains_key(&input.digest)
        };
        if self.prefix.length == 0 || inputs.iter().any(is_behind) {
            return None;
        }
        self.prefix.position_of(digest)
    }

    /// The op at this position has turned up again, perhaps with other metadata.
    fn add_metadata(&mut self, position: u32, metadata: &OpMetadata) {
        let Some(position) = position.checked_sub(self.prefix.length) else {
            self.prefix.additions.push((position, metadata.clone()));
            return;
        };
        let new = &mut self.ops[position as usize];
        if new.op.metadata() != metadata {
            new.op.data_mut().metadata.overlay(metadata);
            new.vertex = None;
        }
    }

    /// Notes where a user wrote the op.
    fn locate(&mut self, vertex: &Vertex, position: u32) {
        let data = vertex.data();
        for location in &data.constraints.options().locations {
            let info = self.info_of(location);
            self.add_location(position, info, location.ranges.clone());
        }
        if self.data().caller_locations != CallerLocations::Off {
            self.locate_in_program(data, position);
        }
    }

    /// Notes the lines of the program that made the op: of the layers it is made in, outermost first, and its own.
    fn locate_in_program(&mut self, data: &VertexData, position: u32) {
        let frames = data.frame.as_deref().map(Frame::stack).unwrap_or_default();
        let mut lines: SmallVec<[&'static Location<'static>; 4]> = SmallVec::new();
        for location in frames
            .iter()
            .rev()
            .map(|frame| frame.location)
            .chain([data.location])
        {
            match lines.last_mut() {
                Some(outer) if is_same_line(outer, location) => *outer = location,
                _ => lines.push(location),
            }
        }
        let place = |place: u32| i32::try_from(place).unwrap_or(i32::MAX);
        for location in lines {
            let start = Position {
                line: place(location.line()),
                character: place(location.column() - 1),
            };
            let info = self.program_file(location.file());
            // BuildKit's own tools take it for granted that a range has an end.
            self.add_location(position, info, vec![Range::from(start..start)]);
        }
    }

    fn program_file(&mut self, name: &'static str) -> u32 {
        let known = self.program_files.iter().find(|(known, _)| *known == name);
        if let Some((_, info)) = known {
            return *info;
        }
        let text = self.data().caller_locations.text(name);
        let map = SourceMap::new(public_name(name), "rust", text);
        let info = self.info_of(&map.location([]));
        self.program_files.push((name, info));
        info
    }

    fn add_location(&mut self, position: u32, info: u32, ranges: Vec<Range>) {
        let Some(position) = position.checked_sub(self.prefix.length) else {
            self.prefix.locations.push((position, info, ranges));
            return;
        };
        let new = &mut self.ops[position as usize];
        new.op.data_mut().locations.push((info, ranges));
        new.vertex = None;
    }

    fn info_of(&mut self, location: &SourceLocation) -> u32 {
        let known = self.maps.iter().position(|map| *map == location.map);
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

    fn finish(mut self, head: &Output) -> Result<Definition, Error> {
        if !self.problems.is_empty() {
            return Err(Error::new(self.problems));
        }
        let digest = self.digest_at(self.visited[&head.vertex.id()]);
        let start = self.writer.written().len();
        encode_final(
            &mut self.writer,
            EncodedInput {
                digest,
                index: head.index,
            },
        );
        let buffer = Bytes::from(self.writer.into_bytes());

        let mut ops = Vec::with_capacity(self.prefix.length as usize + self.ops.len() + 1);
        let known = self.prefix.definition.ops.iter();
        ops.extend(known.take(self.prefix.length as usize).cloned());
        let mut caps = match self.prefix.definition.ops.last() {
            Some(last) => last.metadata().caps,
            None => CapabilitySet::new()
                .with(Capability::Constraints)
                .with(Capability::Platform),
        };
        for (position, addition) in self.prefix.additions {
            caps = caps.union(metadata_caps(&addition));
            let op: &mut DefinitionOp = &mut ops[position as usize];
            if *op.metadata() != addition {
                op.data_mut().metadata.overlay(&addition);
            }
        }
        for (position, info, ranges) in self.prefix.locations {
            let op: &mut DefinitionOp = &mut ops[position as usize];
            op.data_mut().locations.push((info, ranges));
        }
        for NewOp {
            mut op,
            span,
            vertex,
        } in self.ops
        {
            if !span.is_empty() {
                op.data_mut().bytes = buffer.slice(span);
            }
            if let Some(vertex) = vertex {
                vertex.data().cache.set_op(&self.remembered, &op);
            }
            caps = caps.union(metadata_caps(op.metadata()));
            ops.push(op);
        }
        let bytes = buffer.slice(start..);
        ops.push(DefinitionOp::from(OpData {
            digest: OpDigest::of(&bytes),
            bytes,
            metadata: OpMetadata {
                caps,
                ..OpMetadata::default()
            },
            locations: Vec::new(),
        }));
        let definition = Definition {
            ops: Arc::new(ops),
            infos: Arc::new(self.infos),
            head: Some((digest, head.index)),
        };
        let cache = &head.vertex.data().cache;
        cache.set_definition(&self.remembered, &definition);
        Ok(definition)
    }
}

impl Prefix {
    fn position_of(&self, digest: OpDigest) -> Option<u32> {
        let positions = self.positions.get_or_init(|| {
            let ops = self.definition.ops.iter().map(DefinitionOp::digest);
            ops.zip(0..self.length).collect()
        });
        positions.get(&digest).copied()
    }
}

/// What the op that names the result needs because of another op's metadata.
fn metadata_caps(metadata: &OpMetadata) -> CapabilitySet {
    CapabilitySet::new()
        .with_if(metadata.ignore_cache, Capability::MetaIgnoreCache)
        .with_if(
            !metadata.description.is_empty(),
            Capability::MetaDescription,
        )
        .with_if(metadata.export_cache.is_some(), Capability::MetaExportCache)
}

fn position(index: usize) -> u32 {
    u32::try_from(index).expect("a definition has fewer than 2^32 ops")
}

#[expect(
    clippy::disallowed_types,
    reason = "only looked up, never iterated, so its order shows nowhere"
)]
type LookupMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<LookupHasher>>;

/// Hashes addresses and digests, which are spread already but for an address's lowest bits.
#[derive(Default)]
struct LookupHasher(u64);

impl Hasher for LookupHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0 ^ value)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}

impl Hash for OpDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A part of a digest is as good a hash as any.
        let (part, _) = self.0.split_first_chunk().expect("a digest has 32 bytes");
        state.write_u64(u64::from_ne_bytes(*part));
    }
}
