//! Images from a registry or from the daemon's own store.

use std::fmt;
use std::panic::Location;

use super::resolver::{ImageRequest, ResolvedImage, Resolver};
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
/// use llb::ResolveMode;
/// use llb::value::Platform;
///
/// let base = Image::new("debian")
///     .platform(Platform::LINUX_ARM64)
///     .resolve_mode(ResolveMode::ForcePull)
///     .layer_limit(2)
///     .internal();
/// assert_eq!(base.state().to_text(), r#"
/// platform linux/arm64
/// %debian = source "docker-image://docker.io/library/debian:latest" image.layerlimit="2" image.recordtype="internal" image.resolvemode="pull"
/// return %debian
/// "#.trim_start());
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    reference: String,
    pub(super) resolve_mode: ResolveMode,
    layer_limit: Option<u32>,
    checksum: Option<String>,
    internal: bool,
    resolver: Option<Resolver>,
    pub(super) pins_digest: bool,
    pub(super) constraints: Constraints,
    pub(super) location: &'static Location<'static>,
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
            resolver: None,
            pins_digest: false,
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

    /// Looks the image up when the graph is marshalled, and takes over its config as
    /// [`State::with_image_config`] does: `WithMetaResolver` of `client/llb`.
    ///
    /// The function should answer the same question in the same way; nothing else of it enters the graph. Its error is
    /// reported by [`State::marshal`], with the line that named the image. What a daemon or a registry says has to be
    /// fetched before, for example with `Client::resolve_image`.
    ///
    /// ```
    /// use llb::prelude::*;
    /// use llb::{ImageRequest, ResolvedImage};
    ///
    /// fn lock_file(request: &ImageRequest<'_>) -> Result<ResolvedImage, String> {
    ///     match request.reference {
    ///         "docker.io/library/debian:12" => Ok(ResolvedImage {
    ///             digest: format!("sha256:{}", "3".repeat(64)),
    ///             config: br#"{"config":{"Env":["LANG=C.UTF-8"]}}"#.to_vec(),
    ///             ..ResolvedImage::default()
    ///         }),
    ///         other => Err(format!("{other} is not in the lock file")),
    ///     }
    /// }
    /// let options = MarshalOptions::linux_amd64();
    /// let base = Image::new("debian:12").resolver(lock_file).state().resolve(&options);
    /// assert_eq!(base.environment().get("LANG"), Some("C.UTF-8"));
    ///
    /// let error = Image::new("ubuntu").resolver(lock_file).state().marshal(&options).unwrap_err();
    /// assert!(error.to_string().contains("docker.io/library/ubuntu:latest is not in the lock file"));
    /// # Ok::<(), llb::Error>(())
    /// ```
    #[must_use = "this returns the changed source"]
    pub fn resolver<E: fmt::Display>(
        mut self,
        resolve: impl Fn(&ImageRequest<'_>) -> Result<ResolvedImage, E> + Send + Sync + 'static,
    ) -> Self {
        self.resolver = Some(Resolver::new(resolve));
        self
    }

    /// Puts the digest that the [`resolver`](Self::resolver) finds into the reference, unless it has one: `ResolveDigest`
    /// of `client/llb`. Without a resolver nothing happens.
    ///
    /// ```
    /// use llb::prelude::*;
    /// use llb::ResolvedImage;
    ///
    /// let digest = format!("sha256:{}", "3".repeat(64));
    /// let found = ResolvedImage { digest: digest.clone(), config: b"{}".to_vec(), ..ResolvedImage::default() };
    /// let base = Image::new("debian:12").resolver(move |_| Ok::<_, String>(found.clone())).pin_digest().state();
    /// assert!(base.to_text().contains(&format!("docker-image://docker.io/library/debian:12@{digest}")));
    /// ```
    #[must_use = "this returns the changed source"]
    pub fn pin_digest(mut self) -> Self {
        self.pins_digest = true;
        self
    }

    /// The image's file system.
    pub fn state(mut self) -> State {
        match ImageRef::parse(&self.reference) {
            Ok(reference) => match self.resolver.take() {
                Some(resolver) => resolver.state(reference, self),
                None => self.source(reference.as_str(), Vec::new()),
            },
            Err(error) => {
                let message = format!("image {:?}: {error}", self.reference);
                let problem = Problem::at(ErrorKind::Source, message, self.location);
                let reference = std::mem::take(&mut self.reference);
                self.source(&reference, vec![problem])
            }
        }
    }

    /// The image of exactly this reference.
    pub(super) fn source(self, reference: &str, problems: Vec<Problem>) -> State {
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
        if let Some(digest) = self.checksum.filter(|digest| !digest.is_empty()) {
            op.attr("image.checksum", digest);
            op.cap(Capability::SourceImageChecksum);
        }
        source_state(op, self.constraints, problems, self.location)
    }
}

source_builder!(Image);
