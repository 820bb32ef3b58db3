//! The immutable, shared vertex of a graph.

use std::ops::Deref;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::constraints::Constraints;
use crate::definition::VertexCache;
use crate::error::Problem;
use crate::op::Op;
use crate::sourcemap::Frame;
use crate::value::platform::Platform;

/// Most ops have few inputs.
pub(crate) type Inputs = SmallVec<[Output; 2]>;

/// An op with its inputs. Cloning shares it.
#[derive(Clone, Debug)]
pub(crate) struct Vertex(Arc<VertexData>);

/// One of the results of a vertex.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub(crate) vertex: Vertex,
    pub(crate) index: u32,
}

#[derive(Debug)]
pub(crate) struct VertexData {
    pub(crate) op: Op,
    /// What the op reads; ops refer to these by position. An op may list the same output several times.
    pub(crate) inputs: Inputs,
    pub(crate) constraints: Constraints,
    /// The line of the program that made the op.
    pub(crate) location: &'static Location<'static>,
    /// The layers that the op was made in.
    pub(crate) frame: Option<Arc<Frame>>,
    pub(crate) problems: Problems,
    pub(crate) cache: VertexCache,
}

/// Mistakes that are reported with a vertex. Most have none, which takes little room.
#[derive(Debug, Default)]
pub(crate) struct Problems(Option<Arc<Vec<Problem>>>);

impl From<Vec<Problem>> for Problems {
    fn from(problems: Vec<Problem>) -> Self {
        Self((!problems.is_empty()).then(|| Arc::new(problems)))
    }
}

impl Deref for Problems {
    type Target = [Problem];

    fn deref(&self) -> &[Problem] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl Vertex {
    pub(crate) fn new(data: VertexData) -> Self {
        Self(Arc::new(data))
    }

    pub(crate) fn data(&self) -> &VertexData {
        &self.0
    }

    /// An address that is the same for all clones, and for no other vertex alive.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether anything else may have a clone of it. What has is not told from what is about to let go.
    pub(crate) fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    /// Whether it has no op yet.
    pub(crate) fn is_deferred(&self) -> bool {
        matches!(self.0.op, Op::Deferred(_))
    }

    /// An output, for who needs the vertex no more.
    pub(crate) fn into_output(self, index: u32) -> Output {
        Output {
            vertex: self,
            index,
        }
    }

    pub(crate) fn output(&self, index: u32) -> Output {
        Output {
            vertex: self.clone(),
            index,
        }
    }
}

impl VertexData {
    /// Which of the inputs is visited at a step, so that ops come in the order of the Go client; none after the last.
    pub(crate) fn visit(&self, step: usize) -> Option<usize> {
        match &self.op {
            Op::File(file) => file.visits.get(step).map(|&input| input as usize),
            _ => (step < self.inputs.len()).then_some(step),
        }
    }
}

impl Output {
    /// The platform that a state takes over together with this output.
    pub(crate) fn platform(&self) -> Option<&Platform> {
        let data = self.vertex.data();
        match &data.op {
            Op::Source(_) | Op::Exec(_) => data.constraints.options().platform.as_ref(),
            Op::Embedded(embedded) => embedded.platform.as_ref(),
            Op::File(_)
            | Op::Merge(_)
            | Op::Diff(_)
            | Op::Build(_)
            | Op::Passthrough(_)
            | Op::Deferred(_) => None,
        }
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.vertex.id() == other.vertex.id() && self.index == other.index
    }
}

impl Drop for VertexData {
    /// Takes the graph apart with a list instead of the call stack: chains may be a million ops long.
    fn drop(&mut self) {
        let mut orphans = std::mem::take(&mut self.inputs);
        if let Op::Deferred(step) = &mut self.op {
            step.leave_parents(&mut orphans);
        }
        while let Some(output) = orphans.pop() {
            if let Some(mut data) = Arc::into_inner(output.vertex.0) {
                orphans.extend(data.inputs.drain(..));
                if let Op::Deferred(step) = &mut data.op {
                    step.leave_parents(&mut orphans);
                }
            }
        }
    }
}
