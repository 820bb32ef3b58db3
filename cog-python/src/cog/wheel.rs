//! `COG_SDK_WHEEL` and `COGLET_WHEEL`: where Cog's Python packages come from.

use std::sync::LazyLock;

use regex::Regex;

use crate::tables::Release;

/// Lowest version of the SDK that may be named.
const MINIMUM: &str = "0.16.0";
/// First version of the SDK that coglet goes with.
const WITH_COGLET: &str = "0.17.0";

/// Where a package comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wheel {
    /// PyPI: a version, or the newest.
    Index {
        /// Version as written.
        version: Option<String>,
        /// Whether the newest may be a pre-release.
        prerelease: bool,
    },
    /// An URL.
    Url(String),
    /// A file, or a folder with one wheel.
    Path(String),
}

/// Why a version is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version} of {package} is too old: it must be at least {MINIMUM}")]
pub struct TooOld {
    package: String,
    version: String,
}

impl Wheel {
    /// The newest release on PyPI.
    pub fn newest() -> Self {
        Self::Index {
            version: None,
            prerelease: false,
        }
    }

    /// Reads `pypi`, `pypi:VERSION`, an URL or a path; `None` for an empty text.
    pub fn parse(value: &str) -> Option<Self> {
        let value = value.trim();
        let lower = value.to_lowercase();
        if value.is_empty() {
            return None;
        }
        if lower == "pypi" {
            return Some(Self::newest());
        }
        if lower.starts_with("pypi:") {
            return Some(Self::Index {
                version: Some(value["pypi:".len()..].to_owned())
                    .filter(|version| !version.is_empty()),
                prerelease: false,
            });
        }
        if value.starts_with("https://") || value.starts_with("http://") {
            return Some(Self::Url(value.to_owned()));
        }
        Some(Self::Path(value.to_owned()))
    }

    /// The requirement that installs a package of an index: `cog`, `cog==0.17.0rc2`.
    pub fn requirement(&self, package: &str) -> String {
        match self {
            Self::Index {
                version: Some(version),
                ..
            } => format!("{package}=={}", pep440(version)),
            _ => package.to_owned(),
        }
    }

    /// Whether the installer must take pre-releases.
    pub fn is_prerelease(&self) -> bool {
        static PEP440: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"\d(a|b|rc|\.dev)\d").expect("the patterns of the crate are valid")
        });
        match self {
            Self::Index {
                version,
                prerelease,
            } => {
                *prerelease
                    || version
                        .as_ref()
                        .is_some_and(|version| SEMVER.is_match(version) || PEP440.is_match(version))
            }
            _ => false,
        }
    }

    /// Refuses a version that is too old; versions that are not understood are left to the installer.
    pub fn check(&self, package: &str) -> Result<(), TooOld> {
        match self.base() {
            Some(base) if base < release(MINIMUM) => Err(TooOld {
                package: package.to_owned(),
                version: match self {
                    Self::Index {
                        version: Some(version),
                        ..
                    } => version.clone(),
                    _ => String::new(),
                },
            }),
            _ => Ok(()),
        }
    }

    /// Whether it is a version of the SDK that has no coglet.
    pub fn is_before_coglet(&self) -> bool {
        self.base().is_some_and(|base| base < release(WITH_COGLET))
    }

    /// Its version without what follows the three numbers.
    fn base(&self) -> Option<Release> {
        static BASE: LazyLock<Regex> = LazyLock::new(|| {
            Regex::new(r"^\d+\.\d+\.\d+").expect("the patterns of the crate are valid")
        });
        let Self::Index {
            version: Some(version),
            ..
        } = self
        else {
            return None;
        };
        let text = BASE
            .find(version)
            .map_or(version.as_str(), |found| found.as_str());
        text.parse().ok()
    }
}

fn release(text: &str) -> Release {
    text.parse().expect("the versions of the crate are valid")
}

static SEMVER: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"-(alpha|beta|rc)(\d+)|-(dev)(\d*)").expect("the patterns of the crate are valid")
});

/// A pre-release in the words of PEP 440: `0.17.0-rc2` is `0.17.0rc2`.
fn pep440(version: &str) -> String {
    SEMVER
        .replace_all(version, |captures: &regex::Captures<'_>| {
            let group = |index| {
                captures
                    .get(index)
                    .map_or("", |found: regex::Match<'_>| found.as_str())
            };
            match (group(1), group(3)) {
                ("alpha", _) => format!("a{}", group(2)),
                ("beta", _) => format!("b{}", group(2)),
                ("rc", _) => format!("rc{}", group(2)),
                _ => format!(".dev{}", group(4)),
            }
        })
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_apart() {
        assert_eq!(Wheel::parse(""), None);
        assert_eq!(Wheel::parse("PyPI").unwrap().requirement("cog"), "cog");
        let pre = Wheel::parse("pypi:0.17.0-rc2").unwrap();
        assert_eq!(
            (pre.requirement("cog").as_str(), pre.is_prerelease()),
            ("cog==0.17.0rc2", true)
        );
        assert_eq!(
            Wheel::parse("pypi:0.18.0-dev3").unwrap().requirement("cog"),
            "cog==0.18.0.dev3"
        );
        assert!(Wheel::parse("pypi:0.15.0").unwrap().check("cog").is_err());
        assert!(Wheel::parse("pypi:0.16.5").unwrap().is_before_coglet());
        assert!(matches!(Wheel::parse("dist"), Some(Wheel::Path(_))));
    }
}
