//! Runs the steps of later inputs again on top of earlier ones.

use super::draft::{Beside, Output};
use super::layers::{self, Layer};
use super::walk::{Group, Walk};
use crate::proto::pb;

/// Makes all layers again, each on the one before.
///
/// # Errors
///
/// What cannot be made again.
pub(super) fn run_again(
    walk: &mut Walk<'_>,
    start: Output,
    groups: &[Group],
) -> Result<Output, String> {
    let mut current = start;
    for layer in groups.iter().flat_map(|group| &group.layers) {
        let Layer::Step { lower, upper } = *layer else {
            return Err(
                "something that comes as a whole is no step that can be made again".to_owned(),
            );
        };
        if lower.is_some() && current.is_none() {
            return Err("steps cannot be made on nothing".to_owned());
        }
        let op = &walk.graph.ops[upper.0];
        let base = match &op.message.op {
            Some(pb::op::Op::Exec(exec)) => {
                exec.mounts.iter().position(|mount| mount.output == upper.1)
            }
            Some(pb::op::Op::File(file)) => layers::actions(&op.message, file, upper.1).last(),
            _ => None,
        };
        let base = base.ok_or_else(|| format!("{} is no step", walk.title(upper.0)))?;
        let inputs = walk.inputs(upper.0);
        let message = walk
            .rewired(upper.0, &op.message, &inputs, Some((base, current)))
            .map_err(|what| format!("{}: {what}", walk.title(upper.0)))?;
        let at = walk.draft.add(&message, Beside::of(op.definition_op));
        current = Some((at, upper.1));
    }
    Ok(current)
}
