//! The wire form of a graph.

mod canonical;
mod common;
mod decode;
mod digest;
mod embed;
mod encode;
mod marshal;
mod options;
mod positions;
mod source_files;
mod vertex_cache;
mod write;

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

pub use digest::OpDigest;
pub use options::MarshalOptions;

use crate::metadata::OpMetadata;
use crate::sourcemap::Range;
use crate::value::CapabilitySet;

pub(crate) use decode::inputs;
pub(crate) use marshal::marshal;
pub(crate) use options::MarshalData;
pub(crate) use positions::Positions;
pub(crate) use vertex_cache::VertexCache;

/// A graph as BuildKit takes it: encoded ops in dependency order, with metadata and source maps beside them.
///
/// A definition is a pure function of the graph and the [`MarshalOptions`]: the same calls give the same bytes.
///
/// ```
/// use llb::prelude::*;
///
/// let definition = image("alpine").run(sh("true")).marshal(&MarshalOptions::linux_amd64())?;
/// assert_eq!(definition.ops().len(), 3); // source, exec, and the op that names the result
/// assert_eq!(definition.to_bytes(), image("alpine").run(sh("true")).marshal(&MarshalOptions::linux_amd64())?.to_bytes());
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Definition {
    pub(crate) ops: Arc<Vec<DefinitionOp>>,
    pub(crate) infos: Arc<Vec<SourceInfo>>,
    pub(crate) head: Option<(OpDigest, u32)>,
    /// Whether it was read from bytes that have ops but no metadata at all.
    pub(crate) lacks_metadata: bool,
}

/// One op of a [`Definition`].
#[derive(Clone)]
pub struct DefinitionOp {
    list: Arc<OpList>,
    position: u32,
}

/// Ops that were made or read together. All of them are kept as long as one is in use.
struct OpList {
    /// The options of the marshal that made them; none if they were read.
    made_for: Option<Arc<MarshalData>>,
    /// There once all of them are made, which is before anything but a vertex has one.
    made: OnceLock<Made>,
}

#[derive(Default)]
struct Made {
    ops: Vec<OpData>,
    /// The positions, in order, of ops that say more than one vertex does.
    merged: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpData {
    pub(crate) digest: OpDigest,
    pub(crate) bytes: Bytes,
    pub(crate) metadata: Arc<OpMetadata>,
    pub(crate) locations: Locations,
}

/// Places of an op in source files. Most have none, which takes little room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locations(Option<Arc<Vec<FileRanges>>>);

/// The number of a source file, and ranges in it.
pub(crate) type FileRanges = (u32, Vec<Range>);

impl Locations {
    pub(crate) fn add(&mut self, file: u32, ranges: Vec<Range>) {
        Arc::make_mut(self.0.get_or_insert_default()).push((file, ranges));
    }
}

impl FromIterator<FileRanges> for Locations {
    fn from_iter<I: IntoIterator<Item = FileRanges>>(locations: I) -> Self {
        let locations: Vec<_> = locations.into_iter().collect();
        Self((!locations.is_empty()).then(|| Arc::new(locations)))
    }
}

impl Deref for Locations {
    type Target = [FileRanges];

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

/// A source file that ops refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    pub(crate) filename: String,
    pub(crate) language: String,
    pub(crate) data: Vec<u8>,
    pub(crate) definition: Option<Box<Definition>>,
}

impl Definition {
    /// The ops, each after everything it reads; the last one only names the result. Empty for scratch.
    pub fn ops(&self) -> &[DefinitionOp] {
        &self.ops
    }

    /// The digest of the op whose result this is; none for scratch.
    pub fn head(&self) -> Option<OpDigest> {
        self.head.map(|(digest, _)| digest)
    }

    /// Which output of the head is the result.
    pub fn head_index(&self) -> u32 {
        self.head.map_or(0, |(_, index)| index)
    }

    /// The metadata of an op.
    pub fn metadata(&self, digest: impl Into<Option<OpDigest>>) -> Option<&OpMetadata> {
        let digest = digest.into()?;
        self.ops
            .iter()
            .find(|op| op.digest() == digest)
            .map(DefinitionOp::metadata)
    }

    /// The source files that ops refer to.
    pub fn source_infos(&self) -> &[SourceInfo] {
        &self.infos
    }

    /// The capabilities that the daemon must have.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let base = image("alpine");
    /// let both = merge([base.run(sh("a")), base.run(sh("b"))]);
    /// let definition = both.marshal(&MarshalOptions::linux_amd64())?;
    /// assert!(definition.required_caps().contains(llb::value::Capability::MergeOp));
    /// # Ok::<(), llb::Error>(())
    /// ```
    pub fn required_caps(&self) -> CapabilitySet {
        self.ops.iter().fold(CapabilitySet::new(), |caps, op| {
            caps.union(op.metadata().caps)
        })
    }
}

impl PartialEq for Definition {
    /// What would be written is the same.
    fn eq(&self, other: &Self) -> bool {
        (&self.ops, &self.infos, self.head) == (&other.ops, &other.infos, other.head)
    }
}

impl Eq for Definition {}

impl DefinitionOp {
    /// Ops that were read together.
    pub(crate) fn list(ops: Vec<OpData>) -> impl ExactSizeIterator<Item = Self> {
        OpList::read(ops).handles()
    }

    /// An op that was made alone.
    pub(crate) fn alone(op: OpData) -> Self {
        OpList::read(vec![op]).op(0)
    }

    pub(crate) fn data(&self) -> &OpData {
        let made = self.list.made.get();
        let made = made.expect("only vertices have ops that are yet to be made");
        &made.ops[self.position as usize]
    }

    /// What the op was made for, if it is all that one vertex says.
    fn made_for(&self) -> Option<&Arc<MarshalData>> {
        let options = self.list.made_for.as_ref()?;
        self.list.is_of_one_vertex(self.position).then_some(options)
    }

    /// The op's digest.
    pub fn digest(&self) -> OpDigest {
        self.data().digest
    }

    /// The op's bytes (`pb.Op`); their sha256 is the digest.
    pub fn bytes(&self) -> &[u8] {
        &self.data().bytes
    }

    pub(crate) fn shared_bytes(&self) -> Bytes {
        self.data().bytes.clone()
    }

    /// What travels beside the op.
    pub fn metadata(&self) -> &OpMetadata {
        &self.data().metadata
    }

    /// Ranges in source files: the position in [`Definition::source_infos`], and the ranges there.
    pub fn locations(&self) -> impl Iterator<Item = (u32, &[Range])> {
        self.data()
            .locations
            .iter()
            .map(|(info, ranges)| (*info, &**ranges))
    }
}

impl OpList {
    /// A list for the ops that a marshal makes.
    fn to_be_made(options: &Arc<MarshalData>) -> Arc<Self> {
        Arc::new(Self {
            made_for: Some(Arc::clone(options)),
            made: OnceLock::new(),
        })
    }

    /// A list of ops that were read.
    fn read(ops: Vec<OpData>) -> Arc<Self> {
        let merged = Vec::new();
        Arc::new(Self {
            made_for: None,
            made: Made { ops, merged }.into(),
        })
    }

    /// Whether an op is made, and says what one vertex does.
    fn is_of_one_vertex(&self, position: u32) -> bool {
        let made = self.made.get();
        made.is_some_and(|made| made.merged.binary_search(&position).is_err())
    }

    /// The op at a position, which may be yet to be made.
    fn op(self: &Arc<Self>, position: u32) -> DefinitionOp {
        let list = Arc::clone(self);
        DefinitionOp { list, position }
    }

    /// All ops, which are made.
    fn handles(self: Arc<Self>) -> impl ExactSizeIterator<Item = DefinitionOp> {
        let count = self.made.get().map_or(0, |made| made.ops.len());
        let count = u32::try_from(count).expect("a definition has fewer than 2^32 ops");
        (0..count).map(move |position| self.op(position))
    }
}

impl PartialEq for DefinitionOp {
    fn eq(&self, other: &Self) -> bool {
        self.data() == other.data()
    }
}

impl Eq for DefinitionOp {}

impl fmt::Debug for DefinitionOp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.data().fmt(formatter)
    }
}

impl SourceInfo {
    /// The file's name.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The file's language.
    pub fn language(&self) -> &str {
        &self.language
    }

    /// The file's text.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The state that the file can be read from, as a definition.
    pub fn definition(&self) -> Option<&Definition> {
        self.definition.as_deref()
    }
}
