//! Metadata that ops have in common.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::metadata::OpMetadata;

/// Shares the metadata of ops that say nothing of themselves: it is the same for all ops of a kind.
#[derive(Default)]
pub(crate) struct CommonMetadata {
    known: SmallVec<[Arc<OpMetadata>; 8]>,
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
        let new = Arc::new(metadata);
        if self.known.len() < self.known.inline_size() {
            self.known.push(Arc::clone(&new));
        }
        new
    }
}
