//! `torch.toml`: releases of torch, torchvision and torchaudio, and their wheels.

use serde::Deserialize;

use super::{Release, Tables};

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Torch {
    /// Address below which each build has a folder.
    pub index: String,
    /// What is assumed of newer releases.
    pub newer: Newer,
    /// Releases, oldest first.
    #[serde(rename = "release")]
    pub releases: Vec<TorchRelease>,
}

/// What is assumed of releases that are newer than the table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Newer {
    /// CUDA that the wheel on PyPI is built for.
    pub cuda: Release,
}

/// A release of torch, with the others that are made for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TorchRelease {
    /// torch.
    pub torch: Release,
    /// torchvision.
    pub torchvision: Option<Release>,
    /// torchaudio.
    pub torchaudio: Option<Release>,
    /// Pythons from 3.10 on that wheels exist for, as `major.minor`.
    pub python: Vec<String>,
    /// Builds that the index has.
    pub builds: Vec<Build>,
    /// Build that only PyPI has.
    pub pypi: Option<Build>,
    /// Whether the version of torchvision carries the build as a local tag.
    #[serde(default)]
    pub local: bool,
}

/// How a wheel is built: for CPU, or for a release of CUDA.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Build {
    folder: String,
    cuda: Option<Release>,
}

impl Build {
    /// Name of its folder: `cpu`, `cu124`.
    pub fn folder(&self) -> &str {
        &self.folder
    }

    /// CUDA it is built for; none is for CPU.
    pub fn cuda(&self) -> Option<&Release> {
        self.cuda.as_ref()
    }

    /// The build that a folder name or local tag means: `cu124` is CUDA 12.4.
    pub fn from_folder(folder: &str) -> Option<Self> {
        if folder == "cpu" {
            return Some(Self {
                folder: folder.to_owned(),
                cuda: None,
            });
        }
        let digits = folder.strip_prefix("cu")?;
        if digits.len() < 2 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (major, minor) = digits.split_at(digits.len() - 1);
        Some(Self {
            folder: folder.to_owned(),
            cuda: format!("{major}.{minor}").parse().ok(),
        })
    }

    /// CUDA of the folder that an index address ends in or holds: `…/whl/cu128/` is CUDA 12.8.
    pub fn cuda_of_index(url: &str) -> Option<Release> {
        url.match_indices("cu").find_map(|(start, _)| {
            let digits: String = url[start + 2..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            Self::from_folder(&format!("cu{digits}"))?.cuda
        })
    }
}

impl TryFrom<String> for Build {
    type Error = String;

    fn try_from(folder: String) -> Result<Self, Self::Error> {
        Self::from_folder(&folder)
            .ok_or_else(|| format!("a build must be `cpu` or `cuXYZ`, found `{folder}`"))
    }
}

/// A wheel that goes with a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wheel {
    /// Version to pin.
    pub version: String,
    /// Index that has it, besides PyPI.
    pub index: Option<String>,
    /// CUDA it is built for.
    pub cuda: Option<Release>,
}

/// Packages whose wheels lie in the folders of builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TorchPackage {
    /// torch.
    Torch,
    /// torchvision.
    Torchvision,
}

/// Rows of a user's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Overlay {
    index: Option<String>,
    newer: Option<Newer>,
    release: Vec<TorchRelease>,
}

impl Torch {
    pub(super) fn lay_over(&mut self, overlay: Overlay) {
        self.index = overlay.index.unwrap_or_else(|| self.index.clone());
        self.newer = overlay.newer.unwrap_or_else(|| self.newer.clone());
        for row in overlay.release {
            self.releases.retain(|known| known.torch != row.torch);
            self.releases.push(row);
        }
        self.releases
            .sort_by(|left, right| left.torch.cmp(&right.torch));
    }

    /// The newest release of the table.
    pub fn newest(&self) -> Option<&Release> {
        self.releases.last().map(|row| &row.torch)
    }

    /// Whether a release is newer than the table, and near enough for its rule.
    pub fn is_newer(&self, release: &Release) -> bool {
        self.newest()
            .is_some_and(|newest| newest.major() == release.major() && newest < release)
    }
}

impl Tables {
    /// Every wheel of a package: its release, its version and what it is built for.
    ///
    /// Builds for a CUDA that no image of NVIDIA has are left out.
    fn torch_wheels(&self, package: TorchPackage) -> impl Iterator<Item = (&Release, Wheel)> {
        let has_image = |cuda: &Release| {
            self.cuda
                .images
                .iter()
                .any(|image| cuda.matches(&image.cuda))
        };
        self.torch.releases.iter().flat_map(move |row| {
            let release = match package {
                TorchPackage::Torch => Some(&row.torch),
                TorchPackage::Torchvision => row.torchvision.as_ref(),
            };
            let of_index = row.builds.iter().map(|build| (build, true));
            let of_pypi = row.pypi.iter().map(|build| (build, false));
            of_index
                .chain(of_pypi)
                .filter(move |(build, _)| build.cuda().is_none_or(has_image))
                .filter_map(move |(build, on_index)| {
                    let release = release?;
                    // torch's own local tags are left out: the index has one build of a version only, and pip
                    // prefers it to the untagged one of PyPI.
                    let tagged =
                        package == TorchPackage::Torchvision && row.local && build.cuda().is_none();
                    let version = if tagged {
                        format!("{}+{}", release, build.folder())
                    } else {
                        release.to_string()
                    };
                    let index =
                        on_index.then(|| format!("{}{}/", self.torch.index, build.folder()));
                    let cuda = build.cuda().cloned();
                    Some((
                        release,
                        Wheel {
                            version,
                            index,
                            cuda,
                        },
                    ))
                })
        })
    }

    /// The wheel of a version for a CUDA: of the newest build that the CUDA can run.
    ///
    /// A version of torch with two numbers means the newest release of that line, as Cog has it.
    pub fn torch_gpu_wheel(
        &self,
        package: TorchPackage,
        version: &str,
        cuda: &Release,
    ) -> Option<Wheel> {
        let wanted: Release = version.parse().ok()?;
        let names = |release: &Release| match package {
            TorchPackage::Torch => release.matches(&wanted),
            TorchPackage::Torchvision => release.as_str() == version,
        };
        self.torch_wheels(package)
            .filter(|(release, wheel)| {
                names(release) && wheel.cuda.as_ref().is_some_and(|built| built <= cuda)
            })
            .max_by(|(left, left_wheel), (right, right_wheel)| {
                left_wheel
                    .cuda
                    .cmp(&right_wheel.cuda)
                    .then_with(|| left.cmp(right))
            })
            .map(|(_, wheel)| wheel)
    }

    /// The wheel of a version for CPU.
    pub fn torch_cpu_wheel(&self, package: TorchPackage, version: &str) -> Option<Wheel> {
        self.torch_wheels(package)
            .find(|(release, wheel)| wheel.cuda.is_none() && release.as_str() == version)
            .map(|(_, wheel)| wheel)
    }

    /// The wheel of a version of torchvision: for a CUDA, or for CPU. A local tag (`+cu121`, `+cpu`) says which build is meant,
    /// and stays.
    pub fn torchvision_wheel(&self, version: &str, cuda: Option<&Release>) -> Option<Wheel> {
        let release = version.parse::<Release>().ok()?;
        let tagged = release.local().and_then(Build::from_folder);
        let cuda = match &tagged {
            Some(build) => build.cuda(),
            None => cuda,
        };
        let plain = release.without_local();
        let wheel = match cuda {
            Some(cuda) => self.torch_gpu_wheel(TorchPackage::Torchvision, plain, cuda),
            None => self.torch_cpu_wheel(TorchPackage::Torchvision, plain),
        }?;
        Some(match tagged {
            Some(_) => Wheel {
                version: version.to_owned(),
                ..wheel
            },
            None => wheel,
        })
    }

    /// CUDA releases that wheels of a version of torch are built for, oldest first.
    ///
    /// A local tag (`+cu121`) names one of them; a tag that no build has says nothing.
    pub fn torch_cudas(&self, version: &Release) -> Vec<Release> {
        let cudas = || {
            self.torch_wheels(TorchPackage::Torch)
                .filter(|(release, _)| version.matches(release))
                .filter_map(|(_, wheel)| wheel.cuda)
        };
        let tagged = version
            .local()
            .and_then(Build::from_folder)
            .and_then(|build| build.cuda);
        if let Some(cuda) = tagged.filter(|tagged| cudas().any(|cuda| cuda == *tagged)) {
            return vec![cuda];
        }
        let mut cudas: Vec<Release> = cudas().collect();
        cudas.sort();
        cudas.dedup();
        cudas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn folders_name_a_cuda() {
        assert_eq!(
            Build::from_folder("cu128")
                .unwrap()
                .cuda()
                .unwrap()
                .to_string(),
            "12.8"
        );
        assert!(Build::from_folder("cpu").unwrap().cuda().is_none());
        assert!(Build::from_folder("rocm6.2").is_none());
        let cuda = |url| Build::cuda_of_index(url).map(|cuda| cuda.to_string());
        assert_eq!(
            cuda("https://download.pytorch.org/whl/cu128/"),
            Some("12.8".into())
        );
        assert_eq!(cuda("https://download.pytorch.org/whl/cpu/"), None);
        assert_eq!(
            cuda("https://custom.example.com/cu118"),
            Some("11.8".into())
        );
    }

    #[test]
    fn the_newest_build_that_the_cuda_can_run_is_taken() {
        let tables = Tables::built_in();
        let wheel = |version: &str, cuda: &str| {
            tables
                .torch_gpu_wheel(TorchPackage::Torch, version, &release(cuda))
                .unwrap()
        };
        assert!(wheel("2.5.1", "12.6").index.unwrap().ends_with("/cu124/"));
        assert_eq!(wheel("2.3", "11.8").version, "2.3.1");
        assert_eq!(wheel("2.0.1", "11.7").index, None);
    }

    #[test]
    fn a_local_tag_of_torchvision_names_the_build() {
        let tables = Tables::built_in();
        let wheel = |version: &str, cuda: &str| {
            let cuda = cuda.parse().ok();
            let wheel = tables.torchvision_wheel(version, cuda.as_ref()).unwrap();
            (wheel.version, wheel.index.unwrap())
        };
        let index = |folder: &str| format!("https://download.pytorch.org/whl/{folder}/");
        for (version, cuda, folder) in [
            ("0.13.0+cu116", "12.1", "cu116"),
            ("0.18.1+cu121", "12.4", "cu121"),
            ("0.13.1+cpu", "11.6", "cpu"),
            ("0.18.1", "12.4", "cu121"),
        ] {
            assert_eq!(wheel(version, cuda), (version.to_owned(), index(folder)));
        }
        assert_eq!(wheel("0.13.1", ""), ("0.13.1+cpu".to_owned(), index("cpu")));
    }

    #[test]
    fn a_local_tag_names_the_cuda() {
        let tables = Tables::built_in();
        let cudas = |version: &str| {
            tables
                .torch_cudas(&release(version))
                .iter()
                .map(Release::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(cudas("2.3.1+cu118"), ["11.8"]);
        assert_eq!(cudas("2.3.1+cu999"), ["11.8", "12.1"]);
        assert!(cudas("0.4.1").is_empty());
    }
}
