//! Writing `pylock.toml`.

use std::fmt::Write as _;

use super::{Lock, LockedFile, LockedPackage, Origin};

impl Lock {
    /// The lock as a `pylock.toml`: the same lock gives the same text.
    pub fn to_pylock(&self) -> String {
        let mut text = String::from("lock-version = \"1.0\"\ncreated-by = \"cog-python\"\n");
        if let Some(python) = &self.requires_python {
            line(&mut text, "requires-python", python);
        }
        for package in &self.packages {
            package_text(&mut text, package);
        }
        if self.ties.is_some() || !self.indexes.is_empty() {
            text.push_str("\n[tool.cog-python]\n");
        }
        if !self.indexes.is_empty() {
            text.push_str("# Where packages were looked for.\nindexes = [\n");
            for index in &self.indexes {
                let _ = writeln!(text, "    {},", quoted(index));
            }
            text.push_str("]\n");
        }
        if let Some(ties) = &self.ties {
            text.push_str("# Wheels that have files in common.\nties = [");
            for (index, tie) in ties.iter().enumerate() {
                let names: Vec<String> = tie.iter().map(|name| quoted(name)).collect();
                let comma = if index == 0 { "" } else { ", " };
                let _ = write!(text, "{comma}[{}]", names.join(", "));
            }
            text.push_str("]\n");
        }
        if !self.distributions.is_empty() {
            text.push_str(
                "\n# What the wheels are called by their metadata.\n[tool.cog-python.distributions]\n",
            );
            for (file, distribution) in &self.distributions {
                line(&mut text, &quoted(file), distribution);
            }
        }
        if !self.images.is_empty() {
            text.push_str("\n# What the tags of images stand for.\n[tool.cog-python.images]\n");
            for (name, digest) in &self.images {
                line(&mut text, &quoted(name), digest);
            }
        }
        text
    }
}

fn line(text: &mut String, key: &str, value: &str) {
    let _ = writeln!(text, "{key} = {}", quoted(value));
}

fn package_text(text: &mut String, package: &LockedPackage) {
    text.push_str("\n[[packages]]\n");
    line(text, "name", &package.name);
    for (key, value) in [
        ("version", &package.version),
        ("marker", &package.marker),
        ("index", &package.index),
    ] {
        if let Some(value) = value {
            line(text, key, value);
        }
    }
    match &package.origin {
        Some(Origin::Archive(archive)) => {
            let _ = writeln!(text, "archive = {}", file(archive));
        }
        Some(Origin::Directory(path)) => {
            let _ = writeln!(text, "directory = {{ path = {} }}", quoted(path));
        }
        Some(Origin::Repository {
            kind,
            url,
            commit,
            subdirectory,
        }) => {
            let below = subdirectory.as_ref().map_or(String::new(), |folder| {
                format!(", subdirectory = {}", quoted(folder))
            });
            let _ = writeln!(
                text,
                "vcs = {{ type = {}, url = {}, commit-id = {}{below} }}",
                quoted(kind),
                quoted(url),
                quoted(commit)
            );
        }
        None => {}
    }
    if let Some(sdist) = &package.sdist {
        let _ = writeln!(text, "sdist = {}", file(sdist));
    }
    if !package.wheels.is_empty() {
        text.push_str("wheels = [\n");
        for wheel in &package.wheels {
            let _ = writeln!(text, "    {},", file(wheel));
        }
        text.push_str("]\n");
    }
}

fn file(file: &LockedFile) -> String {
    let mut fields = vec![format!("name = {}", quoted(&file.name))];
    fields.extend(file.url.iter().map(|url| format!("url = {}", quoted(url))));
    fields.extend(
        file.path
            .iter()
            .map(|path| format!("path = {}", quoted(path))),
    );
    fields.extend(file.size.iter().map(|size| format!("size = {size}")));
    fields.extend(
        file.sha256
            .iter()
            .map(|hash| format!("hashes = {{ sha256 = {} }}", quoted(hash))),
    );
    format!("{{ {} }}", fields.join(", "))
}

/// A basic string of TOML.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for character in value.chars() {
        match character {
            '"' | '\\' => {
                text.push('\\');
                text.push(character);
            }
            character if character.is_control() => {
                let _ = write!(text, "\\u{:04X}", u32::from(character));
            }
            character => text.push(character),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_back_as_it_was_written() {
        let file = |name: &str| LockedFile {
            name: name.to_owned(),
            url: Some(format!("https://example.com/{name}")),
            path: None,
            size: Some(7),
            sha256: Some("00".into()),
        };
        let package = |name: &str, origin| LockedPackage {
            name: name.to_owned(),
            version: Some("1".into()),
            origin,
            ..LockedPackage::default()
        };
        let lock = Lock {
            requires_python: Some(">=3.12".into()),
            packages: vec![
                LockedPackage {
                    marker: Some("sys_platform == \"linux\"".into()),
                    index: Some("https://example.com/simple".into()),
                    wheels: vec![file("a-1-py3-none-any.whl")],
                    sdist: Some(file("a-1.tar.gz")),
                    ..package("a", None)
                },
                package("b", Some(Origin::Archive(file("b-1.zip")))),
                package("c", Some(Origin::Directory("x/\"y\"".into()))),
                package(
                    "d",
                    Some(Origin::Repository {
                        kind: "git".into(),
                        url: "https://example.com/d".into(),
                        commit: "00".into(),
                        subdirectory: Some("sub".into()),
                    }),
                ),
            ],
            ties: Some(vec![
                vec!["a.whl".into(), "b.whl".into()],
                vec!["c.whl".into(), "d.whl".into()],
            ]),
            distributions: [("a-1-py3-none-any.whl".into(), "A==1".into())].into(),
            indexes: vec!["--extra-index-url https://${USER}:${TOKEN}@example.com/simple".into()],
            images: [("python:3.12-slim".into(), "sha256:00".into())].into(),
        };
        assert_eq!(Lock::from_pylock(&lock.to_pylock()), Ok(lock));
    }
}
