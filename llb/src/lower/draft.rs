//! The graph that is being made: ops in the order in which they were added, found by digest.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;

use crate::definition::{Definition, DefinitionOp, Locations, OpDigest};
use crate::inspect::canonical;
use crate::metadata::OpMetadata;
use crate::proto::pb;

/// An output of an op of the draft; none is scratch.
pub(super) type Output = Option<(usize, i64)>;

#[derive(Default)]
pub(super) struct Draft {
    ops: Vec<DraftOp>,
    /// Only looked up.
    known: BTreeMap<OpDigest, usize>,
}

struct DraftOp {
    op: DefinitionOp,
    reads: Vec<usize>,
}

/// What is beside an op's bytes.
#[derive(Clone, Default)]
pub(super) struct Beside {
    pub(super) metadata: OpMetadata,
    pub(super) locations: Locations,
}

impl Beside {
    pub(super) fn of(op: &DefinitionOp) -> Self {
        Self {
            metadata: op.metadata().clone(),
            locations: op
                .locations()
                .map(|(info, ranges)| (info, ranges.to_vec()))
                .collect(),
        }
    }
}

impl Draft {
    /// The digest of an op.
    pub(super) fn digest(&self, position: usize) -> OpDigest {
        self.ops[position].op.digest()
    }

    /// How an op reads an output.
    pub(super) fn input(&self, (position, index): (usize, i64)) -> pb::Input {
        pb::Input {
            digest: self.digest(position).to_string(),
            index,
        }
    }

    /// Adds an op as it is in another definition; all that it reads has been added before.
    pub(super) fn keep(&mut self, op: &DefinitionOp, message: &pb::Op) -> usize {
        let known = self.known.get(&op.digest());
        if let Some(known) = known {
            return *known;
        }
        self.push(op.clone(), message)
    }

    /// Adds a new op.
    pub(super) fn add(&mut self, message: &pb::Op, beside: Beside) -> usize {
        let bytes = Bytes::from(canonical::encode(message));
        let digest = OpDigest::of(&bytes);
        if let Some(known) = self.known.get(&digest) {
            return *known;
        }
        let op = DefinitionOp::alone(digest, bytes, beside.metadata, beside.locations);
        self.push(op, message)
    }

    /// Adds all ops of a definition without locations; gives its result.
    pub(super) fn add_all(&mut self, definition: &Definition) -> Output {
        let body = definition
            .ops()
            .split_last()
            .map_or(&[][..], |(_, body)| body);
        for op in body {
            let message = pb::Op::decode(op.shared_bytes()).unwrap_or_default();
            self.keep(op, &message);
        }
        let head = definition.head()?;
        Some((*self.known.get(&head)?, definition.head_index().into()))
    }

    fn push(&mut self, op: DefinitionOp, message: &pb::Op) -> usize {
        let position = self.ops.len();
        let reads = message.inputs.iter().filter_map(|input| {
            let digest = OpDigest::parse(&input.digest)?;
            self.known.get(&digest).copied()
        });
        let reads = reads.collect();
        self.known.insert(op.digest(), position);
        self.ops.push(DraftOp { op, reads });
        position
    }

    /// The positions of all ops that an output needs, each after everything it reads.
    pub(super) fn needed(&self, head: Output) -> Vec<usize> {
        let mut order = Vec::new();
        let mut seen = vec![false; self.ops.len()];
        let mut stack: Vec<(usize, usize)> = head.iter().map(|head| (head.0, 0)).collect();
        while let Some((position, next)) = stack.last_mut() {
            let position = *position;
            if *next == 0 && seen[position] {
                stack.pop();
                continue;
            }
            seen[position] = true;
            let read = self.ops[position].reads.get(*next).copied();
            *next += 1;
            match read {
                Some(read) if !seen[read] => stack.push((read, 0)),
                Some(_) => {}
                None => {
                    order.push(position);
                    stack.pop();
                }
            }
        }
        order
    }

    /// The definition whose result is an output.
    pub(super) fn finish(&self, head: Output, original: &Definition) -> Definition {
        let Some(output) = head else {
            return Definition::default();
        };
        let mut ops: Vec<DefinitionOp> = self
            .needed(head)
            .into_iter()
            .map(|position| self.ops[position].op.clone())
            .collect();
        let last = pb::Op {
            inputs: vec![self.input(output)],
            ..pb::Op::default()
        };
        let bytes = Bytes::from(canonical::encode(&last));
        let beside = original.ops().last().map(Beside::of).unwrap_or_default();
        let digest = OpDigest::of(&bytes);
        let last = DefinitionOp::alone(digest, bytes, beside.metadata, beside.locations);
        ops.push(last);
        Definition {
            ops: Arc::new(ops.into()),
            infos: Arc::clone(&original.infos),
            lacks_metadata: original.lacks_metadata,
            head: Some((
                self.digest(output.0),
                u32::try_from(output.1).unwrap_or_default(),
            )),
        }
    }
}
