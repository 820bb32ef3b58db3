//! What is known of a build, whether it succeeded or not.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::ImageSize;

/// Which way the files of an image are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// From a graph.
    #[default]
    Llb,
    /// From a Dockerfile.
    Dockerfile,
}

/// What is known of a build.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BuildInfo {
    /// Id of the build, a UUID of version 7.
    pub build_id: String,
    /// Address of the builder.
    pub builder: String,
    /// Which way the files were made.
    pub backend: Backend,
    /// How long the build took, as seconds.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub duration: Duration,
    /// Steps that were run.
    pub executed: usize,
    /// Steps whose results were there already.
    pub cached: usize,
    /// Base image, with the digest that its tag stood for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Digest of the image, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Sizes of the image, one for each platform, if they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sizes: Vec<ImageSize>,
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}
