//! `cog.yaml`, read and checked.
//!
//! [`read`] gives a [`Config`] and a [`Report`](crate::Report) of everything that is wrong or deprecated, each
//! with line, column and the line itself. A `Config` exists only when nothing is wrong, so what
//! follows ([`Resolution`](crate::Resolution), [`Plan`](crate::Plan)) has no user mistakes to
//! deal with.

mod apt_snapshot;
mod environment;
mod extension;
mod image_name;
mod keys;
mod label;
mod python;
mod read;
mod run_reference;
mod schema;
mod system_package;
mod weight;

pub use apt_snapshot::{AptSnapshot, AptSnapshotError};
pub use extension::{Extension, RunStep};
pub use image_name::{ImageName, ImageNameError};
pub use label::label;
pub use python::{PythonVersion, PythonVersionError};
pub use read::{draft, read};
pub use run_reference::{RunReference, RunReferenceError};
pub use schema::schema;
pub use system_package::{SystemPackage, SystemPackageError};
pub use weight::{Weight, WeightSource};

pub(crate) use environment::sounds_secret;

use std::collections::BTreeMap;

use crate::diagnostic::{Source, Span, Spanned};
use crate::requirement::Requirements;
use crate::sdk::SdkVersion;
use crate::tables::Release;

/// A model's configuration without mistakes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Path of the file relative to the project folder, usually `cog.yaml`.
    pub file: String,
    /// `build`.
    pub build: Build,
    /// `environment`, in the order of the file.
    pub environment: Vec<Spanned<Variable>>,
    /// `image`.
    pub image: Option<Spanned<ImageName>>,
    /// `model`: the repository that image and weights are pushed to.
    pub model: Option<Spanned<ImageName>>,
    /// `run`, or its old name `predict`.
    pub run: Option<Spanned<RunReference>>,
    /// `train`.
    pub train: Option<Spanned<RunReference>>,
    /// `concurrency.max`, deprecated.
    pub concurrency: Option<Spanned<u32>>,
    /// `weights`.
    pub weights: Vec<Weight>,
    /// `x-cog-python`.
    pub extension: Extension,
    /// The files that were read, by name, for findings about what they ask for.
    pub sources: BTreeMap<String, Source>,
}

/// The `build` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// `gpu`.
    pub gpu: bool,
    /// `cuda`.
    pub cuda: Option<Spanned<Release>>,
    /// `cudnn`: a major version.
    pub cudnn: Option<Spanned<Release>>,
    /// `python_version`, or what `.python-version` says where the key is missing.
    pub python_version: Spanned<PythonVersion>,
    /// Whether the version is that of `.python-version`.
    pub python_version_of_file: bool,
    /// `python_requirements` or `python_packages`.
    pub python: PythonPackages,
    /// What pip is given, read from either of them.
    pub requirements: Requirements,
    /// `system_packages`, in the order of the file.
    pub system_packages: Vec<Spanned<SystemPackage>>,
    /// `run`.
    pub run: Vec<RunCommand>,
    /// `pre_install`, deprecated: runs after `run`.
    pub pre_install: Vec<RunCommand>,
    /// `sdk_version`.
    pub sdk_version: Option<Spanned<SdkVersion>>,
}

/// Where a model lists its Python packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PythonPackages {
    /// Nowhere.
    None,
    /// In a requirements file, by its path as written.
    File(Spanned<String>),
    /// In `cog.yaml`, deprecated.
    List(Vec<Spanned<String>>),
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Name: letters, digits and `_`.
    pub name: String,
    /// Value, which may be empty.
    pub value: String,
}

/// A command of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunCommand {
    /// Shell text, trimmed; several lines are one script.
    pub command: String,
    /// Secrets the command can read.
    pub mounts: Vec<SecretMount>,
    /// Where it was written.
    pub span: Span,
}

/// A secret as a file of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretMount {
    /// Name under which the secret is given: `--secret id=ID,…`.
    pub id: String,
    /// Absolute path of the file.
    pub target: String,
}
