//! From a plan to an image: one function, two ways to make the files.
//!
//! A [`ModelFactory`] makes the file system of a plan inside a running build: [`LlbFactory`] from the graph of the plan,
//! [`DockerfileFactory`] from its Dockerfile, by the frontend of the engine. What an image says about itself is the same
//! work for both, and done in the same build ([`image`]): the packages and the OpenAPI document are read from cached steps on
//! the side, the base image is looked up once, and labels and annotations follow.

mod annotation;
mod dockerfile;
mod facts;
mod graph;
mod info;

pub use dockerfile::DockerfileFactory;
pub use graph::LlbFactory;
pub use info::{Backend, BuildInfo};

use llb::State;
use llb::gateway::{Build, Image, Result};

use crate::layer::Base;
use crate::plan::{Action, Plan};

/// Makes the file system of a plan.
pub trait ModelFactory {
    /// Which one it is.
    fn backend(&self) -> Backend;

    /// Makes the files of a plan on a base that was looked up. Nothing has to be built before it returns.
    fn make(
        &self,
        build: &Build,
        plan: &Plan,
        base: &Base,
    ) -> impl Future<Output = Result<Made>> + Send;
}

/// What a [`ModelFactory`] has made.
#[derive(Clone, Debug)]
pub struct Made {
    /// The image, with its configuration.
    pub image: State,
    /// Files that have the image's Python environment, for a look at its packages.
    pub environment: State,
    /// Files with the OpenAPI document, and its path, where the model itself is asked for it.
    pub schema: Option<(State, String)>,
}

/// Makes the image of a plan with everything that it says about itself. `told` is false for images that run once and
/// are told nothing of: the packages are not listed then.
///
/// # Errors
///
/// A step fails, the base image is not there, or what the model tells is no OpenAPI document.
pub async fn image(
    build: &Build,
    factory: &impl ModelFactory,
    plan: &Plan,
    told: bool,
) -> Result<Image> {
    let base = base(build, plan).await?;
    let made = factory.make(build, plan, &base).await?;
    let packages = async {
        if told {
            facts::packages(build, plan, &made).await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (packages, schema) = tokio::try_join!(packages, facts::schema(build, &made))?;
    let labels = [
        ("run.cog.pip_freeze", packages),
        ("run.cog.openapi_schema", schema),
    ];
    let mut image = made.image;
    for (name, value) in labels {
        if let Some(value) = value {
            image = image.label(name, value);
        }
    }
    for (name, value) in facts::cog_base(plan, &base)? {
        image = image.label(name, value);
    }
    let annotations = annotation::annotations(build, plan, &base)?;
    Ok(annotations
        .into_iter()
        .fold(Image::new(image), |image, (name, value)| {
            image.metadata(format!("annotation.{name}"), value)
        }))
}

/// Looks the base image up, so that the whole build takes the same one, and takes over what it says about itself.
async fn base(build: &Build, plan: &Plan) -> Result<Base> {
    let Some(reference) = base_reference(plan) else {
        return Ok(Base::default());
    };
    if let Some(state) = build.named_context(reference).await? {
        return Ok(Base {
            state: Some(state),
            ..Base::default()
        });
    }
    let found = build.resolve_image(reference).await?;
    // An engine tells no digest of an image that it has in a store without manifests.
    let pinned = if found.reference.contains('@') || found.digest.is_empty() {
        found.reference
    } else {
        format!("{}@{}", found.reference, found.digest)
    };
    Ok(Base {
        pinned: Some(pinned),
        config: Some(found.config),
        state: None,
    })
}

fn base_reference(plan: &Plan) -> Option<&str> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Base { reference } => Some(reference.as_str()),
        _ => None,
    })
}
