//! Sources that have no builder of their own.

use std::borrow::Cow;
use std::panic::Location;

use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::op::SourceOp;
use crate::state::State;

/// Any source, by its identifier and attributes as the wire has them.
///
/// ```
/// use llb::Source;
///
/// let source = Source::new("custom://thing").attr("key", "value");
/// assert_eq!(source.state().to_text(), r#"
/// %thing = source "custom://thing" "key"="value"
/// return %thing
/// "#.trim_start());
/// ```
///
/// The daemon is asked for no capability. A source whose identifier begins with `local://` gets its unique id all the
/// same, and one that begins with `docker-image://` or `oci-layout://` its platform.
#[derive(Clone, Debug)]
pub struct Source {
    identifier: String,
    attrs: Vec<(String, String)>,
    constraints: Constraints,
    location: &'static Location<'static>,
}

impl Source {
    /// A source by its identifier, such as `scheme://name`.
    #[track_caller]
    pub fn new(identifier: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            attrs: Vec::new(),
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// An attribute; a later one with the same name replaces it.
    #[must_use = "this returns the changed source"]
    pub fn attr(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attrs.push((name.into(), value.into()));
        self
    }

    /// The source's file system.
    pub fn state(self) -> State {
        let mut problems = Vec::new();
        if self.identifier.is_empty() {
            let message = "source identifier can't be empty: expected `scheme://name`";
            problems.push(Problem::at(ErrorKind::Source, message, self.location));
        }
        let mut op = SourceOp::new(self.identifier);
        op.attrs = self
            .attrs
            .into_iter()
            .map(|(name, value)| (Cow::Owned(name), value))
            .collect();
        source_state(op, self.constraints, problems, self.location)
    }
}

source_builder!(Source);
