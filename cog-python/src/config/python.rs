//! The Python version a model asks for.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Python release line, `3.12`, or one release of it, `3.12.1`; never below 3.10.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PythonVersion {
    minor: u8,
    patch: Option<u8>,
}

/// Lowest minor version of Python 3 that Cog's runtime supports.
const MINIMUM_MINOR: u8 = 10;

impl PythonVersion {
    /// Minor version: 12 of `3.12.1`.
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// Patch version: 1 of `3.12.1`.
    pub fn patch(self) -> Option<u8> {
        self.patch
    }

    /// The release line without the patch version: `3.12` of `3.12.1`.
    pub fn line(self) -> String {
        format!("3.{}", self.minor)
    }
}

impl fmt::Display for PythonVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "3.{}", self.minor)?;
        self.patch
            .map_or(Ok(()), |patch| write!(formatter, ".{patch}"))
    }
}

/// Why a text is not a Python version this program builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PythonVersionError {
    /// Neither `3.12` nor `3.12.1`.
    #[error("must be a major and a minor version, such as 3.12, or a full one, such as 3.12.1")]
    Form,
    /// Not Python 3.
    #[error("must be a version of Python 3, at least 3.10")]
    Major,
    /// Before 3.10.
    #[error("must be at least 3.10")]
    TooOld,
}

impl FromStr for PythonVersion {
    type Err = PythonVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let canonical = part == "0" || !part.starts_with('0');
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if canonical && digits {
                part.parse::<u8>().ok()
            } else {
                None
            }
        };
        let parts = text
            .split('.')
            .map(number)
            .collect::<Option<Vec<_>>>()
            .ok_or(PythonVersionError::Form)?;
        let (major, minor, patch) = match parts[..] {
            [major, minor] => (major, minor, None),
            [major, minor, patch] => (major, minor, Some(patch)),
            _ => return Err(PythonVersionError::Form),
        };
        if major != 3 {
            return Err(PythonVersionError::Major);
        }
        if minor < MINIMUM_MINOR {
            return Err(PythonVersionError::TooOld);
        }
        Ok(Self { minor, patch })
    }
}

impl From<PythonVersion> for String {
    fn from(version: PythonVersion) -> Self {
        version.to_string()
    }
}

impl TryFrom<String> for PythonVersion {
    type Error = PythonVersionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_releases_are_read() {
        for text in ["3.10", "3.13", "3.12.0", "3.12.11"] {
            assert_eq!(text.parse::<PythonVersion>().unwrap().to_string(), text);
        }
        assert_eq!("3.12.11".parse::<PythonVersion>().unwrap().line(), "3.12");
    }

    #[test]
    fn other_texts_say_what_is_wrong() {
        use PythonVersionError::{Form, Major, TooOld};
        for (text, error) in [
            ("3", Form),
            ("3.12.foo", Form),
            ("3.12.1.1", Form),
            ("v3.12", Form),
            ("3.012", Form),
            ("3.", Form),
            ("", Form),
            ("3.999", Form),
            ("2.7", Major),
            ("4.0", Major),
            ("3.9", TooOld),
            ("3.1", TooOld),
        ] {
            assert_eq!(text.parse::<PythonVersion>(), Err(error), "{text}");
        }
    }
}
