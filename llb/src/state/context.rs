//! The run context: what a state hands on to the execs that run on it.

use std::sync::{Arc, LazyLock};

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::sourcemap::Frame;
use crate::value::path;
use crate::value::platform::Platform;

/// Network of an exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Network {
    /// A network of its own, as the daemon sets it up.
    #[default]
    Sandbox,
    /// The daemon host's network; needs the entitlement `network.host`.
    Host,
    /// No network at all.
    None,
}

/// Security mode of an exec.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Security {
    /// Confined, as a container is.
    #[default]
    Sandbox,
    /// With all privileges; needs the entitlement `security.insecure`.
    Insecure,
}

/// A resource limit of processes (`ulimit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// Name without the `RLIMIT_` prefix, in lower case: `nofile`, `core`.
    pub name: SmolStr,
    /// Soft limit; `-1` is unlimited.
    pub soft: i64,
    /// Hard limit; `-1` is unlimited.
    pub hard: i64,
}

/// Environment variables in the order in which they were last set.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("alpine").env("A", "1").env("B", "2").env("A", "3");
/// let names: Vec<&str> = state.environment().iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["B", "A"]);
/// assert_eq!(state.environment().get("A"), Some("3"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(SmallVec<[(SmolStr, SmolStr); 4]>);

/// Everything an exec takes over from the state it runs on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Context {
    /// Working directory; unset only in a state made without one.
    pub(crate) dir: Option<SmolStr>,
    pub(crate) env: Environment,
    pub(crate) user: Option<SmolStr>,
    pub(crate) hostname: Option<SmolStr>,
    pub(crate) cgroup_parent: Option<SmolStr>,
    /// Host names with their addresses as the wire has them.
    pub(crate) extra_hosts: Vec<(SmolStr, SmolStr)>,
    pub(crate) ulimits: Vec<Ulimit>,
    pub(crate) network: Option<Network>,
    pub(crate) security: Option<Security>,
    pub(crate) platform: Option<Arc<Platform>>,
    /// The layers that are being put on the state; it enters no op.
    pub(crate) frame: Option<Arc<Frame>>,
}

impl Environment {
    /// Name and value of every variable.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find_map(|(candidate, value)| (candidate == name).then_some(value))
    }

    /// The number of variables.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a variable; one that is set again moves to the end.
    pub fn set(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        self.remove(name.as_ref());
        self.0.push((name.as_ref().into(), value.as_ref().into()));
    }

    /// Sets a variable unless it is set already.
    pub fn set_default(&mut self, name: impl AsRef<str>, value: impl AsRef<str>) {
        if self.get(name.as_ref()).is_none() {
            self.set(name, value);
        }
    }

    /// Removes a variable; nothing happens if it is not set.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(candidate, _)| candidate.as_str() != name);
    }
}

impl Context {
    /// The context of a new source or of scratch: working directory `/`. All of them share it.
    pub(crate) fn rooted() -> Arc<Self> {
        static ROOTED: LazyLock<Arc<Context>> = LazyLock::new(|| {
            Arc::new(Context {
                dir: Some(SmolStr::new_static("/")),
                ..Context::default()
            })
        });
        Arc::clone(&ROOTED)
    }

    /// Changes the working directory: an absolute path is kept as given, a relative one is joined and cleaned.
    pub(crate) fn change_dir(&mut self, to: &str) {
        let previous = self.dir.as_deref().unwrap_or("/");
        self.dir = Some(path::resolve_dir(previous, to).as_ref().into());
    }

    /// Takes over the platform of a new output.
    pub(crate) fn adopt_platform(&mut self, platform: Option<&Platform>) {
        if let Some(platform) = platform {
            self.platform = Some(Arc::new(platform.clone().normalized()));
        }
    }
}
