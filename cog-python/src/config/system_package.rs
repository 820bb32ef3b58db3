//! Names of Debian packages, checked so that none can be taken for an option or a command.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A package for apt: `name`, `name:architecture`, `name=version` or `name/release`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SystemPackage {
    text: String,
    name_length: usize,
}

impl SystemPackage {
    /// The package as apt takes it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name alone, without architecture, version or release.
    pub fn name(&self) -> &str {
        &self.text[..self.name_length]
    }
}

impl fmt::Display for SystemPackage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// Why a text does not name a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SystemPackageError {
    /// Several names in one text.
    #[error("must name one package, found blanks")]
    Blanks,
    /// Not a package name.
    #[error(
        "must be a package name of lowercase letters, digits and `+-.`, optionally with \
         `:architecture`, `=version` or `/release`"
    )]
    Form,
}

impl FromStr for SystemPackage {
    type Err = SystemPackageError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.contains(char::is_whitespace) {
            return Err(SystemPackageError::Blanks);
        }
        let (rest, suffix_ok) = match text.split_once(['=', '/']) {
            Some((rest, suffix)) => (rest, is_version(suffix)),
            None => (text, true),
        };
        let (name, architecture_ok) = match rest.split_once(':') {
            Some((name, architecture)) => (
                name,
                !architecture.is_empty()
                    && architecture
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()),
            ),
            None => (rest, true),
        };
        // Debian policy 5.6.1, and apt reads a trailing `-` or `+` as remove or install.
        let name_ok = name.len() >= 2
            && name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && name.bytes().all(|b| {
                b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.')
            })
            && !name.ends_with('-');
        if name_ok && architecture_ok && suffix_ok {
            Ok(Self {
                name_length: name.len(),
                text: text.to_owned(),
            })
        } else {
            Err(SystemPackageError::Form)
        }
    }
}

fn is_version(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric() || matches!(b, b'.' | b'+' | b'-' | b'~' | b':' | b'*')
        })
}

impl From<SystemPackage> for String {
    fn from(package: SystemPackage) -> Self {
        package.text
    }
}

impl TryFrom<String> for SystemPackage {
    type Error = SystemPackageError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_debian_are_accepted() {
        for (text, name) in [
            ("ffmpeg", "ffmpeg"),
            ("g++", "g++"),
            ("libstdc++6:amd64", "libstdc++6"),
            ("git=1:2.39.5-0+deb12u2", "git"),
            ("curl/bookworm-backports", "curl"),
            ("7zip", "7zip"),
        ] {
            let package: SystemPackage = text.parse().unwrap();
            assert_eq!((package.as_str(), package.name()), (text, name));
        }
    }

    #[test]
    fn options_commands_and_lists_are_refused() {
        for text in [
            "-y",
            "a",
            "",
            "git curl",
            "git;reboot",
            "$(id)",
            "git-",
            "Git",
            "git=",
            "git=-x",
            "git:",
            "./x.deb",
            "git\nreboot",
            "git=1 2",
        ] {
            assert!(text.parse::<SystemPackage>().is_err(), "{text:?}");
        }
    }
}
