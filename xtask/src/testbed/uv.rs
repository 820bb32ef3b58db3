//! Python builds that uv can install, and the download lists that name them.
//!
//! uv installs Pythons from archives in the `install_only` layout of python-build-standalone: one
//! folder `python` that is a relocatable prefix. It finds them through a list in JSON
//! (`UV_PYTHON_DOWNLOADS_JSON_URL`), and checks the list's checksums. The prefix that the Python
//! images have below `/usr/local` is just that.
//!
//! A build made on an older Debian release runs on a newer one, not the other way round; so each
//! release has a list of its own. Each list is there twice, which differ in where the archives lie:
//! one for this machine, and one in an image that holds the archives too. A build step mounts that
//! image at [`MOUNT`].

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::assemble::Workshop;
use super::image::{self, Image};
use super::layer;
use super::layout::Layout;
use super::python;
use super::rootfs::Release;
use super::shell;
use super::state::{ImageRecord, UvPython, UvPythonList};

/// Repository of the image with the builds.
const REPOSITORY: &str = "testbed/uv-python";

/// Where a build step mounts the image; the list in it names its archives by this path.
const MOUNT: &str = "/uv-python";

/// One Python build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Build {
    /// Full version, as in `3.11.2`.
    pub(crate) version: String,
    /// File name of the archive in `uv-python`.
    pub(crate) file: String,
    /// Its digest, as in `sha256:...`.
    pub(crate) digest: String,
    /// Architecture in uv's words.
    pub(crate) architecture: String,
    /// Day of the Debian release it was made on, in seconds since 1970; no file in it is younger.
    pub(crate) epoch: u64,
}

impl Build {
    /// The parts of the version.
    fn version_numbers(&self) -> [u32; 3] {
        let mut numbers = self
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        [(); 3].map(|()| numbers.next().unwrap_or(0))
    }
}

/// What the state file says about the builds, which are given by the suite they were made on.
pub(crate) fn describe(layout: &Layout, builds: &BTreeMap<String, Build>) -> UvPython {
    let lists = builds.keys().map(|suite| {
        let list = UvPythonList {
            versions: running_on(suite, builds)
                .map(|build| build.version.clone())
                .collect(),
            downloads_url: format!("file://{}", host_list(layout, suite).display()),
            mounted_downloads_url: format!("file://{MOUNT}/{suite}.json"),
        };
        (suite.clone(), list)
    });
    UvPython {
        image: format!("{REPOSITORY}:latest"),
        mount: MOUNT.to_owned(),
        lists: lists.collect(),
    }
}

/// Whether the lists for this machine are there and name archives that are.
pub(crate) fn are_published(layout: &Layout, builds: &BTreeMap<String, Build>) -> bool {
    builds.keys().all(|suite| {
        let wanted = list(
            running_on(suite, builds),
            &layout.uv_python().display().to_string(),
        );
        fs::read(host_list(layout, suite)).ok() == wanted.ok()
    }) && builds
        .values()
        .all(|build| layout.uv_python().join(&build.file).is_file())
}

/// The list for uv on this machine, with what runs on `suite`.
fn host_list(layout: &Layout, suite: &str) -> PathBuf {
    layout.uv_python().join(format!("{suite}.json"))
}

/// The builds that run on `suite`: those made on it or an older suite, the oldest first.
fn running_on<'a>(
    suite: &str,
    builds: &'a BTreeMap<String, Build>,
) -> impl Iterator<Item = &'a Build> {
    let limit = builds.get(suite).map_or(0, |build| build.epoch);
    let mut found: Vec<&Build> = builds
        .values()
        .filter(|build| build.epoch <= limit)
        .collect();
    found.sort_by_key(|build| build.epoch);
    found.into_iter()
}

/// Packs the Python in `prefix`, which was made for `/usr/local`, as an archive for uv.
pub(crate) fn pack(
    workshop: &Workshop<'_>,
    release: &Release,
    version: &str,
    prefix: &Path,
    work: &Path,
) -> Result<Build> {
    let layout = workshop.layout;
    let name = format!("python{}", release.python);
    let python = work.join("python");
    fs::create_dir_all(&python)?;
    for part in ["bin", "include", "lib"] {
        shell::output(
            shell::command(layout, "cp")
                .arg("--archive")
                .arg(prefix.join(part))
                .arg(&python),
        )?;
    }
    // uv replaces the prefix `/install`, which python-build-standalone builds with, by its own.
    python::relocate_config(&python.join("lib").join(&name), "/usr/local", "/install")?;
    python::relocate_scripts(&python, release)?;
    let architecture = workshop.system.uv_architecture()?.to_owned();
    let file = format!("cpython-{version}-linux-{architecture}-gnu-install_only.tar.gz");
    fs::create_dir_all(layout.uv_python())?;
    let packed = layer::pack(layout, work, release.epoch, &layout.uv_python().join(&file))?;
    Ok(Build {
        version: version.to_owned(),
        file,
        digest: packed.digest,
        architecture,
        epoch: release.epoch,
    })
}

/// Writes both lists and pushes the image.
pub(crate) fn publish(
    workshop: &Workshop<'_>,
    builds: &BTreeMap<String, Build>,
) -> Result<ImageRecord> {
    let layout = workshop.layout;
    let folder = layout.work().join("uv-python");
    fs::create_dir_all(&folder)?;
    for build in builds.values() {
        let from = layout.uv_python().join(&build.file);
        fs::copy(&from, folder.join(&build.file))
            .with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let host = layout.uv_python().display().to_string();
    for suite in builds.keys() {
        let inside = folder.join(format!("{suite}.json"));
        fs::write(inside, list(running_on(suite, builds), MOUNT)?)?;
        fs::write(
            host_list(layout, suite),
            list(running_on(suite, builds), &host)?,
        )?;
    }
    let epoch = builds.values().map(|build| build.epoch).max().unwrap_or(0);
    let file = layout.work().join("uv-python.tar.gz");
    let layer = layer::pack(layout, &folder, epoch, &file)?;
    let tag = "latest".to_owned();
    let digest = image::push(
        layout,
        workshop.registry,
        &Image {
            repository: REPOSITORY,
            tags: std::slice::from_ref(&tag),
            layers: &[layer],
            architecture: workshop.system.image_architecture()?,
            env: &[],
            cmd: &[],
            created: &workshop.date(epoch)?,
        },
    )?;
    Ok(ImageRecord {
        repository: REPOSITORY.to_owned(),
        tag,
        digest,
    })
}

/// A download list in uv's format, with archives in `folder`.
fn list<'a>(builds: impl Iterator<Item = &'a Build>, folder: &str) -> Result<Vec<u8>> {
    let mut entries = Map::new();
    for build in builds {
        let [major, minor, patch] = build.version_numbers();
        let sha256 = build.digest.trim_start_matches("sha256:");
        entries.insert(
            format!("cpython-{}-linux-{}-gnu", build.version, build.architecture),
            json!({
                "name": "cpython",
                "arch": { "family": build.architecture, "variant": null },
                "os": "linux",
                "libc": "gnu",
                "major": major,
                "minor": minor,
                "patch": patch,
                "prerelease": "",
                "url": format!("file://{folder}/{}", build.file),
                "sha256": sha256,
                "variant": null,
                "build": null,
            }),
        );
    }
    let mut text = serde_json::to_vec_pretty(&Value::Object(entries))?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(version: &str, epoch: u64) -> Build {
        Build {
            version: version.to_owned(),
            file: format!("{version}.tar.gz"),
            digest: "sha256:0123".to_owned(),
            architecture: "x86_64".to_owned(),
            epoch,
        }
    }

    #[test]
    fn a_list_names_archives_by_folder_and_checksum() {
        let list = list([&build("3.11.2", 0)].into_iter(), MOUNT).unwrap();
        let list: Value = serde_json::from_slice(&list).unwrap();
        let entry = &list["cpython-3.11.2-linux-x86_64-gnu"];
        assert_eq!(entry["url"], "file:///uv-python/3.11.2.tar.gz");
        assert_eq!(entry["sha256"], "0123");
        assert_eq!(
            (&entry["major"], &entry["minor"], &entry["patch"]),
            (&json!(3), &json!(11), &json!(2))
        );
    }

    #[test]
    fn a_suite_lists_builds_of_its_own_and_of_older_suites() {
        let builds = BTreeMap::from([
            ("bookworm".to_owned(), build("3.11.2", 1)),
            ("trixie".to_owned(), build("3.13.5", 2)),
        ]);
        let layout = Layout::new(Path::new("/srv/testbed")).unwrap();
        let lists = describe(&layout, &builds).lists;
        assert_eq!(lists["bookworm"].versions, ["3.11.2"]);
        assert_eq!(lists["trixie"].versions, ["3.11.2", "3.13.5"]);
        assert_eq!(
            lists["bookworm"].downloads_url,
            "file:///srv/testbed/uv-python/bookworm.json"
        );
    }
}
