//! Python packages in a plan: how they are chosen, built and installed.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::lock::{DirectUrl, Login};

/// What requirements of repositories have that are fetched over SSH.
const OVER_SSH: &str = "+ssh://";

/// The uv program. It is mounted into the steps that use it and is not part of the image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UvProgram {
    /// Image that holds it as `/uv`.
    pub image: String,
    /// Its wheel, which is taken instead of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wheel: Option<RemoteFile>,
}

/// A file that is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteFile {
    /// Its name.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// SHA-256 digest in hexadecimal digits.
    pub sha256: String,
    /// Name of the secret that is sent as `Authorization` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
}

/// Chooses the release and the files of every package, in the middle of the build: the result is a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockPackages {
    /// Interpreter that packages are chosen for: a path, or a name to look for in `PATH`.
    pub interpreter: String,
    /// The resolver.
    pub uv: UvProgram,
    /// Lines of the requirements file.
    pub requirements: Vec<String>,
    /// Lines of the constraints file; empty when there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    /// Secrets that requirement lines use as `${NAME}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Files and folders of the project that lines name; they are mounted for the step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<String>,
    /// Variables of the step.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
    /// Whether packages that the interpreter has itself are not installed again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub site_packages: bool,
}

impl LockPackages {
    /// Whether repositories are fetched over SSH, with the agent of whoever builds.
    pub fn needs_agent(&self) -> bool {
        let mut lines = self.requirements.iter().chain(&self.constraints);
        lines.any(|line| line.contains(OVER_SSH))
    }
}

impl BuildWheel {
    /// Whether the repository is fetched over SSH, with the agent of whoever builds.
    pub fn needs_agent(&self) -> bool {
        self.requirement.contains(OVER_SSH)
    }
}

/// Builds a wheel of a source archive, a folder or a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuildWheel {
    /// Folder of the virtual environment, whose pip builds.
    pub venv: String,
    /// Name of the package.
    pub package: String,
    /// What pip is given: a requirement, or a path below the folder of the project or of the archive.
    pub requirement: String,
    /// The source archive, fetched and mounted for the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<RemoteFile>,
    /// Options of the requirements file, such as indexes: what the build itself needs is looked for there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Secrets that options and the requirement use as `${NAME}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Files and folders of the project; they are mounted for the step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub local: Vec<String>,
    /// Variables of the step.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
}

/// Installs wheels into the virtual environment, every group as a layer of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallWheels {
    /// Folder of the virtual environment.
    pub venv: String,
    /// Release line of its Python, such as `3.12`.
    pub python: String,
    /// The groups, lowest layer first; nothing while the wheels are not known, which a step before this one finds out in
    /// the middle of the build.
    pub groups: Option<Vec<WheelGroup>>,
    /// Groups there are before any is split for its size.
    pub budget: usize,
    /// Whether modules are compiled, in a form that depends on nothing but their content.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub precompile: bool,
    /// Whether debug information is left out of programs and libraries.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip: bool,
    /// Options of the requirements file, such as indexes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
    /// Hosts that want a login.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logins: Vec<Login>,
    /// Hosts that whoever builds has a login for, in a netrc: their files are fetched with the header that the secret
    /// `authorization.HOST` is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub machines: Vec<String>,
    /// SHA-256 digests that requirement lines allow, by package.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub hashes: IndexMap<String, Vec<String>>,
    /// Where packages were asked for, by name: `requirements.txt:3`.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub places: IndexMap<String, String>,
    /// What the wheels are called by their own metadata, by normalized name, such as `PyYAML==6.0.3`: where a lock says that
    /// they were looked into and have no files in common. Otherwise the build looks into them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distributions: Option<Vec<String>>,
}

/// Wheels that share a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WheelGroup {
    /// What people call it.
    pub name: String,
    /// Its wheels, by file name; of two with a file in common the later one wins.
    pub wheels: Vec<Wheel>,
}

/// A wheel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wheel {
    /// Normalized name of the package.
    pub package: String,
    /// File name.
    pub file: String,
    /// Size in bytes.
    pub size: u64,
    /// Where it is from.
    pub from: WheelOrigin,
    /// Where its package is from, if no index has it: what the image says of it, and `pip freeze`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direct_url: Option<DirectUrl>,
}

/// Where a wheel is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WheelOrigin {
    /// It is fetched.
    Remote {
        /// Its URL.
        url: String,
        /// SHA-256 digest in hexadecimal digits.
        sha256: String,
        /// Name of the secret that is sent as `Authorization` header.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        authorization: Option<String>,
    },
    /// A step builds it.
    Built {
        /// Name of the step.
        step: String,
    },
    /// The project has it.
    Project {
        /// Its path there.
        path: String,
    },
}

impl InstallWheels {
    /// All wheels, in the order of layers.
    pub fn wheels(&self) -> impl Iterator<Item = &Wheel> {
        self.groups.iter().flatten().flat_map(|group| &group.wheels)
    }

    /// Logins that wheels are fetched with; while wheels are not known, all that there may be.
    pub fn used_logins(&self) -> impl Iterator<Item = &Login> {
        self.logins.iter().filter(|login| {
            let secret = login.secret();
            let uses = |wheel: &Wheel| matches!(&wheel.from, WheelOrigin::Remote { authorization: Some(used), .. } if *used == secret);
            self.groups.is_none() || self.wheels().any(uses)
        })
    }

    /// Secrets that logins are made of, sorted, each once.
    pub fn secrets(&self) -> Vec<String> {
        let mut names: Vec<String> = self.used_logins().flat_map(Login::names).collect();
        names.sort();
        names.dedup();
        names
    }
}
