//! The daemon as the system sees it.

use std::fs;

use llb::client::Address;

/// Ticks of the clock that `/proc` counts processor time in, a second.
const TICKS: f64 = 100.0;

/// The process that listens at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Daemon {
    process: Option<i32>,
}

impl Daemon {
    /// Who listens, if that is a socket of this machine.
    pub(crate) async fn find(address: &Address) -> Self {
        let process = match address.to_string().strip_prefix("unix://") {
            Some(path) => tokio::net::UnixStream::connect(path)
                .await
                .and_then(|stream| stream.peer_cred())
                .ok()
                .and_then(|peer| peer.pid()),
            None => None,
        };
        Self { process }
    }

    /// Seconds of processor time of the daemon and of what it ran and waited for.
    pub(crate) fn cpu(self) -> Option<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process?)).ok()?;
        // The name in parentheses may hold anything.
        let (_, fields) = stat.rsplit_once(") ")?;
        let ticks = fields.split(' ').skip(11).take(4);
        let ticks = ticks.filter_map(|ticks| ticks.parse::<f64>().ok());
        Some(ticks.sum::<f64>() / TICKS)
    }
}
