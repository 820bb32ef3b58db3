//! Days of the past that system packages are taken of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A state of the package archives of Debian and Ubuntu: `20250801T000000Z`.
///
/// <https://snapshot.debian.org> and <https://snapshot.ubuntu.com> keep what the archives had at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AptSnapshot(String);

/// Why a text is not a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day such as 2025-08-01, or a time such as 20250801T120000Z")]
pub struct AptSnapshotError;

impl AptSnapshot {
    /// The time as the archives have it in their addresses.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AptSnapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for AptSnapshot {
    type Err = AptSnapshotError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let day = |part: &str| {
            let number = |range: std::ops::Range<usize>| part.get(range)?.parse::<u32>().ok();
            let (month, day) = number(4..6).zip(number(6..8))?;
            let fits = part.len() == 8
                && is_number(part)
                && (1..=12).contains(&month)
                && (1..=31).contains(&day);
            fits.then(|| part.to_owned())
        };
        let parts: Vec<&str> = text.split('-').collect();
        if let [year, month, date] = parts.as_slice()
            && let Some(day) = day(&format!("{year}{month}{date}"))
            && (year.len(), month.len()) == (4, 2)
        {
            return Ok(Self(format!("{day}T000000Z")));
        }
        let time = text.strip_suffix('Z').and_then(|text| text.split_once('T'));
        let (date, time) = time.ok_or(AptSnapshotError)?;
        let day = day(date).ok_or(AptSnapshotError)?;
        if time.len() != 6 || !is_number(time) {
            return Err(AptSnapshotError);
        }
        Ok(Self(format!("{day}T{time}Z")))
    }
}

impl From<AptSnapshot> for String {
    fn from(snapshot: AptSnapshot) -> Self {
        snapshot.0
    }
}

impl TryFrom<String> for AptSnapshot {
    type Error = AptSnapshotError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_read() {
        for (text, expected) in [
            ("2025-08-01", "20250801T000000Z"),
            ("20250801T123456Z", "20250801T123456Z"),
        ] {
            assert_eq!(text.parse::<AptSnapshot>().unwrap().as_str(), expected);
        }
        for text in [
            "",
            "today",
            "2025-8-1",
            "2025-13-01",
            "20250801",
            "20250801T1234Z",
            "20250801T12345xZ",
            "2025-08-01/..",
            "é0250801T123456Z",
        ] {
            assert!(text.parse::<AptSnapshot>().is_err(), "{text}");
        }
    }
}
