//! Examples built for real, on the engine of the testbed that has merges.
//!
//! What a program prints is a graph; the text is read back and built. The testbed has no network and few images, so
//! every image is Debian's here, with stand-ins for the tools that would download something: they write down how they
//! were called, and make the files that the next step takes.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use llb::Definition;
use llb::client::{Address, Client, Export, Secret, Solve, SshAgent};
use tempfile::TempDir;

const TOOLS: [&str; 10] = [
    "apk", "apt-get", "cargo", "git", "go", "make", "npm", "pip", "rm", "useradd",
];
const STAND_IN: &str = r#"#!/bin/sh\necho \"${0##*/} $*\" >> /commands\ncase \"$0\" in\n*/cargo) d=/target/x86_64-unknown-linux-musl/release; mkdir -p $d; echo program > $d/server;;\n*/git) mkdir -p /src; echo \"token of ${#TOKEN} bytes\" >> /commands;;\n*/go) mkdir -p /out; echo program > /out/server;;\n*/make) for a; do d=${a#PREFIX=}; done; mkdir -p $d/bin; echo $d > $d/bin/tool;;\n*/npm) mkdir -p /out; echo page > /out/index.html;;\nesac\n"#;

const IMAGE: &str = "%image = source \"docker-image://docker.io/library/debian:bookworm-slim\"\n";

/// What a program prints, with stand-ins for images and network.
fn graph(program: &str, arguments: &[&str]) -> Definition {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect("the example starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).expect("an example prints text");
    let mut replaced = String::new();
    // The first graph, where a program prints several or something after it.
    let result = text.lines().position(|line| line.starts_with("return "));
    let first = text.lines().take(result.map_or(0, |last| last + 1));
    for line in first.filter(|line| !line.starts_with('#')) {
        if let Some(name) = ["git", "https"]
            .iter()
            .find_map(|kind| Some(line.split_once(&format!(" = source \"{kind}:"))?.0))
        {
            let file = name.trim_start_matches('%');
            let mkfile = format!("  mkfile \"/{file}\" 0644 \"{file}\"\n");
            replaced.extend([name, " = file {\n", &mkfile, "}\n"]);
        } else if let Some((name, _)) = line.split_once(" = source \"docker-image:") {
            if !replaced.contains(IMAGE) {
                replaced.push_str(IMAGE);
            }
            replaced.extend([
                name,
                " = file {\n  on %image\n  mkfile \"/image\" 0644 \"",
                name,
                "\"\n",
            ]);
            for tool in TOOLS {
                // The step that needs it looks nowhere else.
                let folder = if tool == "make" {
                    "/usr/bin"
                } else {
                    "/usr/local/sbin"
                };
                let mkfile = format!("  mkfile \"{folder}/{tool}\" 0755 \"{STAND_IN}\"\n");
                replaced.push_str(&mkfile);
            }
            replaced.push_str("}\n");
        } else {
            replaced.push_str(&line.replace(" cwd=", " network=none cwd="));
            replaced.push('\n');
        }
    }
    match Definition::from_text(&replaced) {
        Ok(definition) => definition,
        Err(error) => panic!("{error}\n{replaced}"),
    }
}

/// Builds a graph with a folder under the names that the examples read, and gives the files of the result.
async fn files_of(definition: Definition, context: &[(&str, &str)]) -> TempDir {
    let home = tempfile::tempdir().expect("there is room");
    let given = home.path().join("context");
    fs::create_dir(&given).expect("there is room");
    for (path, text) in context {
        let path = given.join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("there is room");
        fs::write(path, text).expect("there is room");
    }
    let made = home.path().join("made");
    // Offered to steps, and asked by none.
    let agent = home.path().join("agent");
    let _listening = UnixListener::bind(&agent).expect("a socket can be made");
    let solve = Solve::definition(definition)
        .local("context", &given)
        .local("dictionaries", &given)
        .ssh("default", SshAgent::socket(&agent))
        .secret("git-token", Secret::bytes(*b"0123456789"))
        .export(Export::local(&made));
    if let Err(error) = client().await.solve(solve, &mut ()).await {
        panic!("{error}");
    }
    home
}

async fn client() -> Client {
    let address = Address::unix(socket());
    Client::connect(&address).await.expect("the testbed is up")
}

fn socket() -> String {
    let state = std::env::var_os("LLB_TESTBED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/testbed/state.json"),
        PathBuf::from,
    );
    let text = fs::read_to_string(&state).unwrap_or_default();
    let state: serde_json::Value = serde_json::from_str(&text).expect(
        "the testbed is up: `cargo xtask testbed up`, or LLB_TESTBED names the state.json of one",
    );
    let socket = state["engines"]["containerd"]["socket"].as_str();
    let socket = socket.expect("the testbed has an engine with merges");
    socket.to_owned()
}

fn text(home: &TempDir, path: &str) -> String {
    let path = home.path().join("made").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[tokio::test]
async fn hello_has_what_it_says() {
    let graph = graph(env!("CARGO_BIN_EXE_01_hello"), &[]);
    let home = files_of(graph, &[("messages/moo.txt", "Moo!"), ("other", "")]).await;
    assert_eq!(text(&home, "messages/moo.txt"), "Moo!");
    assert_eq!(text(&home, "etc/motd"), "Moo.\n");
    assert_eq!(
        text(&home, "commands"),
        "apt-get update\napt-get install -y --no-install-recommends cowsay\n"
    );
}

#[tokio::test]
async fn layers_run_one_after_the_other() {
    let graph = graph(env!("CARGO_BIN_EXE_02_layers"), &[]);
    let home = files_of(graph, &[]).await;
    let install = "apt-get update\napt-get install -y --no-install-recommends";
    assert_eq!(
        text(&home, "commands"),
        format!("{install} nginx\n{install} tzdata\n")
    );
}

#[tokio::test]
async fn every_fork_is_in_the_merge() {
    let graph = graph(env!("CARGO_BIN_EXE_03_fork_merge"), &[]);
    let home = files_of(graph, &[]).await;
    assert_eq!(text(&home, "opt/jq/bin/tool"), "/opt/jq\n");
    assert_eq!(text(&home, "opt/ripgrep/bin/tool"), "/opt/ripgrep\n");
    assert_eq!(text(&home, "etc/profile.d/tools.sh"), "umask 027\n");
}

#[tokio::test]
async fn the_secret_reaches_its_command() {
    let graph = graph(env!("CARGO_BIN_EXE_05_secrets"), &[]);
    let home = files_of(graph, &[]).await;
    let commands = text(&home, "commands");
    assert!(
        commands.contains("token of 10 bytes\nnpm ci\n"),
        "{commands}"
    );
    assert!(!commands.contains("0123456789"));
}

#[tokio::test]
async fn the_program_of_a_platform_is_in_its_image() {
    let graph = graph(env!("CARGO_BIN_EXE_07_platforms"), &[]);
    let home = files_of(graph, &[("main.go", "")]).await;
    assert_eq!(text(&home, "usr/local/bin/server"), "program\n");
}

#[tokio::test]
async fn libraries_weights_and_source_are_joined() {
    let graph = graph(env!("CARGO_BIN_EXE_12_cuda_image"), &[]);
    let home = files_of(graph, &[("predict.py", "model"), (".git/x", "")]).await;
    assert_eq!(
        text(&home, "weights/model.safetensors"),
        "model.safetensors"
    );
    assert_eq!(text(&home, "src/predict.py"), "model");
    assert!(!home.path().join("made/src/.git").exists());
    assert!(text(&home, "commands").contains("pip install --no-deps"));
}

#[tokio::test]
async fn cache_mounts_and_the_bound_requirements_are_in_no_image() {
    let graph = graph(env!("CARGO_BIN_EXE_04_cache"), &[]);
    let home = files_of(
        graph,
        &[
            ("requirements.txt", "flask"),
            ("app.py", "app"),
            (".git/x", ""),
        ],
    )
    .await;
    assert_eq!(
        text(&home, "commands"),
        "pip install --requirement /tmp/requirements.txt\n"
    );
    assert_eq!(text(&home, "src/app.py"), "app");
    let made = home.path().join("made");
    assert!(!made.join("src/.git").exists());
    assert!(!made.join("tmp/requirements.txt").exists());
}

#[tokio::test]
async fn the_rust_project_ships_the_program_and_nothing_else() {
    let graph = graph(env!("CARGO_BIN_EXE_06_rust_project"), &[]);
    let home = files_of(
        graph,
        &[("Cargo.toml", ""), ("src/main.rs", "fn main() {}")],
    )
    .await;
    assert_eq!(text(&home, "server"), "program\n");
    let made = fs::read_dir(home.path().join("made")).expect("it was exported");
    assert_eq!(made.count(), 1);
}

#[tokio::test]
async fn the_macro_joins_what_its_forks_made() {
    let graph = graph(env!("CARGO_BIN_EXE_08_graph_macro"), &[]);
    let home = files_of(graph, &[("web/index.js", "")]).await;
    assert_eq!(text(&home, "srv/index.html"), "page\n");
    assert_eq!(text(&home, "etc/server/config.toml"), "debug = true\n");
    let commands =
        "apt-get update\napt-get install -y tini ca-certificates\napt-get install -y gdb strace\n";
    assert_eq!(text(&home, "commands"), commands);
}

#[tokio::test]
async fn forks_within_a_budget_all_arrive() {
    let graph = graph(env!("CARGO_BIN_EXE_10_squash_and_budget"), &[]);
    let names = ["de", "en", "fr", "it", "pt"];
    let home = files_of(graph, &names.map(|name| (name, name))).await;
    for name in names {
        assert_eq!(text(&home, &format!("usr/share/dict/{name}")), name);
    }
    assert!(text(&home, "commands").starts_with("apt-get update\napt-get install -y aspell\nrm "));
}

#[tokio::test]
async fn the_python_builder_makes_an_image_of_packages_and_source() {
    let arguments = ["text", "--build-arg", "PACKAGES=numpy pillow"];
    let graph = graph(env!("CARGO_BIN_EXE_13_python_builder"), &arguments);
    let home = files_of(graph, &[("app.py", "app"), (".git/x", "")]).await;
    assert_eq!(
        text(&home, "commands"),
        "pip install --no-compile numpy pillow\n"
    );
    assert_eq!(text(&home, "src/app.py"), "app");
    assert!(!home.path().join("made/src/.git").exists());
}

#[test]
fn a_builder_builds_and_tells_the_line_of_what_failed() {
    let home = tempfile::tempdir().expect("there is room");
    // The testbed has no network for the step, so it fails.
    let output = Command::new(env!("CARGO_BIN_EXE_13_python_builder"))
        .args(["build", "--progress", "plain", "--addr"])
        .arg(format!("unix://{}", socket()))
        .arg("--context")
        .arg(home.path())
        .output()
        .expect("the example starts");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    assert!(shown.contains("error: build failed"), "{shown}");
    assert!(shown.contains("src/bin/13_python_builder.rs:"), "{shown}");
    assert!(shown.contains("pip install --no-compile flask"), "{shown}");
}
