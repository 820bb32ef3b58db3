//! Being asked to end: Ctrl-C, and the signal that systems send.

use std::io;

use super::Failure;

/// Signals that ask the program to end, remembered from the moment of [`listen`](Self::listen) on.
///
/// Listening replaces the signals' default action, which would leave containers behind.
pub(super) struct Interrupts {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

impl Interrupts {
    /// Starts listening; needs a runtime.
    pub(super) fn listen() -> Result<Self, Failure> {
        let refused =
            |error: io::Error| Failure::new(format!("cannot listen for signals: {error}"));
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Ok(Self {
                terminate: signal(SignalKind::terminate()).map_err(refused)?,
                interrupt: signal(SignalKind::interrupt()).map_err(refused)?,
            })
        }
        #[cfg(not(unix))]
        {
            let _ = refused;
            Ok(Self {})
        }
    }

    /// Waits for a signal, or gives one that has come already.
    pub(super) async fn wait(&mut self) -> Failure {
        #[cfg(unix)]
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            // Nobody can interrupt then.
            std::future::pending::<()>().await;
        }
        Failure::interrupted()
    }
}
