//! Real builds and predictions on the engines of `cargo xtask testbed up`.
//!
//! Each test runs on both engines: `containerd`, where BuildKit merges trees, and `graphdriver`,
//! where it cannot and trees are copied. Nothing is mocked: packages come from Debian and PyPI, and
//! the prediction is made by Cog's own runtime inside the image.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bollard::{API_DEFAULT_VERSION, Docker};
use cog_python::ca;
use common::example_folder;
use llb::client::{Client, Entitlement, Export, Secret, Solve};
use llb::{MarshalOptions, State, scratch, secret, sh};
use serde_json::Value;
use tempfile::TempDir;

const ENGINES: [&str; 2] = ["containerd", "graphdriver"];

/// The running testbed.
struct Testbed(Value);

impl Testbed {
    /// The testbed that `LLB_TESTBED` names, or that of this workspace.
    fn find() -> Self {
        let path = std::env::var_os("LLB_TESTBED").map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/testbed/state.json"),
            PathBuf::from,
        );
        let Ok(text) = fs::read_to_string(&path) else {
            panic!(
                "there is no testbed at {}: run `cargo xtask testbed up`",
                path.display()
            );
        };
        Self(serde_json::from_str(&text).unwrap())
    }

    /// Address of an engine.
    fn address(&self, engine: &str) -> String {
        let address = self
            .0
            .pointer(&format!("/engines/{engine}/url"))
            .and_then(Value::as_str);
        address
            .unwrap_or_else(|| panic!("the testbed has no engine {engine}"))
            .to_owned()
    }
}

/// What a run of the program left.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    #[track_caller]
    fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Steps that were taken from the cache.
    fn cached(&self) -> usize {
        self.stderr
            .lines()
            .filter(|line| line.ends_with(" CACHED"))
            .count()
    }

    /// Whether a step of this name was run, as opposed to taken from the cache.
    fn ran(&self, name: &str) -> bool {
        let number = self.stderr.lines().find_map(|line| {
            let (number, rest) = line.split_once(' ')?;
            (number.starts_with('#') && rest.starts_with(name)).then_some(number)
        });
        let Some(number) = number else {
            panic!("there is no step {name}\n{}", self.stderr)
        };
        !self
            .stderr
            .lines()
            .any(|line| line == format!("{number} CACHED"))
    }
}

/// Held while a container serves: containers that share the host's network, as those of the testbed
/// do, also share the names of the sockets that Cog's runtime talks to its worker through.
static SERVING: Mutex<()> = Mutex::new(());

/// A copy of the example as a project of its own, and an engine to build it on.
struct Project {
    folder: TempDir,
    engine: String,
    tag: String,
}

/// Waits for the containers of other tests to end; one that failed leaves none behind either.
fn serving() -> MutexGuard<'static, ()> {
    SERVING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Project {
    fn new(engine: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = TempDir::with_prefix("cog-python-live-").unwrap();
        for file in fs::read_dir(example_folder()).unwrap() {
            let file = file.unwrap();
            if file.file_type().unwrap().is_file() {
                fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
            }
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let tag = format!("cog-python-live-{}-{count}", std::process::id());
        Self {
            folder,
            engine: Testbed::find().address(engine),
            tag,
        }
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {file}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cog-python"));
        // The testbed's containers have no network of their own.
        command
            .args(arguments)
            .args(["--tag", &self.tag, "--network", "host"])
            .env_remove("BUILDKIT_HOST")
            .env("DOCKER_HOST", &self.engine)
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let _serving = (arguments[0] == "predict").then(serving);
        let mut output = self.command(arguments).output().unwrap();
        // containerd removes what nobody uses yet while another build unpacks it; the next attempt finds all in place.
        let raced = b"failed to prepare extraction snapshot";
        if output.stderr.windows(raced.len()).any(|part| part == raced) {
            output = self.command(arguments).output().unwrap();
        }
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[must_use = "the program runs on"]
    fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn docker<T>(&self, work: impl AsyncFnOnce(Docker) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let path = self.engine.strip_prefix("unix://").unwrap();
            let docker = Docker::connect_with_unix(path, 60, API_DEFAULT_VERSION).unwrap();
            work(docker.negotiate_version().await.unwrap()).await
        })
    }

    /// Containers of this project's image, ended ones too.
    fn containers(&self) -> usize {
        let containers = self.docker(async |docker| {
            let options = bollard::query_parameters::ListContainersOptions {
                all: true,
                ..Default::default()
            };
            docker.list_containers(Some(options)).await.unwrap()
        });
        let ours = |container: &&bollard::models::ContainerSummary| {
            container
                .image
                .as_deref()
                .is_some_and(|image| image.starts_with(&self.tag))
        };
        containers.iter().filter(ours).count()
    }
}

/// A number no earlier run has used.
fn unique() -> u128 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap().as_nanos()
}

impl Drop for Project {
    fn drop(&mut self) {
        let tag = self.tag.clone();
        // Projects whose build failed have no image.
        self.docker(async |docker| {
            let options = bollard::query_parameters::RemoveImageOptions {
                force: true,
                ..Default::default()
            };
            let _ = docker.remove_image(&tag, Some(options), None).await;
        });
    }
}

#[test]
fn the_example_predicts() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let built = project.run(&["build"]).succeeded();
        assert!(
            built
                .stdout
                .starts_with(&format!("{}@sha256:", project.tag)),
            "{}",
            built.stdout
        );
        let predicted = project
            .run(&["predict", "-i", "name=world", "-i", "numbers=1,2,3000"])
            .succeeded();
        assert_eq!(
            predicted.stdout, "Hello, world! The sum is 3,003.\n",
            "{}",
            predicted.stderr
        );
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn the_image_runs_the_model_and_says_what_it_is() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let tag = project.tag.clone();
        let image = project.docker(async |docker| docker.inspect_image(&tag).await.unwrap());
        let config = image.config.unwrap();
        assert_eq!(config.entrypoint.unwrap(), ["/usr/bin/tini", "--"]);
        assert_eq!(config.cmd.unwrap(), ["python", "-m", "cog.server.http"]);
        assert_eq!(config.working_dir.unwrap(), "/src");
        let environment = config.env.unwrap();
        assert!(
            environment[0].starts_with("PATH=/opt/venv/bin:/usr/local/bin:"),
            "{environment:?}"
        );
        assert!(environment.contains(&"COG_PREDICT_TYPE_STUB=run.py:Runner".to_owned()));
        assert!(
            environment.contains(&"LANG=C.UTF-8".to_owned()),
            "{environment:?}"
        );
        let labels = config.labels.unwrap();
        assert_eq!(labels["run.cog.version"], "0.23.1");
        assert!(labels["run.cog.config"].starts_with("{\"build\":{\"python_version\":\"3.11\""));
    }
}

#[test]
fn a_change_rebuilds_what_it_changes() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let again = project.run(&["build"]).succeeded();
        for step in ["apt(", "venv ", "pip: ", "run("] {
            assert!(
                !again.ran(step),
                "{step} ran again on {engine}\n{}",
                again.stderr
            );
        }
        assert!(again.cached() >= 4, "{}", again.stderr);

        // What no earlier run has built.
        let unique = unique();
        project.edit("run.py", "The sum is", &format!("The total ({unique}) is"));
        let source = project.run(&["build"]).succeeded();
        assert!(source.ran("copy the project"), "{}", source.stderr);
        for step in ["apt(", "venv ", "pip: ", "run("] {
            assert!(
                !source.ran(step),
                "{step} ran on {engine}\n{}",
                source.stderr
            );
        }
        let predicted = project.run(&["predict", "-i", "name=you"]).succeeded();
        let expected = format!("Hello, you! The total ({unique}) is 3,000.\n");
        assert_eq!(predicted.stdout, expected);

        let requirement = format!("humanize==4.16.0; python_full_version != '0.{unique}'");
        project.edit("requirements.txt", "humanize==4.17.0", &requirement);
        let requirement = project.run(&["build"]).succeeded();
        assert!(requirement.ran("pip: "), "{}", requirement.stderr);
        assert!(
            !requirement.ran("apt(") && !requirement.ran("venv "),
            "{}",
            requirement.stderr
        );
    }
}

/// Path, kind, mode and link target of every file; sizes of those that hold no times.
fn listing(archive: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for entry in tar::Archive::new(fs::File::open(archive).unwrap())
        .entries()
        .unwrap()
    {
        let mut entry = entry.unwrap();
        let path = entry
            .path()
            .unwrap()
            .to_string_lossy()
            .trim_end_matches('/')
            .to_owned();
        let header = entry.header().clone();
        let target = entry
            .link_name()
            .unwrap()
            .map(|name| name.to_string_lossy().into_owned());
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        // Hard links and compiled files differ by how and when they were written.
        let size = if Path::new(&path)
            .extension()
            .is_some_and(|extension| extension == "pyc")
        {
            0
        } else {
            content.len()
        };
        let kind = header.entry_type();
        let mode = header.mode().unwrap() & 0o7777;
        let text = format!("{kind:?} {mode:o} {size} {}", target.unwrap_or_default());
        files.insert(path, text);
    }
    files
}

#[test]
fn merged_and_copied_trees_are_the_same_files() {
    let mut listings = ENGINES.map(|engine| {
        let project = Project::new(engine);
        let archive = project
            .folder
            .path()
            .join("../")
            .join(format!("{}.tar", project.tag));
        project
            .run(&[
                "build",
                "-o",
                &format!("type=tar,dest={}", archive.display()),
            ])
            .succeeded();
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        files
    });
    for files in &mut listings {
        assert_eq!(files["src/run.py"].split(' ').next(), Some("Regular"));
        assert!(
            !files
                .keys()
                .any(|path| path.contains("cog-python") || path.contains("ca-bundle"))
        );
        // What apt and the dynamic linker write about themselves holds times.
        files.retain(|path, _| path.starts_with("opt/") || path.starts_with("src"));
    }
    let [merged, copied] = listings;
    assert!(merged.len() > 1000, "{}", merged.len());
    let differences: Vec<_> = merged
        .iter()
        .filter(|(path, text)| copied.get(*path) != Some(*text))
        .map(|(path, text)| format!("{path}: {text} / {:?}", copied.get(path)))
        .chain(
            copied
                .keys()
                .filter(|path| !merged.contains_key(*path))
                .cloned(),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
}

#[test]
fn a_failed_step_is_reported_at_its_line_with_its_output() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "mkdir -p /etc/hello &&",
            "echo this is wrong >&2; exit 3 #",
        );
        let run = project.run(&["build", "--progress", "quiet"]);
        assert_eq!(run.code, Some(1));
        assert_eq!(run.stdout, "");
        assert!(run.stderr.contains("exited with code 3"), "{}", run.stderr);
        assert!(run.stderr.contains("--> cog.yaml:9\n"), "{}", run.stderr);
        assert_eq!(
            run.stderr.matches("  | this is wrong\n").count(),
            1,
            "{}",
            run.stderr
        );
    }
}

#[test]
fn a_base_with_another_python_is_refused() {
    let project = Project::new("containerd");
    project.edit("cog.yaml", "\"3.11\"", "\"3.13\"");
    let run = project.run(&["build", "--progress", "quiet", "--base", "python:3.11-slim"]);
    assert_eq!(run.code, Some(1));
    assert!(
        run.stderr.contains("and build.python_version is 3.13"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("--> cog.yaml:"), "{}", run.stderr);
}

#[test]
fn secrets_reach_their_step_and_nothing_else() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "    - mkdir -p /etc/hello && printf 'Hello' > /etc/hello/greeting",
            "    - command: test \"$(cat /run/secrets/word)\" = hunter2 && mkdir /etc/hello && printf Hi > /etc/hello/greeting\n      mounts: [{type: secret, id: word, target: /run/secrets/word}]",
        );
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        let output = command.env("WORD", "hunter2").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let archive = project
            .folder
            .path()
            .join("../")
            .join(format!("{}.tar", project.tag));
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        command.args(["-o", &format!("type=tar,dest={}", archive.display())]);
        assert!(command.env("WORD", "hunter2").status().unwrap().success());
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        assert!(files.contains_key("etc/hello/greeting"));
        assert!(
            !files.keys().any(|path| path.starts_with("run/secrets")),
            "{engine}"
        );
    }
}

#[test]
fn a_model_that_fails_to_set_up_shows_its_traceback() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "run.py",
            "self.greeting = ",
            "raise ValueError('no greeting') #",
        );
        let run = project.run(&["predict", "-i", "name=x", "--progress", "quiet"]);
        assert_eq!(run.code, Some(1));
        assert!(
            run.stderr.contains("the model failed to set up"),
            "{}",
            run.stderr
        );
        assert!(
            run.stderr.contains("ValueError: no greeting"),
            "{}",
            run.stderr
        );
        assert_eq!(project.containers(), 0);
    }
}

#[test]
fn a_prediction_that_fails_says_why() {
    let project = Project::new("containerd");
    let run = project.run(&["predict", "-i", "numbers=a", "--progress", "quiet"]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(
        run.stderr.contains("error: the prediction failed: "),
        "{}",
        run.stderr
    );
    assert_eq!(project.containers(), 0);
}

#[test]
fn an_interrupted_prediction_leaves_no_container() {
    let project = Project::new("containerd");
    project.edit(
        "run.py",
        "self.greeting = ",
        "import time; time.sleep(600) #",
    );
    project.run(&["build"]).succeeded();
    let _serving = serving();
    let child = project.spawn(&["predict", "-i", "name=x", "--progress", "quiet"]);
    let start = Instant::now();
    while project.containers() == 0 {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the container does not start"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: interrupted\n"
    );
    assert_eq!(project.containers(), 0);
}

/// Builds a state on an engine and pushes it to the testbed's registry; gives its reference.
/// Builds a Dockerfile with the engine's own frontend, into an archive.
fn build_dockerfile(project: &Project, text: &str, archive: &Path) {
    let folder = TempDir::with_prefix("cog-python-dockerfile-").unwrap();
    // The frontend of the engine is used: the testbed has no registry with another.
    let text = text.replacen("# syntax=docker/dockerfile:1\n", "", 1);
    fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let mut solve = Solve::frontend("dockerfile.v0")
        .attribute("filename", "Dockerfile")
        .local("context", project.folder.path())
        .local("dockerfile", folder.path())
        .allow(Entitlement::NetworkHost)
        .export(Export::tar(archive));
    if let Some(bundle) = ca::find(&ca::Disk, None, false).unwrap().bundle {
        for (id, value) in bundle.secrets() {
            solve = solve.secret(id, Secret::bytes(value));
        }
    }
    let address = project.engine.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::connect(&address).await.unwrap();
        client.solve(solve, &mut ()).await.unwrap();
    });
}

/// Both backends, compared where the engine needs no copies of its own.
#[test]
fn the_dockerfile_of_a_plan_gives_the_same_files() {
    let project = Project::new("containerd");
    let archive = |name: &str| {
        project
            .folder
            .path()
            .join("../")
            .join(format!("{}-{name}.tar", project.tag))
    };
    let (graph, dockerfile) = (archive("graph"), archive("dockerfile"));
    let output = format!("type=tar,dest={}", graph.display());
    project.run(&["build", "-o", &output]).succeeded();
    let text = project.run(&["plan", "--dockerfile"]);
    build_dockerfile(&project, &text.stdout, &dockerfile);
    let [graph, dockerfile] = [graph, dockerfile].map(|archive| {
        let mut files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        files.retain(|path, _| {
            path.starts_with("opt/") || path.starts_with("src") || path.starts_with("etc/hello")
        });
        files
    });
    assert!(graph.len() > 1000, "{}", graph.len());
    let differences: Vec<_> = graph
        .iter()
        .filter(|(path, text)| dockerfile.get(*path) != Some(*text))
        .map(|(path, text)| format!("{path}: {text} / {:?}", dockerfile.get(path)))
        .chain(
            dockerfile
                .keys()
                .filter(|path| !graph.contains_key(*path))
                .cloned(),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
}

fn push(testbed: &Testbed, engine: &str, name: &str, state: &State) -> String {
    let registry = testbed
        .0
        .pointer("/registry/address")
        .and_then(Value::as_str)
        .unwrap();
    let reference = format!("{registry}/cog-python-test/{name}");
    let options = MarshalOptions::linux_amd64();
    let mut solve = Solve::state(state, &options)
        .unwrap()
        .allow(Entitlement::NetworkHost)
        .export(Export::image(&reference).push(true));
    if let Some(bundle) = ca::find(&ca::Disk, None, false).unwrap().bundle {
        for (id, value) in bundle.secrets() {
            solve = solve.secret(id, Secret::bytes(value));
        }
    }
    let address = testbed.address(engine).parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::connect(&address).await.unwrap();
        client.solve(solve, &mut ()).await.unwrap();
    });
    reference
}

#[test]
fn uv_brings_its_own_python() {
    let testbed = Testbed::find();
    let image = |name: &str| {
        testbed
            .0
            .pointer(name)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    // The uv program from PyPI, as an image such as its makers publish.
    let bundle = secret(ca::BUNDLE_PATH).id(ca::BUNDLE_SECRET).optional();
    let install = sh("pip install --target /uv uv==0.9.26")
        .network(llb::Network::Host)
        .mount(bundle)
        .mount(secret(ca::PATH_SECRET).as_env("PIP_CERT").optional());
    let program = llb::image("python:3.11-slim").run(install);
    let uv = push(
        &testbed,
        "containerd",
        "uv:1",
        &scratch().copy(program, "/uv/bin/uv", "/uv"),
    );
    // A base with the testbed's Python builds: those of uv's own list are not needed.
    let builds = llb::image(image("/uv_python/image"));
    let folder = image("/uv_python/mount");
    let base = llb::image("debian:bookworm-slim").copy(builds, "/", folder);
    let base = push(&testbed, "containerd", "debian-with-python-builds:1", &base);
    for engine in ENGINES {
        let project = Project::new(engine);
        let run = project.run(&[
            "predict",
            "-i",
            "name=uv",
            "--python-provider",
            "uv",
            "--uv-image",
            &uv,
            "--base",
            &base,
            "--uv-downloads",
            &image("/uv_python/lists/bookworm/mounted_downloads_url"),
        ]);
        assert_eq!(run.succeeded().stdout, "Hello, uv! The sum is 3,000.\n");
    }
}

#[test]
fn archives_and_folders_are_written() {
    let project = Project::new("containerd");
    let folder = TempDir::with_prefix("cog-python-out-").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let outputs = [
        format!("type=oci,dest={}", path("oci.tar")),
        format!("type=docker,dest={}", path("docker.tar")),
    ];
    let run = project
        .run(&["build", "-o", &outputs[0], "-o", &outputs[1]])
        .succeeded();
    assert_eq!(
        run.stdout,
        format!("{}\n{}\n", path("oci.tar"), path("docker.tar"))
    );
    assert!(listing(Path::new(&path("oci.tar"))).contains_key("index.json"));
    assert!(listing(Path::new(&path("docker.tar"))).contains_key("manifest.json"));
}

/// Runs a build that must fail with a message and leave no output behind.
#[track_caller]
fn fails(project: &Project, arguments: &[&str], expected: &[&str]) {
    let folder = project.folder.path().join("out");
    fs::create_dir(&folder).unwrap();
    let output = "type=oci,dest=out/image.tar";
    let build = ["build", "--progress", "quiet", "--output", output];
    let run = project.run(&[&build, arguments].concat());
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_eq!(run.stdout, "");
    for part in expected {
        assert!(run.stderr.contains(part), "no {part:?} in\n{}", run.stderr);
    }
    let left = fs::read_dir(folder).unwrap().count();
    assert_eq!(left, 0, "something was left behind");
}

#[test]
fn packages_that_do_not_exist_are_named_at_their_line() {
    let project = Project::new("containerd");
    project.edit("requirements.txt", "humanize", "no-such-package-of-anyone");
    let expected = ["no-such-package-of-anyone", "--> cog.yaml:5\n"];
    fails(&project, &[], &expected);

    let project = Project::new("containerd");
    project.edit("cog.yaml", "fortune-mod", "no-such-package-of-anyone");
    let expected = [
        "Unable to locate package no-such-package-of-anyone",
        "--> cog.yaml:7\n",
    ];
    fails(&project, &[], &expected);
}

#[test]
fn a_base_image_that_does_not_exist_is_named() {
    for engine in ENGINES {
        let project = Project::new(engine);
        let base = "debian:no-such-tag";
        fails(
            &project,
            &["--base", base],
            &["debian:no-such-tag", "not found"],
        );
    }
}

#[test]
fn a_builder_that_stops_in_mid_build_ends_the_build() {
    let project = Project::new("containerd");
    let begun = format!("begun-{}", unique());
    project.edit(
        "cog.yaml",
        "mkdir -p /etc/hello &&",
        &format!("echo {begun}; sleep 600;"),
    );
    // Stands between the program and the engine, and cuts the line when it is told to.
    let socket = project.folder.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let engine = project.engine.strip_prefix("unix://").unwrap().to_owned();
    let lines: &'static Mutex<Vec<UnixStream>> = Box::leak(Box::default());
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let (near, far) = (near.unwrap(), UnixStream::connect(&engine).unwrap());
            for (mut from, mut to) in [(&near, &far), (&far, &near)]
                .map(|(from, to)| (from.try_clone().unwrap(), to.try_clone().unwrap()))
            {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
            lines.lock().unwrap().extend([near, far]);
        }
    });
    let address = format!("unix://{}", socket.display());
    let output = "type=oci,dest=image.tar";
    let mut child = project.spawn(&["build", "--addr", &address, "--output", output]);
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut before = Vec::new();
    while !before
        .last()
        .is_some_and(|line: &String| line.ends_with(&begun))
    {
        let line = stderr.next();
        before.push(
            line.unwrap_or_else(|| panic!("the step has not begun: {before:#?}"))
                .unwrap(),
        );
    }
    for line in lines.lock().unwrap().iter() {
        line.shutdown(Shutdown::Both).unwrap_or_default();
    }
    let start = Instant::now();
    let rest: Vec<String> = stderr.map(Result::unwrap).collect();
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{rest:#?}");
    assert!(start.elapsed() < Duration::from_secs(20));
    let message = rest.join("\n");
    assert!(
        message.contains("connection to the daemon was lost"),
        "{message}"
    );
    assert!(message.contains("hint:"), "{message}");
    assert!(!project.folder.path().join("image.tar").exists());
}
