//! What of a file stays, and where it goes.

use super::elf::{Elf, HEADER, SECTION, SEGMENT, Section};

/// Which sections stay, by their old numbers, with their new numbers.
pub(super) type Numbers = Vec<Option<u16>>;

/// The parts of a file that stay, in their order.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) parts: Vec<Part>,
    /// Where all that the tables tell of ends, what goes included.
    pub(super) known: u64,
}

/// A part that stays in one piece.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) start: u64,
    pub(super) end: u64,
    alignment: u64,
    /// Its new start.
    pub(super) moved: u64,
}

impl Layout {
    /// What is left without some sections. Every part moves towards the start as far as its alignment lets it.
    ///
    /// Nothing if what is to go is also a part of something that stays, or if the file ends before it should.
    pub(super) fn new(elf: &Elf, numbers: &Numbers) -> Option<Self> {
        let count = numbers.iter().flatten().count();
        let header = (0, HEADER as u64, 1);
        let segments = (elf.segments.len() * SEGMENT) as u64;
        let segments = (elf.segments_offset(), segments, 8);
        let sections = (elf.sections_offset(), (count * SECTION) as u64, 8);
        let loaded = elf.segments.iter();
        let loaded = loaded.map(|segment| (segment.offset, segment.size, segment.alignment));
        let (kept, gone): (Vec<_>, Vec<_>) = elf
            .sections
            .iter()
            .zip(numbers)
            .partition(|(_, number)| number.is_some());
        let kept = kept.iter().map(|(section, _)| place(section));
        let ranges = [header, segments, sections].into_iter();
        let parts = joined(ranges.chain(loaded).chain(kept))?;

        let mut end = elf.sections_offset() + (elf.sections.len() * SECTION) as u64;
        for (section, _) in gone {
            let (start, size, _) = place(section);
            let after = start.checked_add(size)?;
            let is_shared = |part: &Part| start < part.end && part.start < after;
            if size > 0 && parts.iter().any(is_shared) {
                return None;
            }
            end = end.max(after);
        }
        let end = parts.last().map_or(end, |part| part.end.max(end));
        let mut layout = Self { parts, known: end };
        layout.settle();
        (end <= elf.length).then_some(layout)
    }

    fn settle(&mut self) {
        let mut free = 0;
        for part in &mut self.parts {
            let shift = (part.start - free) / part.alignment * part.alignment;
            part.moved = part.start - shift;
            free = part.moved + (part.end - part.start);
        }
    }

    /// The length of the file, in bytes.
    pub(super) fn length(&self) -> u64 {
        let last = self.parts.last();
        last.map_or(0, |part| part.moved + (part.end - part.start))
    }

    /// The new place of an old one; of one that is between parts, the end of the part before it.
    pub(super) fn moved(&self, offset: u64) -> u64 {
        let before = self.parts.iter().rev().find(|part| part.start <= offset);
        before.map_or(offset, |part| {
            part.moved + (offset - part.start).min(part.end - part.start)
        })
    }
}

fn place(section: &Section) -> (u64, u64, u64) {
    (section.offset, section.stored(), section.alignment)
}

/// Ranges of start, size and alignment as parts: those with bytes in common are one. Nothing if an alignment is none.
fn joined(ranges: impl Iterator<Item = (u64, u64, u64)>) -> Option<Vec<Part>> {
    let mut ranges: Vec<_> = ranges.filter(|(_, size, _)| *size > 0).collect();
    ranges.sort_unstable();
    let mut parts: Vec<Part> = Vec::new();
    for (start, size, alignment) in ranges {
        let (end, alignment) = (start.checked_add(size)?, alignment.max(1));
        if !alignment.is_power_of_two() {
            return None;
        }
        match parts.last_mut().filter(|last| start < last.end) {
            Some(last) => {
                last.end = last.end.max(end);
                last.alignment = last.alignment.max(alignment);
            }
            None => parts.push(Part {
                start,
                end,
                alignment,
                moved: start,
            }),
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(ranges: &[(u64, u64, u64)]) -> Vec<(u64, u64)> {
        let parts = joined(ranges.iter().copied()).unwrap();
        let mut layout = Layout { parts, known: 0 };
        layout.settle();
        let parts = layout.parts.iter();
        parts.map(|part| (part.start, part.moved)).collect()
    }

    #[test]
    fn parts_move_by_multiples_of_their_alignment() {
        let moved = settled(&[
            (0, 100, 4096),
            (9000, 10, 1),
            (9101, 50, 8),
            (20_000, 5, 4096),
        ]);
        // 9101 is 5 more than a multiple of 8, 20,000 is 3,616 more than one of 4,096.
        assert_eq!(moved, [(0, 0), (9000, 100), (9101, 117), (20_000, 3616)]);
    }

    #[test]
    fn parts_with_bytes_in_common_move_together() {
        let moved = settled(&[(0, 64, 1), (5000, 100, 8), (5050, 200, 4096)]);
        assert_eq!(moved, [(0, 0), (5000, 904)]);
        assert!(joined([(0, 64, 3)].into_iter()).is_none());
        assert!(joined([(u64::MAX, 64, 1)].into_iter()).is_none());
    }
}
