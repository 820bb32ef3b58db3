//! What an image will weigh, as far as a plan can tell.

use std::fmt;

use super::{Action, Plan};

/// What is known of an image's size before it is built; [`Plan::forecast`] makes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The base image, whose size its registry knows.
    pub base: Option<String>,
    /// Wheels as they are fetched; nothing where they are chosen in the build.
    pub wheels: Option<WheelSizes>,
    /// Files of NVIDIA's libraries that wheels bring, in bytes, where the base image has CUDA, too.
    pub cuda_twice: Option<u64>,
    /// Steps whose result is not known.
    pub unknown: Vec<String>,
}

/// Sizes of wheels, in bytes. They are archives: installed they take up two to four times as much, and compressed as
/// layers about the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WheelSizes {
    /// How many.
    pub count: usize,
    /// All together.
    pub total: u64,
    /// The largest, by package, largest first.
    pub largest: Vec<(String, u64)>,
}

/// Libraries of CUDA that an image has twice: of its base, and of wheels. [`Plan::cuda_twice`] finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CudaTwice {
    /// The base image.
    pub base: String,
    /// Packages of NVIDIA's wheels, largest first.
    pub packages: Vec<String>,
    /// The size of their files, in bytes.
    pub size: u64,
}

impl CudaTwice {
    /// What to do about it.
    pub const ADVICE: &str = "take a base without CUDA, such as by `--use-cuda-base-image=false`, if nothing else in the image needs its libraries";
}

impl fmt::Display for CudaTwice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.packages.iter().take(SHOWN);
        let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
        let more = match self.packages.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        write!(
            formatter,
            "CUDA is in the image twice: {}{more} ({}) bring libraries that the base {} has, too",
            names.join(", "),
            megabytes(self.size),
            self.base
        )
    }
}

/// So many wheels are named.
const SHOWN: usize = 5;

impl Plan {
    /// Libraries of CUDA that the image has twice, as far as its wheels are chosen.
    pub fn cuda_twice(&self) -> Option<CudaTwice> {
        let base = self.base().filter(|base| has_cuda(base))?;
        let (_, install) = self.wheels()?;
        let mut wheels: Vec<_> = install
            .wheels()
            .filter(|wheel| wheel.package.starts_with("nvidia-"))
            .collect();
        wheels.sort_by(|one, other| (other.size, &one.package).cmp(&(one.size, &other.package)));
        (!wheels.is_empty()).then(|| CudaTwice {
            base: base.to_owned(),
            size: wheels.iter().map(|wheel| wheel.size).sum(),
            packages: wheels.iter().map(|wheel| wheel.package.clone()).collect(),
        })
    }

    /// What is known of the image's size.
    pub fn forecast(&self) -> Forecast {
        let mut forecast = Forecast {
            base: self.base().map(str::to_owned),
            cuda_twice: self.cuda_twice().map(|twice| twice.size),
            ..Forecast::default()
        };
        let below = self.below_image();
        for step in self.steps.iter().filter(|step| below.contains(step)) {
            match &step.action {
                Action::Wheels(install) => {
                    let Some(groups) = &install.groups else {
                        forecast.unknown.push(step.name.clone());
                        continue;
                    };
                    let wheels = groups.iter().flat_map(|group| &group.wheels);
                    let mut sizes: Vec<(String, u64)> = wheels
                        .map(|wheel| (wheel.package.clone(), wheel.size))
                        .collect();
                    sizes.sort_by(|one, other| (other.1, &one.0).cmp(&(one.1, &other.0)));
                    forecast.wheels = Some(WheelSizes {
                        count: sizes.len(),
                        total: sizes.iter().map(|(_, size)| size).sum(),
                        largest: sizes.into_iter().take(SHOWN).collect(),
                    });
                }
                Action::Apt { .. }
                | Action::Python { .. }
                | Action::Run { .. }
                | Action::Weights { .. }
                | Action::Source(_) => forecast.unknown.push(step.name.clone()),
                _ => {}
            }
        }
        forecast
    }
}

/// Whether an image brings CUDA, by its name.
fn has_cuda(reference: &str) -> bool {
    let reference = reference.split('@').next().unwrap_or_default();
    // A colon before the last slash is the port of a registry.
    let last = reference.rfind('/').map_or(0, |slash| slash + 1);
    let (name, tag) = match reference[last..].split_once(':') {
        Some((name, tag)) => (&reference[..last + name.len()], tag),
        None => (reference, ""),
    };
    let mut marks = tag.match_indices("cuda");
    let is_version = |(start, mark): (usize, &str)| {
        tag[start + mark.len()..].starts_with(|c: char| c.is_ascii_digit())
    };
    name.ends_with("nvidia/cuda") || marks.any(is_version)
}

impl fmt::Display for Forecast {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "Size")?;
        if let Some(wheels) = &self.wheels {
            writeln!(
                formatter,
                "  wheels   {} to fetch, {} of them",
                megabytes(wheels.total),
                wheels.count
            )?;
            for (package, size) in &wheels.largest {
                writeln!(formatter, "             {} {package}", megabytes(*size))?;
            }
        }
        if let Some(size) = self.cuda_twice {
            writeln!(
                formatter,
                "  twice    {} of NVIDIA's wheels bring libraries of CUDA that the base image has, too: `--use-cuda-base-image=false` leaves out those of the image",
                megabytes(size)
            )?;
        }
        if let Some(base) = &self.base {
            writeln!(
                formatter,
                "  base     not known: a plan asks no registry about {base}"
            )?;
        }
        if !self.unknown.is_empty() {
            writeln!(
                formatter,
                "  others   not known before the build: {}",
                self.unknown.join(", ")
            )?;
        }
        Ok(())
    }
}

/// A size for people.
pub(crate) fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{}.{} kB", bytes / 1000, bytes / 100 % 10),
        1_000_000..1_000_000_000 => {
            format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
        }
        _ => format!("{}.{} GB", bytes / 1_000_000_000, bytes / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_told_in_the_unit_that_fits() {
        for (bytes, text) in [
            (999, "0.9 kB"),
            (1_234_567, "1.2 MB"),
            (2_950_000_000, "2.9 GB"),
        ] {
            assert_eq!(megabytes(bytes), text);
        }
    }

    #[test]
    fn images_with_cuda_are_known_by_their_names() {
        assert!(has_cuda("nvidia/cuda:12.4.1-cudnn-runtime-ubuntu22.04"));
        assert!(has_cuda("docker.io/nvidia/cuda@sha256:0"));
        assert!(has_cuda("r8.im/cog-base:cuda12.4-python3.12-torch2.5.1"));
        assert!(has_cuda("pytorch/pytorch:2.5.1-cuda12.4-cudnn9-runtime"));
        assert!(has_cuda("registry.example.com:5000/nvidia/cuda"));
        assert!(!has_cuda("registry.example.com:5000/team/cuda-less"));
        assert!(!has_cuda("team/model:no-cuda"));
        assert!(!has_cuda("r8.im/cog-base:python3.12"));
        assert!(!has_cuda("python:3.12-slim"));
    }
}
