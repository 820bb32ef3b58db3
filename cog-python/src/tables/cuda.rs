//! `cuda.toml`: NVIDIA's images, and the drivers that releases of CUDA need.

use serde::Deserialize;

use super::Release;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cuda {
    /// Repository of the images.
    pub repository: String,
    /// CUDA of a GPU build for which nothing else decides.
    pub default: Release,
    /// Lowest CUDA that `build.cuda` may name.
    pub minimum: Release,
    /// Images.
    #[serde(rename = "image")]
    pub images: Vec<CudaImage>,
    /// Drivers.
    #[serde(rename = "driver")]
    pub drivers: Vec<Driver>,
}

/// A release of CUDA and cuDNN that images exist for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CudaImage {
    /// CUDA.
    pub cuda: Release,
    /// Major version of cuDNN.
    pub cudnn: Release,
    /// How the tag names cuDNN.
    pub label: String,
    /// Releases of Ubuntu, oldest first.
    pub ubuntu: Vec<String>,
}

/// The oldest driver of a major release of CUDA.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Driver {
    /// Major release of CUDA.
    pub cuda: Release,
    /// Version of the Linux driver.
    pub linux: Release,
}

/// What an image of NVIDIA is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// Compilers and headers.
    Devel,
    /// Libraries only: two to four gigabytes less.
    Runtime,
}

impl Flavour {
    /// The word of the tag.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Devel => "devel",
            Self::Runtime => "runtime",
        }
    }
}

/// Rows of a user's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Overlay {
    repository: Option<String>,
    default: Option<Release>,
    image: Vec<CudaImage>,
    driver: Vec<Driver>,
}

impl Cuda {
    pub(super) fn lay_over(&mut self, overlay: Overlay) {
        self.repository = overlay
            .repository
            .unwrap_or_else(|| self.repository.clone());
        self.default = overlay.default.unwrap_or_else(|| self.default.clone());
        for row in overlay.image {
            self.images
                .retain(|known| (&known.cuda, &known.cudnn) != (&row.cuda, &row.cudnn));
            self.images.push(row);
        }
        for row in overlay.driver {
            self.drivers.retain(|known| known.cuda != row.cuda);
            self.drivers.push(row);
        }
    }

    /// Major versions of cuDNN that images of a CUDA have, newest first, each once.
    pub fn cudnns(&self, cuda: &Release) -> Vec<&Release> {
        let mut cudnns: Vec<&Release> = self
            .images
            .iter()
            .filter(|image| cuda.matches(&image.cuda))
            .map(|image| &image.cudnn)
            .collect();
        cudnns.sort_by(|left, right| right.cmp(left));
        cudnns.dedup();
        cudnns
    }

    /// The image of a CUDA and a cuDNN: newest release, then newest Ubuntu.
    pub fn image(&self, cuda: &Release, cudnn: &str, flavour: Flavour) -> Option<String> {
        let image = self
            .images
            .iter()
            .filter(|image| cuda.matches(&image.cuda) && image.cudnn.as_str() == cudnn)
            .max_by(|left, right| left.cuda.cmp(&right.cuda))?;
        Some(format!(
            "{}:{}-{}-{}-ubuntu{}",
            self.repository,
            image.cuda,
            image.label,
            flavour.as_str(),
            image.ubuntu.last()?
        ))
    }

    /// Releases of CUDA that images with a cuDNN have, newest first.
    pub fn with_cudnn(&self, cudnn: &str) -> Vec<&Release> {
        let mut cudas: Vec<&Release> = self
            .images
            .iter()
            .filter(|image| image.cudnn.as_str() == cudnn)
            .map(|image| &image.cuda)
            .collect();
        cudas.sort_by(|left, right| right.cmp(left));
        cudas
    }

    /// The oldest driver that runs programs of a CUDA.
    pub fn driver(&self, cuda: &Release) -> Option<&Release> {
        self.drivers
            .iter()
            .find(|driver| driver.cuda.major() == cuda.major())
            .map(|driver| &driver.linux)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Tables;
    use super::*;

    fn release(text: &str) -> Release {
        text.parse().unwrap()
    }

    #[test]
    fn the_newest_image_of_a_line_is_taken() {
        let cuda = &Tables::built_in().cuda;
        assert_eq!(
            cuda.image(&release("12.6"), "9", Flavour::Devel).unwrap(),
            "nvidia/cuda:12.6.3-cudnn-devel-ubuntu24.04"
        );
        assert_eq!(
            cuda.image(&release("11.6.2"), "8", Flavour::Runtime)
                .unwrap(),
            "nvidia/cuda:11.6.2-cudnn8-runtime-ubuntu20.04"
        );
        assert_eq!(cuda.image(&release("12.3"), "8", Flavour::Devel), None);
    }

    /// B5: the list named a version once for every image.
    #[test]
    fn every_cudnn_is_named_once() {
        let cuda = &Tables::built_in().cuda;
        let names: Vec<_> = cuda
            .cudnns(&release("11.8"))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(names, ["8"]);
    }
}
