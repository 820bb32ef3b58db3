//! Builds without a daemon.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::Status;

use super::build::{Build, Given};
use super::error::Result;
use super::transport::{Answer, ExecMessages, Method, Transport};
use crate::proto::moby::buildkit::v1::apicaps::ApiCap;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::value::CapabilitySet;

impl Build {
    /// A build without a daemon, for graphs that need no look at anything: to print what a build function makes.
    ///
    /// It builds for `linux/amd64` unless the options say otherwise, and can do everything that graphs may need.
    /// Whatever looks at something is an error that says so; the context is the whole directory, because what its
    /// `.dockerignore` leaves out is read when there is a daemon.
    ///
    /// ```
    /// use llb::gateway::Build;
    ///
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let cx = Build::offline([("target".to_owned(), "app".to_owned())]).unwrap();
    /// assert_eq!(cx.target(), Some("app"));
    /// let error = cx.image("debian").await.unwrap_err();
    /// assert!(error.to_string().contains("needs a daemon"));
    /// # });
    /// ```
    ///
    /// # Errors
    ///
    /// An option cannot be read, such as a platform.
    pub fn offline(options: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let given = Given {
            options: options.into_iter().collect(),
            ..Given::default()
        };
        let pong = wire::PongResponse {
            llb_caps: CapabilitySet::all()
                .iter()
                .map(|capability| ApiCap {
                    id: capability.name().to_owned(),
                    enabled: true,
                    ..ApiCap::default()
                })
                .collect(),
            ..wire::PongResponse::default()
        };
        Self::new(Arc::new(Offline), given, pong)
    }
}

struct Offline;

fn refusal(what: &str) -> Status {
    Status::unavailable(format!("`{what}` needs a daemon, and this build has none"))
}

impl Transport for Offline {
    fn call(&self, method: Method, _: Bytes) -> Answer<Bytes> {
        let status = refusal(method.name());
        Box::pin(async move { Err(status) })
    }

    fn exec(&self, _: mpsc::Receiver<wire::ExecMessage>) -> Answer<ExecMessages> {
        Box::pin(async move { Err(refusal("ExecProcess")) })
    }

    fn is_offline(&self) -> bool {
        true
    }
}
