//! The choices `cog.yaml` leaves open, each with its reason.
//!
//! [`resolve`] is a function of the configuration and the options alone; it asks nothing outside of its arguments. What it
//! knows of releases is in [`Tables`].
//!
//! | Chosen in | What |
//! |---|---|
//! | `framework` | which torch and TensorFlow the requirements mean |
//! | `cuda` | CUDA and cuDNN |
//! | `wheels` | the wheels and indexes that go with them |
//! | `base` | base image, and where Python comes from |
//! | `system` | system packages, and what waits for them |
//! | `weights` | weights that are a part of the image |
//! | `device` | GPU architectures and drivers that the image must run with |

mod base;
mod cuda;
mod device;
mod framework;
mod system;
mod weights;
mod wheels;

use std::sync::Arc;

use crate::ca::Certificates;
use crate::config::{AptSnapshot, Config, ImageName, SystemPackage};
use crate::diagnostic::{Diagnostic, Report, Severity, Span};
use crate::plan::{Compilers, Decision, Network, Pip, PythonProvider, Rejected, UvProgram};
use crate::sdk::SdkVersion;
use crate::tables::{Architecture, Release, Tables};

pub use device::{Kernels, kernels};
pub use weights::IncludedWeights;

/// The uv program that is taken when nobody names one.
pub(crate) fn uv_program(machine: &str) -> UvProgram {
    base::uv(None, machine)
}

/// What the command line decides. The default is what a plain `cog-python build` uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Name of the project folder, from which the image is named when nothing else names it.
    pub folder: String,
    /// Name of the image (`--tag`).
    pub tag: Option<ImageName>,
    /// `os/architecture[/variant]` (`--platform`).
    pub platform: Option<Platform>,
    /// Where Python comes from (`--python-provider`).
    pub python_provider: Option<PythonProvider>,
    /// Base image (`--base`).
    pub base: Option<String>,
    /// Whether one of Cog's own base images is taken (`--use-cog-base-image`); nothing means no.
    pub cog_base: Option<bool>,
    /// Whether a GPU build is based on an image of NVIDIA (`--use-cuda-base-image`); nothing means yes.
    pub cuda_base: Option<bool>,
    /// Where the compilers of a GPU build are (`--compilers`); nothing means where they are needed.
    pub compilers: Option<Compilers>,
    /// GPUs that the image must run on (`--gpu-arch`).
    pub gpu_architectures: Vec<Architecture>,
    /// NVIDIA driver that the image must run with (`--driver`).
    pub driver: Option<Release>,
    /// What is known of releases (`--tables`), instead of the tables of this crate.
    pub tables: Option<Arc<Tables>>,
    /// SDK version (`--sdk-version`), or where the SDK comes from (`--sdk-wheel`).
    pub sdk_version: Option<SdkVersion>,
    /// Image that holds uv (`--uv-image`).
    pub uv_image: Option<String>,
    /// Compiles the modules of packages (`--precompile`).
    pub precompile: bool,
    /// Leaves out debug information of packages (`--strip`).
    pub strip: bool,
    /// List of Pythons that uv chooses from (`--uv-downloads`).
    pub uv_downloads: Option<String>,
    /// Network of steps (`--network`).
    pub network: Network,
    /// Installs Python packages after the system packages in any case (`--pip-after-apt`).
    pub pip_after_apt: bool,
    /// Leaves out packages that system packages only recommend (`--no-recommends`).
    pub no_recommends: bool,
    /// Day of the past that system packages are taken of (`--apt-snapshot`).
    pub apt_snapshot: Option<AptSnapshot>,
    /// Certificates that programs in the image trust besides those of the base (`--image-ca-cert`).
    pub ca_cert: Option<Certificates>,
    /// Leaves out the project (`--no-source`): it is mounted when the image runs.
    pub no_source: bool,
    /// Folders and files of the project that are weights (`--separate-weights`): each gets a layer of its own.
    pub weights: Vec<String>,
    /// Copies what `weights` of cog.yaml names into the image (`--include-weights`).
    pub include_weights: bool,
    /// Labels of the image (`--label`), in order.
    pub labels: Vec<(String, String)>,
    /// Text of `.dockerignore`.
    pub ignore: Option<String>,
    /// The OpenAPI document of the model, compact, as [`Schema`](crate::schema::Schema) reads it.
    pub schema: Option<String>,
    /// Whether the model itself is asked for its OpenAPI document in the build, when `schema` has none.
    pub ask_schema: bool,
    /// Most predictions at once that the code itself asks for.
    pub concurrency: Option<u32>,
    /// Commit and name of the release that the project is at.
    pub revision: Option<String>,
    /// Name of the release or branch that the project is at.
    pub release: Option<String>,
}

/// A platform images are built for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform(String);

impl Platform {
    /// The platform as `os/architecture[/variant]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What Python calls the machine.
    fn machine(&self) -> &'static str {
        if self.0 == "linux/arm64" {
            "aarch64"
        } else {
            "x86_64"
        }
    }
}

/// Why a text is not a platform this program builds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not `linux/…`.
    #[error("must be `linux/amd64` or `linux/arm64`: Cog's runtime has no release for others")]
    Unsupported,
}

impl Default for Platform {
    /// Cog's platform when none is named.
    fn default() -> Self {
        Self("linux/amd64".into())
    }
}

impl std::str::FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "linux/amd64" | "linux/x86_64" => Ok(Self("linux/amd64".into())),
            "linux/arm64" | "linux/arm64/v8" | "linux/aarch64" => Ok(Self("linux/arm64".into())),
            _ => Err(PlatformError::Unsupported),
        }
    }
}

/// What will be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Name of the image.
    pub image: ImageName,
    /// Platform.
    pub platform: Platform,
    /// Base image of the result.
    pub base: Base,
    /// Image with compilers for the steps that compile, where the base has none.
    pub compilers: Option<String>,
    /// Where Python comes from.
    pub python_provider: PythonProvider,
    /// The uv program.
    pub uv: UvProgram,
    /// Whether the modules of packages are compiled.
    pub precompile: bool,
    /// Whether debug information of packages is left out.
    pub strip: bool,
    /// List of Pythons that uv chooses from, if not its own.
    pub uv_downloads: Option<String>,
    /// SDK.
    pub sdk: SdkVersion,
    /// CUDA of a GPU build.
    pub cuda: Option<Release>,
    /// cuDNN of a GPU build.
    pub cudnn: Option<Release>,
    /// NVIDIA's image for this CUDA and cuDNN with compilers, whether it is the base or not.
    pub cuda_image: Option<String>,
    /// torch that is installed, when one version is decided, and the CUDA its wheel is built for.
    pub torch: Option<(String, Option<Release>)>,
    /// Lines for pip: options first, then the requirements with the wheels that fit.
    pub requirements: Vec<String>,
    /// System packages, sorted, without repeats, the init among them.
    pub system_packages: Vec<SystemPackage>,
    /// Whether packages that they recommend are installed, too.
    pub recommends: bool,
    /// Day of the past that they are taken of.
    pub apt_snapshot: Option<AptSnapshot>,
    /// Whether Python packages are installed on top of the system packages.
    pub pip_after_apt: bool,
    /// Weights that become a part of the image.
    pub weights: Vec<IncludedWeights>,
    /// What runs as `pip` in the image.
    pub pip: Pip,
    /// Every choice with its reason, in the order of reading.
    pub decisions: Vec<Decision>,
}

/// The base image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Reference.
    pub reference: String,
    /// What kind of image it is.
    pub kind: BaseKind,
}

/// Kinds of base images, by what they bring along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BaseKind {
    /// An official image of Python.
    Python,
    /// A plain Debian.
    Debian,
    /// An image of NVIDIA.
    Cuda,
    /// An image of Cog: Python, an init, system packages and maybe torch.
    Cog,
    /// One that the user names.
    Named,
}

/// Resolves a configuration. The resolution is there exactly when the report has no errors.
pub fn resolve(config: &Config, options: &Options) -> (Option<Resolution>, Report) {
    let mut resolver = Resolver::new(config, options);
    let resolution = resolver.resolve();
    let report = resolver.report;
    ((!report.has_errors()).then_some(resolution), report)
}

/// What cannot be together of what a configuration names, which may have [other mistakes](crate::config::draft).
pub fn contradictions(config: &Config, options: &Options) -> Report {
    let mut resolver = Resolver::new(config, options);
    let frameworks = resolver.frameworks(&options.platform.clone().unwrap_or_default());
    // What else it says depends on what may be wrong.
    resolver.report = Report::new();
    resolver.contradictions(&frameworks);
    resolver.report
}

struct Resolver<'a> {
    config: &'a Config,
    options: &'a Options,
    tables: &'a Tables,
    report: Report,
    decisions: Vec<Decision>,
}

/// What a finding is about.
#[derive(Clone, Copy)]
enum At<'p> {
    /// A key of the configuration.
    Key(Span),
    /// A requirement.
    Package(&'p crate::requirement::Package),
    /// The command line, or nothing the user wrote.
    Nowhere,
}

impl<'a> Resolver<'a> {
    fn new(config: &'a Config, options: &'a Options) -> Self {
        Self {
            config,
            options,
            tables: options.tables.as_deref().unwrap_or(Tables::built_in()),
            report: Report::new(),
            decisions: Vec::new(),
        }
    }
}

impl Resolver<'_> {
    fn decide(&mut self, subject: &str, choice: impl Into<String>, reason: impl Into<String>) {
        self.decide_over(subject, choice, reason, Vec::new());
    }

    fn decide_over(
        &mut self,
        subject: &str,
        choice: impl Into<String>,
        reason: impl Into<String>,
        rejected: Vec<Rejected>,
    ) {
        self.decisions.push(Decision {
            subject: subject.to_owned(),
            choice: choice.into(),
            reason: reason.into(),
            rejected,
        });
    }

    fn find(
        &mut self,
        severity: Severity,
        at: At<'_>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let (file, span) = match at {
            At::Key(span) => (self.config.file.as_str(), span),
            At::Package(package) => (package.place.file.as_str(), package.place.span),
            At::Nowhere => {
                self.report
                    .push(Diagnostic::of(severity, message).hint(hint));
                return;
            }
        };
        let finding = match self.config.sources.get(file) {
            Some(source) if severity == Severity::Error => source.error(span, message),
            Some(source) => source.warning(span, message),
            None => Diagnostic::of(severity, message),
        };
        self.report.push(finding.hint(hint));
    }

    fn resolve(&mut self) -> Resolution {
        let (image, reason) = match (&self.options.tag, &self.config.image, &self.config.model) {
            (Some(tag), ..) => (tag.clone(), "the command line names it"),
            (None, Some(image), _) => (image.value.clone(), "`image` in cog.yaml names it"),
            (None, None, Some(model)) => (model.value.clone(), "`model` in cog.yaml names it"),
            (None, None, None) => (
                ImageName::for_folder(&self.options.folder),
                "the project folder is called so",
            ),
        };
        self.decide("image name", image.as_str(), reason);
        let (platform, reason) = match &self.options.platform {
            Some(platform) => (platform.clone(), "the command line names it"),
            None => (
                Platform::default(),
                "it is Cog's platform when none is named",
            ),
        };
        self.decide("platform", platform.as_str(), reason);

        let frameworks = self.frameworks(&platform);
        let toolkit = self.toolkit(&frameworks);
        let wheels = self.wheels(&frameworks, toolkit.as_ref());
        self.devices(&frameworks, &wheels, toolkit.as_ref());
        let chosen = self.base(&frameworks, toolkit.as_ref());
        self.python(&chosen);

        let (sdk, reason) = match (&self.options.sdk_version, &self.config.build.sdk_version) {
            (Some(version), _) => (version.clone(), "the command line names it"),
            (None, Some(version)) => (version.value.clone(), "`build.sdk_version` names it"),
            (None, None) => (
                SdkVersion::default_release(),
                "nothing names a version, and a fixed one gives the same image again",
            ),
        };
        self.decide("cog", sdk.to_string(), reason);
        let system_packages = self.system_packages(chosen.base.kind);
        let recommends = self.recommends();
        let apt_snapshot = self.apt_snapshot();
        let pip_after_apt = self.placement(&system_packages);
        let pip = self.pip();
        self.source();
        let weights = self.included_weights();
        Resolution {
            image,
            base: chosen.base,
            compilers: chosen.compilers,
            python_provider: chosen.provider,
            uv: base::uv(self.options.uv_image.as_deref(), platform.machine()),
            precompile: self.options.precompile,
            strip: self.options.strip,
            uv_downloads: self.options.uv_downloads.clone(),
            platform,
            sdk,
            cuda: toolkit.as_ref().map(|toolkit| toolkit.cuda.clone()),
            cudnn: toolkit.as_ref().map(|toolkit| toolkit.cudnn.clone()),
            cuda_image: toolkit.and_then(|toolkit| toolkit.image),
            torch: wheels.torch,
            requirements: wheels.lines,
            system_packages,
            recommends,
            apt_snapshot,
            pip_after_apt,
            weights,
            pip,
            decisions: std::mem::take(&mut self.decisions),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_are_normalized() {
        assert_eq!(
            "linux/aarch64".parse::<Platform>().unwrap().as_str(),
            "linux/arm64"
        );
        assert!("windows/amd64".parse::<Platform>().is_err());
    }
}
