//! `cargo xtask cog-cases FILE`: tries worked cases of Cog.
//!
//! The cases are answered by a program of `cog-python`, which explains how they are compared; this task builds it and
//! hands its output and exit code on.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::cargo;

/// Tries worked cases of Cog.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// File of cases
    file: PathBuf,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let file = std::path::absolute(&command.file)?;
    let mut program = cargo([
        "run",
        "--quiet",
        "--package",
        "cog-python",
        "--example",
        "cog_cases",
        "--",
    ])?;
    let status = program.arg(file).status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
