//! What the text form can say, and what it has to say in another way.

use std::collections::BTreeSet;

use super::words::{action_owner, chain_bases, name_inputs, owner_text};
use crate::inspect::canonical::{self, DEFINITION_INPUT};
use crate::proto::pb;

/// Whether the readable text of an op says everything that is in its bytes.
pub(super) fn is_plain(op: &pb::Op, bytes: &[u8]) -> bool {
    let platform = op.platform.as_ref().is_none_or(|platform| {
        let parts = [&platform.os, &platform.architecture, &platform.variant];
        parts.iter().all(|part| !part.contains('/'))
    });
    let content = match &op.op {
        Some(pb::op::Op::Exec(exec)) => exec.mounts.iter().all(is_plain_mount),
        Some(pb::op::Op::File(file)) => is_plain_file(file),
        Some(pb::op::Op::Build(build)) => {
            build.builder == -1
                && build.def.is_none()
                && build.inputs.len() == 1
                && build.inputs.contains_key(DEFINITION_INPUT)
        }
        _ => true,
    };
    platform && content && canonical::encode(op) == bytes
}

fn is_plain_mount(mount: &pb::Mount) -> bool {
    let kind = pb::MountType::try_from(mount.mount_type);
    (mount.tmpfs_opt.is_none() || kind == Ok(pb::MountType::Tmpfs))
        && (mount.cache_opt.is_none() || kind == Ok(pb::MountType::Cache))
        && (mount.secret_opt.is_none() || kind == Ok(pb::MountType::Secret))
        && (mount.ssh_opt.is_none() || kind == Ok(pb::MountType::Ssh))
}

fn is_plain_file(file: &pb::FileOp) -> bool {
    file.actions.iter().all(|action| {
        let is_copy = matches!(action.action, Some(pb::file_action::Action::Copy(_)));
        let owner = action_owner(action);
        let mut names = name_inputs(owner);
        let first = names.next();
        (is_copy || action.secondary_input == -1)
            && owner.is_none_or(|owner| owner_text(owner).is_some())
            && names.all(|input| Some(input) == first)
    })
}

/// Whether the inputs of an op are not those that its text gives when read from front to back.
pub(super) fn needs_inputs(op: &pb::Op) -> bool {
    let count = i64::try_from(op.inputs.len()).unwrap_or(i64::MAX);
    let references = references(op, count);
    let is_each_once = matches!(
        op.op,
        Some(pb::op::Op::Merge(_) | pb::op::Op::Diff(_) | pb::op::Op::Passthrough(_))
    );
    let mut next = 0;
    for reference in references {
        match reference {
            -1 => {}
            reference if reference == next && next < count => next += 1,
            reference if (0..next).contains(&reference) && !is_each_once => {}
            _ => return true,
        }
    }
    if next != count {
        return true;
    }
    let mut known = BTreeSet::new();
    // In those ops every mention is an input of its own.
    !is_each_once
        && !op
            .inputs
            .iter()
            .all(|input| known.insert((&input.digest, input.index)))
}

/// The inputs that the text of an op mentions, in the order in which it does.
fn references(op: &pb::Op, count: i64) -> Vec<i64> {
    match &op.op {
        None | Some(pb::op::Op::Source(_)) => Vec::new(),
        Some(pb::op::Op::Exec(exec)) => exec.mounts.iter().map(|mount| mount.input).collect(),
        Some(pb::op::Op::File(file)) => {
            let bases = chain_bases(count, file.actions.iter().map(|action| action.input));
            let mut references = Vec::new();
            for (action, base) in file.actions.iter().zip(bases) {
                references.push(action.input);
                references.push(action.secondary_input);
                let names = name_inputs(action_owner(action)).find(|input| *input != base);
                references.extend(names);
            }
            let actions = i64::try_from(file.actions.len()).unwrap_or(i64::MAX);
            let is_action =
                |reference: i64| (count..count.saturating_add(actions)).contains(&reference);
            references.retain(|reference| !is_action(*reference));
            references
        }
        Some(pb::op::Op::Build(build)) => build.inputs.values().map(|input| input.input).collect(),
        Some(pb::op::Op::Merge(merge)) => merge.inputs.iter().map(|input| input.input).collect(),
        Some(pb::op::Op::Diff(diff)) => {
            let lower = diff.lower.map(|lower| lower.input);
            lower
                .into_iter()
                .chain(diff.upper.map(|upper| upper.input))
                .collect()
        }
        Some(pb::op::Op::Passthrough(_)) => (0..count).collect(),
    }
}
