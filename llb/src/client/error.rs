//! What can go wrong between a program and a daemon.
//!
//! One opaque error, cheap to clone. [`Error::kind`] says what to do about it in code; the text is
//! written for people and ends, where there is one, with a `hint:`. A failed build carries the
//! step that failed ([`Error::step`]) and the places in the author's files that BuildKit named
//! ([`Error::sources`]).

use std::fmt;
use std::sync::Arc;

use super::excerpt::SourceExcerpt;
use super::failure::FailedStep;
use crate::session::Problem;

/// An error of the client.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    hint: Option<String>,
    step: Option<FailedStep>,
    sources: Vec<SourceExcerpt>,
    stack: Vec<String>,
    attempts: Vec<Attempt>,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A place where a daemon was looked for, and why there was none.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// What named the place: `DOCKER_HOST=tcp://builder:2376`.
    pub origin: String,
    /// Why no daemon was reached there.
    pub error: Error,
}

/// What kind of error it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An address cannot be read or names a transport that is not supported.
    Address,
    /// No daemon answers at an address, or none was found.
    Unreachable,
    /// The connection was lost after it had been made.
    ConnectionLost,
    /// The request contradicts itself or lacks something; nothing was sent.
    Request,
    /// A local file or directory cannot be sent.
    LocalFile,
    /// An export cannot be written.
    Export,
    /// A secret or a credential cannot be read.
    Secret,
    /// The daemon does not know the call or the feature.
    Unsupported,
    /// The build was canceled.
    Canceled,
    /// The daemon reports that the build failed.
    Build,
    /// The daemon answered something unexpected.
    Protocol,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            hint: None,
            step: None,
            sources: Vec::new(),
            stack: Vec::new(),
            attempts: Vec::new(),
            cause: None,
        }))
    }

    fn edit(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        self.edit(|inner| inner.hint = Some(hint.into()))
    }

    pub(crate) fn caused_by(self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.edit(|inner| inner.cause = Some(Box::new(cause)))
    }

    #[cfg(feature = "gateway")]
    pub(crate) fn with_cause(self, cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        self.edit(|inner| inner.cause = Some(cause))
    }

    pub(crate) fn with_step(self, step: Option<FailedStep>) -> Self {
        self.edit(|inner| inner.step = step)
    }

    pub(crate) fn with_sources(self, sources: Vec<SourceExcerpt>) -> Self {
        self.edit(|inner| inner.sources = sources)
    }

    pub(crate) fn with_attempts(self, attempts: Vec<Attempt>) -> Self {
        self.edit(|inner| inner.attempts = attempts)
    }

    pub(crate) fn with_stack(self, stack: Vec<String>) -> Self {
        self.edit(|inner| inner.stack = stack)
    }

    /// What went wrong, without its place, the step's output and the hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the build itself failed, as opposed to everything around it.
    pub fn is_build(&self) -> bool {
        self.kind() == ErrorKind::Build
    }

    /// Whether no daemon could be reached, or its connection was lost.
    pub fn is_connection(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Unreachable | ErrorKind::ConnectionLost
        )
    }

    /// Where a daemon was looked for, and why there was none; empty if the error is another.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// The step of the build that failed, if the daemon named one.
    pub fn step(&self) -> Option<&FailedStep> {
        self.0.step.as_ref()
    }

    /// The places in the author's files that the failed step comes from.
    pub fn sources(&self) -> &[SourceExcerpt] {
        &self.0.sources
    }

    /// The daemon's own call stack, innermost first, as `function file:line`. For bug reports.
    pub fn daemon_stack(&self) -> &[String] {
        &self.0.stack
    }

    /// The next step for the reader, without the word `hint`.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.message)?;
        let sources = self.0.sources.iter().map(SourceExcerpt::to_text);
        let step = self.0.step.iter().map(FailedStep::to_text);
        for part in sources.chain(step).filter(|part| !part.is_empty()) {
            write!(formatter, "\n{}", part.trim_end_matches('\n'))?;
        }
        if let Some(hint) = &self.0.hint {
            write!(formatter, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("step", &self.0.step)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::LocalFile(message) => Self::new(ErrorKind::LocalFile, message),
            Problem::Export(message) => Self::new(ErrorKind::Export, message),
            Problem::Secret(message) => Self::new(ErrorKind::Secret, message),
        }
    }
}
