//! Sizes of the layers of an image, from where a build has put it: the engine, an archive, or a registry.

use std::path::Path;

use llb::client::{Client, Outcome};
use llb::value::ImageRef;

use super::Failure;
use super::args::BuildArgs;
use super::layout::{Layout, LayoutImage};
use super::output::{OutputKind, OutputOption};
use crate::config::ImageName;
use crate::engine::Engine;
use crate::factory::{ImageSize, LayerSize, Measure};
use crate::registry::{Access, Repository};

/// Sizes of what was built, one image for each platform.
pub(super) async fn sizes(
    client: &Client,
    outputs: &[OutputOption],
    platforms: &[&str],
    name: &str,
    outcome: &Outcome,
    args: &BuildArgs,
) -> Result<Vec<ImageSize>, Failure> {
    let blobs = |layout: &Layout| {
        let images = layout.images()?;
        let sizes = images.iter().map(|image| size(image, platforms[0]));
        Ok(sizes.collect())
    };
    let archive = outputs.iter().find_map(|output| {
        let is_archive = matches!(output.kind, OutputKind::Oci | OutputKind::Docker);
        output
            .dest
            .as_deref()
            .filter(|path| is_archive && *path != Path::new("-"))
    });
    if let Some(path) = archive {
        return blobs(&Layout::open(path)?);
    }
    let named = |output: &OutputOption| {
        let own = output.name.as_ref().map(ImageName::as_str);
        own.unwrap_or(name).to_owned()
    };
    let pushed = outputs.iter().find(|output| output.push);
    if let (Some(output), Some(digest)) = (pushed, outcome.image_digest()) {
        let name = named(output);
        let image = ImageRef::parse(&name).map_err(|error| Failure::new(error.to_string()))?;
        let access = Access {
            insecure: output.has("registry.insecure", "true"),
            certificates: args.ca_cert.as_deref(),
            only: args.ca_only,
        };
        let mut repository = Repository::open(&image, &access).await?;
        let documents = repository.documents(digest).await?;
        return blobs(&Layout::of_documents(&name, documents));
    }
    let is_engine = matches!(client.engine(), llb::client::Engine::Docker { .. });
    let kept = outputs
        .iter()
        .find(|output| output.is_kept_by(client.engine()) && is_engine);
    let ([platform], Some(output)) = (platforms, kept) else {
        return Err(Failure::new(
            "what was built is neither an image of one platform in an engine, nor an archive, nor in a registry",
        )
        .hint("add `-o type=oci,dest=FILE`, or `--push`"));
    };
    let name = named(output);
    let engine = Engine::connect(Some(&client.address().to_string())).await?;
    let reference = outcome.image_digest().unwrap_or(&name);
    let layers = engine.layers(reference).await?;
    Ok(vec![ImageSize::new(*platform, Measure::Files, layers)])
}

/// The size of an image. The platform is that of an image that does not tell its own.
fn size(image: &LayoutImage, platform: &str) -> ImageSize {
    let own = image.platform().map(|platform| platform.to_string());
    let layers = image.layers().into_iter().map(|layer| LayerSize {
        name: layer.name,
        bytes: layer.bytes,
        digest: Some(layer.digest).filter(|digest| !digest.is_empty()),
    });
    ImageSize::new(
        own.unwrap_or_else(|| platform.to_owned()),
        Measure::Blob,
        layers.collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_platform_has_that_of_the_build() {
        let layers = serde_json::json!([{"digest": "sha256:1", "size": 10}, {"size": 20}]);
        let mut image = LayoutImage {
            manifest: serde_json::json!({ "layers": layers }),
            config: serde_json::json!({"os": "linux", "architecture": "arm64", "variant": "v8"}),
        };
        let found = size(&image, "linux/amd64");
        assert_eq!(
            (found.platform.as_str(), found.bytes),
            ("linux/arm64/v8", 30)
        );
        assert_eq!(found.layers[1].digest, None);
        image.config = serde_json::json!({});
        assert_eq!(size(&image, "linux/amd64").platform, "linux/amd64");
    }
}
