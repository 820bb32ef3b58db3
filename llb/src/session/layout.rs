//! OCI layouts of this machine: directories of blobs, named by their digests, with an index.
//!
//! Blobs appear whole and under their digest only. The index is changed when the build has succeeded;
//! what a failed build has written is removed.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{FlockOperation, flock};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::{hex, random_id};

const INDEX: &str = "index.json";
const REFERENCE: &str = "org.opencontainers.image.ref.name";
const IMAGE_NAME: &str = "io.containerd.image.name";
const LARGEST_INDEX: u64 = 16 << 20;

/// A directory of blobs.
#[derive(Debug)]
pub(crate) struct Layout {
    root: PathBuf,
    /// The index can be read, and blobs can be written, only where this is so.
    writable: bool,
    /// Whether this made the directory.
    made: bool,
    /// Blobs that are new.
    written: Mutex<Vec<PathBuf>>,
    committed: AtomicBool,
}

/// What a manifest is found by in an index.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ManifestName {
    /// A tag: `latest`.
    Tag(String),
    /// The name of an image: `docker.io/library/debian:12`.
    Image(String),
}

/// A blob that is being written. What is not committed is removed.
#[derive(Debug)]
pub(crate) struct Ingest {
    file: File,
    path: PathBuf,
    hash: Sha256,
    pub(crate) offset: u64,
}

impl Layout {
    /// A layout that is only read.
    pub(crate) fn read(root: &Path) -> io::Result<Self> {
        if !root.join(INDEX).is_file() && !root.join("blobs").is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "it is no OCI layout: it has neither `index.json` nor `blobs`",
            ));
        }
        Ok(Self::new(root, false, false))
    }

    /// A layout that is written to, and made if it is not there.
    pub(crate) fn write(root: &Path) -> io::Result<Self> {
        let made = !root.exists();
        fs::create_dir_all(root.join("blobs/sha256"))?;
        Ok(Self::new(root, true, made))
    }

    fn new(root: &Path, writable: bool, made: bool) -> Self {
        Self {
            root: root.to_owned(),
            writable,
            made,
            written: Mutex::default(),
            committed: AtomicBool::new(false),
        }
    }

    /// Where a blob is, whether it is there or not; `None` if the digest is none.
    pub(crate) fn blob(&self, digest: &str) -> Option<PathBuf> {
        let hexadecimal = digest.strip_prefix("sha256:")?;
        let is_digest = hexadecimal.len() == 64
            && hexadecimal
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_digest.then(|| self.root.join("blobs/sha256").join(hexadecimal))
    }

    /// The descriptor of the manifest with a tag or an image's name.
    pub(crate) fn find(&self, name: &str) -> io::Result<Option<Value>> {
        let index = read_index(&self.root)?;
        let manifests = || index["manifests"].as_array().into_iter().flatten();
        let called = |key: &str| {
            manifests().find(|manifest| manifest["annotations"][key].as_str() == Some(name))
        };
        Ok(called(IMAGE_NAME).or_else(|| called(REFERENCE)).cloned())
    }

    /// Begins a blob.
    pub(crate) fn ingest(&self) -> io::Result<Ingest> {
        if !self.writable {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "this layout is only read",
            ));
        }
        let path = self
            .root
            .join("blobs")
            .join(format!(".llb-partial-{}", random_id()?));
        Ok(Ingest {
            file: File::create_new(&path)?,
            path,
            hash: Sha256::new(),
            offset: 0,
        })
    }

    /// Ends a blob; gives its digest.
    pub(crate) fn keep(&self, ingest: &Ingest) -> io::Result<String> {
        let digest = ingest.digest();
        let Some(path) = self.blob(&digest) else {
            return Err(io::Error::other("a digest is a digest"));
        };
        if !path.exists() {
            ingest.file.sync_data()?;
            fs::rename(&ingest.path, &path)?;
            let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
            written.push(path);
        }
        Ok(digest)
    }

    /// Names a manifest in the index and keeps what was written.
    pub(crate) fn commit(&self, descriptor: &Value, names: &[ManifestName]) -> io::Result<()> {
        let lock = File::create(self.root.join("index.json.lock"))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        fs::write(
            self.root.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        let mut index = match read_index(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.index.v1+json",
                "manifests": [],
            }),
            index => index?,
        };
        for name in names {
            put(&mut index, descriptor, name);
        }
        let partial = self
            .root
            .join(format!(".{INDEX}.llb-partial-{}", random_id()?));
        let text = serde_json::to_vec(&index).map_err(io::Error::other)?;
        let written = fs::write(&partial, text);
        let written = written.and_then(|()| fs::rename(&partial, self.root.join(INDEX)));
        if written.is_err() {
            drop(fs::remove_file(&partial));
        }
        written?;
        self.committed.store(true, Ordering::Release);
        drop(fs::remove_file(self.root.join("index.json.lock")));
        Ok(())
    }
}

impl Drop for Layout {
    fn drop(&mut self) {
        if self.committed.load(Ordering::Acquire) || !self.writable {
            return;
        }
        let written = self
            .written
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for blob in written.iter() {
            drop(fs::remove_file(blob));
        }
        if self.made {
            // Only empty directories go.
            for directory in ["blobs/sha256", "blobs", ""] {
                drop(fs::remove_dir(self.root.join(directory)));
            }
        }
    }
}

impl Ingest {
    /// The digest of what has been written.
    pub(crate) fn digest(&self) -> String {
        format!("sha256:{}", hex(&self.hash.clone().finalize()))
    }

    /// Adds to the blob.
    pub(crate) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        self.file.write_all(data)?;
        self.hash.update(data);
        self.offset += data.len() as u64;
        Ok(())
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        // It is gone if it was kept.
        drop(fs::remove_file(&self.path));
    }
}

/// The size of a blob, and when it was written, in seconds since the epoch.
pub(crate) fn blob_metadata(path: &Path) -> io::Result<(u64, i64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.len(), metadata.mtime()))
}

fn read_index(root: &Path) -> io::Result<Value> {
    let mut text = Vec::new();
    let file = File::open(root.join(INDEX))?;
    file.take(LARGEST_INDEX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(|error| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("`{INDEX}` is no index: {error}"),
        )
    })
}

fn put(index: &mut Value, descriptor: &Value, name: &ManifestName) {
    let (reference, image) = match name {
        ManifestName::Tag(tag) => (tag.as_str(), None),
        ManifestName::Image(name) => (tag_of(name), Some(name.as_str())),
    };
    let mut descriptor = descriptor.clone();
    let annotations = &mut descriptor["annotations"];
    if !annotations.is_object() {
        *annotations = Value::Object(Map::new());
    }
    annotations[REFERENCE] = reference.into();
    if let Some(image) = image {
        annotations[IMAGE_NAME] = image.into();
    }
    let manifests = &mut index["manifests"];
    if !manifests.is_array() {
        *manifests = json!([]);
    }
    if let Some(manifests) = manifests.as_array_mut() {
        manifests.retain(|manifest| {
            let known = &manifest["annotations"];
            known[REFERENCE].as_str() != Some(reference) || known[IMAGE_NAME].as_str() != image
        });
        manifests.push(descriptor);
    }
}

fn tag_of(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((_, tag)) if !tag.contains('/') => tag,
        _ => "latest",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(layout: &Layout, data: &[u8]) -> String {
        let mut ingest = layout.ingest().unwrap();
        ingest.write(data).unwrap();
        layout.keep(&ingest).unwrap()
    }

    fn files(root: &Path) -> Vec<String> {
        let mut names = Vec::new();
        for directory in ["", "blobs", "blobs/sha256"] {
            for entry in fs::read_dir(root.join(directory)).into_iter().flatten() {
                let entry = entry.unwrap();
                if entry.path().is_file() {
                    names.push(entry.file_name().into_string().unwrap());
                }
            }
        }
        names.sort();
        names
    }

    #[test]
    fn a_manifest_is_found_by_its_names_until_another_takes_them() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("layout");
        let names = [
            ManifestName::Tag("latest".into()),
            ManifestName::Image("docker.io/me/a:1".into()),
        ];
        for text in ["one", "two"] {
            let layout = Layout::write(&root).unwrap();
            let digest = write(&layout, text.as_bytes());
            assert_eq!(
                fs::read_to_string(layout.blob(&digest).unwrap()).unwrap(),
                text
            );
            layout
                .commit(&json!({"digest": digest, "size": 3}), &names)
                .unwrap();
            for name in ["latest", "docker.io/me/a:1", "1"] {
                assert_eq!(
                    layout.find(name).unwrap().unwrap()["digest"],
                    digest,
                    "{name}"
                );
            }
        }
        let layout = Layout::read(&root).unwrap();
        assert_eq!(layout.find("other").unwrap(), None);
        assert!(layout.ingest().is_err());
        drop(layout);
        assert_eq!(
            files(&root).len(),
            4,
            "two blobs, the index and the layout's mark"
        );
        assert_eq!(
            read_index(&root).unwrap()["manifests"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }

    #[test]
    fn what_is_not_committed_is_removed() {
        let home = tempfile::tempdir().unwrap();
        let root = home.path().join("layout");
        let layout = Layout::write(&root).unwrap();
        write(&layout, b"a blob");
        let ingest = layout.ingest().unwrap();
        drop(ingest);
        drop(layout);
        assert!(!root.exists());
        assert!(Layout::read(home.path()).is_err());
    }

    #[test]
    fn only_digests_name_blobs() {
        let layout = Layout::new(Path::new("/x"), false, false);
        for digest in [
            "",
            "sha256:",
            "sha256:../../etc",
            &format!("sha256:{}", "A".repeat(64)),
        ] {
            assert_eq!(layout.blob(digest), None, "{digest}");
        }
    }
}
