//! Finds out whether an op of a marshal is there already.

use super::op_list::number;
use super::{OpDigest, Positions};

/// So many ops that read the same are compared with each other.
const FEW: usize = 4;

/// Marks an op that more than a few others read.
const MANY: u32 = u32::MAX;

/// The ops of a list, to find the one that is the same as another one.
///
/// Ops that are the same read the same, so they have the same last input: the one that stands behind all others. Most
/// ops are the last input of few, which stand near to each other. Only where there are more are they looked up by digest,
/// somewhere in a table that may be large.
#[derive(Default)]
pub(super) struct SameOps {
    /// For each op of the list.
    links: Vec<Links>,
    /// Ops without an input in the list, and those whose last input is that of many.
    by_digest: Positions,
}

/// Positions are counted from 1 here; 0 is none.
#[derive(Clone, Copy, Default)]
struct Links {
    /// The newest op of those of which this one is the last input, or [`MANY`].
    reader: u32,
    /// The next older op with the same last input.
    older: u32,
}

impl SameOps {
    /// The position of an op with this digest and last input. One that is not there is added behind all others.
    pub(super) fn find_or_add(
        &mut self,
        digest: OpDigest,
        last_input: Option<u32>,
        digest_at: impl Fn(usize) -> OpDigest,
    ) -> Option<u32> {
        let next = number(self.links.len());
        let reader = last_input.map_or(MANY, |input| self.links[input as usize].reader);
        if let Some(input) = last_input
            && reader != MANY
        {
            let mut count = 0;
            for other in self.from(reader) {
                if digest_at(other as usize) == digest {
                    return Some(other);
                }
                count += 1;
            }
            if count < FEW {
                self.links[input as usize].reader = next + 1;
                let older = reader;
                self.links.push(Links { reader: 0, older });
                return None;
            }
            self.look_up_readers(input, &digest_at);
        }
        let known = self.by_digest.find_or_insert(next, digest, digest_at);
        if known.is_none() {
            self.links.push(Links::default());
        }
        known
    }

    /// An op, and those with the same last input that are older.
    fn from(&self, newest: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(newest.checked_sub(1), |position| {
            self.links[*position as usize].older.checked_sub(1)
        })
    }

    /// From now on, those that have this last input are looked up by digest.
    #[cold]
    fn look_up_readers(&mut self, input: u32, digest_at: &impl Fn(usize) -> OpDigest) {
        let reader = std::mem::replace(&mut self.links[input as usize].reader, MANY);
        let readers: Vec<u32> = self.from(reader).collect();
        for position in readers {
            let digest = digest_at(position as usize);
            self.by_digest.find_or_insert(position, digest, digest_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_are_found_whether_few_or_many_read_the_same() {
        for readers in [1, 4, 5, 100] {
            let mut same = SameOps::default();
            let mut digests = Vec::new();
            let mut add = |number: u32, last_input: Option<u32>| {
                let digest = OpDigest::of(&number.to_le_bytes());
                let known = same.find_or_add(digest, last_input, |position| digests[position]);
                if known.is_none() {
                    digests.push(digest);
                }
                known
            };
            assert_eq!(add(0, None), None);
            for number in 1..=readers {
                assert_eq!(add(number, Some(0)), None, "{number} of {readers}");
            }
            assert_eq!(add(1000, Some(readers)), None);
            for number in 0..=readers {
                let last_input = (number > 0).then_some(0);
                assert_eq!(
                    add(number, last_input),
                    Some(number),
                    "{number} of {readers}"
                );
            }
            assert_eq!(add(1000, Some(readers)), Some(readers + 1));
        }
    }
}
