//! `explain`, against every kind of earlier state but a real build, which the live tests have.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, reason = "a panic in a test is its report")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use common::run;

const CONFIG: &str = "build:\n  python_version: \"3.12\"\n  system_packages: [git]\n  python_requirements: requirements.txt\n  run:\n    - echo hello\nimage: explained\nrun: run.py:Runner\n";

/// Writes a small model into a folder.
fn write(folder: &Path) {
    for (name, text) in [
        ("cog.yaml", CONFIG),
        ("requirements.txt", "humanize==4.12.0\n"),
        ("run.py", "class Runner:\n    def run(self) -> str: ...\n"),
        ("data/words.txt", "one\n"),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

#[track_caller]
fn explained(folder: &Path, against: &str) -> String {
    let (code, stdout, stderr) = run(folder, &["explain", "--against", against]);
    assert_eq!(code, Some(0), "{stderr}");
    stdout
}

#[test]
fn the_same_project_runs_nothing_again() {
    let (before, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write(before.path());
    write(after.path());
    let text = explained(after.path(), before.path().to_str().unwrap());
    assert!(text.contains("nothing runs again"), "{text}");
}

#[test]
fn causes_are_told_apart_from_what_follows() {
    let (before, after) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    write(before.path());
    write(after.path());
    let edit = |name: &str, from: &str, to: &str| {
        let path = after.path().join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        fs::write(path, text.replace(from, to)).unwrap();
    };
    edit("requirements.txt", "4.12.0", "4.13.0");
    fs::write(after.path().join("data/words.txt"), "two\n").unwrap();
    fs::write(after.path().join("data/more.txt"), "new\n").unwrap();
    let against = before.path().to_str().unwrap();
    let text = explained(after.path(), against);
    let (_, json, _) = run(after.path(), &["explain", "--json", "--against", against]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let causes = json["causes"].as_array().unwrap();
    let cause = |step: &str| {
        let found = causes.iter().find(|cause| cause["step"] == step);
        found.unwrap_or_else(|| panic!("{step} is no cause in {json:#}"))
    };
    let files = cause("read-the-project");
    assert_eq!(files["kind"], "files");
    let read = files["after"].to_string();
    assert!(
        read.contains("changed data/words.txt") && read.contains("new data/more.txt"),
        "{read}"
    );
    // The requirement is changed in the file that pip is given, and pip follows.
    let requirement = cause("requirements");
    assert!(
        requirement["after"]
            .to_string()
            .contains("humanize==4.13.0"),
        "{requirement}"
    );
    assert!(
        requirement["before"]
            .to_string()
            .contains("humanize==4.12.0"),
        "{requirement}"
    );
    let follow = requirement["runs_again"].to_string();
    assert!(follow.contains("run-echo-hello"), "{follow}");
    // What neither touches is no part of it.
    let all = json.to_string();
    assert!(!all.contains("\"apt-git-tini\""), "{all}");
    assert!(json["same"].as_u64().unwrap() >= 4, "{json:#}");
    assert!(
        text.contains("+ ") && text.contains("runs again: "),
        "{text}"
    );
}

#[test]
fn a_plan_and_a_commit_are_states_too() {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    let (_, plan, _) = run(folder.path(), &["plan", "--json"]);
    fs::create_dir(folder.path().join(".cog")).unwrap();
    fs::write(folder.path().join(".cog/plan.json"), plan).unwrap();
    let git = |arguments: &[&str]| {
        let status = Command::new("git")
            .arg("-C")
            .arg(folder.path())
            .args(["-c", "user.name=Test", "-c", "user.email=test@example.com"])
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success());
    };
    git(&["init", "--quiet"]);
    git(&["add", "cog.yaml", "requirements.txt", "run.py", "data"]);
    git(&["commit", "--quiet", "--message", "first"]);
    let config = CONFIG.replace("[git]", "[git, curl]");
    fs::write(folder.path().join("cog.yaml"), config).unwrap();
    for against in [".cog/plan.json", "HEAD"] {
        let text = explained(folder.path(), against);
        assert!(text.contains("+ \"curl\""), "{against}: {text}");
        assert!(text.contains("[cog.yaml:3]"), "{against}: {text}");
    }
    let text = explained(folder.path(), ".cog/plan.json");
    assert!(text.contains("were not compared"), "{text}");
    let (code, _, stderr) = run(folder.path(), &["explain", "--against", "no-such-thing"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("neither a folder, nor a plan, nor a commit"),
        "{stderr}"
    );
}

#[test]
fn without_a_build_there_is_nothing_to_compare_with() {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    let (code, _, stderr) = run(folder.path(), &["explain"]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("no record of a build") && stderr.contains("--against"),
        "{stderr}"
    );
}

#[test]
fn debug_prints_the_dockerfile() {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    let (code, debug, _) = run(folder.path(), &["debug"]);
    let (_, plan, _) = run(folder.path(), &["plan", "--dockerfile"]);
    assert_eq!(code, Some(0));
    assert_eq!(debug, plan);
}

#[test]
fn weights_are_planned_apart() {
    let folder = TempDir::new().unwrap();
    write(folder.path());
    fs::create_dir(folder.path().join("models[1]")).unwrap();
    fs::write(folder.path().join("models_util.py"), "").unwrap();
    let file = fs::File::create(folder.path().join("models[1]/w.bin")).unwrap();
    // Sparse: it takes no room.
    file.set_len(11 << 20).unwrap();
    let (code, plan, stderr) = run(folder.path(), &["plan", "--separate-weights"]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        plan.contains("copy models[1] to /src/models[1] alone"),
        "{plan}"
    );
    assert!(plan.contains("models\\[1]"), "{plan}");
    let (_, dockerfile, _) = run(
        folder.path(),
        &["plan", "--dockerfile", "--separate-weights"],
    );
    assert!(
        dockerfile.contains("COPY [\"models[1]\",\"/src/models[1]\"]"),
        "{dockerfile}"
    );
    assert!(
        dockerfile.contains("--exclude=models\\[1] "),
        "{dockerfile}"
    );
    let (_, plan, _) = run(folder.path(), &["plan"]);
    assert!(!plan.contains("weights-1"), "{plan}");
}
