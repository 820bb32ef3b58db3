//! Pushes an image that is in a Docker engine's store.
//!
//! The BuildKit of an engine without containerd's image store cannot push: it takes the attribute
//! and does nothing. The engine's own API can, so that one `push` means one thing everywhere.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::SystemTime;

use hyper::body::{Body as _, Incoming};
use hyper::http::Request;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tonic::body::Body;

use super::error::{Error, ErrorKind};
use super::watch::Watch;
use super::{Client, transport};
use crate::progress::{Event, Vertex};
use crate::session::{HUB_HOST, Logins};

/// Pushes an image by its name; gives the digest of its manifest.
pub(crate) async fn push(
    client: &Client,
    name: &str,
    logins: &Logins,
    watch: &mut Watch<'_>,
) -> Result<Option<String>, Error> {
    let mut vertex = Vertex {
        digest: format!("push:{name}"),
        name: format!("pushing {name} with docker"),
        started: Some(SystemTime::now()),
        ..Vertex::default()
    };
    watch.report(&Event::Vertex(vertex.clone()));
    let result = send(client, name, logins).await;
    vertex.completed = Some(SystemTime::now());
    vertex.error = result.as_ref().err().cloned();
    watch.report(&Event::Vertex(vertex));
    result.map_err(|reason| {
        Error::new(ErrorKind::Export, format!("cannot push {name}: {reason}")).hint(
            "the image is in the engine; try `docker push` for more about the registry's answer",
        )
    })
}

async fn send(client: &Client, name: &str, logins: &Logins) -> Result<Option<String>, String> {
    let (repository, tag) = split_tag(name);
    let host = registry_host(repository);
    let login = logins.find(host).await?;
    let broken = |error: &dyn std::error::Error| format!("the engine's API: {error}");
    let pipe = transport::open(client.address())
        .await
        .map_err(|error| broken(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(pipe))
        .await
        .map_err(|error| broken(&error))?;
    let request = Request::post(format!("/images/{repository}/push?tag={tag}"))
        .header("Host", "docker")
        .header("X-Registry-Auth", login.to_engine_header(host))
        .body(Body::empty())
        .map_err(|error| broken(&error))?;
    let answer = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status();
        let mut answer = Answer::default();
        answer
            .read(response.into_body())
            .await
            .map_err(|error| broken(&error))?;
        match answer.error {
            Some(error) => Err(error),
            None if status.is_success() => Ok(answer.digest),
            None => Err(format!("the engine answered {status}")),
        }
    };
    tokio::pin!(connection, answer);
    // The connection does its work beside the answer and may end first.
    tokio::select! {
        result = &mut answer => result,
        _ = &mut connection => answer.await,
    }
}

/// What a stream of JSON lines says of a push.
#[derive(Debug, Default)]
struct Answer {
    line: Vec<u8>,
    digest: Option<String>,
    error: Option<String>,
}

impl Answer {
    async fn read(&mut self, mut body: Incoming) -> hyper::Result<()> {
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            if let Ok(data) = frame?.into_data() {
                self.take(&data);
            }
        }
        self.take(b"\n");
        Ok(())
    }

    fn take(&mut self, data: &[u8]) {
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            if let Ok(line) = serde_json::from_slice::<Value>(&self.line) {
                let text = |pointer: &str| line.pointer(pointer)?.as_str().map(str::to_owned);
                let error = text("/errorDetail/message").or_else(|| text("/message"));
                self.error = self.error.take().or(error);
                self.digest = text("/aux/Digest").or(self.digest.take());
            }
            self.line.clear();
        }
    }
}

/// The repository and the tag of an image's name.
fn split_tag(name: &str) -> (&str, &str) {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, tag),
        _ => (name, "latest"),
    }
}

/// The registry host of a repository, as daemons name it.
fn registry_host(repository: &str) -> &str {
    match repository.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => HUB_HOST,
            _ => host,
        },
        _ => HUB_HOST,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, repository, tag, host) in [
            ("me/model", "me/model", "latest", HUB_HOST),
            ("me/model:2", "me/model", "2", HUB_HOST),
            ("docker.io/me/model:2", "docker.io/me/model", "2", HUB_HOST),
            (
                "127.0.0.1:5000/a/b",
                "127.0.0.1:5000/a/b",
                "latest",
                "127.0.0.1:5000",
            ),
            ("localhost/a:b", "localhost/a", "b", "localhost"),
        ] {
            assert_eq!(split_tag(name), (repository, tag));
            assert_eq!(registry_host(repository), host);
        }
    }

    #[test]
    fn the_engines_answer_is_read() {
        let mut answer = Answer::default();
        answer
            .take(b"{\"status\":\"Preparing\"}\r\n{\"progressDetail\":{},\"aux\":{\"Tag\":\"1\",");
        answer.take(b"\"Digest\":\"sha256:a\"}}\n");
        assert_eq!(
            (answer.digest.as_deref(), answer.error.is_none()),
            (Some("sha256:a"), true)
        );
        answer.take(b"{\"errorDetail\":{\"message\":\"denied\"},\"error\":\"denied\"}");
        answer.take(b"\n");
        assert_eq!(answer.error.as_deref(), Some("denied"));
    }
}
