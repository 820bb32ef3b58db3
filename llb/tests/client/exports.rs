//! Local outputs of builds.

use std::fs;
use std::path::Path;

use llb::client::{ErrorKind, Export, Solve};

use super::graph::{Graph, script};
use super::testbed::{containerd, engine, unique};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn entries(archive: &Path) -> Vec<String> {
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    let mut names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|entry| {
            entry
                .unwrap()
                .path()
                .unwrap()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn one_build_exports_files_and_archives() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let mut graph = Graph::default();
    let id = unique();
    let file = graph.file("/id", &id);
    let outcome = client
        .solve(
            Solve::definition(graph.definition(file, 0))
                .export(Export::local(at("new/files")))
                .export(Export::tar(at("files.tar")))
                .export(Export::oci(at("oci.tar")))
                .export(Export::docker_archive(at("docker.tar")).name("example/exported:1")),
            &mut (),
        )
        .await
        .unwrap();
    assert_eq!(
        names(home.path()),
        ["docker.tar", "files.tar", "new", "oci.tar"]
    );
    assert_eq!(fs::read_to_string(at("new/files/id")).unwrap(), id);
    assert_eq!(names(&at("new")), ["files"]);
    assert_eq!(entries(&at("files.tar")), ["id"]);
    assert!(entries(&at("oci.tar")).contains(&"index.json".to_owned()));
    assert!(entries(&at("docker.tar")).contains(&"manifest.json".to_owned()));
    assert!(outcome.image_digest().unwrap().starts_with("sha256:"));
    assert!(outcome.config_digest().is_some() || outcome.image_descriptor().is_some());
}

#[tokio::test]
async fn an_engine_without_image_store_exports_files_too() {
    let client = engine("graphdriver").await;
    let home = tempfile::tempdir().unwrap();
    let mut graph = Graph::default();
    let file = graph.file("/id", "content");
    client
        .solve(
            Solve::definition(graph.definition(file, 0)).export(Export::local(home.path())),
            &mut (),
        )
        .await
        .unwrap();
    assert_eq!(
        fs::read_to_string(home.path().join("id")).unwrap(),
        "content"
    );
    assert_eq!(names(home.path()), ["id"]);
}

#[tokio::test]
async fn a_failed_build_leaves_no_output() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let kept = home.path().join("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("old"), "old").unwrap();
    let text = format!(": {}; echo new > /out/new; exit 1", unique());
    client
        .solve(
            Solve::definition(script(&text))
                .export(Export::local(&kept))
                .export(Export::tar(home.path().join("files.tar"))),
            &mut (),
        )
        .await
        .unwrap_err();
    assert_eq!(names(home.path()), ["kept"]);
    assert_eq!(names(&kept), ["old"]);
}

#[tokio::test]
async fn an_export_that_cannot_be_written_fails_the_build() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let mut graph = Graph::default();
    let op = graph.file("/id", &unique());
    let definition = graph.definition(op, 0);
    let solve = Solve::definition(definition).export(Export::local(file.join("out")));
    let error = client.solve(solve, &mut ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Export, "{error}");
    assert!(error.to_string().contains("file/out"), "{error}");
}

#[tokio::test]
async fn an_export_that_fails_late_takes_the_others_with_it() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let mut graph = Graph::default();
    let file = graph.file("/id", &unique());
    // Nothing listens there, so the push fails when the files have been sent.
    let error = client
        .solve(
            Solve::definition(graph.definition(file, 0))
                .export(Export::local(&out))
                .export(Export::image("127.0.0.1:1/none/none").push(true)),
            &mut (),
        )
        .await
        .unwrap_err();
    assert!(error.is_build(), "{error}");
    assert_eq!(names(home.path()), [""; 0]);
}
