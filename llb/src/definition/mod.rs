//! The wire form of a graph.

mod blocks;
mod canonical;
mod common;
mod decode;
mod digest;
mod embed;
mod encode;
mod marshal;
mod op_list;
mod options;
mod positions;
mod same_ops;
mod source_files;
mod vertex_cache;
mod write;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use digest::OpDigest;
pub use options::MarshalOptions;

use crate::metadata::OpMetadata;
use crate::sourcemap::Range;
use crate::value::CapabilitySet;
use op_list::{Made, OpData, OpList};

pub(crate) use decode::inputs;
pub(crate) use marshal::marshal;
pub(crate) use op_list::{Locations, Ops};
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
    pub(crate) ops: Arc<Ops>,
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
    /// An op that was made alone.
    pub(crate) fn alone(
        digest: OpDigest,
        bytes: Bytes,
        metadata: OpMetadata,
        locations: Locations,
    ) -> Self {
        let op = OpData {
            digest,
            start: 0,
            end: bytes.len(),
            block: 0,
            metadata: 0,
            locations,
        };
        let made = Made {
            ops: vec![op],
            blocks: vec![bytes],
            metadata: vec![metadata],
            merged: Vec::new(),
        };
        Arc::new(OpList::from(made)).op(0)
    }

    fn data(&self) -> &OpData {
        &self.list.made().ops[self.position as usize]
    }

    /// The bytes that those of the op are a part of.
    fn block(&self) -> &Bytes {
        &self.list.made().blocks[self.data().block as usize]
    }

    /// What the op was made for, if it is all that one vertex says.
    fn made_for(&self) -> Option<&Arc<MarshalData>> {
        self.list.made_for(self.position)
    }

    /// The op's digest.
    pub fn digest(&self) -> OpDigest {
        self.data().digest
    }

    /// The op's bytes (`pb.Op`); their sha256 is the digest.
    pub fn bytes(&self) -> &[u8] {
        let data = self.data();
        &self.block()[data.start..data.end]
    }

    pub(crate) fn shared_bytes(&self) -> Bytes {
        let data = self.data();
        self.block().slice(data.start..data.end)
    }

    /// What travels beside the op.
    pub fn metadata(&self) -> &OpMetadata {
        &self.list.made().metadata[self.data().metadata as usize]
    }

    /// Ranges in source files: the position in [`Definition::source_infos`], and the ranges there.
    pub fn locations(&self) -> impl Iterator<Item = (u32, &[Range])> {
        self.data()
            .locations
            .iter()
            .map(|(info, ranges)| (*info, &**ranges))
    }
}

impl PartialEq for DefinitionOp {
    fn eq(&self, other: &Self) -> bool {
        // The digest is that of the bytes.
        self.digest() == other.digest()
            && self.metadata() == other.metadata()
            && self.data().locations == other.data().locations
    }
}

impl Eq for DefinitionOp {}

impl fmt::Debug for DefinitionOp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DefinitionOp")
            .field("digest", &self.digest())
            .field(
                "bytes",
                &self.block().slice(self.data().start..self.data().end),
            )
            .field("metadata", self.metadata())
            .field("locations", &self.data().locations)
            .finish()
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
