//! What a daemon can do, asked before a build relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tonic::{Request, Status};

use super::Client;
use super::connect::LARGEST_MESSAGE;
use super::drive::Job;
use super::error::{Error, ErrorKind};
use super::failure::call_error;
use super::solve::Solve;
use crate::proto::moby::buildkit::v1::apicaps::ApiCap;
use crate::proto::moby::buildkit::v1::frontend::llb_bridge_client::LlbBridgeClient;
use crate::proto::moby::buildkit::v1::frontend::{
    PingRequest, PongResponse, Result, ReturnRequest,
};

/// A daemon may need a while to start the build that is asked through.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The capabilities a daemon announces.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    llb: BTreeSet<String>,
    frontend: BTreeSet<String>,
    disabled: BTreeMap<String, String>,
}

impl Capabilities {
    fn new(pong: PongResponse) -> Self {
        let mut capabilities = Self::default();
        let mut enabled = |caps: Vec<ApiCap>| {
            let mut names = BTreeSet::new();
            for cap in caps {
                if cap.enabled {
                    names.insert(cap.id);
                } else {
                    let reason = cap.disabled_reason_msg;
                    capabilities.disabled.insert(cap.id, reason);
                }
            }
            names
        };
        let llb = enabled(pong.llb_caps);
        let frontend = enabled(pong.frontend_api_caps);
        Self {
            llb,
            frontend,
            ..capabilities
        }
    }

    /// Whether graphs may need an LLB capability, by BuildKit's name: `mergeop`, `exec.mount.ssh`.
    pub fn has(&self, name: &str) -> bool {
        self.llb.contains(name)
    }

    /// Whether graphs may have merge ops.
    pub fn has_merge(&self) -> bool {
        self.has("mergeop")
    }

    /// Whether graphs may have diff ops.
    pub fn has_diff(&self) -> bool {
        self.has("diffop")
    }

    /// All LLB capabilities.
    pub fn llb(&self) -> &BTreeSet<String> {
        &self.llb
    }

    /// All capabilities of the gateway, which builds use while they run.
    pub fn frontend(&self) -> &BTreeSet<String> {
        &self.frontend
    }

    /// Why the daemon says it lacks a capability; `None` if it has it or does not know it.
    pub fn disabled_reason(&self, name: &str) -> Option<&str> {
        self.disabled.get(name).map(String::as_str)
    }
}

impl Client {
    /// Asks what the daemon can do, so that a build can be made for it.
    ///
    /// A Docker engine with the containerd image store has merge ops, one without has not.
    /// Versions do not tell: Docker engines leave BuildKit's empty.
    pub async fn capabilities(&self) -> std::result::Result<Capabilities, Error> {
        // Only a running build can be asked, so an empty one is started, asked and ended.
        let job = Job::new(self, Solve::default())?;
        let answer = Arc::new(Mutex::new(None));
        let asking = {
            let (client, answer) = (self.clone(), Arc::clone(&answer));
            let reference = job.reference().to_owned();
            async move {
                let pong = client.ping(&reference).await?;
                *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(pong);
                Ok(())
            }
        };
        let mut ignore = |_: &_| {};
        let mut running = Box::pin(job.run(self, &mut ignore, asking));
        let ended = timeout(TIMEOUT, &mut running).await;
        let pong = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (pong, ended) {
            // However the empty build ended, it has answered.
            (Some(pong), _) => Ok(Capabilities::new(pong)),
            (None, Ok(Err(error))) => Err(error),
            (None, _) => Err(Error::new(
                ErrorKind::Protocol,
                "the daemon did not tell its capabilities",
            )),
        }
    }

    async fn ping(&self, reference: &str) -> std::result::Result<PongResponse, Error> {
        let mut bridge =
            LlbBridgeClient::new(self.channel()).max_decoding_message_size(LARGEST_MESSAGE);
        let fail = |status: Status| call_error("asking for capabilities", &status);
        let pong = bridge
            .ping(for_build(PingRequest {}, reference).map_err(fail)?)
            .await
            .map_err(fail)?
            .into_inner();
        let end = ReturnRequest {
            result: Some(Result::default()),
            ..ReturnRequest::default()
        };
        bridge
            .r#return(for_build(end, reference).map_err(fail)?)
            .await
            .map_err(fail)?;
        Ok(pong)
    }
}

/// A gateway call of one build.
fn for_build<T>(message: T, reference: &str) -> std::result::Result<Request<T>, Status> {
    let mut request = Request::new(message);
    let reference = reference
        .parse()
        .map_err(|_| Status::internal("build id is not ASCII"))?;
    request
        .metadata_mut()
        .insert("buildkit-controlapi-buildid", reference);
    Ok(request)
}
