//! Private apt states: package lists and downloads of any suite, apart from the system's own.
//!
//! apt itself checks the signatures, picks versions and resolves dependencies; it is told to keep
//! all of its files below the testbed and to read a source list of ours. Nothing is ever
//! installed: packages are downloaded and unpacked with `dpkg-deb`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::layout::Layout;
use super::shell;
use super::sources::Mirror;

/// apt's view of one suite.
#[derive(Debug, Clone)]
pub(crate) struct Apt<'a> {
    layout: &'a Layout,
    suite: String,
    folder: PathBuf,
    status: PathBuf,
}

impl<'a> Apt<'a> {
    /// Makes the private state of `suite`; what `status`, a dpkg status file, lists as installed
    /// is not downloaded as a dependency.
    pub(crate) fn new(
        layout: &'a Layout,
        mirror: &Mirror,
        suite: &str,
        status: &Path,
    ) -> Result<Apt<'a>> {
        let folder = layout.apt(suite);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(part))
                .with_context(|| format!("cannot create the apt state of {suite}"))?;
        }
        let source = format!(
            "deb [signed-by={}] {} {suite} main\n",
            mirror.keyring.display(),
            mirror.uri
        );
        fs::write(folder.join("sources.list"), source)?;
        Ok(Apt {
            layout,
            suite: suite.to_owned(),
            folder,
            status: status.to_owned(),
        })
    }

    /// Reads the suite's package lists from the mirror and verifies them.
    pub(crate) fn update(&self) -> Result<()> {
        shell::run_logged(
            self.get().arg("update"),
            &self.layout.log(&format!("apt-update-{}", self.suite)),
        )
    }

    /// Downloads exactly these packages into a new folder.
    pub(crate) fn download(&self, packages: &[&str], into: &Path) -> Result<()> {
        fs::create_dir_all(into)?;
        shell::run_logged(
            self.get().arg("download").args(packages).current_dir(into),
            &self.layout.log(&format!("apt-download-{}", self.suite)),
        )
    }

    /// Downloads these packages and all they depend on that is not installed, into a new folder.
    pub(crate) fn download_closure(&self, packages: &[&str], into: &Path) -> Result<()> {
        fs::create_dir_all(into.join("partial"))?;
        let mut archives = into.as_os_str().to_owned();
        archives.push("/");
        let mut option = std::ffi::OsString::from("Dir::Cache::archives=");
        option.push(archives);
        shell::run_logged(
            self.get()
                .arg("-o")
                .arg(option)
                .args(["install", "--download-only", "--yes"])
                .arg("--no-install-recommends")
                .args(packages),
            &self.layout.log(&format!("apt-closure-{}", self.suite)),
        )
    }

    fn get(&self) -> Command {
        let mut command = shell::command(self.layout, "apt-get");
        let folder = self.folder.display();
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            "Dir::Etc::preferences=/dev/null".to_owned(),
            "Dir::Etc::preferencesparts=/dev/null".to_owned(),
            format!("Dir::State={folder}"),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::State::status={}", self.status.display()),
            format!("Dir::Cache={folder}/cache"),
            // Only the package lists, without descriptions and desktop metadata.
            "Acquire::Languages=none".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "Acquire::IndexTargets::deb::CNF::DefaultEnabled=false".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // The unprivileged download user cannot write below every folder of root's.
            "APT::Sandbox::User=root".to_owned(),
            // The system's dpkg is not involved, so its lock must not be in the way.
            "Debug::NoLocking=true".to_owned(),
            "APT::Get::AllowUnauthenticated=false".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    }
}

/// The packages in a folder, sorted.
pub(crate) fn packages_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut packages = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            packages.push(path);
        }
    }
    packages.sort();
    Ok(packages)
}

/// Unpacks the files of packages into a folder; runs none of their scripts.
pub(crate) fn unpack(layout: &Layout, packages: &[PathBuf], into: &Path) -> Result<()> {
    fs::create_dir_all(into)?;
    for package in packages {
        shell::output(
            shell::command(layout, "dpkg-deb")
                .arg("--extract")
                .arg(package)
                .arg(into),
        )?;
    }
    Ok(())
}
