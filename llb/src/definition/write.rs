//! Writes definitions in their wire form.

use super::{Definition, DefinitionOp, OpDigest, SourceInfo};
use crate::sourcemap::{Position, Range};
use crate::wire::Writer;

/// About what an op takes beside its bytes: its digest twice, and a few capabilities.
const BESIDE: usize = 280;

impl Definition {
    /// The canonical protobuf bytes (`pb.Definition`, maps sorted by key).
    pub fn to_bytes(&self) -> Vec<u8> {
        let ops = self.ops().iter().map(|op| op.bytes().len() + BESIDE);
        let files = self.source_infos().iter().map(|info| info.data.len());
        let mut writer = Writer::with_capacity(ops.chain(files).sum());
        self.write(&mut writer);
        writer.into_bytes()
    }

    fn write(&self, writer: &mut Writer) {
        for op in self.ops() {
            writer.bytes_always(1, op.bytes());
        }
        let mut by_digest: Vec<(OpDigest, &DefinitionOp)> =
            self.ops().iter().map(|op| (op.digest(), op)).collect();
        by_digest.sort_unstable_by_key(|(digest, _)| *digest);
        for (digest, op) in &by_digest {
            entry(writer, 2, digest, |value| op.metadata().write(value));
        }
        let Some(last) = self.ops().last().map(DefinitionOp::digest) else {
            return;
        };
        writer.message(3, |source| {
            for (digest, op) in by_digest.iter().filter(|(digest, _)| *digest != last) {
                entry(source, 1, digest, |value| op.write_locations(value));
            }
            for info in self.source_infos() {
                source.message(2, |writer| info.write(writer));
            }
        });
    }
}

/// An entry of a map by digest.
fn entry(writer: &mut Writer, field: u32, digest: &OpDigest, write: impl FnOnce(&mut Writer)) {
    writer.message(field, |entry| {
        entry.bytes_always(1, &digest.text());
        entry.message(2, write);
    });
}

impl DefinitionOp {
    fn write_locations(&self, writer: &mut Writer) {
        for (info, ranges) in self.locations() {
            writer.message(1, |location| {
                location.signed(1, i64::from(info));
                for range in ranges {
                    location.message(2, |writer| write_range(writer, range));
                }
            });
        }
    }
}

fn write_range(writer: &mut Writer, range: &Range) {
    for (field, position) in [(1, range.start), (2, range.end)] {
        let Some(Position { line, character }) = position else {
            continue;
        };
        writer.message(field, |writer| {
            writer.signed(1, i64::from(line));
            writer.signed(2, i64::from(character));
        });
    }
}

impl SourceInfo {
    fn write(&self, writer: &mut Writer) {
        writer.string(1, &self.filename);
        writer.bytes(2, &self.data);
        if let Some(definition) = &self.definition {
            writer.message(3, |writer| definition.write(writer));
        }
        writer.string(4, &self.language);
    }
}
