//! Contexts by name: what commands mount of them, on both engines and by both backends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use tempfile::TempDir;

use crate::server::Server;
use crate::sources::{file_below, git, project};
use crate::support::{ENGINES, Project, unique};

/// Files that commands have put below `/found`, by name.
fn found(project: &Project, options: &[&str]) -> BTreeMap<String, String> {
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    let run = project.run(&[&["build", "-o", &output], options].concat());
    run.succeeded();
    let mut files = BTreeMap::new();
    let mut entries = tar::Archive::new(fs::File::open(&archive).unwrap());
    for entry in entries.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        if let Some(name) = path.strip_prefix("found/").filter(|name| !name.is_empty()) {
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            files.insert(name.to_owned(), text.trim_end().to_owned());
        }
    }
    fs::remove_file(&archive).unwrap();
    files
}

/// Of a folder, a repository and an image; a change of the folder is seen.
#[test]
fn commands_mount_contexts_and_images() {
    let folder = TempDir::with_prefix("cog-python-contexts-").unwrap();
    let sources = folder.path().join("sources");
    fs::create_dir_all(&sources).unwrap();
    fs::write(sources.join("word"), "committed").unwrap();
    git(&sources, &["init", "--quiet"]);
    git(&sources, &["add", "--all"]);
    git(&sources, &["commit", "--quiet", "--message", "first"]);
    git(
        folder.path(),
        &["clone", "--quiet", "--bare", "sources", "served.git"],
    );
    git(&folder.path().join("served.git"), &["update-server-info"]);
    let served = folder.path().to_owned();
    let server = Server::start(move |request| file_below(&served, &request.target));
    let repository = format!("code=http://{}/served.git#main", server.address);
    for engine in ENGINES {
        let models = TempDir::with_prefix("cog-python-models-").unwrap();
        let word = models.path().join("deep/word");
        fs::create_dir(word.parent().unwrap()).unwrap();
        fs::write(&word, unique().to_string()).unwrap();
        let project = project(engine, "", "");
        let config = "build:\n  python_version: \"3.11\"\nrun: run.py:Runner\nx-cog-python:\n  run:\n    \
            - command: mkdir /found && cp /models/word /found/folder && cp /code/word /found/repository && cp /system/etc/os-release /found/image && ! touch /models/word\n      \
              mounts:\n        \
                - {type: bind, from: models, source: deep, target: /models}\n        \
                - {type: bind, from: code, target: /code}\n        \
                - {type: bind, from: 'debian:bookworm-slim', target: /system}\n";
        fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
        let context = format!("models={}", models.path().display());
        let options = ["--build-context", &context, "--build-context", &repository];
        for backend in ["llb", "dockerfile"] {
            let files = found(&project, &[&options[..], &["--backend", backend]].concat());
            assert_eq!(files["folder"], fs::read_to_string(&word).unwrap());
            assert_eq!(files["repository"], "committed");
            assert!(files["image"].contains("bookworm"), "{files:?}");
            fs::write(&word, unique().to_string()).unwrap();
        }
        let files = found(&project, &options);
        assert_eq!(files["folder"], fs::read_to_string(&word).unwrap());
    }
}

#[test]
fn a_context_that_nothing_gives_is_an_image_that_is_not_there() {
    let project = project("containerd", "", "");
    let config = "build:\n  python_version: \"3.11\"\nrun: run.py:Runner\nx-cog-python:\n  run:\n    \
        - {command: ls /models, mounts: [{type: bind, from: models, target: /models}]}\n";
    fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
    let run = project.run(&["build"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let hint = "hint: nothing is given by the name `models`: add `--build-context models=FOLDER`";
    for part in ["docker.io/library/models:latest", hint] {
        assert!(run.stderr.contains(part), "no {part} in {}", run.stderr);
    }
}
