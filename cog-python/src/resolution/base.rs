//! The base image, and where Python comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use llb::value::ImageRef;
use serde::Deserialize;

use super::cuda::Toolkit;
use super::framework::Frameworks;
use super::{At, Base, BaseKind, Resolver};
use crate::diagnostic::Severity;
use crate::plan::{Compilers, PythonProvider, Rejected, RemoteFile, UvProgram};
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
    /// The image with compilers of steps that compile, where the base has none.
    pub(super) compilers: Option<String>,
    pub(super) provider: PythonProvider,
}

/// Where compilers are needed.
struct Split {
    /// Whether there are steps that compile and whose result is taken over without them.
    compiles: bool,
    /// Whether the image has them.
    in_image: bool,
    /// What of the project decides it.
    why: String,
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
        let (base, compilers) = self.base_image(frameworks, toolkit, asked);
        if base.kind != BaseKind::Cuda {
            self.idle_compilers();
        }
        let provider = asked.unwrap_or(match base.kind {
            BaseKind::Cuda | BaseKind::Debian => PythonProvider::Uv,
            BaseKind::Python | BaseKind::Cog | BaseKind::Named => PythonProvider::Base,
        });
        Chosen {
            base,
            compilers,
            provider,
        }
    }

    fn base_image(
        &mut self,
        frameworks: &Frameworks<'_>,
        toolkit: Option<&Toolkit>,
        asked: Option<PythonProvider>,
    ) -> (Base, Option<String>) {
        let version = self.config.build.python_version.value;
        let slim = format!("python:{version}-slim");
        let named = match (&self.options.base, &self.config.extension.base) {
            (Some(base), _) => Some((base.clone(), "the command line names it")),
            (None, Some(base)) => Some((base.value.clone(), "`x-cog-python.base` names it")),
            (None, None) => None,
        };
        if let Some((reference, reason)) = named {
            self.decide("base image", &reference, reason);
            // What is known of the image that would be taken holds for it, too, however its name is spelled.
            let parsed = |text: &str| text.parse::<ImageRef>().ok();
            let kind = if parsed(&reference).is_some() && parsed(&reference) == parsed(&slim) {
                BaseKind::Python
            } else {
                BaseKind::Named
            };
            return (Base { reference, kind }, None);
        }
        if self.options.cog_base == Some(true) {
            return (self.cog_base(frameworks, toolkit), None);
        }
        let mut rejected = vec![Rejected {
            choice: "Cog's own base image".into(),
            reason: "it holds compilers and media libraries for every model; `--use-cog-base-image` takes it".into(),
        }];
        if let Some(toolkit) = toolkit
            && self.options.cuda_base != Some(false)
            && let Some(devel) = &toolkit.image
        {
            let split = self.compilers_place();
            let in_image = split.in_image;
            let runtime =
                self.tables
                    .cuda
                    .image(&toolkit.cuda, toolkit.cudnn.as_str(), Flavour::Runtime);
            let reference = match runtime.filter(|_| !in_image) {
                Some(runtime) => runtime,
                None => devel.clone(),
            };
            let is_devel = reference == *devel;
            let mut reason = format!(
                "NVIDIA's image of CUDA {} and cuDNN {}",
                toolkit.cuda, toolkit.cudnn
            );
            if is_devel {
                let _ = write!(reason, ", with compilers {}", split.why);
            } else if !split.compiles {
                rejected.push(Rejected {
                    choice: devel.clone(),
                    reason:
                        "nothing is compiled, and compilers and headers are two to four gigabytes"
                            .into(),
                });
            }
            rejected.push(Rejected {
                choice: slim,
                reason: "it has no CUDA; `--use-cuda-base-image=false` takes it when the wheels bring their own".into(),
            });
            self.decide_over("base image", &reference, reason, rejected);
            let compilers = (split.compiles && !is_devel).then(|| devel.clone());
            if let Some(devel) = &compilers {
                let rejected = vec![Rejected {
                    choice: "in the image".into(),
                    reason: "they are two to four gigabytes; `--compilers image` keeps them, for models that compile when they run".into(),
                }];
                let reason = format!(
                    "{}; of what is made there, wheels and named folders alone are taken over",
                    split.why
                );
                let choice = format!("{devel}, in the build alone");
                self.decide_over("compilers", choice, reason, rejected);
            }
            self.duplicates(frameworks, toolkit);
            let base = Base {
                reference,
                kind: BaseKind::Cuda,
            };
            return (base, compilers);
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
        (Base { reference, kind }, None)
    }

    /// Says that a place of compilers was chosen, and that there are none.
    fn idle_compilers(&mut self) {
        let key = self.config.extension.compilers.as_ref();
        let (at, what) = match (self.options.compilers, key) {
            (Some(_), _) => (At::Nowhere, "`--compilers`"),
            (None, Some(place)) => (At::Key(place.span), "`compilers`"),
            (None, None) => return,
        };
        self.find(
            Severity::Warning,
            at,
            format!("{what} decides nothing: the base is no image of NVIDIA, which has forms with and without compilers"),
            "leave it out, or build for a GPU on NVIDIA's image",
        );
    }

    /// Whether something is compiled, and whether the image needs the compilers for it.
    fn compilers_place(&self) -> Split {
        let build = &self.config.build;
        let extension = &self.config.extension;
        let writes = extension.run.iter().any(|step| step.writes.is_some());
        let anywhere = extension.run.iter().any(|step| step.writes.is_none());
        let anywhere = anywhere || !build.run.is_empty() || !build.pre_install.is_empty();
        let requirement = build.requirements.needs_tools;
        let asked = match (self.options.compilers, &extension.compilers) {
            (Some(place), _) => Some((place, "the command line")),
            (None, Some(place)) => Some((place.value, "`x-cog-python.compilers`")),
            (None, None) => None,
        };
        let in_build = match (requirement, writes) {
            (true, true) => "a requirement and a command with `writes` may be compiled",
            (true, false) => "a requirement may be compiled",
            _ => "a command with `writes` may compile",
        };
        let (in_image, why) = match asked {
            Some((Compilers::Image, who)) => (true, format!("because {who} asks for them")),
            Some((Compilers::Build, who)) => (false, format!("{who} asks for them there")),
            None if anywhere => (
                true,
                "that a command may need, which may write anywhere: `--compilers build`, or `writes` of all commands that compile, leaves them out".to_owned(),
            ),
            None => (false, in_build.to_owned()),
        };
        // A release of an index may have no wheel: whoever asks for compilers knows.
        let is_asked = matches!(asked, Some((Compilers::Build, _)));
        Split {
            compiles: requirement || writes || is_asked,
            in_image,
            why,
        }
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
        let asks = if self.config.build.python_version_of_file {
            "`.python-version` asks for it, `build.python_version` is not set,"
        } else {
            "`build.python_version` asks for it"
        };
        let (from, because) = match chosen.provider {
            PythonProvider::Base => ("the base image", "the base image provides it"),
            PythonProvider::Uv if given => ("uv", "uv was chosen"),
            PythonProvider::Uv => ("uv", "the base image has none"),
        };
        self.decide(
            "python",
            format!("{version} from {from}"),
            format!("{asks} and {because}"),
        );
    }
}
