//! Which call goes where.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::http;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::executor::Spawner;
use super::raw::RawCodec;
use super::{Services, content, credential, filesend, filesync, secret, ssh, upload};
use crate::proto::fsutil::types::Packet;
use crate::proto::grpc::health::v1::health_check_response::ServingStatus;
use crate::proto::grpc::health::v1::{HealthCheckRequest, HealthCheckResponse};
use crate::proto::moby::buildkit::secrets::v1::GetSecretRequest;
use crate::proto::moby::filesync::v1::CredentialsRequest;
use crate::proto::moby::sshforward::v1::CheckAgentRequest;

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const FILE_SYNC: &str = "/moby.filesync.v1.FileSync/DiffCopy";
const FILE_SEND: &str = "/moby.filesync.v1.FileSend/DiffCopy";
const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";
const CHECK_AGENT: &str = "/moby.sshforward.v1.SSH/CheckAgent";
const FORWARD_AGENT: &str = "/moby.sshforward.v1.SSH/ForwardAgent";
const UPLOAD: &str = "/moby.upload.v1.Upload/Pull";
const CREDENTIALS: &str = "/moby.filesync.v1.Auth/Credentials";

const CONTENT_INFO: &str = "/containerd.services.content.v1.Content/Info";
const CONTENT_UPDATE: &str = "/containerd.services.content.v1.Content/Update";
const CONTENT_READ: &str = "/containerd.services.content.v1.Content/Read";
const CONTENT_STATUS: &str = "/containerd.services.content.v1.Content/Status";
const CONTENT_WRITE: &str = "/containerd.services.content.v1.Content/Write";

/// Largest message taken, in bytes.
const LARGEST_MESSAGE: usize = 64 << 20;

/// The methods to announce. Those of exports, agents, directories and layouts only if there are any: announced
/// without one, the daemon would call them and get an error it cannot explain.
pub(crate) fn methods(services: &Services) -> Vec<&'static str> {
    let mut methods = vec![HEALTH, GET_SECRET, CREDENTIALS];
    if !services.directories.is_empty() {
        methods.push(FILE_SYNC);
    }
    if !services.agents.is_empty() {
        methods.extend([CHECK_AGENT, FORWARD_AGENT]);
    }
    if !services.targets.is_empty() {
        methods.push(FILE_SEND);
    }
    if !services.uploads.is_empty() {
        methods.push(UPLOAD);
    }
    if !services.layouts.is_empty() {
        methods.extend([
            CONTENT_INFO,
            CONTENT_UPDATE,
            CONTENT_READ,
            CONTENT_STATUS,
            CONTENT_WRITE,
        ]);
    }
    methods
}

/// Answers one call.
pub(crate) async fn route(
    services: Arc<Services>,
    spawner: Spawner,
    request: http::Request<Incoming>,
) -> http::Response<Body> {
    let request = request.map(Body::new);
    match request.uri().path() {
        HEALTH => {
            let service = service_fn(|_: Request<HealthCheckRequest>| async {
                Ok::<_, Status>(Response::new(HealthCheckResponse {
                    status: ServingStatus::Serving.into(),
                }))
            });
            prost().unary(service, request).await
        }
        FILE_SYNC => {
            let service = service_fn(move |request: Request<Streaming<Packet>>| {
                std::future::ready(filesync::diff_copy(&services, request))
            });
            prost().streaming(service, request).await
        }
        FILE_SEND => {
            let service = service_fn(move |request| {
                let answer = filesend::diff_copy(Arc::clone(&services), &spawner, request);
                std::future::ready(answer)
            });
            Grpc::new(RawCodec)
                .apply_max_message_size_config(Some(LARGEST_MESSAGE), None)
                .streaming(service, request)
                .await
        }
        GET_SECRET => {
            let service = service_fn(move |request: Request<GetSecretRequest>| {
                std::future::ready(secret::get(&services, &request.into_inner().id))
            });
            prost().unary(service, request).await
        }
        CHECK_AGENT => {
            let service = service_fn(move |request: Request<CheckAgentRequest>| {
                std::future::ready(ssh::check(&services, &request.into_inner().id))
            });
            prost().unary(service, request).await
        }
        FORWARD_AGENT => {
            let service = service_fn(move |request| ssh::forward(Arc::clone(&services), request));
            prost().streaming(service, request).await
        }
        UPLOAD => {
            let service =
                service_fn(move |request| std::future::ready(upload::pull(&services, &request)));
            prost().streaming(service, request).await
        }
        CREDENTIALS => {
            let service = service_fn(move |request: Request<CredentialsRequest>| {
                credential::credentials(Arc::clone(&services), request.into_inner().host)
            });
            prost().unary(service, request).await
        }
        CONTENT_INFO => {
            let service =
                service_fn(move |request| std::future::ready(content::info(&services, &request)));
            prost().unary(service, request).await
        }
        CONTENT_UPDATE => {
            let service =
                service_fn(move |request| std::future::ready(content::update(&services, request)));
            prost().unary(service, request).await
        }
        CONTENT_READ => {
            let service =
                service_fn(move |request| std::future::ready(content::read(&services, request)));
            prost().server_streaming(service, request).await
        }
        CONTENT_STATUS => {
            let service = service_fn(|request| std::future::ready(content::status(&request)));
            prost().unary(service, request).await
        }
        CONTENT_WRITE => {
            let service =
                service_fn(move |request| std::future::ready(content::write(&services, request)));
            prost().streaming(service, request).await
        }
        path => {
            let status =
                Status::unimplemented(format!("method {path} is not served by this client"));
            status.into_http()
        }
    }
}

fn prost<Encode, Decode>() -> Grpc<ProstCodec<Encode, Decode>>
where
    Encode: prost::Message + Send + 'static,
    Decode: prost::Message + Default + Send + 'static,
{
    Grpc::new(ProstCodec::default()).apply_max_message_size_config(Some(LARGEST_MESSAGE), None)
}
