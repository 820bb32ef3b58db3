//! Tasks of this workspace, started as `cargo xtask TASK`.
//!
//! Every task is a module with a clap command; this file only dispatches.

use clap::{Parser, Subcommand};

mod testbed;

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// A private BuildKit (two Docker engines) and registry under `target/testbed`
    Testbed(testbed::Command),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Testbed(command) => testbed::run(&command),
    }
}
