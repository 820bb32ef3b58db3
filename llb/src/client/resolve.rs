//! What a reference leads to right now.

use super::Client;
use super::error::{Error, ErrorKind};
use crate::proto::moby::buildkit::v1::frontend::{
    ResolveImageConfigRequest, ResolveImageConfigResponse,
};
use crate::proto::pb;
use crate::source::{ResolveMode, ResolvedImage};
use crate::value::{ImageRef, Platform};

impl Client {
    /// Looks up an image for a platform: its digest and its config. Nothing but the config is fetched.
    ///
    /// Logins are those of the Docker config.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use llb::client::Client;
    /// use llb::prelude::*;
    /// use llb::value::Platform;
    ///
    /// let client = Client::discover().await?;
    /// let found = client.resolve_image("debian", &Platform::LINUX_AMD64, llb::ResolveMode::Default).await?;
    /// let base = image(format!("{}@{}", found.reference, found.digest)).with_image_config(&found.config)?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn resolve_image(
        &self,
        reference: &str,
        platform: &Platform,
        mode: ResolveMode,
    ) -> Result<ResolvedImage, Error> {
        let reference = ImageRef::parse(reference).map_err(|error| {
            Error::new(ErrorKind::Request, format!("image {reference:?}: {error}"))
        })?;
        let message = request(&reference, platform, mode);
        let reference = reference.as_str();
        let what = format!("looking up image {reference:?} for {platform}");
        let found = self.ask(&what, async |mut bridge| {
            let request = bridge.request(message)?;
            Ok(bridge
                .calls
                .resolve_image_config(request)
                .await?
                .into_inner())
        });
        Ok(answer(reference, found.await?))
    }
}

/// The question what an image is.
pub(crate) fn request(
    reference: &ImageRef,
    platform: &Platform,
    mode: ResolveMode,
) -> ResolveImageConfigRequest {
    let reference = reference.as_str();
    ResolveImageConfigRequest {
        r#ref: reference.to_owned(),
        platform: Some(pb::Platform {
            architecture: platform.architecture.to_string(),
            os: platform.os.to_string(),
            variant: platform.variant.to_string(),
            os_version: platform.os_version.to_string(),
            os_features: platform
                .os_features
                .iter()
                .map(ToString::to_string)
                .collect(),
        }),
        resolve_mode: match mode {
            ResolveMode::Default => "default",
            ResolveMode::ForcePull => "pull",
            ResolveMode::PreferLocal => "local",
        }
        .to_owned(),
        log_name: format!("resolve image config for {reference}"),
        ..ResolveImageConfigRequest::default()
    }
}

/// The answer to it.
pub(crate) fn answer(reference: &str, found: ResolveImageConfigResponse) -> ResolvedImage {
    ResolvedImage {
        reference: if found.r#ref.is_empty() {
            reference.to_owned()
        } else {
            found.r#ref
        },
        digest: found.digest,
        config: found.config.to_vec(),
    }
}
