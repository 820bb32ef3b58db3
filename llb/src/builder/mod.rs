//! Builders: programs made of one build function.
//!
//! [`#[builder]`](macro@crate::builder) on a build function makes the program: a command line that builds, and that
//! prints the graph without any daemon. Put into an image, it is a frontend for `docker build`. The attribute is sugar
//! for [`Program`]:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use llb::builder::Program;
//! use llb::gateway::{Build, Frontend, Image, Result};
//! use llb::prelude::{image, sh};
//!
//! async fn build(cx: &mut Build) -> Result<Image> {
//!     let version = cx.build_arg("PYTHON").unwrap_or("3.13");
//!     Ok(image(format!("python:{version}-slim")).run(sh("pip install numpy")).into())
//! }
//!
//! fn main() -> ExitCode {
//!     Program::new("numpy-image").main(Frontend::new(build).describe("Python with numpy"))
//! }
//! ```
//!
//! | Command | What it does |
//! |---|---|
//! | `build` | builds, with a daemon: `-t NAME`, `--push`, `-o type=local,dest=out` |
//! | `text` | prints the graph in the text form |
//! | `graph` | draws it as a tree, or for Graphviz |
//! | `dump` | writes the definition, as `buildctl build` and `llb` read it |
//!
//! All but `build` ask nobody: a build function that looks at an image or a file cannot be shown without a daemon, and
//! says so. What the function depends on is given with `--opt`, `--build-arg`, `--target`, `--label` and `--platform`,
//! to all commands alike. Started by BuildKit, the program reads no arguments and serves the build that it was started
//! for.

mod arguments;
mod graphs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::client::{Export, Solve};
use crate::command_line::{output, wait};
use crate::gateway::{Build, Frontend, Image, Result, is_frontend};
use arguments::{Arguments, BuildArguments, Command, Given};

/// A program around a build function.
#[derive(Clone, Copy, Debug)]
#[must_use = "a program does nothing until its `main` is called"]
pub struct Program {
    name: &'static str,
    version: Option<&'static str>,
}

impl Program {
    /// A program of this name.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            version: None,
        }
    }

    /// Its version, which `--version` prints; no such option by default.
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// The whole program: a frontend if BuildKit started it, else what the arguments of the process say.
    ///
    /// Exit codes: 0 if all is well, 1 if something failed, 2 for a mistake on the command line, 130 after Ctrl-C.
    pub fn main<F, T>(self, build: Frontend<F>) -> ExitCode
    where
        F: AsyncFn(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        let done = if is_frontend() {
            let serving = async { build.serve().await.map_err(|error| error.to_string()) };
            wait(serving).map(|()| ExitCode::SUCCESS)
        } else {
            match self.parse(std::env::args_os(), build.description()) {
                Ok(arguments) => arguments.command.run(&build),
                Err(error) => {
                    // There is nowhere else to say that this failed.
                    let _ = error.print();
                    return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
                }
            }
        };
        done.unwrap_or_else(|message| {
            output::complain(&message);
            ExitCode::FAILURE
        })
    }

    fn parse(
        self,
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        about: &str,
    ) -> std::result::Result<Arguments, clap::Error> {
        let mut command = Arguments::command().name(self.name).bin_name(self.name);
        if !about.is_empty() {
            command = command.about(about.to_owned());
        }
        if let Some(version) = self.version {
            command = command.version(version);
        }
        let matches = command.try_get_matches_from(arguments)?;
        Arguments::from_arg_matches(&matches)
    }
}

impl Command {
    fn run<F, T>(self, build: &Frontend<F>) -> std::result::Result<ExitCode, String>
    where
        F: AsyncFn(&mut Build) -> Result<T>,
        T: Into<Image>,
    {
        let graphs = |given: Given| wait(graphs::of(build, given));
        match self {
            Self::Build(arguments) => return wait(run_build(*arguments, build)),
            Self::Text { given, full } => {
                output::print(&graphs(given)?.to_text(full))?;
            }
            Self::Graph { given, format } => {
                output::print(&graphs(given)?.drawn(format))?;
            }
            Self::Dump { given, output } => {
                let bytes = graphs(given)?.one()?.to_bytes();
                output::write_bytes(&output, &bytes)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn run_build<F, T>(
    arguments: BuildArguments,
    build: &Frontend<F>,
) -> std::result::Result<ExitCode, String>
where
    F: AsyncFn(&mut Build) -> Result<T>,
    T: Into<Image>,
{
    let mut solve = Solve::build()
        .local("context", &arguments.context)
        .local("dockerfile", &arguments.context);
    for (name, value) in arguments.given.options()? {
        solve = solve.attribute(name, value);
    }
    if let Some(tag) = &arguments.tag {
        solve = solve.export(Export::image(tag).push(arguments.push));
    }
    let solve = arguments.build.apply(solve)?;
    let client = arguments.daemon.connect().await?;
    let run = async |solve, display: &mut _| {
        client
            .build(solve, display, async |cx: &mut Build| build.build(cx).await)
            .await
    };
    let outcome = match arguments.build.run(solve, run).await? {
        Ok(outcome) => outcome,
        Err(code) => return Ok(code),
    };
    if let Some(digest) = outcome.image_digest() {
        output::print(&format!("{digest}\n"))?;
    }
    if let Some(file) = &arguments.metadata_file {
        output::write(file, format!("{}\n", outcome.metadata()).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::State;
    use crate::prelude::{image, sh};

    fn parse(arguments: &[&str]) -> std::result::Result<Arguments, String> {
        let arguments = std::iter::once(&"app").chain(arguments);
        let parsed = Program::new("app")
            .version("1.2")
            .parse(arguments, "An app");
        parsed.map_err(|error| error.to_string())
    }

    async fn build(cx: &mut Build) -> Result<Image> {
        let states = cx.platforms().iter().map(|platform| {
            let state = image("debian").label("arg", cx.build_arg("ARG").unwrap_or("none"));
            (
                platform.clone(),
                state.run(sh("make").env("T", cx.target().unwrap_or("all"))),
            )
        });
        Ok(Image::platforms(states))
    }

    fn graphs(arguments: &[&str]) -> std::result::Result<graphs::Graphs, String> {
        let Command::Text { given, .. } = parse(arguments)?.command else {
            return Err("not `text`".to_owned());
        };
        wait(graphs::of(&Frontend::new(build), given))
    }

    #[test]
    fn the_arguments_are_well_made() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_and_version_are_those_of_the_program() {
        let help = parse(&["--help"]).unwrap_err();
        assert!(help.starts_with("An app\n\nUsage: app <COMMAND>"), "{help}");
        for command in ["build", "text", "graph", "dump"] {
            assert!(
                help.contains(&format!("\n  {command} ")),
                "{command}: {help}"
            );
        }
        assert_eq!(parse(&["--version"]).unwrap_err(), "app 1.2\n");
    }

    #[test]
    fn the_function_gets_what_is_given() {
        let given = ["text", "--build-arg", "ARG=a=b", "--target", "app"];
        let text = graphs(&given).unwrap().to_text(false);
        assert!(text.contains("env T=\"app\""), "{text}");
        assert!(text.starts_with("platform linux/amd64\n"), "{text}");
        let found = graphs(&["text", "--platform", "linux/arm64"]).unwrap();
        assert!(found.to_text(false).starts_with("platform linux/arm64\n"));
        assert!(found.one().is_ok());
    }

    #[test]
    fn several_platforms_are_shown_one_after_the_other_and_dumped_one_by_one() {
        let found = graphs(&["text", "--platform", "linux/amd64,linux/arm64"]).unwrap();
        let text = found.to_text(false);
        assert!(
            text.starts_with("# linux/amd64\nplatform linux/amd64\n"),
            "{text}"
        );
        assert!(
            text.contains("\n\n# linux/arm64\nplatform linux/arm64\n"),
            "{text}"
        );
        let tree = found.drawn(arguments::Format::Tree);
        assert_eq!(tree.matches("# linux/").count(), 2, "{tree}");
        assert_eq!(
            found.one().unwrap_err(),
            "the build makes graphs for linux/amd64, linux/arm64, and a definition is one\nhint: choose one with --platform"
        );
    }

    #[test]
    fn mistakes_on_the_command_line_are_told() {
        for (arguments, part) in [
            (&["text", "--platform", "linux"][..], "option `platform`"),
            (&["text", "--opt", "x"], "expected `name=value`"),
            (&["text", "--build-arg", "=x"], "expected `name=value`"),
        ] {
            let error = graphs(arguments).err().unwrap_or_default();
            assert!(error.contains(part), "{arguments:?}: {error}");
        }
        let error = parse(&["build", "--push"]).unwrap_err();
        assert!(error.contains("--tag <NAME>"), "{error}");
    }

    #[test]
    fn mistakes_in_the_graph_are_told_for_every_platform() {
        async fn broken(_: &mut Build) -> Result<State> {
            Ok(image("Debian").run(sh("true")))
        }
        let Command::Text { given, .. } = parse(&["text"]).unwrap().command else {
            panic!("`text` is a command");
        };
        let error = wait(graphs::of(&Frontend::new(broken), given))
            .err()
            .unwrap_or_default();
        assert!(error.contains("must be lowercase"), "{error}");
        assert!(error.contains("builder/mod.rs:"), "{error}");
    }

    #[test]
    fn a_function_that_looks_says_that_it_needs_a_daemon() {
        async fn looks(cx: &mut Build) -> Result<State> {
            cx.image("debian").await
        }
        let Command::Text { given, .. } = parse(&["text"]).unwrap().command else {
            panic!("`text` is a command");
        };
        let error = wait(graphs::of(&Frontend::new(looks), given))
            .err()
            .unwrap_or_default();
        assert!(error.contains("needs a daemon"), "{error}");
    }
}
