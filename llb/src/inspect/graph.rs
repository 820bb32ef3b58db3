//! A definition decoded for reading: its ops with their names, found by digest.

use prost::Message as _;

use super::name::Names;
use crate::definition::{Definition, DefinitionOp, OpDigest};
use crate::proto::pb;

/// The ops of a definition but the last, which only names the result.
pub(crate) struct Graph<'d> {
    pub(crate) ops: Vec<GraphOp<'d>>,
    /// The op that names the result; none for scratch.
    pub(crate) last: Option<&'d DefinitionOp>,
    /// The result: a position in `ops` and an output of it.
    pub(crate) head: Option<(usize, u32)>,
    /// Digests with the position of their op, sorted.
    positions: Vec<(OpDigest, usize)>,
}

/// One op.
pub(crate) struct GraphOp<'d> {
    pub(crate) definition_op: &'d DefinitionOp,
    pub(crate) message: pb::Op,
    /// Unique in the graph.
    pub(crate) name: String,
}

impl<'d> Graph<'d> {
    pub(crate) fn new(definition: &'d Definition) -> Self {
        let (last, body) = match definition.ops().split_last() {
            Some((last, body)) => (Some(last), body),
            None => (None, &[][..]),
        };
        let mut positions: Vec<_> = (0..)
            .zip(body)
            .map(|(position, op)| (op.digest(), position))
            .collect();
        positions.sort_unstable();
        let mut names = Names::default();
        let mut ops: Vec<GraphOp<'d>> = Vec::with_capacity(body.len());
        for definition_op in body {
            // A definition holds no bytes that are no op: reading one refuses them.
            let message = pb::Op::decode(definition_op.bytes()).unwrap_or_default();
            let name = names.name(definition_op, &message, |input| {
                let input = message.inputs.get(usize::try_from(input).ok()?)?;
                let position = find(&positions, OpDigest::parse(&input.digest)?)?;
                ops.get(position).map(|op| &*op.name)
            });
            ops.push(GraphOp {
                definition_op,
                message,
                name,
            });
        }
        let mut graph = Self {
            ops,
            last,
            head: None,
            positions,
        };
        graph.head = definition
            .head()
            .and_then(|head| Some((graph.position(head)?, definition.head_index())));
        graph
    }

    /// Where the op of that digest stands.
    pub(crate) fn position(&self, digest: OpDigest) -> Option<usize> {
        find(&self.positions, digest)
    }

    /// Where the op that an input reads stands.
    pub(crate) fn position_of(&self, input: &pb::Input) -> Option<usize> {
        self.position(OpDigest::parse(&input.digest)?)
    }

    /// An output of an op by name: `%name`, or `%name.out1` for another output than the first.
    pub(crate) fn output(&self, position: usize, index: i64) -> String {
        let name = &self.ops[position].name;
        if index == 0 {
            format!("%{name}")
        } else {
            format!("%{name}.out{index}")
        }
    }
}

fn find(positions: &[(OpDigest, usize)], digest: OpDigest) -> Option<usize> {
    let found = positions.binary_search_by_key(&digest, |(digest, _)| *digest);
    found.ok().map(|found| positions[found].1)
}
