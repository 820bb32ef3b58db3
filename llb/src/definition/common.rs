//! Metadata that ops have in common.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::metadata::OpMetadata;
use crate::value::CapabilitySet;

/// Shares the metadata of ops that say nothing of themselves: it is the same for all ops of a kind.
#[derive(Default)]
pub(crate) struct CommonMetadata {
    known: SmallVec<[Arc<OpMetadata>; 8]>,
    /// Those that differ in capabilities alone.
    bare: SmallVec<[Arc<OpMetadata>; 8]>,
}

impl CommonMetadata {
    /// The metadata, together with that of an earlier op if they are equal.
    pub(crate) fn share(&mut self, metadata: OpMetadata) -> Arc<OpMetadata> {
        if !metadata.description.is_empty() {
            return Arc::new(metadata);
        }
        if let Some(known) = self.known.iter().find(|known| ***known == metadata) {
            return Arc::clone(known);
        }
        keep(&mut self.known, metadata)
    }

    /// The metadata of an op that has only capabilities of its own, over that which all ops of a marshal have.
    pub(crate) fn bare(&mut self, all: &OpMetadata, caps: CapabilitySet) -> Arc<OpMetadata> {
        let caps = all.caps.union(caps);
        if let Some(known) = self.bare.iter().find(|known| known.caps == caps) {
            return Arc::clone(known);
        }
        let metadata = OpMetadata {
            caps,
            ..all.clone()
        };
        keep(&mut self.bare, metadata)
    }
}

fn keep(known: &mut SmallVec<[Arc<OpMetadata>; 8]>, metadata: OpMetadata) -> Arc<OpMetadata> {
    let new = Arc::new(metadata);
    if known.len() < known.inline_size() {
        known.push(Arc::clone(&new));
    }
    new
}
