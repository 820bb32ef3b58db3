//! What build functions make.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use llb::client::{Export, Solve};
use llb::gateway::{Attestation, Build, Image};
use llb::prelude::{State, scratch};
use serde_json::Value;

use super::testbed::{Testbed, engine, unique};
use super::{ENGINES, offline};

/// The JSON a path of the registry answers with.
fn get(path: &str) -> Value {
    let address = Testbed::find().registry();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\n\
         Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
         application/vnd.docker.distribution.manifest.list.v2+json, \
         application/vnd.docker.distribution.manifest.v2+json\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
}

#[tokio::test]
async fn an_image_has_the_config_of_its_state() {
    for name in ENGINES {
        let client = engine(name).await;
        let repository = format!("gateway-test/{}", unique());
        let reference = format!("{}/{repository}:1", Testbed::find().registry());
        let solve = Solve::build()
            .attribute("label:given", "outside")
            .export(Export::image(&reference).push(true));
        let build = async |cx: &mut Build| {
            let base = cx.image("debian:bookworm-slim").await?;
            let state = base
                .run(offline("true"))
                .cmd(["serve"])
                .label("own", "inside");
            Ok::<State, llb::gateway::Error>(state)
        };
        client.build(solve, &mut (), build).await.unwrap();
        let mut manifest = get(&format!("/v2/{repository}/manifests/1"));
        if let Some(first) = manifest["manifests"][0]["digest"].as_str() {
            // The containerd engine attests where an image comes from.
            manifest = get(&format!("/v2/{repository}/manifests/{first}"));
        }
        let digest = manifest["config"]["digest"].as_str().unwrap();
        let config = get(&format!("/v2/{repository}/blobs/{digest}"));
        assert_eq!(config["config"]["Cmd"][0], "serve", "{name}");
        assert_eq!(config["config"]["Labels"]["given"], "outside", "{name}");
        assert_eq!(config["config"]["Labels"]["own"], "inside", "{name}");
        assert_eq!(config["architecture"], "amd64", "{name}");
    }
}

#[tokio::test]
async fn several_platforms_are_one_index_with_attestations() {
    let client = engine("containerd").await;
    let repository = format!("gateway-test/{}", unique());
    let reference = format!("{}/{repository}:1", Testbed::find().registry());
    let solve = Solve::build()
        .attribute("platform", "linux/amd64,linux/arm64/v8")
        .export(Export::image(&reference).push(true));
    let build = async |cx: &mut Build| {
        let images = cx.platforms().iter().map(|platform| {
            let text = platform.architecture.to_string();
            let state = scratch().mkfile("/arch", 0o644, &*text).env("ARCH", text);
            (platform.clone(), state)
        });
        let report = scratch().mkfile("/report.json", 0o644, r#"{"tests":3}"#);
        let tests = Attestation::in_toto("https://example.com/tests", report, "/report.json");
        Ok(Image::platforms(images).attestation(tests))
    };
    client.build(solve, &mut (), build).await.unwrap();
    let index = get(&format!("/v2/{repository}/manifests/1"));
    let manifests = index["manifests"].as_array().unwrap();
    let mut architectures: Vec<_> = manifests
        .iter()
        .map(|manifest| manifest["platform"]["architecture"].as_str().unwrap())
        .collect();
    architectures.sort_unstable();
    assert_eq!(architectures, ["amd64", "arm64", "unknown", "unknown"]);
    for manifest in manifests {
        let digest = manifest["digest"].as_str().unwrap();
        let kind = &manifest["annotations"]["vnd.docker.reference.type"];
        if kind != "attestation-manifest" {
            continue;
        }
        let attestations = get(&format!("/v2/{repository}/manifests/{digest}"));
        let predicates: Vec<_> = attestations["layers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|layer| layer["annotations"]["in-toto.io/predicate-type"].clone())
            .collect();
        assert!(
            predicates.contains(&"https://example.com/tests".into()),
            "{predicates:?}"
        );
    }
}
