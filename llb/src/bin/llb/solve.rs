//! Builds a graph, or with a frontend.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueHint};
use llb::client::{Outcome, Solve};
use llb::command_line::{BuildOptions, Daemon, output, pair};

use crate::input;

/// `SOURCE_DATE_EPOCH` in the environment is the time that images say they were made at.
#[derive(Args)]
pub(crate) struct SolveArguments {
    #[command(flatten)]
    daemon: Daemon,
    /// The file with the graph, or `-`; standard input if there is no frontend
    #[arg(value_hint = ValueHint::FilePath, conflicts_with = "frontend")]
    file: Option<PathBuf>,
    /// Builds with a frontend of the daemon instead: `dockerfile.v0`, or `gateway.v0` with `--opt source=IMAGE`
    #[arg(long, value_name = "NAME")]
    frontend: Option<String>,
    /// An option of the frontend: `--opt target=app --opt build-arg:version=3`
    #[arg(long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    #[command(flatten)]
    build: BuildOptions,
    /// Warns of paths that several forks of a merge wrote
    #[arg(long, conflicts_with = "frontend")]
    check_merges: bool,
    /// Writes what the exporters answered, such as the image's digest, as JSON
    #[arg(long, value_name = "FILE")]
    metadata_file: Option<PathBuf>,
}

pub(crate) async fn run(arguments: &SolveArguments) -> Result<ExitCode, String> {
    // Mistakes on the command line are told before a daemon is looked for.
    let solve = solve(arguments)?;
    let client = arguments.daemon.connect().await?;
    let build = async |solve, display: &mut _| client.solve(solve, display).await;
    match arguments.build.run(solve, build).await? {
        Ok(outcome) => finish(arguments, &outcome),
        Err(code) => Ok(code),
    }
}

fn finish(arguments: &SolveArguments, outcome: &Outcome) -> Result<ExitCode, String> {
    if let Some(file) = &arguments.metadata_file {
        let mut text = outcome.metadata().to_string();
        text.push('\n');
        output::write(file, text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn solve(arguments: &SolveArguments) -> Result<Solve, String> {
    let mut solve = if let Some(name) = &arguments.frontend {
        Solve::frontend(name)
    } else {
        if arguments
            .opt
            .iter()
            .any(|option| !option.starts_with("attest:"))
        {
            return Err("--opt is for a frontend, name one with --frontend".to_owned());
        }
        let file = arguments.file.as_deref().unwrap_or(Path::new("-"));
        if file == Path::new("-") && arguments.build.reads_input() {
            return Err(
                "--on-error=shell reads standard input, so the graph cannot come from there\n\
                 hint: give the graph as a file"
                    .to_owned(),
            );
        }
        Solve::definition(input::read(file)?)
    };
    for text in &arguments.opt {
        let (key, value) = pair("--opt", text)?;
        solve = solve.attribute(key, value);
    }
    if arguments.check_merges {
        solve = solve.check_merges();
    }
    arguments.build.apply(solve)
}
