//! Cog's own Python package: which version an image gets.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use pep440_rs::Version;
use serde::{Deserialize, Serialize};

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
}

impl SdkVersion {
    /// The version that is installed when nobody names one.
    pub fn default_release() -> Self {
        Self::Release(TABLE.default.clone())
    }

    /// Whether a model with this version can be asked for its OpenAPI document: later ones read it from the signature only.
    pub fn tells_schema(&self) -> bool {
        match self {
            Self::Release(version) => Version::from_str(version)
                .is_ok_and(|version| version.release() < [0, 17].as_slice()),
            Self::Prerelease => false,
        }
    }

    /// The line of a requirements file that installs it.
    pub fn requirement(&self) -> String {
        match self {
            Self::Release(version) => format!("cog=={version}"),
            // A specifier that names a pre-release lets pip take pre-releases of this package only.
            Self::Prerelease => format!("cog>={}a0", TABLE.minimum),
        }
    }
}

impl fmt::Display for SdkVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release(version) => formatter.write_str(version),
            Self::Prerelease => formatter.write_str("prerelease"),
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
        let version = Version::from_str(text).map_err(|_| SdkVersionError::Form {
            example: TABLE.default.clone(),
        })?;
        let minimum = Version::from_str(&TABLE.minimum).expect("the table of the crate is valid");
        if version < minimum {
            return Err(SdkVersionError::TooOld {
                minimum: TABLE.minimum.clone(),
            });
        }
        Ok(Self::Release(version.to_string()))
    }
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
