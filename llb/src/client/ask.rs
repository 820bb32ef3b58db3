//! Questions to a daemon that only a running build can ask.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::Client;
use super::connect::LARGEST_MESSAGE;
use super::drive::Job;
use super::error::{Error, ErrorKind};
use super::failure::call_error;
use super::solve::Solve;
use crate::proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use crate::proto::moby::buildkit::v1::frontend::{Result as BuildResult, ReturnRequest};

/// A daemon may need a while to start the build that is asked through, and to ask a registry.
const TIMEOUT: Duration = Duration::from_secs(120);

/// The gateway of one build.
pub(super) struct Bridge {
    pub(super) calls: LlbBridgeClient<Channel>,
    build: String,
}

impl Bridge {
    /// A call that says which build it belongs to.
    pub(super) fn request<T>(&self, message: T) -> Result<Request<T>, Status> {
        let mut request = Request::new(message);
        let build = self.build.parse();
        let build = build.map_err(|_| Status::internal("build id is not ASCII"))?;
        request
            .metadata_mut()
            .insert("buildkit-controlapi-buildid", build);
        Ok(request)
    }
}

impl Client {
    /// The gateway of a build that runs, or will run in a moment.
    pub(super) fn bridge(&self, build: &str) -> Bridge {
        Bridge {
            calls: LlbBridgeClient::new(self.channel()).max_decoding_message_size(LARGEST_MESSAGE),
            build: build.to_owned(),
        }
    }

    /// Starts an empty build, asks its gateway a question and ends it.
    pub(super) async fn ask<T>(
        &self,
        what: &str,
        question: impl AsyncFnOnce(Bridge) -> Result<T, Status>,
    ) -> Result<T, Error> {
        let job = Job::new(self, Solve::default())?;
        let answer = Mutex::new(None);
        let asking = {
            let (bridge, mut end) = (self.bridge(job.reference()), self.bridge(job.reference()));
            let answer = &answer;
            async move {
                let result = question(bridge).await;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                let empty = ReturnRequest {
                    result: Some(BuildResult::default()),
                    ..ReturnRequest::default()
                };
                let fail = |status: Status| call_error(what, &status);
                let request = end.request(empty).map_err(fail)?;
                end.calls.r#return(request).await.map_err(fail)?;
                Ok(())
            }
        };
        let mut ignore = |_: &_| {};
        let mut running = Box::pin(job.run(self, &mut ignore, asking));
        let ended = timeout(TIMEOUT, &mut running).await;
        let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (answer, ended) {
            // However the empty build ended, it has answered.
            (Some(answer), _) => answer.map_err(|status| call_error(what, &status)),
            (None, Ok(Err(error))) => Err(error),
            (None, _) => Err(Error::new(
                ErrorKind::Protocol,
                format!("{what} failed: the daemon did not answer"),
            )),
        }
    }
}
