//! Where an installed package came from if that is no index: `direct_url.json` ([PEP 610]).
//!
//! [PEP 610]: https://packaging.python.org/en/latest/specifications/direct-url/

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LockedFile, LockedPackage, Origin};

/// The content of `direct_url.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectUrl {
    /// Of a file, a folder or a repository; without a login.
    pub url: String,
    /// Present if it is a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_info: Option<ArchiveInfo>,
    /// Present if it is a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcs_info: Option<VcsInfo>,
    /// Present if it is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir_info: Option<DirInfo>,
    /// The folder of the package in an archive or a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subdirectory: Option<String>,
}

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveInfo {
    /// Digests by the name of their algorithm, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub hashes: BTreeMap<String, String>,
}

/// What is known of a repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VcsInfo {
    /// `git`, ...
    pub vcs: String,
    /// The commit.
    pub commit_id: String,
}

/// What is known of a folder: nothing, as it is not editable.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirInfo {}

impl DirectUrl {
    /// Where a package of a lock is from; nothing if an index has it. Files of the project are where the image has it.
    pub fn of(package: &LockedPackage, project: &str) -> Option<Self> {
        let in_image = |path: &str| {
            let inside = path.trim_start_matches("./").trim_end_matches('/');
            format!("file://{project}/{inside}")
        };
        Some(match package.origin.as_ref()? {
            Origin::Archive(LockedFile {
                url, path, sha256, ..
            }) => {
                let hashes = sha256
                    .iter()
                    .map(|hash| ("sha256".to_owned(), hash.clone()));
                let path = path.as_deref().unwrap_or_default();
                Self {
                    url: url.clone().unwrap_or_else(|| in_image(path)),
                    archive_info: Some(ArchiveInfo {
                        hashes: hashes.collect(),
                    }),
                    ..Self::default()
                }
            }
            Origin::Directory(path) => Self {
                url: in_image(path),
                dir_info: Some(DirInfo {}),
                ..Self::default()
            },
            Origin::Repository {
                kind,
                url,
                commit,
                subdirectory,
            } => Self {
                url: url.clone(),
                vcs_info: Some(VcsInfo {
                    vcs: kind.clone(),
                    commit_id: commit.clone(),
                }),
                subdirectory: subdirectory.clone(),
                ..Self::default()
            },
        })
    }

    /// The requirement that `pip freeze` prints for a package of this name.
    pub fn requirement(&self, name: &str) -> String {
        let (mut url, mut fragments) = (self.url.clone(), Vec::new());
        if let Some(VcsInfo { vcs, commit_id }) = &self.vcs_info {
            url = format!("{vcs}+{url}@{commit_id}");
        }
        let hashes = self.archive_info.iter().flat_map(|info| &info.hashes);
        fragments.extend(hashes.take(1).map(|(name, hash)| format!("{name}={hash}")));
        let below = self.subdirectory.iter();
        fragments.extend(below.map(|folder| format!("subdirectory={folder}")));
        if fragments.is_empty() {
            format!("{name} @ {url}")
        } else {
            format!("{name} @ {url}#{}", fragments.join("&"))
        }
    }

    /// The text of the file.
    pub fn to_json(&self) -> String {
        // Texts alone can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(origin: Origin) -> DirectUrl {
        let package = LockedPackage {
            name: "a".into(),
            origin: Some(origin),
            ..LockedPackage::default()
        };
        DirectUrl::of(&package, "/src").unwrap()
    }

    #[test]
    fn origins_are_written_as_pip_writes_them() {
        let wheel = |url: Option<&str>, path: Option<&str>| {
            Origin::Archive(LockedFile {
                url: url.map(str::to_owned),
                path: path.map(str::to_owned),
                sha256: Some("00ff".into()),
                ..LockedFile::default()
            })
        };
        for (origin, json, line) in [
            (
                wheel(Some("https://example.com/a-1-py3-none-any.whl"), None),
                r#"{"url":"https://example.com/a-1-py3-none-any.whl","archive_info":{"hashes":{"sha256":"00ff"}}}"#,
                "A @ https://example.com/a-1-py3-none-any.whl#sha256=00ff",
            ),
            (
                wheel(None, Some("./wheels/a-1-py3-none-any.whl")),
                r#"{"url":"file:///src/wheels/a-1-py3-none-any.whl","archive_info":{"hashes":{"sha256":"00ff"}}}"#,
                "A @ file:///src/wheels/a-1-py3-none-any.whl#sha256=00ff",
            ),
            (
                Origin::Directory("./a/".into()),
                r#"{"url":"file:///src/a","dir_info":{}}"#,
                "A @ file:///src/a",
            ),
            (
                Origin::Repository {
                    kind: "git".into(),
                    url: "https://example.com/a.git".into(),
                    commit: "12ab".into(),
                    subdirectory: Some("below".into()),
                },
                r#"{"url":"https://example.com/a.git","vcs_info":{"vcs":"git","commit_id":"12ab"},"subdirectory":"below"}"#,
                "A @ git+https://example.com/a.git@12ab#subdirectory=below",
            ),
        ] {
            let found = of(origin);
            assert_eq!(found.to_json(), json);
            assert_eq!(found.requirement("A"), line);
        }
    }

    #[test]
    fn packages_of_an_index_have_none() {
        assert_eq!(DirectUrl::of(&LockedPackage::default(), "/src"), None);
    }
}
