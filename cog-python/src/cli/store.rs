//! Where images are: the engine, asked over its API, and registries, asked by the builder with the logins of this user.

use std::sync::{Mutex, PoisonError};

use llb::client::Solve;
use llb::gateway::{Build, Image};
use llb::value::{ImageRef, Platform};
use llb::{ResolveMode as Lookup, State};
use serde::Deserialize;

use super::{Failure, build};
use crate::engine::Engine;
use crate::model::{FoundImage, ImageStore};
use crate::registry::{Access, Repository};

/// The image store of an engine.
pub(super) struct Local<'e>(pub(super) &'e Engine);

impl ImageStore for Local<'_> {
    type Error = Failure;

    async fn find(&self, reference: &ImageRef) -> Result<Option<FoundImage>, Failure> {
        self.0.find(reference.as_str()).await
    }
}

/// The registries, as a builder reaches them: with its mirrors and certificates. The builder is connected to when the first
/// image is looked for.
pub(super) struct Remote<'a> {
    /// Address of the builder.
    pub(super) address: Option<&'a str>,
    /// Address of the engine whose builder is taken otherwise.
    pub(super) engine: Option<&'a str>,
    /// The platform that an image is wanted for.
    pub(super) platform: Platform,
    /// How registries are reached for what builders do not tell.
    pub(super) access: Access<'a>,
}

impl Remote<'_> {
    /// There is an image, but none for the platform.
    fn is_lacking(&self, reference: &ImageRef) -> Failure {
        Failure::new(format!(
            "`{}` has no image for {}",
            reference.as_str(),
            self.platform
        ))
        .hint("name another one with `--platform`, which the engine must be able to run")
    }

    /// Size of an image's layers. A builder may know mirrors that this program does not: then there is none.
    async fn size(&self, reference: &ImageRef, digest: &str) -> Option<u64> {
        let mut repository = Repository::open(reference, &self.access).await.ok()?;
        repository.size(digest, &self.platform).await.ok()
    }
}

/// The part of an image configuration that is read.
#[derive(Default, Deserialize)]
struct ImageConfig {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    config: ContainerConfig,
}

#[derive(Default, Deserialize)]
struct ContainerConfig {
    #[serde(default, rename = "Labels")]
    labels: Option<std::collections::BTreeMap<String, String>>,
}

impl ImageStore for Remote<'_> {
    type Error = Failure;

    async fn find(&self, reference: &ImageRef) -> Result<Option<FoundImage>, Failure> {
        let client = build::connect(self.address, self.engine).await?;
        let answer = Mutex::new(None);
        let ask = async |build: &mut Build| {
            let found = build
                .resolve_image_for(reference.as_str(), &self.platform, Lookup::ForcePull)
                .await;
            match found {
                Ok(found) => {
                    *answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
                }
                Err(error) if error.is_not_found() && !is_for_others(&error.to_string()) => {}
                Err(error) => return Err(error),
            }
            Ok(Image::new(State::scratch()))
        };
        client
            .build(Solve::build(), &mut (), ask)
            .await
            .map_err(|error| {
                if is_for_others(&error.to_string()) {
                    return self.is_lacking(reference);
                }
                // The step that comes after it is ours.
                let said = error.message().lines().next().unwrap_or_default();
                let said = said.strip_prefix("build failed: ").unwrap_or(said);
                Failure::new(format!(
                    "cannot look `{}` up in its registry: {said}",
                    reference.as_str(),
                ))
                .hint("log in with `docker login`, if the image is private")
            })?;
        let answer = answer.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = answer else { return Ok(None) };
        let config: ImageConfig = serde_json::from_slice(&found.config).map_err(|error| {
            Failure::new(format!(
                "the configuration of `{}` is not understood: {error}",
                reference.as_str()
            ))
        })?;
        // An image that is no index is whatever it is.
        let is_told = !config.architecture.is_empty();
        let own = Platform::new(config.os, config.architecture);
        let is_other = own.os != self.platform.os || own.architecture != self.platform.architecture;
        if is_told && is_other {
            return Err(self.is_lacking(reference));
        }
        let digest = Some(found.digest).filter(|digest| !digest.is_empty());
        let size = match &digest {
            Some(digest) => self.size(reference, digest).await,
            None => None,
        };
        Ok(Some(FoundImage {
            labels: config.config.labels.unwrap_or_default(),
            digest,
            size,
        }))
    }
}

/// Whether there is an image, but none for the platform.
fn is_for_others(message: &str) -> bool {
    message.contains("no match for platform")
}
