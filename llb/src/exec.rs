//! Commands, and what they are mounted with.
//!
//! An [`Exec`] says what to run and how; [`State::run`](crate::State::run) and [`State::exec`](crate::State::exec) say
//! on what. Settings made here hold for this one exec; those made on the state reach all later ones.

mod command;
mod encode;
mod line;
mod mount;

use std::net::IpAddr;
use std::panic::Location;
use std::sync::Arc;

pub(crate) use command::{Change, Command};
pub(crate) use encode::{ExecWriter, MountView};
pub(crate) use line::CommandLine;
pub(crate) use mount::MountKind;
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
pub fn args<S: AsRef<str>>(args: impl IntoIterator<Item = S>) -> Exec {
    let mut exec = Exec::new();
    for arg in args {
        exec.0.line.arg(arg.as_ref());
    }
    exec
}

/// A command line for `/bin/sh -c`.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("apt-get update && apt-get install -y git"));
/// ```
#[track_caller]
pub fn sh(script: impl AsRef<str>) -> Exec {
    args(["/bin/sh", "-c", script.as_ref()])
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
    args(shell::shlex(line.as_ref()))
}

/// A command with its mounts and settings; made by [`args`], [`sh`] or [`shlex`].
///
/// Every setting of its own, with what comes out:
///
/// ```
/// use llb::prelude::*;
/// use llb::{ProxyEnv, Security};
///
/// let exec = args(["server", "--check"])
///     .env("DEBUG", "1")
///     .dir("/srv")
///     .user("app:app")
///     .hostname("builder")
///     .network(Network::None)
///     .security(Security::Insecure)
///     .extra_host("db", [10, 0, 0, 1])
///     .ulimit("nofile", 1024, 4096)
///     .cgroup_parent("/builds")
///     .device(device("vendor.com/gpu=0").optional())
///     .valid_exit_codes([0, 3])
///     .proxy(ProxyEnv { http_proxy: "http://proxy.example.com".into(), ..ProxyEnv::default() })
///     .readonly_rootfs()
///     .output("/out", scratch());
/// assert_eq!(image("debian").exec(exec).output("/out").to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %server = exec "server" "--check" cwd=/srv user=app:app hostname=builder cgroup-parent=/builds network=none security=insecure exit-codes=[0, 3] {
///   env DEBUG="1"
///   host db=10.0.0.1
///   ulimit nofile=1024:4096
///   proxy http="http://proxy.example.com"
///   / = %debian readonly
///   /out = scratch -> out0
///   device "vendor.com/gpu=0" optional
/// }
/// return %server
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Exec(pub(crate) Box<Command>);

impl Exec {
    #[track_caller]
    fn new() -> Self {
        Self(Box::new(Command::new(Location::caller())))
    }

    /// Sets an environment variable for this exec.
    #[must_use = "this returns the changed exec"]
    pub fn env(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.0.line.set(name.as_ref(), value.as_ref());
        self
    }

    /// Runs in this directory; a relative one is joined to the state's.
    #[must_use = "this returns the changed exec"]
    pub fn dir(self, path: impl AsRef<str>) -> Self {
        self.change(Change::Dir(path.as_ref().into()))
    }

    /// Runs as this user: a name or an id, with an optional group behind `:`.
    #[must_use = "this returns the changed exec"]
    pub fn user(self, user: impl AsRef<str>) -> Self {
        self.change(Change::User(user.as_ref().into()))
    }

    /// The host name that the command sees.
    #[must_use = "this returns the changed exec"]
    pub fn hostname(self, name: impl AsRef<str>) -> Self {
        self.change(Change::Hostname(name.as_ref().into()))
    }

    /// The cgroup under which the command runs.
    #[must_use = "this returns the changed exec"]
    pub fn cgroup_parent(self, parent: impl AsRef<str>) -> Self {
        self.change(Change::CgroupParent(parent.as_ref().into()))
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
    pub fn extra_host(self, host: impl AsRef<str>, address: impl Into<IpAddr>) -> Self {
        self.change(Change::ExtraHost(
            host.as_ref().into(),
            host::address_text(address.into()).into(),
        ))
    }

    /// Limits a resource: its name without `RLIMIT_` in lower case, soft and hard limit; `-1` is unlimited.
    #[must_use = "this returns the changed exec"]
    pub fn ulimit(self, name: impl AsRef<str>, soft: i64, hard: i64) -> Self {
        self.change(Change::Ulimit(Ulimit {
            name: name.as_ref().into(),
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
    pub fn with(mut self, change: impl Fn(State) -> State + Send + Sync + 'static) -> Self {
        let env = self.0.line.take_variables();
        self.change(Change::Env(env))
            .change(Change::With(Arc::new(change)))
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
            RunMount::Mount(mount) => self.0.mount(mount),
            RunMount::Secret(secret) => self.0.extras_mut().secrets.push(secret),
            RunMount::Ssh(ssh) => {
                let sockets = &mut self.0.extras_mut().ssh;
                sockets.push(ssh.at(sockets.len()));
            }
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
    pub fn output(self, target: impl AsRef<str>, source: impl Into<State>) -> Self {
        self.mount(bind(target, source))
    }

    /// Gives the command a device by its CDI name.
    #[must_use = "this returns the changed exec"]
    pub fn device(mut self, device: Device) -> Self {
        self.0.extras_mut().devices.push(device);
        self
    }

    /// Mounts the root file system read-only; the exec's root is then the state it ran on.
    #[must_use = "this returns the changed exec"]
    pub fn readonly_rootfs(mut self) -> Self {
        self.0.readonly_rootfs = true;
        self
    }

    /// Exit codes that are not a failure; only 0 if none are given. Replaces those given before.
    #[must_use = "this returns the changed exec"]
    pub fn valid_exit_codes(mut self, codes: impl IntoIterator<Item = i32>) -> Self {
        self.0.extras_mut().valid_exit_codes = codes.into_iter().collect();
        self
    }

    /// Proxy settings; they are not part of the cache key.
    #[must_use = "this returns the changed exec"]
    pub fn proxy(mut self, proxy: ProxyEnv) -> Self {
        self.0.extras_mut().proxy = Some(proxy);
        self
    }

    fn change(mut self, change: Change) -> Self {
        self.0.extras_mut().changes.push(change);
        self
    }
}

impl Constrain for Exec {
    fn constraints_mut(&mut self) -> &mut Constraints {
        &mut self.0.constraints
    }
}
