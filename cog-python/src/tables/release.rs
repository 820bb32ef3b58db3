//! Releases of CUDA, torch and their like: up to three numbers and a local tag.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release: `12.4`, `2.4.1`, `2.4.1+cu124`.
///
/// The text stays as written. Order and equality are those of the numbers, where a missing number counts as zero; the
/// local tag (`+cu124`) says how a release was built, not which one it is, and takes no part.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Release {
    text: String,
    numbers: Vec<u32>,
}

/// Why a text is not a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be one to three numbers separated by dots, such as 12.4 or 2.4.1")]
pub struct ReleaseError;

impl Release {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// First number.
    pub fn major(&self) -> u32 {
        self.numbers[0]
    }

    /// Second number, zero when missing.
    pub fn minor(&self) -> u32 {
        self.numbers.get(1).copied().unwrap_or_default()
    }

    /// Third number, when written.
    pub fn patch(&self) -> Option<u32> {
        self.numbers.get(2).copied()
    }

    /// Tag after `+`.
    pub fn local(&self) -> Option<&str> {
        self.text.split_once('+').map(|(_, local)| local)
    }

    /// The text without the tag after `+`.
    pub fn without_local(&self) -> &str {
        self.text.split('+').next().unwrap_or_default()
    }

    /// `major.minor`.
    pub fn line(&self) -> String {
        format!("{}.{}", self.major(), self.minor())
    }

    /// Whether both are of one release line.
    pub fn same_line(&self, other: &Self) -> bool {
        (self.major(), self.minor()) == (other.major(), other.minor())
    }

    /// Whether one names the other: the same line and, where both have one, the same third number.
    pub fn matches(&self, other: &Self) -> bool {
        self.same_line(other)
            && match (self.patch(), other.patch()) {
                (Some(own), Some(others)) => own == others,
                _ => true,
            }
    }

    fn key(&self) -> (u32, u32, u32) {
        (self.major(), self.minor(), self.patch().unwrap_or_default())
    }
}

impl FromStr for Release {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let numbers = text
            .split('+')
            .next()
            .unwrap_or_default()
            .split('.')
            .map(number)
            .collect::<Option<Vec<u32>>>()
            .filter(|numbers| numbers.len() <= 3)
            .ok_or(ReleaseError)?;
        Ok(Self {
            text: text.to_owned(),
            numbers,
        })
    }
}

impl PartialEq for Release {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Release {}

impl PartialOrd for Release {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Release {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl From<Release> for String {
    fn from(release: Release) -> Self {
        release.text
    }
}

impl TryFrom<String> for Release {
    type Error = ReleaseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn releases_are_ordered_by_number() {
        assert!(release("2.10.0") > release("2.9.1"));
        assert_eq!(release("11.8"), release("11.8.0"));
        assert!(release("12.4.1") > release("12.4"));
    }

    /// B6: a local tag made `2.7.0+cu128` neither equal to `2.7.0` nor greater.
    #[test]
    fn local_tags_take_no_part_in_the_order() {
        assert!(release("2.7.0+cu128") >= release("2.7.0"));
        assert_eq!(release("1.13.1+cu117"), release("1.13.1"));
        assert_eq!(release("2.7.0+cu128").local(), Some("cu128"));
        assert_eq!(release("2.7.0+cu128").without_local(), "2.7.0");
    }

    #[test]
    fn a_line_names_all_its_releases() {
        assert!(release("12.4").matches(&release("12.4.1")));
        assert!(!release("11.8.1").matches(&release("11.8.0")));
        assert!(!release("12.4").matches(&release("12.5")));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "1.", "a", "1.2.3.4", "1.x", "-1", "1.2 "] {
            assert!(text.parse::<Release>().is_err(), "{text}");
        }
    }
}
