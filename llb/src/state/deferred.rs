//! States that are made only once it is known what they are marshalled for.
//!
//! A deferred state stands for what a function will return. Every method on one is kept as a step, to be done again on
//! what its states turn out to be; resolving does the steps one after the other, with a list instead of the call stack.
//! What comes out has no deferred state left in it, so marshalling knows nothing of them.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::sync::{Arc, OnceLock};

use super::{ExecState, State};
use crate::constraints::Constraints;
use crate::definition::{MarshalData, MarshalOptions, VertexCache};
use crate::error::{ErrorKind, Problem};
use crate::graph::{Inputs, Problems, Vertex, VertexData};
use crate::layer::Outcome;
use crate::op::Op;

/// # Deferred states
impl State {
    /// What a function makes of this state, once it is known what the graph is marshalled for: `Async` of `client/llb`.
    ///
    /// The graph is the one that the program would have made with the function's result at this place. The function is
    /// called when the graph is marshalled or [resolved](Self::resolve): at most once for the same options as long as it
    /// succeeds, whatever the number of states made of this one, and again for others. It should depend on its arguments
    /// alone. Its error is reported by [`marshal`](Self::marshal), with the line of this call.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian")
    ///     .deferred(|base, options| base.env("ARCH", &options.target_platform().architecture))
    ///     .run(sh("make ARCH=$ARCH"));
    /// for options in [MarshalOptions::linux_amd64(), MarshalOptions::linux_arm64()] {
    ///     let by_hand = image("debian").env("ARCH", &options.target_platform().architecture).run(sh("make ARCH=$ARCH"));
    ///     assert_eq!(state.marshal(&options)?, by_hand.marshal(&options)?);
    /// }
    /// # Ok::<(), llb::Error>(())
    /// ```
    ///
    /// Until then nobody knows what it is. It does not count as scratch, and accessors such as
    /// [`environment`](Self::environment) and [`image_config`](Self::image_config) know only what was set on it and on
    /// the state it was made of; ask the [resolved](Self::resolve) state.
    #[doc(alias = "async")]
    #[track_caller]
    pub fn deferred<R: Outcome>(
        &self,
        make: impl Fn(Self, &MarshalOptions) -> R + Send + Sync + 'static,
    ) -> Self {
        self.deferred_at(Location::caller(), move |base, options| {
            make(base, options).into_result()
        })
    }

    /// The same, blamed on another line.
    pub(crate) fn deferred_at(
        &self,
        location: &'static Location<'static>,
        make: impl Fn(Self, &MarshalOptions) -> Result<Self, String> + Send + Sync + 'static,
    ) -> Self {
        let step = Step::new(vec![self.clone()], Make::Call(Box::new(make)));
        self.with_step(step, location)
    }

    /// This state with the results of [deferred](Self::deferred) functions in their places; any other state as it is.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let options = MarshalOptions::linux_arm64();
    /// let state = image("debian").deferred(|base, options| base.label("arch", &*options.target_platform().architecture));
    /// assert_eq!(state.resolve(&options).image_config().labels["arch"], "arm64");
    /// ```
    ///
    /// What goes wrong is recorded in the result and reported when that is marshalled.
    pub fn resolve(&self, options: &MarshalOptions) -> Self {
        let Some(vertex) = self.deferred_vertex() else {
            return self.clone();
        };
        let mut resolution = Resolution::new(options);
        resolution.run(vertex);
        let resolved = resolution.state(self);
        resolution.remember();
        resolved
    }

    pub(crate) fn is_deferred(&self) -> bool {
        self.deferred_vertex().is_some()
    }

    fn deferred_vertex(&self) -> Option<&Vertex> {
        let vertex = &self.output.as_ref()?.vertex;
        vertex.is_deferred().then_some(vertex)
    }

    /// A state with the values of this one that is made of others once they are resolved.
    #[cold]
    pub(super) fn once_resolved(
        &self,
        parents: Vec<Self>,
        make: impl Fn(&[Self]) -> Self + Send + Sync + 'static,
    ) -> Self {
        let make = move |parents: &[Self]| Value::State(make(parents));
        let step = Step::new(parents, Make::Replay(Box::new(make)));
        self.with_step(step, Location::caller())
    }

    /// A state with the values of this one that is taken from one of several results of a step.
    pub(super) fn once_taken(
        &self,
        results: &Vertex,
        take: impl Fn(&Value) -> Self + Send + Sync + 'static,
    ) -> Self {
        let parent = Self::from_output(Some(results.output(0)));
        let step = Step::new(vec![parent], Make::Take(Box::new(take)));
        self.with_step(step, Location::caller())
    }

    fn with_step(&self, step: Step, location: &'static Location<'static>) -> Self {
        Self {
            output: Some(step.into_vertex(location).output(0)),
            problems: None,
            ..self.clone()
        }
    }
}

/// A step with several results, made of states once they are resolved.
pub(super) fn results(
    parents: Vec<State>,
    make: impl Fn(&[State]) -> Value + Send + Sync + 'static,
) -> Vertex {
    Step::new(parents, Make::Replay(Box::new(make))).into_vertex(Location::caller())
}

/// Something to be done once the states that it needs are resolved.
pub(crate) struct Step {
    parents: Vec<State>,
    make: Make,
    /// What came out, and for which options. Filled when nothing failed.
    made: OnceLock<(Arc<MarshalData>, Value)>,
}

enum Make {
    /// Calls a function of the program.
    Call(Box<Call>),
    /// Does again what was done to a deferred state.
    Replay(Box<Replay>),
    /// Takes one of several results.
    Take(Box<Take>),
}

type Call = dyn Fn(State, &MarshalOptions) -> Result<State, String> + Send + Sync;
type Replay = dyn Fn(&[State]) -> Value + Send + Sync;
type Take = dyn Fn(&Value) -> State + Send + Sync;

/// What comes out of a step.
#[derive(Clone)]
pub(crate) enum Value {
    State(State),
    Exec(Arc<ExecState>),
    States(Arc<[State]>),
}

impl Step {
    fn new(parents: Vec<State>, make: Make) -> Self {
        Self {
            parents,
            make,
            made: OnceLock::new(),
        }
    }

    fn into_vertex(self, location: &'static Location<'static>) -> Vertex {
        Vertex::new(VertexData {
            op: Op::Deferred(Box::new(self)),
            inputs: Inputs::new(),
            constraints: Constraints::default(),
            location,
            frame: None,
            problems: Problems::default(),
            cache: VertexCache::default(),
        })
    }

    /// Hands over what the step needs, so that a long chain is not taken apart on the call stack.
    #[cold]
    pub(crate) fn leave_parents(&mut self, orphans: &mut Inputs) {
        let parents = std::mem::take(&mut self.parents);
        orphans.extend(parents.into_iter().filter_map(|parent| parent.output));
    }
}

impl Value {
    fn state(&self) -> State {
        match self {
            Self::State(state) => state.clone(),
            Self::Exec(exec) => exec.root(),
            Self::States(_) => self.at(0),
        }
    }

    pub(super) fn at(&self, place: usize) -> State {
        match self {
            Self::States(states) => states.get(place).cloned().unwrap_or_else(State::scratch),
            _ => self.state(),
        }
    }
}

/// The values of steps for some options.
struct Resolution<'a> {
    options: &'a MarshalOptions,
    /// By the address of the step's vertex. Only looked up, never iterated.
    values: BTreeMap<usize, Value>,
    /// Deferred states that functions returned.
    returned: BTreeMap<usize, State>,
    made: Vec<Vertex>,
    has_failed: bool,
}

impl<'a> Resolution<'a> {
    fn new(options: &'a MarshalOptions) -> Self {
        Self {
            options,
            values: BTreeMap::new(),
            returned: BTreeMap::new(),
            made: Vec::new(),
            has_failed: false,
        }
    }

    fn run(&mut self, head: &Vertex) {
        let mut stack = vec![head.clone()];
        while let Some(vertex) = stack.last().cloned() {
            let id = vertex.id();
            let Op::Deferred(step) = &vertex.data().op else {
                stack.pop();
                continue;
            };
            if self.values.contains_key(&id) {
                stack.pop();
                continue;
            }
            if let Some((made_for, value)) = step.made.get()
                && (Arc::ptr_eq(made_for, &self.options.data) || *made_for == self.options.data)
            {
                self.values.insert(id, value.clone());
                continue;
            }
            let needed = match self.returned.get(&id) {
                Some(returned) => std::slice::from_ref(returned),
                None => &step.parents[..],
            };
            let missing = needed.iter().rev().filter_map(State::deferred_vertex);
            let before = stack.len();
            stack.extend(
                missing
                    .filter(|vertex| !self.values.contains_key(&vertex.id()))
                    .cloned(),
            );
            if stack.len() > before {
                continue;
            }
            let value = match self.returned.get(&id) {
                Some(returned) => Value::State(self.state(returned)),
                None => self.make(step, vertex.data().location),
            };
            match value {
                Value::State(state) if state.is_deferred() => {
                    self.returned.insert(id, state);
                }
                value => {
                    self.values.insert(id, value);
                    self.made.push(vertex);
                }
            }
        }
    }

    fn make(&mut self, step: &Step, location: &'static Location<'static>) -> Value {
        match &step.make {
            Make::Call(make) => {
                let base = step
                    .parents
                    .first()
                    .map_or_else(State::scratch, |parent| self.state(parent));
                let made = make(base.clone(), self.options).unwrap_or_else(|error| {
                    self.has_failed = true;
                    let message = format!("a deferred state failed: {error}");
                    base.record(Problem::at(ErrorKind::Layer, message, location))
                });
                Value::State(made)
            }
            Make::Replay(make) => {
                let parents: Vec<State> = step
                    .parents
                    .iter()
                    .map(|parent| self.state(parent))
                    .collect();
                make(&parents)
            }
            Make::Take(take) => {
                let results = step.parents.first().and_then(State::deferred_vertex);
                let results = results.and_then(|vertex| self.values.get(&vertex.id()));
                Value::State(results.map_or_else(State::scratch, take))
            }
        }
    }

    /// A state whose step has its value, with the mistakes recorded in it since.
    fn state(&self, state: &State) -> State {
        let value = state
            .deferred_vertex()
            .and_then(|vertex| self.values.get(&vertex.id()));
        value.map_or_else(
            || state.clone(),
            |value| value.state().with_problems_of([state]),
        )
    }

    /// Keeps the values, unless they show a failure that might not happen again.
    fn remember(mut self) {
        if self.has_failed {
            return;
        }
        for vertex in &self.made {
            if let (Op::Deferred(step), Some(value)) =
                (&vertex.data().op, self.values.remove(&vertex.id()))
            {
                step.made
                    .get_or_init(|| (Arc::clone(&self.options.data), value));
            }
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Step")
            .field("parents", &self.parents)
            .finish_non_exhaustive()
    }
}
