//! The frontend as its users meet it: in an image, named by `# syntax=`, on both engines of the testbed.

#![expect(clippy::unwrap_used, reason = "a panic is the report of a test")]

mod contexts;
mod program;
mod servers;
#[expect(dead_code, reason = "other tests need more of it")]
#[path = "../../../../llb/tests/client/testbed.rs"]
mod testbed;

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use llb::client::{Export, Secret, Solve};
use llb::gateway::{Build, frontend_image};
use llb::prelude::*;
use llb::progress::Recorder;
use testbed::{Testbed, engine, unique};
use tokio::sync::OnceCell;

const ENGINES: [&str; 2] = ["containerd", "graphdriver"];

/// The program, linked so that it needs nothing but the kernel: what `cargo rustc ... -C target-feature=+crt-static`
/// does, from the libraries that are compiled for the tests anyway.
fn link_program(directory: &Path) {
    let built = Path::new(env!("CARGO_BIN_EXE_llb-example-frontend"));
    let libraries = built.parent().unwrap().join("deps");
    let newest = fs::read_dir(&libraries)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            let library = name.strip_prefix("libllb_example_frontend-");
            library.is_some_and(|rest| rest.strip_suffix(".rlib").is_some())
        })
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap())
        .unwrap();
    let mut library = OsString::from("llb_example_frontend=");
    library.push(newest);
    let status = compiler(&libraries, library)
        .arg("-o")
        .arg(directory.join("frontend"))
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/main.rs"))
        .status()
        .unwrap();
    assert!(status.success());
}

/// Compiles a program that needs no shared libraries against one of the libraries of a folder, `name=path`.
fn compiler(libraries: &Path, library: OsString) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO")).with_file_name("rustc"));
    command
        .args(["--edition", "2024", "-C", "target-feature=+crt-static"])
        .args(["-C", "strip=symbols", "-L"])
        .arg(libraries)
        .arg("--extern")
        .arg(library);
    command
}

/// The name of the frontend's image, built by our own client and pushed to the registry.
async fn frontend() -> &'static str {
    static FRONTEND: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let home = tempfile::tempdir().unwrap();
        link_program(home.path());
        push_frontend(home.path(), "frontend", "appfile").await
    };
    FRONTEND.get_or_init(make).await
}

/// Makes an image of a program in a folder, with our own client, and pushes it to the registry; gives its name.
async fn push_frontend(folder: &Path, program: &str, repository: &str) -> String {
    let registry = Testbed::find().registry();
    let name = format!("{registry}/example/{repository}:{}", unique());
    let image = frontend_image(local("program"), &format!("/{program}"));
    let config = image
        .image_config()
        .to_json(&llb::value::Platform::LINUX_AMD64);
    let solve = Solve::state(&image, &MarshalOptions::linux_amd64())
        .unwrap()
        .local("program", folder)
        .export(Export::image(&name).push(true).config(config));
    let client = engine("containerd").await;
    client.solve(solve, &mut ()).await.unwrap();
    name
}

/// A directory with an Appfile and what belongs to it.
struct Project(tempfile::TempDir);

impl Project {
    async fn new(appfile: &str) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        project.write(
            "Appfile",
            &format!("# syntax={}\n{appfile}", frontend().await),
        );
        project
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What `docker build -f Appfile .` asks for.
    fn solve(&self) -> Solve {
        Solve::frontend("dockerfile.v0")
            .attribute("filename", "Appfile")
            .attribute("force-network-mode", "none")
            .local("context", self.0.path())
            .local("dockerfile", self.0.path())
    }
}

#[tokio::test]
async fn files_arguments_secrets_and_contexts_arrive() {
    let project = Project::new(
        "base debian:bookworm-slim\n\
         arg GREETING hello\n\
         copy src /app\n\
         copy . /app from=assets\n\
         run echo $GREETING $TOKEN > /app/greeting; cp /etc/debian_version /app/\n\
         start cat /app/greeting\n",
    )
    .await;
    project.write("src/a.txt", "a");
    project.write("src/b.log", "b");
    project.write(".dockerignore", "# no logs\n**/*.log\n");
    let assets = tempfile::tempdir().unwrap();
    fs::write(assets.path().join("logo"), "logo").unwrap();
    for name in ENGINES {
        let solve = Solve::build()
            .local("context", project.0.path())
            .local("dockerfile", project.0.path())
            .local("assets", assets.path())
            .secret("token", Secret::bytes("s3cret"));
        let build = async |cx: &mut Build| {
            let options = [
                ("filename", "Appfile"),
                ("force-network-mode", "none"),
                ("build-arg:GREETING", "good morning"),
                ("context:assets", "local:assets"),
            ];
            let made = cx.solve_frontend("dockerfile.v0", options, []).await?;
            let start = made.image_config().entrypoint.clone().unwrap_or_default();
            assert_eq!(start, ["/bin/sh", "-c", "cat /app/greeting"], "{name}");
            let files = cx.filesystem(made);
            let greeting = files.read_to_string("/app/greeting").await?;
            assert_eq!(greeting, "good morning s3cret\n", "{name}");
            assert_eq!(files.read_to_string("/app/a.txt").await?, "a", "{name}");
            assert_eq!(files.read_to_string("/app/logo").await?, "logo", "{name}");
            assert!(
                !files.exists("/app/b.log").await?,
                "{name}: .dockerignore holds"
            );
            Ok(scratch())
        };
        engine(name)
            .await
            .build(solve, &mut (), build)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_context_replaces_the_base_and_inputs_the_files() {
    let source = frontend().await;
    for name in ENGINES {
        let build = async |cx: &mut Build| {
            let file = scratch().mkfile("/Appfile", 0o644, "base app/base\ncopy . /\n");
            let context = scratch().mkfile("/of-input", 0o644, "input");
            let options = [
                ("source", source),
                ("context:app/base", "docker-image://debian:bookworm-slim"),
            ];
            let inputs = [("dockerfile", &file), ("context", &context)];
            let made = cx.solve_frontend("gateway.v0", options, inputs).await?;
            let files = cx.filesystem(made);
            assert!(files.exists("/etc/debian_version").await?, "{name}");
            assert_eq!(files.read_to_string("/of-input").await?, "input", "{name}");
            Ok(scratch())
        };
        let client = engine(name).await;
        client.build(Solve::build(), &mut (), build).await.unwrap();
    }
}

#[tokio::test]
async fn mistakes_show_their_line() {
    for name in ENGINES {
        let client = engine(name).await;
        for (appfile, line, part) in [
            (
                "base debian:bookworm-slim\nruns true\n",
                3,
                "unknown instruction `runs`",
            ),
            ("base debian:no-such-tag\n", 2, "no-such-tag"),
            (
                "base debian:bookworm-slim\ncopy . / from=x\n",
                3,
                "--build-context x=PATH",
            ),
            ("base debian:bookworm-slim\nrun exit 42\n", 3, "42"),
        ] {
            let project = Project::new(appfile).await;
            let error = client.solve(project.solve(), &mut ()).await.unwrap_err();
            assert!(error.to_string().contains(part), "{name}: {error}");
            let source = error.sources().last().unwrap();
            assert_eq!(source.filename, "Appfile", "{name}: {error}");
            assert_eq!(source.ranges[0].0, line, "{name}: {error}");
            assert!(source.text.contains(appfile), "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let name = frontend().await;
    let home = tempfile::tempdir().unwrap();
    let solve = Solve::frontend("gateway.v0")
        .attribute("source", name)
        .local("context", home.path())
        .local("dockerfile", home.path());
    let error = engine("containerd")
        .await
        .solve(solve, &mut ())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("\"Appfile\""), "{error}");
    assert!(error.to_string().contains("--file"), "{error}");
}

#[tokio::test]
async fn subrequests_are_answered() {
    let project = Project::new("base debian:bookworm-slim\n").await;
    for name in ENGINES {
        let solve = Solve::build()
            .local("context", project.0.path())
            .local("dockerfile", project.0.path());
        let ask = async |cx: &mut Build| {
            // What `docker build -f Appfile --call=outline .` asks.
            let options = |request| {
                [
                    ("filename", "Appfile"),
                    ("requestid", request),
                    (
                        "frontend.caps",
                        "moby.buildkit.frontend.subrequests+forward",
                    ),
                ]
            };
            for (request, part) in [
                ("frontend.outline", "an image from an Appfile"),
                ("frontend.targets", "(default)"),
                ("frontend.subrequests.describe", "outline"),
            ] {
                let answer = cx
                    .ask_frontend("dockerfile.v0", options(request), [])
                    .await?;
                let text = String::from_utf8_lossy(&answer["result.txt"]);
                assert!(text.contains(part), "{name}: {text}");
                serde_json::from_slice::<serde_json::Value>(&answer["result.json"])?;
            }
            let unknown = options("frontend.nothing");
            let error = cx
                .ask_frontend("dockerfile.v0", unknown, [])
                .await
                .unwrap_err();
            assert!(
                error.to_string().contains("frontend.nothing"),
                "{name}: {error}"
            );
            Ok(scratch())
        };
        engine(name).await.build(solve, &mut (), ask).await.unwrap();
    }
}

#[tokio::test]
async fn an_argument_that_nobody_reads_is_a_warning() {
    let project = Project::new("base debian:bookworm-slim\n").await;
    let mut recorder = Recorder::new();
    let solve = project.solve().attribute("build-arg:GREETNIG", "hello");
    engine("containerd")
        .await
        .solve(solve, &mut recorder)
        .await
        .unwrap();
    let warnings = recorder.summary().warnings();
    assert!(
        warnings
            .iter()
            .any(|warning| warning.short.contains("GREETNIG")),
        "{warnings:?}"
    );
}

/// Runs `docker build .` as people do, and gives what it writes.
fn docker_build(project: &Project, engine: &str, args: &[&str]) -> (bool, String) {
    docker_build_of(project, engine, args, ".")
}

/// Runs `docker build` for a context.
fn docker_build_of(
    project: &Project,
    engine: &str,
    args: &[&str],
    context: &str,
) -> (bool, String) {
    // The testbed has Docker's own client beside its engines.
    let state = std::env::var_os("LLB_TESTBED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/testbed/state.json"),
        Into::into,
    );
    let state: serde_json::Value = serde_json::from_slice(&fs::read(state).unwrap()).unwrap();
    let root = Path::new(state["root"].as_str().unwrap());
    let output = Command::new(root.join("tools/usr/libexec/docker/cli-plugins/docker-buildx"))
        .args([
            "build",
            "--progress",
            "plain",
            "--network",
            "none",
            "-f",
            "Appfile",
        ])
        .args(args)
        .arg(context)
        .current_dir(project.0.path())
        .env("DOCKER_HOST", Testbed::find().address(engine).to_string())
        .env("DOCKER_CONFIG", project.0.path().join(".docker"))
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[tokio::test]
async fn docker_build_takes_it_by_its_syntax_line() {
    let project = Project::new(
        "base debian:bookworm-slim\narg WORD hello\ncopy src /app\nrun echo $WORD $(cat /app/a)\n",
    )
    .await;
    project.write("src/a", &unique());
    for engine in ENGINES {
        let args = ["--build-arg", "WORD=morning", "--build-arg", "WROD=x"];
        let (success, text) = docker_build(&project, engine, &args);
        assert!(success, "{engine}: {text}");
        assert!(text.contains(" morning "), "{engine}: {text}");
        assert!(
            text.contains("argument WROD is not one of Appfile"),
            "{engine}: {text}"
        );
        let (success, text) = docker_build(&project, engine, &["--call=outline"]);
        assert!(
            success && text.contains("an image from an Appfile"),
            "{engine}: {text}"
        );
    }
    let mistaken = Project::new("base debian:bookworm-slim\nruns true\n").await;
    let (success, text) = docker_build(&mistaken, "containerd", &[]);
    assert!(!success, "{text}");
    assert!(text.contains("3 | >>> runs true"), "{text}");
    assert!(
        text.contains("hint: instructions are base, arg, copy, run and start"),
        "{text}"
    );
}
