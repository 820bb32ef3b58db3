//! `cargo xtask merge-cases`: merges on real engines against the trees that must come out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::command::cargo;
use crate::helper;
use crate::testbed;

/// Builds a folder of merge cases on both engines: as they are on the one with merges, lowered on the other.
///
/// The last lines are `ENGINE: N equal, N different, N refused`. The engines are those of the testbed, which is started,
/// or of the one that `LLB_TESTBED` names.
#[derive(Debug, clap::Args)]
pub(crate) struct Command {
    /// A folder with cases as `llb/tests/data/merge-cases` has them; that one if not given
    directory: Option<PathBuf>,
    /// Builds so many random cases instead, and compares what the two engines make
    #[arg(long, value_name = "COUNT", conflicts_with = "directory")]
    random: Option<u64>,
    /// Which random cases
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    helper::build(helper::NATIVE)?;
    if std::env::var_os("LLB_TESTBED").is_none() {
        testbed::bring_up()?;
    }
    let mut test = cargo([
        "test",
        "--quiet",
        "--package",
        "llb",
        "--features",
        "client",
        "--test",
        "merge_cases",
        "--",
    ])?;
    if let Some(directory) = &command.directory {
        let directory = std::path::absolute(directory)
            .with_context(|| format!("cannot find {}", directory.display()))?;
        test.arg("--dir").arg(directory);
    }
    if let Some(count) = command.random {
        test.args(["--random", &count.to_string()]);
        test.args(["--seed", &command.seed.to_string()]);
    }
    let status = test.status().context("cannot start cargo")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
