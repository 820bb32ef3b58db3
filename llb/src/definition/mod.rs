//! The wire form of a graph.

mod decode;
mod embed;
mod encode;
mod marshal;
mod options;
mod positions;
mod vertex_cache;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

pub use options::MarshalOptions;

use crate::metadata::OpMetadata;
use crate::sourcemap::Range;
use crate::value::CapabilitySet;
use crate::wire::Writer;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    pub(crate) ops: Arc<Vec<DefinitionOp>>,
    pub(crate) infos: Arc<Vec<SourceInfo>>,
    pub(crate) head: Option<(OpDigest, u32)>,
}

/// One op of a [`Definition`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionOp(Arc<OpData>);

/// Shared by all definitions that have the op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpData {
    pub(crate) digest: OpDigest,
    pub(crate) bytes: Bytes,
    pub(crate) metadata: OpMetadata,
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
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"sha256:0000000000000000000000000000000000000000000000000000000000000000";
        for (pair, byte) in text[7..].chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
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

    /// The canonical protobuf bytes (`pb.Definition`, maps sorted by key).
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer =
            Writer::with_capacity(self.ops.iter().map(|op| op.bytes().len() + 300).sum());
        self.write(&mut writer);
        writer.into_bytes()
    }

    fn write(&self, writer: &mut Writer) {
        for op in self.ops() {
            writer.bytes_always(1, op.bytes());
        }
        let by_digest: BTreeMap<OpDigest, &DefinitionOp> =
            self.ops.iter().map(|op| (op.digest(), op)).collect();
        for (digest, op) in &by_digest {
            writer.message_entry(2, &digest.to_string(), |entry| op.metadata().write(entry));
        }
        let Some((_, located)) = self.ops.split_last() else {
            return;
        };
        let by_digest: BTreeMap<OpDigest, &DefinitionOp> =
            located.iter().map(|op| (op.digest(), op)).collect();
        writer.message(3, |source| {
            for (digest, op) in &by_digest {
                source.message_entry(1, &digest.to_string(), |entry| op.write_locations(entry));
            }
            for info in self.source_infos() {
                source.message(2, |writer| info.write(writer));
            }
        });
    }
}

impl From<OpData> for DefinitionOp {
    fn from(data: OpData) -> Self {
        Self(Arc::new(data))
    }
}

impl DefinitionOp {
    /// The op's data, to change this op and no other that shares it.
    pub(crate) fn data_mut(&mut self) -> &mut OpData {
        Arc::make_mut(&mut self.0)
    }

    /// The op's digest.
    pub fn digest(&self) -> OpDigest {
        self.0.digest
    }

    /// The op's bytes (`pb.Op`); their sha256 is the digest.
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    pub(crate) fn shared_bytes(&self) -> Bytes {
        self.0.bytes.clone()
    }

    /// What travels beside the op.
    pub fn metadata(&self) -> &OpMetadata {
        &self.0.metadata
    }

    /// Ranges in source files: the position in [`Definition::source_infos`], and the ranges there.
    pub fn locations(&self) -> impl Iterator<Item = (u32, &[Range])> {
        self.0
            .locations
            .iter()
            .map(|(info, ranges)| (*info, &**ranges))
    }

    fn write_locations(&self, writer: &mut Writer) {
        for (info, ranges) in &self.0.locations {
            writer.message(1, |location| {
                location.signed(1, i64::from(*info));
                for range in ranges {
                    location.message(2, |writer| {
                        for (field, position) in [(1, range.start), (2, range.end)] {
                            let Some(position) = position else { continue };
                            writer.message(field, |writer| {
                                writer.signed(1, i64::from(position.line));
                                writer.signed(2, i64::from(position.character));
                            });
                        }
                    });
                }
            });
        }
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

    fn write(&self, writer: &mut Writer) {
        writer.string(1, &self.filename);
        writer.bytes(2, &self.data);
        if let Some(definition) = &self.definition {
            writer.message(3, |writer| definition.write(writer));
        }
        writer.string(4, &self.language);
    }
}
