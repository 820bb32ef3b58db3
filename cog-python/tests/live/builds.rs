//! What a build makes, and what it does again.

use std::fs;
use std::path::Path;

use cog_python::ca;
use llb::sh;
use llb::{scratch, secret};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{ENGINES, Project, Testbed, listing, push, unique};

#[test]
fn the_image_runs_the_model_and_says_what_it_is() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let tag = project.tag.clone();
        let image = project.docker(async |docker| docker.inspect_image(&tag).await.unwrap());
        let config = image.config.unwrap();
        assert_eq!(config.entrypoint.unwrap(), ["/usr/bin/tini", "--"]);
        assert_eq!(config.cmd.unwrap(), ["python", "-m", "cog.server.http"]);
        assert_eq!(config.working_dir.unwrap(), "/src");
        let environment = config.env.unwrap();
        assert!(
            environment[0].starts_with("PATH=/opt/venv/bin:/usr/local/bin:"),
            "{environment:?}"
        );
        assert!(environment.contains(&"COG_PREDICT_TYPE_STUB=run.py:Runner".to_owned()));
        assert!(
            environment.contains(&"LANG=C.UTF-8".to_owned()),
            "{environment:?}"
        );
        let labels = config.labels.unwrap();
        assert_eq!(labels["run.cog.version"], "0.23.1");
        let packages: Vec<&str> = labels["run.cog.pip_freeze"].lines().collect();
        assert!(
            packages.is_sorted_by_key(|line| line.to_lowercase()),
            "{packages:?}"
        );
        assert!(packages.contains(&"cog==0.23.1"), "{packages:?}");
        assert!(packages.contains(&"humanize==4.17.0"), "{packages:?}");
        assert!(
            !packages.iter().any(|line| line.starts_with("pip=")),
            "{packages:?}"
        );
        assert!(labels["run.cog.openapi_schema"].starts_with("{\"openapi\":\"3.0.2\""));
        assert!(labels["run.cog.config"].starts_with("{\"build\":{\"python_version\":\"3.11\""));
    }
}

#[test]
fn a_change_rebuilds_what_it_changes() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.run(&["build"]).succeeded();
        let again = project.run(&["build"]).succeeded();
        for step in ["apt(", "venv ", "lock: ", "wheels: ", "run("] {
            assert!(
                !again.ran(step),
                "{step} ran again on {engine}\n{}",
                again.stderr
            );
        }
        assert!(again.cached() >= 4, "{}", again.stderr);

        // What no earlier run has built.
        let unique = unique();
        project.edit("run.py", "The sum is", &format!("The total ({unique}) is"));
        let source = project.run(&["build"]).succeeded();
        assert!(source.ran("copy the project"), "{}", source.stderr);
        for step in ["apt(", "venv ", "lock: ", "wheels: ", "run("] {
            assert!(
                !source.ran(step),
                "{step} ran on {engine}\n{}",
                source.stderr
            );
        }
        let predicted = project.run(&["predict", "-i", "name=you"]).succeeded();
        let expected = format!("Hello, you! The total ({unique}) is 3,000.\n");
        assert_eq!(predicted.stdout, expected);

        let requirement = format!("humanize==4.16.0; python_full_version != '0.{unique}'");
        project.edit("requirements.txt", "humanize==4.17.0", &requirement);
        let requirement = project.run(&["build"]).succeeded();
        assert!(requirement.ran("lock: "), "{}", requirement.stderr);
        // The group of the changed wheel, and no other.
        let installed = requirement.steps_run("wheels: ");
        assert_eq!(installed.len(), 1, "{}", requirement.stderr);
        assert!(installed[0].contains("humanize"), "{installed:?}");
        assert!(
            !requirement.ran("apt(") && !requirement.ran("venv "),
            "{}",
            requirement.stderr
        );
    }
}

#[test]
fn secrets_reach_their_step_and_nothing_else() {
    for engine in ENGINES {
        let project = Project::new(engine);
        project.edit(
            "cog.yaml",
            "    - mkdir -p /etc/hello && printf 'Hello' > /etc/hello/greeting",
            "    - command: test \"$(cat /run/secrets/word)\" = hunter2 && mkdir /etc/hello && printf Hi > /etc/hello/greeting\n      mounts: [{type: secret, id: word, target: /run/secrets/word}]",
        );
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        let output = command.env("WORD", "hunter2").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{stderr}");
        let archive = project
            .folder
            .path()
            .join("../")
            .join(format!("{}.tar", project.tag));
        let mut command = project.command(&["build", "--secret", "id=word,env=WORD"]);
        command.args(["-o", &format!("type=tar,dest={}", archive.display())]);
        assert!(command.env("WORD", "hunter2").status().unwrap().success());
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        assert!(files.contains_key("etc/hello/greeting"));
        assert!(
            !files.keys().any(|path| path.starts_with("run/secrets")),
            "{engine}"
        );
    }
}

#[test]
fn uv_brings_its_own_python() {
    let testbed = Testbed::find();
    let image = |name: &str| {
        testbed
            .0
            .pointer(name)
            .and_then(Value::as_str)
            .unwrap()
            .to_owned()
    };
    // The uv program from PyPI, as an image such as its makers publish.
    let bundle = secret(ca::BUNDLE_PATH).id(ca::BUNDLE_SECRET).optional();
    let install = sh("pip install --target /uv uv==0.9.26")
        .network(llb::Network::Host)
        .mount(bundle)
        .mount(secret(ca::PATH_SECRET).as_env("PIP_CERT").optional());
    let program = llb::image("python:3.11-slim").run(install);
    let uv = push(
        &testbed,
        "containerd",
        "uv:1",
        &scratch().copy(program, "/uv/bin/uv", "/uv"),
    );
    // A base with the testbed's Python builds: those of uv's own list are not needed.
    let builds = llb::image(image("/uv_python/image"));
    let folder = image("/uv_python/mount");
    let base = llb::image("debian:bookworm-slim").copy(builds, "/", folder);
    let base = push(&testbed, "containerd", "debian-with-python-builds:1", &base);
    for engine in ENGINES {
        let project = Project::new(engine);
        let run = project.run(&[
            "predict",
            "-i",
            "name=uv",
            "--python-provider",
            "uv",
            "--uv-image",
            &uv,
            "--base",
            &base,
            "--uv-downloads",
            &image("/uv_python/lists/bookworm/mounted_downloads_url"),
        ]);
        assert_eq!(run.succeeded().stdout, "Hello, uv! The sum is 3,000.\n");
    }
}

#[test]
fn archives_and_folders_are_written() {
    let project = Project::new("containerd");
    let folder = TempDir::with_prefix("cog-python-out-").unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let outputs = [
        format!("type=oci,dest={}", path("oci.tar")),
        format!("type=docker,dest={}", path("docker.tar")),
    ];
    let run = project
        .run(&["build", "-o", &outputs[0], "-o", &outputs[1]])
        .succeeded();
    assert_eq!(
        run.stdout,
        format!("{}\n{}\n", path("oci.tar"), path("docker.tar"))
    );
    assert!(listing(Path::new(&path("oci.tar"))).contains_key("index.json"));
    assert!(listing(Path::new(&path("docker.tar"))).contains_key("manifest.json"));
}
