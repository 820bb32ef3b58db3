//! A definition for reading: its ops with their names, found by digest.
//!
//! Ops of a large definition are decoded when they are looked at, one after the other: all of them at once would take
//! many times the room of the definition.

use std::borrow::Cow;

use prost::Message as _;

use super::name::Names;
use crate::definition::{Definition, DefinitionOp, OpDigest, Positions, inputs};
use crate::proto::pb;

/// So many platforms are counted.
const MOST_PLATFORMS: usize = 16;

/// The ops of a definition with up to so many bytes are kept decoded.
const MOST_KEPT: usize = 1 << 20;

/// The ops of a definition but the last, which only names the result.
pub(crate) struct Graph<'d> {
    pub(crate) ops: Vec<GraphOp<'d>>,
    /// The op that names the result; none for scratch.
    pub(crate) last: Option<&'d DefinitionOp>,
    /// The result: a position in `ops` and an output of it.
    pub(crate) head: Option<(usize, u32)>,
    /// The platforms that ops have, in the order in which they come up, and how many ops have each. A graph has few
    /// platforms; one with many is better read than counted.
    pub(crate) platforms: Vec<(pb::Platform, usize)>,
    positions: Positions,
}

/// One op.
pub(crate) struct GraphOp<'d> {
    pub(crate) definition_op: &'d DefinitionOp,
    /// Unique in the graph.
    pub(crate) name: String,
    kept: Option<Box<pb::Op>>,
}

impl<'d> Graph<'d> {
    pub(crate) fn new(definition: &'d Definition) -> Self {
        let (last, body) = match definition.ops().split_last() {
            Some((last, body)) => (Some(last), body),
            None => (None, &[][..]),
        };
        let mut graph = Self {
            ops: Vec::with_capacity(body.len()),
            last,
            head: None,
            platforms: Vec::new(),
            positions: Positions::new(body.iter().map(DefinitionOp::digest)),
        };
        let digest_at = |position: usize| body[position].digest();
        let size: usize = body.iter().map(|op| op.bytes().len()).sum();
        let mut names = Names::default();
        for definition_op in body {
            let message = decode(definition_op);
            let name = names.name(definition_op, &message, |input| {
                let input = message.inputs.get(usize::try_from(input).ok()?)?;
                let digest = OpDigest::parse(&input.digest)?;
                let position = graph.positions.find(digest, digest_at)?;
                graph.ops.get(position).map(|op| &*op.name)
            });
            graph.count(message.platform.as_ref());
            graph.ops.push(GraphOp {
                definition_op,
                name,
                kept: (size <= MOST_KEPT).then(|| Box::new(message)),
            });
        }
        graph.head = definition
            .head()
            .and_then(|head| Some((graph.position(head)?, definition.head_index())));
        graph
    }

    fn count(&mut self, platform: Option<&pb::Platform>) {
        let Some(platform) = platform else { return };
        let mut known = self.platforms.iter_mut();
        if let Some((_, count)) = known.find(|(known, _)| known == platform) {
            *count += 1;
        } else if self.platforms.len() < MOST_PLATFORMS {
            self.platforms.push((platform.clone(), 1));
        }
    }

    /// Where the op of that digest stands.
    pub(crate) fn position(&self, digest: OpDigest) -> Option<usize> {
        let digest_at = |position: usize| self.ops[position].definition_op.digest();
        self.positions.find(digest, digest_at)
    }

    /// Where the op that an input reads stands.
    pub(crate) fn position_of(&self, input: &pb::Input) -> Option<usize> {
        self.position(OpDigest::parse(&input.digest)?)
    }

    /// What an op reads: positions of other ops and outputs of them.
    pub(crate) fn reads(&self, op: usize) -> impl Iterator<Item = (usize, i64)> {
        inputs(self.ops[op].definition_op.bytes()).filter_map(|input| {
            let digest = OpDigest::parse(input.digest)?;
            Some((self.position(digest)?, input.index))
        })
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

impl GraphOp<'_> {
    /// What the op says.
    pub(crate) fn message(&self) -> Cow<'_, pb::Op> {
        match &self.kept {
            Some(message) => Cow::Borrowed(message),
            None => Cow::Owned(decode(self.definition_op)),
        }
    }
}

fn decode(op: &DefinitionOp) -> pb::Op {
    // A definition holds no bytes that are no op: reading one refuses them.
    pb::Op::decode(op.bytes()).unwrap_or_default()
}
