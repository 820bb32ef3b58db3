//! What else ops ask for that an engine may lack, and what can be done about it.
//!
//! BuildKit refuses a graph that asks for a capability by name. A few settings ask for none, and an engine that does not
//! know them ignores them without a word: those are found by looking at the ops.

use super::draft::Beside;
use super::report::{Effect, Lowering, Replacement};
use super::walk::Walk;
use crate::definition::Definition;
use crate::error::{ErrorKind, Problem};
#[cfg(feature = "client")]
use crate::inspect::canonical;
use crate::proto::pb;
use crate::proto::pb::file_action::Action;
use crate::value::{Capability, CapabilitySet};

/// A setting that can be left out, and what that means.
struct Optional {
    capability: Capability,
    effect: Effect,
    reason: &'static str,
    leave_out: fn(&mut pb::Op, &mut Beside),
}

const OPTIONAL: &[Optional] = &[
    Optional {
        capability: Capability::ExecMetaCgroupParent,
        effect: Effect::Same,
        reason: "the command runs under the engine's own cgroup",
        leave_out: |op, _| meta(op, |meta| meta.cgroup_parent.clear()),
    },
    Optional {
        capability: Capability::ExecMetaLinuxResources,
        effect: Effect::Same,
        reason: "the command runs without limits",
        leave_out: |_, beside| beside.metadata.linux_resources = None,
    },
    Optional {
        capability: Capability::ExecMountContentCache,
        effect: Effect::MayDiffer,
        reason: "a cached result may come from files that differ in times and links",
        leave_out: |op, _| mounts(op, |mount| mount.content_cache = 0),
    },
    Optional {
        capability: Capability::ExecMountTmpfsSize,
        effect: Effect::Same,
        reason: "the engine chooses the size of the mount",
        leave_out: |op, _| {
            mounts(op, |mount| {
                if let Some(tmpfs) = &mut mount.tmpfs_opt {
                    tmpfs.size = 0;
                }
            });
        },
    },
    Optional {
        capability: Capability::MetaDescription,
        effect: Effect::Same,
        reason: "progress shows no names",
        leave_out: |_, beside| beside.metadata.description.clear(),
    },
    Optional {
        capability: Capability::MetaExportCache,
        effect: Effect::Same,
        reason: "the engine chooses what it exports to caches",
        leave_out: |_, beside| beside.metadata.export_cache = None,
    },
    Optional {
        capability: Capability::SourceLocalDiffer,
        effect: Effect::Same,
        reason: "the engine compares local folders in its own way",
        leave_out: |op, _| attribute(op, "local.differ"),
    },
    Optional {
        capability: Capability::SourceLocalSharedKeyHint,
        effect: Effect::Same,
        reason: "less of a local folder may be reused",
        leave_out: |op, _| attribute(op, "local.sharedkeyhint"),
    },
];

fn meta(op: &mut pb::Op, change: impl FnOnce(&mut pb::Meta)) {
    if let Some(pb::op::Op::Exec(exec)) = &mut op.op
        && let Some(meta) = &mut exec.meta
    {
        change(meta);
    }
}

fn mounts(op: &mut pb::Op, change: impl FnMut(&mut pb::Mount)) {
    if let Some(pb::op::Op::Exec(exec)) = &mut op.op {
        exec.mounts.iter_mut().for_each(change);
    }
}

fn attribute(op: &mut pb::Op, name: &str) {
    if let Some(pb::op::Op::Source(source)) = &mut op.op {
        source.attrs.remove(name);
    }
}

/// Capabilities that an op needs but does not ask for.
fn hidden(op: &pb::Op) -> CapabilitySet {
    let caps = CapabilitySet::new();
    match &op.op {
        Some(pb::op::Op::Exec(exec)) => {
            let has_parent = exec
                .meta
                .as_ref()
                .is_some_and(|meta| !meta.cgroup_parent.is_empty());
            caps.with_if(has_parent, Capability::ExecMetaCgroupParent)
        }
        Some(pb::op::Op::File(file)) => file
            .actions
            .iter()
            .filter_map(|action| action.action.as_ref())
            .fold(caps, |caps, action| caps.union(of_action(action))),
        Some(pb::op::Op::Merge(_)) => caps.with(Capability::MergeOp),
        Some(pb::op::Op::Diff(_)) => caps.with(Capability::DiffOp),
        _ => caps,
    }
}

fn of_action(action: &Action) -> CapabilitySet {
    let caps = CapabilitySet::new();
    match action {
        Action::Symlink(_) => caps.with(Capability::FileSymlinkCreate),
        Action::Copy(copy) => caps
            .with_if(
                !(copy.include_patterns.is_empty() && copy.exclude_patterns.is_empty()),
                Capability::FileCopyIncludeExcludePatterns,
            )
            .with_if(
                copy.always_replace_existing_dest_paths,
                Capability::FileCopyAlwaysReplaceExistingDestPaths,
            )
            .with_if(!copy.mode_str.is_empty(), Capability::FileCopyModeString)
            .with_if(
                !copy.required_paths.is_empty(),
                Capability::FileCopyRequiredPaths,
            ),
        _ => caps,
    }
}

/// Whether an op is of a kind that some engines lack, or that they may run with less.
#[cfg(feature = "client")]
pub(crate) fn may_need(op: &pb::Op) -> bool {
    let optional = OPTIONAL.iter().map(|optional| optional.capability);
    let optional = optional.fold(CapabilitySet::new(), CapabilitySet::with);
    let asked = canonical::capabilities(op);
    !hidden(op).is_empty() || asked.difference(optional) != asked
}

/// Whether any op needs something that the engine lacks and that no op asks for.
///
/// A merge of exactly its states asks for nothing either.
pub(super) fn has_hidden(definition: &Definition, caps: CapabilitySet) -> bool {
    let all: CapabilitySet = [
        Capability::DiffOp,
        Capability::ExecMetaCgroupParent,
        Capability::FileSymlinkCreate,
        Capability::FileCopyIncludeExcludePatterns,
        Capability::FileCopyAlwaysReplaceExistingDestPaths,
        Capability::FileCopyModeString,
        Capability::FileCopyRequiredPaths,
        Capability::MergeOp,
    ]
    .into_iter()
    .collect();
    // Engines of the last years have them all, and then no op is decoded.
    !all.difference(caps).is_empty()
        && definition.ops().iter().any(|op| {
            let message = prost::Message::decode(op.bytes()).unwrap_or_default();
            !hidden(&message).difference(caps).is_empty()
        })
}

/// An op without what the engine lacks, and what was done.
///
/// # Errors
///
/// The op needs what is missing.
pub(super) fn replace(
    walk: &Walk<'_>,
    position: usize,
    beside: &mut Beside,
) -> Result<(pb::Op, Vec<Lowering>), Problem> {
    let op = &walk.graph.ops[position];
    let mut message = op.message.clone();
    let mut lowerings = Vec::new();
    let needed = beside.metadata.caps.union(hidden(&message));
    for capability in needed.difference(walk.caps).iter() {
        let optional = OPTIONAL.iter().find(|known| known.capability == capability);
        let Some(optional) = optional else {
            return Err(refusal(walk, position, capability));
        };
        (optional.leave_out)(&mut message, beside);
        beside.metadata.caps = beside
            .metadata
            .caps
            .difference(CapabilitySet::new().with(capability));
        lowerings.push(walk.note_of(
            position,
            capability,
            Replacement::Without,
            optional.effect,
            optional.reason.to_owned(),
        ));
    }
    Ok((message, lowerings))
}

fn refusal(walk: &Walk<'_>, position: usize, capability: Capability) -> Problem {
    let title = walk.title(position);
    let message =
        format!("the engine has no {capability}, which {title} needs, and nothing does the same");
    let hint = match capability {
        Capability::FileSymlinkCreate => {
            "make the link with a command (`ln -s`), or copy it from a local folder"
        }
        Capability::FileCopyModeString => "give the mode in octal",
        Capability::FileCopyIncludeExcludePatterns | Capability::FileCopyRequiredPaths => {
            "choose the files in the source (`Local::include`), or copy them one by one"
        }
        _ => "build with a newer engine, or leave out what needs it",
    };
    Problem::without_location(ErrorKind::Lowering, message).hint(hint)
}
