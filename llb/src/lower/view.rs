//! A definition with all its ops decoded: a lowering looks at every op several times.

use prost::Message as _;

use crate::definition::{Definition, DefinitionOp};
use crate::inspect::graph::Graph as Named;
use crate::proto::pb;

/// The ops of a definition but the last, which only names the result.
pub(super) struct Graph<'d> {
    named: Named<'d>,
    pub(super) ops: Vec<GraphOp<'d>>,
}

/// One op.
pub(super) struct GraphOp<'d> {
    pub(super) definition_op: &'d DefinitionOp,
    pub(super) name: String,
    pub(super) message: pb::Op,
}

impl<'d> Graph<'d> {
    pub(super) fn new(definition: &'d Definition) -> Self {
        let named = Named::new(definition);
        let ops = named.ops.iter().map(|op| GraphOp {
            definition_op: op.definition_op,
            name: op.name.clone(),
            // A definition holds no bytes that are no op: reading one refuses them.
            message: pb::Op::decode(op.definition_op.shared_bytes()).unwrap_or_default(),
        });
        let ops = ops.collect();
        Self { named, ops }
    }

    /// The result: a position in `ops` and an output of it.
    pub(super) fn head(&self) -> Option<(usize, i64)> {
        self.named.head.map(|(head, index)| (head, index.into()))
    }

    /// Where the op that an input reads stands.
    pub(super) fn position_of(&self, input: &pb::Input) -> Option<usize> {
        self.named.position_of(input)
    }

    /// An output of an op by name: `%name`, or `%name.out1` for another output than the first.
    pub(super) fn output(&self, position: usize, index: i64) -> String {
        self.named.output(position, index)
    }
}
