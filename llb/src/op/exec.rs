//! Execs as the wire has them: a command, its context and its mounts.

use std::sync::Arc;

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::state::context::Context;

/// Most commands have few arguments.
pub(crate) type Args = SmallVec<[SmolStr; 4]>;

/// `ExecOp`: a command that runs on mounts.
#[derive(Clone, Debug)]
pub(crate) struct ExecOp {
    pub(crate) args: Args,
    pub(crate) context: Arc<Context>,
    /// Sorted by target; the order of equal targets is the order in which they were given.
    pub(crate) mounts: SmallVec<[MountOp; 2]>,
    pub(crate) secrets: Vec<SecretOp>,
    pub(crate) ssh: Vec<SshOp>,
    pub(crate) devices: Vec<DeviceOp>,
    pub(crate) proxy: Option<Box<ProxyEnv>>,
    pub(crate) valid_exit_codes: Vec<i32>,
}

impl ExecOp {
    /// A command with nothing else.
    pub(crate) fn new(args: Args) -> Self {
        Self {
            args,
            context: Context::rooted(),
            mounts: SmallVec::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            devices: Vec::new(),
            proxy: None,
            valid_exit_codes: Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct MountOp {
    /// Position among the inputs of the vertex; none is scratch.
    pub(crate) source: Option<u32>,
    pub(crate) target: SmolStr,
    pub(crate) selector: SmolStr,
    pub(crate) readonly: bool,
    pub(crate) kind: MountKind,
    pub(crate) content_cache: ContentCache,
    /// Position among the outputs of the exec.
    pub(crate) output: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind,
    Cache { id: SmolStr, sharing: Sharing },
    Tmpfs { size: i64 },
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

#[derive(Clone, Debug)]
pub(crate) struct SecretOp {
    pub(crate) id: String,
    pub(crate) target: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct SshOp {
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) optional: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct DeviceOp {
    pub(crate) name: String,
    pub(crate) optional: bool,
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
