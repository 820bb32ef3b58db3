//! Writes results and complaints.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;

/// Prints to standard output.
///
/// # Errors
///
/// Why nothing can be written.
pub fn print(text: &str) -> Result<(), String> {
    to_stdout(text.as_bytes())
}

/// Writes a file, or to standard output for `-`.
///
/// # Errors
///
/// Why nothing can be written, with the name of the file.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), String> {
    if file == Path::new("-") {
        return to_stdout(bytes);
    }
    fs::write(file, bytes).map_err(|error| format!("failed to write {}: {error}", file.display()))
}

/// Writes bytes that are not for people to a file, or to standard output for `-` unless that is a terminal.
///
/// # Errors
///
/// Why nothing can be written.
pub fn write_bytes(file: &Path, bytes: &[u8]) -> Result<(), String> {
    if file == Path::new("-") && io::stdout().is_terminal() {
        return Err(
            "the terminal would not show these bytes\nhint: name a file with `-o`, or pipe them on"
                .to_owned(),
        );
    }
    write(file, bytes)
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
pub fn complain(message: &str) {
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
