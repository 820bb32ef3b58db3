//! The wheels and indexes that go with the chosen CUDA.

use super::cuda::Toolkit;
use super::framework::{Framework, Frameworks};
use super::{At, Resolver};
use crate::diagnostic::Severity;
use crate::plan::Rejected;
use crate::tables::{Build, Release, TorchPackage, Wheel};

/// What pip is given.
#[derive(Default)]
pub(super) struct Wheels {
    /// Options, then requirements.
    pub(super) lines: Vec<String>,
    /// torch and the CUDA of its wheel.
    pub(super) torch: Option<(String, Option<Release>)>,
}

impl Resolver<'_> {
    pub(super) fn wheels(
        &mut self,
        frameworks: &Frameworks<'_>,
        toolkit: Option<&Toolkit>,
    ) -> Wheels {
        let requirements = &self.config.build.requirements;
        let mut lines = requirements.lines.clone();
        let mut indexes: Vec<String> = Vec::new();
        let mut add = |index: String| {
            if !indexes.contains(&index) {
                indexes.push(index);
            }
        };
        for package in &requirements.packages {
            package.indexes.iter().cloned().for_each(&mut add);
        }
        let mut torch = None;
        if let Some(found) = &frameworks.torch
            && let Some(version) = &found.version
        {
            let own = found
                .package
                .indexes
                .iter()
                .find_map(|url| Build::cuda_of_index(url));
            let wheel = if found.package.indexes.is_empty() {
                self.torch_wheel(found, version, toolkit)
            } else {
                None
            };
            let installed = match &wheel {
                Some(wheel) => {
                    if let Some(line) = lines.get_mut(found.package.line) {
                        *line = found.package.pinned(&wheel.version);
                    }
                    self.decide_wheel("torch", version, wheel, toolkit);
                    wheel.index.iter().cloned().for_each(&mut add);
                    wheel.version.clone()
                }
                None => version.clone(),
            };
            let cuda = own
                .or_else(|| wheel.and_then(|wheel| wheel.cuda))
                .or_else(|| toolkit.map(|toolkit| toolkit.cuda.clone()));
            if found.pinned || toolkit.is_some() {
                torch = Some((installed, cuda));
            }
        }
        if frameworks.torch.is_some() && toolkit.is_none() && torch.is_none() {
            self.warn_about_cpu(frameworks);
        }
        if let Some(found) = &frameworks.torchvision
            && let Some(version) = &found.version
            && found.package.indexes.is_empty()
            && let Some(wheel) = self.torchvision_wheel(found, version, toolkit)
        {
            if let Some(line) = lines.get_mut(found.package.line) {
                *line = found.package.pinned(&wheel.version);
            }
            self.decide_wheel("torchvision", version, &wheel, toolkit);
            wheel.index.into_iter().for_each(&mut add);
        }
        if let Some(found) = &frameworks.tensorflow
            && !found.pinned
            && toolkit.is_some()
            && let Some(version) = &found.version
            && let Some(line) = lines.get_mut(found.package.line)
        {
            *line = found.package.pinned(version);
        }
        let options = indexes
            .into_iter()
            .map(|index| format!("--extra-index-url {index}"));
        Wheels {
            lines: options.chain(lines).collect(),
            torch,
        }
    }

    fn torch_wheel(
        &self,
        found: &Framework<'_>,
        version: &str,
        toolkit: Option<&Toolkit>,
    ) -> Option<Wheel> {
        let release = version.parse::<Release>().ok()?;
        let Some(toolkit) = toolkit else {
            // A wheel for CUDA or ROCm that is asked for by its tag is what was meant, wherever it runs.
            if release.local().is_some_and(|local| local != "cpu") {
                return None;
            }
            // `==2.3` means 2.3.0 to pip and the newest 2.3 to Cog; of the two, the one that was meant.
            return self
                .tables
                .torch_cpu_wheel(TorchPackage::Torch, release.without_local())
                .or_else(|| {
                    let mut rows = self.tables.torch.releases.iter().rev();
                    let row =
                        rows.find(|row| release.patch().is_none() && release.matches(&row.torch))?;
                    self.tables
                        .torch_cpu_wheel(TorchPackage::Torch, row.torch.as_str())
                });
        };
        // A tag decides the CUDA when `cuda` does not; where both are given, `cuda` has the last word.
        let wheel = self.tables.torch_gpu_wheel(
            TorchPackage::Torch,
            release.without_local(),
            &toolkit.cuda,
        );
        wheel.or_else(|| {
            (!found.pinned).then(|| Wheel {
                version: version.to_owned(),
                index: None,
                cuda: None,
            })
        })
    }

    fn torchvision_wheel(
        &mut self,
        found: &Framework<'_>,
        version: &str,
        toolkit: Option<&Toolkit>,
    ) -> Option<Wheel> {
        let cuda = toolkit.map(|toolkit| &toolkit.cuda);
        let release = version.parse::<Release>().ok();
        let tagged = release
            .as_ref()
            .and_then(Release::local)
            .and_then(Build::from_folder);
        // As for torch, `cuda` has the last word.
        let overruled = self.config.build.cuda.as_ref().is_some_and(|given| {
            let tagged = tagged.as_ref().and_then(Build::cuda);
            toolkit.is_some() && tagged.is_some_and(|tagged| !tagged.same_line(&given.value))
        });
        let plain = release
            .as_ref()
            .filter(|_| overruled)
            .map(Release::without_local);
        let wheel = self
            .tables
            .torchvision_wheel(plain.unwrap_or(version), cuda);
        if wheel.is_none()
            && let Some(toolkit) = toolkit
        {
            self.find(
                Severity::Warning,
                At::Package(found.package),
                format!(
                    "torchvision {version} is not known for CUDA {}",
                    toolkit.cuda
                ),
                "pin all three numbers of the release that goes with torch",
            );
        }
        wheel
    }

    fn decide_wheel(
        &mut self,
        name: &str,
        version: &str,
        wheel: &Wheel,
        toolkit: Option<&Toolkit>,
    ) {
        let from = wheel.index.as_deref().unwrap_or("PyPI");
        let (reason, rejected) = match (toolkit, &wheel.cuda) {
            (Some(toolkit), Some(cuda)) => (
                format!(
                    "{name} {version} for CUDA {cuda}, the newest build that CUDA {} can run",
                    toolkit.cuda
                ),
                vec![Rejected {
                    choice: "PyPI".into(),
                    reason: "its wheel may be built for another CUDA".into(),
                }],
            ),
            (None, Some(cuda)) => (
                format!("its tag names the build for CUDA {cuda}"),
                Vec::new(),
            ),
            (None, None) => (
                format!("{name} {version} for CPU, since `gpu` is off"),
                vec![Rejected {
                    choice: "PyPI".into(),
                    reason: "its wheel brings some gigabytes of CUDA along".into(),
                }],
            ),
            (Some(_), None) => (
                format!("nothing is known of a build of {name} {version} for this CUDA"),
                Vec::new(),
            ),
        };
        self.decide_over(
            &format!("{name} wheel"),
            format!("{} from {from}", wheel.version),
            reason,
            rejected,
        );
    }

    fn warn_about_cpu(&mut self, frameworks: &Frameworks<'_>) {
        let Some(torch) = &frameworks.torch else {
            return;
        };
        let newest = self
            .tables
            .torch
            .newest()
            .map(ToString::to_string)
            .unwrap_or_default();
        self.find(
            Severity::Warning,
            At::Package(torch.package),
            "without a version, torch comes from PyPI, whose wheel brings some gigabytes of CUDA along",
            format!("pin it, for example `torch=={newest}`, to have the wheel for CPU chosen"),
        );
    }
}
