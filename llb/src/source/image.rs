//! Images from a registry or from the daemon's own store.

use std::panic::Location;

use super::{source_builder, source_state};
use crate::constraints::Constraints;
use crate::error::{ErrorKind, Problem};
use crate::op::SourceOp;
use crate::state::State;
use crate::value::Capability;
use crate::value::reference::ImageRef;

/// An image by its reference, as `docker pull` takes it.
///
/// The reference is normalized: `debian` is `docker.io/library/debian:latest`. For options, see [`Image`].
///
/// ```
/// use llb::prelude::*;
///
/// assert_eq!(image("debian").to_text(), r#"
/// platform linux/amd64
/// %debian = source "docker-image://docker.io/library/debian:latest"
/// return %debian
/// "#.trim_start());
/// ```
#[track_caller]
pub fn image(reference: impl AsRef<str>) -> State {
    Image::new(reference).state()
}

/// An image with options.
///
/// ```
/// use llb::prelude::*;
///
/// let base = Image::new("debian:bookworm-slim").platform("linux/arm64".parse()?).state();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    resolve_mode: ResolveMode,
    layer_limit: Option<u32>,
    checksum: Option<String>,
    internal: bool,
    pub(super) constraints: Constraints,
    location: &'static Location<'static>,
}

/// How the daemon finds an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ResolveMode {
    /// As the daemon is set up.
    #[default]
    Default,
    /// From the registry, even if it is there locally.
    ForcePull,
    /// From the daemon's own store if it is there.
    PreferLocal,
}

impl Image {
    /// An image by its reference.
    #[track_caller]
    pub fn new(reference: impl AsRef<str>) -> Self {
        Self {
            reference: reference.as_ref().to_owned(),
            resolve_mode: ResolveMode::Default,
            layer_limit: None,
            checksum: None,
            internal: false,
            constraints: Constraints::default(),
            location: Location::caller(),
        }
    }

    /// The same with another reference.
    #[cfg(feature = "gateway")]
    pub(crate) fn rename(mut self, reference: String) -> Self {
        self.reference = reference;
        self
    }

    /// Where the daemon looks for the image.
    #[must_use = "this returns the changed source"]
    pub fn resolve_mode(mut self, mode: ResolveMode) -> Self {
        self.resolve_mode = mode;
        self
    }

    /// Uses only the first layers of the image.
    #[must_use = "this returns the changed source"]
    pub fn layer_limit(mut self, layers: u32) -> Self {
        self.layer_limit = Some(layers);
        self
    }

    /// The digest that the image must have: `sha256:` and 64 hexadecimal digits.
    #[must_use = "this returns the changed source"]
    pub fn checksum(mut self, digest: impl Into<String>) -> Self {
        self.checksum = Some(digest.into());
        self
    }

    /// Marks the image as internal, so that history does not list it as used by the user.
    #[must_use = "this returns the changed source"]
    pub fn internal(mut self) -> Self {
        self.internal = true;
        self
    }

    /// The image's file system.
    pub fn state(self) -> State {
        let mut problems = Vec::new();
        let reference = match ImageRef::parse(&self.reference) {
            Ok(reference) => reference.as_str().to_owned(),
            Err(error) => {
                problems.push(Problem::at(
                    ErrorKind::Source,
                    format!("image {:?}: {error}", self.reference),
                    self.location,
                ));
                self.reference
            }
        };
        let mut op = SourceOp::new(format!("docker-image://{reference}"));
        op.cap(Capability::SourceImage);
        match self.resolve_mode {
            ResolveMode::Default => {}
            ResolveMode::ForcePull => {
                op.attr("image.resolvemode", "pull");
                op.cap(Capability::SourceImageResolveMode);
            }
            ResolveMode::PreferLocal => op.attr("image.resolvemode", "local"),
        }
        if self.internal {
            op.attr("image.recordtype", "internal");
        }
        if let Some(layers) = self.layer_limit {
            op.attr("image.layerlimit", layers.to_string());
            op.cap(Capability::SourceImageLayerLimit);
        }
        if let Some(digest) = self.checksum {
            op.attr("image.checksum", digest);
            op.cap(Capability::SourceImageChecksum);
        }
        source_state(op, self.constraints, problems, self.location)
    }
}

source_builder!(Image);
