//! Builds without a daemon, for programs that only want to see the graph.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::Status;

use super::build::{Build, Given};
use super::error::Result;
use super::transport::{Answer, ExecMessages, Method, Transport};
use crate::proto::moby::buildkit::v1::frontend::ExecMessage;
use crate::value::Platform;

/// Nobody is there.
struct Offline;

impl Build {
    /// What a build function gets where there is no daemon: options, and the platform `linux/amd64` unless they name
    /// others. It can make its graph as long as it looks at nothing; every question is an error that says so. The context
    /// is the whole directory: what `.dockerignore` leaves out is read when there is a daemon.
    ///
    /// ```
    /// use llb::gateway::{Build, Image, Result};
    /// use llb::prelude::*;
    ///
    /// async fn build(cx: &mut Build) -> Result<Image> {
    ///     Ok(image("debian").run(sh("make")).label("target", cx.target().unwrap_or("all")).into())
    /// }
    ///
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// let mut cx = Build::offline([("target".to_owned(), "app".to_owned())])?;
    /// let image = build(&mut cx).await?;
    /// let (_, state) = image.states().next().unwrap();
    /// assert_eq!(state.image_config().labels["target"], "app");
    /// assert!(cx.resolve_image("debian").await.unwrap_err().to_string().contains("no daemon"));
    /// # Ok::<(), llb::gateway::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// An option that is wrong in itself, such as a platform that is none.
    pub fn offline(options: impl IntoIterator<Item = (String, String)>) -> Result<Self> {
        let given = Given {
            options: options.into_iter().collect(),
            ..Given::default()
        };
        Self::new(Arc::new(Offline), given, Platform::LINUX_AMD64, None)
    }

    pub(super) fn is_offline(&self) -> bool {
        self.marshal_options().known_caps().is_none()
    }
}

impl Transport for Offline {
    fn call(&self, _: Method, _: Bytes) -> Answer<Bytes> {
        Box::pin(std::future::ready(Err(nobody())))
    }

    fn exec(&self, _: mpsc::Receiver<ExecMessage>) -> Answer<ExecMessages> {
        Box::pin(std::future::ready(Err(nobody())))
    }
}

fn nobody() -> Status {
    Status::failed_precondition(
        "there is no daemon to ask: only the graph is wanted, and it depends on what a daemon would answer",
    )
}
