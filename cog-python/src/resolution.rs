//! From what the user asks for to what will be used, with a reason for every choice.
//!
//! A [`Resolution`] answers the questions `cog.yaml` leaves open: which base image, where Python
//! comes from, which SDK, and whether Python packages can be installed beside the system packages
//! or must wait for them. It asks nothing outside of its arguments.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::config::{Config, ImageName, SystemPackage};
use crate::plan::{Decision, Network, PythonProvider};
use crate::sdk::SdkVersion;

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
    pub python_provider: PythonProvider,
    /// Base image (`--base`).
    pub base: Option<String>,
    /// SDK version (`--sdk-version`).
    pub sdk_version: Option<SdkVersion>,
    /// Image that holds uv (`--uv-image`).
    pub uv_image: Option<String>,
    /// List of Pythons that uv chooses from (`--uv-downloads`).
    pub uv_downloads: Option<String>,
    /// Network of steps (`--network`).
    pub network: Network,
    /// Installs Python packages after the system packages in any case (`--pip-after-apt`).
    pub pip_after_apt: bool,
    /// Leaves out packages that system packages only recommend (`--no-recommends`).
    pub no_recommends: bool,
    /// Labels of the image (`--label`), in order.
    pub labels: Vec<(String, String)>,
    /// Text of `.dockerignore`.
    pub ignore: Option<String>,
}

/// A platform images are built for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform(String);

impl Platform {
    /// The platform as `os/architecture[/variant]`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Why a text is not a platform this program builds for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not `linux/…`.
    #[error("must be `linux/amd64` or `linux/arm64`: Cog's runtime has no release for others")]
    Unsupported,
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
    /// Reference of the base image.
    pub base: String,
    /// Where Python comes from.
    pub python_provider: PythonProvider,
    /// Image that holds uv.
    pub uv_image: String,
    /// List of Pythons that uv chooses from, if not its own.
    pub uv_downloads: Option<String>,
    /// SDK.
    pub sdk: SdkVersion,
    /// System packages, sorted, without repeats, the init among them.
    pub system_packages: Vec<SystemPackage>,
    /// Whether packages that they recommend are installed, too.
    pub recommends: bool,
    /// Whether Python packages are installed on top of the system packages.
    pub pip_after_apt: bool,
    /// Every choice with its reason, in the order of reading.
    pub decisions: Vec<Decision>,
}

/// The init program that reaps processes, as a Debian package.
const INIT_PACKAGE: &str = "tini";
/// Base image when uv brings Python.
const PLAIN_BASE: &str = "debian:bookworm-slim";

#[derive(Deserialize)]
struct BuildTools {
    names: Vec<String>,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

static BUILD_TOOLS: LazyLock<BuildTools> = LazyLock::new(|| {
    serde_json::from_str(include_str!("data/build_tools.json"))
        .expect("the table of the crate is valid")
});

#[derive(Deserialize)]
struct Uv {
    image: String,
}

static UV: LazyLock<Uv> = LazyLock::new(|| {
    serde_json::from_str(include_str!("data/uv.json")).expect("the table of the crate is valid")
});

/// Resolves a configuration.
pub fn resolve(config: &Config, options: &Options) -> Resolution {
    let mut decisions = Vec::new();
    let mut decide = |subject: &str, choice: &str, reason: &str| {
        decisions.push(Decision {
            subject: subject.into(),
            choice: choice.into(),
            reason: reason.into(),
        });
    };
    let (image, reason) = match (&options.tag, &config.image) {
        (Some(tag), _) => (tag.clone(), "the command line names it"),
        (None, Some(image)) => (image.value.clone(), "`image` in cog.yaml names it"),
        (None, None) => (
            ImageName::for_folder(&options.folder),
            "the project folder is called so",
        ),
    };
    decide("image name", image.as_str(), reason);

    let (platform, reason) = match &options.platform {
        Some(platform) => (platform.clone(), "the command line names it"),
        None => (
            Platform("linux/amd64".into()),
            "it is Cog's platform when none is named",
        ),
    };
    decide("platform", platform.as_str(), reason);

    let version = config.build.python_version.value;
    let (base, reason) = match (&options.base, options.python_provider) {
        (Some(base), _) => (base.clone(), "the command line names it".to_owned()),
        (None, PythonProvider::Base) => (
            format!("python:{version}-slim"),
            format!("it is the smallest official image that has Python {version}"),
        ),
        (None, PythonProvider::Uv) => (
            PLAIN_BASE.to_owned(),
            "uv brings Python, so a plain Debian is enough".to_owned(),
        ),
    };
    decide("base image", &base, &reason);

    let uv_image = options.uv_image.clone().unwrap_or_else(|| UV.image.clone());
    match options.python_provider {
        PythonProvider::Base => decide(
            "python",
            &format!("{version} from the base image"),
            "`build.python_version` asks for it and the base image provides it",
        ),
        PythonProvider::Uv => decide(
            "python",
            &format!("{version} from uv"),
            "`build.python_version` asks for it and the command line chose uv",
        ),
    }

    let (sdk, reason) = match (&options.sdk_version, &config.build.sdk_version) {
        (Some(version), _) => (version.clone(), "the command line names it"),
        (None, Some(version)) => (version.value.clone(), "`build.sdk_version` names it"),
        (None, None) => (
            SdkVersion::default_release(),
            "nothing names a version, and a fixed one gives the same image again",
        ),
    };
    decide("cog", &sdk.to_string(), reason);

    let mut system_packages: Vec<SystemPackage> = config
        .build
        .system_packages
        .iter()
        .map(|package| package.value.clone())
        .collect();
    if !system_packages
        .iter()
        .any(|package| package.name() == INIT_PACKAGE)
    {
        system_packages.push(
            INIT_PACKAGE
                .parse()
                .expect("the name of tini is a package name"),
        );
    }
    system_packages.sort();
    system_packages.dedup();
    decide(
        "init",
        INIT_PACKAGE,
        "processes that a model leaves behind must be reaped, and signals must reach the server",
    );

    let recommends = !options.no_recommends;
    let (choice, reason) = if recommends {
        (
            "with what they recommend",
            "Cog installs it, and models may rely on it",
        )
    } else {
        (
            "without what they recommend",
            "the command line asks for it",
        )
    };
    decide("system packages", choice, reason);

    let (pip_after_apt, choice, reason) = placement(config, options, &system_packages);
    decide("python packages", choice, &reason);
    decide(
        "source",
        "copied last, beside all other steps",
        "editing the model then rebuilds nothing else",
    );
    Resolution {
        image,
        platform,
        base,
        python_provider: options.python_provider,
        uv_image,
        uv_downloads: options.uv_downloads.clone(),
        sdk,
        system_packages,
        recommends,
        pip_after_apt,
        decisions,
    }
}

/// Whether pip must wait for apt.
fn placement(
    config: &Config,
    options: &Options,
    packages: &[SystemPackage],
) -> (bool, &'static str, String) {
    const AFTER: &str = "installed after the system packages";
    if options.pip_after_apt {
        return (true, AFTER, "the command line asks for it".into());
    }
    if let Some(tool) = packages
        .iter()
        .find(|package| is_build_tool(package.name()))
    {
        let reason = format!(
            "system package `{}` may be needed to build one of them",
            tool.name()
        );
        return (true, AFTER, reason);
    }
    if config.build.requirements.needs_tools {
        let reason = "a requirement is fetched from version control or compiled".into();
        return (true, AFTER, reason);
    }
    let reason = "no system package is a compiler, a header or a download tool; \
                  a change of one side then leaves the other cached"
        .into();
    (
        false,
        "installed independently of the system packages",
        reason,
    )
}

fn is_build_tool(name: &str) -> bool {
    BUILD_TOOLS.names.iter().any(|tool| tool == name)
        || BUILD_TOOLS
            .prefixes
            .iter()
            .any(|prefix| name.starts_with(prefix.as_str()))
        || BUILD_TOOLS
            .suffixes
            .iter()
            .any(|suffix| name.ends_with(suffix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_and_headers_are_build_tools() {
        for name in [
            "build-essential",
            "gcc-12",
            "libpq-dev",
            "git",
            "python3-dev",
        ] {
            assert!(is_build_tool(name), "{name}");
        }
        for name in ["tini", "ffmpeg", "libgl1", "fortune-mod", "gccgo"] {
            assert!(!is_build_tool(name), "{name}");
        }
    }

    #[test]
    fn platforms_are_normalized() {
        assert_eq!(
            "linux/aarch64".parse::<Platform>().unwrap().as_str(),
            "linux/arm64"
        );
        assert!("windows/amd64".parse::<Platform>().is_err());
    }

    #[test]
    fn the_uv_table_is_valid() {
        assert!(UV.image.contains(':'));
    }
}
