//! The immutable handle that graphs are built with.

pub(crate) mod context;
mod deferred;
mod exec;
mod file;
mod fork;
mod image_config;
mod merge;
mod passthrough;
mod platforms;
mod value;

use std::panic::Location;
use std::sync::Arc;

pub(crate) use deferred::Step;
pub use exec::ExecState;
pub use fork::{Fork, Join, MergePolicy};
pub use image_config::{Healthcheck, ImageConfig};
pub use merge::{Diff, Merge, diff, merge};
pub use passthrough::{Build, Passthrough};
pub use platforms::Platforms;

use crate::constraints::Constraints;
use crate::definition::{Definition, MarshalOptions, VertexCache, marshal};
use crate::error::{Error, Problem};
use crate::graph::{Inputs, Output, Problems, Vertex, VertexData};
use crate::op::{Op, PassthroughOp};
use crate::sourcemap::Frame;
use crate::value::shared::Shared;
use context::Context;

/// A file system somewhere in a graph, with what travels along: the run context of later execs and the image config.
///
/// A state is a value. Methods return a new state and leave the old one as it was, so that any state can be the start of
/// several branches; cloning is cheap. Nothing talks to a daemon. Mistakes are recorded and reported all at once by
/// [`marshal`](Self::marshal).
///
/// ```
/// use llb::prelude::*;
///
/// let base = image("debian:bookworm-slim").env("LANG", "C.UTF-8");
/// let tools = base.run(sh("apt-get update && apt-get install -y git"));
/// let other = base.run(sh("apt-get update && apt-get install -y curl"));
/// assert_ne!(tools.marshal(&MarshalOptions::linux_amd64())?.head(), other.marshal(&MarshalOptions::linux_amd64())?.head());
/// # Ok::<(), llb::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a state is a value; methods return a new one"]
pub struct State {
    pub(crate) output: Option<Output>,
    pub(crate) context: Shared<Context>,
    pub(crate) image_config: Shared<ImageConfig>,
    /// Mistakes that no vertex can carry.
    pub(crate) problems: Option<Arc<Vec<Problem>>>,
}

/// The empty file system.
///
/// ```
/// use llb::prelude::*;
///
/// let state = scratch().mkfile("/hello", 0o644, "hello\n");
/// ```
pub fn scratch() -> State {
    State::scratch()
}

/// # Making and ending states
impl State {
    /// The empty file system, with working directory `/`.
    pub fn scratch() -> Self {
        Self::from_output(None)
    }

    /// The empty file system without a working directory: execs on it must say where they run.
    pub fn without_dir() -> Self {
        Self {
            context: Context::default().into(),
            ..Self::scratch()
        }
    }

    pub(crate) fn from_output(output: Option<Output>) -> Self {
        let mut context = Shared::<Context>::USUAL;
        if let Some(platform) = output.as_ref().and_then(Output::platform) {
            context.make_mut().adopt_platform(Some(platform));
        }
        Self {
            output,
            context,
            image_config: Shared::USUAL,
            problems: None,
        }
    }

    /// Whether this is the empty file system. A [deferred](Self::deferred) state is not known to be.
    pub fn is_scratch(&self) -> bool {
        self.output.is_none()
    }

    /// The same run context and image config on the file system of another state.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").env("A", "1").with_output_of(&image("alpine").env("B", "2"));
    /// assert_eq!(state.run(sh("true")).to_text(), r#"
    /// platform linux/amd64
    /// %alpine = source "docker-image://docker.io/library/alpine:latest"
    /// %true = exec "/bin/sh" "-c" "true" cwd=/ {
    ///   env A="1"
    ///   / = %alpine -> out0
    /// }
    /// return %true
    /// "#.trim_start());
    /// ```
    pub fn with_output_of(&self, other: &Self) -> Self {
        if self.is_deferred() || other.is_deferred() {
            return self.once_resolved(vec![self.clone(), other.clone()], |states| {
                states[0].with_output_of(&states[1])
            });
        }
        self.with_output(other.output.clone())
            .with_problems_of([other])
    }

    /// This file system with the run context of another state.
    ///
    /// The working directory is `/`, unless this state's output has a platform: then the platform is kept and the
    /// directory is the other state's, as in `client/llb`.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").dir("/src").reset(&image("alpine").env("A", "1").dir("/app"));
    /// assert_eq!((state.current_dir(), state.environment().get("A")), (Some("/"), Some("1")));
    /// ```
    pub fn reset(&self, other: &Self) -> Self {
        if self.is_deferred() || other.is_deferred() {
            let values = Self {
                output: None,
                ..other.clone()
            };
            return values.once_resolved(vec![self.clone(), other.clone()], |states| {
                states[0].reset(&states[1])
            });
        }
        let mut context = (*other.context).clone();
        match self.output.as_ref().and_then(Output::platform) {
            Some(platform) => context.adopt_platform(Some(platform)),
            None => context.dir = Some("/".into()),
        }
        Self {
            context: context.into(),
            ..self.with_problems_of([other])
        }
    }

    /// Applies a function: `state.with(f)` is `f(state)`, readable in a chain.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// fn git(state: State) -> State {
    ///     state.run(sh("apt-get update && apt-get install -y git"))
    /// }
    /// let state = image("debian").with(git).with(|state| state.dir("/src"));
    /// ```
    pub fn with(self, change: impl FnOnce(Self) -> Self) -> Self {
        change(self)
    }

    /// The definition that BuildKit takes.
    ///
    /// The result depends on the graph and the options alone. Depth is no limit: long chains need no stack.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the graph, each mistake with the line that made it.
    pub fn marshal(&self, options: &MarshalOptions) -> Result<Definition, Error> {
        if self.is_deferred() {
            return self.resolve(options).marshal(options);
        }
        let own = self
            .problems
            .iter()
            .flat_map(|problems| problems.iter().cloned());
        match marshal(self.output.as_ref(), options) {
            Ok(definition) if self.problems.is_none() => Ok(definition),
            Ok(_) => Err(Error::new(own.collect())),
            Err(error) => Err(Error::new(
                error.problems().iter().cloned().chain(own).collect(),
            )),
        }
    }

    pub(crate) fn with_output(&self, output: Option<Output>) -> Self {
        let mut context = self.context.clone();
        if let Some(platform) = output.as_ref().and_then(Output::platform) {
            context.make_mut().adopt_platform(Some(platform));
        }
        Self {
            output,
            context,
            image_config: self.image_config.clone(),
            problems: self.problems.clone(),
        }
    }

    /// A state that has what this one has, but that cannot be marshalled: the mistake goes wherever its output goes.
    fn without_use(&self, problem: Problem) -> Self {
        let op = Op::Passthrough(PassthroughOp {
            id: String::new(),
            outputs: vec![0],
        });
        let inputs: Inputs = self.output.iter().cloned().collect();
        let location = problem.location().unwrap_or(Location::caller());
        let vertex = Self::vertex(
            op,
            inputs,
            Constraints::default(),
            location,
            vec![problem],
            [self],
        );
        self.with_output(Some(vertex.output(0)))
    }

    /// Puts an op into the progress group of the layer it is made in, unless it has one.
    fn in_group(&self, mut constraints: Constraints) -> Constraints {
        if let Some(frame) = &self.context.frame
            && let Some(group) = &frame.group
            && constraints.options().metadata.progress_group.is_none()
        {
            constraints.options_mut().metadata.progress_group = Some(Arc::clone(group));
        }
        constraints
    }

    /// Makes a vertex, which also takes over the mistakes recorded in the states it is made from.
    fn vertex<'s>(
        op: Op,
        inputs: impl Into<Inputs>,
        constraints: Constraints,
        location: &'static Location<'static>,
        mut problems: Vec<Problem>,
        parents: impl IntoIterator<Item = &'s Self>,
    ) -> Vertex {
        let mut frame: Option<&Arc<Frame>> = None;
        let own = problems.len();
        for parent in parents {
            frame = frame.or(parent.context.frame.as_ref());
            if let Some(inherited) = &parent.problems {
                problems.extend_from_slice(inherited);
            }
        }
        let frame = frame.cloned();
        for problem in &mut problems[..own] {
            problem.set_frame(frame.as_ref());
        }
        let inputs = inputs.into();
        debug_assert!(
            inputs.iter().all(|input| !input.vertex.is_deferred()),
            "an op is made of resolved states"
        );
        Vertex::new(VertexData {
            op,
            inputs,
            constraints,
            location,
            frame,
            problems: Problems::from(problems),
            cache: VertexCache::default(),
        })
    }
}

impl From<&State> for State {
    fn from(state: &State) -> Self {
        state.clone()
    }
}
