//! The call stack of layers that an op is made in.

use std::panic::Location;
use std::sync::Arc;

use crate::metadata::ProgressGroup;

/// A layer that is being put on a state, and the layers around it.
///
/// States carry it while the function of the layer runs; it enters no op.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The layer's name, if it has one.
    pub(crate) name: Option<Arc<str>>,
    /// The progress group of ops in the layer: its own, or that of the nearest layer around it with a name.
    pub(crate) group: Option<Arc<ProgressGroup>>,
    /// The line that put the layer on a state, or that called the function that makes it.
    pub(crate) location: &'static Location<'static>,
    pub(crate) outer: Option<Arc<Frame>>,
}

impl Frame {
    /// A frame inside `outer`, with a progress group of its own if it has a name.
    pub(crate) fn new(
        name: Option<Arc<str>>,
        location: &'static Location<'static>,
        outer: Option<Arc<Self>>,
    ) -> Arc<Self> {
        let group = match &name {
            Some(name) => Some(Arc::new(ProgressGroup {
                id: name.to_string(),
                name: name.to_string(),
                weak: false,
            })),
            None => outer.as_ref().and_then(|outer| outer.group.clone()),
        };
        Arc::new(Self {
            name,
            group,
            location,
            outer,
        })
    }

    /// This frame and those around it, innermost first. Of two on one line, one without a name is left out:
    /// `state.layer(apt(..))` puts a layer on a state and makes it.
    pub(crate) fn stack(&self) -> Vec<&Self> {
        let mut stack: Vec<&Self> = Vec::new();
        let mut next = Some(self);
        while let Some(frame) = next {
            next = frame.outer.as_deref();
            let inner = stack.last_mut();
            match inner.filter(|inner| is_same_line(inner.location, frame.location)) {
                Some(inner) if inner.name.is_none() => *inner = frame,
                Some(_) if frame.name.is_none() => {}
                _ => stack.push(frame),
            }
        }
        stack
    }
}

pub(crate) fn is_same_line(left: &Location<'_>, right: &Location<'_>) -> bool {
    left.line() == right.line() && left.file() == right.file()
}
