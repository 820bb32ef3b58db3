//! Images: in the engine's store and in a registry.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use llb::client::{Export, Solve};
use serde_json::{Value, json};

use super::graph::Graph;
use super::testbed::{Testbed, containerd, engine, unique};

/// The JSON a path of the registry answers with.
fn get(path: &str) -> Value {
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
async fn an_image_is_pushed_with_its_config_and_annotations() {
    let client = containerd().await;
    let mut graph = Graph::default();
    let file = graph.file("/id", &unique());
    let repository = format!("client-test/{}", unique());
    let name = format!("{}/{repository}:1", Testbed::find().registry());
    let outcome = client
        .solve(
            Solve::definition(graph.definition(file, 0)).export(
                Export::image(&name)
                    .push(true)
                    .config(config())
                    .annotation("org.example.annotation", "noted")
                    .attribute("oci-mediatypes", "true"),
            ),
            &mut (),
        )
        .await
        .unwrap();
    let manifest = get(&format!("/v2/{repository}/manifests/1"));
    assert_eq!(manifest["annotations"]["org.example.annotation"], "noted");
    let config_digest = manifest["config"]["digest"].as_str().unwrap();
    let config = get(&format!("/v2/{repository}/blobs/{config_digest}"));
    assert_eq!(config["config"]["Cmd"], json!(["serve"]));
    assert_eq!(config["config"]["Labels"]["org.example.label"], "value");
    let digest = outcome.image_digest().unwrap();
    get(&format!("/v2/{repository}/manifests/{digest}"));
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
