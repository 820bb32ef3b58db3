//! Programs that steps are lent: nothing of them is in an image.

use llb::lower::Helper;
use llb::{Constrain, Exec, Image, Network, State, args, bind, http, scratch};

use super::StepOptions;
use crate::plan::{RemoteFile, UvProgram};

/// A program in a file system of its own.
#[derive(Clone, Debug)]
pub struct Program {
    state: State,
    path: String,
}

impl Program {
    /// The program at an absolute path of a state.
    pub fn new(state: State, path: impl Into<String>) -> Self {
        Self {
            state,
            path: path.into(),
        }
    }

    /// Mounts the program at a path.
    pub(super) fn lend(&self, exec: Exec, target: &str) -> Exec {
        exec.mount(bind(target, &self.state).selector(&self.path).readonly())
    }
}

/// The uv program: from its wheel, which the helper unpacks, or from an image.
#[track_caller]
pub fn uv(uv: &UvProgram, helper: Option<&Helper>) -> Program {
    let (Some(wheel), Some(helper)) = (&uv.wheel, helper) else {
        let image = Image::new(uv.image.as_str()).name(format!("uv {}", uv.image));
        return Program::new(image.state(), "/uv");
    };
    let target = format!("/w/{}", wheel.name);
    let exec = args([
        helper.path(),
        "install",
        "--prefix",
        "/uv",
        "--python",
        "3",
        "--root",
        "/out",
        &target,
    ])
    .readonly_rootfs()
    .network(Network::None)
    .mount(bind("/out", scratch()))
    .mount(
        bind(&target, remote(wheel))
            .selector(format!("/{}", wheel.name))
            .readonly(),
    )
    .name("unpack uv");
    let state = helper.state().exec(exec).get_mount("/out");
    Program::new(state, "/uv/bin/uv")
}

/// A file of an index: a state with nothing else. Without a digest it is whatever the index has.
#[track_caller]
pub fn remote(file: &RemoteFile) -> State {
    remote_for(file, &StepOptions::default())
}

/// The same for a step, at whose line a failure is reported.
#[track_caller]
pub(super) fn remote_for(file: &RemoteFile, options: &StepOptions) -> State {
    let mut source = http(file.url.as_str()).filename(file.name.as_str());
    if !file.sha256.is_empty() {
        source = source.checksum(format!("sha256:{}", file.sha256));
    }
    let source = match &file.authorization {
        Some(secret) => source.auth_header_secret(secret.as_str()),
        None => source,
    };
    options
        .located(source.name(format!("fetch {}", file.name)))
        .state()
}
