//! CUDA and cuDNN of a GPU build.
//!
//! `build.cuda` decides; after it TensorFlow, whose wheels need the libraries in the image; after it torch, whose wheels
//! bring them along.

use super::framework::{Framework, Frameworks};
use super::{At, Resolver};
use crate::diagnostic::Severity;
use crate::plan::Rejected;
use crate::tables::{Flavour, Release, TensorFlowRelease};

/// CUDA and cuDNN.
pub(super) struct Toolkit {
    pub(super) cuda: Release,
    pub(super) cudnn: Release,
    /// NVIDIA's image of both, with compilers.
    pub(super) image: Option<String>,
}

impl Resolver<'_> {
    /// What a GPU build uses; nothing for a CPU build, and after an error.
    pub(super) fn toolkit(&mut self, frameworks: &Frameworks<'_>) -> Option<Toolkit> {
        if !self.config.build.gpu {
            return None;
        }
        if !self.given_pair_exists() {
            return None;
        }
        if let Some(torch) = frameworks
            .torch
            .as_ref()
            .filter(|torch| torch.version.is_none())
        {
            let known = self
                .tables
                .torch
                .newest()
                .map(ToString::to_string)
                .unwrap_or_default();
            let found = if torch.package.is_unbound() {
                "torch needs a version in a GPU build: its wheel decides about CUDA".to_owned()
            } else {
                format!(
                    "no known torch up to {known} is allowed by this requirement and has wheels for this Python and CUDA"
                )
            };
            self.find(
                Severity::Error,
                At::Package(torch.package),
                found,
                format!("write for example `torch=={known}`"),
            );
            return None;
        }
        match (&frameworks.tensorflow, &frameworks.torch) {
            (Some(tensorflow), _) => self.for_tensorflow(tensorflow),
            (None, Some(torch)) => self.for_torch(torch),
            (None, None) => self.for_nothing(),
        }
    }

    /// Whether NVIDIA has images of the CUDA and cuDNN that the file names both.
    fn given_pair_exists(&mut self) -> bool {
        let (Some(cuda), Some(cudnn)) = (&self.config.build.cuda, &self.config.build.cudnn) else {
            return true;
        };
        let known: Vec<String> = self
            .tables
            .cuda
            .cudnns(&cuda.value)
            .iter()
            .map(ToString::to_string)
            .collect();
        if known.iter().any(|known| known == cudnn.value.as_str()) {
            return true;
        }
        if known.is_empty() {
            self.unknown_cuda(&cuda.value, At::Key(cuda.span));
        } else {
            self.find(
                Severity::Error,
                At::Key(cudnn.span),
                format!(
                    "CUDA {} and cuDNN {} do not go together",
                    cuda.value, cudnn.value
                ),
                format!(
                    "CUDA {} goes with cuDNN {}; without the key it is chosen",
                    cuda.value,
                    known.join(", ")
                ),
            );
        }
        false
    }

    /// Whether the base is an image of NVIDIA.
    fn needs_image(&self) -> bool {
        let named = self.options.base.is_some() || self.config.extension.base.is_some();
        !named && self.options.cog_base != Some(true) && self.options.cuda_base != Some(false)
    }

    /// Whether the CUDA that the file names is of the major version that a release of TensorFlow is built with.
    fn given_cuda_runs(&mut self, version: &str, row: &TensorFlowRelease) -> bool {
        let Some(given) = &self.config.build.cuda else {
            return true;
        };
        let fits = given.value.major() == row.cuda.major();
        if !fits {
            let found = format!(
                "TensorFlow {version} needs CUDA {}, found `{}`",
                row.cuda.line(),
                given.value
            );
            self.find(
                Severity::Error,
                At::Key(given.span),
                found,
                "remove `cuda` to have it chosen",
            );
        }
        fits
    }

    /// Finds what cannot be together of the CUDA, the cuDNN and the TensorFlow that the file names.
    pub(super) fn contradictions(&mut self, frameworks: &Frameworks<'_>) {
        if !self.config.build.gpu {
            return;
        }
        self.given_pair_exists();
        let tensorflow = frameworks.tensorflow.as_ref();
        if let Some(version) = tensorflow.and_then(|tensorflow| tensorflow.version.as_deref())
            && let Some(row) = self.tables.tensorflow.release(version)
        {
            self.given_cuda_runs(version, row);
        }
    }

    fn for_tensorflow(&mut self, tensorflow: &Framework<'_>) -> Option<Toolkit> {
        let Some(version) = tensorflow.version.clone() else {
            return self.for_any_tensorflow(tensorflow);
        };
        let row = self.tables.tensorflow.release(&version).cloned();
        let given = self.config.build.cuda.clone();
        let (cuda, at) = match (&given, &row) {
            (Some(given), None) => {
                self.find(
                    Severity::Warning,
                    At::Package(tensorflow.package),
                    format!(
                        "TensorFlow {version} is not known, so CUDA {} may not be what it needs",
                        given.value
                    ),
                    "compare with tensorflow.org/install/source, or add a row with `--tables`",
                );
                (given.value.clone(), At::Key(given.span))
            }
            (Some(given), Some(row)) => {
                if !self.given_cuda_runs(&version, row) {
                    return None;
                }
                // Wheels run on every CUDA of their major version, but are tested with one.
                if !given.value.same_line(&row.cuda) {
                    self.find(
                        Severity::Warning,
                        At::Key(given.span),
                        format!(
                            "TensorFlow {version} is built with CUDA {}, and `cuda` is {}",
                            row.cuda.line(),
                            given.value
                        ),
                        "remove `cuda` to have it chosen",
                    );
                }
                (given.value.clone(), At::Key(given.span))
            }
            (None, Some(row)) => (
                self.tensorflow_cuda(&version, row),
                At::Package(tensorflow.package),
            ),
            (None, None) => {
                self.find(
                    Severity::Error,
                    At::Package(tensorflow.package),
                    format!("it is not known which CUDA tensorflow=={version} needs"),
                    "set `build.cuda` to what tensorflow.org/install/source says, or add a row with `--tables`",
                );
                return None;
            }
        };
        if given.is_some() {
            self.decide("cuda", cuda.as_str(), "`build.cuda` names it");
        }
        let Some(row) = row else {
            return self.with_newest_cudnn(cuda, at);
        };
        let wanted: Release = row.cudnn.major().to_string().parse().ok()?;
        if let Some(cudnn) = &self.config.build.cudnn
            && cudnn.value != wanted
        {
            let span = cudnn.span;
            self.find(
                Severity::Error,
                At::Key(span),
                format!(
                    "tensorflow=={version} needs cuDNN {wanted}, found `{}`",
                    cudnn.value
                ),
                "remove `cudnn` to have it chosen",
            );
            return None;
        }
        self.decide(
            "cudnn",
            wanted.as_str(),
            format!("TensorFlow {version} is built with cuDNN {}", row.cudnn),
        );
        let image = self
            .tables
            .cuda
            .image(&cuda, wanted.as_str(), Flavour::Devel);
        if image.is_none() && self.needs_image() {
            let others = self.tables.cuda.with_cudnn(wanted.as_str());
            let near = others
                .iter()
                .find(|other| other.major() == cuda.major())
                .map(|other| other.line());
            self.find(
                Severity::Error,
                at,
                format!("NVIDIA has no image of CUDA {cuda} with cuDNN {wanted}, which tensorflow=={version} needs"),
                near.map_or_else(
                    || "use `--use-cuda-base-image=false` or another `--base`".to_owned(),
                    |near| format!("CUDA {near} has one: set `cuda` to \"{near}\", or remove it to have it chosen"),
                ),
            );
            return None;
        }
        Some(Toolkit {
            cuda,
            cudnn: wanted,
            image,
        })
    }

    /// A TensorFlow whose version is left open: it is not known which CUDA it needs.
    fn for_any_tensorflow(&mut self, tensorflow: &Framework<'_>) -> Option<Toolkit> {
        let newest = self.tables.tensorflow.releases.last();
        let known = newest.map(|row| row.tensorflow.to_string());
        let known = known.unwrap_or_default();
        let open = tensorflow.package.is_unbound();
        let hint = format!("write for example `tensorflow=={known}`");
        let Some(given) = self.config.build.cuda.clone() else {
            let found = if open {
                "tensorflow needs a version in a GPU build: its wheel decides about CUDA".to_owned()
            } else {
                format!(
                    "no known TensorFlow up to {known} is allowed by this requirement and has wheels for this Python"
                )
            };
            self.find(
                Severity::Error,
                At::Package(tensorflow.package),
                found,
                hint,
            );
            return None;
        };
        self.find(
            Severity::Warning,
            At::Package(tensorflow.package),
            format!(
                "the version of tensorflow is not known, so CUDA {} may not be what it needs",
                given.value
            ),
            hint,
        );
        self.decide("cuda", given.value.as_str(), "`build.cuda` names it");
        self.with_newest_cudnn(given.value, At::Key(given.span))
    }

    /// The CUDA that TensorFlow is built with, or the nearest one of its major version that has an image with its cuDNN.
    fn tensorflow_cuda(&mut self, version: &str, row: &TensorFlowRelease) -> Release {
        let line: Release = row.cuda.line().parse().unwrap_or_else(|_| row.cuda.clone());
        let cudnn = row.cudnn.major().to_string();
        if self
            .tables
            .cuda
            .image(&line, &cudnn, Flavour::Devel)
            .is_some()
            || !self.needs_image()
        {
            self.decide(
                "cuda",
                line.as_str(),
                format!("TensorFlow {version} is built with it"),
            );
            return line;
        }
        let near = self
            .tables
            .cuda
            .with_cudnn(&cudnn)
            .into_iter()
            .find(|cuda| cuda.major() == line.major() && **cuda <= line)
            .and_then(|cuda| cuda.line().parse().ok());
        let Some(near) = near else {
            return line;
        };
        let rejected = vec![Rejected {
            choice: line.to_string(),
            reason: format!("NVIDIA has no image of it with cuDNN {cudnn}"),
        }];
        let near: Release = near;
        self.decide_over(
            "cuda",
            near.as_str(),
            format!("the newest of the major version that TensorFlow {version} is built with that has an image with its cuDNN"),
            rejected,
        );
        near
    }

    fn for_torch(&mut self, torch: &Framework<'_>) -> Option<Toolkit> {
        let version = torch.version.clone().unwrap_or_default();
        let release = version.parse::<Release>().ok();
        let cudas = release
            .as_ref()
            .map(|release| self.tables.torch_cudas(release))
            .unwrap_or_default();
        let list = cudas
            .iter()
            .map(Release::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let newer = release.is_some_and(|release| self.tables.torch.is_newer(&release));
        if let Some(given) = self.config.build.cuda.clone() {
            if !cudas.iter().any(|cuda| cuda.same_line(&given.value)) && !newer {
                let (found, hint) = match cudas.last() {
                    None => (
                        format!(
                            "torch {version} is not known, so CUDA {} may not be what it needs",
                            given.value
                        ),
                        "compare with pytorch.org, or add a row with `--tables`".to_owned(),
                    ),
                    Some(newest) => (
                        format!(
                            "torch {version} has no wheel for CUDA {}, only for {list}",
                            given.value
                        ),
                        format!("set `cuda` to \"{newest}\", or remove it to have it chosen"),
                    ),
                };
                self.find(Severity::Warning, At::Key(given.span), found, hint);
            }
            self.decide("cuda", given.value.as_str(), "`build.cuda` names it");
            return self.with_newest_cudnn(given.value, At::Key(given.span));
        }
        let at = At::Package(torch.package);
        let Some(newest) = cudas.last() else {
            if newer {
                let cuda = self.tables.torch.newer.cuda.clone();
                let known = self
                    .tables
                    .torch
                    .newest()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                self.decide(
                    "cuda",
                    cuda.as_str(),
                    format!("torch {version} is newer than the newest known one, {known}; its wheel on PyPI is built for a CUDA of this major version"),
                );
                return self.with_newest_cudnn(cuda, at);
            }
            self.find(
                Severity::Error,
                at,
                format!("it is not known which CUDA torch=={version} needs"),
                "set `build.cuda`, take another torch, or add a row with `--tables`",
            );
            return None;
        };
        let rejected = cudas
            .iter()
            .rev()
            .skip(1)
            .map(|cuda| Rejected {
                choice: cuda.to_string(),
                reason: "older".into(),
            })
            .collect();
        let newest = newest.clone();
        self.decide_over(
            "cuda",
            newest.as_str(),
            format!("the newest that torch {version} has wheels for"),
            rejected,
        );
        self.with_newest_cudnn(newest, at)
    }

    fn for_nothing(&mut self) -> Option<Toolkit> {
        if let Some(given) = self.config.build.cuda.clone() {
            self.decide("cuda", given.value.as_str(), "`build.cuda` names it");
            return self.with_newest_cudnn(given.value, At::Key(given.span));
        }
        let cuda = self.tables.cuda.default.clone();
        self.decide(
            "cuda",
            cuda.as_str(),
            "neither `build.cuda` nor a framework asks for another",
        );
        self.with_newest_cudnn(cuda, At::Nowhere)
    }

    fn with_newest_cudnn(&mut self, cuda: Release, at: At<'_>) -> Option<Toolkit> {
        let known: Vec<Release> = self
            .tables
            .cuda
            .cudnns(&cuda)
            .into_iter()
            .cloned()
            .collect();
        let (cudnn, reason) = match (&self.config.build.cudnn, known.first()) {
            (Some(given), _) => (given.value.clone(), "`build.cudnn` names it".to_owned()),
            (None, Some(newest)) => (
                newest.clone(),
                format!("the newest that images of CUDA {cuda} have"),
            ),
            (None, None) => {
                self.unknown_cuda(&cuda, at);
                return None;
            }
        };
        let rejected = known
            .iter()
            .filter(|other| **other != cudnn)
            .map(|other| Rejected {
                choice: other.to_string(),
                reason: "not asked for".into(),
            });
        self.decide_over("cudnn", cudnn.as_str(), reason, rejected.collect());
        let image = self
            .tables
            .cuda
            .image(&cuda, cudnn.as_str(), Flavour::Devel);
        if image.is_none() && known.is_empty() {
            self.unknown_cuda(&cuda, at);
            return None;
        }
        // The CUDA is chosen, or the file names a pair that is refused elsewhere.
        if image.is_none() && self.needs_image() {
            let span = self.config.build.cudnn.as_ref().map(|cudnn| cudnn.span);
            let known: Vec<String> = known.iter().map(Release::to_string).collect();
            self.find(
                Severity::Error,
                span.map_or(at, At::Key),
                format!("NVIDIA has no image of CUDA {cuda} with cuDNN {cudnn}"),
                format!(
                    "CUDA {cuda} goes with cuDNN {}; without the key it is chosen, and `cuda` names another CUDA",
                    known.join(", ")
                ),
            );
            return None;
        }
        Some(Toolkit { cuda, cudnn, image })
    }

    fn unknown_cuda(&mut self, cuda: &Release, at: At<'_>) {
        let mut lines: Vec<Release> = self
            .tables
            .cuda
            .images
            .iter()
            .filter_map(|image| image.cuda.line().parse().ok())
            .collect();
        lines.sort();
        lines.dedup();
        let lines = lines
            .iter()
            .map(Release::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        self.find(
            Severity::Error,
            at,
            format!("there is no known image of CUDA {cuda}"),
            format!("known are {lines}; a row for another can be added with `--tables`"),
        );
    }
}
