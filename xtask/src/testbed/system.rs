//! The machine the testbed runs on.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::geteuid;

use super::layout::Layout;
use super::shell;

/// `f_type` of overlayfs in `statfs(2)`.
const OVERLAYFS: u64 = 0x794c_7630;

/// What we need to know about the machine.
#[derive(Debug, Clone)]
pub(crate) struct System {
    /// Debian's name of the running suite, as in `bookworm`.
    pub(crate) suite: String,
    /// Debian's name of the architecture, as in `amd64`.
    pub(crate) architecture: String,
}

impl System {
    /// Looks at the machine; fails where the testbed cannot work.
    pub(crate) fn detect(layout: &Layout) -> Result<System> {
        ensure!(
            geteuid().is_root(),
            "the testbed needs root: engines mount filesystems and make namespaces; run it as root \
             or with sudo"
        );
        let release =
            fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
        let suite = debian_suite(&release)?;
        let architecture =
            shell::output(shell::command(layout, "dpkg").arg("--print-architecture"))?
                .trim()
                .to_owned();
        refuse_overlay(layout.root())?;
        Ok(System {
            suite,
            architecture,
        })
    }

    /// The architecture in the words of container images, as in `amd64`.
    pub(crate) fn image_architecture(&self) -> Result<&'static str> {
        Ok(match self.architecture.as_str() {
            "amd64" => "amd64",
            "arm64" => "arm64",
            "ppc64el" => "ppc64le",
            "riscv64" => "riscv64",
            "s390x" => "s390x",
            other => bail!("no container images are made for Debian's architecture {other}"),
        })
    }

    /// The architecture in the words of uv, as in `x86_64`.
    pub(crate) fn uv_architecture(&self) -> Result<&'static str> {
        Ok(match self.architecture.as_str() {
            "amd64" => "x86_64",
            "arm64" => "aarch64",
            "ppc64el" => "powerpc64le",
            "riscv64" => "riscv64gc",
            "s390x" => "s390x",
            other => bail!("uv has no name for Debian's architecture {other}"),
        })
    }
}

/// The suite named by a Debian `/etc/os-release`.
fn debian_suite(release: &str) -> Result<String> {
    let value = |key: &str| {
        release.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name == key).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let id = value("ID").unwrap_or_default();
    ensure!(
        id == "debian",
        "the testbed takes its engines from Debian and needs a Debian system, found {id:?} in \
         /etc/os-release; a Debian virtual machine will do"
    );
    Ok(value("VERSION_CODENAME").unwrap_or_else(|| "sid".to_owned()))
}

/// Fails when `root` lies on overlayfs, on which engines cannot stack their own overlays.
fn refuse_overlay(root: &Path) -> Result<()> {
    let found = rustix::fs::statfs(root)
        .with_context(|| format!("cannot look at the filesystem of {}", root.display()))?;
    ensure!(
        u64::try_from(found.f_type) != Ok(OVERLAYFS),
        "{} lies on overlayfs, on which engines cannot stack image layers; name a folder on \
         another filesystem (a volume or tmpfs) with --root",
        root.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suite_of_a_release_is_its_codename() {
        let release = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\n\
                       VERSION_CODENAME=bookworm\n";
        assert_eq!(debian_suite(release).unwrap(), "bookworm");
    }

    #[test]
    fn a_release_without_codename_is_unstable() {
        assert_eq!(debian_suite("ID=debian\n").unwrap(), "sid");
    }

    #[test]
    fn other_systems_are_refused_by_name() {
        let error = debian_suite("ID=fedora\nVERSION_CODENAME=x\n").unwrap_err();
        assert!(error.to_string().contains("\"fedora\""), "{error}");
    }
}
