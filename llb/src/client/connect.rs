//! Connecting: what listens, how it wants to be spoken to, and whether it answers.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::address::Address;
use super::discover::{self, Environment};
use super::error::{Error, ErrorKind};
use super::transport::{self, Answer, Protocol};
use super::{Client, ControlClient, Engine};
use crate::proto::moby::buildkit::v1::ListWorkersRequest;

/// From this API version on a Docker engine may take HTTP/2 directly.
const DIRECT_SINCE: (u32, u32) = (1, 53);
const SNAPSHOTTER_LABEL: &str = "org.mobyproject.buildkit.worker.snapshotter";
const FIRST_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest message taken from a daemon, in bytes. Go's clients take 16 MiB.
pub(crate) const LARGEST_MESSAGE: usize = 64 << 20;

impl Client {
    /// Connects to the daemon at an address and makes sure that it answers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`] if nothing listens there or what listens is no BuildKit.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let answer = transport::ask(address)
            .await
            .map_err(|error| unreachable(address, error))?;
        let (engine, direct) = match answer {
            Answer::Other => (Engine::BuildKit, true),
            Answer::Http { api_version } => (
                Engine::Docker {
                    api_version,
                    image_store: false,
                },
                api_version.is_some_and(|version| version >= DIRECT_SINCE)
                    && transport::speaks_http2(address).await,
            ),
        };
        if direct {
            match Self::connect_as(address, engine.clone(), Protocol::Direct).await {
                Err(_) if engine != Engine::BuildKit => {}
                result => return result,
            }
        }
        Self::connect_as(address, engine, Protocol::Upgrade).await
    }

    /// Connects to the daemon the environment names, or to a default one.
    ///
    /// The first of these that is set decides: `BUILDKIT_HOST`, `DOCKER_HOST`, the Docker context
    /// (`DOCKER_CONTEXT` or the current one). If none is, `/var/run/docker.sock` and
    /// `/run/buildkit/buildkitd.sock` are tried in turn. To name a daemon in the program, use
    /// [`Client::connect`].
    ///
    /// # Errors
    ///
    /// One error that lists every place tried, why each failed, and what to do.
    pub async fn discover() -> Result<Self, Error> {
        Self::discover_in(&Environment::of_process()).await
    }

    pub(crate) async fn discover_in(environment: &Environment) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for candidate in discover::candidates(environment) {
            let result = match &candidate.address {
                Ok(address) => Self::connect(address).await,
                Err(error) => Err(error.clone()),
            };
            match result {
                Ok(client) => return Ok(client),
                Err(error) => failures.push((candidate.origin, error)),
            }
        }
        Err(discover::nothing_found(&failures))
    }

    async fn connect_as(
        address: &Address,
        engine: Engine,
        protocol: Protocol,
    ) -> Result<Self, Error> {
        let first = transport::open_grpc(address, protocol)
            .await
            .map_err(|error| unreachable(address, error))?;
        let first = Arc::new(Mutex::new(Some(first)));
        let target = address.clone();
        let connector = tower::service_fn(move |_| {
            let (target, first) = (target.clone(), Arc::clone(&first));
            async move {
                let ready = first.lock().ok().and_then(|mut first| first.take());
                let pipe = match ready {
                    Some(pipe) => pipe,
                    None => transport::open_grpc(&target, protocol).await?,
                };
                Ok::<_, io::Error>(TokioIo::new(pipe))
            }
        });
        // The authority is never looked at: the connector decides where bytes go.
        let channel = Endpoint::from_static("http://localhost")
            .connect_with_connector(connector)
            .await
            .map_err(|error| unreachable(address, io::Error::other(error)))?;
        let mut client = Self {
            channel,
            address: address.clone(),
            engine,
        };
        let call = async {
            client
                .control()
                .list_workers(ListWorkersRequest::default())
                .await
        };
        match timeout(FIRST_CALL_TIMEOUT, call).await {
            Ok(Ok(workers)) => {
                if let Engine::Docker { image_store, .. } = &mut client.engine {
                    // The workers of an engine without it have no labels.
                    *image_store = workers
                        .get_ref()
                        .record
                        .iter()
                        .any(|worker| worker.labels.contains_key(SNAPSHOTTER_LABEL));
                }
                Ok(client)
            }
            Ok(Err(status)) => Err(unreachable(
                address,
                io::Error::other(format!("it is no BuildKit: {}", status.message())),
            )),
            Err(_) => Err(unreachable(
                address,
                io::Error::other("it does not answer to gRPC calls"),
            )),
        }
    }

    /// The control service of this connection.
    pub(crate) fn control(&self) -> ControlClient {
        ControlClient::new(self.channel.clone()).max_decoding_message_size(LARGEST_MESSAGE)
    }

    /// The connection itself, for the services a build offers while it runs.
    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// The error of an address where nothing useful answers.
fn unreachable(address: &Address, error: io::Error) -> Error {
    let (reason, hint) = match error.kind() {
        io::ErrorKind::NotFound => (
            "there is no such socket".to_owned(),
            "start the daemon, or name another address",
        ),
        io::ErrorKind::PermissionDenied => (
            "permission denied".to_owned(),
            "the socket needs permission: join the group that owns it, or run as root",
        ),
        io::ErrorKind::ConnectionRefused => (
            "nothing listens there".to_owned(),
            "start the daemon; the socket file may be left over from one that is gone",
        ),
        _ => (
            error.to_string(),
            "check that a BuildKit daemon or a Docker engine listens there",
        ),
    };
    Error::new(
        ErrorKind::Unreachable,
        format!("cannot reach a daemon at {address}: {reason}"),
    )
    .hint(hint)
    .caused_by(error)
}
