//! Running other programs in the workspace.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Cargo's switch of what it keeps of a crate's compilation for the next one.
const INCREMENTAL: &str = "CARGO_INCREMENTAL";

/// The folder of the workspace.
pub(crate) fn workspace() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package
        .parent()
        .context("xtask is not inside the workspace")?;
    Ok(root.to_owned())
}

/// The cargo that runs this task, in the folder of the workspace.
///
/// In CI nothing is built twice: what cargo keeps to compile a changed crate faster would only fill the disk.
pub(crate) fn cargo<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Result<Command> {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace()?);
    if std::env::var_os("CI").is_some() && std::env::var_os(INCREMENTAL).is_none() {
        command.env(INCREMENTAL, "0");
    }
    Ok(command)
}

/// Runs a command under a title and fails if it fails.
#[expect(clippy::print_stderr, reason = "stderr is where a task reports to")]
pub(crate) fn step(title: &str, command: &mut Command) -> Result<()> {
    eprintln!("==> {title}");
    let start = Instant::now();
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    if !status.success() {
        bail!("{title} failed ({status})");
    }
    eprintln!("    {title}: {:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}
