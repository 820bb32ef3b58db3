//! Where packages come from besides PyPI: repositories, wheels and folders of the project.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::server::{Answer, Server, wheel};
use crate::support::{ENGINES, Project, Run, unique};

/// A project whose model needs nothing.
pub(crate) fn project(engine: &str, build: &str, requirements: &str) -> Project {
    let project = Project::new(engine);
    let write = |name: &str, text: &str| {
        fs::write(project.folder.path().join(name), text).unwrap();
    };
    write(
        "cog.yaml",
        &format!(
            "build:\n  python_version: \"3.11\"\n  python_requirements: requirements.txt\n{build}run: run.py:Runner\n"
        ),
    );
    write("requirements.txt", requirements);
    write(
        "run.py",
        "from cog import BaseRunner\n\n\nclass Runner(BaseRunner):\n    def run(self, name: str) -> str:\n        return name\n",
    );
    project
}

/// Where packages are in an image.
pub(crate) const SITE: &str = "opt/venv/lib/python3.11/site-packages";

/// Builds the project into an archive; gives the content of its files by their path.
fn built(project: &Project) -> (Run, BTreeMap<String, Vec<u8>>) {
    let archive = project.folder.path().with_extension("tar");
    let output = format!("type=tar,dest={}", archive.display());
    let run = project.run(&["build", "-o", &output]);
    let run = run.succeeded();
    let mut files = BTreeMap::new();
    let mut entries = tar::Archive::new(fs::File::open(&archive).unwrap());
    for entry in entries.entries().unwrap() {
        let mut entry = entry.unwrap();
        let path = entry.path().unwrap().to_string_lossy().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        files.insert(path, content);
    }
    fs::remove_file(&archive).unwrap();
    (run, files)
}

/// Runs git, without what the user of this machine has configured.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=me", "-c", "user.email=me@example.com"])
        .args([
            "-c",
            "init.defaultBranch=main",
            "-c",
            "commit.gpgSign=false",
        ])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// A package as a folder: what it needs to be built, and one module.
fn package(folder: &Path, name: &str, module: &str) {
    fs::create_dir_all(folder).unwrap();
    let text = format!(
        "[project]\nname = \"{name}\"\nversion = \"0.1\"\n[build-system]\nrequires = [\"setuptools\"]\nbuild-backend = \"setuptools.build_meta\"\n[tool.setuptools]\npy-modules = [\"{name}\"]\n"
    );
    fs::write(folder.join("pyproject.toml"), text).unwrap();
    fs::write(folder.join(format!("{name}.py")), module).unwrap();
}

/// A file below a folder, as a server of files has it.
pub(crate) fn file_below(folder: &Path, target: &str) -> Answer {
    let path = target.split('?').next().unwrap_or_default();
    let path: PathBuf = path.split('/').filter(|part| *part != "..").collect();
    match fs::read(folder.join(path)) {
        Ok(content) => Answer::found(content),
        Err(_) => Answer::missing(),
    }
}

/// Git over plain HTTP: a repository whose files are served.
#[test]
fn a_repository_is_built_at_the_commit_that_it_had() {
    for engine in ENGINES {
        let name = format!("versioned_{}", unique());
        let folder = TempDir::with_prefix("cog-python-git-").unwrap();
        let sources = folder.path().join("sources");
        package(&sources.join("below"), &name, "VALUE = 1\n");
        git(&sources, &["init", "--quiet"]);
        git(&sources, &["add", "--all"]);
        git(&sources, &["commit", "--quiet", "--message", "first"]);
        let commit = git(&sources, &["rev-parse", "HEAD"]);
        git(
            folder.path(),
            &["clone", "--quiet", "--bare", "sources", "served.git"],
        );
        git(&folder.path().join("served.git"), &["update-server-info"]);
        let served = folder.path().to_owned();
        let server = Server::start(move |request| file_below(&served, &request.target));
        let url = format!("http://{}/served.git", server.address);
        let project = project(
            engine,
            "  system_packages: [git]\n",
            &format!("{name} @ git+{url}@main#subdirectory=below\n"),
        );
        let (_, files) = built(&project);
        assert_eq!(files[&format!("{SITE}/{name}.py")], b"VALUE = 1\n");
        let origin = &files[&format!("{SITE}/{name}-0.1.dist-info/direct_url.json")];
        let expected = serde_json::json!({
            "url": url,
            "vcs_info": {"vcs": "git", "commit_id": commit},
            "subdirectory": "below",
        });
        assert_eq!(
            serde_json::from_slice::<serde_json::Value>(origin).unwrap(),
            expected
        );
        project.run(&["lock"]).succeeded();
        let lock = fs::read_to_string(project.folder.path().join("pylock.toml")).unwrap();
        assert!(lock.contains(&commit), "{lock}");
    }
}

/// A wheel of Cog's package that lies in the project takes the place of the one of PyPI.
#[test]
fn the_package_of_cog_comes_from_the_project() {
    for engine in ENGINES {
        let project = project(engine, "", "");
        let version = format!("0.24.{}", unique());
        let (file, content) = wheel("cog", &version, "VALUE = 1\n");
        fs::write(project.folder.path().join(&file), content).unwrap();
        project.run(&["build", "--sdk-wheel", &file]).succeeded();
        let labels = project.labels(&project.tag);
        assert_eq!(labels["run.cog.version"], version);
        let line = format!("cog @ file:///src/{file}");
        let packages = &labels["run.cog.pip_freeze"];
        assert!(packages.starts_with(&line), "{packages}");
    }
}

/// Wheels and folders of the project, each built or installed again when it changes, and only then.
#[test]
fn wheels_and_folders_of_the_project_are_installed() {
    for engine in ENGINES {
        let number = unique();
        let (ready, made) = (format!("ready_{number}"), format!("made_{number}"));
        let (file, content) = wheel(&ready, "1.0", "VALUE = 1\n");
        let requirements = format!("./wheels/{file}\n./packages/{made}\n");
        let project = project(engine, "", &requirements);
        let root = project.folder.path();
        fs::create_dir(root.join("wheels")).unwrap();
        fs::write(root.join("wheels").join(&file), content).unwrap();
        package(&root.join("packages").join(&made), &made, "VALUE = 2\n");
        let (_, files) = built(&project);
        assert_eq!(files[&format!("{SITE}/{ready}.py")], b"VALUE = 1\n");
        assert_eq!(files[&format!("{SITE}/{made}.py")], b"VALUE = 2\n");

        let origin = &files[&format!("{SITE}/{made}-0.1.dist-info/direct_url.json")];
        let expected = format!("{{\"url\":\"file:///src/packages/{made}\",\"dir_info\":{{}}}}");
        assert_eq!(String::from_utf8_lossy(origin), expected);
        project.run(&["build"]).succeeded();
        let packages = project.labels(&project.tag)["run.cog.pip_freeze"].clone();
        for line in [
            format!("{made} @ file:///src/packages/{made}"),
            format!("{ready} @ file:///src/wheels/{file}"),
        ] {
            assert!(packages.contains(&line), "{packages}");
        }

        let (_, content) = wheel(&ready, "1.0", "VALUE = 3\n");
        fs::write(root.join("wheels").join(&file), content).unwrap();
        project.runs_alone();
        let (run, files) = built(&project);
        assert_eq!(files[&format!("{SITE}/{ready}.py")], b"VALUE = 3\n");
        assert_eq!(run.steps_run("build wheel: "), [""; 0], "{}", run.stderr);
    }
}
