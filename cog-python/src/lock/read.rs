//! Reading `pylock.toml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::url::{file_name, without_login};
use super::{Lock, LockedFile, LockedPackage, Origin};

/// Why a text is not a lock.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Not TOML, or not of the form of a lock.
    #[error("the lock is not understood: {0}")]
    Form(String),
    /// Of another version.
    #[error("the lock has version {0}, known is 1.0")]
    Version(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    lock_version: String,
    requires_python: Option<String>,
    #[serde(default)]
    packages: Vec<Package>,
    #[serde(default)]
    tool: Tool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Tool {
    cog_python: Option<Own>,
}

#[derive(Default, Deserialize)]
struct Own {
    ties: Option<Vec<Vec<String>>>,
    #[serde(default)]
    distributions: BTreeMap<String, String>,
    #[serde(default)]
    indexes: Vec<String>,
    #[serde(default)]
    images: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    marker: Option<String>,
    index: Option<String>,
    #[serde(default)]
    wheels: Vec<Archive>,
    sdist: Option<Archive>,
    archive: Option<Archive>,
    directory: Option<Directory>,
    vcs: Option<Repository>,
}

#[derive(Deserialize)]
struct Archive {
    name: Option<String>,
    url: Option<String>,
    path: Option<String>,
    size: Option<u64>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Directory {
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Repository {
    r#type: String,
    url: Option<String>,
    path: Option<String>,
    commit_id: String,
    subdirectory: Option<String>,
}

impl Lock {
    /// Reads a `pylock.toml`. Logins in URLs are dropped.
    pub fn from_pylock(text: &str) -> Result<Self, LockError> {
        let file: File =
            toml::from_str(text).map_err(|error| LockError::Form(error.to_string()))?;
        if file.lock_version.split('.').next() != Some("1") {
            return Err(LockError::Version(file.lock_version));
        }
        let own = file.tool.cog_python.unwrap_or_default();
        Ok(Self {
            requires_python: file.requires_python,
            packages: file.packages.into_iter().map(package).collect(),
            ties: own.ties,
            distributions: own.distributions,
            indexes: own.indexes,
            images: own.images,
        })
    }
}

fn package(package: Package) -> LockedPackage {
    let origin = match (package.archive, package.directory, package.vcs) {
        (Some(archive), ..) => Some(Origin::Archive(locked_file(archive))),
        (_, Some(directory), _) => Some(Origin::Directory(directory.path)),
        (.., Some(repository)) => Some(Origin::Repository {
            kind: repository.r#type,
            url: without_login(&repository.url.or(repository.path).unwrap_or_default()),
            commit: repository.commit_id,
            subdirectory: repository.subdirectory,
        }),
        (None, None, None) => None,
    };
    LockedPackage {
        name: llb_helper::wheel::normalized(&package.name),
        version: package.version,
        marker: package.marker,
        index: package.index.map(|index| without_login(&index)),
        wheels: package.wheels.into_iter().map(locked_file).collect(),
        sdist: package.sdist.map(locked_file),
        origin,
    }
}

fn locked_file(archive: Archive) -> LockedFile {
    let location = archive.url.as_deref().or(archive.path.as_deref());
    LockedFile {
        name: archive
            .name
            .unwrap_or_else(|| file_name(location.unwrap_or_default())),
        url: archive.url.map(|url| without_login(&url)),
        path: archive.path,
        size: archive.size,
        sha256: archive.hashes.get("sha256").cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_and_what_is_no_lock_are_refused() {
        assert_eq!(
            Lock::from_pylock("lock-version = \"2.0\"\n"),
            Err(LockError::Version("2.0".into()))
        );
        assert!(matches!(Lock::from_pylock("x = "), Err(LockError::Form(_))));
        assert!(matches!(Lock::from_pylock(""), Err(LockError::Form(_))));
    }

    #[test]
    fn logins_are_dropped() {
        let text = "lock-version = \"1.0\"\n[[packages]]\nname = \"A_b\"\nindex = \"https://u:hunter2@h/simple\"\nwheels = [{ url = \"https://u:hunter2@h/a_b-1-py3-none-any.whl\", hashes = { sha256 = \"00\" } }]\n";
        let lock = Lock::from_pylock(text).unwrap();
        assert_eq!(lock.packages[0].name, "a-b");
        assert_eq!(lock.packages[0].wheels[0].name, "a_b-1-py3-none-any.whl");
        assert!(!format!("{lock:?}").contains("hunter2"));
    }
}
