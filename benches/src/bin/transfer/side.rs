//! Who does the transfer, and how it is told to.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use llb_benches::measure::Program;

/// What becomes of the files on the daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Export {
    /// They stay there.
    Nothing,
    /// They come back as a tree.
    Local,
    /// They come back as an image in an archive, its layer not compressed.
    Oci,
}

/// One transfer.
#[derive(Clone, Debug)]
pub(crate) struct Transfer<'a> {
    pub(crate) address: &'a str,
    /// The directory to be sent.
    pub(crate) context: &'a Path,
    /// The graph of that directory, marshalled.
    pub(crate) definition: &'a Path,
    /// A directory with a Dockerfile that copies it.
    pub(crate) dockerfile: &'a Path,
    pub(crate) export: Export,
    /// Where exports go.
    pub(crate) output: &'a Path,
}

/// What the daemon is given to build.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    Graph,
    Dockerfile,
}

/// A client.
#[derive(Clone, Debug)]
pub(crate) enum Side {
    /// This crate's, in a process of its own.
    Llb,
    /// The program of that name.
    Buildctl(PathBuf),
    /// The program of that name, with a private configuration.
    Buildx { program: PathBuf, home: PathBuf },
}

/// The name of the builder that is made for a buildkitd.
const BUILDER: &str = "llb-benches";

impl Side {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Llb => "llb",
            Self::Buildctl(_) => "buildctl",
            Self::Buildx { .. } => "buildx",
        }
    }

    /// What has to be done once before transfers.
    pub(crate) fn prepare(&self, address: &str, is_engine: bool) -> std::io::Result<()> {
        match self {
            Self::Buildx { program, home } if !is_engine => {
                let create = ["create", "--name", BUILDER, "--driver", "remote", address];
                let program = Program::new(program).variable("DOCKER_CONFIG", home);
                program.arguments(create).run().map(drop)
            }
            _ => Ok(()),
        }
    }

    /// The program that does a transfer.
    pub(crate) fn program(
        &self,
        transfer: &Transfer<'_>,
        form: Form,
        is_engine: bool,
    ) -> std::io::Result<Program> {
        let local = |name: &str, path: &Path| argument(&format!("{name}="), path);
        Ok(match self {
            Self::Llb => {
                let mut arguments: Vec<OsString> =
                    ["transfer", "--addr", transfer.address, "--context"]
                        .map(Into::into)
                        .into();
                arguments.push(transfer.context.into());
                arguments.push(match form {
                    Form::Graph => argument("--definition=", transfer.definition),
                    Form::Dockerfile => argument("--dockerfile=", transfer.dockerfile),
                });
                match transfer.export {
                    Export::Nothing => {}
                    Export::Local => arguments.push(argument("--local=", transfer.output)),
                    Export::Oci => arguments.push(argument("--oci=", transfer.output)),
                }
                Program::new(std::env::current_exe()?).arguments(arguments)
            }
            Self::Buildctl(path) => {
                let program = Program::new(path)
                    .arguments(["--addr", transfer.address, "build", "--progress", "quiet"])
                    .arguments(["--local".into(), local("context", transfer.context)]);
                let program = match form {
                    Form::Graph => program.input(transfer.definition),
                    Form::Dockerfile => program
                        .arguments(["--frontend", "dockerfile.v0", "--local"])
                        .arguments([local("dockerfile", transfer.dockerfile)]),
                };
                match output(transfer) {
                    Some(output) => program.arguments(["--output".into(), output]),
                    None => program,
                }
            }
            Self::Buildx { program, home } => {
                let file = transfer.dockerfile.join("Dockerfile");
                let program = Program::new(program).variable("DOCKER_CONFIG", home);
                let program = if is_engine {
                    let program = program.variable("DOCKER_HOST", transfer.address);
                    program.arguments(["build", "--builder", "default"])
                } else {
                    program.arguments(["build", "--builder", BUILDER])
                };
                let output = output(transfer).unwrap_or_else(|| "type=cacheonly".into());
                program
                    .arguments(["--quiet", "--provenance=false", "--output"])
                    .arguments([output, "--file".into(), file.into()])
                    .arguments([transfer.context])
            }
        })
    }
}

/// The export as buildctl and buildx are told it.
fn output(transfer: &Transfer<'_>) -> Option<OsString> {
    let form = match transfer.export {
        Export::Nothing => return None,
        Export::Local => "type=local,dest=",
        Export::Oci => "type=oci,compression=uncompressed,dest=",
    };
    Some(argument(form, transfer.output))
}

fn argument(before: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(before);
    argument.push(path);
    argument
}
