//! GPU architectures and drivers that the image must run with.

use super::cuda::Toolkit;
use super::framework::Frameworks;
use super::wheels::Wheels;
use super::{At, Resolver};
use crate::config::Config;
use crate::diagnostic::{Severity, Spanned};
use crate::tables::{Architecture, Release, Tables};

/// What a torch lacks on a GPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernels {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// Whether a resolved torch has kernels for every one of these GPUs; what is missing, once for each.
///
/// Without it the image is built and starts, and the first operation on the GPU fails.
pub fn kernels(
    tables: &Tables,
    torch: &str,
    cuda: Option<&Release>,
    architectures: &[Architecture],
) -> Vec<Kernels> {
    let Ok(release) = torch.parse::<Release>() else {
        return Vec::new();
    };
    architectures
        .iter()
        .filter_map(|architecture| {
            let floor = tables.gpu.missing_kernels(*architecture, &release, cuda)?;
            let built = cuda.map_or_else(|| "CPU".to_owned(), |cuda| format!("CUDA {cuda}"));
            Some(Kernels {
                message: format!(
                    "torch {torch} for {built} has no kernels for {architecture} ({}): the image builds, and its first operation on that GPU fails",
                    floor.name
                ),
                hint: format!("{architecture} needs torch {} or newer, built for CUDA {} or newer", floor.torch, floor.cuda),
            })
        })
        .collect()
}

impl Resolver<'_> {
    pub(super) fn devices(
        &mut self,
        frameworks: &Frameworks<'_>,
        wheels: &Wheels,
        toolkit: Option<&Toolkit>,
    ) {
        let config: &Config = self.config;
        let mut architectures = self.options.gpu_architectures.clone();
        architectures.extend(
            config
                .extension
                .gpu_architectures
                .iter()
                .map(|spanned| spanned.value),
        );
        architectures.sort_unstable();
        architectures.dedup();
        if let (Some((torch, cuda)), Some(_)) = (&wheels.torch, toolkit) {
            let at = frameworks
                .torch
                .as_ref()
                .map_or(At::Nowhere, |torch| At::Package(torch.package));
            for missing in kernels(self.tables, torch, cuda.as_ref(), &architectures) {
                self.find(Severity::Error, at, missing.message, missing.hint);
            }
        }
        let given = config.extension.driver.as_ref();
        let driver = self
            .options
            .driver
            .as_ref()
            .or(given.map(|driver| &driver.value));
        let (Some(driver), Some(toolkit)) = (driver, toolkit) else {
            return;
        };
        // What runs is the newest CUDA in the image.
        let wheel = wheels.torch.as_ref().and_then(|(_, cuda)| cuda.as_ref());
        let cuda = wheel.map_or(&toolkit.cuda, |wheel| wheel.max(&toolkit.cuda));
        if let Some(needed) = self
            .tables
            .cuda
            .driver(cuda)
            .filter(|needed| *needed > driver)
        {
            let at = given.map_or(At::Nowhere, |given: &Spanned<Release>| At::Key(given.span));
            let (message, hint) = (
                format!(
                    "CUDA {cuda} needs NVIDIA driver {needed} or newer, and the image must run with {driver}"
                ),
                "take an older CUDA with `build.cuda`, or a torch that has wheels for one"
                    .to_owned(),
            );
            self.find(Severity::Error, at, message, hint);
        }
    }
}
