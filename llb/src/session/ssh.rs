//! Forwards ssh agents to steps that mount them. Keys stay on this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tonic::{Request, Response, Status, Streaming};

use super::driven::Driven;
use super::{Problem, Services};
use crate::proto::moby::sshforward::v1::{BytesMessage, CheckAgentResponse};

const CHUNK: usize = 32 << 10;
const QUEUE: usize = 8;
/// The id of mounts that name none.
const DEFAULT: &str = "default";

/// An ssh agent of this machine.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SshAgent(Option<PathBuf>);

impl SshAgent {
    /// The agent of this session: `SSH_AUTH_SOCK`, read when the build starts.
    pub fn env() -> Self {
        Self(None)
    }

    /// The agent that listens on a socket.
    pub fn socket(path: impl Into<PathBuf>) -> Self {
        Self(Some(path.into()))
    }

    /// Where the agent listens.
    pub(crate) fn find(&self, id: &str) -> Result<PathBuf, Problem> {
        let problem = |what: String| Problem::Secret(format!("ssh agent `{id}`: {what}"));
        let path = match &self.0 {
            Some(path) => path.clone(),
            None => std::env::var_os("SSH_AUTH_SOCK")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .ok_or_else(|| problem("SSH_AUTH_SOCK is not set, start `ssh-agent`".to_owned()))?,
        };
        if path.exists() {
            Ok(path)
        } else {
            let shown = path.display();
            Err(problem(format!("no socket at {shown}")))
        }
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
    let path = services.agents.get(id).map(PathBuf::as_path);
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
        let problem = agent.find("default").unwrap_err();
        assert!(
            problem.message().contains("ssh agent `default`: no socket"),
            "{problem:?}"
        );
    }
}
