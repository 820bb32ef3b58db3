//! An image in an OCI layout, and what differs between two of them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::Failure;
use crate::cli::digest::sha256;

/// So many files of a layer are named.
const SHOWN: usize = 20;

/// One image of a layout.
pub(super) struct Layout {
    folder: PathBuf,
    pub(super) digest: String,
    manifest: Value,
    config: Value,
}

/// What a layer holds at a path, in the order of its parts.
type Entry = Vec<(&'static str, String)>;

impl Layout {
    /// Opens the layout of a build for one platform.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        let index = json(&folder.join("index.json"))?;
        let digest = text(&index["manifests"][0]["digest"])?;
        let mut layout = Self {
            folder: folder.to_owned(),
            digest: digest.clone(),
            manifest: Value::Null,
            config: Value::Null,
        };
        layout.manifest = layout.read(&digest)?;
        // An index holds the image, and statements about it.
        if layout.manifest["manifests"].is_array() {
            let inner = text(&layout.manifest["manifests"][0]["digest"])?;
            layout.manifest = layout.read(&inner)?;
        }
        layout.config = layout.read(&text(&layout.manifest["config"]["digest"])?)?;
        Ok(layout)
    }

    fn blob(&self, digest: &str) -> PathBuf {
        self.folder.join("blobs").join(digest.replace(':', "/"))
    }

    fn read(&self, digest: &str) -> Result<Value, Failure> {
        json(&self.blob(digest))
    }

    fn layers(&self) -> Vec<String> {
        let layers = self.manifest["layers"].as_array();
        let digest = |layer: &Value| layer["digest"].as_str().unwrap_or_default().to_owned();
        layers.into_iter().flatten().map(digest).collect()
    }

    /// What made each layer.
    fn names(&self) -> Vec<String> {
        let history = self.config["history"].as_array().into_iter().flatten();
        let filled = history.filter(|step| step["empty_layer"] != true);
        filled
            .map(|step| step["created_by"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    /// What another image has differently, one line each.
    pub(super) fn differences(&self, other: &Self) -> Result<Vec<String>, Failure> {
        let mut lines = Vec::new();
        let (layers, others) = (self.layers(), other.layers());
        if layers.len() != others.len() {
            lines.push(format!("{} layers and {}", layers.len(), others.len()));
        }
        let names = self.names();
        for (number, (one, two)) in layers.iter().zip(&others).enumerate() {
            if one == two {
                continue;
            }
            let name = names.get(number).map_or("", String::as_str);
            let name = name.lines().next().unwrap_or_default();
            lines.push(format!("layer {} of {}: {name}", number + 1, layers.len()));
            let files = compare(&entries(&self.blob(one))?, &entries(&other.blob(two))?);
            let more = files.len().saturating_sub(SHOWN);
            lines.extend(
                files
                    .into_iter()
                    .take(SHOWN)
                    .map(|file| format!("  {file}")),
            );
            if more > 0 {
                lines.push(format!("  and {more} more"));
            }
        }
        for key in ["created", "config", "history", "architecture", "os"] {
            if self.config[key] != other.config[key] {
                lines.push(format!("image configuration: `{key}`"));
            }
        }
        if lines.is_empty() {
            lines.push("manifest: media types or annotations".to_owned());
        }
        Ok(lines)
    }
}

fn json(path: &Path) -> Result<Value, Failure> {
    let fail = |error: String| Failure::new(format!("cannot read `{}`: {error}", path.display()));
    let bytes = fs::read(path).map_err(|error| fail(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| fail(error.to_string()))
}

fn text(value: &Value) -> Result<String, Failure> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Failure::new("the engine has exported no image"))
}

/// Everything in a layer by its path.
fn entries(layer: &Path) -> Result<BTreeMap<String, Entry>, Failure> {
    let file = fs::File::open(layer)
        .map_err(|error| Failure::new(format!("cannot read a layer: {error}")))?;
    read(file).map_err(|error| Failure::new(format!("cannot read a layer: {error}")))
}

fn read(layer: impl Read) -> io::Result<BTreeMap<String, Entry>> {
    let mut archive = tar::Archive::new(layer);
    let mut found = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let header = entry.header().clone();
        let link = entry.link_name()?;
        let link = link.map(|link| link.display().to_string());
        let mut attributes = String::new();
        for extension in entry.pax_extensions()?.into_iter().flatten() {
            let extension = extension?;
            let key = extension.key().unwrap_or_default();
            // Times with fractions and long paths are compared as such.
            if key.starts_with("SCHILY.xattr") {
                attributes.push_str(key);
                attributes.extend(extension.value_bytes().escape_ascii().map(char::from));
            }
        }
        let content = sha256(&mut entry)?;
        let parts = vec![
            ("kind", format!("{:?}", header.entry_type())),
            ("mode", format!("{:o}", header.mode()?)),
            ("owner", format!("{}:{}", header.uid()?, header.gid()?)),
            ("time", header.mtime()?.to_string()),
            ("size", header.size()?.to_string()),
            ("link", link.unwrap_or_default()),
            ("attributes", attributes),
            ("content", content),
        ];
        found.insert(path, parts);
    }
    Ok(found)
}

/// Paths with what differs there.
fn compare(one: &BTreeMap<String, Entry>, two: &BTreeMap<String, Entry>) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, entry) in one {
        let Some(other) = two.get(path) else {
            lines.push(format!("/{path}: only in the first"));
            continue;
        };
        let parts = entry.iter().zip(other);
        let parts = parts.filter(|(one, two)| one.1 != two.1);
        let parts: Vec<&str> = parts.map(|(one, _)| one.0).collect();
        if !parts.is_empty() {
            lines.push(format!("/{path}: {}", parts.join(", ")));
        }
    }
    let only = two.keys().filter(|path| !one.contains_key(*path));
    lines.extend(only.map(|path| format!("/{path}: only in the second")));
    if lines.is_empty() {
        lines.push("the same files in another order or form".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(files: &[(&str, &str, u64, u32)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content, time, mode) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mtime(*time);
            header.set_mode(*mode);
            header.set_uid(0);
            header.set_gid(0);
            header.set_cksum();
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn what_differs_is_named_by_path_and_part() {
        let one = layer(&[
            ("a", "x", 1, 0o644),
            ("b", "x", 1, 0o644),
            ("c", "x", 1, 0o644),
            ("d", "", 1, 0o644),
        ]);
        let two = layer(&[
            ("a", "x", 1, 0o644),
            ("b", "y", 2, 0o644),
            ("c", "x", 1, 0o755),
            ("e", "", 1, 0o644),
        ]);
        let (one, two) = (read(&one[..]).unwrap(), read(&two[..]).unwrap());
        assert_eq!(
            compare(&one, &two),
            [
                "/b: time, content",
                "/c: mode",
                "/d: only in the first",
                "/e: only in the second"
            ]
        );
        assert_eq!(
            compare(&one, &one),
            ["the same files in another order or form"]
        );
    }
}
