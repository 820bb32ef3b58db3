//! Metadata that ops have in common.

use smallvec::SmallVec;

use super::op_list::number;
use crate::metadata::OpMetadata;
use crate::value::CapabilitySet;

/// The metadata of the ops of a list. Ops that say nothing of themselves share it: it is the same for all of a kind.
#[derive(Default)]
pub(super) struct CommonMetadata {
    all: Vec<OpMetadata>,
    known: SmallVec<[u32; 8]>,
    /// Those that differ in capabilities alone.
    bare: SmallVec<[u32; 8]>,
}

impl CommonMetadata {
    /// The number of the metadata, together with that of an earlier op if they are equal.
    pub(super) fn share(&mut self, metadata: OpMetadata) -> u32 {
        if !metadata.description.is_empty() {
            return self.add(metadata);
        }
        let mut known = self.known.iter();
        let known = known.find(|&&known| self.all[known as usize] == metadata);
        if let Some(&known) = known {
            return known;
        }
        let new = self.add(metadata);
        keep(&mut self.known, new);
        new
    }

    /// The metadata of an op that has only capabilities of its own, over that which all ops of a marshal have.
    pub(super) fn bare(&mut self, all: &OpMetadata, caps: CapabilitySet) -> u32 {
        let caps = all.caps.union(caps);
        let mut known = self.bare.iter();
        let known = known.find(|&&known| self.all[known as usize].caps == caps);
        if let Some(&known) = known {
            return known;
        }
        let new = self.add(OpMetadata {
            caps,
            ..all.clone()
        });
        keep(&mut self.bare, new);
        new
    }

    /// Adds metadata that no other op has.
    pub(super) fn add(&mut self, metadata: OpMetadata) -> u32 {
        self.all.push(metadata);
        number(self.all.len() - 1)
    }

    pub(super) fn get(&self, metadata: u32) -> &OpMetadata {
        &self.all[metadata as usize]
    }

    /// All of it, by number.
    pub(super) fn all(&self) -> &[OpMetadata] {
        &self.all
    }

    pub(super) fn finish(self) -> Vec<OpMetadata> {
        self.all
    }
}

fn keep(known: &mut SmallVec<[u32; 8]>, new: u32) {
    if known.len() < known.inline_size() {
        known.push(new);
    }
}
