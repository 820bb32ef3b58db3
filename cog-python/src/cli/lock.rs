//! `lock`: the packages of a project, written down.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use super::args::LockCommand;
use super::{Failure, build, print, project};
use crate::plan::megabytes;

/// Chooses packages as a build does and writes the result as a `pylock.toml`.
///
/// A project that names the file with `python_requirements` is built from it, without choosing again.
pub(super) fn lock(command: &LockCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan)?;
    if project.plan.lock().is_none() {
        return Err(Failure::new(
            "the packages of this project are locked: its own lock names every file",
        )
        .hint("name what the lock is made of with `python_requirements` to lock it anew"));
    }
    let complete = build::complete(&project, &command.build, command.pin_images)?;
    let Some(lock) = complete.lock else {
        return Err(Failure::new("the builder made no lock"));
    };
    let text = lock.to_pylock();
    let output = command
        .output
        .as_deref()
        .unwrap_or(Path::new("pylock.toml"));
    if output == Path::new("-") {
        return print(&text);
    }
    let path = project.root.join(output);
    fs::write(&path, text)
        .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))?;
    let size: u64 = complete
        .plan
        .wheels()
        .into_iter()
        .flat_map(|(_, install)| install.wheels())
        .map(|wheel| wheel.size)
        .sum();
    // Nothing is left to tell a person whose terminal is gone.
    let _ = writeln!(
        io::stderr().lock(),
        "{} packages, {} of wheels; build from it with `python_requirements: {}`",
        lock.packages.len(),
        megabytes(size),
        output.display()
    );
    for (name, digest) in &lock.images {
        let _ = writeln!(io::stderr().lock(), "image {name}@{digest}");
    }
    print(&format!("{}\n", path.display()))
}
