//! What `up` leaves for everyone who uses the testbed: `state.json`.
//!
//! The file exists exactly while the testbed is up. Its fields are the contract with tests and
//! demos; when one changes its meaning or goes away, [`State::VERSION`] counts up.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::layout::Layout;
use super::process::Identity;

/// How to reach a running testbed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Version of this format; see [`State::VERSION`].
    pub(crate) version: u32,
    /// Folder of the testbed, absolute.
    pub(crate) root: PathBuf,
    /// Folder of sockets and configs, absolute; may lie outside of `root`.
    pub(crate) run: PathBuf,
    /// Which start of the machine the process ids belong to.
    pub(crate) boot_id: String,
    /// The engines by name: `containerd` and `graphdriver`.
    pub(crate) engines: BTreeMap<String, Engine>,
    /// The registry.
    pub(crate) registry: RegistryAddress,
    /// The daemons by name, with their processes.
    pub(crate) daemons: BTreeMap<String, DaemonRecord>,
    /// Base images by the name that users write, as in `python:3.11-slim`.
    pub(crate) images: BTreeMap<String, ImageRecord>,
    /// Debian mirror that the base images' apt sources name.
    pub(crate) apt_mirror: String,
    /// Python builds for uv.
    pub(crate) uv_python: UvPython,
}

/// One Docker engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Engine {
    /// API socket, absolute.
    pub(crate) socket: PathBuf,
    /// The same as a value for `DOCKER_HOST`.
    pub(crate) url: String,
    /// Docker's version.
    pub(crate) docker_version: String,
    /// Whether BuildKit in this engine can merge and diff.
    pub(crate) merge: bool,
}

/// Where the registry listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RegistryAddress {
    /// Host and port as they begin an image reference, as in `127.0.0.1:5000`.
    pub(crate) address: String,
    /// Base URL, as in `http://127.0.0.1:5000`.
    pub(crate) url: String,
}

/// One daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DaemonRecord {
    /// Its process.
    pub(crate) process: Identity,
    /// Its program, as the kernel knows it.
    pub(crate) executable: String,
    /// Its log file, absolute.
    pub(crate) log: PathBuf,
}

/// One image in the registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// Repository in the registry, as in `library/python`; engines ask it for `python`.
    pub(crate) repository: String,
    /// Tag.
    pub(crate) tag: String,
    /// Digest of its manifest.
    pub(crate) digest: String,
}

/// Where uv finds Python builds.
///
/// A build runs where the C library is at least as new as the one it was made with, so there is a
/// list for each Debian suite with the builds that run in its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UvPython {
    /// Image with all builds and lists in its root folder, for steps inside of a build.
    pub(crate) image: String,
    /// Where a build step has to mount this image.
    pub(crate) mount: String,
    /// The lists by Debian suite, as in `bookworm`.
    pub(crate) lists: BTreeMap<String, UvPythonList>,
}

/// A download list for uv.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UvPythonList {
    /// Versions in the list, as in `3.11.2`.
    pub(crate) versions: Vec<String>,
    /// Value for `UV_PYTHON_DOWNLOADS_JSON_URL` on this machine.
    pub(crate) downloads_url: String,
    /// Value for `UV_PYTHON_DOWNLOADS_JSON_URL` in a step that mounts the image.
    pub(crate) mounted_downloads_url: String,
}

impl State {
    /// Version of the format written by this program.
    pub(crate) const VERSION: u32 = 1;

    /// The state of a testbed that is up, or was when it was last heard of; `None` when it is
    /// down.
    pub(crate) fn load(layout: &Layout) -> Result<Option<State>> {
        let path = layout.state();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        State::parse(&text)
            .map(Some)
            .with_context(|| format!("cannot use {}", path.display()))
    }

    /// Writes the state in one piece: readers see the old file or the new one.
    pub(crate) fn save(&self, layout: &Layout) -> Result<()> {
        let path = layout.state();
        let partial = path.with_extension("json.partial");
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        fs::write(&partial, text)
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn parse(text: &[u8]) -> Result<State> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } =
            serde_json::from_slice(text).context("expected a testbed state with a version")?;
        ensure!(
            version == State::VERSION,
            "expected version {}, found {version}; run `cargo xtask testbed down` and `up`",
            State::VERSION
        );
        Ok(serde_json::from_slice(text)?)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A state with one of everything.
    pub(crate) fn example() -> State {
        State {
            version: State::VERSION,
            root: PathBuf::from("/srv/testbed"),
            run: PathBuf::from("/srv/testbed/run"),
            boot_id: "0b7b".to_owned(),
            engines: BTreeMap::from([(
                "containerd".to_owned(),
                Engine {
                    socket: PathBuf::from("/srv/testbed/run/docker-containerd.sock"),
                    url: "unix:///srv/testbed/run/docker-containerd.sock".to_owned(),
                    docker_version: "28.5.2".to_owned(),
                    merge: true,
                },
            )]),
            registry: RegistryAddress {
                address: "127.0.0.1:5000".to_owned(),
                url: "http://127.0.0.1:5000".to_owned(),
            },
            daemons: BTreeMap::from([(
                "registry".to_owned(),
                DaemonRecord {
                    process: Identity {
                        pid: 1,
                        start_time: 2,
                    },
                    executable: "/srv/testbed/tools/usr/bin/docker-registry".to_owned(),
                    log: PathBuf::from("/srv/testbed/log/registry.log"),
                },
            )]),
            images: BTreeMap::from([(
                "debian:bookworm-slim".to_owned(),
                ImageRecord {
                    repository: "library/debian".to_owned(),
                    tag: "bookworm-slim".to_owned(),
                    digest: "sha256:00".to_owned(),
                },
            )]),
            apt_mirror: "http://deb.debian.org/debian".to_owned(),
            uv_python: UvPython {
                image: "testbed/uv-python:latest".to_owned(),
                mount: "/uv-python".to_owned(),
                lists: BTreeMap::from([(
                    "bookworm".to_owned(),
                    UvPythonList {
                        versions: vec!["3.11.2".to_owned()],
                        downloads_url: "file:///srv/testbed/uv-python/bookworm.json".to_owned(),
                        mounted_downloads_url: "file:///uv-python/bookworm.json".to_owned(),
                    },
                )]),
            },
        }
    }

    #[test]
    fn a_saved_state_is_loaded_again() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path()).unwrap();
        assert_eq!(State::load(&layout).unwrap(), None);
        example().save(&layout).unwrap();
        assert_eq!(State::load(&layout).unwrap(), Some(example()));
    }

    #[test]
    fn another_version_is_refused_before_its_fields_are_read() {
        let error = State::parse(br#"{"version": 999, "engines": 3}"#).unwrap_err();
        assert!(error.to_string().contains("found 999"), "{error}");
    }

    #[test]
    fn the_documented_names_are_in_the_file() {
        let value = serde_json::to_value(example()).unwrap();
        assert_eq!(
            value["engines"]["containerd"]["socket"],
            "/srv/testbed/run/docker-containerd.sock"
        );
        assert_eq!(value["registry"]["address"], "127.0.0.1:5000");
        assert_eq!(value["daemons"]["registry"]["process"]["pid"], 1);
    }
}
