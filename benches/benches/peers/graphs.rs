//! The same graphs, built with `llb` and with `bollard-llb`.
//!
//! Shapes that the other crate cannot build are left out, or taken without what it lacks: it has no differences, and
//! no file ops of several actions.

use bollard_llb::{CacheSharingMode, FileOpts, LlbError, MarshalOpts, MergeOpts, RunOpts};
use llb::prelude::*;
use llb_benches::Shape;

/// A family of graphs that both can build.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Common {
    /// [`Shape::Chain`].
    Chain,
    /// [`Shape::Ladder`].
    Ladder,
    /// Commands on one base, merged: N + 2 ops and the one that names the result.
    Merge,
    /// Files of a kibibyte, one op each: N ops and the one that names the result.
    Mkfile,
}

impl Common {
    pub(crate) const ALL: [Self; 4] = [Self::Chain, Self::Ladder, Self::Merge, Self::Mkfile];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Ladder => "ladder",
            Self::Merge => "merge",
            Self::Mkfile => "mkfile",
        }
    }

    /// Built and marshalled from nothing, by this workspace's crate.
    pub(crate) fn ours(self, n: usize) -> Result<Definition, llb::Error> {
        let state = match self {
            Self::Chain => Shape::Chain.build(n),
            Self::Ladder => Shape::Ladder.build(n),
            Self::Merge => {
                let base = image(ALPINE);
                merge((0..n).map(|i| base.run(args(shell(format!("echo branch {i}"))))))
            }
            Self::Mkfile => (0..n).fold(scratch(), |state, i| {
                state.mkfile(format!("/f{i}"), 0o644, DATA)
            }),
        };
        state.marshal(&llb_benches::options())
    }

    /// The same, by the other crate.
    pub(crate) fn theirs(self, n: usize) -> Result<bollard_llb::Definition, LlbError> {
        let state = match self {
            Self::Chain => (0..n).try_fold(bollard_llb::image(ALPINE)?, |state, i| {
                let step = i.to_string();
                let options = run(format!("echo step {step}"))
                    .with_env("STEP", step)
                    .with_env("MODE", "bench")
                    .with_mount_cache("/cache", "bench-cache", CacheSharingMode::Shared);
                state.run(options).root()
            })?,
            Self::Ladder => (0..n).try_fold(bollard_llb::image(ALPINE)?, |state, i| {
                let left = state.clone().run(run(format!("echo left {i}"))).root()?;
                let right = state.run(run(format!("echo right {i}"))).root()?;
                bollard_llb::merge([left, right], MergeOpts::default())
            })?,
            Self::Merge => {
                let base = bollard_llb::image(ALPINE)?;
                let branch = |i| base.clone().run(run(format!("echo branch {i}"))).root();
                let branches = (0..n).map(branch).collect::<Result<Vec<_>, _>>()?;
                bollard_llb::merge(branches, MergeOpts::default())?
            }
            Self::Mkfile => (0..n).try_fold(bollard_llb::scratch()?, |state, i| {
                let action = bollard_llb::mkfile(format!("/f{i}"), 0o644, DATA);
                state.file(action, FileOpts::new())
            })?,
        };
        state.marshal(MarshalOpts::linux_amd64().with_local_unique_id("bench"))
    }
}

/// Whether both gave the same ops in the same order, and describe the same ones.
pub(crate) fn agree(ours: &Definition, theirs: &bollard_llb::Definition) -> bool {
    let ops = ours.ops().iter().map(llb::DefinitionOp::bytes);
    let described = ours.ops().iter().map(|op| op.digest().to_string());
    ops.eq(theirs.operations())
        && described.clone().count() == theirs.metadata().len()
        && described
            .into_iter()
            .all(|digest| theirs.metadata().contains_key(&digest))
}

const ALPINE: &str = "docker.io/library/alpine:3.20";

fn shell(script: String) -> [String; 3] {
    ["sh".to_owned(), "-c".to_owned(), script]
}

fn run(script: String) -> RunOpts {
    shell(script).iter().fold(RunOpts::new(), RunOpts::with_arg)
}

/// A kibibyte that takes no time to make.
const DATA: [u8; 1024] = [b'x'; 1024];
