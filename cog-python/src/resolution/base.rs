//! The base image, and where Python comes from.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use super::cuda::Toolkit;
use super::framework::Frameworks;
use super::{At, Base, BaseKind, Resolver};
use crate::diagnostic::Severity;
use crate::plan::{PythonProvider, Rejected, RemoteFile, UvProgram};
use crate::tables::Flavour;

/// Base image when uv brings Python.
const PLAIN_BASE: &str = "debian:bookworm-slim";

/// The table of `data/uv.json`.
#[derive(Deserialize)]
struct Uv {
    image: String,
    /// By what Python calls the machine.
    wheels: BTreeMap<String, RemoteFile>,
}

static UV: LazyLock<Uv> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/uv.json")).expect("the table of the crate is valid")
});

/// The uv program: of the image that is named, or of its wheel for the machine.
pub(super) fn uv(image: Option<&str>, machine: &str) -> UvProgram {
    match image {
        Some(image) => UvProgram {
            image: image.to_owned(),
            wheel: None,
        },
        None => UvProgram {
            image: UV.image.clone(),
            wheel: UV.wheels.get(machine).cloned(),
        },
    }
}

/// The base image and who brings Python.
pub(super) struct Chosen {
    pub(super) base: Base,
    pub(super) provider: PythonProvider,
}

impl Resolver<'_> {
    pub(super) fn base(
        &mut self,
        frameworks: &Frameworks<'_>,
        toolkit: Option<&Toolkit>,
    ) -> Chosen {
        let asked = self.options.python_provider.or_else(|| {
            self.config
                .extension
                .python
                .as_ref()
                .map(|provider| provider.value)
        });
        let base = self.base_image(frameworks, toolkit, asked);
        let provider = asked.unwrap_or(match base.kind {
            BaseKind::Cuda | BaseKind::Debian => PythonProvider::Uv,
            BaseKind::Python | BaseKind::Cog | BaseKind::Named => PythonProvider::Base,
        });
        Chosen { base, provider }
    }

    fn base_image(
        &mut self,
        frameworks: &Frameworks<'_>,
        toolkit: Option<&Toolkit>,
        asked: Option<PythonProvider>,
    ) -> Base {
        let version = self.config.build.python_version.value;
        let slim = format!("python:{version}-slim");
        let named = match (&self.options.base, &self.config.extension.base) {
            (Some(base), _) => Some((base.clone(), "the command line names it")),
            (None, Some(base)) => Some((base.value.clone(), "`x-cog-python.base` names it")),
            (None, None) => None,
        };
        if let Some((reference, reason)) = named {
            self.decide("base image", &reference, reason);
            return Base {
                reference,
                kind: BaseKind::Named,
            };
        }
        if self.options.cog_base == Some(true) {
            return self.cog_base(frameworks, toolkit);
        }
        let mut rejected = vec![Rejected {
            choice: "Cog's own base image".into(),
            reason: "it holds compilers and media libraries for every model; `--use-cog-base-image` takes it".into(),
        }];
        if let Some(toolkit) = toolkit
            && self.options.cuda_base != Some(false)
            && let Some(devel) = &toolkit.image
        {
            let builds = self.config.build.requirements.needs_tools || self.has_commands();
            let flavour = if builds {
                Flavour::Devel
            } else {
                Flavour::Runtime
            };
            let reference = self
                .tables
                .cuda
                .image(&toolkit.cuda, toolkit.cudnn.as_str(), flavour)
                .unwrap_or_else(|| devel.clone());
            let reason = if builds {
                format!(
                    "NVIDIA's image of CUDA {} and cuDNN {}, with compilers that a command or a requirement may need",
                    toolkit.cuda, toolkit.cudnn
                )
            } else {
                rejected.push(Rejected {
                    choice: devel.clone(),
                    reason:
                        "nothing is compiled, and compilers and headers are two to four gigabytes"
                            .into(),
                });
                format!(
                    "NVIDIA's image of CUDA {} and cuDNN {}",
                    toolkit.cuda, toolkit.cudnn
                )
            };
            rejected.push(Rejected {
                choice: slim,
                reason: "it has no CUDA; `--use-cuda-base-image=false` takes it when the wheels bring their own".into(),
            });
            self.decide_over("base image", &reference, reason, rejected);
            self.duplicates(frameworks, toolkit);
            return Base {
                reference,
                kind: BaseKind::Cuda,
            };
        }
        let (reference, kind, reason) = if asked == Some(PythonProvider::Uv) {
            (
                PLAIN_BASE.to_owned(),
                BaseKind::Debian,
                "uv brings Python, so a plain Debian is enough".to_owned(),
            )
        } else {
            (
                slim,
                BaseKind::Python,
                format!("it is the smallest official image that has Python {version}"),
            )
        };
        if toolkit.is_some() {
            rejected.push(Rejected {
                choice: "NVIDIA's image".into(),
                reason: "the command line rules it out: CUDA comes with the wheels".into(),
            });
        }
        self.decide_over("base image", &reference, reason, rejected);
        Base { reference, kind }
    }

    fn has_commands(&self) -> bool {
        let build = &self.config.build;
        !(build.run.is_empty()
            && build.pre_install.is_empty()
            && self.config.extension.run.is_empty())
    }

    fn cog_base(&mut self, frameworks: &Frameworks<'_>, toolkit: Option<&Toolkit>) -> Base {
        let asked = &self.config.build.python_version;
        let python = asked.value.line();
        if asked.value.to_string() != python {
            self.find(
                Severity::Warning,
                At::Key(asked.span),
                format!(
                    "Cog's base images have no patch versions of Python: {} becomes {python}",
                    asked.value
                ),
                format!("write \"{python}\""),
            );
        }
        let cuda = toolkit
            .map(|toolkit| toolkit.cuda.to_string())
            .unwrap_or_default();
        let torch = frameworks
            .torch
            .as_ref()
            .and_then(|torch| torch.version.clone())
            .unwrap_or_default();
        let held = self
            .tables
            .cog_base_torch(&cuda, &python, &torch)
            .unwrap_or_default();
        let reference = self.tables.cog_base_name(&cuda, &python, &held);
        if self.tables.cog_base_exists(&cuda, &python, &held) {
            let reason = if held.is_empty() {
                "the command line asks for Cog's own base image".to_owned()
            } else {
                format!(
                    "the command line asks for Cog's own base image, and there is one with torch {held}"
                )
            };
            self.decide("base image", &reference, reason);
        } else {
            let none = |text: &str| {
                if text.is_empty() {
                    "none".to_owned()
                } else {
                    text.to_owned()
                }
            };
            self.find(
                Severity::Error,
                At::Key(self.config.build.python_version.span),
                format!(
                    "Cog has no base image for CUDA {}, Python {python} and torch {}",
                    none(&cuda),
                    none(&held)
                ),
                "leave out `--use-cog-base-image`",
            );
        }
        Base {
            reference,
            kind: BaseKind::Cog,
        }
    }

    /// Says when CUDA is in the image twice: in the base, and in wheels.
    fn duplicates(&mut self, frameworks: &Frameworks<'_>, toolkit: &Toolkit) {
        let nvidia: Vec<&str> = self
            .config
            .build
            .requirements
            .packages
            .iter()
            .map(|package| package.name.as_str())
            .filter(|name| name.starts_with("nvidia-") || *name == "cuda-toolkit")
            .collect();
        let what = match (&frameworks.torch, nvidia.first()) {
            (_, Some(name)) => format!("`{name}`"),
            (Some(_), None) => "torch".to_owned(),
            (None, None) => return,
        };
        // TensorFlow up to 2.13 needs the libraries of the image.
        if frameworks.tensorflow.is_some() {
            return;
        }
        self.decide(
            "cuda twice",
            "kept",
            format!(
                "wheels of {what} bring the libraries of CUDA {} that the base image has, too; `--use-cuda-base-image=false` leaves out those of the image",
                toolkit.cuda.line()
            ),
        );
    }

    pub(super) fn python(&mut self, chosen: &Chosen) {
        let version = self.config.build.python_version.value;
        let given =
            self.options.python_provider.is_some() || self.config.extension.python.is_some();
        match chosen.provider {
            PythonProvider::Base => self.decide(
                "python",
                format!("{version} from the base image"),
                "`build.python_version` asks for it and the base image provides it",
            ),
            PythonProvider::Uv => {
                let reason = if given {
                    "`build.python_version` asks for it and uv was chosen"
                } else {
                    "`build.python_version` asks for it and the base image has none"
                };
                self.decide("python", format!("{version} from uv"), reason);
            }
        }
    }
}
