//! What is wrong with a graph, all of it at once.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

use crate::sourcemap::{Frame, is_same_line};

/// One or more mistakes found while a graph was built or marshalled.
///
/// Building a graph never stops at a mistake: each one is recorded with the line of the caller that made it, and
/// [`State::marshal`](crate::State::marshal) reports them together. The error is cheap to clone.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("Debian").run(args::<&str>([])).mkdir("/a", 0o755);
/// let error = state.marshal(&MarshalOptions::linux_amd64()).unwrap_err();
/// assert_eq!(error.problems().len(), 2);
/// assert!(error.problems()[0].to_string().contains("must be lowercase"));
/// assert!(error.problems()[1].to_string().contains("arguments are required"));
/// ```
#[derive(Clone)]
pub struct Error {
    problems: Arc<[Problem]>,
}

/// One mistake, with the place that made it.
#[derive(Clone, PartialEq, Eq)]
pub struct Problem {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    location: Option<&'static Location<'static>>,
    frame: Option<Arc<Frame>>,
}

/// What a [`Problem`] is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A source that cannot be one: a bad image reference, an empty identifier.
    Source,
    /// An exec without arguments or working directory, a mount that cannot be what it says.
    Exec,
    /// A file action that cannot be carried out.
    File,
    /// A merge, diff or passthrough with too few or contradicting inputs.
    Merge,
    /// An image config that cannot be read, or forks that changed the same value differently.
    ImageConfig,
    /// A layer or a deferred state whose function returned an error.
    Layer,
    /// A definition that cannot be decoded.
    Definition,
    /// A part of a graph that an engine cannot run and that nothing can replace.
    Lowering,
    /// A mistake in the text form of a graph.
    Text,
}

impl Error {
    pub(crate) fn new(mut problems: Vec<Problem>) -> Self {
        debug_assert!(!problems.is_empty(), "an error has at least one problem");
        // A mistake of a state is recorded by everything that is made of the state.
        let mut known = BTreeSet::new();
        problems.retain(|problem| {
            let place = problem
                .location
                .map(|location| (location.file(), location.line(), location.column()));
            known.insert((place, problem.message.clone()))
        });
        Self {
            problems: problems.into(),
        }
    }

    /// Every mistake, in the order of the graph.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl Problem {
    pub(crate) fn at(
        kind: ErrorKind,
        message: impl Into<String>,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            location: Some(location),
            frame: None,
        }
    }

    pub(crate) fn without_location(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            hint: None,
            location: None,
            frame: None,
        }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says in which layers the mistake was made, unless that is known.
    pub(crate) fn set_frame(&mut self, frame: Option<&Arc<Frame>>) {
        if self.frame.is_none() && self.location.is_some() {
            self.frame = frame.cloned();
        }
    }

    /// What the mistake is about.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was found and what was expected, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The nearest fix, if one is known.
    pub fn help(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The line of the program that made the mistake, if it was made by a program.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        self.location
    }

    /// The layers that the mistake was made in, innermost first: the name, for layers that have one, and the line that
    /// put the layer on a state.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// #[layer]
    /// fn tools(base: State) -> State {
    ///     base.run(args::<&str>([]))
    /// }
    /// let error = image("debian").layer(tools()).marshal(&MarshalOptions::linux_amd64()).unwrap_err();
    /// let (name, location) = error.problems()[0].layers().next().unwrap();
    /// assert_eq!(name, Some("tools"));
    /// assert!(location.line() > error.problems()[0].location().unwrap().line());
    /// ```
    pub fn layers(&self) -> impl Iterator<Item = (Option<&str>, &'static Location<'static>)> {
        let stack = self.frame.as_deref().map(Frame::stack).unwrap_or_default();
        let is_apart = |frame: &&Frame| {
            frame.name.is_some()
                || self
                    .location
                    .is_none_or(|location| !is_same_line(location, frame.location))
        };
        let stack = stack.into_iter().filter(is_apart);
        stack.map(|frame| (frame.name.as_deref(), frame.location))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(location) = self.location {
            write!(
                formatter,
                " (at {}:{}:{})",
                location.file(),
                location.line(),
                location.column()
            )?;
        }
        for (name, location) in self.layers() {
            let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
            write!(formatter, "\n  in the layer{name} at {location}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.problems {
            [problem] => fmt::Display::fmt(problem, formatter),
            problems => {
                write!(formatter, "{} problems in the graph:", problems.len())?;
                for problem in problems {
                    write!(formatter, "\n- {problem}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl std::error::Error for Error {}
