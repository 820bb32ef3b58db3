//! Opening, serving and closing a session.

use std::sync::Arc;

use hyper::rt::Executor as _;
use hyper::server::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tonic::metadata::{AsciiMetadataValue, MetadataMap};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::executor::TaskGroup;
use super::pipe::{self, Pulse, SessionPipe};
use super::{Services, router};
use crate::proto::moby::buildkit::v1::control_client::ControlClient;

/// Flow control windows in bytes. They decide the speed of exports: the default of 64 KiB makes
/// large files more than twice as slow.
const WINDOW: u32 = 4 << 20;
const SEND_BUFFER: usize = 1 << 20;

/// An open session. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Session {
    id: String,
    tasks: TaskGroup,
    workers: TaskTracker,
    pulse: Pulse,
}

impl Session {
    /// Opens a session on a connection; `key` tells apart the caches of local sources.
    pub(crate) async fn open(
        control: &mut ControlClient<Channel>,
        id: String,
        key: &str,
        services: Arc<Services>,
    ) -> Result<Self, Status> {
        let (sender, outgoing) = pipe::outgoing();
        let mut request = Request::new(outgoing);
        announce(request.metadata_mut(), &id, key, &services)?;
        let incoming = control.session(request).await?.into_inner();

        let tasks = TaskGroup::default();
        let pulse = Pulse::default();
        let io = TokioIo::new(SessionPipe::new(incoming, sender, pulse.clone()));
        let workers = services.workers.clone();
        let spawner = tasks.spawner();
        let service = hyper::service::service_fn(move |request| {
            let (services, spawner) = (Arc::clone(&services), spawner.clone());
            async move {
                let response = router::route(services, spawner, request).await;
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        let connection = http2::Builder::new(tasks.spawner())
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .max_send_buf_size(SEND_BUFFER)
            .serve_connection(io, service);
        tasks.spawner().execute(async move {
            // The daemon closes its end whenever it is done with the session; what went wrong in a
            // call is reported by that call.
            drop(connection.await);
        });
        Ok(Self {
            id,
            tasks,
            workers,
            pulse,
        })
    }

    /// The id that builds name the session by.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// When the daemon was last heard of on this session, if ever.
    pub(crate) fn last_heard(&self) -> Option<Instant> {
        self.pulse.last()
    }

    /// Ends the session and waits until nothing of it runs any more.
    pub(crate) async fn close(self) {
        self.tasks.end().await;
        self.workers.close();
        self.workers.wait().await;
    }
}

fn announce(
    metadata: &mut MetadataMap,
    id: &str,
    key: &str,
    services: &Services,
) -> Result<(), Status> {
    let value = |text: &str| {
        AsciiMetadataValue::try_from(text)
            .map_err(|_| Status::invalid_argument("session key is not printable ASCII"))
    };
    metadata.insert("x-docker-expose-session-uuid", value(id)?);
    metadata.insert("x-docker-expose-session-name", value("llb")?);
    metadata.insert("x-docker-expose-session-sharedkey", value(key)?);
    for method in router::methods(services) {
        metadata.append("x-docker-expose-session-grpc-method", value(method)?);
    }
    Ok(())
}
