//! Which torch and TensorFlow the requirements mean.

use super::{At, Platform, Resolver};
use crate::diagnostic::Severity;
use crate::plan::Rejected;
use crate::requirement::{Package, environment};
use crate::tables::{Release, TorchRelease};

/// The frameworks among the requirements.
#[derive(Default)]
pub(super) struct Frameworks<'c> {
    pub(super) torch: Option<Framework<'c>>,
    pub(super) torchvision: Option<Framework<'c>>,
    pub(super) tensorflow: Option<Framework<'c>>,
}

/// A framework, and the version to reason about.
pub(super) struct Framework<'c> {
    pub(super) package: &'c Package,
    /// The version, in the words of the requirement where it pins one; nothing when it leaves it open.
    pub(super) version: Option<String>,
    /// Whether the requirement pins it.
    pub(super) pinned: bool,
}

impl<'a> Resolver<'a> {
    pub(super) fn frameworks(&mut self, platform: &Platform) -> Frameworks<'a> {
        let python = self.config.build.python_version.value.to_string();
        let environment = environment(&python, platform.machine());
        let packages = &self.config.build.requirements.packages;
        let find = |name: &str| {
            packages.iter().find(|package| {
                package.name == name
                    && environment
                        .as_ref()
                        .is_none_or(|environment| package.applies(environment))
            })
        };
        let torch = find("torch").map(|package| self.torch(package));
        let tensorflow = find("tensorflow").map(|package| self.tensorflow(package));
        let torchvision = find("torchvision").map(|package| Framework {
            package,
            version: package.pin().map(ToString::to_string),
            pinned: package.pin().is_some(),
        });
        Frameworks {
            torch,
            torchvision,
            tensorflow,
        }
    }

    fn torch(&mut self, package: &'a Package) -> Framework<'a> {
        if let Some(pin) = package.pin() {
            let version = pin.to_string();
            self.check_python(package, &version);
            return Framework {
                package,
                version: Some(version),
                pinned: true,
            };
        }
        // A range means the newest release within it, so that CUDA, index and wheel go together.
        let version = if package.is_unbound() {
            None
        } else {
            self.newest_torch(package)
        };
        Framework {
            package,
            version,
            pinned: false,
        }
    }

    fn newest_torch(&mut self, package: &Package) -> Option<String> {
        let line = self.config.build.python_version.value.line();
        let gpu = self.config.build.gpu;
        let limit = self.config.build.cuda.as_ref().map(|cuda| &cuda.value);
        let usable = |row: &&TorchRelease| {
            let built = row.builds.iter().any(|build| match (gpu, build.cuda()) {
                (false, None) => true,
                (true, Some(cuda)) => limit.is_none_or(|limit| cuda <= limit),
                _ => false,
            });
            built && row.python.contains(&line) && package.allows(row.torch.as_str())
        };
        let rows: Vec<&Release> = self
            .tables
            .torch
            .releases
            .iter()
            .filter(usable)
            .map(|row| &row.torch)
            .collect();
        let (newest, older) = rows.split_last()?;
        let rejected = older.iter().rev().take(3).map(|release| Rejected {
            choice: release.to_string(),
            reason: "older".into(),
        });
        self.decide_over(
            "torch",
            newest.as_str(),
            format!("the newest known release that the requirement allows and that has wheels for Python {line}"),
            rejected.collect(),
        );
        Some(newest.to_string())
    }

    fn check_python(&mut self, package: &Package, version: &str) {
        let line = self.config.build.python_version.value.line();
        let Ok(release) = version.parse::<Release>() else {
            return;
        };
        let rows: Vec<&TorchRelease> = self
            .tables
            .torch
            .releases
            .iter()
            .filter(|row| release.matches(&row.torch))
            .collect();
        let pythons: Vec<String> = rows.iter().flat_map(|row| row.python.clone()).collect();
        if !rows.is_empty() && !pythons.contains(&line) {
            let newest = pythons.last().cloned().unwrap_or_default();
            self.find(
                Severity::Warning,
                At::Package(package),
                format!("torch {version} has no wheels for Python {line}"),
                format!("set `build.python_version` to \"{newest}\", or take another torch"),
            );
        }
    }

    fn tensorflow(&mut self, package: &'a Package) -> Framework<'a> {
        let pin = package.pin().map(ToString::to_string);
        let pinned = pin.is_some();
        // A range means the newest release within it, as for torch.
        let version = if pinned || package.is_unbound() {
            pin
        } else {
            self.newest_tensorflow(package)
        };
        Framework {
            package,
            version,
            pinned,
        }
    }

    fn newest_tensorflow(&mut self, package: &Package) -> Option<String> {
        let line = self.config.build.python_version.value.line();
        let given = self.config.build.cuda.as_ref().map(|cuda| &cuda.value);
        let mut releases = self.tables.tensorflow.releases.iter().rev();
        let newest = releases.find(|row| {
            row.python.contains(&line)
                && package.allows(row.tensorflow.as_str())
                && given.is_none_or(|given| given.major() == row.cuda.major())
        })?;
        let version = newest.tensorflow.to_string();
        if self.config.build.gpu {
            self.decide(
                "tensorflow",
                version.as_str(),
                format!("the newest known release that the requirement allows and that has wheels for Python {line}"),
            );
        }
        Some(version)
    }
}
