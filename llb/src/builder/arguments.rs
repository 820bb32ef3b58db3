//! The command line of a builder.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::command_line::{BuildOptions, Daemon, pair};

#[derive(Debug, Parser)]
#[command(arg_required_else_help = true, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Builds, with a BuildKit daemon
    Build(Box<BuildArguments>),
    /// Prints the graph as text, without a daemon
    Text {
        #[command(flatten)]
        given: Given,
        /// Everything that is in the graph; such a text reads back as the same bytes
        #[arg(long)]
        full: bool,
    },
    /// Draws the graph, without a daemon
    Graph {
        #[command(flatten)]
        given: Given,
        /// How to draw it
        #[arg(long, short, value_enum, default_value_t = Format::Tree)]
        format: Format,
    },
    /// Writes the definition as BuildKit takes it, without a daemon
    Dump {
        #[command(flatten)]
        given: Given,
        /// Where to write it, or `-` for standard output
        #[arg(long, short, default_value = "-", value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
    },
}

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Format {
    /// A tree from the result down to the sources
    Tree,
    /// Graphviz
    Dot,
}

/// What the build function is given.
#[derive(Args, Clone, Debug)]
pub(super) struct Given {
    /// An option of the build
    #[arg(long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// A build argument
    #[arg(long, value_name = "NAME=VALUE")]
    build_arg: Vec<String>,
    /// What to build of several things
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// A label of the image
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// The platforms to build for, separated by commas
    #[arg(long, value_name = "OS/ARCH,..")]
    platform: Option<String>,
}

/// `build`.
#[derive(Args, Debug)]
pub(super) struct BuildArguments {
    #[command(flatten)]
    pub(super) daemon: Daemon,
    #[command(flatten)]
    pub(super) given: Given,
    /// The folder that the build reads as its context
    #[arg(long, default_value = ".", value_name = "DIRECTORY", value_hint = ValueHint::DirPath)]
    pub(super) context: PathBuf,
    /// Makes an image of this name
    #[arg(long, short, value_name = "NAME")]
    pub(super) tag: Option<String>,
    /// Pushes the image to its registry
    #[arg(long, requires = "tag")]
    pub(super) push: bool,
    #[command(flatten)]
    pub(super) build: BuildOptions,
    /// Writes what the exporters answered, such as the image's digest, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,
}

impl Given {
    /// The options of the build, by BuildKit's names.
    pub(super) fn options(&self) -> Result<Vec<(String, String)>, String> {
        let mut options = Vec::new();
        for (option, prefix, list) in [
            ("--opt", "", &self.opt),
            ("--build-arg", "build-arg:", &self.build_arg),
            ("--label", "label:", &self.label),
        ] {
            for text in list {
                let (name, value) = pair(option, text)?;
                options.push((format!("{prefix}{name}"), value.to_owned()));
            }
        }
        for (name, value) in [("target", &self.target), ("platform", &self.platform)] {
            options.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        }
        Ok(options)
    }
}
