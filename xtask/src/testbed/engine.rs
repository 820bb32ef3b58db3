//! Two Docker engines on one containerd.
//!
//! The engines differ in one switch, the feature `containerd-snapshotter`, and share nothing
//! else: each has its own namespaces in containerd, folders, socket and cgroup. Neither touches
//! the system's network: no bridge, no firewall rules. So containers and build steps that need
//! the network use the host's, and all others have none.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::cgroups;
use super::daemon::Daemon;
use super::http::Endpoint;
use super::layout::Layout;
use super::tools::Tools;

/// How long an engine may take to start; normally it takes two seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Which image store an engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// containerd's image store: BuildKit merges and diffs.
    Containerd,
    /// Docker's classic store on overlay2: BuildKit refuses to merge or diff.
    Graphdriver,
}

impl Mode {
    /// Both modes.
    pub(crate) const ALL: [Mode; 2] = [Mode::Containerd, Mode::Graphdriver];

    /// The mode's name, in file names and in the state file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Containerd => "containerd",
            Mode::Graphdriver => "graphdriver",
        }
    }

    fn daemon_name(self) -> &'static str {
        match self {
            Mode::Containerd => "dockerd-containerd",
            Mode::Graphdriver => "dockerd-graphdriver",
        }
    }

    /// The engine's API socket.
    pub(crate) fn socket(self, layout: &Layout) -> PathBuf {
        layout.socket(&format!("docker-{}", self.name()))
    }
}

/// Starts the containerd that both engines use.
pub(crate) fn start_containerd(layout: &Layout, tools: &Tools) -> Result<Daemon> {
    let config = layout.run().join("containerd.toml");
    // Docker needs none of these, and they would make folders in /etc and /opt.
    fs::write(
        &config,
        "version = 2\n\
         disabled_plugins = [\n  \
           \"io.containerd.cri.v1.images\",\n  \
           \"io.containerd.cri.v1.runtime\",\n  \
           \"io.containerd.grpc.v1.cri\",\n  \
           \"io.containerd.internal.v1.opt\",\n  \
           \"io.containerd.nri.v1.nri\",\n\
         ]\n",
    )?;
    let mut daemon = Daemon::start(layout, tools, "containerd", "containerd", |command| {
        command
            .arg("--config")
            .arg(&config)
            .arg("--root")
            .arg(layout.data("containerd"))
            .arg("--state")
            .arg(layout.run().join("containerd"))
            .arg("--address")
            .arg(layout.socket("containerd"));
    })?;
    daemon.wait_socket(&layout.socket("containerd"), PATIENCE)?;
    Ok(daemon)
}

/// Starts one engine; it is ready when [`wait_engine`] returns.
pub(crate) fn start_engine(
    layout: &Layout,
    tools: &Tools,
    mode: Mode,
    registry_port: u16,
) -> Result<Daemon> {
    let name = mode.name();
    let mut config = json!({
        "features": { "containerd-snapshotter": mode == Mode::Containerd },
        "bridge": "none",
        "iptables": false,
        "ip6tables": false,
        "group": "root",
        "cgroup-parent": cgroups::parent(layout, name),
        // The driver `systemd` would need systemd; plain cgroups are everywhere.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "registry-mirrors": [format!("http://127.0.0.1:{registry_port}")],
        "shutdown-timeout": 3,
        // On a disk that is four fifths full the engine would forget steps between two builds of one test.
        "builder": { "gc": { "enabled": false } },
    });
    if mode == Mode::Graphdriver {
        config["storage-driver"] = json!("overlay2");
    }
    let file = layout.run().join(format!("{name}.json"));
    fs::write(&file, serde_json::to_vec_pretty(&config)?)?;
    let namespace = format!("testbed-{name}");
    Daemon::start(layout, tools, mode.daemon_name(), "dockerd", |command| {
        command
            .arg("--config-file")
            .arg(&file)
            .arg("--data-root")
            .arg(layout.data(name))
            .arg("--exec-root")
            .arg(layout.run().join(name))
            .arg("--pidfile")
            .arg(layout.run().join(format!("docker-{name}.pid")))
            .arg("--host")
            .arg(format!("unix://{}", mode.socket(layout).display()))
            .arg("--containerd")
            .arg(layout.socket("containerd"))
            .args(["--containerd-namespace", &namespace])
            .args([
                "--containerd-plugins-namespace",
                &format!("{namespace}-plugins"),
            ]);
    })
}

/// Waits until an engine answers.
pub(crate) fn wait_engine(layout: &Layout, daemon: &mut Daemon, mode: Mode) -> Result<()> {
    daemon.wait_http(&Endpoint::Unix(mode.socket(layout)), "/_ping", PATIENCE)
}
