//! Merges of many forks within a number of layers.
//!
//! Daemons stack a limited number of layers, and every layer has its cost. A budget puts forks into groups, each of
//! which becomes one layer. The group of a fork depends on the fork alone and on the budget: whatever other forks come
//! and go, it stays where it is, and all groups but its own keep their layers.

use std::collections::BTreeMap;
use std::panic::Location;

use sha2::{Digest as _, Sha256};

use super::State;
use super::join::{Segment, lay};
use super::lineage;
use super::writes;
use crate::constraints::Constrain as _;
use crate::definition::MarshalOptions;
use crate::file::mkdir;
use crate::op::Op;
use crate::state::{Diff, Merge};

/// The group of every segment: forks of forks are in the group of the fork that they left.
pub(super) fn groups(segments: &[Segment], budget: usize) -> Vec<u64> {
    let mut groups: Vec<u64> = Vec::with_capacity(segments.len());
    for segment in segments {
        let group = match segment.parent {
            Some(parent) => groups[parent],
            None => group_of(&key(segment), budget),
        };
        groups.push(group);
    }
    groups
}

/// Lays segments over a state, each group as one layer.
pub(super) fn lay_within(
    base: &State,
    segments: &[Segment],
    budget: usize,
    location: &'static Location<'static>,
) -> Merge {
    let mut members: BTreeMap<u64, Vec<&Segment>> = BTreeMap::new();
    for (segment, group) in segments.iter().zip(groups(segments, budget)) {
        if segment.adds() {
            members.entry(group).or_default().push(segment);
        }
    }
    let declared = (1..).zip(members.values());
    let declared =
        declared.filter_map(|(position, members)| Some((position, writes::declared(members)?)));
    let declared = declared.collect();
    let layers = members
        .into_values()
        .map(|members| layer(base, &members, location));
    let layers: Vec<State> = std::iter::once(base.clone()).chain(layers).collect();
    Merge::new(layers).declaring(declared)
}

/// All that segments add to a state, as exactly one layer.
fn layer(base: &State, segments: &[&Segment], location: &'static Location<'static>) -> State {
    let upper = lay(base, segments).made_at(location).state();
    if let [segment] = segments
        && is_one_step(segment, base)
    {
        return Diff::new(base, &upper).made_at(segment.location).state();
    }
    one_layer(base, &upper, location, |_| {}).state()
}

/// The difference between two states as one layer, however many steps are between them.
///
/// Making the root directory changes nothing, but what it makes is no ancestor of the upper state: between a state and
/// its own ancestor, BuildKit exports every layer instead of one.
pub(super) fn one_layer(
    lower: &State,
    upper: &State,
    location: &'static Location<'static>,
    options: impl Fn(&mut crate::Constraints),
) -> Diff {
    let mut root = mkdir("/", 0o755);
    root.location = location;
    options(root.constraints_mut());
    let mut difference = Diff::new(lower.file(root), upper).made_at(location);
    options(difference.constraints_mut());
    difference
}

fn is_one_step(segment: &Segment, base: &State) -> bool {
    let (Some(after), Some(before)) = (&segment.after.output, &base.output) else {
        return false;
    };
    matches!(after.vertex.data().op, Op::Exec(_) | Op::File(_))
        && matches!(lineage::lower(after), Some(Some(lower)) if lower.is_same(before))
}

/// What the group of a fork depends on: its name, else that of its layer, else all that it is made of.
fn key(segment: &Segment) -> String {
    if let Some(name) = &segment.name {
        return name.to_string();
    }
    let output = segment.after.output.as_ref();
    let options = output.map(|output| output.vertex.data().constraints.options());
    if let Some(group) = options.and_then(|options| options.metadata.progress_group.as_ref()) {
        return group.name.clone();
    }
    let definition = segment.after.marshal(&MarshalOptions::linux_amd64());
    let head = definition
        .ok()
        .and_then(|definition| Some(definition.head()?.to_string()));
    // A fork with mistakes is never built.
    head.unwrap_or_default()
}

fn group_of(key: &str, budget: usize) -> u64 {
    let digest = Sha256::digest(key.as_bytes());
    let number = digest
        .iter()
        .take(8)
        .fold(0, |number: u64, byte| (number << 8) | u64::from(*byte));
    number % u64::try_from(budget).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::prelude::*;

    fn forks(base: &State, numbers: &BTreeSet<u16>, named: bool) -> Vec<Fork> {
        let forks = numbers.iter().map(|number| {
            let fork = base.fork(|state| {
                (0..=number % 3).fold(state, |state, step| {
                    state.run(sh(format!("make {number} {step}")))
                })
            });
            if named {
                fork.named(format!("fork {number}"))
            } else {
                fork
            }
        });
        forks.collect()
    }

    /// The digests of the layers over the base.
    fn layers(state: &State, base: &State) -> BTreeSet<String> {
        let output = state
            .output
            .as_ref()
            .expect("a merge of an image is not empty");
        let Op::Merge(_) = output.vertex.data().op else {
            panic!("forks within a budget are a merge");
        };
        let inputs = &output.vertex.data().inputs;
        assert!(inputs[0].is_same(base.output.as_ref().expect("the base is an image")));
        let digests = inputs[1..].iter().map(|input| {
            let Op::Diff(_) = input.vertex.data().op else {
                panic!("each layer is a difference");
            };
            let sides = &input.vertex.data().inputs;
            // One step over the base, or a difference that BuildKit cannot take apart.
            let one_step = matches!(lineage::lower(&sides[1]), Some(Some(lower)) if lower.is_same(&sides[0]))
                && matches!(sides[1].vertex.data().op, Op::Exec(_));
            let lineage = lineage::Lineage::of(&State::from_output(Some(sides[1].clone())));
            assert!(one_step || !lineage.has(&State::from_output(Some(sides[0].clone()))));
            let layer = State::from_output(Some(input.clone()));
            let definition = layer.marshal(&MarshalOptions::linux_amd64()).expect("a right graph");
            definition.head().expect("a graph with ops").to_string()
        });
        digests.collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn one_more_fork_changes_at_most_one_layer(
            numbers in proptest::collection::btree_set(0_u16..200, 1..24),
            added in 200_u16..400,
            first in any::<bool>(),
            named in any::<bool>(),
            budget in 1_usize..12,
        ) {
            let base = image("debian");
            let before = layers(&base.merge_within(budget, forks(&base, &numbers, named)), &base);
            let mut more = forks(&base, &numbers, named);
            let one = forks(&base, &BTreeSet::from([added]), named);
            let position = if first { 0 } else { more.len() };
            more.splice(position..position, one);
            let after = layers(&base.merge_within(budget, more), &base);
            prop_assert!(before.len() <= budget && after.len() <= budget);
            prop_assert!(before.difference(&after).count() <= 1);
            prop_assert!(after.difference(&before).count() == 1);
        }

        #[test]
        fn the_order_of_other_forks_moves_no_fork(
            numbers in proptest::collection::btree_set(0_u16..200, 1..24),
            budget in 1_usize..12,
        ) {
            let base = image("debian");
            let number_of = |forks: Vec<Fork>| layers(&base.merge_within(budget, forks), &base).len();
            let in_order = forks(&base, &numbers, true);
            let turned: Vec<Fork> = in_order.iter().rev().cloned().collect();
            prop_assert_eq!(number_of(in_order), number_of(turned));
        }
    }
}
