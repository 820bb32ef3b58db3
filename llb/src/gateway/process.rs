//! Processes in containers.

use std::fmt;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::container::Container;
use super::error::{Error, Result};
use super::transport::ExecMessages;
use crate::client::call_error;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::moby::buildkit::v1::frontend::exec_message::Input;
use crate::proto::pb;

/// Bytes between this program and a process that may be on their way. Whoever does not read stops the process.
const BUFFER: usize = 64 << 10;
const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

/// What every process of a container starts with.
#[derive(Clone)]
pub(super) struct Start {
    pub(super) container: String,
    pub(super) meta: pb::Meta,
    pub(super) security: i32,
    pub(super) secrets: Vec<pb::SecretEnv>,
}

/// A command in a container, before it runs; made by [`Container::command`].
#[must_use = "a command runs when it is spawned or its output is taken"]
pub struct Command<'c> {
    container: &'c Container,
    start: Start,
    tty: bool,
    stdin: Stdin,
    stdout: Stdio,
    stderr: Stdio,
}

enum Stdin {
    Null,
    Piped,
    Bytes(Bytes),
}

/// What becomes of a stream of a process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Stdio {
    /// It is there to be read, and has to be: a process whose output nobody takes stops.
    #[default]
    Piped,
    /// It is dropped.
    Null,
}

impl<'c> Command<'c> {
    pub(super) fn new(container: &'c Container, start: Start) -> Self {
        Self {
            container,
            start,
            tty: false,
            stdin: Stdin::Null,
            stdout: Stdio::Piped,
            stderr: Stdio::Piped,
        }
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        let prefix = format!("{name}=");
        self.start
            .meta
            .env
            .retain(|entry| !entry.starts_with(&prefix));
        self.start.meta.env.push(format!("{prefix}{value}"));
        self
    }

    /// Runs in this directory.
    pub fn dir(mut self, path: impl Into<String>) -> Self {
        self.start.meta.cwd = path.into();
        self
    }

    /// Runs as this user: a name or an id, with an optional group behind `:`.
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.start.meta.user = user.into();
        self
    }

    /// Gives the process a terminal. Its output is then all on stdout, and [`Process::resize`] says how large it is.
    pub fn tty(mut self) -> Self {
        self.tty = true;
        self
    }

    /// Lets [`Process::stdin`] be written. Without it, the process has no input.
    pub fn stdin(mut self) -> Self {
        self.stdin = Stdin::Piped;
        self
    }

    /// The whole input of the process.
    pub fn stdin_bytes(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Stdin::Bytes(Bytes::from(bytes.into()));
        self
    }

    /// What becomes of the standard output.
    pub fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = stdout;
        self
    }

    /// What becomes of the standard error output.
    pub fn stderr(mut self, stderr: Stdio) -> Self {
        self.stderr = stderr;
        self
    }

    /// Starts the command.
    ///
    /// # Errors
    ///
    /// The daemon does not start it. That there is no such program, [`Process::wait`] tells.
    pub async fn spawn(self) -> Result<Process> {
        let mut fds = Vec::new();
        let has_stdin = !matches!(self.stdin, Stdin::Null);
        for (fd, wanted) in [
            (STDIN, has_stdin),
            (STDOUT, self.stdout == Stdio::Piped || self.tty),
            (STDERR, self.stderr == Stdio::Piped && !self.tty),
        ] {
            if wanted {
                fds.push(fd);
            }
        }
        let description = self.start.meta.args.join(" ");
        let valid_exit_codes = self.start.meta.valid_exit_codes.clone();
        let init = wire::InitMessage {
            container_id: self.start.container,
            meta: Some(self.start.meta),
            fds: fds.clone(),
            tty: self.tty,
            security: self.start.security,
            secretenv: self.start.secrets,
        };
        let (sender, receiver) = mpsc::channel(16);
        let sender = Sender(sender);
        sender.send(Input::Init(init)).await;
        let fail =
            |status: Status| Error::from(call_error(&format!("starting {description:?}"), &status));
        let messages = self
            .container
            .transport()
            .exec(receiver)
            .await
            .map_err(fail)?;

        let mut tasks = JoinSet::new();
        let pipe = |fd: u32| -> Option<(DuplexStream, DuplexStream)> {
            fds.contains(&fd).then(|| tokio::io::duplex(BUFFER))
        };
        let (stdin, stdin_inside) = unzip(pipe(STDIN));
        let (stdout, stdout_inside) = unzip(pipe(STDOUT));
        let (stderr, stderr_inside) = unzip(pipe(STDERR));
        if let Some(stdin) = stdin_inside {
            let sender = sender.clone();
            tasks.spawn(async move {
                send_input(stdin, &sender).await;
                Ok(None)
            });
        }
        let stdin = match (self.stdin, stdin) {
            (Stdin::Bytes(bytes), Some(mut stdin)) => {
                tasks.spawn(async move {
                    // A process may end without having read all of it.
                    drop(stdin.write_all(&bytes).await);
                    Ok(None)
                });
                None
            }
            (_, stdin) => stdin,
        };
        let keep = sender.clone();
        tasks.spawn(async move {
            let end = follow(messages, stdout_inside, stderr_inside).await;
            drop(keep);
            end.map(Some)
        });
        Ok(Process {
            stdin,
            stdout,
            stderr,
            sender,
            tasks,
            description,
            valid_exit_codes,
        })
    }

    /// Runs the command to its end.
    ///
    /// # Errors
    ///
    /// The command cannot be started, or the daemon goes away. Another exit code than 0 is none.
    pub async fn output(self) -> Result<Output> {
        let mut process = self.spawn().await?;
        drop(process.stdin.take());
        let (stdout, stderr) = (process.stdout.take(), process.stderr.take());
        let (stdout, stderr, status) =
            tokio::join!(read_all(stdout), read_all(stderr), process.wait());
        Ok(Output {
            status: status?,
            stdout,
            stderr,
        })
    }
}

impl fmt::Debug for Command<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables and input may be private.
        formatter
            .debug_struct("Command")
            .field("args", &self.start.meta.args)
            .finish_non_exhaustive()
    }
}

/// A running process; made by [`Command::spawn`]. Dropping it ends it.
pub struct Process {
    /// Its input, if [`Command::stdin`] asked for it. Dropping it is the end of the input.
    pub stdin: Option<DuplexStream>,
    /// Its output.
    pub stdout: Option<DuplexStream>,
    /// Its error output.
    pub stderr: Option<DuplexStream>,
    sender: Sender,
    tasks: JoinSet<Result<Option<wire::ExitMessage>, Status>>,
    description: String,
    valid_exit_codes: Vec<i32>,
}

/// How a process ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExitStatus {
    code: u32,
    valid: Vec<i32>,
    command: String,
}

/// What a process wrote, and how it ended; made by [`Command::output`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Output {
    /// How it ended.
    pub status: ExitStatus,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its error output.
    pub stderr: Vec<u8>,
}

impl Process {
    /// Says how large the terminal is.
    pub async fn resize(&self, rows: u32, columns: u32) {
        let cols = columns;
        self.sender
            .send(Input::Resize(wire::ResizeMessage { rows, cols }))
            .await;
    }

    /// Sends a signal by its name: `INT`, `TERM`, `KILL`; `SIG` in front or not.
    pub async fn signal(&self, name: &str) {
        let name = name.strip_prefix("SIG").unwrap_or(name).to_owned();
        self.sender
            .send(Input::Signal(wire::SignalMessage { name }))
            .await;
    }

    /// Waits for its end. What it still writes has to be read at the same time, or not to be piped.
    ///
    /// # Errors
    ///
    /// It could not be started, or the daemon goes away.
    pub async fn wait(mut self) -> Result<ExitStatus> {
        drop(self.stdin.take());
        let what = format!("running {:?}", self.description);
        while let Some(ended) = self.tasks.join_next().await {
            let Ok(ended) = ended else { continue };
            let Some(exit) = ended.map_err(|status| call_error(&what, &status))? else {
                continue;
            };
            let said = exit.error.map(|error| error.message).unwrap_or_default();
            // A process that never ran has the code of one that did not say why it ended.
            if exit.code != 0 && !said.contains("exit code: ") {
                return Err(Error::msg(format!("{what} failed: {said}")));
            }
            return Ok(ExitStatus {
                code: exit.code,
                valid: std::mem::take(&mut self.valid_exit_codes),
                command: std::mem::take(&mut self.description),
            });
        }
        Err(Error::msg(format!(
            "{what} failed: the daemon did not say how it ended"
        )))
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Process")
            .field(&self.description)
            .finish()
    }
}

impl ExitStatus {
    /// The exit code. Of a process that was killed, any but 0.
    pub fn code(&self) -> u32 {
        self.code
    }

    /// Whether the code is 0, or one that the exec [says is valid](crate::Exec::valid_exit_codes).
    pub fn is_success(&self) -> bool {
        match self.valid.as_slice() {
            [] => self.code == 0,
            valid => valid
                .iter()
                .any(|code| u32::try_from(*code) == Ok(self.code)),
        }
    }
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "exit code {}", self.code)
    }
}

impl Output {
    /// This output if the command succeeded.
    ///
    /// # Errors
    ///
    /// It did not: the error has its code and the last lines that it wrote.
    pub fn check(self) -> Result<Self> {
        if self.status.is_success() {
            return Ok(self);
        }
        let mut message = format!("{:?} ended with {}", self.status.command, self.status);
        let text = if self.stderr.is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let text = String::from_utf8_lossy(text);
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(20)..] {
            message.extend(["\n  ", line]);
        }
        Err(Error::msg(message))
    }

    /// The output as text, without white space at its end.
    ///
    /// # Errors
    ///
    /// It is not UTF-8.
    pub fn stdout_text(&self) -> Result<&str> {
        std::str::from_utf8(&self.stdout)
            .map(str::trim_end)
            .map_err(|_| {
                Error::msg(format!(
                    "the output of {:?} is not UTF-8",
                    self.status.command
                ))
            })
    }
}

/// The way to a process.
#[derive(Clone)]
struct Sender(mpsc::Sender<wire::ExecMessage>);

impl Sender {
    async fn send(&self, input: Input) {
        let message = wire::ExecMessage {
            // The stream has no other process.
            process_id: "1".to_owned(),
            input: Some(input),
        };
        // A process that has ended takes nothing more, which is no mistake.
        drop(self.0.send(message).await);
    }
}

async fn send_input(mut stdin: DuplexStream, sender: &Sender) {
    let mut buffer = vec![0; BUFFER];
    let file = |data, eof| {
        let fd = STDIN;
        Input::File(wire::FdMessage { fd, eof, data })
    };
    loop {
        match stdin.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                let data = Bytes::copy_from_slice(&buffer[..length]);
                sender.send(file(data, false)).await;
            }
        }
    }
    sender.send(file(Bytes::new(), true)).await;
}

/// Takes what a process sends, up to its end.
async fn follow(
    mut messages: ExecMessages,
    mut stdout: Option<DuplexStream>,
    mut stderr: Option<DuplexStream>,
) -> Result<wire::ExitMessage, Status> {
    let mut exit = None;
    while let Some(message) = messages.next().await {
        match message {
            Ok(message) => match message.input {
                Some(Input::File(file)) => {
                    let stream = match file.fd {
                        STDOUT => &mut stdout,
                        _ => &mut stderr,
                    };
                    // Whoever has stopped reading does not want the rest.
                    if let Some(pipe) = stream
                        && (pipe.write_all(&file.data).await.is_err() || file.eof)
                    {
                        *stream = None;
                    }
                }
                Some(Input::Exit(ended)) => exit = Some(ended),
                Some(Input::Done(_)) => break,
                _ => {}
            },
            Err(status) if exit.is_none() => return Err(status),
            Err(_) => break,
        }
        // A daemon is not done before the input has ended, which nobody reads any more.
        if exit.is_some() && stdout.is_none() && stderr.is_none() {
            break;
        }
    }
    exit.ok_or_else(|| Status::unknown("the daemon did not say how it ended"))
}

async fn read_all(stream: Option<DuplexStream>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        drop(stream.read_to_end(&mut bytes).await);
    }
    bytes
}

fn unzip<T>(pair: Option<(T, T)>) -> (Option<T>, Option<T>) {
    match pair {
        Some((left, right)) => (Some(left), Some(right)),
        None => (None, None),
    }
}
