//! Sizes of the layers of an image, from where a build has put it: the engine, or an archive.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use llb::client::{Client, Outcome};
use serde_json::Value;

use super::Failure;
use super::output::{OutputKind, OutputOption};
use crate::engine::Engine;
use crate::factory::{ImageSize, LayerSize, Measure};

/// Largest document of an image that is read, in bytes. Layers are not.
const MOST: u64 = 16 << 20;

/// Sizes of what was built, one image for each platform.
pub(super) async fn sizes(
    client: &Client,
    outputs: &[OutputOption],
    platforms: &[&str],
    name: &str,
    outcome: &Outcome,
) -> Result<Vec<ImageSize>, Failure> {
    let archive = outputs.iter().find_map(|output| {
        let is_archive = matches!(output.kind, OutputKind::Oci | OutputKind::Docker);
        output
            .dest
            .as_deref()
            .filter(|path| is_archive && *path != Path::new("-"))
    });
    if let Some(path) = archive {
        return Layout::open(path)?.sizes(platforms[0]);
    }
    let is_engine = matches!(client.engine(), llb::client::Engine::Docker { .. });
    let kept = outputs.iter().find(|output| output.is_kept() && is_engine);
    let ([platform], Some(output)) = (platforms, kept) else {
        return Err(Failure::new(
            "what was built is neither an image of one platform in an engine nor an archive",
        )
        .hint("add `-o type=oci,dest=FILE`"));
    };
    let name = output.name.as_ref().map_or(name, |name| name.as_str());
    let engine = Engine::connect(Some(&client.address().to_string())).await?;
    let reference = outcome.image_digest().unwrap_or(name);
    let layers = engine.layers(reference).await?;
    Ok(vec![ImageSize::new(*platform, Measure::Files, layers)])
}

/// An OCI layout: a folder, or an archive of one.
enum Layout {
    Folder(PathBuf),
    /// The documents of an archive, by path.
    Archive(BTreeMap<String, Vec<u8>>),
}

impl Layout {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Ok(Self::Folder(path.to_owned()));
        }
        let documents = documents(path)
            .map_err(|error| Failure::new(format!("cannot read `{}`: {error}", path.display())))?;
        Ok(Self::Archive(documents))
    }

    fn read(&self, path: &str) -> Result<Value, Failure> {
        let missing = |reason: &dyn std::fmt::Display| {
            Failure::new(format!("the archive has no readable `{path}`: {reason}"))
        };
        let bytes = match self {
            Self::Folder(folder) => fs::read(folder.join(path)).map_err(|error| missing(&error))?,
            Self::Archive(documents) => {
                let found = documents.get(path).cloned();
                found.ok_or_else(|| missing(&"it is not there"))?
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| missing(&error))
    }

    fn blob(&self, descriptor: &Value) -> Result<Value, Failure> {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        self.read(&format!("blobs/{}", digest.replace(':', "/")))
    }

    /// Sizes of all images. The platform is that of an image that does not tell its own.
    fn sizes(&self, platform: &str) -> Result<Vec<ImageSize>, Failure> {
        let mut open = vec![self.read("index.json")?];
        let mut sizes = Vec::new();
        while let Some(document) = open.pop() {
            if let Some(manifests) = document["manifests"].as_array() {
                // What says something about an image is none.
                let images = manifests.iter().rev().filter(|manifest| {
                    manifest["annotations"]["vnd.docker.reference.type"].is_null()
                });
                for image in images {
                    open.push(self.blob(image)?);
                }
                continue;
            }
            sizes.push(self.size(&document, platform)?);
        }
        // Names of one image are entries of one index.
        sizes.dedup();
        Ok(sizes)
    }

    fn size(&self, manifest: &Value, platform: &str) -> Result<ImageSize, Failure> {
        let config = self.blob(&manifest["config"])?;
        let own = match (config["os"].as_str(), config["architecture"].as_str()) {
            (Some(os), Some(architecture)) => {
                let variant = config["variant"].as_str().unwrap_or_default();
                let slash = if variant.is_empty() { "" } else { "/" };
                format!("{os}/{architecture}{slash}{variant}")
            }
            _ => platform.to_owned(),
        };
        let history = config["history"].as_array().into_iter().flatten();
        let mut names = history
            .filter(|step| step["empty_layer"] != true)
            .map(|step| step["created_by"].as_str().unwrap_or_default().to_owned());
        let layers = manifest["layers"].as_array().into_iter().flatten();
        let layers = layers.map(|layer| LayerSize {
            name: names.next().unwrap_or_default(),
            bytes: layer["size"].as_u64().unwrap_or_default(),
            digest: layer["digest"].as_str().map(str::to_owned),
        });
        Ok(ImageSize::new(own, Measure::Blob, layers.collect()))
    }
}

/// What of an archive may be a document: files that are small and start as JSON does.
fn documents(archive: &Path) -> std::io::Result<BTreeMap<String, Vec<u8>>> {
    let mut archive = tar::Archive::new(File::open(archive)?);
    let mut documents = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let mut entry = entry?;
        if entry.size() > MOST || !entry.header().entry_type().is_file() {
            continue;
        }
        let mut start = [0];
        if entry.read(&mut start)? == 1 && start == *b"{" {
            let path = entry.path()?.to_string_lossy().into_owned();
            let mut bytes = start.to_vec();
            entry.read_to_end(&mut bytes)?;
            documents.insert(path, bytes);
        }
    }
    Ok(documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A layout of one image for two platforms, with a statement about it.
    fn files() -> Vec<(&'static str, Value)> {
        let manifest = |config: &str, layers: Value| serde_json::json!({"config": {"digest": format!("sha256:{config}")}, "layers": layers});
        let config = |architecture: &str, history: Value| serde_json::json!({"os": "linux", "architecture": architecture, "history": history});
        let statement = serde_json::json!({"digest": "sha256:none", "annotations": {"vnd.docker.reference.type": "attestation-manifest"}});
        vec![
            (
                "index.json",
                serde_json::json!({"manifests": [{"digest": "sha256:index"}]}),
            ),
            (
                "blobs/sha256/index",
                serde_json::json!({"manifests": [{"digest": "sha256:amd"}, {"digest": "sha256:arm"}, statement]}),
            ),
            (
                "blobs/sha256/amd",
                manifest(
                    "amd-config",
                    serde_json::json!([{"digest": "sha256:1", "size": 10}, {"digest": "sha256:2", "size": 20}]),
                ),
            ),
            (
                "blobs/sha256/amd-config",
                config(
                    "amd64",
                    serde_json::json!([{"created_by": "base"}, {"created_by": "ENV", "empty_layer": true}, {"created_by": "wheels: a"}]),
                ),
            ),
            (
                "blobs/sha256/arm",
                manifest("arm-config", serde_json::json!([])),
            ),
            (
                "blobs/sha256/arm-config",
                config("arm64", serde_json::json!([])),
            ),
        ]
    }

    fn check(layout: &Layout) {
        let sizes = layout.sizes("linux/amd64").unwrap();
        let platforms: Vec<&str> = sizes.iter().map(|size| size.platform.as_str()).collect();
        assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
        let layers: Vec<(&str, u64)> = sizes[0]
            .layers
            .iter()
            .map(|layer| (layer.name.as_str(), layer.bytes))
            .collect();
        assert_eq!(layers, [("base", 10), ("wheels: a", 20)]);
        assert_eq!(sizes[0].bytes, 30);
    }

    #[test]
    fn folders_and_archives_are_read_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.tar");
        let mut archive = tar::Builder::new(File::create(&path).unwrap());
        for (name, document) in files() {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, document.to_string()).unwrap();
            archive.append_path_with_name(&file, name).unwrap();
        }
        archive.finish().unwrap();
        check(&Layout::open(folder.path()).unwrap());
        check(&Layout::open(&path).unwrap());
    }

    #[test]
    fn what_is_no_layout_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = Layout::open(folder.path()).unwrap().sizes("").unwrap_err();
        assert!(error.to_string().contains("`index.json`"), "{error}");
    }
}
