//! Which wheels are installed together.
//!
//! A group is one exec and one layer. The rule has to keep the group of a wheel as it is while others come, go and
//! change:
//!
//! * a wheel of [`Grouping::ALONE`] bytes or more is alone, the largest first, for up to four fifths of the budget;
//! * the others are in a fixed number of buckets, a fifth of the budget, by a hash of their name;
//! * a bucket of more than [`Grouping::ALONE`] bytes is halved by the next bit of the hash, and its halves again, while
//!   there are less than [`Grouping::MOST`] groups: nothing small shares a layer with much else.
//!
//! The order is that of layers, the lowest first: single wheels by the power of two of their size, the largest first,
//! then by name; then buckets. Whoever has the image pulls, and the engine unpacks, what is above a changed layer anew.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

/// What is put into groups: a wheel, or several that must be installed together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The normalized name; of several, the first.
    pub name: String,
    /// Size of the wheel file in bytes; of several, the sum.
    pub size: u64,
}

/// How many groups there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Groups before any is split for its size.
    pub budget: usize,
}

impl Default for Grouping {
    fn default() -> Self {
        Self { budget: 40 }
    }
}

impl Grouping {
    /// A wheel of this many bytes gets a group of its own, and a bucket of more bytes is split.
    pub const ALONE: u64 = 1 << 20;
    /// Most groups there are in any case. Engines that keep images in a graph driver take 125 layers, and base, system
    /// packages and the project need some.
    pub const MOST: usize = 72;

    fn alone(self) -> usize {
        self.budget * 4 / 5
    }

    fn buckets(self) -> usize {
        (self.budget / 5).max(1)
    }
}

/// A bucket: its number, and the bits by which it was split from others.
type Bucket = (usize, String);

/// The groups, lowest layer first; each is a list of positions in `members`, in the order of names.
///
/// ```
/// use cog_python::wheel::{Grouping, Member, group};
///
/// let member = |name: &str, size| Member { name: name.to_owned(), size };
/// let wheels = [member("six", 11_000), member("torch", 800 << 20), member("numpy", 17 << 20)];
/// assert_eq!(group(&wheels, Grouping::default()), [vec![1], vec![2], vec![0]]);
/// ```
pub fn group(members: &[Member], grouping: Grouping) -> Vec<Vec<usize>> {
    let mut by_size: Vec<usize> = (0..members.len()).collect();
    by_size.sort_by(|one, other| {
        let key = |index: usize| (std::cmp::Reverse(members[index].size), &members[index].name);
        key(*one).cmp(&key(*other))
    });
    let is_alone = |index: &usize| members[*index].size >= Grouping::ALONE;
    let large = by_size.iter().filter(|index| is_alone(index)).count();
    let cut = large.min(grouping.alone());
    let mut alone = by_size[..cut].to_vec();
    alone.sort_by_key(|&index| {
        let member = &members[index];
        (std::cmp::Reverse(member.size.ilog2()), &member.name)
    });

    let mut buckets: BTreeMap<Bucket, Vec<usize>> = BTreeMap::new();
    for &index in &by_size[cut..] {
        let number = hash(&members[index].name) % grouping.buckets() as u64;
        let bucket = (usize::try_from(number).unwrap_or(0), String::new());
        buckets.entry(bucket).or_default().push(index);
    }
    split(&mut buckets, members, alone.len());
    let buckets = buckets.into_values().map(|mut bucket| {
        bucket.sort_by(|&one, &other| members[one].name.cmp(&members[other].name));
        bucket
    });
    alone
        .into_iter()
        .map(|index| vec![index])
        .chain(buckets)
        .collect()
}

/// Halves the largest bucket that is too large, again and again.
fn split(buckets: &mut BTreeMap<Bucket, Vec<usize>>, members: &[Member], others: usize) {
    /// Names that agree in so many bits of a hash stay together.
    const DEEPEST: usize = 24;
    let size = |bucket: &Vec<usize>| -> u64 {
        bucket
            .iter()
            .map(|&index| members[index].size)
            .fold(0, u64::saturating_add)
    };
    while others + buckets.len() < Grouping::MOST {
        let too_large = buckets.iter().filter(|((_, bits), bucket)| {
            bucket.len() > 1 && size(bucket) > Grouping::ALONE && bits.len() < DEEPEST
        });
        // The first of the largest: the order of the map decides between equals.
        let largest = too_large.min_by_key(|(_, bucket)| std::cmp::Reverse(size(bucket)));
        let Some(key) = largest.map(|(key, _)| key.clone()) else {
            return;
        };
        let Some(bucket) = buckets.remove(&key) else {
            return;
        };
        for index in bucket {
            let bit = hash(&members[index].name) >> (63 - key.1.len()) & 1;
            let half = (key.0, format!("{}{bit}", key.1));
            buckets.entry(half).or_default().push(index);
        }
    }
}

fn hash(name: &str) -> u64 {
    let digest = Sha256::digest(name.as_bytes());
    digest[..8]
        .iter()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members(sizes: &[(String, u64)]) -> Vec<Member> {
        let unique: BTreeMap<&String, u64> =
            sizes.iter().map(|(name, size)| (name, *size)).collect();
        let member = |(name, size): (&String, u64)| Member {
            name: name.clone(),
            size,
        };
        unique.into_iter().map(member).collect()
    }

    fn names(members: &[Member]) -> Vec<Vec<String>> {
        let groups = group(members, Grouping::default());
        let named = |group: Vec<usize>| {
            group
                .into_iter()
                .map(|index| members[index].name.clone())
                .collect()
        };
        groups.into_iter().map(named).collect()
    }

    fn some() -> impl Strategy<Value = Vec<Member>> {
        let size = prop_oneof![1_u64..(1 << 20), 1_u64..(900 << 20)];
        prop::collection::vec(("[a-z]{1,6}", size), 1..150).prop_map(|sizes| members(&sizes))
    }

    proptest! {
        #[test]
        fn every_wheel_is_in_one_group(members in some()) {
            let groups = group(&members, Grouping::default());
            let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..members.len()).collect::<Vec<_>>());
            prop_assert!(groups.len() <= Grouping::MOST);
            prop_assert!(groups.iter().all(|group| !group.is_empty()));
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(members in some(), seed in any::<u64>()) {
            let mut other = members.clone();
            other.sort_by_key(|member| hash(&format!("{seed}{}", member.name)));
            prop_assert_eq!(names(&members), names(&other));
        }

        #[test]
        fn a_small_wheel_that_comes_touches_groups_of_one_bucket(
            sizes in prop::collection::vec(("[a-z]{2,6}", 1_u64..200_000), 1..60),
            size in 1_u64..200_000,
        ) {
            let before = members(&sizes);
            let mut after = before.clone();
            after.push(Member { name: "0".to_owned(), size });
            let (before, after) = (names(&before), names(&after));
            let buckets = Grouping::default().buckets() as u64;
            let mut changed = after.iter().filter(|group| !before.contains(group));
            prop_assert!(changed.all(|group| hash(&group[0]) % buckets == hash("0") % buckets));
        }

        #[test]
        fn a_small_wheel_that_comes_touches_one_group_if_none_is_full(
            sizes in prop::collection::vec(("[a-z]{2,6}", 1_u64..17_000), 1..60),
            size in 1_u64..17_000,
        ) {
            let before = members(&sizes);
            let mut after = before.clone();
            after.push(Member { name: "0".to_owned(), size });
            let (before, after) = (names(&before), names(&after));
            let changed = after.iter().filter(|group| !before.contains(group)).count();
            prop_assert_eq!(changed, 1);
        }

        #[test]
        fn large_wheels_are_alone_and_below(members in some()) {
            let groups = group(&members, Grouping::default());
            let large = members.iter().filter(|member| member.size >= Grouping::ALONE).count();
            for group in &groups[..large.min(Grouping::default().alone())] {
                prop_assert_eq!(group.len(), 1);
                prop_assert!(members[group[0]].size >= Grouping::ALONE);
            }
        }
    }

    #[test]
    fn giants_are_at_the_bottom_and_equals_by_name() {
        let sizes = [("b", 40 << 20), ("a", 50 << 20), ("c", 700 << 20), ("d", 5)];
        let sizes = sizes.map(|(name, size)| (name.to_owned(), size));
        assert_eq!(
            names(&members(&sizes)),
            [vec!["c"], vec!["a"], vec!["b"], vec!["d"]]
        );
    }

    /// What no longer fits into groups of its own shares none with small wheels, as long as there are layers.
    #[test]
    fn buckets_are_split_when_they_are_large() {
        let large = (0..40).map(|number| (format!("large-{number}"), 12 << 20));
        let small = (0..40).map(|number| (format!("small-{number}"), 1 << 17));
        let members = members(&large.chain(small).collect::<Vec<_>>());
        let groups = group(&members, Grouping::default());
        assert!(groups.len() <= Grouping::MOST);
        for group in groups.iter().filter(|group| group.len() > 1) {
            let size: u64 = group.iter().map(|&index| members[index].size).sum();
            assert!(size <= Grouping::ALONE, "{group:?}: {size}");
        }
    }
}
