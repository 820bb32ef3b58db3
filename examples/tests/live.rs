//! Examples built for real, on the engine of the testbed that has merges.
//!
//! What a program prints is a graph; the text is read back and built. The testbed has no network and few images, so
//! every image is Debian's here, with stand-ins for the tools that would download something: they write down how they
//! were called, and make the files that the next step takes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use llb::Definition;
use llb::client::{Address, Client, Export, Solve};
use tempfile::TempDir;

const TOOLS: [&str; 7] = ["apk", "apt-get", "cargo", "npm", "pip", "rm", "useradd"];
const STAND_IN: &str = r#"#!/bin/sh\necho \"${0##*/} $*\" >> /commands\ncase \"$0\" in\n*/cargo) d=/target/x86_64-unknown-linux-musl/release; mkdir -p $d; echo program > $d/server;;\n*/npm) mkdir -p /out; echo page > /out/index.html;;\nesac\n"#;

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
    for line in text.lines() {
        if let Some((name, _)) = line.split_once(" = source \"docker-image:") {
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
                let mkfile = format!("  mkfile \"/usr/local/sbin/{tool}\" 0755 \"{STAND_IN}\"\n");
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
    for (path, text) in context {
        let path = given.join(path);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("there is room");
        fs::write(path, text).expect("there is room");
    }
    let made = home.path().join("made");
    let solve = Solve::definition(definition)
        .local("context", &given)
        .local("dictionaries", &given)
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
