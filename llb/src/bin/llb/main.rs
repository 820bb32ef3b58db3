//! `llb`: looks into build graphs, checks them, brings them into their canonical form, and builds them.

#![expect(
    clippy::disallowed_methods,
    reason = "a program for files; the library under it reads none"
)]

mod daemon;
mod input;
mod solve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use llb::Definition;
use llb::command_line::{output, wait};
use llb::verify::{self, Severity};

/// Looks into build graphs for BuildKit (LLB), checks them, brings them into their canonical form, and builds them.
///
/// A graph is read from protobuf bytes (`pb.Definition`, as buildctl and other programs write it) or from the text form
/// that `llb show` prints; which of them it is shows in the content. `-` is standard input or output.
///
/// Exit codes: 0 if all is well, 1 if the graph cannot be read or has errors or its build failed, 2 for a mistake on the
/// command line, 130 if a build was stopped with Ctrl-C.
#[derive(Parser)]
#[command(name = "llb", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Prints a graph
    Show {
        /// The file with the graph, or `-`
        file: PathBuf,
        /// How to print it
        #[arg(long, short, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Everything that is in the graph, also capabilities and places in source files; such a text reads back as the
        /// same bytes (only for text; JSON is always full)
        #[arg(long)]
        full: bool,
    },
    /// Takes a graph apart and writes it anew as canonical protobuf bytes: the ops that the result needs, in the same
    /// order, maps sorted
    Reencode {
        /// The file with the graph, or `-`
        file: PathBuf,
        /// Where to write it, or `-`
        #[arg(long, short)]
        output: PathBuf,
    },
    /// Checks a graph: digests, structure, capabilities, and what is likely not meant
    Verify {
        /// The file with the graph, or `-`
        #[arg(required_unless_present = "explain")]
        file: Option<PathBuf>,
        /// Fails on warnings too
        #[arg(long)]
        strict: bool,
        /// Prints what a code means, with an example, instead
        #[arg(long, value_name = "CODE", conflicts_with = "file")]
        explain: Option<String>,
    },
    /// Prints the digest of the op whose result the graph is
    Digest {
        /// The file with the graph, or `-`
        file: PathBuf,
        /// Prints the digests of all ops, each with its name
        #[arg(long)]
        all: bool,
    },
    /// Builds a graph, or with a frontend, on a BuildKit daemon
    Solve(Box<solve::SolveArguments>),
    /// Lists the build cache of a daemon
    Du(daemon::UsageArguments),
    /// Removes what nobody uses from the build cache of a daemon
    Prune(daemon::PruneArguments),
    /// Lists the workers of a daemon and the platforms they build for
    Workers(daemon::DaemonArguments),
    /// Prints what a daemon is and can do
    Info(daemon::DaemonArguments),
    /// Joins standard input and output with a daemon, for programs on other machines: `ssh HOST llb dial-stdio`
    DialStdio(daemon::DialArguments),
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// The text form, for reviews
    Text,
    /// A tree from the result down to the sources
    Tree,
    /// Graphviz
    Dot,
    /// JSON
    Json,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(code) => code,
        Err(message) => {
            output::complain(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, String> {
    match command {
        Command::Show { file, format, full } => {
            let definition = input::read(file)?;
            output::print(&shown(&definition, *format, *full))?;
        }
        Command::Reencode { file, output } => {
            let definition = input::read(file)?;
            let canonical = definition.canonical().map_err(|error| error.to_string())?;
            output::write(output, &canonical.to_bytes())?;
        }
        Command::Verify {
            explain: Some(code),
            ..
        } => output::print(explain(code)?)?,
        Command::Verify { file, strict, .. } => {
            let Some(file) = file else {
                return Err("expected a file".to_owned());
            };
            return verify(&input::read(file)?, *strict);
        }
        Command::Digest { file, all } => {
            let definition = input::read(file)?;
            output::print(&digests(&definition, *all)?)?;
        }
        Command::Solve(arguments) => return wait(solve::run(arguments)),
        Command::Du(arguments) => wait(daemon::usage(arguments))?,
        Command::Prune(arguments) => wait(daemon::prune(arguments))?,
        Command::Workers(arguments) => wait(daemon::workers(arguments))?,
        Command::Info(arguments) => wait(daemon::info(arguments))?,
        Command::DialStdio(arguments) => wait(daemon::dial(arguments))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn shown(definition: &Definition, format: Format, is_full: bool) -> String {
    match format {
        Format::Text if is_full => definition.to_full_text(),
        Format::Text => definition.to_text(),
        Format::Tree => definition.to_tree(),
        Format::Dot => definition.to_dot(),
        Format::Json => definition.to_json(),
    }
}

fn explain(code: &str) -> Result<&'static str, String> {
    verify::explain(code).ok_or_else(|| {
        let codes: Vec<_> = verify::codes().collect();
        format!(
            "there is no code {code:?}\n  hint: there are {}",
            codes.join(", ")
        )
    })
}

fn verify(definition: &Definition, is_strict: bool) -> Result<ExitCode, String> {
    let findings = definition.verify();
    let mut lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let count = |severity| {
        findings
            .iter()
            .filter(|finding| finding.severity() == severity)
            .count()
    };
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let ops = definition.ops().len().saturating_sub(1);
    lines.push(format!("{ops} ops, {errors} errors, {warnings} warnings\n"));
    output::print(&lines.join("\n"))?;
    if errors > 0 || is_strict && warnings > 0 {
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn digests(definition: &Definition, all: bool) -> Result<String, String> {
    let Some(head) = definition.head() else {
        return Err("the graph is scratch: it has no op, and so no digest".to_owned());
    };
    if !all {
        return Ok(format!("{head}\n"));
    }
    let ops = definition.ops();
    let names = definition.op_names().into_iter();
    let names = names.map(|name| format!("  %{name}\n"));
    let lines = ops.iter().zip(names.chain(["\n".to_owned()]));
    let lines = lines.map(|(op, name)| op.digest().to_string() + &name);
    Ok(lines.collect())
}
