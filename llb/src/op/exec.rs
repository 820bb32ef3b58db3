//! Execs as the wire has them.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::value::CapabilitySet;
use crate::value::platform::Platform;

/// `ExecOp`: a command that runs on mounts, written but for what only a marshal knows.
#[derive(Debug)]
pub(crate) struct ExecOp {
    /// The fields of the command (`Meta`), then those of each mount but its input, then the fields behind the mounts.
    pub(crate) wire: Vec<u8>,
    /// Where the environment ends, in the command.
    pub(crate) env_end: usize,
    /// Where the command ends.
    pub(crate) meta_end: usize,
    /// Whether the environment has a `PATH`.
    pub(crate) has_path: bool,
    /// Sorted by target; the order of equal targets is the order in which they were given.
    pub(crate) mounts: SmallVec<[MountOp; 2]>,
    pub(crate) caps: CapabilitySet,
    /// The platform of the state.
    pub(crate) platform: Option<Arc<Platform>>,
}

#[derive(Debug)]
pub(crate) struct MountOp {
    /// Position among the inputs of the vertex; none is scratch.
    pub(crate) source: Option<u32>,
    /// Position among the outputs of the exec.
    pub(crate) output: Option<u32>,
    /// The path of the source that is mounted; none is all of it.
    pub(crate) selector: Option<Box<str>>,
    /// Where its fields end; they begin where those before it end.
    pub(crate) end: usize,
}

/// How concurrent execs share a cache mount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Sharing {
    /// All of them use it at once.
    #[default]
    Shared,
    /// Each gets one of its own while another is in use.
    Private,
    /// Each waits until it is free.
    Locked,
}

/// Whether the content of a mount, instead of its definition, is part of the cache key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ContentCache {
    /// The daemon decides.
    #[default]
    Default,
    /// By content.
    On,
    /// By definition.
    Off,
}

/// Proxy settings of an exec; not part of its cache key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyEnv {
    /// `HTTP_PROXY`.
    pub http_proxy: String,
    /// `HTTPS_PROXY`.
    pub https_proxy: String,
    /// `FTP_PROXY`.
    pub ftp_proxy: String,
    /// `NO_PROXY`.
    pub no_proxy: String,
    /// `ALL_PROXY`.
    pub all_proxy: String,
}
