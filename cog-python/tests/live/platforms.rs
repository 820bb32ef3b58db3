//! One build for several platforms.
//!
//! The machine runs programs of one platform only, so images for another one hold programs of this one: what is tried is
//! which platform each step and each image is for, not the programs.

use cog_python::ca;
use llb::client::{Client, Entitlement, Export, Secret, Solve};
use llb::gateway::Image;
use llb::prelude::*;
use llb::value::Platform;
use serde_json::Value;

use crate::support::{Project, Testbed, get, unique};

/// Pushes an index whose image for every platform is this one.
fn push_for_all(testbed: &Testbed, name: &str, state: &State) -> String {
    let reference = format!("{}/cog-python-test/{name}", testbed.registry());
    let mut build = Solve::build()
        .attribute("platform", "linux/amd64,linux/arm64")
        .allow(Entitlement::NetworkHost)
        .export(Export::image(&reference).push(true));
    if let Some(bundle) = ca::find(&ca::Disk, None, false).unwrap().bundle {
        for (id, value) in bundle.secrets() {
            build = build.secret(id, Secret::bytes(value));
        }
    }
    let address = testbed.address("containerd").parse().unwrap();
    let state = state.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let client = Client::connect(&address).await.unwrap();
        let work = async |_: &mut llb::gateway::Build| {
            let platforms = [Platform::LINUX_AMD64, Platform::new("linux", "arm64")];
            Ok(Image::platforms(
                platforms.map(|platform| (platform, state.clone())),
            ))
        };
        client.build(build, &mut (), work).await.unwrap();
    });
    reference
}

#[test]
fn several_platforms_make_an_index() {
    let testbed = Testbed::find();
    let amd64 = Platform::LINUX_AMD64;
    let python = image("python:3.11-slim").platform(&amd64);
    let bundle = secret(ca::BUNDLE_PATH).id(ca::BUNDLE_SECRET).optional();
    let install = sh("pip install --target /uv uv==0.9.26")
        .network(Network::Host)
        .mount(bundle)
        .mount(secret(ca::PATH_SECRET).as_env("PIP_CERT").optional());
    let program = python.run(install);
    let uv = scratch().copy(program, "/uv/bin/uv", "/uv");
    let uv = push_for_all(&testbed, "uv-for-all:1", &uv);
    let base = python.copy(
        scratch().mkfile("/base", 0o644, "for all"),
        "/base",
        "/base",
    );
    let base = push_for_all(&testbed, "python-for-all:1", &base);
    let project = Project::new("containerd");
    let config = "build:\n  python_version: \"3.11\"\nrun: run.py:Runner\n";
    std::fs::write(project.folder.path().join("cog.yaml"), config).unwrap();
    let output = project.folder.path().join("image");
    let target = format!("type=oci,tar=false,dest={}", output.display());
    let run = project.run(&[
        "build",
        "--platform",
        "linux/amd64,linux/arm64",
        "--base",
        &base,
        "--uv-image",
        &uv,
        "-o",
        &target,
    ]);
    let run = run.succeeded();
    let json = |path: &str| -> Value {
        let text = std::fs::read_to_string(output.join(path)).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let digest = json("index.json")["manifests"][0]["digest"]
        .as_str()
        .unwrap()
        .replace(':', "/");
    let index = json(&format!("blobs/{digest}"));
    let platforms: Vec<&str> = index["manifests"]
        .as_array()
        .unwrap_or_else(|| panic!("{index:#}\n{}", run.stderr))
        .iter()
        .map(|image| image["platform"]["architecture"].as_str().unwrap())
        .filter(|architecture| *architecture != "unknown")
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    // Each image says of itself what it is for.
    for image in index["manifests"].as_array().unwrap() {
        let manifest = json(&format!(
            "blobs/{}",
            image["digest"].as_str().unwrap().replace(':', "/")
        ));
        let config = json(&format!(
            "blobs/{}",
            manifest["config"]["digest"]
                .as_str()
                .unwrap()
                .replace(':', "/")
        ));
        assert_eq!(config["architecture"], image["platform"]["architecture"]);
        assert!(
            config["config"]["Labels"]["run.cog.pip_freeze"]
                .as_str()
                .unwrap()
                .contains("cog==")
        );
    }

    // The same by `push`: the registry has the index, and every image of it.
    let name = "cog-python-test/pushed-for-all";
    let tag = unique();
    let reference = format!("{}/{name}:{tag}", testbed.registry());
    let run = project.run(&[
        "push",
        &reference,
        "--platform",
        "linux/amd64,linux/arm64",
        "--base",
        &base,
        "--uv-image",
        &uv,
    ]);
    let run = run.succeeded();
    let index = get(&testbed, &format!("/v2/{name}/manifests/{tag}"));
    let images = index["manifests"].as_array().unwrap();
    let mut platforms = Vec::new();
    for image in images {
        let digest = image["digest"].as_str().unwrap();
        let manifest = get(&testbed, &format!("/v2/{name}/manifests/{digest}"));
        assert!(manifest["layers"].is_array(), "{manifest:#}");
        platforms.extend(image["platform"]["architecture"].as_str());
    }
    platforms.retain(|architecture| *architecture != "unknown");
    assert_eq!(platforms, ["amd64", "arm64"], "{}", run.stderr);

    // What only the registry can tell of all of them, it tells.
    let output = format!("type=image,push=true,name={reference}-sized");
    let run = project.run(&[
        "build",
        "--size-report",
        "--json",
        "--platform",
        "linux/amd64,linux/arm64",
        "--base",
        &base,
        "--uv-image",
        &uv,
        "-o",
        &output,
    ]);
    let run = run.succeeded();
    let build: Value = serde_json::from_str(&run.stdout).unwrap();
    let index = get(&testbed, &format!("/v2/{name}/manifests/{tag}-sized"));
    for (index, image) in index["manifests"].as_array().unwrap().iter().enumerate() {
        if image["platform"]["architecture"] == "unknown" {
            continue;
        }
        let digest = image["digest"].as_str().unwrap();
        let manifest = get(&testbed, &format!("/v2/{name}/manifests/{digest}"));
        let size = &build["sizes"][index];
        assert_eq!(size["measure"], "blob", "{}", run.stderr);
        let layers = manifest["layers"].as_array().unwrap();
        let bytes = layers.iter().map(|layer| layer["size"].as_u64().unwrap());
        assert_eq!(size["bytes"], bytes.sum::<u64>(), "{size:#}");
    }
}

/// It would fail at its end, after minutes.
#[test]
fn an_engine_that_keeps_one_platform_refuses_several_at_once() {
    let project = Project::new("graphdriver");
    let run = project.run(&["build", "--platform", "linux/amd64,linux/arm64"]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    for part in [
        "keeps images of one platform only",
        "containerd's image store",
    ] {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
    assert_eq!(run.steps_run("apt"), [""; 0], "{}", run.stderr);
}
