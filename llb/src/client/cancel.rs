//! Stops builds from outside.

use std::sync::Arc;

use tokio::sync::watch;

/// Stops the builds that were given it. Clones stop the same builds.
///
/// Dropping the future of [`Client::solve`](super::Client::solve) stops a build as well, but tells
/// nobody how that went. This waits until the daemon has stopped its steps, and the build ends with an
/// error of the kind [`Canceled`](super::ErrorKind::Canceled) that says so.
///
/// ```
/// use llb::client::{Cancel, Solve};
///
/// let cancel = Cancel::new();
/// let build = Solve::frontend("dockerfile.v0").cancel(&cancel);
/// // Somewhere else, when a signal comes:
/// cancel.cancel();
/// assert!(cancel.is_canceled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<watch::Sender<bool>>);

impl Cancel {
    /// A switch that has not been used.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops the builds, now and for ever.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }

    /// Whether builds have been stopped.
    pub fn is_canceled(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until builds are stopped.
    pub async fn canceled(&self) {
        // The sender lives as long as this does.
        drop(self.0.subscribe().wait_for(|canceled| *canceled).await);
    }
}
