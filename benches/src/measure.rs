//! Runs programs and says what they took: time, processor time and memory.
//!
//! Each is started by a process of its own, which starts nothing else: so the memory that the system tells of is the
//! program's, and both sides of a comparison are started in the same way.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde::{Deserialize, Serialize};

/// The first argument of a process that is to run and measure what follows.
const MARK: &str = "--run-and-measure";

/// What a program took.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct Usage {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of processor time, in the program and in the kernel for it.
    pub cpu: f64,
    /// The most memory it had, in bytes.
    pub peak_memory: u64,
}

/// A program to be run.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    variables: Vec<(String, OsString)>,
    input: Option<PathBuf>,
}

impl Program {
    /// A program without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            arguments: Vec::new(),
            variables: Vec::new(),
            input: None,
        }
    }

    /// Adds arguments.
    #[must_use = "the arguments are in the value returned"]
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        let arguments = arguments.into_iter().map(|one| one.as_ref().to_owned());
        self.arguments.extend(arguments);
        self
    }

    /// Sets a variable of its environment.
    #[must_use = "the variable is in the value returned"]
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.push((name.to_owned(), value.into()));
        self
    }

    /// Gives it a file as its standard input.
    #[must_use = "the input is in the value returned"]
    pub fn input(mut self, file: &Path) -> Self {
        self.input = Some(file.to_owned());
        self
    }

    /// Runs it to its end.
    ///
    /// # Errors
    ///
    /// That it cannot be started, or failed, with the end of what it said.
    pub fn run(&self) -> io::Result<Usage> {
        self.run_and_listen().map(|(usage, _)| usage)
    }

    /// Runs it to its end; also gives what it wrote to standard error.
    ///
    /// # Errors
    ///
    /// As [`Program::run`].
    pub fn run_and_listen(&self) -> io::Result<(Usage, String)> {
        let input = match &self.input {
            Some(path) => Stdio::from(File::open(path)?),
            None => Stdio::null(),
        };
        let output = Command::new(std::env::current_exe()?)
            .arg(MARK)
            .arg(&self.path)
            .args(&self.arguments)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(input)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if !output.status.success() {
            let lines: Vec<&str> = said.lines().collect();
            let end = lines[lines.len().saturating_sub(20)..].join("\n");
            return Err(io::Error::other(format!(
                "{} failed: {end}",
                self.path.display()
            )));
        }
        Ok((serde_json::from_slice(&output.stdout)?, said))
    }
}

/// Does the work of a process that was started to run and measure another; `None` in every other process. To be called
/// first in `main`.
pub fn measuring() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != MARK {
        return None;
    }
    let program = arguments.next()?;
    let measured = run_and_measure(&program, arguments);
    let code = match measured {
        Ok((code, usage)) => {
            // Who asked is gone when this cannot be written.
            let text = serde_json::to_string(&usage).unwrap_or_default();
            drop(writeln!(io::stdout(), "{text}"));
            code
        }
        Err(error) => {
            drop(writeln!(io::stderr(), "{}: {error}", program.display()));
            1
        }
    };
    Some(ExitCode::from(code))
}

fn run_and_measure(
    program: &OsStr,
    arguments: impl Iterator<Item = OsString>,
) -> io::Result<(u8, Usage)> {
    let start = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .status()?;
    let wall = start.elapsed();
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let cpu = (usage.user_time() + usage.system_time()).num_microseconds();
    let kibibytes = u64::try_from(usage.max_rss()).unwrap_or(0);
    let usage = Usage {
        wall: wall.as_secs_f64(),
        cpu: Duration::from_micros(u64::try_from(cpu).unwrap_or(0)).as_secs_f64(),
        peak_memory: kibibytes * 1024,
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok((code.unwrap_or(1), usage))
}
