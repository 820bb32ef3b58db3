//! Commands of the user.

use indexmap::IndexMap;
use llb::{Constrain, Exec, State, args, bind, cache, secret, ssh};

use super::source::writable_project;
use super::{StepOptions, Tree};
use crate::plan::{Mount, Network};

/// A layer that runs shell text. Several lines are one script that stops at the first command that fails; one
/// line runs as in a Dockerfile. The folders of `path` are searched for programs first. Nothing of what is mounted is
/// in the result.
#[llb::layer]
pub fn run(
    ground: State,
    command: &str,
    #[layer(skip)] path: &[String],
    #[layer(skip)] mounts: &[Mount],
    #[layer(skip)] network: Option<Network>,
    #[layer(skip)] environment: &IndexMap<String, String>,
    #[layer(skip)] options: &StepOptions,
) -> State {
    ground.run(exec(command, path, mounts, network, environment, options))
}

/// Runs shell text as [`run`] does, and takes over nothing but a folder, which is empty when it starts. Where the folder is
/// needed may be another file system: one without compilers.
///
/// ```
/// use cog_python::layer::{Joining, StepOptions, overlay, run_tree};
///
/// let devel = llb::image("nvidia/cuda:12.6.3-cudnn-devel-ubuntu24.04");
/// let kernels = run_tree(
///     &devel,
///     "/opt/kernels",
///     "nvcc --version > /opt/kernels/compiler",
///     &[],
///     &[],
///     None,
///     &Default::default(),
///     &StepOptions::default(),
/// );
/// let runtime = llb::image("nvidia/cuda:12.6.3-cudnn-runtime-ubuntu24.04");
/// let text = overlay(&runtime, [kernels], Joining::Merge).to_text();
/// assert!(text.contains("nvcc --version"), "{text}");
/// ```
#[track_caller]
#[expect(clippy::too_many_arguments, reason = "those of `run`, and the folder")]
pub fn run_tree(
    ground: &State,
    folder: &str,
    command: &str,
    path: &[String],
    mounts: &[Mount],
    network: Option<Network>,
    environment: &IndexMap<String, String>,
    options: &StepOptions,
) -> Tree {
    let exec = exec(command, path, mounts, network, environment, options);
    Tree::empty(folder).change(ground, exec).settled()
}

fn exec(
    command: &str,
    path: &[String],
    mounts: &[Mount],
    network: Option<Network>,
    environment: &IndexMap<String, String>,
    options: &StepOptions,
) -> Exec {
    let flags = if command.contains('\n') { "-ec" } else { "-c" };
    let first = command.lines().next().unwrap_or_default();
    let mut exec = args(["/bin/sh", flags, command]).name(format!("run: {first}"));
    for (name, value) in environment {
        exec = exec.env(name.as_str(), value.as_str());
    }
    let path = path.to_vec();
    exec = exec.with(move |state| {
        path.iter()
            .rev()
            .fold(state, |state, folder| state.prepend_path(folder))
    });
    for mount in mounts {
        exec = match mount {
            Mount::Secret {
                id,
                target,
                required,
            } => {
                let mount = secret(target.as_str()).id(id.as_str());
                exec.mount(if *required { mount } else { mount.optional() })
            }
            Mount::Ssh { id, required } => {
                let mount = ssh().id(id.as_str());
                exec.mount(if *required { mount } else { mount.optional() })
            }
            Mount::Cache { id, target } => exec.mount(cache(target.as_str(), id.as_str())),
            Mount::Bind {
                source,
                target,
                from: Some(from),
            } => {
                // Read-only, so that the step is cached by what is mounted.
                let files = bind(target.as_str(), options.named(from)).readonly();
                exec.mount(files.selector(format!("/{source}")))
            }
            Mount::Bind {
                source,
                target,
                from: None,
            } => {
                let files = writable_project(options.project(), std::slice::from_ref(source));
                exec.mount(bind(target.as_str(), files).selector(format!("/{source}")))
            }
        };
    }
    match network {
        Some(Network::None) => options.offline(exec),
        _ => options.connected(exec),
    }
}
