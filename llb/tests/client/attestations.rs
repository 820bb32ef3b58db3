//! Attestations: provenance, and SBOMs by a scanner that the daemon runs.

use std::path::Path;
use std::time::{Duration, Instant};

use llb::client::{Export, Solve};
use llb::prelude::*;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::layouts::{blob, manifest};
use super::own_engine::OwnEngine;
use super::testbed::{Testbed, containerd, unique};

const SPDX: &str = "https://spdx.dev/Document";
const DEBIAN: &str = "debian:bookworm-slim";

/// Follows BuildKit's protocol for SBOM scanners: lists the Debian packages and the files of what it is shown.
const SCANNER: &str = r#"#!/bin/sh
set -eu
entries() { sed 's/.*/{"name":"&","SPDXID":"SPDXRef-&"}/' | paste -sd,; }
packages() { if test -e "$1/var/lib/dpkg/status"; then sed -n 's/^Package: //p' "$1/var/lib/dpkg/status"; fi; }
scan() {
    cat > "$BUILDKIT_SCAN_DESTINATION/$(basename "$1").spdx.json" <<END
{"_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://spdx.dev/Document",
 "predicate": {"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "name": "$(basename "$1")",
  "comment": "depth $BUILDKIT_SCAN_DEPTH", "packages": [$(packages "$1" | entries)],
  "files": [$(ls "$1" | entries)]}}
END
}
scan "$BUILDKIT_SCAN_SOURCE"
if test -n "${BUILDKIT_SCAN_SOURCE_EXTRAS-}"; then
    for source in "$BUILDKIT_SCAN_SOURCE_EXTRAS"/*; do scan "$source"; done
fi
"#;

/// The scanner in the registry, made once.
async fn scanner() -> &'static str {
    static MADE: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let name = format!(
            "{}/client-test/scanner:{}",
            Testbed::find().registry(),
            unique()
        );
        let state = image(DEBIAN)
            .mkfile("/scan", 0o755, SCANNER)
            .entrypoint(["/scan"]);
        let config = state
            .image_config()
            .to_json(&llb::value::Platform::LINUX_AMD64);
        let export = Export::image(&name).push(true).config(config);
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
        containerd()
            .await
            .solve(solve.export(export), &mut ())
            .await
            .unwrap();
        name
    };
    MADE.get_or_init(make).await
}

/// The statements that travel with the image of a layout, by the types of their predicates.
fn statements(layout: &Path) -> Vec<(String, Value)> {
    let index = manifest(layout);
    let entries = index["manifests"].as_array().unwrap();
    let of = |kind: &str| {
        let mut all = entries.iter();
        all.find(|one| {
            one["annotations"]["vnd.docker.reference.type"]
                .as_str()
                .unwrap_or_default()
                == kind
        })
        .unwrap_or_else(|| panic!("no {kind:?}: {index}"))
    };
    let (image, attested) = (of(""), of("attestation-manifest"));
    assert_eq!(
        attested["annotations"]["vnd.docker.reference.digest"],
        image["digest"]
    );
    let layers = blob(layout, attested)["layers"].clone();
    let layers = layers.as_array().unwrap().iter();
    layers
        .map(|layer| {
            let predicate = layer["annotations"]["in-toto.io/predicate-type"].as_str();
            let statement = blob(layout, layer);
            assert_eq!(statement["predicateType"].as_str(), predicate);
            (predicate.unwrap().to_owned(), statement)
        })
        .collect()
}

#[tokio::test]
async fn provenance_says_little_or_much() {
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    for (mode, tells) in [("min", false), ("max", true)] {
        let layout = home.path().join(mode);
        let state = scratch().mkfile("/id", 0o644, unique());
        let solve = Solve::state(&state, &MarshalOptions::linux_amd64()).unwrap();
        let solve = solve
            .attest("provenance", format!("mode={mode}"))
            .export(Export::oci_directory(&layout));
        client.solve(solve, &mut ()).await.unwrap();
        let found = statements(&layout);
        let [(predicate, statement)] = &found[..] else {
            panic!("{found:?}");
        };
        assert!(
            predicate.starts_with("https://slsa.dev/provenance/"),
            "{predicate}"
        );
        let text = statement["predicate"].to_string();
        assert_eq!(
            text.contains("mkfile") || text.contains("llbDefinition"),
            tells,
            "{mode}: {text}"
        );
    }
}

#[tokio::test]
async fn a_scanner_makes_the_sbom_of_every_kind_of_build() {
    // The daemon runs scanners with the network that steps have if they ask for none.
    let engine = OwnEngine::with_network();
    let client = engine.connect().await;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    // No package of Debian has such a name, so only a scan of what was built can find it.
    let package = format!("made-{}", unique());
    let line = format!("Package: {package}");
    let script = format!("echo {line} >> /var/lib/dpkg/status");
    let built = image(DEBIAN).run(sh(&script).network(Network::None));
    std::fs::write(
        at("Dockerfile"),
        format!(
            "ARG BUILDKIT_SBOM_SCAN_CONTEXT=true\nFROM {DEBIAN}\nRUN --network=none {script}\n"
        ),
    )
    .unwrap();
    let with = |solve: Solve, name: &str, scanner: &str| {
        solve
            .attest("sbom", format!("generator={scanner},DEPTH=all"))
            .attest("provenance", "mode=min")
            .export(Export::oci_directory(at(name)).name("client-test/attested:1"))
    };
    let scanner = scanner().await;
    let graph = Solve::state(&built, &MarshalOptions::linux_amd64()).unwrap();
    client
        .solve(with(graph, "graph", scanner), &mut ())
        .await
        .unwrap();
    // Frontends name more than their result to scanners.
    let context = format!("{package}.in");
    std::fs::create_dir(at(&context)).unwrap();
    std::fs::write(at(&context).join("of-the-context"), "").unwrap();
    let dockerfile = Solve::frontend("dockerfile.v0")
        .local("context", at(&context))
        .local("dockerfile", home.path());
    let dockerfile = with(dockerfile, "dockerfile", scanner);
    client.solve(dockerfile, &mut ()).await.unwrap();
    #[cfg(feature = "gateway")]
    {
        let build = async |_: &mut llb::gateway::Build| Ok(built.clone());
        let solve = with(Solve::build(), "function", scanner);
        client.build(solve, &mut (), build).await.unwrap();
        assert_sbom(&at("function"), &package);
    }
    assert_sbom(&at("graph"), &package);
    assert_sbom(&at("dockerfile"), &package);
    let found = statements(&at("dockerfile"));
    let mut documents = found
        .iter()
        .map(|(_, statement)| &statement["predicate"])
        .filter(|document| document["spdxVersion"].is_string());
    assert!(
        documents.any(|document| document["files"][0]["name"] == "of-the-context"),
        "{found:#?}"
    );
}

fn assert_sbom(layout: &Path, package: &str) {
    let found = statements(layout);
    let types: Vec<_> = found
        .iter()
        .map(|(predicate, _)| predicate.as_str())
        .collect();
    assert!(
        types.iter().any(|one| one.contains("provenance")),
        "{types:?}"
    );
    // A context has no packages.
    let sbom = found.iter().find(|(predicate, statement)| {
        predicate == SPDX && statement["predicate"]["packages"] != Value::Array(Vec::new())
    });
    let Some((_, statement)) = sbom else {
        panic!("{types:?}");
    };
    let document = &statement["predicate"];
    assert_eq!(document["spdxVersion"], "SPDX-2.3");
    assert_eq!(document["comment"], "depth all");
    let packages = document["packages"].as_array().unwrap();
    let has = |name: &str| packages.iter().any(|one| one["name"] == name);
    assert!(has("base-files") && has(package), "{document}");
    // The exporter says which image it is about.
    let subject = &statement["subject"][0]["digest"]["sha256"];
    assert!(subject.is_string(), "{statement}");
}

#[tokio::test]
async fn a_secret_is_in_no_file_that_a_build_writes() {
    use llb::client::{CacheOption, Compression, Secret};
    const VALUE: &str = "hunter2-in-no-file";
    let client = containerd().await;
    let home = tempfile::tempdir().unwrap();
    let text = format!(
        "test $(cat /run/secrets/token) = \"$TOKEN\"; : {}",
        unique()
    );
    let exec = sh(text)
        .network(Network::None)
        .mount(secret("/run/secrets/token").id("token").and_env("TOKEN"));
    let state = image(DEBIAN)
        .exec(exec)
        .root()
        .mkfile("/made", 0o644, "made");
    let solve = Solve::state(&state, &MarshalOptions::linux_amd64())
        .unwrap()
        .secret("token", Secret::bytes(VALUE))
        .attest("provenance", "mode=max")
        .cache_to(CacheOption::local(home.path().join("cache")).attribute("mode", "max"))
        .export(
            Export::oci_directory(home.path().join("layout"))
                .compression(Compression::Uncompressed, true),
        )
        .export(Export::local(home.path().join("files")));
    let outcome = client.solve(solve, &mut ()).await.unwrap();
    std::fs::write(home.path().join("metadata"), outcome.metadata().to_string()).unwrap();
    // What is searched is not empty, and can be found in.
    assert!(holds(home.path(), "made") > 0);
    assert_eq!(holds(home.path(), VALUE), 0);
}

#[tokio::test]
async fn a_secret_is_in_nothing_that_a_daemon_keeps_of_a_build() {
    use llb::client::Secret;
    const VALUE: &str = "hunter2-in-no-history";
    let engine = OwnEngine::start();
    let client = engine.connect().await;
    for code in [0, 9] {
        let text = format!(
            "test $(cat /run/secrets/token) = $TOKEN || exit 3; exit {code}; : {}",
            unique()
        );
        let exec = sh(text.as_str())
            .network(Network::None)
            .mount(secret("/run/secrets/token").id("token").and_env("TOKEN"));
        let solve = Solve::state(
            &image(DEBIAN).exec(exec).root(),
            &MarshalOptions::linux_amd64(),
        )
        .unwrap()
        .secret("token", Secret::bytes(VALUE));
        assert_eq!(client.solve(solve, &mut ()).await.is_ok(), code == 0);
        // The history of builds is written when they are over.
        let kept = engine.home.join("data/buildkit");
        let deadline = Instant::now() + Duration::from_secs(60);
        while holds(&kept, &text) == 0 {
            assert!(Instant::now() < deadline, "the build is in no history");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert_eq!(holds(&kept, VALUE), 0);
        let log = std::fs::read_to_string(engine.home.join("log")).unwrap();
        assert!(!log.contains(VALUE), "{log}");
    }
}

/// How many files of a tree hold a text.
fn holds(tree: &Path, text: &str) -> usize {
    let entries = std::fs::read_dir(tree).unwrap().map(|entry| entry.unwrap());
    let found = entries.map(|entry| match entry.file_type().unwrap() {
        kind if kind.is_dir() => holds(&entry.path(), text),
        kind if kind.is_file() => {
            let bytes = std::fs::read(entry.path()).unwrap();
            usize::from(
                bytes
                    .windows(text.len())
                    .any(|part| part == text.as_bytes()),
            )
        }
        _ => 0,
    });
    found.sum()
}
