//! Engines that tests start for themselves.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use llb::client::{Address, Client};

use super::testbed::Testbed;

/// An engine of one test alone, which can be killed.
pub(crate) struct OwnEngine {
    pub(crate) home: PathBuf,
    namespace: String,
    bridge: Option<Bridge>,
    process: Child,
}

/// A network of this machine.
struct Bridge(String);

impl Bridge {
    /// A network with a name of its own, and with a subnet that other tests hardly have.
    fn make(number: u32) -> Self {
        let id = std::process::id();
        let bridge = Self(format!("llb{id}x{number}"));
        let address = format!("10.{}.{}.1/24", 128 + id / 256 % 127, id % 256);
        for command in [
            &["link", "add", "name", &bridge.0, "type", "bridge"][..],
            &["address", "add", &address, "dev", &bridge.0],
            &["link", "set", &bridge.0, "up"],
        ] {
            let done = Command::new("ip").args(command).status().unwrap();
            assert!(done.success(), "ip {command:?}");
        }
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        drop(
            Command::new("ip")
                .args(["link", "delete", &self.0])
                .status(),
        );
    }
}

/// A number that no other engine of this process has.
fn next() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    COUNT.fetch_add(1, Ordering::Relaxed)
}

impl OwnEngine {
    fn command(home: &Path, namespace: &str) -> Command {
        let testbed = Testbed::find();
        let program = testbed.text("/daemons/dockerd-graphdriver/executable");
        let run = PathBuf::from(testbed.text("/run"));
        let tools = Path::new(&program).parent().unwrap().parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(&program);
        command
            .env("PATH", format!("{0}/bin:{0}/sbin:{path}", tools.display()))
            .arg("--config-file")
            .arg(home.join("config.json"))
            .arg("--data-root")
            .arg(home.join("data"))
            .arg("--exec-root")
            .arg(home.join("exec"))
            .arg("--pidfile")
            .arg(home.join("pid"))
            .arg("--host")
            .arg(format!("unix://{}", home.join("s").display()))
            .arg("--containerd")
            .arg(run.join("containerd.sock"))
            .arg(format!("--containerd-namespace={namespace}"))
            .arg(format!(
                "--containerd-plugins-namespace={namespace}-plugins"
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(home.join("log")).unwrap());
        command
    }

    /// An engine that has nothing yet, and keeps images in a graph driver.
    pub(crate) fn start() -> Self {
        Self::of_kind("graphdriver")
    }

    /// An engine that has nothing yet: `containerd` or `graphdriver`.
    pub(crate) fn of_kind(kind: &str) -> Self {
        let number = next();
        Self::start_with(
            kind,
            number,
            &format!("llb-{}-{number}", std::process::id()),
            None,
        )
    }

    /// An engine with the containerd image store and with a network for steps.
    pub(crate) fn with_network() -> Self {
        let number = next();
        // What it pulls stays with containerd, so the next one finds it there.
        Self::start_with(
            "containerd",
            number,
            "llb-network",
            Some(Bridge::make(number)),
        )
    }

    fn start_with(kind: &str, number: u32, namespace: &str, bridge: Option<Bridge>) -> Self {
        // Sockets have short names.
        let home = std::env::temp_dir().join(format!("llb-{}-{number}", std::process::id()));
        fs::create_dir_all(&home).unwrap();
        let run = PathBuf::from(Testbed::find().text("/run"));
        let config = fs::read(run.join(format!("{kind}.json"))).unwrap();
        let mut config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        if let Some(bridge) = &bridge {
            config["bridge"] = bridge.0.as_str().into();
        }
        fs::write(home.join("config.json"), config.to_string()).unwrap();
        let process = Self::command(&home, namespace).spawn().unwrap();
        Self {
            home,
            namespace: namespace.to_owned(),
            bridge,
            process,
        }
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        fs::remove_file(self.home.join("pid")).ok();
        self.process = Self::command(&self.home, &self.namespace).spawn().unwrap();
    }

    pub(crate) async fn connect(&self) -> Client {
        let address = Address::unix(self.home.join("s"));
        let start = Instant::now();
        loop {
            match Client::connect(&address).await {
                Ok(client) => return client,
                Err(error) => assert!(
                    start.elapsed() < Duration::from_secs(180),
                    "{error}\n{}",
                    fs::read_to_string(self.home.join("log")).unwrap()
                ),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
        let home = self.home.display().to_string();
        let mounts = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        for mount in mounts.filter(|mount| mount.starts_with(&home)) {
            drop(Command::new("umount").args(["-l", mount]).output());
        }
        drop(fs::remove_dir_all(&self.home));
        drop(self.bridge.take());
    }
}
