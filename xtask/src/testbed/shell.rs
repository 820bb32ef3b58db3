//! Runs programs and makes their failures readable.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::layout::Layout;
use super::process;

/// Lines of a log that an error quotes.
const QUOTED_LINES: usize = 15;

/// A command with the testbed's mark in its environment, so that a later run finds it when this
/// one is killed.
pub(crate) fn command(layout: &Layout, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    process::mark(&mut command, layout);
    // What cargo adds for our own program means nothing to Debian's.
    command.env_remove("LD_LIBRARY_PATH");
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO") {
            command.env_remove(name);
        }
    }
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// Runs `command` to its end with both outputs in the log file `log`; fails with its last lines.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = create_log(log)?;
    command.stdout(file.try_clone()?).stderr(file);
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", name(command)))?;
    if !status.success() {
        bail!(
            "{} ended with {status}; the end of {}:\n{}",
            name(command),
            log.display(),
            tail(log)
        );
    }
    Ok(())
}

/// Runs `command` and returns its standard output; fails with its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("cannot run {}", name(command)))?;
    if !output.status.success() {
        bail!(
            "{} ended with {}: {}",
            name(command),
            output.status,
            last_lines(&String::from_utf8_lossy(&output.stderr))
        );
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} did not print UTF-8", name(command)))
}

/// A new log file; missing folders are made.
pub(crate) fn create_log(log: &Path) -> Result<File> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create(log).with_context(|| format!("cannot write {}", log.display()))
}

/// The last lines of a file, indented, for an error message.
pub(crate) fn tail(path: &Path) -> String {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)) {
        Ok(_) => last_lines(&String::from_utf8_lossy(&bytes)),
        Err(error) => format!("  (cannot read it: {error})"),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    let start = lines.len().saturating_sub(QUOTED_LINES);
    let quoted: Vec<String> = lines[start..]
        .iter()
        .map(|line| format!("  {line}"))
        .collect();
    quoted.join("\n")
}

fn name(command: &Command) -> String {
    Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_quoted_with_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log/step.log");
        let mut command = Command::new("sh");
        command.args(["-c", "for i in $(seq 40); do echo line $i; done; exit 3"]);
        let error = run_logged(&mut command, &log).unwrap_err().to_string();
        assert!(error.contains("exit status: 3"), "{error}");
        assert!(error.contains("  line 40"), "{error}");
        assert!(!error.contains("line 25\n"), "{error}");
    }
}
