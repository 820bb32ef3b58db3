//! Commands, and what they are mounted with.
//!
//! An [`Exec`] says what to run and how; [`State::run`](crate::State::run) and [`State::exec`](crate::State::exec) say
//! on what. Settings made here hold for this one exec; those made on the state reach all later ones.

mod mount;

use std::fmt;
use std::net::IpAddr;
use std::panic::Location;
use std::sync::Arc;

pub use mount::{Device, Mount, RunMount, Secret, Ssh, bind, cache, device, secret, ssh, tmpfs};

use crate::constraints::{Constrain, Constraints};
use crate::op::exec::ProxyEnv;
use crate::state::State;
use crate::state::context::{Network, Security, Ulimit};
use crate::value::{host, shell};

/// A command by its arguments; nothing is expanded.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("alpine").run(args(["echo", "hello world"]));
/// ```
#[track_caller]
pub fn args<S: Into<String>>(args: impl IntoIterator<Item = S>) -> Exec {
    Exec::new(args.into_iter().map(Into::into).collect())
}

/// A command line for `/bin/sh -c`.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("apt-get update && apt-get install -y git"));
/// ```
#[track_caller]
pub fn sh(script: impl Into<String>) -> Exec {
    Exec::new(vec!["/bin/sh".into(), "-c".into(), script.into()])
}

/// A command line split into words as `client/llb`'s `Shlex` does, without any shell.
///
/// An unterminated quote drops the word it is in; use [`shell::split`] for text that is
/// not your own.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("alpine").run(shlex("echo 'hello world'"));
/// ```
#[track_caller]
pub fn shlex(line: impl AsRef<str>) -> Exec {
    Exec::new(shell::shlex(line.as_ref()))
}

/// A command with its mounts and settings; made by [`args`], [`sh`] or [`shlex`].
#[derive(Clone, Debug)]
pub struct Exec {
    pub(crate) args: Vec<String>,
    pub(crate) changes: Vec<Change>,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) ssh: Vec<Ssh>,
    pub(crate) devices: Vec<Device>,
    pub(crate) proxy: Option<ProxyEnv>,
    pub(crate) valid_exit_codes: Vec<i32>,
    pub(crate) readonly_rootfs: bool,
    pub(crate) constraints: Constraints,
    pub(crate) location: &'static Location<'static>,
}

/// A change to the state that holds for one exec.
#[derive(Clone)]
pub(crate) enum Change {
    Env(Arc<str>, Arc<str>),
    Dir(String),
    User(Arc<str>),
    Hostname(Arc<str>),
    CgroupParent(Arc<str>),
    Network(Network),
    Security(Security),
    ExtraHost(Arc<str>, Arc<str>),
    Ulimit(Ulimit),
    With(Arc<dyn Fn(State) -> State + Send + Sync>),
}

impl Exec {
    #[track_caller]
    fn new(args: Vec<String>) -> Self {
        Self {
            args,
            changes: Vec::new(),
            mounts: Vec::new(),
            secrets: Vec::new(),
            ssh: Vec::new(),
            devices: Vec::new(),
            proxy: None,
            valid_exit_codes: Vec::new(),
            readonly_rootfs: false,
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// Sets an environment variable for this exec.
    #[must_use = "this returns the changed exec"]
    pub fn env(self, name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        self.change(Change::Env(name.into(), value.into()))
    }

    /// Runs in this directory; a relative one is joined to the state's.
    #[must_use = "this returns the changed exec"]
    pub fn dir(self, path: impl Into<String>) -> Self {
        self.change(Change::Dir(path.into()))
    }

    /// Runs as this user: a name or an id, with an optional group behind `:`.
    #[must_use = "this returns the changed exec"]
    pub fn user(self, user: impl Into<Arc<str>>) -> Self {
        self.change(Change::User(user.into()))
    }

    /// The host name that the command sees.
    #[must_use = "this returns the changed exec"]
    pub fn hostname(self, name: impl Into<Arc<str>>) -> Self {
        self.change(Change::Hostname(name.into()))
    }

    /// The cgroup under which the command runs.
    #[must_use = "this returns the changed exec"]
    pub fn cgroup_parent(self, parent: impl Into<Arc<str>>) -> Self {
        self.change(Change::CgroupParent(parent.into()))
    }

    /// The command's network.
    #[must_use = "this returns the changed exec"]
    pub fn network(self, network: Network) -> Self {
        self.change(Change::Network(network))
    }

    /// The command's security mode.
    #[must_use = "this returns the changed exec"]
    pub fn security(self, security: Security) -> Self {
        self.change(Change::Security(security))
    }

    /// Adds a line to `/etc/hosts`.
    #[must_use = "this returns the changed exec"]
    pub fn extra_host(self, host: impl Into<Arc<str>>, address: impl Into<IpAddr>) -> Self {
        self.change(Change::ExtraHost(
            host.into(),
            host::address_text(address.into()).into(),
        ))
    }

    /// Limits a resource: its name without `RLIMIT_` in lower case, soft and hard limit; `-1` is unlimited.
    #[must_use = "this returns the changed exec"]
    pub fn ulimit(self, name: impl Into<Arc<str>>, soft: i64, hard: i64) -> Self {
        self.change(Change::Ulimit(Ulimit {
            name: name.into(),
            soft,
            hard,
        }))
    }

    /// Changes the state that the command runs on, for this exec only.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// fn proxied(state: State) -> State {
    ///     state.build_env("http_proxy", "http://proxy.example.com")
    /// }
    /// let state = image("alpine").run(sh("apk update").with(proxied));
    /// ```
    #[must_use = "this returns the changed exec"]
    pub fn with(self, change: impl Fn(State) -> State + Send + Sync + 'static) -> Self {
        self.change(Change::With(Arc::new(change)))
    }

    /// Adds a mount, a secret or an ssh socket.
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let state = image("debian").run(
    ///     sh("pip install -r /tmp/requirements.txt")
    ///         .mount(cache("/root/.cache/pip", "pip").sharing(Sharing::Locked))
    ///         .mount(bind("/tmp/requirements.txt", local("context")).selector("requirements.txt").readonly())
    ///         .mount(secret("/root/.netrc").id("netrc").optional()),
    /// );
    /// ```
    #[must_use = "this returns the changed exec"]
    pub fn mount(mut self, mount: impl Into<RunMount>) -> Self {
        match mount.into() {
            RunMount::Mount(mount) => self.mounts.push(mount),
            RunMount::Secret(secret) => self.secrets.push(secret),
            RunMount::Ssh(ssh) => self.ssh.push(ssh),
        }
        self
    }

    /// Mounts an empty directory that starts as `source` and can be taken as [`ExecState::output`].
    ///
    /// [`ExecState::output`]: crate::ExecState::output
    ///
    /// ```
    /// use llb::prelude::*;
    ///
    /// let built = image("golang").exec(sh("go build -o /out/app .").output("/out", scratch()));
    /// let image = image("debian").copy(built.output("/out"), "/app", "/usr/bin/app");
    /// ```
    #[must_use = "this returns the changed exec"]
    pub fn output(self, target: impl Into<String>, source: impl Into<State>) -> Self {
        self.mount(bind(target, source))
    }

    /// Gives the command a device by its CDI name.
    #[must_use = "this returns the changed exec"]
    pub fn device(mut self, device: Device) -> Self {
        self.devices.push(device);
        self
    }

    /// Mounts the root file system read-only; the exec's root is then the state it ran on.
    #[must_use = "this returns the changed exec"]
    pub fn readonly_rootfs(mut self) -> Self {
        self.readonly_rootfs = true;
        self
    }

    /// Exit codes that are not a failure; only 0 if none are given. Replaces those given before.
    #[must_use = "this returns the changed exec"]
    pub fn valid_exit_codes(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.valid_exit_codes = codes.into_iter().collect();
        self
    }

    /// Proxy settings; they are not part of the cache key.
    #[must_use = "this returns the changed exec"]
    pub fn proxy(mut self, proxy: ProxyEnv) -> Self {
        self.proxy = Some(proxy);
        self
    }

    fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }
}

impl Constrain for Exec {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.constraints
    }
}

impl Change {
    pub(crate) fn apply(&self, state: State) -> State {
        match self {
            Self::Env(name, value) => state.build_env(name.clone(), value.clone()),
            Self::Dir(path) => state.dir(path),
            Self::User(user) => state.user(user.clone()),
            Self::Hostname(name) => state.hostname(name.clone()),
            Self::CgroupParent(parent) => state.cgroup_parent(parent.clone()),
            Self::Network(network) => state.network(*network),
            Self::Security(security) => state.security(*security),
            Self::ExtraHost(host, address) => state.extra_host_text(host.clone(), address.clone()),
            Self::Ulimit(ulimit) => state.ulimit(ulimit.name.clone(), ulimit.soft, ulimit.hard),
            Self::With(change) => change(state),
        }
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name, value) => write!(formatter, "env {name}={value}"),
            Self::Dir(path) => write!(formatter, "dir {path}"),
            Self::User(user) => write!(formatter, "user {user}"),
            Self::Hostname(name) => write!(formatter, "hostname {name}"),
            Self::CgroupParent(parent) => write!(formatter, "cgroup parent {parent}"),
            Self::Network(network) => write!(formatter, "network {network:?}"),
            Self::Security(security) => write!(formatter, "security {security:?}"),
            Self::ExtraHost(host, address) => write!(formatter, "host {host}={address}"),
            Self::Ulimit(ulimit) => write!(
                formatter,
                "ulimit {}={}:{}",
                ulimit.name, ulimit.soft, ulimit.hard
            ),
            Self::With(_) => formatter.write_str("with"),
        }
    }
}
