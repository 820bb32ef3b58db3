//! `cargo xtask codegen`: generates the wire messages, in a build of this program that can.

use std::process::ExitCode;

use anyhow::Result;

/// Generates the Rust code of the wire messages from `llb/proto`.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// Changes nothing; fails if the committed code is not what the `.proto` files say
    #[arg(long)]
    check: bool,
}

#[cfg(feature = "codegen")]
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    crate::codegen::run(&crate::command::workspace()?, command.check)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(not(feature = "codegen"))]
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let mut arguments = vec![
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "codegen",
        "--",
        "codegen",
    ];
    if command.check {
        arguments.push("--check");
    }
    let status = crate::command::cargo(arguments)?.status()?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
