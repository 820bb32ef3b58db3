//! System packages, and what waits for them.

use std::sync::LazyLock;

use serde::Deserialize;

use super::{At, BaseKind, Resolver};
use crate::config::{AptSnapshot, SystemPackage};
use crate::diagnostic::Severity;
use crate::plan::Pip;

/// The init program that reaps processes, as a Debian package.
const INIT_PACKAGE: &str = "tini";

/// What has the certificates that the system trusts, as a Debian package.
const BUNDLE_PACKAGE: &str = "ca-certificates";

#[derive(Deserialize)]
struct BuildTools {
    names: Vec<String>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

static BUILD_TOOLS: LazyLock<BuildTools> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/build_tools.json"))
        .expect("the table of the crate is valid")
});

impl Resolver<'_> {
    pub(super) fn system_packages(&mut self, base: BaseKind) -> Vec<SystemPackage> {
        let asked = self.config.build.system_packages.iter();
        let mut packages: Vec<SystemPackage> = asked.map(|package| package.value.clone()).collect();
        if self.trusts_more() {
            let bundle: SystemPackage = BUNDLE_PACKAGE.parse().expect("the name is a package name");
            if !packages
                .iter()
                .any(|package| package.name() == BUNDLE_PACKAGE)
            {
                packages.push(bundle);
            }
        }
        if base == BaseKind::Cog {
            let held = &self.tables.cog_base.packages;
            packages.retain(|package| !held.iter().any(|name| name == package.as_str()));
            self.decide("init", "the base image's", "Cog's base images have one");
        } else {
            if !packages
                .iter()
                .any(|package| package.name() == INIT_PACKAGE)
            {
                packages.push(
                    INIT_PACKAGE
                        .parse()
                        .expect("the name of tini is a package name"),
                );
            }
            self.decide(
                "init",
                INIT_PACKAGE,
                "processes that a model leaves behind must be reaped, and signals must reach the server",
            );
        }
        packages.sort();
        packages.dedup();
        packages
    }

    /// Whether programs in the image trust certificates of the project or the command line.
    fn trusts_more(&mut self) -> bool {
        let reason = match (&self.options.ca_cert, &self.config.extension.ca_cert) {
            (Some(_), None) => "the command line names it",
            (None, Some(_)) => "`x-cog-python.ca_cert` names it",
            (Some(_), Some(_)) => "`x-cog-python.ca_cert` and the command line name it",
            (None, None) => return false,
        };
        let choice = "those of the base, and the project's own";
        self.decide("certificates in the image", choice, reason);
        true
    }

    pub(super) fn recommends(&mut self) -> bool {
        let recommends = !self.options.no_recommends;
        let (choice, reason) = if recommends {
            (
                "with what they recommend",
                "Cog installs it, and models may rely on it",
            )
        } else {
            (
                "without what they recommend",
                "the command line asks for it",
            )
        };
        self.decide("system packages", choice, reason);
        recommends
    }

    /// The day of the past that system packages are taken of.
    pub(super) fn apt_snapshot(&mut self) -> Option<AptSnapshot> {
        let key = self.config.extension.apt_snapshot.as_ref();
        let (snapshot, reason) = match (&self.options.apt_snapshot, key) {
            (Some(snapshot), _) => (snapshot.clone(), "the command line names it"),
            (None, Some(snapshot)) => (
                snapshot.value.clone(),
                "`x-cog-python.apt_snapshot` names it",
            ),
            (None, None) => return None,
        };
        self.decide("apt snapshot", snapshot.as_str(), reason);
        Some(snapshot)
    }

    /// What runs as `pip` in the image.
    pub(super) fn pip(&mut self) -> Pip {
        let Some(asked) = &self.config.extension.pip else {
            return Pip::None;
        };
        let (asked, span) = (asked.value, asked.span);
        let packages = &self.config.build.requirements.packages;
        if packages.iter().any(|package| package.name == "pip") {
            if asked != Pip::Real {
                self.find(
                    Severity::Warning,
                    At::Key(span),
                    "`pip` decides nothing: a requirement names pip, which is installed",
                    "remove the key, or the requirement",
                );
            }
            return Pip::None;
        }
        let choice = match asked {
            Pip::None => "none",
            Pip::Real => "pip itself",
            Pip::Shim => "a program that installs nothing",
        };
        self.decide("pip", choice, "`x-cog-python.pip` names it");
        asked
    }

    /// Whether pip must wait for apt.
    pub(super) fn placement(&mut self, packages: &[SystemPackage]) -> bool {
        const AFTER: &str = "installed after the system packages";
        let tool = packages
            .iter()
            .find(|package| is_build_tool(package.name()));
        let reason = if self.options.pip_after_apt {
            Some("the command line asks for it".to_owned())
        } else if let Some(tool) = tool {
            Some(format!(
                "system package `{}` may be needed to build one of them",
                tool.name()
            ))
        } else if self.config.build.requirements.needs_tools {
            Some("a requirement is fetched from version control or compiled".to_owned())
        } else {
            None
        };
        let Some(reason) = reason else {
            self.decide(
                "python packages",
                "installed independently of the system packages",
                "no system package is a compiler, a header or a download tool; \
                 a change of one side then leaves the other cached",
            );
            return false;
        };
        self.decide("python packages", AFTER, reason);
        true
    }

    pub(super) fn source(&mut self) {
        if self.options.no_source {
            self.decide(
                "source",
                "not copied",
                "the command line leaves it to a mount",
            );
        } else {
            self.decide(
                "source",
                "copied last, beside all other steps",
                "editing the model then rebuilds nothing else",
            );
        }
    }
}

fn is_build_tool(name: &str) -> bool {
    BUILD_TOOLS.names.iter().any(|tool| tool == name)
        || BUILD_TOOLS
            .prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_str()))
        || BUILD_TOOLS
            .suffixes
            .iter()
            .any(|suffix| name.ends_with(suffix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_and_headers_are_build_tools() {
        for name in [
            "build-essential",
            "gcc-12",
            "libpq-dev",
            "git",
            "python3-dev",
        ] {
            assert!(is_build_tool(name), "{name}");
        }
        for name in ["tini", "ffmpeg", "libgl1", "fortune-mod", "gccgo"] {
            assert!(!is_build_tool(name), "{name}");
        }
    }
}
