//! The run context: what a state hands on to the execs that run on it.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::sourcemap::Frame;
use crate::value::path;
use crate::value::platform::Platform;
use crate::value::shared::Usual;

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

/// Reads `sandbox` or `default`, `host`, `none`.
///
/// ```
/// assert_eq!("host".parse(), Ok(llb::Network::Host));
/// assert!("bridge".parse::<llb::Network>().is_err());
/// ```
impl FromStr for Network {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "sandbox" | "default" => Ok(Self::Sandbox),
            "host" => Ok(Self::Host),
            "none" => Ok(Self::None),
            _ => Err(UnknownMode {
                what: "network",
                text: text.into(),
                expected: "`default`, `host` or `none`",
            }),
        }
    }
}

/// Reads `sandbox` or `insecure`.
///
/// ```
/// assert_eq!("insecure".parse(), Ok(llb::Security::Insecure));
/// let error = "root".parse::<llb::Security>().unwrap_err();
/// assert_eq!(error.to_string(), "invalid security mode root: expected `sandbox` or `insecure`");
/// ```
impl FromStr for Security {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<Self, UnknownMode> {
        match text {
            "sandbox" => Ok(Self::Sandbox),
            "insecure" => Ok(Self::Insecure),
            _ => Err(UnknownMode {
                what: "security",
                text: text.into(),
                expected: "`sandbox` or `insecure`",
            }),
        }
    }
}

/// A text that names no [`Network`] or [`Security`] mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMode {
    what: &'static str,
    text: Box<str>,
    expected: &'static str,
}

impl fmt::Display for UnknownMode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            text,
            expected,
        } = self;
        write!(formatter, "invalid {what} mode {text}: expected {expected}")
    }
}

impl std::error::Error for UnknownMode {}

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
    /// Values of the program's own, by their type; they enter no op.
    pub(crate) values: Option<Arc<Values>>,
}

/// Values by their type. Only looked up, never iterated.
pub(crate) type Values = BTreeMap<TypeId, Arc<dyn Any + Send + Sync>>;

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

/// The context of a new source or of scratch: working directory `/`.
impl Usual for Context {
    fn usual() -> &'static Self {
        static ROOTED: LazyLock<Context> = LazyLock::new(|| Context {
            dir: Some(SmolStr::new_static("/")),
            ..Context::default()
        });
        &ROOTED
    }
}

impl Context {
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
