//! The small program that `llb` puts into builds where an engine lacks an ability.
//!
//! It is linked statically and carried in the graph, so it runs on an empty root file system: no shell, no libraries, no
//! network. Each subcommand is a module with a `run` that takes its arguments; this file only dispatches.
//!
//! | subcommand | does |
//! |---|---|
//! | `apply` | lays the differences of states over a tree, as a merge op would |
//! | `inspect` | lists the distributions of wheels, and wheels that have different content for one path |
//! | `install` | installs wheels into a virtual environment |
//!
//! **Invariant.** What it writes depends on its arguments and the trees they name alone: no clock, no environment, no
//! order of a directory listing.

mod apply;
mod error;
mod inspect;
mod install;
mod options;

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

use error::Error;

#[expect(clippy::print_stderr, reason = "stderr is the step's log")]
fn main() -> ExitCode {
    match run(&env::args_os().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llb-helper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Result<(), Error> {
    let name = arguments.first().and_then(|name| name.to_str());
    match name {
        Some("apply") => apply::run(&arguments[1..]),
        Some("inspect") => inspect::run(&arguments[1..]),
        Some("install") => install::run(&arguments[1..]),
        _ => Err(Error::usage(
            "expected a subcommand: llb-helper apply …, llb-helper inspect … or llb-helper install …",
        )),
    }
}
