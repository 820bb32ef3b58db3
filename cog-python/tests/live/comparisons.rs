//! Builds compared: with the last one, with themselves, and layer by layer.

use std::fs;

use bollard::query_parameters::RemoveImageOptions;

use crate::common::helper;
use crate::support::{ENGINES, Project, Testbed, push, unique};

/// A small model without Python packages of its own.
fn small(engine: &str, run: &str) -> Project {
    let project = Project::new(engine);
    let config =
        format!("build:\n  python_version: \"3.11\"\n  run:\n    - {run}\nrun: run.py:Runner\n");
    fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
    project
}

#[test]
fn the_last_build_is_what_is_explained() {
    let project = small("containerd", "echo hello | tee /greeting");
    project.run(&["build"]).succeeded();
    let same = project.run(&["explain"]).succeeded();
    assert!(
        same.stdout.contains("nothing runs again"),
        "{}",
        same.stdout
    );
    let word = format!("good {}", unique());
    project.edit("cog.yaml", "hello", &word);
    let explained = project.run(&["explain"]).succeeded();
    assert!(explained.stdout.contains(&word), "{}", explained.stdout);
    assert!(
        explained.stdout.contains("[cog.yaml:4]"),
        "{}",
        explained.stdout
    );
    // What is foretold happens: the command runs, and what comes before it does not.
    project.runs_alone();
    let built = project.run(&["build"]).succeeded();
    assert!(
        built.printed(&word) && !built.ran("venv "),
        "{}",
        built.stderr
    );
}

#[test]
fn a_build_that_differs_from_itself_is_told_by_layer_and_file() {
    let project = small("containerd", "cat /proc/sys/kernel/random/uuid > /random");
    let verified = project.run(&["verify"]);
    assert_eq!(verified.code, Some(1), "{}", verified.stdout);
    assert!(
        verified.stderr.contains("two builds gave two images"),
        "{}",
        verified.stderr
    );
    assert!(verified.stderr.contains("/random: "), "{}", verified.stderr);
    assert!(verified.stderr.contains("content"), "{}", verified.stderr);
}

#[test]
fn weights_are_not_copied_again_with_the_source() {
    for engine in ENGINES {
        let project = small(engine, "echo weights");
        let folder = project.folder.path();
        fs::create_dir_all(folder.join("models")).unwrap();
        // A name that begins like the folder of weights is none of its files.
        fs::write(folder.join("models_util.py"), "").unwrap();
        let weights = format!("{}{}", unique(), "w".repeat(10 << 20));
        fs::write(folder.join("models/weights.bin"), &weights).unwrap();
        let arguments = ["build", "--separate-weights"];
        project.run(&arguments).succeeded();
        let before = project.layers(&project.tag);
        let comment = format!("# {}\nclass Runner", unique());
        project.edit("run.py", "class Runner", &comment);
        project.runs_alone();
        let second = project.run(&arguments).succeeded();
        assert_ne!(
            project.layers(&project.tag),
            before,
            "{engine}: {}",
            second.stderr
        );
        assert!(
            !second.ran("weights /src/models"),
            "{engine}: {}",
            second.stderr
        );
        // The image is gone, and is made again with its weights.
        let tag = project.tag.clone();
        project.docker(async |docker| {
            docker
                .remove_image(&tag, None::<RemoveImageOptions>, None)
                .await
                .unwrap()
        });
        project.run(&arguments).succeeded();
        let output = folder.join("out.tar");
        let target = format!("type=tar,dest={}", output.display());
        fs::write(folder.join(".dockerignore"), "out.tar\n").unwrap();
        project
            .run(&["build", "--separate-weights", "-o", &target])
            .succeeded();
        let mut archive = tar::Archive::new(fs::File::open(&output).unwrap());
        let sizes = archive.entries().unwrap().map(Result::unwrap);
        let found: Vec<u64> = sizes
            .filter(|entry| entry.path().unwrap().ends_with("src/models/weights.bin"))
            .map(|entry| entry.size())
            .collect();
        assert_eq!(found, [weights.len() as u64], "{engine}");
    }
}

/// The record of a build says what the tag of its base stood for; steps on the base follow when it moves.
#[test]
fn a_tag_that_has_moved_is_told() {
    let testbed = Testbed::find();
    let project = Project::new("containerd");
    let number = unique();
    let move_to = |word: &str| {
        let base = llb::image("python:3.11-slim").file(llb::file::mkfile("/moved", 0o644, word));
        push(&testbed, "containerd", &format!("moving:{number}"), &base)
    };
    let base = move_to("first");
    let config = format!(
        "build:\n  python_version: \"3.11\"\nx-cog-python:\n  base: {base}\nrun: run.py:Runner\n"
    );
    fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
    project.run(&["build"]).succeeded();
    let same = project.run(&["explain", "--check-base"]).succeeded();
    assert!(
        same.stdout.contains("nothing runs again"),
        "{}",
        same.stdout
    );
    move_to("second");
    let moved = project.run(&["explain", "--check-base"]).succeeded();
    for part in ["has moved", "runs again", "apt"] {
        assert!(moved.stdout.contains(part), "{}", moved.stdout);
    }
    let unasked = project.run(&["explain"]).succeeded();
    assert!(
        unasked.stdout.contains("nothing runs again"),
        "{}",
        unasked.stdout
    );
    // Another helper makes the layers of packages again.
    let mut other = fs::read(helper()).unwrap();
    other.push(0);
    let path = project.folder.path().join(".cog/other-helper");
    fs::write(&path, other).unwrap();
    let output = project
        .command(&["explain"])
        .env("LLB_HELPER", &path)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("llb-helper: the program"), "{text}");
    assert!(!text.contains("nothing runs again"), "{text}");
}
