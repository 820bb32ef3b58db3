//! `gpu.toml`: GPU architectures and the first torch that has kernels for them.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use super::Release;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpu {
    /// Floors, oldest architecture first.
    #[serde(rename = "floor")]
    pub floors: Vec<Floor>,
}

/// The first torch and CUDA for an architecture.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Compute capability.
    pub architecture: Architecture,
    /// What NVIDIA calls it.
    pub name: String,
    /// First torch with kernels for it.
    pub torch: Release,
    /// First CUDA that torch must be built for.
    pub cuda: Release,
}

/// A compute capability: `9.0`, also written `sm_90`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Architecture {
    major: u32,
    minor: u32,
}

/// Why a text is not an architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a compute capability such as 9.0 or sm_90")]
pub struct ArchitectureError;

impl FromStr for Architecture {
    type Err = ArchitectureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ArchitectureError;
        let text = text.trim();
        let (major, minor) = match text.strip_prefix("sm_") {
            Some(digits) if digits.len() >= 2 && digits.is_ascii() => {
                digits.split_at(digits.len() - 1)
            }
            Some(_) => return Err(error()),
            None => text.split_once('.').ok_or_else(error)?,
        };
        Ok(Self {
            major: major.parse().map_err(|_| error())?,
            minor: minor.parse().map_err(|_| error())?,
        })
    }
}

impl TryFrom<String> for Architecture {
    type Error = ArchitectureError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sm_{}{}", self.major, self.minor)
    }
}

impl Architecture {
    /// The architectures that `nvidia-smi --query-gpu=compute_cap --format=csv,noheader` lists, each once, oldest
    /// first. Lines that are none are passed over.
    pub fn of_smi(output: &str) -> Vec<Self> {
        let mut found: Vec<Self> = output
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// Rows of a user's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Overlay {
    floor: Vec<Floor>,
}

impl Gpu {
    pub(super) fn lay_over(&mut self, overlay: Overlay) {
        for row in overlay.floor {
            self.floors
                .retain(|known| known.architecture != row.architecture);
            self.floors.push(row);
        }
        self.floors.sort_by_key(|floor| floor.architecture);
    }

    /// The floor of an architecture that a torch is below; none when it has kernels, or nothing is known.
    pub fn missing_kernels(
        &self,
        architecture: Architecture,
        torch: &Release,
        cuda: Option<&Release>,
    ) -> Option<&Floor> {
        let floor = self
            .floors
            .iter()
            .rev()
            .find(|floor| floor.architecture <= architecture)?;
        let enough = *torch >= floor.torch && cuda.is_none_or(|cuda| *cuda >= floor.cuda);
        (!enough).then_some(floor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tables;
    use super::*;

    #[test]
    fn architectures_are_read_in_both_forms() {
        for (text, name) in [("9.0", "sm_90"), ("sm_120", "sm_120"), (" 12.0 ", "sm_120")] {
            assert_eq!(text.parse::<Architecture>().unwrap().to_string(), name);
        }
        for text in ["", "9", "sm_", "sm_9", "x.y", "sm_é0"] {
            assert!(text.parse::<Architecture>().is_err(), "{text}");
        }
        assert_eq!(Architecture::of_smi("12.0\n[N/A]\n8.9\n12.0\n").len(), 2);
    }

    #[test]
    fn both_torch_and_its_cuda_must_be_new_enough() {
        let gpu = &Tables::built_in().gpu;
        let check = |architecture: &str, torch: &str, cuda: &str| {
            gpu.missing_kernels(
                architecture.parse().unwrap(),
                &torch.parse().unwrap(),
                Some(&cuda.parse().unwrap()),
            )
            .is_none()
        };
        assert!(check("12.0", "2.7.0+cu128", "12.8"));
        assert!(!check("12.0", "2.7.0", "11.8"));
        assert!(!check("12.0", "2.4.1", "12.8"));
        assert!(check("8.9", "1.13.1", "11.6"));
    }
}
