//! Commands of the user.

use indexmap::IndexMap;
use llb::{Constrain, State, args, secret};

use super::StepOptions;

/// A secret as a file of one command.
#[derive(Clone, Debug)]
pub struct SecretFile<'a> {
    /// Name under which the secret is given; a build without it fails.
    pub id: &'a str,
    /// Absolute path.
    pub target: &'a str,
}

/// A layer that runs shell text. Several lines are one script that stops at the first command that fails; one
/// line runs as in a Dockerfile. The folders of `path` are searched for programs first.
#[llb::layer]
pub fn run(
    ground: State,
    command: &str,
    #[layer(skip)] path: &[String],
    #[layer(skip)] secrets: &[SecretFile<'_>],
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
    for mount in secrets {
        exec = exec.mount(secret(mount.target).id(mount.id));
    }
    ground.run(options.connected(exec))
}
