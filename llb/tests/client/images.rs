//! Images: in the engine's store and in a registry.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use llb::client::{Export, Solve};
use serde_json::{Value, json};

use super::graph::Graph;
use super::testbed::{Testbed, engine, unique};

/// The JSON a path of the registry answers with.
pub(super) fn get(path: &str) -> Value {
    let address = Testbed::find().registry();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\n\
         Accept: application/vnd.oci.image.manifest.v1+json, \
         application/vnd.docker.distribution.manifest.v2+json\r\n\r\n"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") || head.starts_with("HTTP/1.0 200"),
        "{head}"
    );
    serde_json::from_str(body).unwrap()
}

fn config() -> Vec<u8> {
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": ["PATH=/bin"],
            "Cmd": ["serve"],
            "Labels": {"org.example.label": "value"},
        },
        "rootfs": {"type": "layers", "diff_ids": []},
    })
    .to_string()
    .into_bytes()
}

#[tokio::test]
async fn an_image_is_pushed_with_its_config() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let mut graph = Graph::default();
        let file = graph.file("/id", &unique());
        let repository = format!("client-test/{}", unique());
        let tag = format!("{}/{repository}:1", Testbed::find().registry());
        let export = Export::image(&tag)
            .push(true)
            .config(config())
            .annotation("org.example.annotation", "noted")
            .attribute("oci-mediatypes", "true");
        let solve = Solve::definition(graph.definition(file, 0)).export(export);
        let outcome = client.solve(solve, &mut ()).await.unwrap();

        let manifest = get(&format!("/v2/{repository}/manifests/1"));
        if name == "containerd" {
            assert_eq!(manifest["annotations"]["org.example.annotation"], "noted");
        }
        let config_digest = manifest["config"]["digest"].as_str().unwrap();
        assert_eq!(outcome.config_digest(), Some(config_digest), "{name}");
        let config = get(&format!("/v2/{repository}/blobs/{config_digest}"));
        assert_eq!(
            config["config"]["Cmd"],
            json!(["serve"]),
            "{name}: {config}"
        );
        assert_eq!(config["config"]["Labels"]["org.example.label"], "value");
        let digest = outcome.image_digest().unwrap();
        assert_eq!(
            get(&format!("/v2/{repository}/manifests/{digest}")),
            manifest
        );
    }
}

#[tokio::test]
async fn a_push_that_fails_is_an_error_on_both_engines() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let home = tempfile::tempdir().unwrap();
        let mut graph = Graph::default();
        let file = graph.file("/id", &unique());
        let error = client
            .solve(
                Solve::definition(graph.definition(file, 0))
                    .export(Export::image("127.0.0.1:1/none/none:1").push(true))
                    .export(Export::local(home.path().join("out"))),
                &mut (),
            )
            .await
            .unwrap_err();
        assert!(error.to_string().contains("127.0.0.1:1"), "{name}: {error}");
        assert!(!home.path().join("out").exists(), "{name}");
    }
}

#[tokio::test]
async fn both_engines_keep_images() {
    for name in ["containerd", "graphdriver"] {
        let client = engine(name).await;
        let mut graph = Graph::default();
        let file = graph.file("/id", &unique());
        let outcome = client
            .solve(
                Solve::definition(graph.definition(file, 0))
                    .export(Export::image("client-test/kept:1").config(config())),
                &mut (),
            )
            .await
            .unwrap();
        let digest = outcome
            .image_digest()
            .or(outcome.config_digest())
            .unwrap_or_default();
        assert!(digest.starts_with("sha256:"), "{name}: {outcome:?}");
    }
}
