//! What a daemon can do, asked before a build relies on it.

use std::collections::{BTreeMap, BTreeSet};

use super::Client;
use super::error::Error;
use crate::proto::moby::buildkit::v1::apicaps::ApiCap;
use crate::proto::moby::buildkit::v1::frontend::{PingRequest, PongResponse};

/// The capabilities a daemon announces.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    llb: BTreeSet<String>,
    frontend: BTreeSet<String>,
    disabled: BTreeMap<String, String>,
}

impl Capabilities {
    pub(crate) fn new(pong: PongResponse) -> Self {
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
    pub async fn capabilities(&self) -> Result<Capabilities, Error> {
        let pong = self.ask("asking for capabilities", async |mut bridge| {
            let request = bridge.request(PingRequest {})?;
            Ok(bridge.calls.ping(request).await?.into_inner())
        });
        Ok(Capabilities::new(pong.await?))
    }
}
