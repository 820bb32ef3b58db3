//! The command line of the testbed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::layout::Layout;
use super::report::Report;
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

/// Runs one testbed command; messages go to stderr, only `status` writes to stdout.
pub(crate) fn run(command: &Command) -> Result<ExitCode> {
    let root = match &command.root {
        Some(root) => root.clone(),
        None => Layout::default_root()?,
    };
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
