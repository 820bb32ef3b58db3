//! The programs of the testbed, unpacked from Debian packages into one private folder.
//!
//! A stable Debian release carries engines too old for BuildKit's merge, so the engines come from
//! a newer suite. Their binaries need little of the C library and run on the stable release as
//! they are; installing them with apt would pull the newer suite's C library in. What has to fit
//! the running system (`runc`, `debootstrap`, `docker-registry`, `patchelf`) comes from its suite.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, thread};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde::{Deserialize, Serialize};

use super::apt::{Apt, packages_in, unpack};
use super::layout::Layout;
use super::mounts::remove_tree;
use super::report::Report;
use super::shell;
use super::sources::Mirror;
use super::system::System;

/// Suites that may carry the engines, the preferred first: the release in the making moves
/// slowest; trixie's Docker 26 still merges.
const ENGINE_SUITES: [&str; 3] = ["forky", "sid", "trixie"];

/// Packages of the engine suite. `docker-cli` and `docker-buildx` are for people and for
/// comparing; the testbed itself talks to the engines' API.
const ENGINE_PACKAGES: [&str; 4] = ["containerd", "docker-buildx", "docker-cli", "docker.io"];

/// The package with Docker's init for containers, in suites up to trixie and in newer ones.
const INIT_PACKAGES: [&str; 2] = ["tini", "tini-static"];

/// Packages of the running suite.
const SYSTEM_PACKAGES: [&str; 4] = ["debootstrap", "docker-registry", "patchelf", "runc"];

/// Oldest Docker whose containerd store is fit for BuildKit's merge.
const OLDEST_DOCKER: u32 = 25;

/// Counts changes to what is unpacked here, so that an older folder is made anew.
const RECIPE: u32 = 1;

/// debootstrap fetches with wget, which bare systems lack; apt's own helper is always there and
/// knows the system's proxies and certificates.
const WGET: &str = r#"#!/bin/sh
set -eu
while [ $# -gt 0 ]; do
    case "$1" in
        -O) output=$2; shift ;;
        -*) ;;
        *) uri=$1 ;;
    esac
    shift
done
rm -f "$output"
exec /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=3 \
    download-file "$uri" "$output"
"#;

/// The unpacked programs.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    folder: PathBuf,
    manifest: Manifest,
}

/// What was unpacked; written last, so its presence means that the folder is complete.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Manifest {
    recipe: u32,
    engine_suite: String,
    docker: String,
    containerd: String,
}

impl Tools {
    /// The programs as unpacked by an earlier run.
    pub(crate) fn load(layout: &Layout) -> Option<Tools> {
        let folder = layout.tools();
        let text = fs::read(folder.join("manifest.json")).ok()?;
        let manifest: Manifest = serde_json::from_slice(&text).ok()?;
        (manifest.recipe == RECIPE).then_some(Tools { folder, manifest })
    }

    /// Downloads and unpacks the programs, unless an earlier run did.
    pub(crate) fn obtain(
        layout: &Layout,
        system: &System,
        mirror: &Mirror,
        engine_suite: Option<&str>,
        report: &Report,
    ) -> Result<Tools> {
        if let Some(tools) = Tools::load(layout)
            .filter(|tools| engine_suite.is_none_or(|suite| suite == tools.manifest.engine_suite))
        {
            return Ok(tools);
        }
        let suites = engine_suite.map_or_else(|| ENGINE_SUITES.to_vec(), |suite| vec![suite]);
        let mut refused = Vec::new();
        for suite in suites {
            let name = format!(
                "download engines from {suite} and tools from {}",
                system.suite
            );
            match report.step(&name, || Tools::fetch(layout, system, mirror, suite)) {
                Ok(tools) => {
                    report.say(&format!(
                        "engines: Docker {}, containerd {}",
                        tools.manifest.docker, tools.manifest.containerd
                    ));
                    return Ok(tools);
                }
                Err(error) => {
                    report.say(&format!("{suite} does not serve: {error:#}"));
                    refused.push(format!("{suite}: {error:#}"));
                }
            }
        }
        bail!(
            "no Debian suite gave engines that run here; tried\n{}",
            refused.join("\n")
        )
    }

    fn fetch(layout: &Layout, system: &System, mirror: &Mirror, suite: &str) -> Result<Tools> {
        let folder = layout.tools();
        let partial = layout.root().join("tools.partial");
        remove_tree(&partial)?;
        remove_tree(&folder)?;
        thread::scope(|scope| {
            let engines = scope.spawn(|| fetch_engines(layout, mirror, suite, &partial));
            fetch_system(layout, system, mirror, &partial)?;
            engines
                .join()
                .map_err(|_| anyhow!("the download of the engines panicked"))?
        })?;
        for packages in ["debs-engine", "debs-system", "debs-closure"] {
            let from = partial.join(packages);
            if from.is_dir() {
                unpack(layout, &packages_in(&from)?, &partial)?;
                remove_tree(&from)?;
            }
        }
        let shim = partial.join("shim");
        fs::create_dir_all(&shim)?;
        fs::write(shim.join("wget"), WGET)?;
        fs::set_permissions(shim.join("wget"), fs::Permissions::from_mode(0o755))?;
        fs::rename(&partial, &folder).context("cannot move the unpacked programs in place")?;

        let mut tools = Tools {
            folder,
            manifest: Manifest {
                recipe: RECIPE,
                engine_suite: suite.to_owned(),
                docker: String::new(),
                containerd: String::new(),
            },
        };
        tools.manifest.docker = tools.version(layout, "dockerd")?;
        tools.manifest.containerd = tools.version(layout, "containerd")?;
        tools.version(layout, "runc")?;
        let major = tools.manifest.docker.split('.').next();
        ensure!(
            major.and_then(|major| major.parse().ok()) >= Some(OLDEST_DOCKER),
            "it has Docker {}, but BuildKit's merge needs {OLDEST_DOCKER} or newer",
            tools.manifest.docker
        );
        let manifest = serde_json::to_vec_pretty(&tools.manifest)?;
        fs::write(tools.folder.join("manifest.json"), manifest)?;
        Ok(tools)
    }

    /// The suite that the engines come from.
    pub(crate) fn engine_suite(&self) -> &str {
        &self.manifest.engine_suite
    }

    /// Docker's version, as in `28.5.2`.
    pub(crate) fn docker_version(&self) -> &str {
        &self.manifest.docker
    }

    /// The folder for `PATH` with the unpacked programs before the system's own.
    pub(crate) fn search_path(&self) -> OsString {
        let system = env::var_os("PATH").unwrap_or_default();
        let own = ["usr/sbin", "usr/bin"].map(|part| self.folder.join(part));
        let required = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"].map(PathBuf::from);
        env::join_paths(
            own.into_iter()
                .chain(env::split_paths(&system))
                .chain(required),
        )
        .unwrap_or(system)
    }

    /// The full path of one of our programs.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        ["usr/sbin", "usr/bin"]
            .map(|part| self.folder.join(part).join(name))
            .into_iter()
            .find(|path| path.exists())
            .unwrap_or_else(|| PathBuf::from(name))
    }

    /// A command that runs one of our programs.
    pub(crate) fn command(&self, layout: &Layout, name: &str) -> Command {
        let mut command = shell::command(layout, self.program(name));
        self.set_environment(&mut command);
        command
    }

    /// The environment our programs need: their neighbors, and libraries the system lacks.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        command.env("PATH", self.search_path());
        let libraries = self.libraries();
        if !libraries.is_empty()
            && let Ok(all) = env::join_paths(libraries)
        {
            command.env("LD_LIBRARY_PATH", all);
        }
    }

    /// A command that runs debootstrap with its own files and our download helper.
    pub(crate) fn debootstrap(&self, layout: &Layout) -> Command {
        let mut command = self.command(layout, "debootstrap");
        let mut path = self.folder.join("shim").into_os_string();
        path.push(":");
        path.push(self.search_path());
        command
            .env("PATH", path)
            .env("DEBOOTSTRAP_DIR", self.folder.join("usr/share/debootstrap"));
        command
    }

    fn libraries(&self) -> Vec<PathBuf> {
        let library = self.folder.join("usr/lib");
        let mut found: Vec<PathBuf> = fs::read_dir(&library)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.to_string_lossy().contains("-linux-gnu"))
            .collect();
        let old = self.folder.join("lib");
        found.extend(
            fs::read_dir(&old)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.to_string_lossy().contains("-linux-gnu")),
        );
        found.sort();
        found
    }

    fn version(&self, layout: &Layout, program: &str) -> Result<String> {
        let text = shell::output(self.command(layout, program).arg("--version"))
            .with_context(|| format!("its {program} does not run on this system"))?;
        Ok(first_version(&text).unwrap_or_default().to_owned())
    }
}

fn fetch_engines(layout: &Layout, mirror: &Mirror, suite: &str, partial: &Path) -> Result<()> {
    let apt = Apt::new(layout, mirror, suite, Path::new("/dev/null"))?;
    apt.update()?;
    let into = partial.join("debs-engine");
    apt.download(&ENGINE_PACKAGES, &into)?;
    let [old, new] = INIT_PACKAGES;
    apt.download(&[new], &into)
        .or_else(|_| apt.download(&[old], &into))
}

fn fetch_system(layout: &Layout, system: &System, mirror: &Mirror, partial: &Path) -> Result<()> {
    let status = Path::new("/var/lib/dpkg/status");
    let apt = Apt::new(layout, mirror, &system.suite, status)?;
    apt.update()?;
    apt.download(&SYSTEM_PACKAGES, &partial.join("debs-system"))?;
    // Libraries that a bare system lacks. A system whose own packages are in disorder cannot
    // resolve them, but it need not lack any: whether the programs start decides.
    let closure = partial.join("debs-closure");
    if apt
        .download_closure(&["runc", "patchelf"], &closure)
        .is_err()
    {
        remove_tree(&closure)?;
    }
    Ok(())
}

/// The first word that looks like a version, without a leading `v` and what follows the numbers.
fn first_version(text: &str) -> Option<&str> {
    text.split(|c: char| c.is_whitespace() || c == ',')
        .map(|word| word.trim_start_matches('v'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(|word| {
            let end = word.find(|c: char| !c.is_ascii_digit() && c != '.');
            &word[..end.unwrap_or(word.len())]
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        let docker = "Docker version 28.5.2+dfsg4, build 89c5e8f";
        assert_eq!(first_version(docker), Some("28.5.2"));
        let containerd = "containerd github.com/containerd/containerd/v2 2.1.9~ds1 2.1.9~ds1-5";
        assert_eq!(first_version(containerd), Some("2.1.9"));
        assert_eq!(
            first_version("runc version 1.1.5+ds1\ncommit: x"),
            Some("1.1.5")
        );
        assert_eq!(first_version("no number"), None);
    }
}
