//! Cog's own Python package: which version an image gets, and where it comes from.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use pep440_rs::Version;
use serde::{Deserialize, Serialize};

use crate::requirement::LOCAL_FOLDER;

/// The table of `data/sdk.json`.
#[derive(Debug, Deserialize)]
struct Table {
    default: String,
    minimum: String,
    python: PythonRange,
}

#[derive(Debug, Deserialize)]
struct PythonRange {
    declared_up_to: String,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    serde_json::from_str(include_str!("data/sdk.json")).expect("the table of the crate is valid")
});

/// Highest Python release line that the default SDK declares to support.
pub(crate) fn python_declared_up_to() -> crate::config::PythonVersion {
    TABLE
        .python
        .declared_up_to
        .parse()
        .expect("the table of the crate is valid")
}

/// A version of the `cog` package: one release, or the newest pre-release there is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SdkVersion {
    /// Exactly this release, normalized as PEP 440 says.
    Release(String),
    /// Whatever is newest on the day of the build, pre-releases included: not reproducible.
    Prerelease,
    /// A wheel that is downloaded or lies in the project.
    Wheel(SdkWheel),
}

/// A wheel of the `cog` package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SdkWheel {
    location: String,
    version: String,
}

impl SdkWheel {
    /// Its path in the project, if it is not downloaded.
    pub fn path(&self) -> Option<&str> {
        (!is_address(&self.location)).then_some(&self.location)
    }
}

impl fmt::Display for SdkWheel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.location)
    }
}

impl SdkVersion {
    /// The version that is installed when nobody names one.
    pub fn default_release() -> Self {
        Self::Release(TABLE.default.clone())
    }

    /// Whether it is no older than the version that is installed when nobody names one.
    pub fn is_current(&self) -> bool {
        let version = |text: &str| Version::from_str(text);
        match (self, version(&self.version()), version(&TABLE.default)) {
            (Self::Prerelease, ..) => true,
            (_, Ok(version), Ok(default)) => version >= default,
            _ => false,
        }
    }

    /// Whether a model with this version can be asked for its OpenAPI document: later ones read it from the signature only.
    pub fn tells_schema(&self) -> bool {
        Version::from_str(&self.version())
            .is_ok_and(|version| version.release() < [0, 17].as_slice())
    }

    /// Reads where the package comes from, in the words of `COG_SDK_WHEEL`: `pypi`, `pypi:VERSION`, the address of a wheel,
    /// or its path in the project. `pypi` is the release that is installed when nobody names one.
    pub fn from_origin(text: &str) -> Result<Self, SdkVersionError> {
        if text.eq_ignore_ascii_case("pypi") {
            return Ok(Self::default_release());
        }
        if let Some((index, version)) = text.split_once(':')
            && index.eq_ignore_ascii_case("pypi")
        {
            return version.parse();
        }
        let path = text.split(['?', '#']).next().unwrap_or_default();
        let file = path.rsplit('/').next().unwrap_or_default();
        let mut parts = file.strip_suffix(".whl").unwrap_or_default().split('-');
        let (Some("cog"), Some(version)) = (parts.next(), parts.next()) else {
            return Err(SdkVersionError::Origin);
        };
        let version = released(version).map_err(|error| match error {
            SdkVersionError::Form { .. } => SdkVersionError::Origin,
            other => other,
        })?;
        Ok(Self::Wheel(SdkWheel {
            location: text.to_owned(),
            version,
        }))
    }

    /// The version as far as it is known before the build; `prerelease` for the newest one.
    pub fn version(&self) -> String {
        match self {
            Self::Wheel(wheel) => wheel.version.clone(),
            other => other.to_string(),
        }
    }

    /// The path of a wheel of the project.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Wheel(wheel) => wheel.path(),
            _ => None,
        }
    }

    /// The line of a requirements file that installs it.
    pub fn requirement(&self) -> String {
        match self {
            Self::Release(version) => format!("cog=={version}"),
            // A specifier that names a pre-release lets pip take pre-releases of this package only.
            Self::Prerelease => format!("cog>={}a0", TABLE.minimum),
            Self::Wheel(wheel) => match wheel.path() {
                Some(path) => format!("cog @ file://{LOCAL_FOLDER}/{path}"),
                None => format!("cog @ {}", wheel.location),
            },
        }
    }
}

impl fmt::Display for SdkVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(version) => formatter.write_str(version),
            Self::Prerelease => formatter.write_str("prerelease"),
            Self::Wheel(wheel) => wheel.fmt(formatter),
        }
    }
}

/// Why a text is not a version of the SDK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SdkVersionError {
    /// Not a version.
    #[error("must be a version such as {example}, or `prerelease`")]
    Form {
        /// A version that exists.
        example: String,
    },
    /// Neither an index nor a wheel.
    #[error(
        "must be `pypi`, `pypi:VERSION`, or the address or path of a wheel called cog-VERSION-….whl"
    )]
    Origin,
    /// Too old for the images this program makes.
    #[error("must be at least {minimum}")]
    TooOld {
        /// The oldest supported version.
        minimum: String,
    },
}

impl FromStr for SdkVersion {
    type Err = SdkVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "prerelease" {
            return Ok(Self::Prerelease);
        }
        released(text).map(Self::Release)
    }
}

/// A version that is not too old, normalized.
fn released(text: &str) -> Result<String, SdkVersionError> {
    let version = Version::from_str(text).map_err(|_| SdkVersionError::Form {
        example: TABLE.default.clone(),
    })?;
    let minimum = Version::from_str(&TABLE.minimum).expect("the table of the crate is valid");
    if version < minimum {
        return Err(SdkVersionError::TooOld {
            minimum: TABLE.minimum.clone(),
        });
    }
    Ok(version.to_string())
}

fn is_address(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

impl From<SdkVersion> for String {
    fn from(version: SdkVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for SdkVersion {
    type Error = SdkVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_crate_is_valid() {
        assert_eq!(SdkVersion::default_release().requirement(), "cog==0.23.1");
        assert_eq!(python_declared_up_to().to_string(), "3.13");
    }

    #[test]
    fn versions_are_normalized() {
        let version: SdkVersion = "0.17.0-rc.1".parse().unwrap();
        assert_eq!(version.requirement(), "cog==0.17.0rc1");
        let version: SdkVersion = "prerelease".parse().unwrap();
        assert_eq!(version.requirement(), "cog>=0.16.0a0");
    }

    #[test]
    fn old_and_broken_versions_are_refused() {
        assert_eq!(
            "0.15.0".parse::<SdkVersion>().unwrap_err().to_string(),
            "must be at least 0.16.0"
        );
        assert_eq!(
            "latest".parse::<SdkVersion>().unwrap_err().to_string(),
            "must be a version such as 0.23.1, or `prerelease`"
        );
    }
}
