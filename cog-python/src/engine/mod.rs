//! Running built images: the Docker engine and the prediction server inside a container.
//!
//! [`Engine`] starts a [`Container`]; the container answers [`ask`](Container::ask) and
//! must be ended with [`remove`](Container::remove), whatever happened in between.

mod command;
mod container;
mod http;
mod launch;

pub(crate) use container::{Container, Task};
pub(crate) use launch::{Gpus, Launch};

use std::path::Path;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use bollard::query_parameters::CreateImageOptions;
use bollard::{API_DEFAULT_VERSION, Docker};
use llb::client::Login;
use llb::value::ImageRef;
use tokio_stream::StreamExt;
use tokio_util::io::ReaderStream;

use crate::cli::Failure;
use crate::factory::LayerSize;
use crate::model::FoundImage;

/// Where engines listen on a computer when nothing else is said.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
/// Longest answer time of the engine itself.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(120);

/// A Docker engine on this computer. Clones share the connection.
#[derive(Clone)]
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

    /// Looks an image up in the engine's store.
    pub(crate) async fn find(&self, reference: &str) -> Result<Option<FoundImage>, Failure> {
        let image = match self.docker.inspect_image(reference).await {
            Ok(image) => image,
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => return Ok(None),
            Err(error) => {
                return Err(self.failure(&format!("look `{reference}` up"), &error));
            }
        };
        let labels = image.config.and_then(|config| config.labels);
        let digest = image
            .repo_digests
            .into_iter()
            .flatten()
            .find_map(|name| Some(name.split_once('@')?.1.to_owned()));
        Ok(Some(FoundImage {
            labels: labels.unwrap_or_default().into_iter().collect(),
            digest,
            size: image.size.and_then(|size| u64::try_from(size).ok()),
        }))
    }

    /// Sizes of the files of an image's layers, the lowest first. Steps that wrote nothing are left out.
    pub(crate) async fn layers(&self, reference: &str) -> Result<Vec<LayerSize>, Failure> {
        let history = self.docker.image_history(reference).await;
        let history =
            history.map_err(|error| self.failure(&format!("look `{reference}` up"), &error))?;
        let layers = history.into_iter().rev().filter_map(|step| {
            let bytes = u64::try_from(step.size).ok().filter(|bytes| *bytes > 0)?;
            Some(LayerSize {
                name: step.created_by,
                bytes,
                digest: None,
            })
        });
        Ok(layers.collect())
    }

    /// Fetches an image from its registry, with the login of this user.
    pub(crate) async fn pull(&self, reference: &ImageRef, platform: &str) -> Result<(), Failure> {
        let login = Login::of_docker_config(reference.domain())
            .await
            .map_err(|reason| {
                Failure::new(format!(
                    "the login of registry `{}` cannot be read: {reason}",
                    reference.domain()
                ))
            })?;
        let credentials = login.map(|login| {
            let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            // A login without a user is a token.
            let (password, token) = match login.user() {
                "" => (None, text(login.secret())),
                _ => (text(login.secret()), None),
            };
            DockerCredentials {
                username: text(login.user()),
                password,
                identitytoken: token,
                serveraddress: text(reference.domain()),
                ..DockerCredentials::default()
            }
        });
        let options = CreateImageOptions {
            from_image: Some(reference.as_str().to_owned()),
            platform: platform.to_owned(),
            ..CreateImageOptions::default()
        };
        let mut answers =
            std::pin::pin!(self.docker.create_image(Some(options), None, credentials));
        while let Some(answer) = answers.next().await {
            answer
                .map_err(|error| self.failure(&format!("pull `{}`", reference.as_str()), &error))?;
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
