//! The wire form of a graph.

mod canonical;
mod common;
mod decode;
mod embed;
mod encode;
mod marshal;
mod options;
mod positions;
mod vertex_cache;
mod write;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use options::MarshalOptions;

use crate::metadata::OpMetadata;
use crate::sourcemap::Range;
use crate::value::CapabilitySet;

pub(crate) use decode::inputs;
pub(crate) use marshal::marshal;
pub(crate) use options::MarshalData;
pub(crate) use positions::Positions;
pub(crate) use vertex_cache::VertexCache;

/// The sha256 digest of an op's bytes: its name in a definition.
///
/// It prints as BuildKit writes it, `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpDigest([u8; 32]);

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
    ops: Vec<OpData>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpData {
    pub(crate) digest: OpDigest,
    pub(crate) bytes: Bytes,
    pub(crate) metadata: Arc<OpMetadata>,
    /// Places in source files; the op that names the result has none.
    pub(crate) locations: Vec<(u32, Vec<Range>)>,
}

/// A source file that ops refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    pub(crate) filename: String,
    pub(crate) language: String,
    pub(crate) data: Vec<u8>,
    pub(crate) definition: Option<Box<Definition>>,
}

impl OpDigest {
    /// The digest of an op's bytes.
    pub fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// `sha256:` and 64 hexadecimal digits, without an allocation.
    pub(crate) fn text(&self) -> [u8; 71] {
        let digit = |value: u8| value + if value < 10 { b'0' } else { b'a' - 10 };
        let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
        for (pair, byte) in text[7..].chunks_exact_mut(2).zip(self.0) {
            pair[0] = digit(byte >> 4);
            pair[1] = digit(byte & 15);
        }
        text
    }
}

impl fmt::Display for OpDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text()
            .iter()
            .try_for_each(|&byte| fmt::Write::write_char(formatter, char::from(byte)))
    }
}

impl fmt::Debug for OpDigest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
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
    /// Ops that were made together, with the options they were made for, or read together.
    pub(crate) fn list(
        made_for: Option<Arc<MarshalData>>,
        ops: Vec<OpData>,
    ) -> impl ExactSizeIterator<Item = Self> {
        let count = u32::try_from(ops.len()).expect("a definition has fewer than 2^32 ops");
        let list = Arc::new(OpList { made_for, ops });
        (0..count).map(move |position| Self {
            list: Arc::clone(&list),
            position,
        })
    }

    /// An op that was made alone.
    pub(crate) fn alone(op: OpData) -> Self {
        let ops = vec![op];
        let list = Arc::new(OpList {
            made_for: None,
            ops,
        });
        Self { list, position: 0 }
    }

    pub(crate) fn data(&self) -> &OpData {
        &self.list.ops[self.position as usize]
    }

    fn made_for(&self) -> Option<&Arc<MarshalData>> {
        self.list.made_for.as_ref()
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
