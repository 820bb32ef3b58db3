//! The command line of the testbed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::layout::Layout;
use super::report::Report;
use super::state::State;
use super::{down, status, up};

/// `cargo xtask testbed ...`
#[derive(Debug, Args)]
pub(crate) struct Command {
    #[command(subcommand)]
    action: Action,

    /// Folder that holds the testbed [default: target/testbed of this workspace]
    #[arg(long, global = true, env = "LLB_TESTBED_DIR", value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start engines and registry, make the base images; does nothing when all of it is there
    Up {
        /// Debian mirror to use instead of the one in the system's apt sources
        #[arg(long, value_name = "URI")]
        mirror: Option<String>,

        /// Debian suite to take the engines from [default: the first usable of forky, sid, trixie]
        #[arg(long, value_name = "SUITE")]
        engine_suite: Option<String>,
    },
    /// Stop what `up` started; downloads, images and build caches stay for the next `up`
    Down {
        /// Delete the whole testbed folder as well
        #[arg(long)]
        purge: bool,
    },
    /// Tell what runs; exits with 1 when the testbed is not up
    Status {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// Brings the testbed up where the environment or the workspace wants it, and tells how to reach it.
pub(crate) fn bring_up() -> Result<State> {
    let root = root_or_default(None)?;
    up::up(&up::Options {
        root: root.clone(),
        mirror: None,
        engine_suite: None,
    })?;
    State::load(&Layout::new(&root)?)?.context("the testbed came up without a state file")
}

/// Stops the testbed that [`bring_up`] started.
pub(crate) fn take_down() -> Result<()> {
    let layout = Layout::new(&root_or_default(None)?)?;
    down::down(&layout, false, &Report::start())
}

fn root_or_default(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(root) = given {
        return Ok(root.to_owned());
    }
    match std::env::var_os("LLB_TESTBED_DIR").filter(|root| !root.is_empty()) {
        Some(root) => Ok(root.into()),
        None => Layout::default_root(),
    }
}

/// Runs one testbed command; messages go to stderr, only `status` writes to stdout.
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let root = root_or_default(command.root.as_deref())?;
    match &command.action {
        Action::Up {
            mirror,
            engine_suite,
        } => {
            let options = up::Options {
                root,
                mirror: mirror.clone(),
                engine_suite: engine_suite.clone(),
            };
            up::up(&options)?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Down { purge } => {
            down::down(&Layout::new(&root)?, *purge, &Report::start())?;
            Ok(ExitCode::SUCCESS)
        }
        Action::Status { json } => {
            let status = status::Status::of(&Layout::new(&root)?)?;
            status.print(*json)?;
            Ok(if status.up {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            })
        }
    }
}
