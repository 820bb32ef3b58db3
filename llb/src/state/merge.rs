//! Merges and differences of states.

use std::panic::Location;

use super::State;
use crate::constraints::{Constrain, Constraints};
use crate::graph::Output;
use crate::op::{DiffOp, Op};

/// Lays states over each other, later ones on top. Needs a daemon with `mergeop`.
///
/// Scratch is left out; of nothing the merge is scratch, of one state it is that state. Run context and image config are
/// those of the first state: to merge branches of a build, with what each changed in the config, see
/// [`State::merge`].
///
/// ```
/// use llb::prelude::*;
///
/// let both = merge([image("debian"), scratch().mkfile("/hello", 0o644, "hello\n")]);
/// ```
#[track_caller]
pub fn merge<S: Into<State>>(states: impl IntoIterator<Item = S>) -> State {
    Merge::new(states).state()
}

/// What `upper` has changed since `lower`, deletions included. Needs a daemon with `diffop`.
///
/// The difference of nothing and a state is the state; of nothing and nothing, scratch.
///
/// ```
/// use llb::prelude::*;
///
/// let base = image("debian");
/// let git = diff(&base, base.run(sh("apt-get update && apt-get install -y git")));
/// ```
#[track_caller]
pub fn diff(lower: impl Into<State>, upper: impl Into<State>) -> State {
    Diff::new(lower, upper).state()
}

/// A merge with options; without, see [`merge`].
#[derive(Clone, Debug)]
pub struct Merge {
    states: Vec<State>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// A difference with options; without, see [`diff`].
#[derive(Clone, Debug)]
pub struct Diff {
    lower: State,
    upper: State,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl Merge {
    /// A merge of states, later ones on top.
    #[track_caller]
    pub fn new<S: Into<State>>(states: impl IntoIterator<Item = S>) -> Self {
        Self {
            states: states.into_iter().map(Into::into).collect(),
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The same merge, blamed on another line.
    pub(super) fn made_at(self, location: &'static Location<'static>) -> Self {
        Self { location, ..self }
    }

    /// The merged file system. Options are lost if fewer than two states have anything in them.
    pub fn state(mut self) -> State {
        if self.states.iter().any(State::is_deferred) {
            let states = std::mem::take(&mut self.states);
            let first = states.iter().find(|state| !state.is_scratch());
            let values = first.cloned().unwrap_or_else(State::scratch);
            return values.once_resolved(states, move |states| {
                let merge = self.clone();
                Self {
                    states: states.to_vec(),
                    ..merge
                }
                .state()
            });
        }
        let mut filled = self.states.iter().filter(|state| !state.is_scratch());
        let Some(first) = filled.next() else {
            return State::scratch().with_problems_of(&self.states);
        };
        if filled.next().is_none() {
            return first.with_problems_of(self.states.iter().filter(|state| state.is_scratch()));
        }
        let inputs: Vec<Output> = self
            .states
            .iter()
            .filter_map(|state| state.output.clone())
            .collect();
        let vertex = State::vertex(
            Op::Merge,
            inputs,
            self.constraints,
            self.location,
            Vec::new(),
            &self.states,
        );
        State {
            problems: None,
            ..first.with_output(Some(vertex.output(0)))
        }
    }
}

impl Diff {
    /// What `upper` has changed since `lower`.
    #[track_caller]
    pub fn new(lower: impl Into<State>, upper: impl Into<State>) -> Self {
        Self {
            lower: lower.into(),
            upper: upper.into(),
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The same difference, blamed on another line.
    pub(super) fn made_at(self, location: &'static Location<'static>) -> Self {
        Self { location, ..self }
    }

    /// The difference. Options are lost if `lower` is scratch.
    pub fn state(mut self) -> State {
        if self.lower.is_deferred() || self.upper.is_deferred() {
            let values = self.lower.clone();
            let states = vec![
                std::mem::replace(&mut self.lower, State::scratch()),
                std::mem::replace(&mut self.upper, State::scratch()),
            ];
            return values.once_resolved(states, move |states| {
                let mut diff = self.clone();
                (diff.lower, diff.upper) = (states[0].clone(), states[1].clone());
                diff.state()
            });
        }
        let Some(lower) = self.lower.output.clone() else {
            return self.upper.with_problems_of([&self.lower]);
        };
        let mut inputs = vec![lower];
        let upper = self.upper.output.clone().map(|upper| {
            inputs.push(upper);
            1
        });
        let op = Op::Diff(DiffOp {
            lower: Some(0),
            upper,
        });
        let parents = [&self.lower, &self.upper];
        let vertex = State::vertex(
            op,
            inputs,
            self.constraints,
            self.location,
            Vec::new(),
            parents,
        );
        State {
            problems: None,
            ..self.lower.with_output(Some(vertex.output(0)))
        }
    }
}

impl State {
    /// The same state with the mistakes recorded in others.
    pub(super) fn with_problems_of<'s>(&self, others: impl IntoIterator<Item = &'s Self>) -> Self {
        others
            .into_iter()
            .flat_map(|other| {
                other
                    .problems
                    .iter()
                    .flat_map(|problems| problems.iter().cloned())
            })
            .fold(self.clone(), Self::record)
    }
}

impl Constrain for Merge {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl Constrain for Diff {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl From<Merge> for State {
    fn from(merge: Merge) -> Self {
        merge.state()
    }
}

impl From<Diff> for State {
    fn from(diff: Diff) -> Self {
        diff.state()
    }
}
