//! Applies the differences of later inputs with the helper, step by step.

use super::Helper;
use super::draft::{Beside, Output};
use super::layers::{Edge, Layer};
use super::report::Effect;
use super::view::Graph;
use super::walk::{Group, Walk};
use crate::inspect::canonical;
use crate::metadata::{CUSTOM_NAME, OpMetadata};
use crate::proto::pb;
use crate::value::Capability;

/// An exec mounts the states of at most so many layers.
const MOST_LAYERS: usize = 16;
/// Where the exec has the state that it changes, and those that it compares.
const TARGET: &str = "/target";
const STATES: &str = "/state";
/// In place of a state: nothing.
const NOTHING: &str = "-";

/// Lays all layers over the state to start from.
pub(super) fn apply(
    walk: &mut Walk<'_>,
    position: usize,
    helper: &Helper,
    start: Output,
    groups: &[Group],
) -> (Output, Effect, String) {
    let helper_output = walk.draft.add_all(&helper.definition);
    let mut current = start;
    let mut execs = 0;
    for group in groups {
        for layers in group.layers.chunks(MOST_LAYERS) {
            let message = exec(walk, position, helper, helper_output, current, layers);
            let beside = beside(walk.graph, position, &message);
            current = Some((walk.draft.add(&message, beside), 0));
            execs += 1;
        }
    }
    let images: Vec<String> = groups
        .iter()
        .flat_map(|group| &group.layers)
        .filter_map(|layer| match layer {
            Layer::Whole(edge) if may_have_layers(walk.graph, *edge) => {
                Some(format!("`{}`", walk.graph.output(edge.0, edge.1)))
            }
            _ => None,
        })
        .collect();
    let execs = if execs == 1 {
        "one exec applies what later inputs changed".to_owned()
    } else {
        format!("{execs} execs apply what later inputs changed")
    };
    if images.is_empty() {
        return (current, Effect::Same, execs);
    }
    let reason = format!(
        "{execs}; deletions inside {} act on nothing before them",
        images.join(" and ")
    );
    (current, Effect::MayDiffer, reason)
}

/// Whether what comes as a whole is made of layers that may delete.
fn may_have_layers(graph: &Graph<'_>, edge: Edge) -> bool {
    match &graph.ops[edge.0].message.op {
        Some(pb::op::Op::Source(source)) => {
            let scheme = source.identifier.split("://").next().unwrap_or_default();
            matches!(scheme, "docker-image" | "oci-layout")
        }
        _ => true,
    }
}

fn exec(
    walk: &Walk<'_>,
    position: usize,
    helper: &Helper,
    program: Output,
    target: Output,
    layers: &[Layer],
) -> pb::Op {
    let mut inputs: Vec<(usize, i64)> = Vec::new();
    let mut input = |output: Output| match output {
        None => -1,
        Some(output) => {
            let known = inputs.iter().position(|input| *input == output);
            let number = known.unwrap_or_else(|| {
                inputs.push(output);
                inputs.len() - 1
            });
            i64::try_from(number).unwrap_or(i64::MAX)
        }
    };
    // With the content of a mount in the cache key, a state is taken for another one that differs in times and links.
    let mount = |input: i64, dest: String, output: i64, readonly: bool| pb::Mount {
        input,
        dest,
        output,
        readonly,
        content_cache: pb::MountContentCache::Off.into(),
        ..pb::Mount::default()
    };
    let mut mounts = vec![
        mount(input(program), "/".to_owned(), -1, true),
        mount(input(target), TARGET.to_owned(), 0, false),
    ];
    let mut states: Vec<Output> = Vec::new();
    let mut arguments = vec![helper.path.clone(), "apply".to_owned(), TARGET.to_owned()];
    for layer in layers {
        let (lower, upper) = match *layer {
            Layer::Step { lower, upper } => (lower, Some(upper)),
            Layer::Whole(upper) => (None, Some(upper)),
            Layer::Net { lower, upper } => (lower, upper),
        };
        for side in [lower, upper] {
            let Some(output) = side.and_then(|edge| walk.output(edge)) else {
                arguments.push(NOTHING.to_owned());
                continue;
            };
            let known = states.iter().position(|state| *state == Some(output));
            let number = known.unwrap_or_else(|| {
                let dest = format!("{STATES}/{}", states.len());
                mounts.push(mount(input(Some(output)), dest, -1, true));
                states.push(Some(output));
                states.len() - 1
            });
            arguments.push(format!("{STATES}/{number}"));
        }
    }
    let merge = &walk.graph.ops[position].message;
    pb::Op {
        inputs: inputs
            .iter()
            .map(|input| walk.draft.input(*input))
            .collect(),
        platform: Some(pb::Platform {
            os: helper.platform.os.to_string(),
            architecture: helper.platform.architecture.to_string(),
            ..pb::Platform::default()
        }),
        constraints: merge.constraints.clone(),
        op: Some(pb::op::Op::Exec(pb::ExecOp {
            meta: Some(pb::Meta {
                args: arguments,
                cwd: "/".to_owned(),
                remove_mount_stubs_recursive: true,
                ..pb::Meta::default()
            }),
            mounts,
            network: pb::NetMode::None.into(),
            ..pb::ExecOp::default()
        })),
    }
}

/// The exec is shown where the merge would be.
fn beside(graph: &Graph<'_>, position: usize, message: &pb::Op) -> Beside {
    let op = &graph.ops[position];
    let of_merge = op.definition_op.metadata();
    let mut beside = Beside::of(op.definition_op);
    let name = of_merge.description.get(CUSTOM_NAME).cloned();
    let name = name.unwrap_or_else(|| format!("{} (differences applied)", op.name));
    beside.metadata = OpMetadata {
        ignore_cache: of_merge.ignore_cache,
        export_cache: of_merge.export_cache,
        progress_group: of_merge.progress_group.clone(),
        caps: of_merge
            .caps
            .difference(
                [Capability::MergeOp, Capability::DiffOp]
                    .into_iter()
                    .collect(),
            )
            .union(canonical::capabilities(message)),
        ..OpMetadata::default()
    };
    beside
        .metadata
        .description
        .insert(CUSTOM_NAME.to_owned(), name);
    beside
}
