//! `doctor`: its checks, and what `--fix` does to a project on the disk.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use common::project;
use serde_json::Value;

/// Runs the command with its answer as JSON; the builder is left out, and the only program there is answers for
/// a driver.
fn doctor(folder: &Path, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_cog-python"))
        .args(["doctor", "--json"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("GIT_DIR", "none")
        .env("COG_SKIP_DOCKER_CHECK", "1")
        .env(
            "PATH",
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs"),
        )
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    let answer = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{errors}"));
    (output.status.code(), answer)
}

fn check<'a>(answer: &'a Value, name: &str) -> &'a Value {
    let checks = answer["checks"].as_array().unwrap();
    let found = checks.iter().find(|check| check["check"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {answer}"))
}

fn state(answer: &Value, name: &str) -> String {
    check(answer, name)["state"].as_str().unwrap().to_owned()
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

const OLD_CONFIG: &str =
    "build:\n  python_version: \"3.12\"\nimage: small\npredict: predict.py:Predictor\n";
const OLD_CODE: &str = "\
import warnings
from cog import BasePredictor, Path
from cog.types import ExperimentalFeatureWarning
from pydantic import BaseModel, ConfigDict

warnings.filterwarnings(\"ignore\", category=ExperimentalFeatureWarning)


class Output(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    file: Path


class Predictor(BasePredictor):
    def predict(self, text: str) -> Output:
        return Output(file=Path(text))
";
const NEW_CODE: &str = "\
from cog import BaseRunner, Path, BaseModel


class Output(BaseModel):
    file: Path


class Runner(BaseRunner):
    def run(self, text: str) -> Output:
        return Output(file=Path(text))
";

#[test]
fn every_check_is_told_with_its_place() {
    let folder = project(&[("cog.yaml", OLD_CONFIG), ("predict.py", OLD_CODE)]);
    let (code, answer) = doctor(folder.path(), &[]);
    assert_eq!(code, Some(1));
    for (name, expected) in [
        ("config", "ok"),
        ("deprecated", "warns"),
        ("reference", "ok"),
        ("signature", "ok"),
        ("imports", "fails"),
        ("pydantic", "fails"),
        ("migration", "warns"),
        ("python", "warns"),
        ("builder", "ok"),
    ] {
        assert_eq!(state(&answer, name), expected, "{name}: {answer}");
    }
    let finding = &check(&answer, "imports")["findings"][0];
    assert_eq!(
        (&finding["file"], &finding["line"]),
        (&"predict.py".into(), &3.into())
    );
    let finding = &check(&answer, "migration")["findings"][0];
    assert_eq!(
        (&finding["line"], &finding["column"]),
        (&14.into(), &7.into())
    );
    assert_eq!(
        read(folder.path(), "predict.py"),
        OLD_CODE,
        "nothing is changed without --fix"
    );
}

#[test]
fn everything_old_is_changed_together() {
    let folder = project(&[("cog.yaml", OLD_CONFIG), ("predict.py", OLD_CODE)]);
    let root = folder.path();
    fs::set_permissions(root.join("predict.py"), fs::Permissions::from_mode(0o754)).unwrap();
    let (code, answer) = doctor(root, &["--fix"]);
    assert_eq!(code, Some(0), "{answer}");
    assert_eq!(answer["written"], serde_json::json!(["cog.yaml", "run.py"]));
    assert_eq!(answer["removed"], serde_json::json!(["predict.py"]));
    assert_eq!(read(root, "run.py"), NEW_CODE);
    assert!(read(root, "cog.yaml").ends_with("\nrun: run.py:Runner\n"));
    let mode = fs::metadata(root.join("run.py"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o754);
    assert_eq!(fs::read_dir(root).unwrap().count(), 2);
    for name in [
        "deprecated",
        "signature",
        "imports",
        "pydantic",
        "migration",
    ] {
        assert_eq!(state(&answer, name), "ok", "{name}: {answer}");
    }
    let (code, answer) = doctor(root, &["--fix"]);
    assert_eq!(
        (code, &answer["written"]),
        (Some(0), &serde_json::json!([]))
    );
}

#[test]
fn what_is_not_certain_stays_and_says_why() {
    let code =
        format!("{OLD_CODE}\n\nif __name__ == \"__main__\":\n    Predictor().predict(\"x\")\n");
    let folder = project(&[("cog.yaml", OLD_CONFIG), ("predict.py", &code)]);
    let root = folder.path();
    let (exit, answer) = doctor(root, &["--fix"]);
    assert_eq!(exit, Some(0), "{answer}");
    let migration = check(&answer, "migration");
    let reason = migration["findings"][1]["message"].as_str().unwrap();
    assert!(reason.contains("`Predictor` is used in line"), "{reason}");
    // The rest has been done, and the key has the same meaning by its new name.
    assert!(read(root, "cog.yaml").ends_with("\nrun: predict.py:Predictor\n"));
    assert!(read(root, "predict.py").contains("class Predictor(BasePredictor):"));
    assert_eq!(state(&answer, "pydantic"), "ok");
}

#[test]
fn a_project_with_an_older_package_of_cog_keeps_the_old_names() {
    let config = OLD_CONFIG.replace("image:", "  sdk_version: \"0.16.0\"\nimage:");
    let folder = project(&[("cog.yaml", &config), ("predict.py", OLD_CODE)]);
    let (_, answer) = doctor(folder.path(), &["--fix"]);
    let reason = check(&answer, "migration")["findings"][1]["message"].to_string();
    assert!(reason.contains("sdk_version"), "{reason}");
    assert_eq!(state(&answer, "imports"), "ok");
}

#[test]
fn mistakes_are_told_by_what_they_are_about() {
    let missing = project(&[("cog.yaml", OLD_CONFIG)]);
    let (code, answer) = doctor(missing.path(), &[]);
    assert_eq!(
        (code, state(&answer, "reference").as_str()),
        (Some(1), "fails")
    );
    let other = project(&[
        ("cog.yaml", OLD_CONFIG),
        ("predict.py", "class Other: ...\n"),
    ]);
    let (_, answer) = doctor(other.path(), &[]);
    let hint = &check(&answer, "reference")["findings"][0]["hint"];
    assert_eq!(hint, "it defines Other");
    let untyped = "class Predictor:\n    def predict(self): ...\n";
    let untyped = project(&[("cog.yaml", OLD_CONFIG), ("predict.py", untyped)]);
    let (_, answer) = doctor(untyped.path(), &[]);
    assert_eq!(state(&answer, "signature"), "fails", "{answer}");
    let broken = project(&[("cog.yaml", "build: [\n")]);
    let (_, answer) = doctor(broken.path(), &["--fix"]);
    assert_eq!(state(&answer, "config"), "fails");
    assert_eq!(read(broken.path(), "cog.yaml"), "build: [\n");
    let (code, answer) = doctor(project(&[]).path(), &["--fix"]);
    assert_eq!(
        (code, state(&answer, "config").as_str()),
        (Some(1), "fails")
    );
}

const GPU: &str = "build:\n  gpu: true\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\nrun: run.py:Runner\n";
const TABLES: &str =
    "[[gpu.floor]]\narchitecture = \"12.0\"\nname = \"Test\"\ntorch = \"2.5.0\"\ncuda = \"11.8\"\n";
const RUN: &str = "class Runner:\n    def run(self) -> str: ...\n";

#[test]
fn gpus_are_compared_with_the_tables_that_are_named() {
    let folder = project(&[
        ("cog.yaml", GPU),
        ("run.py", RUN),
        ("requirements.txt", "torch==2.5.1\n"),
        ("tables.toml", TABLES),
    ]);
    let (code, answer) = doctor(folder.path(), &[]);
    assert_eq!(
        (code, state(&answer, "gpu").as_str()),
        (Some(1), "fails"),
        "{answer}"
    );
    let (code, answer) = doctor(folder.path(), &["--tables", "tables.toml"]);
    assert_eq!(
        (code, state(&answer, "gpu").as_str()),
        (Some(0), "ok"),
        "{answer}"
    );
}
