//! The plan: everything a build will do, as a value.
//!
//! A [`Plan`] lies between `cog.yaml` and the graph. It is made without asking anything outside of
//! the project, so the same project gives the same plan; it is what `cog-python plan --json`
//! prints, what tests hold as snapshots, and all that the layers in
//! [`layer`](crate::layer) read. It holds no secret: secrets are named, never valued.
//!
//! The JSON form is versioned by the field `version`; [`Plan::from_json`] refuses others, and a
//! plan read back is equal to the one written.

mod certificates;
mod dockerfile;
mod graph;
mod images;
mod locked;
mod make;
mod packages;
mod secrets;
mod size;
mod text;
mod weights;

#[cfg(feature = "cli")]
pub(crate) use certificates::joins_certificates;
#[cfg(feature = "cli")]
pub(crate) use images::is_same;
pub use locked::{LockedError, Measured};
#[cfg(feature = "cli")]
pub(crate) use make::ignore_patterns;
pub(crate) use make::{EXCLUDED, PYTHON, VENV, literal};
pub use packages::{
    BuildWheel, InstallWheels, LockPackages, RemoteFile, UvProgram, Wheel, WheelGroup, WheelOrigin,
};

#[cfg(feature = "cli")]
pub(crate) use size::megabytes;
pub use size::{CudaTwice, Forecast, WheelSizes};
pub use weights::{CopyWeights, WeightFiles, WeightOrigin};

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::config::{AptSnapshot, PythonVersion, SystemPackage};
use crate::sdk::SdkVersion;

/// Version of the JSON form that this crate writes and reads.
pub const PLAN_VERSION: u32 = 3;

/// Everything a build will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Version of this form: [`PLAN_VERSION`].
    pub version: u32,
    /// Name of the image to build.
    pub image: String,
    /// `os/architecture[/variant]`.
    pub platform: String,
    /// Network of the steps that need one.
    pub network: Network,
    /// What was decided, and why.
    pub decisions: Vec<Decision>,
    /// What is done; a step comes after those it names.
    pub steps: Vec<Step>,
    /// What a container of the image takes over.
    pub config: ImageConfig,
    /// Digests that a lock has of images that steps name, by the name in the steps.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digests: BTreeMap<String, String>,
}

/// One decision and its reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// What was to decide, such as `base image`.
    pub subject: String,
    /// What was chosen.
    pub choice: String,
    /// Why; one sentence without a full stop.
    pub reason: String,
    /// What was not chosen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rejected: Vec<Rejected>,
}

/// An alternative that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rejected {
    /// The alternative.
    pub choice: String,
    /// Why not; a clause without a full stop.
    pub reason: String,
}

/// Network of steps that fetch something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// What the builder gives to a step.
    #[default]
    Default,
    /// The network of the builder's host.
    Host,
    /// None: everything must be cached or local.
    None,
}

/// One step of a build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Unique name.
    pub name: String,
    /// Steps whose files this one sees, in the order in which they are laid over each other.
    /// Steps that do not name each other, directly or through others, are independent.
    pub after: Vec<String>,
    /// Where in the project the step was asked for: `cog.yaml:7`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The only folder the step writes; without one it may write anywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<String>,
    /// What is done.
    pub action: Action,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Takes the files of an image.
    Base {
        /// Image reference.
        reference: String,
    },
    /// Installs system packages.
    Apt {
        /// Packages, sorted, without repeats.
        packages: Vec<SystemPackage>,
        /// Whether what they recommend is installed, too.
        recommends: bool,
        /// Day of the past that they are taken of, if not that of the build.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        snapshot: Option<AptSnapshot>,
    },
    /// Installs a Python with uv.
    Python {
        /// Version or release line.
        version: PythonVersion,
        /// The uv program.
        uv: UvProgram,
        /// Address of the list of Pythons to choose from, instead of uv's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        downloads: Option<String>,
        /// Path the interpreter is found at afterwards.
        interpreter: String,
    },
    /// Makes the virtual environment.
    Venv {
        /// Interpreter it is made with: a path, or a name to look for in `PATH`.
        interpreter: String,
        /// Release line the interpreter must have; the step fails otherwise.
        version: PythonVersion,
        /// Folder of the environment.
        path: String,
        /// Whether it sees the packages of the interpreter, such as the torch of a base image.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        site_packages: bool,
        /// Packages that every environment starts with and that a wheel of the plan brings: they are removed.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaced: Vec<String>,
    },
    /// Chooses the files of all Python packages.
    Lock(LockPackages),
    /// Builds a wheel.
    Build(BuildWheel),
    /// Installs wheels into the virtual environment.
    Wheels(InstallWheels),
    /// Runs a command of the user.
    Run {
        /// Shell text; several lines run as one script that stops at the first failure.
        command: String,
        /// What the command sees besides the image.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mounts: Vec<Mount>,
        /// Network of the command, when it is not the plan's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<Network>,
        /// Variables of the command.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        environment: IndexMap<String, String>,
    },
    /// Copies the project.
    Source(Source),
    /// Copies weights into a layer of their own.
    Weights(CopyWeights),
    /// Writes a text into a file with mode 0644.
    Write {
        /// Absolute path.
        path: String,
        /// Content, with a line feed at its end.
        text: String,
    },
    /// Asks the model for its OpenAPI document, where its signature cannot be read.
    Schema {
        /// Absolute path of the document.
        path: String,
        /// Folder of the project.
        working_directory: String,
        /// Variables of the model.
        #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
        environment: IndexMap<String, String>,
    },
    /// Lays the steps it comes after over each other and adds the image's configuration.
    Assemble {},
}

/// Copies the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the local source.
    pub context: String,
    /// Patterns of what stays out, in `.dockerignore` form; the last match decides.
    pub exclude: Vec<String>,
    /// Folder in the image.
    pub destination: String,
    /// A configuration that is not called `cog.yaml`, to be copied under that name as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_file: Option<String>,
}

/// What a command sees besides the image. Nothing of it is in the image afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub enum Mount {
    /// A secret as a file.
    Secret {
        /// Name under which the secret is given.
        id: String,
        /// Absolute path.
        target: String,
        /// Whether a build without the secret fails.
        required: bool,
    },
    /// An SSH agent.
    Ssh {
        /// Name under which the agent is given; `default` is the usual one.
        id: String,
        /// Whether a build without the agent fails.
        required: bool,
    },
    /// A folder that outlives the build.
    Cache {
        /// Name; builds that give the same one share it.
        id: String,
        /// Absolute path.
        target: String,
    },
    /// A folder or file of the project, where what the command writes is dropped, or of something else, which it cannot
    /// write to.
    Bind {
        /// Path in the project or in `from`; empty is all of it.
        source: String,
        /// Absolute path.
        target: String,
        /// Name of a context, or of an image where no context takes its place; the project if there is none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
    },
}

/// What a container of the image takes over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageConfig {
    /// Variables, in order, laid over those of the base image.
    pub environment: IndexMap<String, String>,
    /// Folders put before the `PATH` of the base image, first one first.
    pub path: Vec<String>,
    /// Program that starts the command.
    pub entrypoint: Vec<String>,
    /// Command.
    pub command: Vec<String>,
    /// Working directory.
    pub working_directory: String,
    /// Ports, such as `5000/tcp`.
    pub exposed_ports: Vec<String>,
    /// Labels, in order.
    pub labels: IndexMap<String, String>,
}

/// Where Python comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PythonProvider {
    /// The base image has it.
    #[default]
    Base,
    /// uv installs it.
    Uv,
}

/// What runs as `pip` in the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pip {
    /// Nothing, unless a requirement names it.
    #[default]
    None,
    /// pip itself.
    Real,
    /// A program that installs nothing and succeeds, for runtimes that call pip when they start.
    Shim,
}

/// Where the compilers of a GPU build are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compilers {
    /// In the build alone: what they make is taken over.
    Build,
    /// In the image.
    Image,
}

/// Why a text is not a plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Not JSON, or not of the form of a plan.
    #[error("the text is not a plan: {0}")]
    Form(#[from] serde_json::Error),
    /// Of another version.
    #[error("the plan has version {found}, this program reads version {PLAN_VERSION}")]
    Version {
        /// The version of the text.
        found: u64,
    },
}

impl Plan {
    /// The plan as JSON, indented, with a final line feed.
    ///
    /// # Panics
    ///
    /// Never: every field is a JSON value.
    pub fn to_json(&self) -> String {
        let mut text =
            serde_json::to_string_pretty(self).expect("strings, lists and maps are JSON values");
        text.push('\n');
        text
    }

    /// Reads a plan written by [`to_json`](Self::to_json).
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let value: serde_json::Value = serde_json::from_str(text)?;
        if let Some(found) = value.get("version").and_then(serde_json::Value::as_u64)
            && found != u64::from(PLAN_VERSION)
        {
            return Err(PlanError::Version { found });
        }
        Ok(serde_json::from_value(value)?)
    }

    /// The step of a name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Version of the SDK a plan installs, as far as it is known before the build.
    pub fn sdk(&self) -> Option<SdkVersion> {
        self.config
            .labels
            .get("run.cog.version")
            .and_then(|version| version.parse().ok())
    }
}
