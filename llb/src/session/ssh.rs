//! Forwards ssh agents to steps that mount them. Keys stay on this machine.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::driven::Driven;
use super::{Problem, Services, random_id};
use crate::proto::moby::sshforward::v1::{BytesMessage, CheckAgentResponse};

const CHUNK: usize = 32 << 10;
const QUEUE: usize = 8;
/// Name of the socket of an agent of our own.
const SOCKET: &str = "agent.sock";
/// How long an agent of our own may take to listen.
const STARTING: Duration = Duration::from_secs(20);
/// The id of mounts that name none.
const DEFAULT: &str = "default";

/// An ssh agent of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshAgent(Origin);

#[derive(Clone, Debug, Eq, PartialEq)]
enum Origin {
    Environment,
    Socket(PathBuf),
    Keys(Vec<PathBuf>),
}

/// An agent that has been found, or one of our own that ends with it.
#[derive(Debug)]
pub(crate) enum OpenAgent {
    Found(PathBuf),
    Own(OwnAgent),
}

/// An `ssh-agent` for some keys, in a directory that only this user can enter.
#[derive(Debug)]
pub(crate) struct OwnAgent {
    socket: PathBuf,
    process: Child,
    directory: PathBuf,
}

impl SshAgent {
    /// The agent of this session: `SSH_AUTH_SOCK`, read when the build starts.
    pub fn env() -> Self {
        Self(Origin::Environment)
    }

    /// The agent that listens on a socket.
    pub fn socket(path: impl Into<PathBuf>) -> Self {
        Self(Origin::Socket(path.into()))
    }

    /// An agent with these private keys and no others. OpenSSH's `ssh-agent` and `ssh-add` run for the time of the build;
    /// keys with a passphrase have to be in an agent of one's own.
    pub fn keys(files: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self(Origin::Keys(files.into_iter().map(Into::into).collect()))
    }

    /// Finds the agent, or starts one.
    pub(crate) fn open(&self, id: &str) -> Result<OpenAgent, Problem> {
        let problem = |what: String| Problem::Secret(format!("ssh agent `{id}`: {what}"));
        let socket = match &self.0 {
            Origin::Socket(path) => path.clone(),
            Origin::Environment => std::env::var_os("SSH_AUTH_SOCK")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .ok_or_else(|| problem("SSH_AUTH_SOCK is not set, start `ssh-agent`".to_owned()))?,
            Origin::Keys(files) => {
                return OwnAgent::start(files).map(OpenAgent::Own).map_err(problem);
            }
        };
        if socket.exists() {
            Ok(OpenAgent::Found(socket))
        } else {
            let shown = socket.display();
            Err(problem(format!("no socket at {shown}")))
        }
    }
}

impl OpenAgent {
    fn socket(&self) -> &Path {
        match self {
            Self::Found(socket) => socket,
            Self::Own(agent) => &agent.socket,
        }
    }
}

impl OwnAgent {
    fn start(keys: &[PathBuf]) -> Result<Self, String> {
        let fail = |error: io::Error| format!("cannot make a directory for an agent: {error}");
        let name = format!("llb-agent-{}", random_id().map_err(fail)?);
        let directory = std::env::temp_dir().join(name);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(fail)?;
        let process = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(directory.join(SOCKET))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = process.map_err(|error| {
            drop(fs::remove_dir(&directory));
            format!("cannot run `ssh-agent` for keys: {error}")
        })?;
        let agent = Self {
            socket: directory.join(SOCKET),
            process,
            directory,
        };
        let start = Instant::now();
        while !agent.socket.exists() {
            if start.elapsed() > STARTING {
                return Err("`ssh-agent` does not start".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for key in keys {
            agent.add(key)?;
        }
        Ok(agent)
    }

    fn add(&self, key: &Path) -> Result<(), String> {
        let shown = key.display();
        let added = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", &self.socket)
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env_remove("DISPLAY")
            .stdin(Stdio::null())
            // Without a terminal to ask at, it does not wait for a passphrase.
            .process_group(0)
            .output();
        let added = added.map_err(|error| format!("cannot run `ssh-add`: {error}"))?;
        if added.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&added.stderr);
        let line = words
            .lines()
            .find(|line| !line.starts_with("Enter passphrase"));
        let why = line.unwrap_or("it has a passphrase; add it to an agent of your own");
        Err(format!("key {shown} cannot be used: {why}"))
    }
}

impl Drop for OwnAgent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Answers whether there is an agent.
pub(crate) fn check(services: &Services, id: &str) -> Result<Response<CheckAgentResponse>, Status> {
    find(services, id).map(|_| Response::new(CheckAgentResponse {}))
}

/// Joins a call with an agent.
pub(crate) async fn forward(
    services: Arc<Services>,
    request: Request<Streaming<BytesMessage>>,
) -> Result<Response<Driven<BytesMessage>>, Status> {
    let id = request
        .metadata()
        .get("buildkit.ssh.id")
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    let path = find(&services, id)?;
    let agent = UnixStream::connect(path)
        .await
        .map_err(|error| Status::unavailable(format!("ssh agent: {error}")))?;
    let (answers, receiver) = mpsc::channel(QUEUE);
    let work = copy(agent, request.into_inner(), answers);
    Ok(Response::new(Driven::new(receiver, work)))
}

fn find<'a>(services: &'a Services, id: &str) -> Result<&'a Path, Status> {
    let id = if id.is_empty() { DEFAULT } else { id };
    let path = services.agents.get(id).map(OpenAgent::socket);
    path.ok_or_else(|| Status::not_found(format!("ssh agent `{id}` was not given to this build")))
}

/// Copies both ways until the agent closes or the call ends.
async fn copy(
    mut agent: UnixStream,
    mut incoming: Streaming<BytesMessage>,
    answers: mpsc::Sender<Result<BytesMessage, Status>>,
) {
    let (mut reader, mut writer) = agent.split();
    let to_agent = async {
        while let Ok(Some(message)) = incoming.message().await {
            if writer.write_all(&message.data).await.is_err() {
                return;
            }
        }
        // Whoever sends no more may still wait for the last answer.
        drop(writer.shutdown().await);
    };
    let from_agent = async {
        let mut buffer = vec![0; CHUNK];
        while let Ok(length @ 1..) = reader.read(&mut buffer).await {
            let data = Bytes::copy_from_slice(&buffer[..length]);
            if answers.send(Ok(BytesMessage { data })).await.is_err() {
                return;
            }
        }
    };
    tokio::pin!(to_agent, from_agent);
    tokio::select! {
        () = &mut from_agent => {}
        () = &mut to_agent => from_agent.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_is_told_before_the_build() {
        let home = tempfile::tempdir().unwrap();
        let agent = SshAgent::socket(home.path().join("none"));
        let problem = agent.open("default").unwrap_err();
        assert!(
            problem.message().contains("ssh agent `default`: no socket"),
            "{problem:?}"
        );
    }

    #[test]
    fn keys_get_an_agent_of_their_own_that_ends_with_the_build() {
        let home = tempfile::tempdir().unwrap();
        for (name, passphrase) in [("key", ""), ("locked", "hunter2")] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", passphrase, "-f"])
                .arg(home.path().join(name))
                .status();
            assert!(made.unwrap().success());
        }
        let agent = SshAgent::keys([home.path().join("key")])
            .open("default")
            .unwrap();
        let listed = Command::new("ssh-add")
            .arg("-L")
            .env("SSH_AUTH_SOCK", agent.socket())
            .output()
            .unwrap();
        let public = fs::read_to_string(home.path().join("key.pub")).unwrap();
        assert_eq!(String::from_utf8_lossy(&listed.stdout), public);
        let directory = agent.socket().parent().unwrap().to_owned();
        drop(agent);
        assert!(!directory.exists());
        for (name, part) in [("locked", "cannot be used"), ("none", "No such file")] {
            let problem = SshAgent::keys([home.path().join(name)])
                .open("a")
                .unwrap_err();
            assert!(problem.message().contains(part), "{problem:?}");
        }
    }
}
