//! The program as people run it: exit code, stdout and stderr.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{example_folder, project};
use tempfile::TempDir;

/// Runs the program in a folder with an empty environment; gives a transcript.
fn transcript(folder: &Path, arguments: &[&str]) -> String {
    transcript_with(folder, arguments, &[])
}

fn transcript_with(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_cog-python"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        // The commit of this repository would be in what is shown.
        .env("GIT_DIR", "none")
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let mut text = format!("$ cog-python {}\n", arguments.join(" "));
    writeln!(text, "exit code {}", output.status.code().unwrap()).unwrap();
    for (name, bytes) in [("stdout", output.stdout), ("stderr", output.stderr)] {
        if !bytes.is_empty() {
            writeln!(
                text,
                "-- {name}\n{}",
                String::from_utf8(bytes).unwrap().trim_end()
            )
            .unwrap();
        }
    }
    text.replace(&folder.display().to_string(), "PROJECT")
}

/// A model that can be read.
const RUN: &str = "class Runner:\n    def run(self) -> str: ...\n";

const SMALL: &str = "build:\n  python_version: \"3.12\"\nimage: small\nrun: run.py:Runner\n";

#[test]
fn the_plan_of_the_example() {
    insta::assert_snapshot!(transcript(&example_folder(), &["plan"]));
}

#[test]
fn the_plan_of_the_example_as_json() {
    insta::assert_snapshot!(transcript(&example_folder(), &["plan", "--json"]));
}

#[test]
fn a_new_model_is_written_once_and_can_be_planned() {
    let folder = project(&[]);
    let first = transcript(folder.path(), &["init"]);
    assert!(
        first.contains("wrote cog.yaml") && first.contains("wrote run.py"),
        "{first}"
    );
    fs::write(folder.path().join("run.py"), RUN).unwrap();
    let second = transcript(folder.path(), &["init"]);
    assert!(second.contains("kept run.py"), "{second}");
    assert_eq!(
        fs::read_to_string(folder.path().join("run.py")).unwrap(),
        RUN
    );
    let plan = transcript(folder.path(), &["plan"]);
    assert!(plan.contains("exit code 0"), "{plan}");
}

#[test]
fn the_doctor_says_what_is_wrong_here() {
    let folder = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    let text = transcript(folder.path(), &["doctor", "--addr", "unix:///none.sock"]);
    assert!(text.contains("exit code 1"), "{text}");
    assert!(text.contains("ok    signature"), "{text}");
    assert!(text.contains("fails builder"), "{text}");
    let folder = project(&[("cog.yaml", "build: {}\n")]);
    let text = transcript(folder.path(), &["doctor", "--addr", "unix:///none.sock"]);
    assert!(
        text.contains("fails config") && text.contains("`build.python_version` is required"),
        "{text}"
    );
}

#[test]
fn pictures_dockerfiles_and_the_schema_are_printed() {
    let folder = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    for (arguments, start) in [
        (&["plan", "--graph"][..], "digraph plan {"),
        (&["plan", "--graph", "svg"], "<svg "),
        (&["plan", "--dockerfile"], "# syntax=docker/dockerfile:1"),
        (&["plan", "--explain"], "small for linux/amd64"),
        (&["schema"], "{\n  \"$schema\""),
    ] {
        let text = transcript(folder.path(), arguments);
        assert!(
            text.contains(&format!("exit code 0\n-- stdout\n{start}")),
            "{text}"
        );
    }
}

#[test]
fn a_table_of_the_user_decides() {
    let folder = project(&[
        (
            "cog.yaml",
            "build:\n  gpu: true\n  python_version: \"3.13\"\n  python_packages: [torch==2.12.0]\nrun: run.py:Runner\n",
        ),
        ("run.py", RUN),
        (
            "more.toml",
            "[[torch.release]]\ntorch = \"2.12.0\"\npython = [\"3.13\"]\nbuilds = [\"cpu\", \"cu129\"]\n",
        ),
    ]);
    let text = transcript(folder.path(), &["plan", "--tables", "more.toml"]);
    assert!(text.contains("/whl/cu129/"), "{text}");
    let text = transcript(
        folder.path(),
        &[
            "plan",
            "--tables",
            "more.toml",
            "--gpu-arch",
            "12.0",
            "--driver",
            "470.1",
        ],
    );
    assert!(
        text.contains("CUDA 12.9 needs NVIDIA driver 525.60.13"),
        "{text}"
    );
}

#[test]
fn a_version_file_says_what_the_configuration_does_not() {
    let config = "build:\n  system_packages: []\nimage: small\nrun: run.py:Runner\n";
    let of_file = |text: &str, config: &str| {
        let files = [
            ("cog.yaml", config),
            ("run.py", RUN),
            (".python-version", text),
        ];
        transcript(project(&files).path(), &["plan", "--explain"])
    };
    let text = of_file("# mine\n\n 3.12.4 \n3.11\n", config);
    assert!(text.contains("python:3.12.4-slim"), "{text}");
    assert!(
        text.contains(
            "because `.python-version` asks for it, `build.python_version` is not set, and"
        ),
        "{text}"
    );
    let text = of_file("3.11\n", "run: run.py:Runner\n");
    assert!(text.contains("python:3.11-slim"), "{text}");
    let text = of_file("3.11\n", SMALL);
    assert!(text.contains("python:3.12-slim"), "{text}");
    assert!(!text.contains(".python-version"), "{text}");
    for (version, message) in [
        (
            "pypy3.10\n",
            "the version in `.python-version` must be a major and a minor version",
        ),
        (
            "3.9.1\n",
            "the version in `.python-version` must be at least 3.10, found `3.9.1`",
        ),
        ("# none\n", "the version in `.python-version` must be"),
    ] {
        let text = of_file(version, config);
        assert!(
            text.contains("exit code 1")
                && text.contains(message)
                && text.contains("--> .python-version:1:1"),
            "{text}"
        );
    }
}

#[test]
fn a_script_names_its_own_packages() {
    let config =
        "build:\n  python_version: \"3.12\"\n  python_requirements: run.py\nrun: run.py:Runner\n";
    let plan_of = |block: &str| {
        let code = format!("{block}{RUN}");
        transcript(
            project(&[("cog.yaml", config), ("run.py", &code)]).path(),
            &["plan"],
        )
    };
    let text = plan_of("# /// script\n# dependencies = [\"six==1.17.0\"]\n# ///\n");
    assert!(
        text.contains("exit code 0") && text.contains("six==1.17.0"),
        "{text}"
    );
    let text = plan_of("# /// script\n# dependencies = [\"six=1\"]\n# ///\n");
    assert!(text.contains("`six=1` is no requirement"), "{text}");
    assert!(text.contains("--> run.py:2:"), "{text}");
    let text = plan_of("# /// script\n# requires-python = \">=3.13\"\n# ///\n");
    assert!(
        text.contains("exit code 1")
            && text.contains(
                "`run.py` is for Python >=3.13, and the image's Python is 3.12\n --> run.py:2:21"
            ),
        "{text}"
    );
    let text = plan_of("");
    assert!(
        text.contains("`run.py` is not understood: a script names"),
        "{text}"
    );
}

#[test]
fn the_readme_shows_what_the_program_prints() {
    let readme = include_str!("../README.md");
    let block = |start: &str| {
        let start = readme.find(start).unwrap();
        readme[start..].split("\n```").next().unwrap()
    };
    let plan = transcript(&example_folder(), &["plan"]);
    assert!(plan.contains(block("Steps\n")), "{plan}");
    let yaml = fs::read_to_string(example_folder().join("cog.yaml")).unwrap();
    assert!(
        yaml.ends_with(&format!("{}\n", block("build:\n"))),
        "{yaml}"
    );
    let project = project(&[("cog.yaml", "build:\n  python_verison: 3.12\n")]);
    let mistakes = transcript(project.path(), &["plan"]);
    assert!(mistakes.contains(block("error: unknown key")), "{mistakes}");
}

#[test]
fn a_plan_with_every_option() {
    let project = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    insta::assert_snapshot!(transcript(
        project.path(),
        &[
            "plan",
            "--tag",
            "registry.example.com/me/small:1",
            "--platform",
            "linux/arm64",
            "--python-provider",
            "uv",
            "--base",
            "debian:trixie-slim",
            "--sdk-version",
            "0.22.0",
            "--uv-image",
            "example.com/uv:1",
            "--network",
            "host",
            "--pip-after-apt",
            "--no-recommends",
            "--label",
            "org.opencontainers.image.source=https://example.com",
        ],
    ));
}

#[test]
fn mistakes_are_all_shown_and_nothing_is_printed_to_stdout() {
    let project = project(&[(
        "cog.yaml",
        "build:\n  python_verison: 3.12\n  system_packages: [git curl]\nenvironment:\n  - HF_TOKEN=hunter2\nrun: run.py:Runner\n",
    )]);
    insta::assert_snapshot!(transcript(project.path(), &["plan"]));
}

#[test]
fn warnings_do_not_stop_a_plan() {
    let project = project(&[
        (
            "cog.yaml",
            "build:\n  python_version: 3.12\n  python_packages: [cog, six]\npredict: p.py:P\n",
        ),
        ("p.py", "class P:\n    def predict(self) -> str: ...\n"),
    ]);
    let text = transcript(project.path(), &["plan", "--json"]);
    assert!(text.contains("exit code 0"), "{text}");
    insta::assert_snapshot!(text.split("-- stderr\n").nth(1).unwrap());
}

#[test]
fn the_configuration_is_found_upwards_and_by_name() {
    let project = project(&[
        ("cog.yaml", SMALL),
        ("run.py", RUN),
        ("sub/deep/x", ""),
        ("other.yaml", SMALL),
    ]);
    let above = transcript(&project.path().join("sub/deep"), &["plan"]);
    assert!(above.contains("exit code 0"), "{above}");
    let named = transcript(
        &project.path().join("sub"),
        &["plan", "-f", "../other.yaml"],
    );
    assert!(named.contains("other.yaml as cog.yaml"), "{named}");
}

#[test]
fn a_folder_without_configuration_says_so() {
    let project = project(&[("x", "")]);
    insta::assert_snapshot!(transcript(project.path(), &["build"]));
    insta::assert_snapshot!(transcript(
        project.path(),
        &["plan", "--file", "model.yaml"]
    ));
}

/// What is wrong with the command line, without the usage below it.
fn refused(arguments: &[&str]) -> String {
    let project = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    let text = transcript(project.path(), arguments);
    assert!(text.contains("exit code 2"), "{text}");
    let message = text.split("-- stderr\n").nth(1).unwrap();
    message.split("\n\n").next().unwrap().trim_end().to_owned()
}

#[test]
fn the_command_line_is_checked() {
    let cases: [&[&str]; 13] = [
        &["plan", "--platform", "windows/amd64"],
        &["plan", "--tag", "Hello"],
        &["plan", "--sdk-version", "0.1"],
        &["plan", "--base", "a b"],
        &["plan", "--label", "x"],
        &["plan", "--python-provider", "conda"],
        &["build", "--secret", "hunter2"],
        &["build", "--secret", "id=x,source=hunter2,env=z"],
        &["build", "--progress", "fancy"],
        &["build", "--ca-only"],
        &["build", "--output", "type=zip"],
        &["build", "--output", "type=oci"],
        &["predict", "--input", "name"],
    ];
    let text: Vec<String> = cases
        .iter()
        .map(|arguments| {
            format!(
                "$ cog-python {}\n{}",
                arguments.join(" "),
                refused(arguments)
            )
        })
        .collect();
    let text = text.join("\n\n");
    insta::assert_snapshot!(text);
    let messages = text.lines().filter(|line| !line.starts_with('$'));
    assert!(
        messages.into_iter().all(|line| !line.contains("hunter2")),
        "{text}"
    );
}

#[test]
fn a_model_that_is_ignored_is_refused() {
    let files = [
        ("cog.yaml", SMALL),
        ("run.py", RUN),
        (".dockerignore", "*.py\n!keep.py\n"),
    ];
    let ignored = project(&files);
    insta::assert_snapshot!(transcript(ignored.path(), &["plan"]));
    let broken = project(&[
        ("cog.yaml", SMALL),
        ("run.py", RUN),
        (".dockerignore", "a\n[b\n"),
    ]);
    insta::assert_snapshot!(transcript(broken.path(), &["plan"]));
}

#[test]
fn secrets_that_are_needed_are_asked_for_before_the_build() {
    let project = project(&[
        (
            "cog.yaml",
            "build:\n  python_version: \"3.12\"\n  python_requirements: r.txt\n  run:\n    - command: cat /run/x\n      mounts: [{type: secret, id: x, target: /run/x}]\nrun: run.py:Runner\n",
        ),
        ("run.py", RUN),
        (
            "r.txt",
            "--index-url https://${INDEX_TOKEN}@example.com/simple\n",
        ),
    ]);
    insta::assert_snapshot!(transcript(
        project.path(),
        &["build", "--secret", "id=x,src=run.py"]
    ));
}

#[test]
fn certificates_that_are_named_must_be_usable() {
    let project = project(&[
        ("cog.yaml", SMALL),
        ("run.py", RUN),
        ("ca.pem", "no certificate"),
    ]);
    insta::assert_snapshot!(transcript(
        project.path(),
        &["build", "--ca-cert", "ca.pem"]
    ));
}

#[test]
fn a_builder_that_is_not_there_says_the_way_out() {
    let project = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    let arguments = ["build", "--addr", "unix:///nonexistent/buildkitd.sock"];
    insta::assert_snapshot!(transcript(project.path(), &arguments));
    insta::assert_snapshot!(transcript(
        project.path(),
        &["build", "--addr", "carrier/pigeon"]
    ));
}

#[test]
fn a_builder_is_named_as_buildx_names_it() {
    let project = project(&[("cog.yaml", SMALL), ("run.py", RUN)]);
    let home = project.path().display().to_string();
    let variables = [("BUILDX_CONFIG", home.as_str())];
    let text = transcript_with(
        project.path(),
        &["build", "--builder", "my-builder"],
        &variables,
    );
    assert!(text.contains("exit code 1"), "{text}");
    assert!(
        text.contains("buildx://my-builder") || text.contains("`my-builder`"),
        "{text}"
    );
    assert!(!text.contains("scheme"), "{text}");
}

#[test]
fn help_is_complete() {
    let project = project(&[]);
    for command in ["build", "plan", "predict"] {
        insta::assert_snapshot!(
            format!("help_{command}"),
            transcript(project.path(), &[command, "--help"])
        );
    }
}

#[test]
fn a_plan_depends_on_nothing_but_the_project() {
    let first = project(&[("m/cog.yaml", SMALL), ("m/run.py", RUN)]);
    let second = project(&[("m/cog.yaml", SMALL), ("m/run.py", RUN)]);
    let plan = |folder: &TempDir| transcript(&folder.path().join("m"), &["plan", "--json"]);
    assert_eq!(plan(&first), plan(&second));
}

#[test]
fn an_engine_that_is_not_there_says_the_way_out() {
    let project = project(&[]);
    let text = transcript(
        project.path(),
        &[
            "predict",
            "hello",
            "--docker-host",
            "unix:///nonexistent/docker.sock",
        ],
    );
    assert!(
        text.contains("exit code 1") && text.contains("cannot reach the Docker engine"),
        "{text}"
    );
    let text = transcript(
        project.path(),
        &["predict", "hello", "--docker-host", "tcp://h:1"],
    );
    assert!(text.contains("is not a unix socket"), "{text}");
}
