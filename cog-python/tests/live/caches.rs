//! Caches in a registry, contexts that take the place of images, and archives on standard output.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;

use llb::image;
use serde_json::Value;

use crate::server::wheel;
use crate::support::{Project, Testbed, push, unique};

/// A wheel that nobody has built before.
fn with_new_wheel(engine: &str, number: u128) -> Project {
    let project = Project::new(engine);
    let (file, content) = wheel(&format!("own_{number}"), "1.0", "VALUE = 1\n");
    let root = project.folder.path();
    fs::write(root.join(&file), content).unwrap();
    fs::write(
        root.join("requirements.txt"),
        format!("./{file}\nhumanize==4.17.0\n"),
    )
    .unwrap();
    project
}

/// What one engine has written into a registry, the other one, which has nothing of it, does not do again.
#[test]
fn a_cache_of_a_registry_is_used_by_another_engine() {
    let number = unique();
    let reference = format!(
        "{}/cog-python-test/cache:{number}",
        Testbed::find().registry()
    );
    let to = format!("type=registry,mode=max,ref={reference}");
    let from = format!("type=registry,ref={reference}");
    let name = format!("own-{number}");
    let installs = |steps: Vec<String>| steps.into_iter().any(|step| step.contains(&name));
    let first = with_new_wheel("containerd", number);
    first.run(&["build", "--cache-to", &to]).succeeded();

    let second = with_new_wheel("graphdriver", number);
    second.runs_alone();
    let imported = second.run(&["build", "--cache-from", &from]).succeeded();
    assert!(imported.stderr.contains(&reference), "{}", imported.stderr);
    assert!(
        !installs(imported.steps_run("wheels: ")),
        "{}",
        imported.stderr
    );
}

/// A cache that is part of an image: what is imported is the image.
#[test]
fn a_cache_inside_of_an_image_is_used_by_another_engine() {
    let number = unique();
    let image = format!(
        "{}/cog-python-test/inline:{number}",
        Testbed::find().registry()
    );
    let from = format!("type=registry,ref={image}");
    let name = format!("own-{number}");
    let first = with_new_wheel("containerd", number);
    let pushed = ["push", &image, "--cache-to", "type=inline"];
    first.run(&pushed).succeeded();

    let second = with_new_wheel("graphdriver", number);
    second.runs_alone();
    let imported = second.run(&["build", "--cache-from", &from]).succeeded();
    let installs = |step: &String| step.contains(&name);
    let run = imported.steps_run("wheels: ");
    assert!(!run.iter().any(installs), "{}", imported.stderr);
}

/// `--build-context NAME=docker-image://REFERENCE` takes the place of the base image.
#[test]
fn another_image_takes_the_place_of_the_base() {
    let testbed = Testbed::find();
    for engine in ["containerd", "graphdriver"] {
        let number = unique();
        let base = image("python:3.11-slim").file(llb::file::mkfile(
            "/etc/base",
            0o644,
            number.to_string(),
        ));
        let base = push(&testbed, "containerd", &format!("base:{number}"), &base);
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "mkdir -p /etc/hello && printf 'Hello' > /etc/hello/greeting",
            "mkdir -p /etc/hello && cp /etc/base /etc/hello/greeting",
        );
        let context = format!("python:3.11-slim=docker-image://{base}");
        let run = project.run(&["predict", "-i", "name=you", "--build-context", &context]);
        let run = run.succeeded();
        assert_eq!(
            run.stdout,
            format!("{number}, you! The sum is 3,000.\n"),
            "{}",
            run.stderr
        );
    }
}

/// `dest=-`: standard output is the archive and nothing else.
#[test]
fn archives_are_written_to_standard_output() {
    let project = Project::new("containerd");
    for (kind, expected) in [
        ("oci", "index.json"),
        ("docker", "manifest.json"),
        ("tar", "src/run.py"),
    ] {
        let output = format!("type={kind},dest=-");
        let output = project.command(&["build", "-o", &output]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{told}");
        let mut paths = BTreeSet::new();
        let mut archive = tar::Archive::new(output.stdout.as_slice());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            paths.insert(entry.path().unwrap().to_string_lossy().into_owned());
            std::io::copy(&mut entry.by_ref(), &mut std::io::sink()).unwrap();
        }
        assert!(paths.contains(expected), "{kind}: {paths:?}");
    }
}

/// A plan for a processor that no engine here has.
#[test]
fn a_plan_for_another_processor_is_made_without_one() {
    let project = Project::new("containerd");
    let plan = project
        .run(&["plan", "--json", "--platform", "linux/arm64"])
        .succeeded();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan["platform"], "linux/arm64");
    let text = plan.to_string();
    assert!(
        text.contains("aarch64") && !text.contains("x86_64"),
        "{text}"
    );
}
