//! Commands of the user.

use indexmap::IndexMap;
use llb::{Constrain, State, args, bind, cache, secret, ssh};

use super::StepOptions;
use super::source::writable_project;
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
            Mount::Bind { source, target } => {
                let files = writable_project(options.project(), std::slice::from_ref(source));
                exec.mount(bind(target.as_str(), files).selector(format!("/{source}")))
            }
        };
    }
    ground.run(match network {
        Some(Network::None) => options.offline(exec),
        _ => options.connected(exec),
    })
}
