//! Daemons in places where programs lead: an sshd, a container of Docker, a container of Podman. All of them are real,
//! Debian's, and run inside a container that the client itself has made the image of.

#![expect(clippy::unwrap_used, reason = "a panic is how a test reports")]
#![expect(
    clippy::disallowed_methods,
    reason = "files and environment are what the tool is about"
)]

#[path = "client/testbed.rs"]
#[expect(dead_code, reason = "shared with the tests of the client")]
mod testbed;

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use llb::client::{Address, Compression, Entitlement, Export, Solve};
use llb::prelude::*;
use testbed::{Testbed, containerd, unique};

/// What other machines have as `buildctl`: this tool, in front of the engine.
const BUILDCTL: &str = "#!/bin/sh\nexec llb \"$@\" --addr unix:///run/engine.sock\n";
const INSTALL: &str = "apt-get update && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server podman crun && \
    mkdir -p /run/sshd";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Runs a program that has to succeed, and gives what it writes.
fn done(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

fn socket() -> PathBuf {
    match Testbed::find().address("containerd") {
        Address::Unix(path) => path,
        other => panic!("the testbed's engines listen on sockets, not {other}"),
    }
}

/// Another machine, as far as programs can tell: a container with an sshd and with Podman in it.
struct Machine {
    name: String,
    home: tempfile::TempDir,
    docker: PathBuf,
}

impl Machine {
    async fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let docker = PathBuf::from(Testbed::find().text("/root")).join("tools/usr/bin/docker");
        let name = format!("llb-places-{}", unique());
        let machine = Self { name, home, docker };
        machine.make_images().await;
        let volume = |from: &Path, to: &str| format!("--volume={}:{to}", from.display());
        fs::create_dir(machine.at("containers")).unwrap();
        let run = ["run", "--detach", "--network=host", "--privileged"];
        done(
            machine
                .docker(run)
                .arg(format!("--name={}", machine.name))
                .arg(volume(&socket(), "/run/engine.sock"))
                .arg(volume(&socket(), "/var/run/docker.sock"))
                .arg(volume(&machine.docker, "/usr/bin/docker:ro"))
                .arg(volume(machine.home.path(), "/home"))
                // Podman's layers cannot lie on Docker's.
                .arg(volume(&machine.at("containers"), "/var/lib/containers"))
                .args([&*machine.image("machine"), "sleep", "infinity"]),
        );
        machine.start_sshd();
        machine.start_podman();
        machine
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn image(&self, name: &str) -> String {
        format!("client-test/{name}:{}", self.name)
    }

    /// Images with this tool: one with programs of Debian in the engine, and one as an archive for Podman.
    async fn make_images(&self) {
        let tool = Path::new(env!("CARGO_BIN_EXE_llb"));
        let client = containerd().await;
        let with_tool = |base: State| {
            base.copy(local("tool").include(["llb"]), "/llb", "/usr/bin/llb")
                .mkfile("/usr/bin/buildctl", 0o755, BUILDCTL)
        };
        let debian = image("debian:bookworm-slim");
        let programs = debian.run(sh(INSTALL).network(Network::Host));
        let archive = Export::docker_archive(self.at("tool.tar")).name(self.image("tool"));
        for (state, export) in [
            (programs, Export::image(self.image("machine"))),
            (debian, archive),
        ] {
            let solve = Solve::state(&with_tool(state), &MarshalOptions::linux_amd64())
                .unwrap()
                .local("tool", tool.parent().unwrap())
                .allow(Entitlement::NetworkHost)
                .export(export.compression(Compression::Uncompressed, false));
            client.solve(solve, &mut ()).await.unwrap();
        }
    }

    /// Docker's own client, for the engine of the testbed.
    fn docker<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.docker);
        command
            .env("DOCKER_HOST", format!("unix://{}", socket().display()))
            .env("HOME", self.home.path())
            .args(arguments);
        command
    }

    /// Runs a script on the machine.
    fn inside(&self, script: &str) -> String {
        done(&mut self.docker(["exec", &self.name, "sh", "-ec", script]))
    }

    fn start_sshd(&self) {
        done(
            Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(self.at("key")),
        );
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        fs::write(self.at("port"), port.to_string()).unwrap();
        self.inside(&format!(
            "mkdir -p -m 700 /root/.ssh; cat /home/key.pub > /root/.ssh/authorized_keys
             echo \"127.0.0.1 $(cat /etc/ssh/ssh_host_ed25519_key.pub)\" > /home/known
             /usr/sbin/sshd -p {port} -o ListenAddress=127.0.0.1 -o UsePAM=no -o PasswordAuthentication=no"
        ));
        // Whose host key it is, is known; ssh looks for it with the port in front.
        let known = fs::read_to_string(self.at("known")).unwrap();
        let known = known.replacen("127.0.0.1", &format!("[127.0.0.1]:{port}"), 1);
        fs::write(self.at("known"), known).unwrap();
        let options = format!(
            "-F none -i {} -o UserKnownHostsFile={}",
            self.at("key").display(),
            self.at("known").display()
        );
        self.program("ssh", &format!("/usr/bin/ssh {options}"));
    }

    fn start_podman(&self) {
        self.inside(&format!(
            "podman load -q -i /home/tool.tar
             podman run --detach --name b --network host --cgroups=disabled \
                --volume /run/engine.sock:/run/engine.sock {} sleep infinity",
            self.image("tool")
        ));
        let docker = self.docker.display();
        self.program("podman", &format!("{docker} exec -i {} podman", self.name));
        self.program("docker", &docker.to_string());
    }

    /// A program that the tool finds, with words in front of its arguments.
    fn program(&self, name: &str, words: &str) {
        let bin = self.at("bin");
        fs::create_dir_all(&bin).unwrap();
        let host = format!("export DOCKER_HOST=unix://{}", socket().display());
        fs::write(
            bin.join(name),
            format!("#!/bin/sh\n{host}\nexec {words} \"$@\"\n"),
        )
        .unwrap();
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs the tool as on a machine that has these programs.
    fn llb(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        let path = format!("{}:/usr/bin:/bin", self.at("bin").display());
        Command::new(env!("CARGO_BIN_EXE_llb"))
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.home.path())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Podman's mounts go with its containers.
        let end = [
            "exec", &self.name, "podman", "rm", "--all", "--force", "--time=0",
        ];
        drop(self.docker(end).output());
        drop(self.docker(["rm", "--force", &self.name]).output());
        drop(self.docker(["rmi", &self.image("machine")]).output());
    }
}

/// Leads every connection to a port of this machine to the engine.
fn forward_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let pipe = |from: TcpStream, to: UnixStream| {
        let (mut from_back, mut to_back) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let (mut from, mut to) = (from, to);
        std::thread::spawn(move || {
            drop(std::io::copy(&mut from, &mut to));
            drop(to.shutdown(std::net::Shutdown::Write));
        });
        std::thread::spawn(move || {
            drop(std::io::copy(&mut to_back, &mut from_back));
            drop(from_back.shutdown(std::net::Shutdown::Write));
        });
    };
    std::thread::spawn(move || {
        for from in listener.incoming() {
            pipe(from.unwrap(), UnixStream::connect(socket()).unwrap());
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_run_on_daemons_behind_ssh_docker_and_podman() {
    let machine = Machine::start().await;
    let port = fs::read_to_string(machine.at("port")).unwrap();
    let ssh = format!("ssh://root@127.0.0.1:{port}");
    let tcp = format!("tcp://127.0.0.1:{}", forward_port());
    let container = format!("docker-container://{}", machine.name);
    fs::create_dir(machine.at("in")).unwrap();
    let graph = machine.at("graph.llb").display().to_string();
    fs::write(&graph, "%in = local \"context\"\nreturn %in\n").unwrap();
    for (number, (variable, address, engine)) in [
        ("BUILDKIT_HOST", &*ssh, "BuildKit"),
        ("BUILDKIT_HOST", &*container, "BuildKit"),
        ("BUILDKIT_HOST", "podman-container://b", "BuildKit"),
        ("DOCKER_HOST", &*ssh, "Docker, API"),
        ("DOCKER_HOST", &*tcp, "Docker, API"),
    ]
    .into_iter()
    .enumerate()
    {
        let place = [(variable, address)];
        let info = machine.llb(&["info"], &place);
        assert!(info.status.success(), "{place:?}: {}", text(&info.stderr));
        let said = text(&info.stdout);
        assert!(
            said.contains(&format!("\nengine: {engine}")),
            "{place:?}: {said}"
        );
        // A file there and back.
        let id = unique();
        fs::write(machine.at("in/id"), &id).unwrap();
        let out = machine.at(&format!("out-{number}"));
        let context = format!("--local=context={}", machine.at("in").display());
        let output = format!("--output=type=local,dest={}", out.display());
        let built = machine.llb(&["solve", &graph, &context, &output], &place);
        assert!(built.status.success(), "{place:?}: {}", text(&built.stderr));
        assert_eq!(fs::read_to_string(out.join("id")).unwrap(), id, "{place:?}");
    }
    refusals(&machine, &ssh);
}

/// What the programs say when they do not lead to a daemon is in the error.
fn refusals(machine: &Machine, ssh: &str) {
    let other = ssh.replace("root@", "nobody@");
    for (address, part) in [
        (&*other, "Permission denied"),
        ("docker-container://no-such-container", "No such container"),
        ("podman-container://no-such-container", "no such container"),
    ] {
        let start = Instant::now();
        let failed = machine.llb(&["info", "--addr", address], &[]);
        let said = text(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{address}: {said}");
        assert!(said.contains(part), "{address}: {said}");
        assert!(start.elapsed() < Duration::from_secs(180), "{address}");
    }
}
