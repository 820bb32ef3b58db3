//! The two ways to make the files of an image, compared.

use std::fs;
use std::path::Path;

use llb::client::{Export, Solve};
use tempfile::TempDir;

use crate::support::{ENGINES, Project, listing, solve};

#[test]
fn merged_and_copied_trees_are_the_same_files() {
    let mut listings = ENGINES.map(|engine| {
        let project = Project::new(engine);
        let archive = project
            .folder
            .path()
            .join("../")
            .join(format!("{}.tar", project.tag));
        project
            .run(&[
                "build",
                "-o",
                &format!("type=tar,dest={}", archive.display()),
            ])
            .succeeded();
        let files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        files
    });
    for files in &mut listings {
        assert_eq!(files["src/run.py"].split(' ').next(), Some("Regular"));
        assert!(
            !files
                .keys()
                .any(|path| path.contains("cog-python") || path.contains("ca-bundle"))
        );
        // What apt and the dynamic linker write about themselves holds times.
        files.retain(|path, _| path.starts_with("opt/") || path.starts_with("src"));
    }
    let [merged, copied] = listings;
    assert!(merged.len() > 1000, "{}", merged.len());
    let differences: Vec<_> = merged
        .iter()
        .filter(|(path, text)| copied.get(*path) != Some(*text))
        .map(|(path, text)| format!("{path}: {text} / {:?}", copied.get(path)))
        .chain(
            copied
                .keys()
                .filter(|path| !merged.contains_key(*path))
                .cloned(),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
}

/// Builds a Dockerfile with the engine's own frontend, into an archive.
fn build_dockerfile(project: &Project, text: &str, archive: &Path) {
    let folder = TempDir::with_prefix("cog-python-dockerfile-").unwrap();
    // The frontend of the engine is used: the testbed has no registry with another.
    let text = text.replacen("# syntax=docker/dockerfile:1\n", "", 1);
    fs::write(folder.path().join("Dockerfile"), text).unwrap();
    let build = Solve::frontend("dockerfile.v0")
        .attribute("filename", "Dockerfile")
        .local("context", project.folder.path())
        .local("dockerfile", folder.path())
        .export(Export::tar(archive));
    solve(&project.engine, build);
}

/// Both backends, compared where the engine needs no copies of its own.
#[test]
fn the_dockerfile_of_a_plan_gives_the_same_files() {
    let project = Project::new("containerd");
    let archive = |name: &str| {
        project
            .folder
            .path()
            .join("../")
            .join(format!("{}-{name}.tar", project.tag))
    };
    let (graph, dockerfile) = (archive("graph"), archive("dockerfile"));
    let output = format!("type=tar,dest={}", graph.display());
    project.run(&["build", "-o", &output]).succeeded();
    let text = project.run(&["plan", "--dockerfile"]);
    build_dockerfile(&project, &text.stdout, &dockerfile);
    let [graph, dockerfile] = [graph, dockerfile].map(|archive| {
        let mut files = listing(&archive);
        fs::remove_file(&archive).unwrap();
        files.retain(|path, _| {
            path.starts_with("opt/") || path.starts_with("src") || path.starts_with("etc/hello")
        });
        files
    });
    assert!(graph.len() > 1000, "{}", graph.len());
    let differences: Vec<_> = graph
        .iter()
        .filter(|(path, text)| dockerfile.get(*path) != Some(*text))
        .map(|(path, text)| format!("{path}: {text} / {:?}", dockerfile.get(path)))
        .chain(
            dockerfile
                .keys()
                .filter(|path| !graph.contains_key(*path))
                .cloned(),
        )
        .collect();
    assert_eq!(differences, Vec::<String>::new());
}

/// A project of the gallery, with the Python that the testbed has.
fn gallery(name: &str) -> Project {
    let project = Project::new("containerd");
    let folder = project.folder.path();
    for file in fs::read_dir(folder).unwrap() {
        fs::remove_file(file.unwrap().path()).unwrap();
    }
    let from = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/projects")
        .join(name);
    copy(&from, folder);
    project
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let text = text.replace("python_version: \"3.12\"", "python_version: \"3.11\"");
        fs::write(to, text).unwrap();
    }
}

/// Projects of the gallery whose images and packages everybody can have, and that take neither gigabytes nor minutes.
const BUILT: [&str; 12] = [
    "environment",
    "ignored-files",
    "image-name",
    "minimal",
    "pyproject",
    "python-packages",
    "requirements",
    "requirements-hashed",
    "requirements-nested",
    "sdk-version",
    "train",
    "uv-lock",
];

#[test]
fn both_backends_make_equivalent_images() {
    for name in BUILT {
        let project = gallery(name);
        let archive = TempDir::with_prefix("cog-python-equal-").unwrap();
        let made = ["llb", "dockerfile"].map(|backend| {
            let path = archive.path().join(backend);
            let files = format!("type=tar,dest={}", path.display());
            let arguments = ["build", "--backend", backend, "--load", "-o", &files];
            project.run(&arguments).succeeded();
            let mut config = project.config(&project.tag);
            // The frontend still sets this word of Windows.
            config.as_object_mut().unwrap().remove("ArgsEscaped");
            let mut files = listing(&path);
            // A wheel may bring compiled modules along; the Dockerfile drops all, because they may hold times.
            files.retain(|path, _| {
                (path.starts_with("opt/") || path.starts_with("src"))
                    && !path.contains("__pycache__")
            });
            (config, files)
        });
        let [(graph, trees), (dockerfile, copies)] = made;
        assert_eq!(graph, dockerfile, "{name}");
        assert!(trees.len() > 500, "{name}");
        let differences: Vec<_> = trees
            .iter()
            .filter(|(path, text)| copies.get(*path) != Some(*text))
            .map(|(path, _)| path)
            .chain(copies.keys().filter(|path| !trees.contains_key(*path)))
            .collect();
        assert!(differences.is_empty(), "{name}: {differences:?}");
    }
}
