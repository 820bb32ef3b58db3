//! The engines of the testbed, and projects to build on them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bollard::{API_DEFAULT_VERSION, Docker};
use cog_python::ca;
use llb::client::{Client, Entitlement, Export, Secret, Solve};
use llb::{MarshalOptions, State};
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{example_folder, helper};

pub(crate) const ENGINES: [&str; 2] = ["containerd", "graphdriver"];

/// The running testbed.
pub(crate) struct Testbed(pub(crate) Value);

impl Testbed {
    /// The testbed that `LLB_TESTBED` names, or that of this workspace.
    pub(crate) fn find() -> Self {
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

    /// Address of the registry.
    pub(crate) fn registry(&self) -> String {
        let address = self.0.pointer("/registry/address").and_then(Value::as_str);
        address.unwrap().to_owned()
    }

    /// Address of an engine.
    pub(crate) fn address(&self, engine: &str) -> String {
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
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Steps that were taken from the cache.
    pub(crate) fn cached(&self) -> usize {
        self.stderr
            .lines()
            .filter(|line| line.ends_with(" CACHED"))
            .count()
    }

    /// Names of the steps that were run, as opposed to taken from the cache, and start with this.
    pub(crate) fn steps_run(&self, start: &str) -> Vec<String> {
        let lines = self.stderr.lines();
        let mut names: Vec<String> = lines
            .filter_map(|line| {
                let (number, name) = line.split_once(' ')?;
                let cached = format!("{number} CACHED");
                let is_step = number.starts_with('#') && name.starts_with(start);
                let is_run = is_step && !self.stderr.lines().any(|line| line == cached);
                is_run.then(|| name.to_owned())
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// Whether a step printed a line, so that it was run.
    pub(crate) fn printed(&self, text: &str) -> bool {
        self.stderr.lines().any(|line| {
            // `#7 0.123 text`
            let mut parts = line.splitn(3, ' ');
            let (number, time) = (parts.next(), parts.next());
            number.is_some_and(|number| number.starts_with('#'))
                && time.is_some_and(|time| time.parse::<f64>().is_ok())
                && parts.next() == Some(text)
        })
    }

    /// Whether a step of this name was run, as opposed to taken from the cache, as far as progress tells: what ran in one
    /// request of a build is cached in the next one, and may be shown as such. So it is no proof that something ran.
    pub(crate) fn ran(&self, name: &str) -> bool {
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
pub(crate) static SERVING: Mutex<()> = Mutex::new(());

/// Held by builds: shared by those that may run beside others, alone by those whose steps are told apart by whether they
/// were cached, and by those that use no cache, because what they build takes the place of what others have just seen.
///
/// An engine that has just been started has to run what builds have in common: it pulls the base image and downloads the
/// wheels. As long as any build holds on to such a result, the BuildKit of the testbed gives its cache keys to no build that
/// asks for it later, so that builds of the same thing run again all that comes after it. Later versions of BuildKit do.
static CACHE: RwLock<()> = RwLock::new(());

/// A copy of the example as a project of its own, and an engine to build it on.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    pub(crate) engine: String,
    pub(crate) tag: String,
    alone: AtomicBool,
}

/// Waits for the containers of other tests to end; one that failed leaves none behind either.
pub(crate) fn serving() -> MutexGuard<'static, ()> {
    SERVING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Project {
    pub(crate) fn new(engine: &str) -> Self {
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
            alone: AtomicBool::new(false),
        }
    }

    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {file}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cog-python"));
        // The testbed's containers have no network of their own.
        command
            .args(arguments)
            .args(["--tag", &self.tag, "--network", "host"])
            .env_remove("BUILDKIT_HOST")
            .env("LLB_HELPER", helper())
            .env("DOCKER_HOST", &self.engine)
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command whose last arguments must stay last.
    pub(crate) fn run_command(&self, before: &[&str], last: &[&str]) -> Run {
        let output = self.command(before).args(last).output().unwrap();
        Run {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Digests of the layers of an image of the engine.
    pub(crate) fn layers(&self, image: &str) -> Vec<String> {
        let image = self.docker(async |docker| docker.inspect_image(image).await.unwrap());
        image.root_fs.unwrap().layers.unwrap()
    }

    /// What containers take over of an image of the engine.
    pub(crate) fn config(&self, image: &str) -> Value {
        let image = self.docker(async |docker| docker.inspect_image(image).await.unwrap());
        serde_json::to_value(image.config.unwrap()).unwrap()
    }

    /// Labels of an image of the engine.
    pub(crate) fn labels(&self, image: &str) -> BTreeMap<String, String> {
        let image = self.docker(async |docker| docker.inspect_image(image).await.unwrap());
        image.config.unwrap().labels.unwrap().into_iter().collect()
    }

    /// Whether the engine has an image.
    pub(crate) fn has(&self, image: &str) -> bool {
        let found = self.docker(async |docker| docker.inspect_image(image).await);
        match found {
            Ok(_) => true,
            Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            }) => false,
            Err(error) => panic!("{image}: {error}"),
        }
    }

    /// Removes an image from the engine.
    pub(crate) fn remove(&self, image: &str) {
        self.docker(async |docker| {
            let options = bollard::query_parameters::RemoveImageOptions {
                force: true,
                ..Default::default()
            };
            docker
                .remove_image(image, Some(options), None)
                .await
                .unwrap();
        });
    }

    /// From now on nothing else builds while this runs: what an earlier build has left is found in the cache.
    pub(crate) fn runs_alone(&self) {
        self.alone.store(true, Ordering::Relaxed);
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        let no_cache = arguments.contains(&"--no-cache") || arguments[0] == "verify";
        let alone = no_cache || self.alone.load(Ordering::Relaxed);
        let _alone = alone.then(|| CACHE.write().unwrap_or_else(PoisonError::into_inner));
        let _shared = (!alone).then(|| CACHE.read().unwrap_or_else(PoisonError::into_inner));
        let _serving = ["predict", "run", "train"]
            .contains(&arguments[0])
            .then(serving);
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
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn docker<T>(&self, work: impl AsyncFnOnce(Docker) -> T) -> T {
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
    pub(crate) fn containers(&self) -> usize {
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
pub(crate) fn unique() -> u128 {
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
            for image in [tag.clone(), format!("{tag}-base")] {
                let _ = docker
                    .remove_image(&image, Some(options.clone()), None)
                    .await;
            }
        });
    }
}

/// Path, kind, mode and link target of every file; sizes of those that hold no times.
pub(crate) fn listing(archive: &Path) -> BTreeMap<String, String> {
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

/// Runs a build on an engine, with what its steps need for the network.
pub(crate) fn solve(address: &str, build: Solve) {
    let _shared = CACHE.read().unwrap_or_else(PoisonError::into_inner);
    let mut build = build.allow(Entitlement::NetworkHost);
    if let Some(bundle) = ca::find(&ca::Disk, None, false).unwrap().bundle {
        for (id, value) in bundle.secrets() {
            build = build.secret(id, Secret::bytes(value));
        }
    }
    let address = address.parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::connect(&address).await.unwrap();
        client.solve(build, &mut ()).await.unwrap();
    });
}

/// Builds a state on an engine and pushes it to the testbed's registry; gives its reference.
pub(crate) fn push(testbed: &Testbed, engine: &str, name: &str, state: &State) -> String {
    let registry = testbed
        .0
        .pointer("/registry/address")
        .and_then(Value::as_str)
        .unwrap();
    let reference = format!("{registry}/cog-python-test/{name}");
    let build = Solve::state(state, &MarshalOptions::linux_amd64()).unwrap();
    let image = Export::image(&reference).push(true);
    solve(&testbed.address(engine), build.export(image));
    reference
}

/// A document of the testbed's registry.
pub(crate) fn get(testbed: &Testbed, path: &str) -> Value {
    serde_json::from_str(&answer(testbed, path).1).unwrap()
}

/// The digest that the testbed's registry tells of a document.
pub(crate) fn digest(testbed: &Testbed, path: &str) -> String {
    let (head, _) = answer(testbed, path);
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(name, _)| name.eq_ignore_ascii_case("docker-content-digest"));
    found.unwrap_or_else(|| panic!("{head}")).1.to_owned()
}

/// Head and body of an answer.
fn answer(testbed: &Testbed, path: &str) -> (String, String) {
    let address = testbed.registry();
    let mut stream = TcpStream::connect(&address).unwrap();
    let kinds = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
        application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
    // A server of HTTP 1.0 ends the connection with the answer.
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: {kinds}\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {answer}");
    (head.to_owned(), body.to_owned())
}
