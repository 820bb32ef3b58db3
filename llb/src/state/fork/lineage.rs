//! What a state is made from: the steps from it down to where it began.

use std::collections::BTreeSet;

use super::State;
use crate::graph::Output;
use crate::op::Op;
use crate::op::file::{FileInput, FileOp};

/// An address of an output; none is scratch.
type Key = Option<(usize, u32)>;

/// The states that a state was made from, step by step, and the differences that merges on the way laid over them.
pub(super) struct Lineage {
    states: BTreeSet<Key>,
    differences: BTreeSet<(Key, Key)>,
}

impl Lineage {
    pub(super) fn of(state: &State) -> Self {
        let mut lineage = Self {
            states: BTreeSet::new(),
            differences: BTreeSet::new(),
        };
        let mut current = state.output.clone();
        loop {
            lineage.states.insert(key(current.as_ref()));
            let Some(output) = current else { break };
            if let Op::Merge(_) = output.vertex.data().op {
                let inputs = output.vertex.data().inputs.iter();
                lineage.differences.extend(inputs.filter_map(difference));
            }
            let Some(lower) = lower(&output) else { break };
            current = lower;
        }
        lineage
    }

    /// Whether the state was made from this one.
    pub(super) fn has(&self, state: &State) -> bool {
        self.states.contains(&key(state.output.as_ref()))
    }

    /// Whether everything between two states is part of the state.
    pub(super) fn has_difference(&self, lower: &State, upper: &State) -> bool {
        let pair = (key(lower.output.as_ref()), key(upper.output.as_ref()));
        pair.0 != pair.1 && (self.states.contains(&pair.1) || self.differences.contains(&pair))
    }
}

/// The state that a step was made on: scratch if there is none inside, unknown if there is none at all.
#[expect(
    clippy::option_option,
    reason = "a step on scratch is not the same as no step"
)]
pub(super) fn lower(output: &Output) -> Option<Option<Output>> {
    let data = output.vertex.data();
    let input = |position: u32| data.inputs.get(position as usize).cloned();
    match &data.op {
        Op::Exec(exec) => {
            let mounts = exec.message().mounts;
            let mut mounts = mounts.iter();
            let mount = mounts.find(|mount| mount.output == i64::from(output.index))?;
            Some(u32::try_from(mount.input).ok().and_then(input))
        }
        Op::File(file) => match actions(file).last() {
            Some((_, FileInput::Input(position))) => Some(input(position)),
            Some((_, FileInput::Scratch)) => Some(None),
            _ => None,
        },
        Op::Merge(_) => Some(data.inputs.first().cloned()),
        Op::Source(_)
        | Op::Diff(_)
        | Op::Build(_)
        | Op::Passthrough(_)
        | Op::Embedded(_)
        | Op::Deferred(_) => None,
    }
}

/// The actions whose results come out of a file op, from the last to the first, each with what it is applied to.
pub(super) fn actions(file: &FileOp) -> impl Iterator<Item = (usize, FileInput)> {
    let mut next = file.actions.iter().position(|action| action.is_output);
    std::iter::from_fn(move || {
        let number = next?;
        let input = file.actions.get(number)?.input;
        next = match input {
            FileInput::Action(number) => Some(number as usize),
            FileInput::Input(_) | FileInput::Scratch => None,
        };
        Some((number, input))
    })
}

/// What a difference is between.
pub(super) fn difference(output: &Output) -> Option<(Key, Key)> {
    let data = output.vertex.data();
    let Op::Diff(diff) = &data.op else {
        return None;
    };
    let side = |position: Option<u32>| {
        key(position.and_then(|position| data.inputs.get(position as usize)))
    };
    Some((side(diff.lower), side(diff.upper)))
}

pub(super) fn key(output: Option<&Output>) -> Key {
    output.map(|output| (output.vertex.id(), output.index))
}
