//! What differs between two images.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::cli::Failure;
use crate::cli::digest::sha256;
use crate::cli::layout::{Layout, LayoutImage};

/// So many files of a layer are named.
const SHOWN: usize = 20;

/// What a layer holds at a path, in the order of its parts.
type Entry = Vec<(&'static str, String)>;

/// What the images of a second layout have differently, one line each. Layouts are folders, and their layers are not
/// compressed.
pub(super) fn differences(first: &Layout, second: &Layout) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    for (image, other) in first.images()?.iter().zip(&second.images()?) {
        lines.extend(of_layers((first, image), (second, other))?);
        for key in ["created", "config", "history", "architecture", "os"] {
            if image.config[key] != other.config[key] {
                lines.push(format!("image configuration: `{key}`"));
            }
        }
    }
    if lines.is_empty() {
        lines.push("manifest: media types or annotations".to_owned());
    }
    Ok(lines)
}

fn of_layers(
    (first, image): (&Layout, &LayoutImage),
    (second, other): (&Layout, &LayoutImage),
) -> Result<Vec<String>, Failure> {
    let mut lines = Vec::new();
    let (layers, others) = (image.layers(), other.layers());
    if layers.len() != others.len() {
        lines.push(format!("{} layers and {}", layers.len(), others.len()));
    }
    for (number, (one, two)) in layers.iter().zip(&others).enumerate() {
        if one.digest == two.digest {
            continue;
        }
        let name = one.name.lines().next().unwrap_or_default();
        lines.push(format!("layer {} of {}: {name}", number + 1, layers.len()));
        let one = entries(&first.blob(&one.digest))?;
        let two = entries(&second.blob(&two.digest))?;
        let files = compare(&one, &two);
        let more = files.len().saturating_sub(SHOWN);
        let shown = files.into_iter().take(SHOWN);
        lines.extend(shown.map(|file| format!("  {file}")));
        if more > 0 {
            lines.push(format!("  and {more} more"));
        }
    }
    Ok(lines)
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
