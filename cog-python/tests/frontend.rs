//! The frontend as its users meet it: in an image, named by `# syntax=`, by Docker's own client, on both engines of
//! `cargo xtask testbed up`.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;
#[path = "live/server.rs"]
mod server;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{OnceLock, PoisonError, RwLock};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use cog_python::ca;
use common::example_folder;
use serde_json::Value;
use server::{Answer, Request, Server, wheel};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const ENGINES: [&str; 2] = ["containerd", "graphdriver"];

/// Held by builds, alone by those that are to find in the cache what others have left there: as long as any build holds on
/// to an image that it pulled, the BuildKit of the testbed gives its cache keys to no build that asks for it later.
static CACHE: RwLock<()> = RwLock::new(());

/// What the running testbed says of itself.
fn testbed(pointer: &str) -> String {
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
    let state: Value = serde_json::from_str(&text).unwrap();
    state
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap()
        .to_owned()
}

fn unique() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    format!("{}-{}", now.unwrap().as_nanos(), std::process::id())
}

/// The program, linked so that it needs nothing but the kernel: what `cargo rustc ... -C target-feature=+crt-static`
/// does, from the libraries that are compiled for the tests anyway.
fn link_program(folder: &Path) -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_cog-python"));
    let libraries = built.parent().unwrap().join("deps");
    let newest = fs::read_dir(&libraries)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let library = name.strip_prefix("libcog_python-");
            library.is_some_and(|rest| rest.strip_suffix(".rlib").is_some())
        })
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .unwrap();
    let mut library = OsString::from("cog_python=");
    library.push(newest);
    let program = folder.join("cog-python");
    let status = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"))
        .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
        .args(["-C", "strip=symbols", "-L"])
        .arg(&libraries)
        .arg("--extern")
        .arg(library)
        .arg("-o")
        .arg(&program)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"))
        .status()
        .unwrap();
    assert!(status.success());
    program
}

/// The name of the frontend's image, which the program itself has built and pushed.
fn frontend() -> &'static str {
    static FRONTEND: OnceLock<String> = OnceLock::new();
    FRONTEND.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let program = link_program(folder.path());
        let name = format!(
            "{}/example/cog-python:{}",
            testbed("/registry/address"),
            unique()
        );
        let output = Command::new(&program)
            .args([
                "frontend-image",
                "--push",
                "--progress",
                "quiet",
                "--tag",
                &name,
            ])
            .env("BUILDKIT_HOST", testbed("/engines/containerd/url"))
            .env("LLB_HELPER", common::helper())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            text.starts_with(&format!("{name}@sha256:")),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        name
    })
}

/// A model of its own, and a folder of Docker's client.
struct Project(TempDir, TempDir);

impl Project {
    /// A small one without packages.
    fn new(config: &str) -> Self {
        let project = Self(
            TempDir::with_prefix("cog-python-frontend-").unwrap(),
            TempDir::new().unwrap(),
        );
        project.write("cog.yaml", &format!("# syntax={}\n{config}", frontend()));
        project.write(
            "run.py",
            "class Runner:\n    def run(self, name: str) -> str:\n        return name\n",
        );
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Runs `docker buildx build` as people do; gives whether it succeeded, and what it writes.
    fn docker_build(&self, engine: &str, arguments: &[&str]) -> (bool, String) {
        let _shared = CACHE.read().unwrap_or_else(PoisonError::into_inner);
        self.buildx(engine, arguments)
    }

    fn buildx(&self, engine: &str, arguments: &[&str]) -> (bool, String) {
        let root = testbed("/root");
        let client = Path::new(&root).join("tools/usr/libexec/docker/cli-plugins/docker-buildx");
        let output = Command::new(client)
            .args(["build", "--progress", "plain", "-f", "cog.yaml"])
            // Steps of the testbed have no network but the host's.
            .args(["--network", "host", "--allow", "network.host"])
            .args(self.certificates())
            .args(arguments)
            .arg(".")
            .current_dir(self.0.path())
            .env("DOCKER_HOST", testbed(&format!("/engines/{engine}/url")))
            .env("DOCKER_CONFIG", self.1.path())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (
            output.status.success(),
            String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// The certificates that this machine needs to reach packages, as the secrets that steps take.
    fn certificates(&self) -> Vec<String> {
        let found = ca::find(&ca::Disk, None, false).unwrap();
        let secrets = found.bundle.iter().flat_map(ca::Bundle::secrets);
        let options = secrets.map(|(id, value)| {
            let file = self.1.path().join(id);
            fs::write(&file, value).unwrap();
            format!("--secret=id={id},src={}", file.display())
        });
        options.collect()
    }

    #[track_caller]
    fn builds(&self, engine: &str, arguments: &[&str]) -> String {
        let (success, text) = self.docker_build(engine, arguments);
        assert!(success, "{engine}: {text}");
        text
    }

    /// A build of what was built before, while nothing else builds.
    #[track_caller]
    fn builds_again(&self, engine: &str, arguments: &[&str]) -> String {
        let _alone = CACHE.write().unwrap_or_else(PoisonError::into_inner);
        let (success, text) = self.buildx(engine, arguments);
        assert!(success, "{engine}: {text}");
        text
    }

    #[track_caller]
    fn fails(&self, engine: &str, arguments: &[&str]) -> String {
        let (success, text) = self.docker_build(engine, arguments);
        assert!(!success, "{engine}: {text}");
        text
    }
}

#[track_caller]
fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "`{part}` is not in:\n{text}");
}

/// The configuration of an image in an archive for `docker load`.
fn configuration(archive: &Path) -> Value {
    let read = |name: &str| -> Value {
        let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let found = entries.find(|entry| entry.path().unwrap().to_str() == Some(name));
        serde_json::from_reader(found.unwrap_or_else(|| panic!("there is no {name}"))).unwrap()
    };
    let manifest = read("manifest.json");
    read(manifest[0]["Config"].as_str().unwrap())
}

#[test]
fn a_model_is_built_by_its_syntax_line_alone() {
    let config = format!(
        "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\n  run:\n    - echo {} built by-${{WORD}}\n\
         environment:\n  - WORD=hello\nrun: run.py:Runner\n",
        unique()
    );
    let project = Project::new(&config);
    project.write("requirements.txt", "-r more/requirements.txt\n");
    project.write("more/requirements.txt", "humanize==4.12.0\n");
    for engine in ENGINES {
        let name = format!("cog-python-frontend:{}", unique());
        let text = project.builds(
            engine,
            &[
                "-t",
                &name,
                "--load",
                "--label",
                "team=vision",
                "--build-arg",
                "WROD=x",
            ],
        );
        contains(&text, "lock: humanize==4.12.0");
        contains(&text, "built by-hello");
        contains(&text, "build argument WROD is not one of cog-python");
        // Nothing of the image is built again, and nothing but the project is read.
        let again = project.builds_again(engine, &["-t", &name, "--load"]);
        assert!(again.matches("CACHED").count() >= 3, "{engine}: {again}");
    }
    let anew = project.builds("containerd", &["--no-cache"]);
    contains(&anew, "built by-hello");
}

#[test]
fn the_image_says_what_the_command_line_and_the_model_say() {
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\nenvironment:\n  - WORD=hello\nrun: run.py:Runner\n",
    );
    let output = project.0.path().join("image.tar");
    let target = format!("type=docker,dest={}", output.display());
    project.write(".dockerignore", "image.tar\n");
    project.builds(
        "containerd",
        &[
            "--label",
            "team=vision",
            "-o",
            &target,
            "--build-arg",
            "SOURCE_DATE_EPOCH=86400",
        ],
    );
    let config = configuration(&output);
    let labels = &config["config"]["Labels"];
    assert_eq!(labels["team"], "vision");
    contains(
        labels["run.cog.openapi_schema"].as_str().unwrap(),
        "\"name\"",
    );
    assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/tini");
    assert_eq!(config["created"], "1970-01-02T00:00:00Z");
    contains(&config["config"]["Env"].to_string(), "WORD=hello");
}

#[test]
fn a_build_argument_names_the_frontend_too() {
    let project = Project::new("build:\n  python_version: \"3.11\"\nrun: run.py:Runner\n");
    let text = fs::read_to_string(project.0.path().join("cog.yaml")).unwrap();
    project.write("cog.yaml", text.split_once('\n').unwrap().1);
    let syntax = format!("BUILDKIT_SYNTAX={}", frontend());
    let text = project.builds("containerd", &["--build-arg", &syntax]);
    contains(&text, "copy the project to /src");
}

#[test]
fn a_subrequest_lists_the_build_arguments() {
    let project = Project::new("build:\n  python_version: \"3.11\"\nrun: run.py:Runner\n");
    for engine in ENGINES {
        let text = project.builds(engine, &["--call=outline"]);
        contains(&text, "a Cog model from its cog.yaml");
        contains(&text, "PYTHON_PROVIDER");
    }
}

/// What a build would take is known without building.
#[test]
fn a_subrequest_lists_secrets_and_agents() {
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\nx-cog-python:\n  run:\n    - command: make\n      mounts:\n        - {type: secret, id: token, target: /t}\n        - {type: secret, id: maybe, target: /m, required: false}\n        - {type: ssh, id: deploy}\nrun: run.py:Runner\n",
    );
    for engine in ENGINES {
        let text = project.builds(engine, &["--call=outline"]);
        // What may be left out has nothing in the second column.
        for row in [&["token", "true"][..], &["maybe"], &["deploy", "true"]] {
            let mut rows = text.lines().map(|line| line.split_whitespace());
            let has = rows.any(|words| words.eq(row.iter().copied()));
            assert!(has, "{engine}: no {row:?} in {text}");
        }
    }
}

/// `--call=check` tells warnings and errors at their lines, and ends with the code that belongs to them.
#[test]
fn a_check_tells_what_a_build_would_tell() {
    let project = Project::new("build:\n  python_version: \"3.11\"\nrun: run.py:Runner\n");
    for engine in ENGINES {
        let text = project.builds(engine, &["--call=check"]);
        contains(&text, "no warnings found");
    }
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\n  python_packages: [six==1.17.0]\npredict: run.py:Runner\n",
    );
    for engine in ENGINES {
        let text = project.fails(engine, &["--call=check", "--build-arg", "WROD=x"]);
        contains(&text, "WARNING: Configuration");
        contains(&text, "cog.yaml:4");
        contains(&text, "4 | >>>   python_packages: [six==1.17.0]");
        contains(&text, "WARNING: BuildArgument");
        assert!(!text.contains("copy the project"), "{engine}: {text}");
    }
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\n  sytem_packages: [git]\nrun: run.py:Runner\n",
    );
    for engine in ENGINES {
        let text = project.fails(engine, &["--call=check"]);
        contains(&text, "cog.yaml:4: unknown key `sytem_packages` in `build`");
        contains(&text, "4 | >>>   sytem_packages: [git]");
    }
}

#[test]
fn mistakes_are_shown_at_their_lines() {
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\n  sytem_packages: [git]\nrun: run.py:Runner\n",
    );
    project.write("requirements.txt", "humanize==4.12.0\nnumpy==\n");
    for engine in ENGINES {
        let text = project.fails(engine, &[]);
        contains(&text, "5 | >>>   sytem_packages: [git]");
        contains(&text, "cog.yaml:5: unknown key `sytem_packages` in `build`");
        contains(&text, "requirements.txt:2: ");
        contains(&text, "2 | >>> numpy==");
    }
    let project = Project::new("build:\n  python_version: \"3.11\"\nrun: missing.py:Runner\n");
    let text = project.fails("containerd", &[]);
    contains(&text, "cog.yaml:4: ");
    contains(&text, "missing.py");
}

#[test]
fn a_step_that_fails_is_shown_at_its_line() {
    let project = Project::new(
        "build:\n  python_version: \"3.11\"\n  run:\n    - echo one\n    - exit 42\nrun: run.py:Runner\n",
    );
    for engine in ENGINES {
        let text = project.fails(engine, &[]);
        contains(&text, "6 | >>>     - exit 42");
    }
}

#[test]
fn secrets_and_contexts_reach_their_steps() {
    let project = Project::new(&format!(
        "build:\n  python_version: \"3.11\"\n  run:\n    - command: echo {} && cat /etc/of-context /run/secrets/token | tr a-z A-Z\n\
         \x20     mounts:\n        - {{type: secret, id: token, target: /run/secrets/token}}\nrun: run.py:Runner\n",
        unique()
    ));
    let base = TempDir::new().unwrap();
    let dockerfile = "FROM python:3.11-slim\nRUN --network=none echo of-context-$(cat /etc/debian_version | wc -l) > /etc/of-context\n";
    fs::write(base.path().join("Dockerfile"), dockerfile).unwrap();
    let name = format!("{}/example/base:{}", testbed("/registry/address"), unique());
    let root = testbed("/root");
    let client = Path::new(&root).join("tools/usr/libexec/docker/cli-plugins/docker-buildx");
    let output = Command::new(client)
        .args(["build", "--push", "-t", &name, "."])
        .current_dir(base.path())
        .env("DOCKER_HOST", testbed("/engines/containerd/url"))
        .env("DOCKER_CONFIG", base.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    project.write("token.txt", "s3cret");
    let context = format!("python:3.11-slim=docker-image://{name}");
    let text = project.builds(
        "containerd",
        &[
            "--secret",
            "id=token,src=token.txt",
            "--build-context",
            &context,
        ],
    );
    contains(&text, "OF-CONTEXT-1");
    contains(&text, "S3CRET");
    // A cached step needs no secret.
    let text = project.fails("containerd", &["--no-cache", "--build-context", &context]);
    contains(&text, "token");
}

/// The login of an index in a netrc is for the steps, and its header for the wheels.
#[test]
fn a_netrc_and_a_header_are_the_login_of_an_index() {
    for engine in ENGINES {
        let package = format!("framed_{}", unique().replace('-', "_"));
        let (file, content) = wheel(&package, "1.0", "VALUE = 1\n");
        let digest = Sha256::digest(&content);
        let digest = digest
            .iter()
            .fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let password = format!("p@ss/{}", unique());
        let header = BASE64_STANDARD.encode(format!("me:{password}"));
        let header = format!("Basic {header}");
        let page = format!("/simple/{}/", package.replace('_', "-"));
        let expected = header.clone();
        let server = Server::start(move |request: &Request| {
            if request.authorization.as_ref() != Some(&expected) {
                Answer::unauthorized()
            } else if request.target == page {
                Answer::page(&format!(
                    "<a href=\"/files/{file}#sha256={digest}\">{file}</a>"
                ))
            } else if request.target == format!("/files/{file}") {
                Answer::found(content.clone())
            } else {
                Answer::missing()
            }
        });
        let project = Project::new(
            "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n",
        );
        let lines = format!(
            "--extra-index-url http://{}/simple\n{package}\n",
            server.address
        );
        project.write("requirements.txt", &lines);
        let secret = |id: &str, value: &str| {
            let path = project.1.path().join(id);
            fs::write(&path, value).unwrap();
            format!("--secret=id={id},src={}", path.display())
        };
        let host = server.address.ip();
        let netrc = format!("machine {host} login me password {password}\n");
        let archive = project.1.path().join("files.tar");
        let text = project.builds(
            engine,
            &[
                &secret("netrc", &netrc),
                &secret(&format!("authorization.{host}"), &header),
                &format!("--build-arg=NETRC_MACHINES={host}"),
                &format!("--output=type=tar,dest={}", archive.display()),
            ],
        );
        assert!(!text.contains(&password), "{text}");
        let mut archive = tar::Archive::new(fs::File::open(&archive).unwrap());
        let mut entries = archive.entries().unwrap().map(Result::unwrap);
        let module = format!("{package}.py");
        assert!(entries.any(|entry| entry.path().unwrap().ends_with(&module)));
    }
}

#[test]
fn the_whole_example_is_built_by_docker() {
    let project = Project::new(&fs::read_to_string(example_folder().join("cog.yaml")).unwrap());
    for name in ["requirements.txt", "run.py"] {
        fs::copy(example_folder().join(name), project.0.path().join(name)).unwrap();
    }
    for engine in ENGINES {
        let text = project.builds(engine, &[]);
        contains(&text, "apt(fortune-mod, tini)");
        contains(&text, "numpy");
    }
}
