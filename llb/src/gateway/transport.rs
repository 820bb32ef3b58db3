//! How questions reach a gateway.
//!
//! Everything a build asks is one of a few calls. They are made as bytes, so that whatever answers them can be put
//! behind [`Build`](super::Build): a daemon over a connection or over stdin and stdout, the double of the tests, or a
//! recording.

use std::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use crate::client::LARGEST_MESSAGE;
use crate::proto::moby::buildkit::v1::frontend::ExecMessage;
use crate::session::RawCodec;

/// An answer that is waited for.
pub(crate) type Answer<T> = Pin<Box<dyn Future<Output = Result<T, Status>> + Send>>;

/// What a process in a container sends.
pub(crate) type ExecMessages = Pin<Box<dyn Stream<Item = Result<ExecMessage, Status>> + Send>>;

/// Something that answers the calls of the gateway.
pub(crate) trait Transport: Send + Sync {
    /// One question and its answer, both encoded.
    fn call(&self, method: Method, message: Bytes) -> Answer<Bytes>;

    /// A process in a container. The first message starts it.
    fn exec(&self, messages: mpsc::Receiver<ExecMessage>) -> Answer<ExecMessages>;

    /// Whether nobody is there to answer.
    fn is_offline(&self) -> bool {
        false
    }
}

macro_rules! methods {
    ($($name:ident),* $(,)?) => {
        /// A call of the gateway (`LLBBridge` of BuildKit's `frontend/gateway/pb/gateway.proto`).
        #[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
        pub(crate) enum Method {
            $($name,)*
        }

        impl Method {
            /// All calls that are one question and one answer.
            #[cfg(feature = "testing")]
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name of the call.
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)*
                }
            }

            const fn path(self) -> &'static str {
                match self {
                    $(Self::$name => concat!("/moby.buildkit.v1.frontend.LLBBridge/", stringify!($name)),)*
                }
            }
        }
    };
}

methods!(
    ResolveImageConfig,
    ResolveSourceMeta,
    Solve,
    ReadFile,
    ReadDir,
    StatFile,
    Evaluate,
    Ping,
    Return,
    Inputs,
    NewContainer,
    ReleaseContainer,
    Warn,
);

/// A daemon.
pub(crate) struct Daemon {
    channel: Channel,
    /// The build that calls belong to; a frontend's own connection needs none.
    build: Option<AsciiMetadataValue>,
}

impl Daemon {
    /// The gateway of a build over the connection of its client.
    pub(crate) fn of_build(channel: Channel, build: &str) -> Result<Self, Status> {
        let build = build.parse();
        Ok(Self {
            channel,
            build: Some(build.map_err(|_| Status::internal("build id is not ASCII"))?),
        })
    }

    /// The gateway at the other end of a frontend's own connection.
    pub(crate) fn of_frontend(channel: Channel) -> Self {
        Self {
            channel,
            build: None,
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(build) = &self.build {
            request
                .metadata_mut()
                .insert("buildkit-controlapi-buildid", build.clone());
        }
        request
    }

    async fn ready(channel: Channel) -> Result<Grpc<Channel>, Status> {
        let mut grpc = Grpc::new(channel).max_decoding_message_size(LARGEST_MESSAGE);
        grpc.ready()
            .await
            .map_err(|error| Status::from_error(Box::new(error)))?;
        Ok(grpc)
    }
}

impl Transport for Daemon {
    fn call(&self, method: Method, message: Bytes) -> Answer<Bytes> {
        let (channel, request) = (self.channel.clone(), self.request(message));
        Box::pin(async move {
            let path = PathAndQuery::from_static(method.path());
            let mut grpc = Self::ready(channel).await?;
            let answer = grpc.unary(request, path, RawCodec).await?;
            Ok(answer.into_inner())
        })
    }

    fn exec(&self, messages: mpsc::Receiver<ExecMessage>) -> Answer<ExecMessages> {
        let (channel, request) = (
            self.channel.clone(),
            self.request(ReceiverStream::new(messages)),
        );
        Box::pin(async move {
            let path =
                PathAndQuery::from_static("/moby.buildkit.v1.frontend.LLBBridge/ExecProcess");
            let mut grpc = Self::ready(channel).await?;
            let codec = ProstCodec::<ExecMessage, ExecMessage>::default();
            let answers = grpc.streaming(request, path, codec).await?.into_inner();
            Ok(Box::pin(answers.map(|message| message)) as ExecMessages)
        })
    }
}
