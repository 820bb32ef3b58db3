//! Locks: which release of each package is installed, and from which files.
//!
//! A [`Lock`] is what a `pylock.toml` says ([PEP 751]). It comes from the project, or from uv, which makes one in the
//! middle of a build; [`Lock::choose`] takes from it what fits one interpreter.
//!
//! [PEP 751]: https://packaging.python.org/en/latest/specifications/pylock-toml/

mod choose;
mod dialect;
mod direct_url;
mod facts;
mod read;
mod url;
mod write;

use std::collections::BTreeMap;

pub use choose::{ChooseError, Chosen, Found};
pub use dialect::{Dialect, dialect};
pub use direct_url::{ArchiveInfo, DirInfo, DirectUrl, VcsInfo};
pub use facts::{Facts, FactsError};
pub use read::LockError;
pub use url::{Login, host, login};
pub(crate) use url::{file_name, with_login};

/// A lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The Pythons it is made for, such as `>=3.11`.
    pub requires_python: Option<String>,
    /// The packages, in the order of the file.
    pub packages: Vec<LockedPackage>,
    /// Wheels of it that have files in common, if whoever made the lock has looked.
    pub ties: Option<Vec<Vec<String>>>,
    /// What wheels are called by their own metadata, such as `PyYAML==6.0.3`, by file name: of those that whoever made the
    /// lock has looked into.
    pub distributions: BTreeMap<String, String>,
    /// Options of the indexes that it was made from, as a requirements file has them: with the names of secrets where an index
    /// wants a login.
    pub indexes: Vec<String>,
    /// Digests of images that a build from the lock takes, such as `sha256:…`, by name: the base image and what steps are run
    /// on or lent. Of an image for several platforms it is that of the index.
    pub images: BTreeMap<String, String>,
}

/// A package of a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedPackage {
    /// Name, normalized.
    pub name: String,
    /// Version; a folder or a repository may have none.
    pub version: Option<String>,
    /// When it is installed at all, as PEP 508 writes it.
    pub marker: Option<String>,
    /// The index it is from.
    pub index: Option<String>,
    /// Its wheels.
    pub wheels: Vec<LockedFile>,
    /// Its source archive on the index.
    pub sdist: Option<LockedFile>,
    /// Where it is from, if not from an index.
    pub origin: Option<Origin>,
}

/// Where a package is from that no index has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A wheel or a source archive by its URL or path.
    Archive(LockedFile),
    /// A folder.
    Directory(String),
    /// A repository of a version control system.
    Repository {
        /// `git`, `hg`, ...
        kind: String,
        /// Its URL.
        url: String,
        /// The commit.
        commit: String,
        /// The folder of the package in it.
        subdirectory: Option<String>,
    },
}

/// A file of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockedFile {
    /// Its name.
    pub name: String,
    /// Its URL, without a login.
    pub url: Option<String>,
    /// Its path, instead of an URL.
    pub path: Option<String>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// SHA-256 digest in hexadecimal digits.
    pub sha256: Option<String>,
}

impl Lock {
    /// The version that the lock has of a package.
    pub fn version(&self, name: &str) -> Option<&str> {
        let package = self.packages.iter().find(|package| package.name == name);
        package?.version.as_deref()
    }

    /// Adds what was found out about a file.
    pub fn measure(&mut self, url: &str, sha256: &str, size: u64) {
        for package in &mut self.packages {
            let archive = match &mut package.origin {
                Some(Origin::Archive(file)) => Some(file),
                _ => None,
            };
            let files = package.wheels.iter_mut().chain(&mut package.sdist);
            for file in files.chain(archive) {
                if file.url.as_deref() == Some(url) {
                    file.sha256.get_or_insert_with(|| sha256.to_owned());
                    file.size.get_or_insert(size);
                }
            }
        }
    }

    /// The lock with paths of the project in the place of those that they had where it was made: in `folder`, with the
    /// project beside it.
    #[must_use = "returns the changed lock"]
    pub fn in_project(&self, folder: &str) -> Self {
        let mounted = format!("{}/", crate::requirement::LOCAL_FOLDER);
        let moved = |path: &mut String| {
            let whole = if path.starts_with('/') {
                path.clone()
            } else {
                format!("{folder}/{path}")
            };
            let mut parts: Vec<&str> = Vec::new();
            for part in whole.split('/') {
                match part {
                    "" | "." => {}
                    ".." => drop(parts.pop()),
                    part => parts.push(part),
                }
            }
            let whole = format!("/{}", parts.join("/"));
            if let Some(inside) = whole.strip_prefix(&mounted) {
                *path = format!("./{inside}");
            }
        };
        let mut lock = self.clone();
        for package in &mut lock.packages {
            match &mut package.origin {
                Some(Origin::Directory(path)) => moved(path),
                Some(Origin::Archive(file)) => file.path.iter_mut().for_each(moved),
                _ => {}
            }
            let files = package.wheels.iter_mut().chain(&mut package.sdist);
            files.flat_map(|file| &mut file.path).for_each(moved);
        }
        lock
    }
}
