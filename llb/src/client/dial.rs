//! Daemons that are reached through a program: its standard input and output are the pipe.
//!
//! The programs and their arguments are those of buildctl's and Docker's own connection helpers. The
//! program lives as long as its pipe, and what it says on standard error is the reason of the error if
//! the pipe breaks off.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use super::address::invalid;
use super::error::Error;

/// How long a program may take to say why it ended.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// What is kept of standard error, in bytes.
const LONGEST_WORDS: u64 = 4096;

/// A program whose standard input and output lead to a daemon.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dial {
    text: String,
    program: String,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    /// Whether a Docker engine is behind it; else it is buildkitd.
    engine: bool,
}

impl Dial {
    /// Any program. It has to lead to a buildkitd, as `buildctl dial-stdio` does.
    pub fn program(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let program = program.into();
        let mut dial = Self {
            text: String::new(),
            program,
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            engine: false,
        };
        dial.text = dial.command_line();
        dial
    }

    /// Reads an address that buildctl knows too.
    pub(super) fn read(text: &str, scheme: &str, rest: &str) -> Result<Self, Error> {
        if scheme == "ssh" {
            let mut words = ssh(text, rest)?;
            words.remote.insert(0, "buildctl".to_owned());
            if let Some(socket) = words.socket {
                words
                    .remote
                    .extend(["--addr".to_owned(), format!("unix://{socket}")]);
            }
            words.remote.push("dial-stdio".to_owned());
            words.local.extend(words.remote);
            return Ok(Self::new(text, "ssh", words.local, false));
        }
        let (name, query) = rest.split_once('?').unwrap_or((rest, ""));
        let name = name.trim_end_matches('/');
        let (what, known): (_, &[&str]) = match scheme {
            "docker-container" => ("container", &["context"]),
            "nerdctl-container" => ("container", &["namespace"]),
            "kube-pod" => ("pod", &["context", "namespace", "container"]),
            _ => ("container", &[]),
        };
        if name.is_empty() {
            return Err(invalid(text, &format!("names no {what}")));
        }
        let is_sign = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_kubernetes =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let is_name =
            |name: &str, is: fn(char) -> bool| !name.starts_with('-') && name.chars().all(is);
        let is_good = match scheme {
            "kube-pod" => is_name(
                name.strip_prefix("deployment/").unwrap_or(name),
                is_kubernetes,
            ),
            _ => is_name(name, is_sign),
        };
        if !is_good {
            return Err(invalid(
                text,
                &format!("has `{name}`, which names no {what}"),
            ));
        }
        let mut fields = Vec::new();
        for field in query.split('&').filter(|field| !field.is_empty()) {
            match field.split_once('=') {
                Some((key, value)) if known.contains(&key) => fields.push((key, value)),
                Some((key, _)) => {
                    return Err(invalid(text, &format!("has the unknown field `{key}`")));
                }
                None => {
                    return Err(invalid(
                        text,
                        &format!("has `{field}`, expected `name=value`"),
                    ));
                }
            }
        }
        let option = |key: &str| {
            let found = fields
                .iter()
                .find(|(known, value)| *known == key && !value.is_empty());
            found.map(|(key, value)| format!("--{key}={value}"))
        };
        let mut arguments = Vec::new();
        arguments.extend(option("context"));
        arguments.extend(option("namespace"));
        arguments.push("exec".to_owned());
        let program = match scheme {
            "kube-pod" => {
                arguments.extend(option("container"));
                "kubectl"
            }
            "docker-container" => "docker",
            "nerdctl-container" => "nerdctl",
            _ => "podman",
        };
        arguments.extend(["-i".to_owned(), name.to_owned()]);
        if scheme == "kube-pod" {
            arguments.push("--".to_owned());
        }
        arguments.extend(["buildctl", "dial-stdio"].map(str::to_owned));
        Ok(Self::new(text, program, arguments, false))
    }

    /// Reads an address of a Docker engine on another machine.
    pub(super) fn docker_over_ssh(text: &str, rest: &str) -> Result<Self, Error> {
        let mut words = ssh(text, rest)?;
        words.remote.push("docker".to_owned());
        if let Some(socket) = words.socket {
            words
                .remote
                .extend(["--host".to_owned(), format!("unix://{socket}")]);
        }
        words
            .remote
            .extend(["system", "dial-stdio"].map(str::to_owned));
        words.local.extend(words.remote);
        Ok(Self::new(text, "ssh", words.local, true))
    }

    fn new(text: &str, program: &str, arguments: Vec<String>, engine: bool) -> Self {
        Self {
            text: text.to_owned(),
            program: program.to_owned(),
            arguments,
            environment: Vec::new(),
            engine,
        }
    }

    /// Runs the program with a variable.
    pub(super) fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether a Docker engine is behind the program.
    pub(super) fn is_engine(&self) -> bool {
        self.engine
    }

    /// The program and its arguments.
    pub(super) fn command_line(&self) -> String {
        let words = [&self.program].into_iter().chain(&self.arguments);
        words.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Starts the program.
    pub(super) fn open(&self) -> io::Result<DialPipe> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C is for the build to handle: it still has to be told to the daemon.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => io::Error::other(format!(
                "the program `{}` is not installed, or not in PATH",
                self.program
            )),
            _ => io::Error::other(format!("cannot run `{}`: {error}", self.program)),
        })?;
        let broken = || io::Error::other("the program has no pipes");
        Ok(DialPipe {
            input: child.stdin.take().ok_or_else(broken)?,
            output: child.stdout.take().ok_or_else(broken)?,
            end: End::Running(Some((self.program.clone(), child))),
        })
    }
}

impl fmt::Display for Dial {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

struct Ssh {
    local: Vec<String>,
    remote: Vec<String>,
    socket: Option<String>,
}

/// Reads `[user@]host[:port][/socket]`.
fn ssh(text: &str, rest: &str) -> Result<Ssh, Error> {
    let (authority, socket) = match rest.split_once('/') {
        Some((authority, socket)) => (authority, Some(format!("/{socket}"))),
        None => (rest, None),
    };
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, authority),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (host, None),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(invalid(text, "names no host"));
    }
    if user.is_some_and(|user| user.contains(':')) {
        // The text has the password, so it is not shown.
        return Err(invalid(
            "ssh://…",
            "has a password, which ssh does not take: use a key",
        ));
    }
    // A shell on the other side reads the socket.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+~%".contains(c);
    let parts = [Some(host), user, socket.as_deref()];
    if parts
        .iter()
        .flatten()
        .any(|part| part.starts_with('-') || !part.chars().all(is_plain))
    {
        return Err(invalid(text, "has signs that no host, user or socket has"));
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err(invalid(text, "has a port that is no number"));
    }
    // A question could not be answered: standard input is the pipe.
    let mut local = ["-T", "-o", "BatchMode=yes", "-o", "ConnectTimeout=30"]
        .map(str::to_owned)
        .to_vec();
    for (option, value) in [("-l", user), ("-p", port)] {
        if let Some(value) = value {
            local.extend([option.to_owned(), value.to_owned()]);
        }
    }
    local.extend(["--".to_owned(), host.to_owned()]);
    Ok(Ssh {
        local,
        remote: Vec::new(),
        socket: socket.filter(|socket| socket != "/"),
    })
}

/// The pipe through a program.
pub(super) struct DialPipe {
    input: ChildStdin,
    output: ChildStdout,
    end: End,
}

enum End {
    Running(Option<(String, Child)>),
    Ending(Pin<Box<dyn Future<Output = io::Result<()>> + Send>>),
}

impl AsyncRead for DialPipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let End::Running(child) = &mut this.end {
            let before = buffer.filled().len();
            let read = Pin::new(&mut this.output).poll_read(context, buffer);
            let is_over = matches!(read, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
            if !is_over || buffer.remaining() == 0 {
                return read;
            }
            let Some((program, child)) = child.take() else {
                return read;
            };
            this.end = End::Ending(Box::pin(last_words(program, child)));
        }
        match &mut this.end {
            End::Ending(ending) => {
                let ended = ending.as_mut().poll(context);
                if ended.is_ready() {
                    this.end = End::Running(None);
                }
                ended
            }
            End::Running(_) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for DialPipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.input).poll_write(context, data);
        match written {
            // Why it is gone is told to the reader.
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                Poll::Ready(Ok(data.len()))
            }
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(context)
    }
}

/// Why a program ended; nothing is wrong if it says so.
async fn last_words(program: String, mut child: Child) -> io::Result<()> {
    let stderr = child.stderr.take();
    let ending = async {
        let words = words(stderr).await;
        (child.wait().await, words)
    };
    let text = match timeout(LAST_WORDS, ending).await {
        Ok((Ok(status), _)) if status.success() => return Ok(()),
        Ok((Ok(status), words)) if words.is_empty() => format!("`{program}` ended with {status}"),
        Ok((_, words)) => format!("`{program}` says: {words}"),
        Err(_) => format!("`{program}` closed its output"),
    };
    Err(io::Error::new(io::ErrorKind::ConnectionAborted, text))
}

async fn words(stderr: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = stderr {
        drop(stderr.take(LONGEST_WORDS).read_to_end(&mut said).await);
    }
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<_> = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn the_program_is_the_pipe() {
        let mut pipe = Dial::program("cat", [""; 0]).open().unwrap();
        pipe.write_all(b"there and back").await.unwrap();
        let mut back = [0; 14];
        pipe.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"there and back");
    }

    #[tokio::test]
    async fn a_program_that_ends_says_why() {
        let script = "echo 'Permission denied' >&2; exit 255";
        let mut pipe = Dial::program("sh", ["-c", script]).open().unwrap();
        pipe.write_all(b"lost").await.unwrap();
        let error = pipe.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "`sh` says: Permission denied");
        let mut pipe = Dial::program("sh", ["-c", "exit 3"]).open().unwrap();
        let error = pipe.read_u8().await.unwrap_err();
        assert_eq!(error.to_string(), "`sh` ended with exit status: 3");
        let missing = Dial::program("no-such-program", [""; 0]).open();
        let error = missing.err().unwrap();
        assert!(error.to_string().contains("not installed"), "{error}");
    }
}
