//! Running built images: the Docker engine and the prediction server inside a container.
//!
//! [`Engine`] starts a [`Container`]; the container answers [`predict`](Container::predict) and
//! must be ended with [`remove`](Container::remove), whatever happened in between.

mod container;
mod http;

pub(crate) use container::Container;

use std::path::Path;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;

use crate::cli::Failure;

/// Where engines listen on a computer when nothing else is said.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// Longest answer time of the engine itself.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(120);

/// A Docker engine on this computer.
pub(crate) struct Engine {
    docker: Docker,
    host: String,
}

impl Engine {
    /// Connects to the engine at an address such as `unix:///var/run/docker.sock`.
    pub(crate) async fn connect(host: Option<&str>) -> Result<Self, Failure> {
        let host = host.unwrap_or(DEFAULT_HOST);
        let Some(path) = host.strip_prefix("unix://") else {
            return Err(Failure::new(format!(
                "a prediction needs an engine on this computer, `{host}` is not a unix socket"
            ))
            .hint("name one with `--docker-host unix:///path/of/docker.sock`"));
        };
        let unreachable = |error: &bollard::errors::Error| {
            Failure::new(format!(
                "cannot reach the Docker engine at `{host}`: {error}"
            ))
            .hint("start it, or name another one with `--docker-host` or DOCKER_HOST")
        };
        let docker = Docker::connect_with_unix(path, ENGINE_TIMEOUT.as_secs(), API_DEFAULT_VERSION)
            .map_err(|error| unreachable(&error))?;
        let docker = docker
            .negotiate_version()
            .await
            .map_err(|error| unreachable(&error))?;
        Ok(Self {
            docker,
            host: host.to_owned(),
        })
    }

    /// Takes over an image from an archive (`docker save`).
    pub(crate) async fn load(&self, archive: &Path) -> Result<(), Failure> {
        let unreadable =
            |error| Failure::new(format!("cannot read `{}`: {error}", archive.display()));
        let file = tokio::fs::File::open(archive).await.map_err(unreadable)?;
        let options = bollard::query_parameters::ImportImageOptions::default();
        let parts = ReaderStream::new(file);
        let mut answers = std::pin::pin!(self.docker.import_image_stream(options, parts, None));
        while let Some(answer) = answers.next().await {
            answer.map_err(|error| self.failure("load the image", &error))?;
        }
        Ok(())
    }

    /// Whether containers can have a network of their own.
    async fn has_bridge(&self) -> Result<bool, Failure> {
        let networks = self
            .docker
            .list_networks(None::<bollard::query_parameters::ListNetworksOptions>)
            .await
            .map_err(|error| self.failure("list its networks", &error))?;
        Ok(networks
            .iter()
            .any(|network| network.name.as_deref() == Some("bridge")))
    }

    fn failure(&self, action: &str, error: &bollard::errors::Error) -> Failure {
        Failure::new(format!(
            "the Docker engine at `{}` failed to {action}: {error}",
            self.host
        ))
    }
}
