//! Image configs and manifests, written straight into the registry.

use std::fs;

use anyhow::Result;
use serde_json::{Value, json};

use super::http::Body;
use super::layer::{Layer, digest_of_file};
use super::layout::Layout;
use super::registry::{MANIFEST, Registry};

/// What an image is made of.
#[derive(Debug, Clone)]
pub(crate) struct Image<'a> {
    /// Repository in the registry, as in `library/debian`.
    pub(crate) repository: &'a str,
    /// All tags it gets.
    pub(crate) tags: &'a [String],
    /// Layers, the lowest first.
    pub(crate) layers: &'a [Layer],
    /// Architecture in the words of container images.
    pub(crate) architecture: &'a str,
    /// Environment, in order.
    pub(crate) env: &'a [String],
    /// Command that runs by default.
    pub(crate) cmd: &'a [&'a str],
    /// Time of creation, as in `2023-06-10T00:00:00Z`.
    pub(crate) created: &'a str,
}

/// Uploads an image and returns the digest of its manifest.
pub(crate) fn push(layout: &Layout, registry: Registry, image: &Image<'_>) -> Result<String> {
    for layer in image.layers {
        registry.push_blob(image.repository, &layer.digest, Body::File(&layer.file))?;
    }
    let config = serde_json::to_vec(&config(image))?;
    let config_digest = digest_of_bytes(layout, image, &config)?;
    registry.push_blob(
        image.repository,
        &config_digest,
        Body::Bytes(&config, "application/octet-stream"),
    )?;
    let manifest = serde_json::to_vec(&manifest(image, &config_digest, config.len()))?;
    for tag in image.tags {
        registry.push_manifest(image.repository, tag, &manifest)?;
    }
    digest_of_bytes(layout, image, &manifest)
}

fn config(image: &Image<'_>) -> Value {
    let diff_ids: Vec<&str> = image.layers.iter().map(|layer| &*layer.diff_id).collect();
    let history: Vec<Value> = image
        .layers
        .iter()
        .map(|_| json!({ "created": image.created, "created_by": "cargo xtask testbed up" }))
        .collect();
    let mut process = json!({});
    if !image.env.is_empty() {
        process["Env"] = json!(image.env);
    }
    if !image.cmd.is_empty() {
        process["Cmd"] = json!(image.cmd);
    }
    json!({
        "architecture": image.architecture,
        "os": "linux",
        "created": image.created,
        "config": process,
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": history,
    })
}

fn manifest(image: &Image<'_>, config_digest: &str, config_size: usize) -> Value {
    let layers: Vec<Value> = image
        .layers
        .iter()
        .map(|layer| {
            json!({
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": layer.digest,
                "size": layer.size,
            })
        })
        .collect();
    json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest,
            "size": config_size,
        },
        "layers": layers,
    })
}

fn digest_of_bytes(layout: &Layout, image: &Image<'_>, bytes: &[u8]) -> Result<String> {
    let name = format!("{}.{}.json", image.repository, image.tags.join(".")).replace('/', ".");
    let file = layout.work().join(name);
    fs::create_dir_all(layout.work())?;
    fs::write(&file, bytes)?;
    digest_of_file(layout, &file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn config_and_manifest_list_the_layers_in_order() {
        let layers = ["a", "b"].map(|name| Layer {
            file: PathBuf::from(name),
            digest: format!("sha256:{name}"),
            size: 7,
            diff_id: format!("sha256:{name}-tar"),
        });
        let image = Image {
            repository: "library/debian",
            tags: &["bookworm-slim".to_owned()],
            layers: &layers,
            architecture: "amd64",
            env: &["PATH=/bin".to_owned()],
            cmd: &["bash"],
            created: "2023-06-10T00:00:00Z",
        };
        let config = config(&image);
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!(["sha256:a-tar", "sha256:b-tar"])
        );
        assert_eq!(
            config["config"],
            json!({"Env": ["PATH=/bin"], "Cmd": ["bash"]})
        );
        let manifest = manifest(&image, "sha256:c", 3);
        assert_eq!(manifest["layers"][1]["digest"], "sha256:b");
        assert_eq!(manifest["config"]["size"], 3);
    }
}
