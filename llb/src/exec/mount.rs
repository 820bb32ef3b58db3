//! Mounts, secrets, ssh sockets and devices of an exec.

use smol_str::SmolStr;

use crate::op::exec::{ContentCache, Sharing};
use crate::state::State;

/// A file system mounted into an exec; made by [`bind`], [`cache`] or [`tmpfs`].
///
/// ```
/// use llb::prelude::*;
/// use llb::ContentCache;
///
/// let exec = sh("make")
///     .mount(bind("/src", local("context")).selector("app").content_cache(ContentCache::On))
///     .mount(bind("/build", scratch()).no_output())
///     .mount(cache("/cache", "make").sharing(Sharing::Private).source(image("seed")))
///     .mount(tmpfs("/tmp").size(64 << 20));
/// assert_eq!(image("debian").run(exec).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %seed = source "docker-image://docker.io/library/seed:latest"
/// %context = local "context"
/// %make = exec "/bin/sh" "-c" "make" cwd=/ {
///   / = %debian -> out0
///   /build = scratch no-output
///   /cache = cache "make" private from %seed
///   /src = %context select app content-cache=on -> out1
///   /tmp = tmpfs size=67108864
/// }
/// return %make
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Mount {
    pub(crate) target: SmolStr,
    pub(crate) source: State,
    pub(crate) selector: SmolStr,
    pub(crate) readonly: bool,
    pub(crate) no_output: bool,
    pub(crate) content_cache: ContentCache,
    pub(crate) kind: MountKind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum MountKind {
    Bind,
    /// With an empty id it is no cache but a bind.
    Cache {
        id: SmolStr,
        sharing: Sharing,
    },
    Tmpfs {
        /// In bytes; 0 is no limit.
        size: i64,
    },
}

/// A secret as a file or as an environment variable; made by [`secret`].
///
/// Its content never enters the definition, the cache key or the image.
///
/// ```
/// use llb::prelude::*;
///
/// let exec = sh("deploy")
///     .mount(secret("/root/.netrc").id("netrc").file(1000, 1000, 0o440).optional())
///     .mount(secret("TOKEN").as_env("TOKEN"))
///     .mount(secret("/key").id("key").and_env("KEY"));
/// assert_eq!(image("debian").run(exec).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %deploy = exec "/bin/sh" "-c" "deploy" cwd=/ {
///   / = %debian -> out0
///   /root/.netrc = secret "netrc" owner=1000:1000 mode=0440 optional
///   /key = secret "key"
///   $TOKEN = secret "TOKEN"
///   $KEY = secret "key"
/// }
/// return %deploy
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Secret {
    pub(crate) id: String,
    pub(crate) target: Option<String>,
    pub(crate) env: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) optional: bool,
}

/// The client's ssh agent as a socket; made by [`ssh`].
///
/// ```
/// use llb::prelude::*;
///
/// let agent = ssh().id("work").target("/run/agent").file(0, 0, 0o666).optional();
/// assert_eq!(image("debian").run(sh("git fetch").mount(agent)).to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// %git-fetch = exec "/bin/sh" "-c" "git fetch" cwd=/ {
///   env SSH_AUTH_SOCK="/run/agent"
///   / = %debian -> out0
///   /run/agent = ssh "work" mode=0666 optional
/// }
/// return %git-fetch
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Ssh {
    pub(crate) id: String,
    pub(crate) target: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u32,
    pub(crate) optional: bool,
}

/// A device of the daemon's host; made by [`device`].
#[derive(Clone, Debug)]
pub struct Device {
    pub(crate) name: String,
    pub(crate) optional: bool,
}

/// Anything that [`Exec::mount`](super::Exec::mount) takes.
#[derive(Clone, Debug)]
pub enum RunMount {
    /// A file system.
    Mount(Mount),
    /// A secret.
    Secret(Secret),
    /// An ssh socket.
    Ssh(Ssh),
}

/// Mounts a state at a target. What the command writes there is an output of the exec, unless it is
/// [`readonly`](Mount::readonly).
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("golang").run(sh("go vet ./...").dir("/src").mount(bind("/src", local("context")).readonly()));
/// ```
pub fn bind(target: impl AsRef<str>, source: impl Into<State>) -> Mount {
    Mount {
        target: target.as_ref().into(),
        source: source.into(),
        selector: SmolStr::default(),
        readonly: false,
        no_output: false,
        content_cache: ContentCache::Default,
        kind: MountKind::Bind,
    }
}

/// Mounts a directory that keeps its content from build to build, shared by all execs that name the same id.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("apt-get update").mount(cache("/var/cache/apt", "apt").sharing(Sharing::Locked)));
/// ```
pub fn cache(target: impl AsRef<str>, id: impl AsRef<str>) -> Mount {
    Mount {
        kind: MountKind::Cache {
            id: id.as_ref().into(),
            sharing: Sharing::Shared,
        },
        ..bind(target, State::scratch())
    }
}

/// Mounts an empty directory in memory that is gone after the exec.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("make check").mount(tmpfs("/tmp").size(64 << 20)));
/// ```
pub fn tmpfs(target: impl AsRef<str>) -> Mount {
    Mount {
        kind: MountKind::Tmpfs { size: 0 },
        ..bind(target, State::scratch())
    }
}

/// Mounts a secret as a file at a target; the target is also its id unless [`id`](Secret::id) says otherwise.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("pip install private").mount(secret("/root/.netrc").id("netrc")));
/// let with_variable = image("debian").run(sh("deploy").mount(secret("TOKEN").as_env("TOKEN")));
/// ```
pub fn secret(target: impl Into<String>) -> Secret {
    let target = target.into();
    Secret {
        id: target.clone(),
        target: Some(target),
        env: None,
        uid: 0,
        gid: 0,
        mode: 0o400,
        optional: false,
    }
}

/// Mounts the client's ssh agent and sets `SSH_AUTH_SOCK`.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("alpine/git").run(sh("git clone git@example.com:me/repo").mount(ssh()));
/// ```
pub fn ssh() -> Ssh {
    Ssh {
        id: String::new(),
        target: String::new(),
        uid: 0,
        gid: 0,
        mode: 0o600,
        optional: false,
    }
}

/// A device by its CDI name, such as `vendor.com/gpu=0`.
///
/// ```
/// use llb::prelude::*;
///
/// let state = image("debian").run(sh("nvidia-smi").device(device("nvidia.com/gpu=all").optional()));
/// ```
pub fn device(name: impl Into<String>) -> Device {
    Device {
        name: name.into(),
        optional: false,
    }
}

impl Mount {
    /// The command cannot write here, and the mount is no output.
    #[must_use = "this returns the changed mount"]
    pub fn readonly(mut self) -> Self {
        self.readonly = true;
        self
    }

    /// Mounts only this path of the source.
    #[must_use = "this returns the changed mount"]
    pub fn selector(mut self, path: impl AsRef<str>) -> Self {
        self.selector = path.as_ref().into();
        self
    }

    /// The command can write here, but what it writes is thrown away.
    #[must_use = "this returns the changed mount"]
    pub fn no_output(mut self) -> Self {
        self.no_output = true;
        self
    }

    /// Whether the content instead of the definition of the source is part of the cache key.
    #[must_use = "this returns the changed mount"]
    pub fn content_cache(mut self, mode: ContentCache) -> Self {
        self.content_cache = mode;
        self
    }

    /// How concurrent execs share a cache mount; nothing happens to other mounts.
    #[must_use = "this returns the changed mount"]
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        if let MountKind::Cache { sharing: now, .. } = &mut self.kind {
            *now = sharing;
        }
        self
    }

    /// What a cache mount starts with the first time it is used.
    #[must_use = "this returns the changed mount"]
    pub fn source(mut self, source: impl Into<State>) -> Self {
        self.source = source.into();
        self
    }

    /// Limit of a tmpfs in bytes; nothing happens to other mounts.
    #[must_use = "this returns the changed mount"]
    pub fn size(mut self, bytes: i64) -> Self {
        if let MountKind::Tmpfs { size } = &mut self.kind {
            *size = bytes;
        }
        self
    }
}

impl Secret {
    /// The id under which the client offers the secret.
    #[must_use = "this returns the changed secret"]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Gives the secret as this environment variable instead of as a file.
    #[must_use = "this returns the changed secret"]
    pub fn as_env(mut self, name: impl Into<String>) -> Self {
        self.target = None;
        self.env = Some(name.into());
        self
    }

    /// Gives the secret as this environment variable besides the file.
    #[must_use = "this returns the changed secret"]
    pub fn and_env(mut self, name: impl Into<String>) -> Self {
        self.env = Some(name.into());
        self
    }

    /// Takes the environment variable back. A file that [`as_env`](Self::as_env) replaced does not return: the daemon
    /// then asks the client for the secret, and the command does not see it.
    #[must_use = "this returns the changed secret"]
    pub fn without_env(mut self) -> Self {
        self.env = None;
        self
    }

    /// The exec runs without the secret if the client does not offer it; otherwise that is a failure.
    #[must_use = "this returns the changed secret"]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Numeric owner and permission bits (octal) of the file; root and `0o400` if not given.
    #[must_use = "this returns the changed secret"]
    pub fn file(mut self, uid: u32, gid: u32, mode: u32) -> Self {
        (self.uid, self.gid, self.mode) = (uid, gid, mode);
        self
    }
}

impl Ssh {
    /// The id under which the client offers the agent; the default agent if not given.
    #[must_use = "this returns the changed ssh socket"]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Where the socket is; `/run/buildkit/ssh_agent.N` if not given.
    #[must_use = "this returns the changed ssh socket"]
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = target.into();
        self
    }

    /// The exec runs without the agent if the client does not offer it.
    #[must_use = "this returns the changed ssh socket"]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Numeric owner and permission bits (octal) of the socket; root and `0o600` if not given.
    #[must_use = "this returns the changed ssh socket"]
    pub fn file(mut self, uid: u32, gid: u32, mode: u32) -> Self {
        (self.uid, self.gid, self.mode) = (uid, gid, mode);
        self
    }
}

impl Device {
    /// The exec runs without the device if the host has none.
    #[must_use = "this returns the changed device"]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

impl From<Mount> for RunMount {
    fn from(mount: Mount) -> Self {
        Self::Mount(mount)
    }
}

impl From<Secret> for RunMount {
    fn from(secret: Secret) -> Self {
        Self::Secret(secret)
    }
}

impl From<Ssh> for RunMount {
    fn from(ssh: Ssh) -> Self {
        Self::Ssh(ssh)
    }
}

impl Ssh {
    /// The socket at a position among those of its exec, which names it if nothing else does.
    pub(super) fn at(mut self, position: usize) -> Self {
        if self.target.is_empty() {
            self.target = format!("/run/buildkit/ssh_agent.{position}");
        }
        self
    }
}
