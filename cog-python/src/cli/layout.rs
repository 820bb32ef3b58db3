//! Images in an OCI layout: a folder, or an archive of one.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use llb::value::Platform;
use serde_json::Value;

use super::Failure;

/// Largest document that is read of an archive, in bytes. Layers are not documents.
const MOST: u64 = 16 << 20;

/// An OCI layout.
#[derive(Debug)]
pub(super) struct Layout {
    path: PathBuf,
    /// The documents of an archive, by path.
    archive: Option<BTreeMap<String, Vec<u8>>>,
}

/// One image of a layout.
#[derive(Debug, PartialEq)]
pub(super) struct LayoutImage {
    pub(super) manifest: Value,
    pub(super) config: Value,
}

/// One layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layer {
    pub(super) digest: String,
    /// Size of its blob.
    pub(super) bytes: u64,
    /// What made it, in the words of the image's history.
    pub(super) name: String,
}

impl Layout {
    /// Opens a folder or an archive.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let archive = if path.is_dir() {
            None
        } else {
            let documents = documents(path).map_err(|error| {
                Failure::new(format!("cannot read `{}`: {error}", path.display()))
            })?;
            Some(documents)
        };
        Ok(Self {
            path: path.to_owned(),
            archive,
        })
    }

    /// The documents of an image that is elsewhere, by their paths in a layout.
    pub(super) fn of_documents(name: &str, documents: BTreeMap<String, Vec<u8>>) -> Self {
        Self {
            path: name.into(),
            archive: Some(documents),
        }
    }

    /// Digest of what the layout is of: an image, or an index of images.
    pub(super) fn digest(&self) -> Result<String, Failure> {
        let index = self.document("index.json")?;
        let digest = index["manifests"][0]["digest"].as_str();
        let none = || Failure::new(format!("there is no image in `{}`", self.path.display()));
        digest.map(str::to_owned).ok_or_else(none)
    }

    /// All images, in the order of their indexes. Statements about images are none.
    pub(super) fn images(&self) -> Result<Vec<LayoutImage>, Failure> {
        let mut open = vec![self.document("index.json")?];
        let mut images = Vec::new();
        // Names of one image are entries of one index, and nothing keeps an index from holding itself.
        let mut seen = BTreeSet::new();
        while let Some(manifest) = open.pop() {
            if let Some(manifests) = manifest["manifests"].as_array() {
                let listed = manifests.iter().rev().filter(|manifest| {
                    manifest["annotations"]["vnd.docker.reference.type"].is_null()
                });
                for listed in listed {
                    if seen.insert(listed["digest"].to_string()) {
                        open.push(self.listed(listed)?);
                    }
                }
                continue;
            }
            let config = self.listed(&manifest["config"])?;
            images.push(LayoutImage { manifest, config });
        }
        Ok(images)
    }

    /// Path of a blob in a folder.
    pub(super) fn blob(&self, digest: &str) -> PathBuf {
        self.path.join(blob(digest))
    }

    fn listed(&self, descriptor: &Value) -> Result<Value, Failure> {
        self.document(&blob(descriptor["digest"].as_str().unwrap_or_default()))
    }

    fn document(&self, path: &str) -> Result<Value, Failure> {
        let unreadable = |reason: &dyn std::fmt::Display| {
            let layout = self.path.display();
            Failure::new(format!("cannot read `{path}` of `{layout}`: {reason}"))
        };
        let bytes = match &self.archive {
            None => fs::read(self.path.join(path)).map_err(|error| unreadable(&error))?,
            Some(documents) => {
                let found = documents.get(path).cloned();
                found.ok_or_else(|| unreadable(&"it is not there"))?
            }
        };
        serde_json::from_slice(&bytes).map_err(|error| unreadable(&error))
    }
}

impl LayoutImage {
    /// The platform that the image tells.
    pub(super) fn platform(&self) -> Option<Platform> {
        let text = |key: &str| self.config[key].as_str().map(str::to_owned);
        let platform = Platform::new(text("os")?, text("architecture")?);
        Some(match text("variant") {
            Some(variant) => platform.with_variant(variant),
            None => platform,
        })
    }

    /// The layers, the lowest first.
    pub(super) fn layers(&self) -> Vec<Layer> {
        let history = self.config["history"].as_array().into_iter().flatten();
        let mut names = history
            .filter(|step| step["empty_layer"] != true)
            .map(|step| step["created_by"].as_str().unwrap_or_default().to_owned());
        let layers = self.manifest["layers"].as_array().into_iter().flatten();
        layers
            .map(|layer| Layer {
                digest: layer["digest"].as_str().unwrap_or_default().to_owned(),
                bytes: layer["size"].as_u64().unwrap_or_default(),
                name: names.next().unwrap_or_default(),
            })
            .collect()
    }
}

/// Path of a blob in a layout.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

/// What of an archive may be a document: files that are small and start as JSON does.
fn documents(archive: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
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
                serde_json::json!({"manifests": [{"digest": "sha256:index"}, {"digest": "sha256:index"}]}),
            ),
            (
                "blobs/sha256/index",
                serde_json::json!({"manifests": [{"digest": "sha256:amd"}, {"digest": "sha256:index"}, statement]}),
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
        ]
    }

    fn check(layout: &Layout) {
        assert_eq!(layout.digest().unwrap(), "sha256:index");
        let images = layout.images().unwrap();
        let [image] = &images[..] else {
            panic!("{images:?}")
        };
        assert_eq!(image.platform(), Some(Platform::new("linux", "amd64")));
        let layer = |digest: &str, bytes, name: &str| Layer {
            digest: digest.to_owned(),
            bytes,
            name: name.to_owned(),
        };
        assert_eq!(
            image.layers(),
            [
                layer("sha256:1", 10, "base"),
                layer("sha256:2", 20, "wheels: a")
            ]
        );
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
        let error = Layout::open(folder.path()).unwrap().images().unwrap_err();
        assert!(error.to_string().contains("`index.json`"), "{error}");
        fs::write(folder.path().join("index.json"), "{}").unwrap();
        let error = Layout::open(folder.path()).unwrap().digest().unwrap_err();
        assert!(error.to_string().contains("no image"), "{error}");
    }
}
