//! The bytes of ops while they are written.

use bytes::Bytes;

use super::op_list::{add_block, number};
use crate::wire::Writer;

/// Most ops have fewer bytes.
const TYPICAL_SIZE: usize = 256;

/// A block that has so many bytes is full.
const FULL: usize = 64 << 10;

/// Blocks of the bytes of many ops each. They never move, however many ops a graph has.
#[derive(Default)]
pub(super) struct Blocks {
    /// That which is being written is empty in here.
    all: Vec<Bytes>,
    writer: Writer,
    /// The number of the one that is being written, if one is.
    open: Option<u32>,
}

impl Blocks {
    /// Makes room for so many ops, or for as many as fit.
    pub(super) fn make_room(&mut self, count: usize) {
        let bytes = count.saturating_mul(TYPICAL_SIZE);
        self.writer.reserve(bytes.min(FULL + FULL / 8));
    }

    /// Where the next op is written: here, or in a new block if this one is full. Gives the block's number.
    pub(super) fn begin(&mut self) -> (u32, &mut Writer) {
        if self.writer.written().len() >= FULL {
            self.close();
            self.writer = Writer::with_capacity(FULL + FULL / 8);
        }
        let all = &mut self.all;
        let open = *self.open.get_or_insert_with(|| {
            all.push(Bytes::new());
            number(all.len() - 1)
        });
        (open, &mut self.writer)
    }

    /// Takes back what was written from here on.
    pub(super) fn take_back(&mut self, start: usize) {
        self.writer.truncate(start);
    }

    /// Adds a block of another list.
    pub(super) fn add(&mut self, block: &Bytes) -> u32 {
        add_block(&mut self.all, block)
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            self.all[open as usize] = std::mem::take(&mut self.writer).into_bytes().into();
        }
    }

    pub(super) fn finish(mut self) -> Vec<Bytes> {
        self.close();
        self.all
    }
}
