//! The session: what the daemon asks of this machine while it builds.
//!
//! The client is the gRPC server here, over bytes that travel inside one call to the daemon
//! (`Control.Session`). It serves health checks (a daemon drops a session that does not answer
//! them), local directories (`filesync`), export targets (`filesend`), OCI layouts (`content`), uploads, secrets, ssh agents
//! and registry logins.
//! A method that is not announced when the session opens does not exist for the daemon.
//!
//! Everything a session runs ends with it: dropping it aborts its tasks.

mod base;
mod base64;
mod content;
mod credential;
mod directory;
pub(crate) mod docker_config;
mod driven;
mod executor;
mod filesend;
mod filesync;
mod filter;
mod follow;
mod layout;
mod local;
mod mode;
mod pattern;
mod pipe;
mod raw;
mod router;
mod secret;
mod ssh;
mod target;
mod upload;
mod walk;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use credential::Login;
pub use local::LocalDirectory;
pub use mode::FileKind;
pub use pattern::{PatternError, PatternSet};
pub use secret::Secret;
pub use ssh::SshAgent;
pub use upload::Upload;

pub(crate) use base::Session;
pub(crate) use base64::decode as base64_decode;
#[cfg(any(feature = "gateway", feature = "progress"))]
pub(crate) use base64::encode as base64_encode;
pub(crate) use content::Layouts;
pub(crate) use credential::{HUB_HOST, Logins};
pub(crate) use layout::{Layout, ManifestName};
pub(crate) use local::OpenDirectory;
#[cfg(feature = "gateway")]
pub(crate) use mode::{kind_of_go, permissions};
#[cfg(feature = "gateway")]
pub(crate) use raw::RawCodec;
pub(crate) use secret::SecretValue;
pub(crate) use ssh::OpenAgent;
pub(crate) use target::{Sink, Target, TargetKind, Targets};

/// What a session serves.
#[derive(Debug, Default)]
pub(crate) struct Services {
    pub(crate) directories: BTreeMap<String, OpenDirectory>,
    pub(crate) secrets: BTreeMap<String, SecretValue>,
    /// ssh agents by id.
    pub(crate) agents: BTreeMap<String, OpenAgent>,
    pub(crate) layouts: Layouts,
    pub(crate) logins: Logins,
    pub(crate) targets: Targets,
    /// Streams that the daemon downloads, by their names.
    pub(crate) uploads: BTreeMap<String, Upload>,
    pub(crate) problems: Problems,
    /// Threads that read and write files.
    pub(crate) workers: TaskTracker,
}

/// Something on this machine that makes the build fail.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Problem {
    /// A file or directory cannot be sent as it is.
    LocalFile(String),
    /// An export cannot be written.
    Export(String),
    /// A secret or credential cannot be read.
    Secret(String),
}

impl Problem {
    /// The text, for the daemon as well.
    pub(crate) fn message(&self) -> &str {
        match self {
            Self::LocalFile(text) | Self::Export(text) | Self::Secret(text) => text,
        }
    }
}

/// Where services leave the first problem, so that the build's error can start with its cause.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems(Arc<Mutex<Option<(Problem, Instant)>>>);

impl Problems {
    pub(crate) fn report(&self, problem: Problem) {
        if let Ok(mut first) = self.0.lock() {
            first.get_or_insert((problem, Instant::now()));
        }
    }

    pub(crate) fn first(&self) -> Option<Problem> {
        let first = self.0.lock().ok()?;
        first.as_ref().map(|(problem, _)| problem.clone())
    }

    /// A problem that no build survives, if it is older than `age`.
    pub(crate) fn fatal(&self, age: Duration) -> Option<Problem> {
        let first = self.0.lock().ok()?;
        let (problem, time) = first.as_ref()?;
        let fatal = matches!(problem, Problem::LocalFile(_) | Problem::Export(_));
        (fatal && time.elapsed() > age).then(|| problem.clone())
    }
}

/// A random id of 26 characters, unique for all practical purposes.
pub(crate) fn random_id() -> io::Result<String> {
    use io::Read as _;
    const ALPHABET: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut bytes = [0; 26];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(ALPHABET[usize::from(byte % 32)]))
        .collect())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}
