//! Weights in a plan: where their files come from.

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::UvProgram;

/// Copies weights into a layer of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyWeights {
    /// What cog.yaml calls them; nothing for files that only look like weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the files come from, later ones over earlier ones.
    pub files: Vec<WeightFiles>,
    /// Their folder in the image. Without a name it is where the one folder or file of the project itself is.
    pub destination: String,
    /// Interpreter that repositories are fetched with: a path, or a name to look for in `PATH`.
    pub interpreter: String,
    /// What runs the program that fetches repositories.
    pub uv: UvProgram,
    /// Variables of steps that fetch repositories.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub environment: IndexMap<String, String>,
}

/// Files of weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightFiles {
    /// Where they come from.
    pub origin: WeightOrigin,
    /// Patterns of files that are taken; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// Patterns of files that stay out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Where files of weights come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum WeightOrigin {
    /// A folder or file of the project.
    Project {
        /// Its path there.
        path: String,
    },
    /// A download.
    Url {
        /// Its address.
        url: String,
        /// SHA-256 digest in hexadecimal digits.
        sha256: String,
    },
    /// A repository of Hugging Face.
    HuggingFace {
        /// `owner/name`.
        repository: String,
        /// A commit.
        revision: String,
    },
    /// Files of an OCI artifact: a manifest that is no image, with a layer for each file.
    Artifact {
        /// Its reference, with its digest.
        reference: String,
        /// A folder or file in it; empty is all of it.
        path: String,
    },
    /// A folder or file of an image.
    Image {
        /// Reference of the image, with its digest.
        reference: String,
        /// Its path there; empty is all of the image.
        path: String,
    },
}

impl WeightFiles {
    /// All of a folder or file of the project.
    pub fn of_project(path: impl Into<String>) -> Self {
        Self {
            origin: WeightOrigin::Project { path: path.into() },
            include: Vec::new(),
            exclude: Vec::new(),
        }
    }

    /// Whether they are a repository of Hugging Face.
    pub(super) fn is_repository(&self) -> bool {
        matches!(self.origin, WeightOrigin::HuggingFace { .. })
    }

    /// Whether they are an OCI artifact.
    pub(super) fn is_artifact(&self) -> bool {
        matches!(self.origin, WeightOrigin::Artifact { .. })
    }

    /// Whether a step is needed that runs on a file system with Python.
    pub(super) fn is_fetched(&self) -> bool {
        self.is_repository() || self.is_artifact()
    }

    /// For people: where they come from.
    pub(super) fn shown(&self) -> String {
        match &self.origin {
            WeightOrigin::Project { path } => path.clone(),
            WeightOrigin::Url { url, .. } => url.clone(),
            WeightOrigin::HuggingFace {
                repository,
                revision,
            } => format!("hf://{repository}@{revision}"),
            WeightOrigin::Artifact { reference, path } => {
                format!("oci+artifact://{}", with_path(reference, path))
            }
            WeightOrigin::Image { reference, path } => {
                format!("oci://{}", with_path(reference, path))
            }
        }
    }
}

fn with_path(reference: &str, path: &str) -> String {
    if path.is_empty() {
        reference.to_owned()
    } else {
        format!("{reference}#{path}")
    }
}
