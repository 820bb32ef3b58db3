//! Tasks of this workspace, started as `cargo xtask TASK`.
//!
//! Every task is a module with a clap command; this file only dispatches.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[cfg(feature = "codegen")]
mod codegen;
mod cog_cases;
mod command;
mod demo;
mod disk;
mod generate;
mod helper;
mod merge_cases;
mod test;
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
    /// From a cog.yaml to the answer of a running model
    Demo(demo::Command),
    /// Worked cases of Cog, answered by `cog-python` and compared
    CogCases(cog_cases::Command),
    /// Everything that must hold before a change lands; CI runs this
    Test(test::Command),
    /// The static program that builds carry along, under `target/helper`
    Helper(helper::Command),
    /// Merges on real engines against the trees that must come out
    MergeCases(merge_cases::Command),
    /// The Rust code of the wire messages, from `llb/proto`
    Codegen(generate::Command),
}

#[expect(clippy::print_stderr, reason = "stderr is where a task reports to")]
fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Testbed(command) => testbed::run(&command),
        Task::Demo(command) => demo::run(&command),
        Task::CogCases(command) => cog_cases::run(&command),
        Task::Test(command) => test::run(&command),
        Task::Helper(command) => helper::run(&command),
        Task::MergeCases(command) => merge_cases::run(&command),
        Task::Codegen(command) => generate::run(&command),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            for cause in error.chain().skip(1) {
                eprintln!("  because: {cause}");
            }
            ExitCode::FAILURE
        }
    }
}
