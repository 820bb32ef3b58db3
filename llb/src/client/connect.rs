//! Connecting: what listens, how it wants to be spoken to, and whether it answers.
//!
//! A connection is made and tried before it is given out, and nothing of that takes longer than the
//! timeouts of `transport` (10 seconds to accept, 10 to answer, 40 through a program such as ssh) and 30
//! seconds for the first call. A connection that breaks is made again for the next call; what ran over
//! it is lost and says so, because a daemon ends a build whose client is gone.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

use super::address::Address;
use super::context;
use super::discover::{self, Environment};
use super::error::{Attempt, Error, ErrorKind};
use super::transport::{self, Answer, Protocol};
use super::witness::Witness;
use super::{Client, ControlClient, Engine};
use crate::proto::moby::buildkit::v1::ListWorkersRequest;

/// From this API version on a Docker engine may take HTTP/2 directly.
const DIRECT_SINCE: (u32, u32) = (1, 53);
const SNAPSHOTTER_LABEL: &str = "org.mobyproject.buildkit.worker.snapshotter";
const FIRST_CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// Largest headers taken from a daemon, in bytes: what it says of a failed step, its command among it, is one of them.
const LONGEST_HEADERS: u32 = 16 << 20;
/// Largest message taken from a daemon, in bytes. Go's clients take 16 MiB.
pub(crate) const LARGEST_MESSAGE: usize = 64 << 20;

impl Client {
    /// Connects to the daemon at an address and makes sure that it answers.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unreachable`] if nothing listens there or what listens is no BuildKit, with the one
    /// [attempt](Error::attempts); [`ErrorKind::Address`] if a Docker context or builder cannot be used.
    pub async fn connect(address: &Address) -> Result<Self, Error> {
        let environment = Environment::of_process();
        let address = &context::follow(address, &environment)?;
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
    /// The first of these that is set decides: `BUILDKIT_HOST`, `BUILDX_BUILDER`, `DOCKER_HOST` (with `DOCKER_TLS_VERIFY`
    /// and `DOCKER_CERT_PATH`), the Docker context (`DOCKER_CONTEXT` or the current one). If none is, `/var/run/docker.sock` and
    /// `/run/buildkit/buildkitd.sock` are tried in turn. To name a daemon in the program, use
    /// [`Client::connect`].
    ///
    /// # Errors
    ///
    /// One error that lists every place tried, why each failed, and what to do; [`Error::attempts`] has them for
    /// programs.
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
                Err(error) => failures.push(Attempt {
                    origin: candidate.origin,
                    error,
                }),
            }
        }
        Err(discover::nothing_found(failures))
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
        let witness = Witness::default();
        let watching = witness.clone();
        let connector = tower::service_fn(move |_| {
            let (target, first, watching) = (target.clone(), Arc::clone(&first), watching.clone());
            async move {
                let ready = first.lock().ok().and_then(|mut first| first.take());
                let pipe = match ready {
                    Some(pipe) => pipe,
                    None => transport::open_grpc(&target, protocol).await?,
                };
                Ok::<_, io::Error>(TokioIo::new(watching.watch(pipe)))
            }
        });
        // The authority is never looked at: the connector decides where bytes go.
        let channel = Endpoint::from_static("http://localhost")
            .http2_max_header_list_size(LONGEST_HEADERS)
            .connect_with_connector(connector)
            .await
            .map_err(|error| {
                let seen = witness.error();
                unreachable(address, seen.unwrap_or_else(|| io::Error::other(error)))
            })?;
        let mut client = Self {
            channel,
            address: address.clone(),
            engine,
            capabilities: Arc::default(),
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
                match (address, witness.error()) {
                    // The pipe broke; if it was a program, that says why.
                    (Address::Dial(_) | Address::Tls(..), Some(seen)) => seen,
                    _ => io::Error::other(format!("it is no BuildKit: {}", status.message())),
                },
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
pub(super) fn unreachable(address: &Address, error: io::Error) -> Error {
    let (reason, hint) = match (address, error.kind()) {
        (Address::Dial(_), _) => (root_cause(&error), "run the command by hand to see more: "),
        (Address::Tls(..), _) => (
            root_cause(&error),
            "check the address, and the certificates on both sides",
        ),
        (Address::Tcp(_), io::ErrorKind::ConnectionRefused) => (
            "nothing listens there".to_owned(),
            "start the daemon with this address, and check host and port",
        ),
        (_, io::ErrorKind::NotFound) => (
            "there is no such socket".to_owned(),
            "start the daemon, or name another address",
        ),
        (_, io::ErrorKind::PermissionDenied) => (
            "permission denied".to_owned(),
            "the socket needs permission: join the group that owns it, or run as root",
        ),
        (_, io::ErrorKind::ConnectionRefused) => (
            "nothing listens there".to_owned(),
            "start the daemon; the socket file may be left over from one that is gone",
        ),
        _ => (
            root_cause(&error),
            "check that a BuildKit daemon or a Docker engine listens there",
        ),
    };
    let command = address.command_line().unwrap_or_default();
    Error::new(
        ErrorKind::Unreachable,
        format!("cannot reach a daemon at {address}: {reason}"),
    )
    .hint(format!("{hint}{command}"))
    .caused_by(error)
}

/// What a chain of errors comes down to. A program that led nowhere says so inside of what HTTP says.
fn root_cause(error: &io::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let inner = error.get_ref().map(|inner| inner as &dyn std::error::Error);
    let mut next = inner.or_else(|| cause.source());
    while let Some(deeper) = next {
        cause = deeper;
        next = deeper.source();
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::path::Path;

    use hyper::server::conn::http2;
    use hyper_util::rt::TokioExecutor;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{UnixListener, UnixStream};
    use tonic::{Request, Response, Status};
    use tonic_prost::ProstCodec;

    use super::*;
    use crate::proto::moby::buildkit::v1::ListWorkersResponse;

    /// How a double of a daemon speaks.
    #[derive(Clone, Copy, Eq, PartialEq)]
    enum Double {
        /// HTTP/2 only, as buildkitd.
        BuildKit,
        /// HTTP/1.1, with HTTP/2 after an upgrade.
        Engine,
        /// Both from the first byte.
        NewEngine,
        /// Of a new version, but HTTP/2 after an upgrade only, as behind a proxy.
        NewEngineBehindProxy,
        /// HTTP/1.1 and no gRPC at all.
        WebServer,
    }

    async fn serve(mut stream: UnixStream, double: Double) -> io::Result<()> {
        let mut start = [0; 4];
        stream.read_exact(&mut start).await?;
        let rest = match &start {
            b"PRI " if matches!(double, Double::BuildKit | Double::NewEngine) => start.to_vec(),
            b"PRI " => return stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await,
            _ if double == Double::BuildKit => return Ok(()),
            start => {
                let mut head = start.to_vec();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(stream.read_u8().await?);
                }
                if head.starts_with(b"GET ") {
                    let version = if double == Double::Engine {
                        "1.51"
                    } else {
                        "1.53"
                    };
                    let answer = format!("HTTP/1.1 200 OK\r\n\r\n{{\"ApiVersion\":\"{version}\"}}");
                    return stream.write_all(answer.as_bytes()).await;
                }
                if double == Double::WebServer {
                    return stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n").await;
                }
                stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
                    .await?;
                Vec::new()
            }
        };
        let (reader, writer) = stream.into_split();
        let io = tokio::io::join(io::Cursor::new(rest).chain(reader), writer);
        let service = hyper::service::service_fn(|request: hyper::Request<_>| async {
            let answer = tower::service_fn(|_: Request<ListWorkersRequest>| async {
                Ok::<_, Status>(Response::new(ListWorkersResponse::default()))
            });
            let request = request.map(tonic::body::Body::new);
            let mut grpc = tonic::server::Grpc::new(ProstCodec::default());
            Ok::<_, Infallible>(grpc.unary(answer, request).await)
        });
        let connection =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(io), service);
        connection.await.map_err(io::Error::other)
    }

    fn listen(path: &Path, double: Double) -> Address {
        let listener = UnixListener::bind(path).unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, double));
            }
        });
        Address::unix(path)
    }

    #[tokio::test]
    async fn every_kind_of_daemon_is_spoken_to_in_its_way() {
        let home = tempfile::tempdir().unwrap();
        let engine = |version| Engine::Docker {
            api_version: Some(version),
            image_store: false,
        };
        for (name, double, expected) in [
            ("b", Double::BuildKit, Engine::BuildKit),
            ("e", Double::Engine, engine((1, 51))),
            ("n", Double::NewEngine, engine((1, 53))),
            ("p", Double::NewEngineBehindProxy, engine((1, 53))),
        ] {
            let address = listen(&home.path().join(name), double);
            let client = Client::connect(&address).await.unwrap();
            assert_eq!(client.engine(), &expected, "{name}");
            assert_eq!(client.list_workers().await.unwrap(), [], "{name}");
        }
    }

    #[tokio::test]
    async fn what_speaks_no_grpc_is_no_daemon() {
        let home = tempfile::tempdir().unwrap();
        let address = listen(&home.path().join("w"), Double::WebServer);
        let error = Client::connect(&address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert!(error.to_string().contains("404 Not Found"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_program_that_leads_nowhere_says_why_whenever_it_ends() {
        for turn in 0..40 {
            let script = format!("echo 'no such place' >&2; exit {}", 1 + turn % 2);
            let address = Address::Dial(super::super::Dial::program("sh", ["-c", &script]));
            let error = Client::connect(&address).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unreachable);
            assert!(
                error.to_string().contains("`sh` says: no such place"),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_named_is_used_or_the_error_tells() {
        let home = tempfile::tempdir().unwrap();
        let address = listen(&home.path().join("e"), Double::Engine);
        let mut environment = Environment {
            docker_host: Some(address.to_string()),
            ..Environment::default()
        };
        let client = Client::discover_in(&environment).await.unwrap();
        assert_eq!(client.address(), &address);
        environment.buildkit_host = Some("unix:///no/such.sock".into());
        let error = Client::discover_in(&environment).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("BUILDKIT_HOST=unix:///no/such.sock: "),
            "{text}"
        );
        assert!(
            text.contains("no such socket") && !text.contains("DOCKER_HOST="),
            "{text}"
        );
    }
}
