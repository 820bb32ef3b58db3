//! Ops that steer the graph instead of making files.

use std::panic::Location;

use super::State;
use super::deferred::{Value, results};
use crate::constraints::{Constrain, Constraints};
use crate::error::{ErrorKind, Problem};
use crate::graph::Inputs;
use crate::op::{BuildOp, Op, PassthroughOp};

/// Solves a definition that a state holds as a file, and goes on with its result.
///
/// ```
/// use llb::prelude::*;
/// use llb::Build;
///
/// let nested = Build::new(local("definitions")).filename("app.llb");
/// assert_eq!(nested.state().to_text(), r#"
/// platform linux/amd64
/// %definitions = local "definitions"
/// %build = build %definitions llbbuild.filename="app.llb"
/// return %build
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Build {
    source: State,
    filename: Option<String>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

/// Hands states on once all of them are solved. Needs a daemon with `passthroughop`.
///
/// What comes out first is [`state`](Self::state), the others are [`state_at`](Self::state_at):
///
/// ```
/// use llb::prelude::*;
/// use llb::Passthrough;
///
/// let app = image("app");
/// let checked = Passthrough::new("tests").output(&app).input(app.run(sh("make check")));
/// assert_eq!(checked.state().to_text(), r#"
/// platform linux/amd64
/// %app = source "docker-image://docker.io/library/app:latest"
/// %make-check = exec "/bin/sh" "-c" "make check" cwd=/ {
///   / = %app -> out0
/// }
/// %tests = passthrough "tests" %app, %make-check -> %app
/// return %tests
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Passthrough {
    id: String,
    inputs: Vec<(State, bool)>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl Build {
    /// Solves the definition in a state.
    #[track_caller]
    pub fn new(source: impl Into<State>) -> Self {
        Self {
            source: source.into(),
            filename: None,
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The file that holds the definition; `buildkit.llb.definition` if not given.
    #[must_use = "this returns the changed op"]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = Some(filename.into());
        self
    }

    /// The result of the definition, with the run context of the state that holds it.
    pub fn state(mut self) -> State {
        if self.source.is_deferred() {
            let source = std::mem::replace(&mut self.source, State::scratch());
            return source.once_resolved(vec![source.clone()], move |states| {
                let mut build = self.clone();
                build.source = states[0].clone();
                build.state()
            });
        }
        let mut problems = Vec::new();
        if self.source.is_scratch() {
            let message = "a build needs a state that holds a definition, but this one is scratch";
            problems.push(Problem::at(ErrorKind::Source, message, self.location));
        }
        let inputs: Inputs = self.source.output.iter().cloned().collect();
        let op = Op::Build(BuildOp {
            filename: self.filename.filter(|filename| !filename.is_empty()),
        });
        let vertex = State::vertex(
            op,
            inputs,
            self.constraints,
            self.location,
            problems,
            [&self.source],
        );
        State {
            problems: None,
            ..self.source.with_output(Some(vertex.output(0)))
        }
    }
}

impl Passthrough {
    /// A passthrough with an id, which must not be empty.
    #[track_caller]
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            inputs: Vec::new(),
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// A state that must be solved first.
    #[must_use = "this returns the changed op"]
    pub fn input(mut self, state: impl Into<State>) -> Self {
        self.inputs.push((state.into(), false));
        self
    }

    /// A state that must be solved first and comes out again.
    #[must_use = "this returns the changed op"]
    pub fn output(mut self, state: impl Into<State>) -> Self {
        self.inputs.push((state.into(), true));
        self
    }

    /// The first state that comes out.
    pub fn state(self) -> State {
        self.state_at(0)
    }

    /// The state at a position among those that come out, counted from 0.
    pub fn state_at(self, index: u32) -> State {
        let mut states = self.states();
        if (index as usize) < states.len() {
            return states.swap_remove(index as usize);
        }
        let message = format!(
            "invalid passthrough output {index}: there are {}",
            states.len()
        );
        let problem = Problem::at(ErrorKind::Merge, message, self.location);
        let state = states.into_iter().next().unwrap_or_else(State::scratch);
        if state.is_deferred() {
            return state.once_resolved(vec![state.clone()], move |states| {
                states[0].without_use(problem.clone())
            });
        }
        state.without_use(problem)
    }

    /// All states that come out, each with a fresh run context; [`State::requires`] keeps it.
    pub fn states(&self) -> Vec<State> {
        if self.inputs.iter().any(|(state, _)| state.is_deferred()) {
            return self.deferred_states();
        }
        let mut problems = Vec::new();
        let mut problem =
            |message: &str| problems.push(Problem::at(ErrorKind::Merge, message, self.location));
        let filled: Vec<&(State, bool)> = self
            .inputs
            .iter()
            .filter(|(state, _)| !state.is_scratch())
            .collect();
        let outputs: Vec<u32> = (0..)
            .zip(&filled)
            .filter_map(|(position, (_, is_output))| is_output.then_some(position))
            .collect();
        if filled.is_empty() {
            problem("passthrough must have at least one input that is not scratch");
        }
        if self.id.is_empty() {
            problem("passthrough requires an id");
        }
        if outputs.is_empty() && !filled.is_empty() {
            problem("passthrough must have at least one output");
        }
        let is_broken = !problems.is_empty();
        let inputs: Inputs = filled
            .iter()
            .filter_map(|(state, _)| state.output.clone())
            .collect();
        let op = Op::Passthrough(PassthroughOp {
            id: self.id.clone(),
            outputs: outputs.clone(),
        });
        let parents = self.inputs.iter().map(|(state, _)| state);
        let vertex = State::vertex(
            op,
            inputs,
            self.constraints.clone(),
            self.location,
            problems,
            parents,
        );
        if is_broken && outputs.is_empty() {
            return vec![State::from_output(Some(vertex.output(0)))];
        }
        (0..)
            .zip(&outputs)
            .map(|(index, _)| State::from_output(Some(vertex.output(index))))
            .collect()
    }
}

impl Passthrough {
    /// Which inputs are scratch is known only once all are resolved, so states are taken by the place of their input.
    fn deferred_states(&self) -> Vec<State> {
        let (parents, are_outputs): (Vec<State>, Vec<bool>) = self.inputs.iter().cloned().unzip();
        let mut passthrough = self.clone();
        passthrough.inputs.clear();
        let vertex = results(parents, move |states| {
            let mut passthrough = passthrough.clone();
            passthrough.inputs = states
                .iter()
                .cloned()
                .zip(are_outputs.iter().copied())
                .collect();
            let made = passthrough.states();
            let comes_out = |(state, is_output): &&(State, bool)| *is_output && !state.is_scratch();
            let is_broken = !passthrough.inputs.iter().any(|input| comes_out(&input));
            let mut next = made.iter();
            let by_place = passthrough.inputs.iter().map(|input| {
                let made = if is_broken {
                    made.first()
                } else if comes_out(&input) {
                    next.next()
                } else {
                    None
                };
                made.unwrap_or(&input.0).clone()
            });
            Value::States(by_place.collect())
        });
        let outputs = self.inputs.iter().enumerate();
        let mut states: Vec<State> = outputs
            .filter(|(_, (state, is_output))| *is_output && !state.is_scratch())
            .map(|(place, _)| State::scratch().once_taken(&vertex, move |value| value.at(place)))
            .collect();
        if states.is_empty() {
            states.push(State::scratch().once_taken(&vertex, |value| value.at(0)));
        }
        states
    }
}

/// # Order without data
impl State {
    /// This state, once others are solved too; their content is not used.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let app = image("app");
    /// let checked = app.requires("tests", [app.run(sh("make check"))]);
    /// ```
    #[track_caller]
    pub fn requires<S: Into<Self>>(
        &self,
        id: impl Into<String>,
        others: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut passthrough = Passthrough::new(id);
        let mut others = others.into_iter().peekable();
        if others.peek().is_none() {
            return self.clone();
        }
        passthrough = passthrough.output(self);
        for other in others {
            passthrough = passthrough.input(other);
        }
        Self {
            problems: None,
            ..self.with_output_of(&passthrough.state())
        }
    }
}

impl Constrain for Build {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl Constrain for Passthrough {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl From<Build> for State {
    fn from(build: Build) -> Self {
        build.state()
    }
}

impl From<Passthrough> for State {
    fn from(passthrough: Passthrough) -> Self {
        passthrough.state()
    }
}
