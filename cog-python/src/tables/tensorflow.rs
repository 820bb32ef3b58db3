//! `tensorflow.toml`: releases of TensorFlow and what they need of CUDA.

use serde::Deserialize;

use super::Release;

/// The table.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorFlow {
    /// Releases, oldest first.
    #[serde(rename = "release")]
    pub releases: Vec<TensorFlowRelease>,
}

/// A release of TensorFlow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorFlowRelease {
    /// TensorFlow.
    pub tensorflow: Release,
    /// CUDA it is built with.
    pub cuda: Release,
    /// cuDNN it is built with.
    pub cudnn: Release,
    /// Pythons that wheels exist for, as `major.minor`.
    pub python: Vec<String>,
}

/// Rows of a user's file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Overlay {
    release: Vec<TensorFlowRelease>,
}

impl TensorFlow {
    pub(super) fn lay_over(&mut self, overlay: Overlay) {
        for row in overlay.release {
            self.releases
                .retain(|known| known.tensorflow != row.tensorflow);
            self.releases.push(row);
        }
        self.releases
            .sort_by(|left, right| left.tensorflow.cmp(&right.tensorflow));
    }

    /// The row of a version, as it is written in a requirement.
    pub fn release(&self, version: &str) -> Option<&TensorFlowRelease> {
        self.releases
            .iter()
            .find(|row| row.tensorflow.as_str() == version)
    }
}
