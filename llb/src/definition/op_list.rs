//! Ops that belong together, with their bytes and metadata.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{DefinitionOp, MarshalData, OpDigest};
use crate::metadata::OpMetadata;
use crate::sourcemap::Range;

/// Ops that were made or read together. All of them are kept as long as one is in use.
pub(super) struct OpList {
    /// The options of the marshal that made them; none if they were read.
    made_for: Option<Arc<MarshalData>>,
    /// There once all of them are made, which is before anything but a vertex has one.
    made: OnceLock<Made>,
}

/// Ops, and what they refer to by position: nothing is counted or allocated for each.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) ops: Vec<OpData>,
    /// Bytes of many ops each.
    pub(super) blocks: Vec<Bytes>,
    pub(super) metadata: Vec<OpMetadata>,
    /// The positions, in order, of ops that say more than one vertex does.
    pub(super) merged: Vec<u32>,
}

/// An op in a list.
#[derive(Clone, Debug)]
pub(super) struct OpData {
    pub(super) digest: OpDigest,
    /// Where the bytes are in their block.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) block: u32,
    pub(super) metadata: u32,
    pub(super) locations: Locations,
}

/// Places of an op in source files. Most have none, which takes little room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Locations(Option<Arc<Vec<FileRanges>>>);

/// The number of a source file, and ranges in it.
pub(crate) type FileRanges = (u32, Vec<Range>);

/// The ops of a definition. Those of one list are not told apart until someone looks at them.
#[derive(Default)]
pub(crate) struct Ops {
    list: Arc<OpList>,
    ops: OnceLock<Vec<DefinitionOp>>,
}

impl OpList {
    /// A list for the ops that a marshal makes.
    pub(super) fn to_be_made(options: &Arc<MarshalData>) -> Arc<Self> {
        Arc::new(Self {
            made_for: Some(Arc::clone(options)),
            made: OnceLock::new(),
        })
    }

    /// Fills the list.
    pub(super) fn set(&self, made: Made) {
        self.made.get_or_init(|| made);
    }

    /// The ops with what they refer to.
    pub(super) fn made(&self) -> &Made {
        let made = self.made.get();
        made.expect("only vertices have ops that are yet to be made")
    }

    /// What an op was made for, if it is made and all that it says is what one vertex does.
    pub(super) fn made_for(&self, position: u32) -> Option<&Arc<MarshalData>> {
        let merged = &self.made.get()?.merged;
        let is_of_one_vertex = merged.binary_search(&position).is_err();
        self.made_for.as_ref().filter(|_| is_of_one_vertex)
    }

    /// The op at a position, which may be yet to be made.
    pub(super) fn op(self: &Arc<Self>, position: u32) -> DefinitionOp {
        let list = Arc::clone(self);
        DefinitionOp { list, position }
    }

    /// All ops, which are made.
    pub(super) fn ops(self: &Arc<Self>) -> impl ExactSizeIterator<Item = DefinitionOp> {
        let count = self.made.get().map_or(0, |made| made.ops.len());
        (0..number(count)).map(|position| self.op(position))
    }
}

impl Default for OpList {
    /// No ops.
    fn default() -> Self {
        Made::default().into()
    }
}

impl From<Made> for OpList {
    /// A list of ops that were read.
    fn from(made: Made) -> Self {
        Self {
            made_for: None,
            made: made.into(),
        }
    }
}

impl Made {
    /// Adds an op of another list with other metadata and locations.
    pub(super) fn push(&mut self, op: &DefinitionOp, metadata: OpMetadata, locations: Locations) {
        let block = add_block(&mut self.blocks, op.block());
        self.metadata.push(metadata);
        let metadata = number(self.metadata.len() - 1);
        self.ops.push(OpData {
            block,
            metadata,
            locations,
            ..*op.data()
        });
    }
}

/// Adds a block of another list; ops that follow each other there are in one block here as well.
pub(super) fn add_block(blocks: &mut Vec<Bytes>, block: &Bytes) -> u32 {
    if !blocks
        .last()
        .is_some_and(|last| std::ptr::eq(&raw const **last, &raw const **block))
    {
        blocks.push(block.clone());
    }
    number(blocks.len() - 1)
}

/// A position in a list, which takes little room in an op.
pub(super) fn number(position: usize) -> u32 {
    u32::try_from(position).expect("a definition has fewer than 2^32 ops")
}

impl From<Arc<OpList>> for Ops {
    /// All ops of a list.
    fn from(list: Arc<OpList>) -> Self {
        Self {
            list,
            ops: OnceLock::new(),
        }
    }
}

impl From<Vec<DefinitionOp>> for Ops {
    fn from(ops: Vec<DefinitionOp>) -> Self {
        Self {
            list: Arc::default(),
            ops: ops.into(),
        }
    }
}

impl Deref for Ops {
    type Target = [DefinitionOp];

    fn deref(&self) -> &[DefinitionOp] {
        self.ops.get_or_init(|| self.list.ops().collect())
    }
}

impl PartialEq for Ops {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Ops {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

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
