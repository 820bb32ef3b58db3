//! Finds ops by digest.

use super::OpDigest;

/// An open hash table of positions in a list of ops.
///
/// It holds no digests of its own; whoever asks has the list. Digests are hashes already, and only those of ops that
/// are there get in, so no definition can crowd it.
#[derive(Debug)]
pub(crate) struct Positions {
    /// A part of a digest, and one more than its position, or 0. The length is a power of two, and at least half is 0.
    slots: Vec<(u32, u32)>,
    count: usize,
}

impl Default for Positions {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl Positions {
    /// A table with room for `count` ops; it grows when there are more.
    pub(crate) fn with_capacity(count: usize) -> Self {
        Self {
            slots: vec![(0, 0); (2 * count).next_power_of_two()],
            count: 0,
        }
    }

    /// The positions of all digests; the first one of each.
    pub(crate) fn new(digests: impl ExactSizeIterator<Item = OpDigest> + Clone) -> Self {
        let mut positions = Self::with_capacity(digests.len());
        let list: Vec<OpDigest> = digests.collect();
        for (position, digest) in (0..).zip(&list) {
            positions.find_or_insert(position, *digest, |position| list[position]);
        }
        positions
    }

    /// The position of a digest; `digest_at` gives the digest at a position.
    pub(crate) fn find(
        &self,
        digest: OpDigest,
        digest_at: impl Fn(usize) -> OpDigest,
    ) -> Option<usize> {
        let found = self.slot(digest, digest_at).ok()?;
        Some(found as usize)
    }

    /// The position of a digest. One that is not there is added at a position.
    pub(crate) fn find_or_insert(
        &mut self,
        position: u32,
        digest: OpDigest,
        digest_at: impl Fn(usize) -> OpDigest,
    ) -> Option<u32> {
        match self.slot(digest, digest_at) {
            Ok(known) => Some(known),
            Err(mut slot) => {
                self.count += 1;
                if 2 * self.count > self.slots.len() {
                    self.grow();
                    slot = self.free_slot(part(digest));
                }
                self.slots[slot] = (part(digest), position + 1);
                None
            }
        }
    }

    /// The position of a digest, or the slot for it.
    fn slot(&self, digest: OpDigest, digest_at: impl Fn(usize) -> OpDigest) -> Result<u32, usize> {
        let part = part(digest);
        let last = self.slots.len() - 1;
        let mut slot = part as usize & last;
        loop {
            let (known, next) = self.slots[slot];
            match next.checked_sub(1) {
                None => return Err(slot),
                Some(position) if known == part && digest_at(position as usize) == digest => {
                    return Ok(position);
                }
                Some(_) => slot = (slot + 1) & last,
            }
        }
    }

    fn free_slot(&self, part: u32) -> usize {
        let last = self.slots.len() - 1;
        let mut slot = part as usize & last;
        while self.slots[slot].1 != 0 {
            slot = (slot + 1) & last;
        }
        slot
    }

    #[cold]
    fn grow(&mut self) {
        let slots = vec![(0, 0); (4 * self.slots.len()).max(64)];
        for (part, position) in std::mem::replace(&mut self.slots, slots) {
            if position != 0 {
                let slot = self.free_slot(part);
                self.slots[slot] = (part, position);
            }
        }
    }
}

/// A part of a digest is as good a hash as any.
fn part(digest: OpDigest) -> u32 {
    let (part, _) = digest.0.split_first_chunk().expect("a digest has 32 bytes");
    u32::from_le_bytes(*part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_grow() {
        let digests: Vec<OpDigest> = (0..1000_u32)
            .map(|number| OpDigest::of(&number.to_le_bytes()))
            .collect();
        let mut positions = Positions::default();
        for (position, digest) in (0..).zip(&digests) {
            let known = positions.find_or_insert(position, *digest, |position| digests[position]);
            assert_eq!(known, None);
        }
        for (position, digest) in digests.iter().enumerate() {
            let found = positions.find(*digest, |position| digests[position]);
            assert_eq!(found, Some(position));
        }
    }

    #[test]
    fn digests_are_found_where_they_came_first() {
        let digests: Vec<OpDigest> = (0..1000_u32)
            .map(|number| OpDigest::of(&(number % 700).to_le_bytes()))
            .collect();
        let positions = Positions::new(digests.iter().copied());
        for (position, digest) in digests.iter().enumerate() {
            let found = positions.find(*digest, |position| digests[position]);
            assert_eq!(found, Some(position % 700));
        }
        let unknown = OpDigest::of(b"x");
        assert_eq!(positions.find(unknown, |position| digests[position]), None);
        let none = Positions::new(std::iter::empty());
        assert_eq!(none.find(unknown, |_| unknown), None);
    }
}
