//! Looking images up while a graph is resolved: `ImageMetaResolver` of `client/llb`.
//!
//! The graph does not know how: a resolver is a function that the program brings, from a table, a lock file, or answers
//! of a registry that were fetched before. It is called when the graph is marshalled, like any deferred state.

use std::fmt;
use std::sync::Arc;

use super::image::{Image, ResolveMode};
use crate::definition::MarshalOptions;
use crate::state::State;
use crate::value::{Digest, ImageRef, Platform};

/// What is asked of the resolver of an [`Image`].
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ImageRequest<'a> {
    /// The reference, normalized.
    pub reference: &'a str,
    /// The platform of the image, or else the one that the graph is marshalled for.
    pub platform: &'a Platform,
    /// Where the daemon would look.
    pub resolve_mode: ResolveMode,
}

/// An image that was looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedImage {
    /// The reference that it was found under, normalized; the one that was asked for if empty.
    pub reference: String,
    /// The digest of its manifest, or of its index: `sha256:` and 64 hexadecimal digits. Empty if it is not known.
    pub digest: String,
    /// Its config for the platform, as JSON; [`State::with_image_config`] takes it.
    pub config: Vec<u8>,
}

/// How an [`Image`] is looked up. Clones share it.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Resolve>);

type Resolve = dyn Fn(&ImageRequest<'_>) -> Result<ResolvedImage, String> + Send + Sync;

impl Resolver {
    pub(super) fn new<E: fmt::Display>(
        resolve: impl Fn(&ImageRequest<'_>) -> Result<ResolvedImage, E> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(move |request| {
            resolve(request).map_err(|error| format!("{error:#}"))
        }))
    }

    /// The image with what it carries, or, to pin its digest, the same image by that.
    pub(super) fn state(self, reference: ImageRef, image: Image) -> State {
        let location = image.location;
        let pins_digest = image.pins_digest && reference.digest().is_none();
        let base = if pins_digest {
            State::scratch()
        } else {
            image.clone().source(reference.as_str(), Vec::new())
        };
        base.deferred_at(location, move |base, options| {
            let found = self.resolve(&image, reference.as_str(), options)?;
            let state = if pins_digest {
                image
                    .clone()
                    .source(&pinned(&reference, &found)?, Vec::new())
            } else {
                base
            };
            state
                .with_image_config(&found.config)
                .map_err(|error| format!("{reference}: {}", error.problems()[0].message()))
        })
    }

    fn resolve(
        &self,
        image: &Image,
        reference: &str,
        options: &MarshalOptions,
    ) -> Result<ResolvedImage, String> {
        let own = image.constraints.options().platform.as_ref();
        let request = ImageRequest {
            reference,
            platform: own.unwrap_or_else(|| options.target_platform()),
            resolve_mode: image.resolve_mode,
        };
        self.0(&request)
    }
}

/// The reference that was found, with the digest that was found.
fn pinned(asked: &ImageRef, found: &ResolvedImage) -> Result<String, String> {
    let reference = if found.reference.is_empty() {
        asked.as_str().to_owned()
    } else {
        let reference = ImageRef::parse(&found.reference)
            .map_err(|error| format!("{asked} was found under another name: {error}"))?;
        reference.without_default_tag().to_owned()
    };
    if found.digest.is_empty() {
        return Ok(reference);
    }
    let digest = Digest::parse(&found.digest)
        .map_err(|error| format!("{asked} was found with digest {:?}: {error}", found.digest))?;
    let name = reference.split('@').next().unwrap_or_default();
    Ok(format!("{name}@{digest}"))
}

impl fmt::Debug for Resolver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Resolver")
    }
}
