//! What a graph is marshalled for.

use std::sync::Arc;

use crate::constraints::{Constrain, Constraints};
use crate::sourcemap::CallerLocations;
use crate::value::{CapabilitySet, Platform};

/// The platform a graph is marshalled for, and constraints that apply to every op.
///
/// There is no default platform taken from the machine: the same call gives the same definition everywhere.
///
/// ```
/// use llb::prelude::*;
///
/// let options = MarshalOptions::new("linux/arm64".parse()?).ignore_cache();
/// let definition = image("alpine").marshal(&options)?;
/// assert!(definition.metadata(definition.head()).unwrap().ignore_cache);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct MarshalOptions {
    pub(crate) data: Arc<MarshalData>,
}

/// Shared with the vertices that remember what they became.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MarshalData {
    pub(crate) platform: Platform,
    pub(crate) constraints: Constraints,
    pub(crate) caps: Option<CapabilitySet>,
    pub(crate) caller_locations: CallerLocations,
}

impl MarshalOptions {
    /// For a platform; every op without one of its own gets it, written as given.
    pub fn new(platform: Platform) -> Self {
        Self {
            data: Arc::new(MarshalData {
                platform,
                constraints: Constraints::default(),
                caps: None,
                caller_locations: CallerLocations::Off,
            }),
        }
    }

    /// For `linux/amd64`.
    pub fn linux_amd64() -> Self {
        Self::new(Platform::LINUX_AMD64)
    }

    /// For `linux/arm64`.
    pub fn linux_arm64() -> Self {
        Self::new(Platform::LINUX_ARM64)
    }

    /// The capabilities of the daemon that will run the graph.
    ///
    /// A daemon that does not set a default `PATH` by itself (`exec.meta.setsdefaultpath`) gets one with every exec
    /// that sets none, except for Windows. Without this call nothing is added.
    ///
    /// ```
    /// use llb::prelude::*;
    /// use llb::value::{Capability, CapabilitySet};
    ///
    /// let state = image("debian").run(sh("make"));
    /// let text = |caps| Ok::<_, llb::Error>(state.marshal(&MarshalOptions::linux_amd64().caps(caps))?.to_text());
    /// let old = CapabilitySet::new();
    /// assert!(text(old)?.contains(r#"env PATH="/usr/local/sbin:"#));
    /// assert!(!text(old.with(Capability::ExecMetaSetsDefaultPath))?.contains("env PATH"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[must_use = "this returns the changed options"]
    pub fn caps(mut self, caps: CapabilitySet) -> Self {
        self.data_mut().caps = Some(caps);
        self
    }

    /// What the definition tells of the lines of the program that made its ops; nothing by default.
    ///
    /// BuildKit sends the lines back when the op fails. Digests do not change.
    ///
    /// ```
    /// use llb::CallerLocations;
    /// use llb::prelude::*;
    ///
    /// let options = MarshalOptions::linux_amd64().caller_locations(CallerLocations::Positions);
    /// let definition = image("alpine").marshal(&options)?;
    /// assert!(definition.source_infos()[0].filename().ends_with(".rs"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[must_use = "this returns the changed options"]
    pub fn caller_locations(mut self, locations: CallerLocations) -> Self {
        self.data_mut().caller_locations = locations;
        self
    }

    /// The platform that the graph is marshalled for.
    pub fn target_platform(&self) -> &Platform {
        &self.data.platform
    }

    /// The capabilities of the daemon, if they were [given](Self::caps).
    pub fn known_caps(&self) -> Option<CapabilitySet> {
        self.data.caps
    }

    fn data_mut(&mut self) -> &mut MarshalData {
        Arc::make_mut(&mut self.data)
    }
}

impl MarshalData {
    /// The unique id of local sources that have none of their own: empty unless [`Constrain::local_unique_id`] set it.
    pub(crate) fn unique_id(&self) -> &str {
        self.constraints
            .options()
            .local_unique_id
            .as_deref()
            .unwrap_or_default()
    }
}

impl Constrain for MarshalOptions {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.data_mut().constraints
    }

    fn platform(mut self, platform: Platform) -> Self {
        self.data_mut().platform = platform;
        self
    }
}
