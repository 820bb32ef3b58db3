//! From a graph to a definition: order, deduplication, metadata, source maps.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;

use super::blocks::Blocks;
use super::common::CommonMetadata;
use super::encode::{Common, EncodedInput, encode, encode_final};
use super::op_list::number;
use super::options::MarshalData;
use super::positions::Positions;
use super::same_ops::SameOps;
use super::source_files::SourceFiles;
use super::vertex_cache::Remembered;
use super::{Definition, DefinitionOp, Locations, Made, MarshalOptions, OpData, OpDigest, OpList};
use crate::error::{Error, Problem};
use crate::graph::{Output, Vertex, VertexData};
use crate::metadata::OpMetadata;
use crate::op::Op;
use crate::sourcemap::{CallerLocations, Frame, Position, Range, is_same_line};
use crate::value::{Capability, CapabilitySet};

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
    /// The list that the ops after the prefix will be in, for vertices to remember.
    list: Arc<OpList>,
    /// The ops after the prefix.
    ops: Vec<OpData>,
    /// Which of them are more than what one vertex says.
    merged: Vec<u32>,
    /// Finds them.
    same: SameOps,
    /// The positions of ops that are inputs of vertices on the way, in the order in which they were visited.
    found: Vec<u32>,
    /// The position of the op that each visited vertex became, if it can be visited again and does not remember the
    /// position itself. Only looked up, never iterated.
    visited: LookupMap<u32>,
    common: Common<'a>,
    metadata: CommonMetadata,
    blocks: Blocks,
    inputs: Vec<EncodedInput>,
    files: SourceFiles,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct Prefix {
    definition: Definition,
    length: u32,
    positions: OnceCell<Positions>,
    /// What ops that turned up again add to those in the prefix.
    additions: BTreeMap<usize, Vec<Addition>>,
}

enum Addition {
    Metadata(OpMetadata),
    Location(u32, Vec<Range>),
}

struct Visit<'a> {
    vertex: &'a Vertex,
    next: usize,
}

impl<'a> Marshaller<'a> {
    fn new(options: &'a MarshalOptions, remembered: Remembered) -> Self {
        Self {
            options,
            list: OpList::to_be_made(&remembered.options),
            remembered,
            prefix: Prefix::default(),
            ops: Vec::new(),
            merged: Vec::new(),
            same: SameOps::default(),
            found: Vec::new(),
            visited: LookupMap::default(),
            common: Common::new(&options.data),
            metadata: CommonMetadata::default(),
            blocks: Blocks::default(),
            inputs: Vec::new(),
            files: SourceFiles::default(),
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
            if let Some(input) = data.visit(top.next) {
                top.next += 1;
                self.enter(&data.inputs[input].vertex, &mut stack);
            } else {
                let vertex = top.vertex;
                if self.ops.is_empty() {
                    // Each of these becomes an op, unless another one is the same.
                    self.ops.reserve(stack.len());
                    self.blocks.make_room(stack.len());
                }
                stack.pop();
                self.emit(vertex);
            }
        }
    }

    /// Finds the op that a vertex became, or puts the vertex on the stack.
    fn enter(&mut self, vertex: &'a Vertex, stack: &mut Vec<Visit<'a>>) {
        if let Some(position) = self.position_of_vertex(vertex) {
            self.found.push(position);
        } else {
            stack.push(Visit { vertex, next: 0 });
        }
    }

    fn position_of_vertex(&mut self, vertex: &Vertex) -> Option<u32> {
        // What only one input has comes up once.
        if vertex.is_shared() {
            if let Some(position) = vertex.data().cache.position_in(&self.list) {
                return Some(self.prefix.length + position);
            }
            if let Some(&position) = self.visited.get(&vertex.id()) {
                return Some(position);
            }
        }
        let position = if self.ops.is_empty() && self.prefix.length == 0 {
            self.begin_with(vertex)?
        } else {
            self.position_in_prefix(vertex)?
        };
        self.visited.insert(vertex.id(), position);
        Some(position)
    }

    /// Whatever comes first in a graph comes first, in the same order, in the graph's definition.
    fn begin_with(&mut self, vertex: &Vertex) -> Option<u32> {
        let cache = &vertex.data().cache;
        // Locations are numbered for a whole definition, so only one without any can be a part of another.
        let known = cache.definition(&mut self.remembered);
        let known = known.filter(|known| known.infos.is_empty())?;
        let length = known.ops.len() - 1;
        self.prefix.length = number(length);
        self.prefix.definition = known.clone();
        Some(number(length - 1))
    }

    fn position_in_prefix(&mut self, vertex: &Vertex) -> Option<u32> {
        if self.prefix.length == 0 {
            return None;
        }
        let op = vertex.data().cache.op(&mut self.remembered)?;
        self.prefix.position_of(op.digest())
    }

    fn digest_at(&self, position: u32) -> OpDigest {
        match position.checked_sub(self.prefix.length) {
            None => self.prefix.definition.ops[position as usize].digest(),
            Some(position) => self.ops[position as usize].digest,
        }
    }

    /// Adds the op of a vertex whose inputs have been found.
    fn emit(&mut self, vertex: &'a Vertex) {
        let data = vertex.data();
        self.problems.extend(data.problems.iter().cloned());
        let (inputs, last) = self.take_inputs(data);
        let count = self.ops.len();
        let known = data.cache.op(&mut self.remembered);
        let position = match (&data.op, known) {
            (_, Some(known)) => self.add_known(known, last),
            // An op of another definition stays what it is: no option reaches it.
            (Op::Embedded(embedded), None) => self.add_known(&embedded.op, last),
            (_, None) => self.encode(data, &inputs, last),
        };
        self.inputs = inputs;
        self.found.push(position);
        self.locate(data, position);
        if !vertex.is_shared() {
            // It is the part of one other vertex, and comes up with that alone.
            return;
        }
        let is_remembered = known.is_none()
            && self
                .ops
                .get(count)
                .is_some_and(|new| new.locations.is_empty())
            && data.cache.set_op(self.list.op(number(count)));
        if !is_remembered {
            self.visited.insert(vertex.id(), position);
        }
    }

    /// The ops that the inputs of a vertex became, in the order of the inputs, and the position of the last one.
    fn take_inputs(&mut self, data: &VertexData) -> (Vec<EncodedInput>, Option<u32>) {
        let mut inputs = std::mem::take(&mut self.inputs);
        let first = self.found.len() - data.inputs.len();
        inputs.clear();
        let found = data.inputs.iter().zip(&self.found[first..]);
        inputs.extend(found.map(|(input, &position)| EncodedInput {
            digest: self.digest_at(position),
            index: input.index,
        }));
        if let Op::File(file) = &data.op {
            for (&input, &position) in file.visits.iter().zip(&self.found[first..]) {
                inputs[input as usize].digest = self.digest_at(position);
            }
        }
        let last = self.found[first..].iter().copied().max();
        self.found.truncate(first);
        (inputs, last)
    }

    fn add_known(&mut self, known: &DefinitionOp, last_input: Option<u32>) -> u32 {
        if let Some(position) = self.position_or_next(known.digest(), last_input) {
            self.add_metadata(position, known.metadata());
            return position;
        }
        let op = OpData {
            block: self.blocks.add(known.block()),
            metadata: self.metadata.share(known.metadata().clone()),
            locations: Locations::default(),
            ..*known.data()
        };
        self.push(op)
    }

    fn encode(
        &mut self,
        data: &VertexData,
        inputs: &[EncodedInput],
        last_input: Option<u32>,
    ) -> u32 {
        let (block, writer) = self.blocks.begin();
        let start = writer.written().len();
        let caps = encode(writer, data, inputs, &self.common);
        let end = writer.written().len();
        let digest = OpDigest::of(&writer.written()[start..]);
        if let Some(position) = self.position_or_next(digest, last_input) {
            self.blocks.take_back(start);
            let metadata = self.own_metadata(data, caps);
            self.add_metadata(position, &metadata);
            return position;
        }
        let metadata = if data.constraints.given().is_some() {
            let metadata = self.own_metadata(data, caps);
            self.metadata.share(metadata)
        } else {
            let all = &self.options.data.constraints.options().metadata;
            self.metadata.bare(all, caps)
        };
        self.push(OpData {
            digest,
            start,
            end,
            block,
            metadata,
            locations: Locations::default(),
        })
    }

    /// The metadata of an op that needs these capabilities.
    fn own_metadata(&self, data: &VertexData, caps: CapabilitySet) -> OpMetadata {
        let mut metadata = self.options.data.constraints.options().metadata.clone();
        if let Some(own) = data.constraints.given() {
            metadata.overlay(&own.metadata);
        }
        metadata.caps = metadata.caps.union(caps);
        metadata
    }

    fn push(&mut self, op: OpData) -> u32 {
        let position = number(self.ops.len());
        self.ops.push(op);
        self.prefix.length + position
    }

    /// The position of a digest that is there already; else it is noted for the op to be pushed next.
    fn position_or_next(&mut self, digest: OpDigest, last_input: Option<u32>) -> Option<u32> {
        // An op that reads something that is not before the prefix's head cannot be in the prefix.
        if last_input.is_none_or(|input| input + 1 < self.prefix.length)
            && let Some(known) = self.prefix.position_of(digest)
        {
            return Some(known);
        }
        let new_input = last_input.and_then(|input| input.checked_sub(self.prefix.length));
        let ops = &self.ops;
        let digest_at = |position: usize| ops[position].digest;
        let known = self.same.find_or_add(digest, new_input, digest_at)?;
        Some(self.prefix.length + known)
    }

    /// The op at this position has turned up again, perhaps with other metadata.
    fn add_metadata(&mut self, position: u32, metadata: &OpMetadata) {
        let Some(new) = position.checked_sub(self.prefix.length) else {
            self.prefix.add_metadata(position as usize, metadata);
            return;
        };
        let op = &mut self.ops[new as usize];
        let known = self.metadata.get(op.metadata);
        if *known != *metadata {
            let mut both = known.clone();
            both.overlay(metadata);
            op.metadata = self.metadata.add(both);
            self.merged.push(new);
        }
    }

    /// Notes where a user wrote the op.
    fn locate(&mut self, data: &VertexData, position: u32) {
        for location in &data.constraints.options().locations {
            let info = self
                .files
                .number(&location.map, self.options, &mut self.problems);
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
            let info = self.files.number_in_program(location.file(), self.options);
            // BuildKit's own tools take it for granted that a range has an end.
            self.add_location(position, info, vec![Range::from(start..start)]);
        }
    }

    fn add_location(&mut self, position: u32, info: u32, ranges: Vec<Range>) {
        let Some(new) = position.checked_sub(self.prefix.length) else {
            let additions = self.prefix.additions.entry(position as usize);
            additions
                .or_default()
                .push(Addition::Location(info, ranges));
            return;
        };
        self.ops[new as usize].locations.add(info, ranges);
        self.merged.push(new);
    }

    fn finish(mut self, head: &Output) -> Result<Definition, Error> {
        if !self.problems.is_empty() {
            return Err(Error::new(self.problems));
        }
        let digest = self.digest_at(self.found[0]);
        let input = EncodedInput {
            digest,
            index: head.index,
        };
        self.push_final(input);
        let count = self.prefix.length as usize + self.ops.len();
        self.merged.sort_unstable();
        let mut made = Made {
            ops: self.ops,
            blocks: self.blocks.finish(),
            metadata: self.metadata.finish(),
            merged: self.merged,
        };
        let changed = self.prefix.changed(&mut made);
        self.list.set(made);
        let ops = if self.prefix.length == 0 {
            self.list.into()
        } else {
            let mut ops = Vec::with_capacity(count);
            let known = self.prefix.definition.ops.iter();
            ops.extend(known.take(self.prefix.length as usize).cloned());
            let mut new = self.list.ops();
            ops.extend(new.by_ref().take(count - ops.len()));
            for (position, op) in changed.into_iter().zip(new) {
                ops[position] = op;
            }
            ops.into()
        };
        let definition = Definition {
            ops: Arc::new(ops),
            infos: Arc::new(self.files.infos),
            head: Some((digest, head.index)),
            lacks_metadata: false,
        };
        let cache = &head.vertex.data().cache;
        cache.set_definition(&self.remembered, &definition);
        Ok(definition)
    }

    /// Adds the op that names the result.
    fn push_final(&mut self, head: EncodedInput) {
        let (block, writer) = self.blocks.begin();
        let start = writer.written().len();
        encode_final(writer, head);
        let end = writer.written().len();
        let digest = OpDigest::of(&writer.written()[start..]);
        let known = match self.prefix.definition.ops.last() {
            Some(last) => last.metadata().caps,
            None => CapabilitySet::new()
                .with(Capability::Constraints)
                .with(Capability::Platform),
        };
        let added = self.prefix.additions.values().flatten();
        let added = added.filter_map(|addition| match addition {
            Addition::Metadata(metadata) => Some(metadata),
            Addition::Location(..) => None,
        });
        let caps = added
            .chain(self.metadata.all())
            .fold(known, |caps, metadata| caps.union(metadata_caps(metadata)));
        let metadata = OpMetadata {
            caps,
            ..OpMetadata::default()
        };
        let metadata = self.metadata.add(metadata);
        self.push(OpData {
            digest,
            start,
            end,
            block,
            metadata,
            locations: Locations::default(),
        });
    }
}

impl Prefix {
    fn position_of(&self, digest: OpDigest) -> Option<u32> {
        if self.length == 0 {
            return None;
        }
        let ops = &self.definition.ops[..self.length as usize];
        let positions = self
            .positions
            .get_or_init(|| Positions::new(ops.iter().map(DefinitionOp::digest)));
        let found = positions.find(digest, |position| ops[position].digest());
        found.map(number)
    }

    fn add_metadata(&mut self, position: usize, metadata: &OpMetadata) {
        let is_known = *self.definition.ops[position].metadata() == *metadata;
        if !is_known || self.additions.contains_key(&position) {
            let additions = self.additions.entry(position).or_default();
            additions.push(Addition::Metadata(metadata.clone()));
        }
    }

    /// Adds changed copies of ops to the new ones; gives the positions where they belong.
    fn changed(&mut self, made: &mut Made) -> Vec<usize> {
        let mut changed = Vec::new();
        for (position, additions) in std::mem::take(&mut self.additions) {
            let op = &self.definition.ops[position];
            let mut metadata = op.metadata().clone();
            let mut locations = op.data().locations.clone();
            for addition in additions {
                match addition {
                    Addition::Metadata(more) => metadata.overlay(&more),
                    Addition::Location(info, ranges) => locations.add(info, ranges),
                }
            }
            made.push(op, metadata, locations);
            changed.push(position);
        }
        changed
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

#[expect(
    clippy::disallowed_types,
    reason = "only looked up, never iterated, so its order shows nowhere"
)]
type LookupMap<V> = std::collections::HashMap<usize, V, BuildHasherDefault<AddressHasher>>;

/// Hashes addresses, which are spread already but for their lowest bits.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(usize::from(byte));
        }
    }

    fn write_usize(&mut self, value: usize) {
        self.0 = (self.0 ^ value as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(26);
    }
}
