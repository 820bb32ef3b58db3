//! Writes results and complaints.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), String> {
    to_stdout(text.as_bytes())
}

/// Writes a file, or to standard output for `-`.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    if file == Path::new("-") {
        return to_stdout(bytes);
    }
    fs::write(file, bytes).map_err(|error| format!("failed to write {}: {error}", file.display()))
}

fn to_stdout(bytes: &[u8]) -> Result<(), String> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        // Whoever reads has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("failed to write to standard output: {error}")),
    }
}

/// Says on standard error what is wrong.
pub(crate) fn complain(message: &str) {
    let mut stderr = io::stderr().lock();
    let colors =
        stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let (error, hint) = if colors {
        ("\x1b[1;31merror:\x1b[0m", "\n\x1b[36mhint:\x1b[0m ")
    } else {
        ("error:", "\nhint: ")
    };
    let message = message.replace("\nhint: ", hint);
    // There is nowhere else to say that this failed.
    let _ = writeln!(stderr, "{error} {message}");
}
