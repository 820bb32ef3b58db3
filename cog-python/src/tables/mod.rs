//! What is known of releases: which wheels, images and architectures go together.
//!
//! The facts are data, one TOML file each, with their source at the top. [`Tables::built_in`] is what this crate ships;
//! [`Tables::with`] lays a file of the user over it, so that a release that came out yesterday needs no new program:
//!
//! ```
//! use cog_python::tables::Tables;
//!
//! let tables = Tables::built_in().with("more.toml", r#"
//!     [[torch.release]]
//!     torch = "2.12.0"
//!     torchvision = "0.27.0"
//!     python = ["3.11", "3.12", "3.13"]
//!     builds = ["cpu", "cu126", "cu130"]
//! "#)?;
//! assert!(tables.torch.releases.iter().any(|release| release.torch.to_string() == "2.12.0"));
//! # Ok::<(), cog_python::tables::TableError>(())
//! ```
//!
//! A row of the file replaces the built-in row of the same release.

mod cog_base;
mod cuda;
mod gpu;
mod release;
mod tensorflow;
mod torch;

use std::sync::LazyLock;

use serde::Deserialize;

pub use cog_base::CogBase;
pub use cuda::{Cuda, CudaImage, Driver, Flavour};
pub use gpu::{Architecture, Floor, Gpu};
pub use release::{Release, ReleaseError};
pub use tensorflow::{TensorFlow, TensorFlowRelease};
pub use torch::{Build, Torch, TorchPackage, TorchRelease, Wheel};

/// All tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// torch, torchvision and torchaudio.
    pub torch: Torch,
    /// TensorFlow.
    pub tensorflow: TensorFlow,
    /// NVIDIA's images and drivers.
    pub cuda: Cuda,
    /// GPU architectures.
    pub gpu: Gpu,
    /// Cog's own base images.
    pub cog_base: CogBase,
}

/// A file of tables that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("tables of `{file}` are not understood: {problem}")]
pub struct TableError {
    file: String,
    problem: String,
}

/// What a file of the user may hold.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Overlay {
    torch: torch::Overlay,
    tensorflow: tensorflow::Overlay,
    cuda: cuda::Overlay,
    gpu: gpu::Overlay,
}

static BUILT_IN: LazyLock<Tables> = LazyLock::new(|| {
    const VALID: &str = "the tables of the crate are valid";
    let cuda: Cuda = toml::from_str(include_str!("cuda.toml")).expect(VALID);
    Tables {
        torch: toml::from_str(include_str!("torch.toml")).expect(VALID),
        tensorflow: toml::from_str(include_str!("tensorflow.toml")).expect(VALID),
        gpu: toml::from_str(include_str!("gpu.toml")).expect(VALID),
        cog_base: toml::from_str(include_str!("cog_base.toml")).expect(VALID),
        cuda,
    }
});

impl Tables {
    /// The tables this crate ships.
    pub fn built_in() -> &'static Self {
        &BUILT_IN
    }

    /// These tables with the rows of a file laid over them.
    pub fn with(&self, file: &str, text: &str) -> Result<Self, TableError> {
        let overlay: Overlay = toml::from_str(text).map_err(|error| TableError {
            file: file.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        let mut tables = self.clone();
        tables.torch.lay_over(overlay.torch);
        tables.tensorflow.lay_over(overlay.tensorflow);
        tables.cuda.lay_over(overlay.cuda);
        tables.gpu.lay_over(overlay.gpu);
        Ok(tables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_the_crate_are_valid() {
        let tables = Tables::built_in();
        assert!(tables.torch.releases.len() > 25);
        assert!(tables.cuda.images.len() > 30);
        assert!(tables.tensorflow.releases.len() > 15);
        assert!(tables.torch.releases.is_sorted_by_key(|row| &row.torch));
    }

    #[test]
    fn a_row_of_the_user_replaces_the_built_in_one() {
        let tables = Tables::built_in()
            .with(
                "x.toml",
                "[[torch.release]]\ntorch = \"2.4.1\"\npython = [\"3.12\"]\nbuilds = [\"cu129\"]\n",
            )
            .unwrap();
        let rows: Vec<_> = tables
            .torch
            .releases
            .iter()
            .filter(|row| row.torch.to_string() == "2.4.1")
            .collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].builds.len(), 1);
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let error = Tables::built_in()
            .with(
                "x.toml",
                "[[torch.release]]\ntorch = \"2.4.1\"\nwheel = 1\n",
            )
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("tables of `x.toml` are not understood"),
            "{error}"
        );
        assert!(error.contains("line 3"), "{error}");
    }
}
