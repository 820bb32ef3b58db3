//! Merges and differences of states.

use std::collections::BTreeMap;
use std::panic::Location;

use super::State;
use crate::constraints::{Constrain, Constraints};
use crate::error::{ErrorKind, Problem};
use crate::graph::Inputs;
use crate::lower::Declared;
use crate::op::{DiffOp, MergeOp, Op};

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
    /// What is declared of the states, by their position.
    declared: BTreeMap<usize, Declared>,
    is_exact: bool,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// A difference with options; without, see [`diff`].
#[derive(Clone, Debug)]
pub struct Diff {
    lower: State,
    upper: State,
    is_exact: bool,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl Merge {
    /// A merge of states, later ones on top.
    #[track_caller]
    pub fn new<S: Into<State>>(states: impl IntoIterator<Item = S>) -> Self {
        Self {
            states: states.into_iter().map(Into::into).collect(),
            declared: BTreeMap::new(),
            is_exact: false,
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The same merge, blamed on another line.
    pub(super) fn made_at(self, location: &'static Location<'static>) -> Self {
        Self { location, ..self }
    }

    /// The same merge, with what is declared of the states at these positions.
    pub(super) fn declaring(self, declared: BTreeMap<usize, Declared>) -> Self {
        Self { declared, ..self }
    }

    /// The same merge with other options.
    pub(super) fn constrained(self, constraints: Constraints) -> Self {
        Self {
            constraints,
            ..self
        }
    }

    /// Makes an op of exactly these states: `NewMerge` of `client/llb`.
    ///
    /// Scratch is not left out but a mistake, and so are fewer than two states. The daemon is not asked for `mergeop`: one
    /// without it fails when it comes to the op.
    ///
    /// ```
    /// use llb::Merge;
    /// use llb::prelude::*;
    ///
    /// let error = Merge::new([image("debian")]).exact().state().marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    /// assert!(error.to_string().starts_with("merge must have at least 2 inputs"));
    /// ```
    #[must_use = "this returns the changed merge"]
    pub fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// The merged file system. Options are lost if fewer than two states have anything in them, unless it is
    /// [`exact`](Self::exact).
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
        let (first, has_two) = (filled.next(), filled.next().is_some());
        let mut problems = Vec::new();
        if self.is_exact {
            let count = self.states.len();
            if count < 2 {
                let message = format!("merge must have at least 2 inputs: there are {count}");
                problems.push(Problem::at(ErrorKind::Merge, message, self.location));
            } else if let Some(place) = self.states.iter().position(State::is_scratch) {
                let message =
                    format!("a merge of exactly these states cannot have scratch at {place}");
                problems.push(Problem::at(ErrorKind::Merge, message, self.location));
            }
        } else {
            let Some(first) = first else {
                return State::scratch().with_problems_of(&self.states);
            };
            if !has_two {
                let scratch = self.states.iter().filter(|state| state.is_scratch());
                return first.with_problems_of(scratch);
            }
        }
        let values = first.map_or_else(State::scratch, |first| first.with_output(None));
        let mut inputs = Inputs::new();
        for (position, state) in self.states.iter_mut().enumerate() {
            let Some(output) = state.output.take() else {
                continue;
            };
            if let Some(declared) = self.declared.get(&position) {
                let options = self.constraints.options_mut();
                declared.write(inputs.len(), &mut options.metadata.description);
            }
            inputs.push(output);
        }
        let vertex = State::vertex(
            Op::Merge(MergeOp {
                requires_capability: !self.is_exact,
            }),
            inputs,
            self.constraints,
            self.location,
            problems,
            &self.states,
        );
        State {
            problems: None,
            ..values.with_output(Some(vertex.into_output(0)))
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
            is_exact: false,
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The same difference, blamed on another line.
    pub(super) fn made_at(self, location: &'static Location<'static>) -> Self {
        Self { location, ..self }
    }

    /// Makes an op also if `lower` is scratch: `NewDiff` of `client/llb`.
    ///
    /// ```
    /// use llb::Diff;
    /// use llb::prelude::*;
    ///
    /// let state = Diff::new(scratch(), image("debian")).exact().name("all of it").state();
    /// assert_eq!(state.marshal(&MarshalOptions::linux_amd64())?.ops().len(), 3);
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[must_use = "this returns the changed difference"]
    pub fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    /// The difference. Options are lost if `lower` is scratch, unless it is [`exact`](Self::exact).
    pub fn state(mut self) -> State {
        if self.lower.is_deferred() || self.upper.is_deferred() {
            let values = if self.lower.is_scratch() {
                self.upper.clone()
            } else {
                self.lower.clone()
            };
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
        let values = if self.lower.is_scratch() {
            &self.upper
        } else {
            &self.lower
        };
        if self.lower.is_scratch() && !self.is_exact {
            let upper = match &self.upper.output {
                Some(_) => self.upper,
                None => State::scratch().with_problems_of([&self.upper]),
            };
            return upper.with_problems_of([&self.lower]);
        }
        let mut inputs = Inputs::new();
        let mut position = 0..;
        let [lower, upper] = [&self.lower, &self.upper].map(|state| {
            inputs.push(state.output.clone()?);
            position.next()
        });
        let op = Op::Diff(DiffOp { lower, upper });
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
            ..values.with_output(Some(vertex.into_output(0)))
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
