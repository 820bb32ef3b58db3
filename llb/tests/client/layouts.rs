//! OCI layouts of the client: caches in directories, images written and read.

use std::fs;
use std::path::Path;

use llb::client::{CacheOption, Client, Compression, ErrorKind, Export, Solve};
use llb::prelude::*;
use llb::progress::Recorder;
use serde_json::Value;

use super::graph::{Graph, script};
use super::testbed::{containerd, unique};

pub(super) fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

pub(super) fn blob(layout: &Path, descriptor: &Value) -> Value {
    let digest = descriptor["digest"].as_str().unwrap();
    json(&layout.join("blobs").join(digest.replace(':', "/")))
}

/// The manifest of the image of a layout that has one image for one platform.
pub(super) fn manifest(layout: &Path) -> Value {
    let index = json(&layout.join("index.json"));
    blob(layout, &index["manifests"][0])
}

async fn id_of(client: &Client, solve: Solve, out: &Path) -> String {
    client
        .solve(solve.export(Export::local(out)), &mut ())
        .await
        .unwrap();
    fs::read_to_string(out.join("id")).unwrap()
}

#[tokio::test]
async fn a_cache_that_is_not_there_is_a_warning_and_one_that_fails_leaves_nothing() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("cache");
    let text = format!(": {}; exit 1", unique());
    let solve = Solve::definition(script(&text))
        .cache_from(CacheOption::local(home.path().join("none")))
        .cache_to(CacheOption::local(&cache));
    let mut recorder = Recorder::new();
    let error = client.solve(solve, &mut recorder).await.unwrap_err();
    assert!(error.is_build(), "{error}");
    let warnings = recorder.summary().warnings();
    assert!(warnings[0].short.contains("is not read"), "{warnings:?}");
    assert!(!cache.exists());
}

#[tokio::test]
async fn an_image_goes_through_a_layout() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let layout = home.path().join("layout");
    let id = unique();
    let mut graph = Graph::default();
    let file = graph.file("/id", &id);
    let definition = graph.definition(file, 0);
    let solve = Solve::definition(definition)
        .source_date_epoch(1_000_000_000)
        .export(
            Export::oci_directory(&layout)
                .name("example/one:1,example/two:2")
                .compression(Compression::Zstd, true)
                .rewrite_timestamp(true)
                .annotation("org.opencontainers.image.title", "one"),
        );
    client.solve(solve, &mut ()).await.unwrap();
    let index = json(&layout.join("index.json"));
    let names: Vec<_> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|manifest| {
            manifest["annotations"]["io.containerd.image.name"]
                .as_str()
                .unwrap()
        })
        .collect();
    assert_eq!(
        names,
        ["docker.io/example/one:1", "docker.io/example/two:2"]
    );
    let manifest = manifest(&layout);
    assert_eq!(
        manifest["layers"][0]["mediaType"],
        "application/vnd.oci.image.layer.v1.tar+zstd"
    );
    assert_eq!(
        manifest["annotations"]["org.opencontainers.image.title"],
        "one"
    );
    let config = blob(&layout, &manifest["config"]);
    assert_eq!(config["created"], "2001-09-09T01:46:40Z");

    // And back: the layout as the source of another build.
    let digest = index["manifests"][0]["digest"].as_str().unwrap();
    let base = oci_layout(format!("example/one@{digest}"))
        .store("", "mine")
        .state();
    let state = scratch().copy(base, "/id", "/id");
    let definition = state.marshal(&MarshalOptions::linux_amd64()).unwrap();
    let solve = Solve::definition(definition).oci_layout("mine", &layout);
    assert_eq!(id_of(&client, solve, &home.path().join("out")).await, id);
}

#[tokio::test]
async fn layers_are_compressed_as_it_is_asked_for() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let state = scratch().mkfile("/id", 0o644, unique());
    // Not estargz: Debian's build of the engine panics when it makes that.
    for (compression, ending, start) in [
        (Compression::Uncompressed, "v1.tar", &b"id\0"[..]),
        (Compression::Gzip, "v1.tar+gzip", &[0x1f, 0x8b]),
        (Compression::Zstd, "v1.tar+zstd", &[0x28, 0xb5, 0x2f, 0xfd]),
    ] {
        let layout = home.path().join(compression.as_str());
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
        let export = Export::oci_directory(&layout).compression(compression, true);
        client.solve(solve.export(export), &mut ()).await.unwrap();
        let layer = &manifest(&layout)["layers"][0];
        let kind = layer["mediaType"].as_str().unwrap();
        assert!(kind.ends_with(ending), "{compression:?}: {layer}");
        let digest = layer["digest"].as_str().unwrap();
        let blob = fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
        assert!(blob.starts_with(start), "{compression:?}");
    }
}

#[tokio::test]
async fn the_same_files_at_the_same_epoch_are_the_same_image() {
    let home = tempfile::tempdir().unwrap();
    let id = unique();
    let mut digests = Vec::new();
    for round in ["one", "two"] {
        let text = format!("echo {id} > /out/id; touch /out/{round} && rm /out/{round}");
        let layout = home.path().join(round);
        let solve = Solve::definition(script(&text))
            .source_date_epoch(1_000_000_000)
            .export(Export::oci_directory(&layout).rewrite_timestamp(true));
        containerd().await.solve(solve, &mut ()).await.unwrap();
        digests.push(manifest(&layout)["layers"][0]["digest"].clone());
        std::thread::sleep(std::time::Duration::from_millis(1100));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test]
async fn a_layout_that_is_none_is_refused_before_the_build() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let solve = Solve::frontend("dockerfile.v0").oci_layout("base", home.path());
    let error = client.solve(solve, &mut ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LocalFile);
    assert!(error.to_string().contains("no OCI layout"), "{error}");
}
