//! Execs as the wire has them.

use std::sync::Arc;

use prost::Message as _;

use super::exec_message::write_exec;
use crate::proto::pb;
use crate::value::CapabilitySet;
use crate::value::platform::Platform;
use crate::wire::Writer;

/// `ExecOp`: a command that runs on mounts.
#[derive(Debug)]
pub(crate) struct ExecOp {
    /// The fields of the op, as they are on the wire unless a marshal [changes](Self::write_changed) them. Mounts count
    /// the inputs of the vertex.
    pub(crate) wire: Vec<u8>,
    pub(crate) caps: CapabilitySet,
    /// The platform of the state.
    pub(crate) platform: Option<Arc<Platform>>,
}

impl ExecOp {
    /// What the fields say, to be looked at or changed.
    pub(crate) fn message(&self) -> pb::ExecOp {
        pb::ExecOp::decode(&*self.wire).expect("what an exec wrote can be read")
    }

    /// Writes the fields with a `PATH`, if one is given and there is none, and with other numbers of inputs.
    pub(crate) fn write_changed(
        &self,
        writer: &mut Writer,
        path: Option<&str>,
        input: impl Fn(usize) -> i64,
    ) {
        let mut message = self.message();
        if let (Some(path), Some(meta)) = (path, &mut message.meta)
            && !meta.env.iter().any(|entry| entry.starts_with("PATH="))
        {
            meta.env.push(format!("PATH={path}"));
        }
        for mount in &mut message.mounts {
            // Scratch has no number.
            if let Ok(position) = usize::try_from(mount.input) {
                mount.input = input(position);
            }
        }
        write_exec(writer, &message);
    }
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
