//! The layers that an output is made of, as BuildKit stacks them.
//!
//! A step adds one layer to the state it was made on. A merge is the layers of its inputs, one after the other. A
//! difference to an ancestor is the layers in between, and any other difference one layer of its own (BuildKit
//! `cache/manager.go`, August 2026). So two outputs with the same layers have the same files, whichever ops say so.
//!
//! **Invariant.** Equal stacks are one stack: stacks are compared by number.

use std::collections::BTreeMap;

use super::view::Graph;
use crate::proto::pb;

/// An output: the position of an op and the number of its output.
pub(super) type Edge = (usize, i64);

/// One layer; the side that is not there is scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layer {
    /// What an exec or a file op changed.
    Step { lower: Option<Edge>, upper: Edge },
    /// A source, or anything else that comes as a whole. It may have several layers inside.
    Whole(Edge),
    /// The difference between states of which neither goes on from the other.
    Net {
        lower: Option<Edge>,
        upper: Option<Edge>,
    },
}

/// A stack of layers; none is scratch.
pub(super) type Stack = Option<usize>;

struct Node {
    below: Stack,
    layer: Layer,
    height: usize,
}

/// So many layers may be laid over others: far more than any engine can stack, and few enough to think about.
const MOST: usize = 1 << 17;

/// All stacks of a graph.
#[derive(Default)]
pub(super) struct Layers {
    nodes: Vec<Node>,
    known: BTreeMap<(Stack, Layer), usize>,
    outputs: BTreeMap<Edge, Stack>,
    /// How often a layer was laid over others by a merge.
    laid: usize,
}

/// The layers are too many to be counted.
#[derive(Debug)]
pub(super) struct TooMany;

impl Layers {
    /// The stack of an output. Those of all that its op reads must have been asked for before.
    pub(super) fn of(&mut self, graph: &Graph<'_>, edge: Edge) -> Result<Stack, TooMany> {
        if let Some(stack) = self.outputs.get(&edge) {
            return Ok(*stack);
        }
        let stack = self.find(graph, edge)?;
        self.outputs.insert(edge, stack);
        Ok(stack)
    }

    /// The stack of an output that was asked for before.
    pub(super) fn known(&self, edge: Edge) -> Stack {
        self.outputs.get(&edge).copied().flatten()
    }

    fn find(&mut self, graph: &Graph<'_>, edge: Edge) -> Result<Stack, TooMany> {
        let message = &graph.ops[edge.0].message;
        let input = |number: i64| input(graph, edge.0, number);
        let step = match &message.op {
            Some(pb::op::Op::Exec(exec)) => {
                let mut mounts = exec.mounts.iter();
                let mount = mounts.find(|mount| mount.output == edge.1);
                mount.map(|mount| (input(mount.input), mount.readonly))
            }
            Some(pb::op::Op::File(_)) => base_of(graph, edge).map(|base| (base, false)),
            Some(pb::op::Op::Merge(merge)) => {
                let mut stack = None;
                for layer in &merge.inputs {
                    let Some(input) = input(layer.input) else {
                        continue;
                    };
                    let added = self.of(graph, input)?;
                    stack = self.lay(stack, None, added)?;
                }
                return Ok(stack);
            }
            Some(pb::op::Op::Diff(diff)) => {
                let lower = diff.lower.and_then(|lower| input(lower.input));
                let upper = diff.upper.and_then(|upper| input(upper.input));
                return self.difference(graph, lower, upper);
            }
            Some(pb::op::Op::Passthrough(passthrough)) => {
                let output = usize::try_from(edge.1).ok();
                let output = output.and_then(|output| passthrough.outputs.get(output));
                match output.and_then(|output| input(*output)) {
                    Some(read) => return self.of(graph, read),
                    None => None,
                }
            }
            _ => None,
        };
        match step {
            Some((Some(lower), true)) => self.of(graph, lower),
            Some((lower, _)) => {
                let below = match lower {
                    Some(lower) => self.of(graph, lower)?,
                    None => None,
                };
                Ok(Some(self.push(below, Layer::Step { lower, upper: edge })))
            }
            None => Ok(Some(self.push(None, Layer::Whole(edge)))),
        }
    }

    fn difference(
        &mut self,
        graph: &Graph<'_>,
        lower: Option<Edge>,
        upper: Option<Edge>,
    ) -> Result<Stack, TooMany> {
        let mut side = |side: Option<Edge>| match side {
            Some(edge) => self.of(graph, edge),
            None => Ok(None),
        };
        let (below, above) = (side(lower)?, side(upper)?);
        if below == above {
            return Ok(None);
        }
        if self.is_under(below, above) {
            return self.lay(None, below, above);
        }
        Ok(Some(self.push(None, Layer::Net { lower, upper })))
    }

    /// Lays the layers of `added` that are over `under` on a stack.
    fn lay(&mut self, stack: Stack, under: Stack, added: Stack) -> Result<Stack, TooMany> {
        if stack.is_none() && under.is_none() {
            return Ok(added);
        }
        let count = self.height(added) - self.height(under);
        self.laid += count;
        if self.laid > MOST {
            return Err(TooMany);
        }
        let layers = self.over(under, added);
        let mut stack = stack;
        for layer in layers {
            stack = Some(self.push(stack, layer));
        }
        Ok(stack)
    }

    fn push(&mut self, below: Stack, layer: Layer) -> usize {
        if let Some(known) = self.known.get(&(below, layer)) {
            return *known;
        }
        let height = self.height(below) + 1;
        self.nodes.push(Node {
            below,
            layer,
            height,
        });
        let number = self.nodes.len() - 1;
        self.known.insert((below, layer), number);
        number
    }

    /// The number of layers.
    pub(super) fn height(&self, stack: Stack) -> usize {
        stack.map_or(0, |number| self.nodes[number].height)
    }

    /// The stack without its topmost layer, and that layer.
    pub(super) fn top(&self, stack: Stack) -> Option<(Stack, Layer)> {
        let node = &self.nodes[stack?];
        Some((node.below, node.layer))
    }

    /// The lowest layers of a stack, so many of them.
    pub(super) fn cut(&self, stack: Stack, height: usize) -> Stack {
        let mut stack = stack;
        while self.height(stack) > height {
            stack = self.top(stack).and_then(|(below, _)| below);
        }
        stack
    }

    /// Whether a stack begins with all layers of another.
    pub(super) fn is_under(&self, under: Stack, stack: Stack) -> bool {
        self.cut(stack, self.height(under)) == under
    }

    /// The layers of a stack that are over another one that it begins with, from the lowest.
    pub(super) fn over(&self, under: Stack, stack: Stack) -> Vec<Layer> {
        let mut layers = Vec::new();
        let mut current = stack;
        while current != under
            && let Some((below, layer)) = self.top(current)
        {
            layers.push(layer);
            current = below;
        }
        layers.reverse();
        layers
    }

    /// What two stacks begin with.
    pub(super) fn common(&self, one: Stack, other: Stack) -> Stack {
        let height = self.height(one).min(self.height(other));
        let (mut one, mut other) = (self.cut(one, height), self.cut(other, height));
        while one != other {
            one = self.top(one).and_then(|(below, _)| below);
            other = self.top(other).and_then(|(below, _)| below);
        }
        one
    }
}

/// What an input of an op reads; none is scratch.
pub(super) fn input(graph: &Graph<'_>, position: usize, number: i64) -> Option<Edge> {
    let message = &graph.ops[position].message;
    let input = message.inputs.get(usize::try_from(number).ok()?)?;
    Some((graph.position_of(input)?, input.index))
}

/// The state that an output of a file op was made on; none if there is no such output.
#[expect(
    clippy::option_option,
    reason = "a step on scratch is not the same as no step"
)]
fn base_of(graph: &Graph<'_>, edge: Edge) -> Option<Option<Edge>> {
    let message = &graph.ops[edge.0].message;
    let Some(pb::op::Op::File(file)) = &message.op else {
        return None;
    };
    let last = actions(message, file, edge.1).last()?;
    Some(input(graph, edge.0, file.actions[last].input))
}

/// The actions whose result is an output of a file op, from the last to the first.
pub(super) fn actions<'f>(
    message: &'f pb::Op,
    file: &'f pb::FileOp,
    output: i64,
) -> impl Iterator<Item = usize> + 'f {
    let mut next = file
        .actions
        .iter()
        .position(|action| action.output == output);
    // An action that reads itself, or a later one, is in no graph that BuildKit takes.
    std::iter::from_fn(move || {
        let number = next?;
        let input = usize::try_from(file.actions.get(number)?.input).ok();
        let earlier = input.and_then(|input| input.checked_sub(message.inputs.len()));
        next = earlier.filter(|earlier| *earlier < number);
        Some(number)
    })
}
