//! Trees as cases describe them, and as archives and image layers hold them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::case::list;
use super::compare::Names;

/// A tree without its root.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tree {
    pub(crate) entries: BTreeMap<Vec<u8>, Entry>,
}

/// What is at a path; what is not given is not compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: String,
    pub(crate) mode: Option<u32>,
    pub(crate) owner: (u64, u64),
    /// The sha256 of a file, the target of a link, the number of a device.
    pub(crate) content: Vec<u8>,
    /// Whole seconds, which is what engines write into archives; none for the time of the build.
    pub(crate) time: Option<i64>,
    pub(crate) attributes: BTreeMap<String, Vec<u8>>,
    /// The other name that an archive has the file under.
    pub(crate) link: Option<Vec<u8>>,
}

/// Later than all times that cases set, earlier than any build.
const BEFORE_BUILDS: i64 = 1_600_000_000;

impl Tree {
    /// The tree that a case describes.
    pub(crate) fn of_case(value: &Value) -> Self {
        let mut tree = Self::default();
        for value in list(&value["entries"]) {
            tree.entries.insert(path_of(value), Entry::of_case(value));
        }
        for names in list(&value["hardlinks"]) {
            let names: Vec<Vec<u8>> = list(names)
                .iter()
                .map(|name| name.as_str().unwrap_or_default().as_bytes().to_vec())
                .collect();
            for name in names.iter().skip(1) {
                if let Some(entry) = tree.entries.get_mut(name) {
                    entry.link = Some(names[0].clone());
                }
            }
        }
        tree
    }

    /// Changes what a case says that an archive shows differently.
    pub(crate) fn amend(&mut self, difference: &Value) {
        let Some(entry) = self.entries.get_mut(&path_of(difference)) else {
            return;
        };
        match (difference["what"].as_str(), difference["here"].as_str()) {
            (Some("kind"), Some("file")) => {
                "file".clone_into(&mut entry.kind);
                entry.content = Sha256::digest([]).to_vec();
            }
            (Some("kind"), Some(kind)) => kind.clone_into(&mut entry.kind),
            _ => {}
        }
    }

    /// Lays an archive over the tree. In an image layer, names that begin with `.wh.` delete.
    pub(crate) fn lay(&mut self, archive: impl Read, is_layer: bool) -> std::io::Result<()> {
        let mut archive = tar::Archive::new(archive);
        let below = self.clone();
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = trimmed(&entry.path_bytes());
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            if let Some(deleted) = name.strip_prefix(b".wh.").filter(|_| is_layer) {
                let parent = &path[..path.len() - name.len()];
                let is_opaque = deleted == b".wh..opq";
                let target = [parent, deleted].concat();
                self.entries.retain(|known, _| {
                    let gone = if is_opaque {
                        known.starts_with(parent) && below.entries.contains_key(known)
                    } else {
                        *known == target || is_below(known, &target)
                    };
                    !gone
                });
                continue;
            }
            if path.is_empty() {
                continue;
            }
            let new = Entry::of_archive(&mut entry)?;
            if new.kind != "dir" {
                self.entries.retain(|known, _| !is_below(known, &path));
            }
            self.entries.insert(path, new);
        }
        self.settle_links();
        Ok(())
    }

    /// Names of one file have its content.
    fn settle_links(&mut self) {
        let links: Vec<(Vec<u8>, Vec<u8>)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.kind == "link")
            .filter_map(|(path, entry)| Some((path.clone(), entry.link.clone()?)))
            .collect();
        for (path, first) in links {
            if let Some(file) = self.entries.get(&first).cloned() {
                let link = file.link.clone().unwrap_or(first);
                let entry = Entry {
                    link: Some(link),
                    ..file
                };
                self.entries.insert(path, entry);
            }
        }
    }

    /// What differs, in a few words each.
    pub(crate) fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (path, entry) in &self.entries {
            let path_text = String::from_utf8_lossy(path);
            match other.entries.get(path) {
                None => differences.push(format!("{path_text} is missing")),
                Some(found) => {
                    differences.extend(
                        entry
                            .differences(found)
                            .map(|what| format!("{path_text}: {what}")),
                    );
                }
            }
        }
        let more = other
            .entries
            .keys()
            .filter(|path| !self.entries.contains_key(*path));
        differences
            .extend(more.map(|path| format!("{} is too much", String::from_utf8_lossy(path))));
        let (ours, theirs) = (Names::of(self), Names::of(other));
        if ours != theirs {
            differences.push(format!("hard links: expected {ours}, found {theirs}"));
        }
        differences
    }
}

impl Entry {
    fn of_case(value: &Value) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        let number = |key: &str| value[key].as_u64().unwrap_or_default();
        let content = match text("kind") {
            "file" => from_hex(text("sha256")),
            "symlink" => text("target").as_bytes().to_vec(),
            _ => text("dev").as_bytes().to_vec(),
        };
        let attributes = value["xattrs"].as_object().into_iter().flatten();
        Self {
            kind: text("kind").to_owned(),
            mode: u32::from_str_radix(text("mode"), 8).ok(),
            owner: (number("uid"), number("gid")),
            content,
            time: value["mtime"].as_i64(),
            attributes: attributes
                .map(|(name, value)| {
                    let value = value.as_str().unwrap_or_default();
                    let value = match value.strip_prefix("hex:") {
                        Some(hex) => from_hex(hex),
                        None => value
                            .strip_prefix("text:")
                            .unwrap_or(value)
                            .as_bytes()
                            .to_vec(),
                    };
                    (name.clone(), value)
                })
                .collect(),
            link: None,
        }
    }

    fn of_archive<R: Read>(entry: &mut tar::Entry<'_, R>) -> std::io::Result<Self> {
        use tar::EntryType;

        let header = entry.header();
        let kind = match header.entry_type() {
            EntryType::Directory => "dir",
            EntryType::Symlink => "symlink",
            EntryType::Link => "link",
            EntryType::Fifo => "fifo",
            EntryType::Block => "block",
            EntryType::Char => "char",
            _ => "file",
        };
        let mut found = Self {
            kind: kind.to_owned(),
            mode: (kind != "symlink").then_some(header.mode()? & 0o7777),
            owner: (header.uid()?, header.gid()?),
            time: i64::try_from(header.mtime()?).ok(),
            ..Self::default()
        };
        match kind {
            "block" | "char" => {
                let [major, minor] = [header.device_major()?, header.device_minor()?];
                let (major, minor) = (major.unwrap_or_default(), minor.unwrap_or_default());
                found.content = format!("{major}:{minor}").into_bytes();
            }
            "symlink" => found.content = entry.link_name_bytes().unwrap_or_default().into_owned(),
            "link" => found.link = entry.link_name_bytes().map(|name| trimmed(&name)),
            _ => {}
        }
        if let Some(extensions) = entry.pax_extensions()? {
            for extension in extensions {
                let extension = extension?;
                let key = extension.key().unwrap_or_default();
                if key == "mtime" {
                    found.time = extension.value().ok().and_then(seconds);
                } else if let Some(name) = key.strip_prefix("SCHILY.xattr.") {
                    let value = extension.value_bytes().to_vec();
                    found.attributes.insert(name.to_owned(), value);
                }
            }
        }
        found.time = found.time.filter(|seconds| *seconds < BEFORE_BUILDS);
        if kind == "file" {
            let mut hash = Sha256::new();
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            hash.update(&content);
            found.content = hash.finalize().to_vec();
        }
        Ok(found)
    }

    fn differences<'e>(&'e self, found: &'e Self) -> impl Iterator<Item = String> + 'e {
        let show = |content: &[u8], kind: &str| match kind {
            "file" => hex(&content[..content.len().min(6)]),
            _ => String::from_utf8_lossy(content).into_owned(),
        };
        let time = match (self.time, found.time) {
            // Where the case gives no time, it is that of the build.
            (None, _) => None,
            (ours, theirs) => (ours != theirs).then(|| format!("time {ours:?} -> {theirs:?}")),
        };
        [
            (self.kind != found.kind).then(|| format!("kind {} -> {}", self.kind, found.kind)),
            (self.mode != found.mode && self.mode.is_some()).then(|| {
                let mode = |mode: Option<u32>| mode.unwrap_or_default();
                format!("mode {:o} -> {:o}", mode(self.mode), mode(found.mode))
            }),
            (self.owner != found.owner)
                .then(|| format!("owner {:?} -> {:?}", self.owner, found.owner)),
            (self.content != found.content).then(|| {
                let [ours, theirs] = [self, found].map(|entry| show(&entry.content, &entry.kind));
                format!("content {ours} -> {theirs}")
            }),
            (self.attributes != found.attributes).then(|| {
                let names = |entry: &Self| {
                    entry
                        .attributes
                        .keys()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(",")
                };
                format!("attributes {} -> {}", names(self), names(found))
            }),
            time,
        ]
        .into_iter()
        .flatten()
    }
}

fn path_of(value: &Value) -> Vec<u8> {
    match value["path_b64"].as_str() {
        Some(text) => from_base64(text),
        None => value["path"]
            .as_str()
            .unwrap_or_default()
            .as_bytes()
            .to_vec(),
    }
}

/// A path without `./` before it and `/` around it.
fn trimmed(path: &[u8]) -> Vec<u8> {
    let path = path
        .strip_prefix(b".")
        .filter(|rest| rest.is_empty() || rest[0] == b'/')
        .unwrap_or(path);
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path).to_vec()
}

fn is_below(path: &[u8], above: &[u8]) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.first() == Some(&b'/'))
}

fn seconds(text: &str) -> Option<i64> {
    text.split('.').next()?.parse().ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).ok();
    digits.chunks(2).filter_map(byte).collect()
}

fn from_base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for letter in text.bytes() {
        let Some(value) = ALPHABET.iter().position(|known| *known == letter) else {
            continue;
        };
        bits = (bits << 6) | u32::try_from(value).unwrap_or_default();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from((bits >> count) & 0xff).unwrap_or_default());
        }
    }
    bytes
}
