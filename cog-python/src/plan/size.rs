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

/// So many wheels are named.
const SHOWN: usize = 5;

impl Plan {
    /// What is known of the image's size.
    pub fn forecast(&self) -> Forecast {
        let mut forecast = Forecast::default();
        for step in &self.steps {
            match &step.action {
                Action::Base { reference } => forecast.base = Some(reference.clone()),
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
                    let nvidia = sizes.iter().filter(|(name, _)| name.starts_with("nvidia-"));
                    let nvidia: u64 = nvidia.map(|(_, size)| size).sum();
                    let has_cuda = forecast.base.as_deref().is_some_and(has_cuda);
                    forecast.cuda_twice = (has_cuda && nvidia > 0).then_some(nvidia);
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
    let name = reference.split(['@', ':']).next().unwrap_or_default();
    name.ends_with("nvidia/cuda") || (name.ends_with("cog-base") && reference.contains("cuda"))
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
        assert!(!has_cuda("r8.im/cog-base:python3.12"));
        assert!(!has_cuda("python:3.12-slim"));
    }
}
