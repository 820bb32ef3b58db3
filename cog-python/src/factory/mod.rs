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
mod image_size;
mod info;
mod resolve;

pub(crate) use annotation::compact_date;
pub use dockerfile::DockerfileFactory;
pub use graph::LlbFactory;
pub use image_size::{ImageSize, LayerSize, Measure};
pub use info::{Backend, BuildInfo};
pub use resolve::Complete;

use std::collections::BTreeMap;

use llb::gateway::{Build, Error, Image, Result};
use llb::value::Platform;
use llb::{ProxyEnv, ResolveMode, State};

use crate::layer::Base;
use crate::plan::Plan;

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
    /// The plan, with what was found out in the build: which wheels are installed.
    pub plan: Plan,
    /// The image, with its configuration.
    pub image: State,
    /// What `pip freeze` prints in the image, where that is known without a look into it.
    pub packages: Option<String>,
    /// Files that have the image's Python environment, for a look at its packages.
    pub environment: State,
    /// Files with the OpenAPI document, and its path, where the model itself is asked for it.
    pub schema: Option<(State, String)>,
}

/// An image or an index of images, and the plans that it was made of.
#[derive(Clone, Debug)]
pub struct Product {
    /// What is exported.
    pub image: Image,
    /// The plan of each platform, with what was found out in the build.
    pub plans: Vec<Plan>,
    /// Base image of the first platform with its digest, if one was looked up.
    pub base: Option<String>,
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
) -> Result<Product> {
    let part = Part::make(build, factory, plan, told).await?;
    let image = part
        .annotations
        .into_iter()
        .fold(Image::new(part.state), |image, (name, value)| {
            image.metadata(format!("annotation.{name}"), value)
        });
    Ok(Product {
        image,
        plans: vec![part.plan],
        base: part.base,
    })
}

/// Makes an index of images, one for the platform of each plan, as [`image`] makes one.
///
/// # Errors
///
/// As [`image`].
pub async fn index(
    build: &Build,
    factory: &impl ModelFactory,
    plans: &[Plan],
    told: bool,
) -> Result<Product> {
    let mut found = Vec::new();
    let mut states = Vec::new();
    let mut annotations = Vec::new();
    let mut base = None;
    for plan in plans {
        let part = Part::make(build, factory, plan, told).await?;
        let of_platform = |(name, value)| (format!("annotation[{}].{name}", part.platform), value);
        annotations.extend(part.annotations.into_iter().map(of_platform));
        states.push((part.platform, part.state));
        found.push(part.plan);
        base = base.or(part.base);
    }
    let image = annotations
        .into_iter()
        .fold(Image::platforms(states), |index, (name, value)| {
            index.metadata(name, value)
        });
    Ok(Product {
        image,
        plans: found,
        base,
    })
}

/// The image of one platform.
struct Part {
    plan: Plan,
    platform: Platform,
    state: State,
    annotations: Vec<(&'static str, String)>,
    base: Option<String>,
}

impl Part {
    async fn make(
        build: &Build,
        factory: &impl ModelFactory,
        plan: &Plan,
        told: bool,
    ) -> Result<Self> {
        let platform: Platform = plan.platform.parse()?;
        let base = base(build, plan, &platform).await?;
        let made = factory.make(build, plan, &base).await?;
        let packages = async {
            match &made.packages {
                _ if !told => Ok(None),
                Some(packages) => Ok(Some(packages.clone())),
                None => facts::packages(build, plan, &made, &platform)
                    .await
                    .map(Some),
            }
        };
        let schema = facts::schema(build, &made, &platform);
        let (packages, schema) = tokio::try_join!(packages, schema)?;
        let labels = [
            ("run.cog.pip_freeze", packages),
            ("run.cog.openapi_schema", schema),
        ];
        let mut state = made.image;
        for (name, value) in labels {
            if let Some(value) = value {
                state = state.label(name, value);
            }
        }
        for (name, value) in facts::cog_base(plan, &base)? {
            state = state.label(name, value);
        }
        let annotations = annotation::annotations(build, plan, &base)?;
        Ok(Self {
            plan: made.plan,
            platform,
            state,
            annotations,
            // An engine that keeps no manifests tells no digest.
            base: base.pinned.filter(|base| base.contains('@')),
        })
    }
}

/// Looks the base image up, so that the whole build takes the same one, and takes over what it says about itself.
async fn base(build: &Build, plan: &Plan, platform: &Platform) -> Result<Base> {
    match plan.base() {
        Some(reference) => look_up(build, plan, reference, platform).await,
        None => Ok(Base::default()),
    }
}

/// What is known of the other images that a plan names. What steps are run on is looked up as the base is; files
/// are taken of what takes the place of their image, if the build is given such a context.
async fn images(build: &Build, plan: &Plan, platform: &Platform) -> Result<BTreeMap<String, Base>> {
    let mut images = BTreeMap::new();
    for reference in plan.other_bases() {
        let base = look_up(build, plan, reference, platform).await?;
        images.insert(reference.to_owned(), base);
    }
    for reference in plan.sources() {
        let state = build.named_context_for(reference, platform).await?;
        if state.is_some() {
            let base = Base {
                state,
                ..Base::default()
            };
            images.insert(reference.to_owned(), base);
        }
    }
    Ok(images)
}

/// What is known of an image, or of the context that takes its place.
async fn look_up(build: &Build, plan: &Plan, reference: &str, platform: &Platform) -> Result<Base> {
    if let Some(state) = build.named_context_for(reference, platform).await? {
        return Ok(Base {
            state: Some(state),
            proxy: proxy(build),
            ..Base::default()
        });
    }
    let mode = build.resolve_mode()?;
    let reference = plan.pinned(reference);
    let found = build.resolve_image_for(&reference, platform, mode).await?;
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
        proxy: proxy(build),
    })
}

/// Digests of the images that a plan names by a tag, as their tags stand now, by name. Those that a context takes the place of
/// are left out.
///
/// # Errors
///
/// An image is not there, or the engine tells no digest of it.
pub async fn digests(build: &Build, plan: &Plan) -> Result<BTreeMap<String, String>> {
    let platform: Platform = plan.platform.parse()?;
    let mut digests = plan.digests.clone();
    for reference in plan.images() {
        let is_pinned = reference.contains('@') || digests.contains_key(reference);
        if is_pinned
            || build
                .named_context_for(reference, &platform)
                .await?
                .is_some()
        {
            continue;
        }
        let mode = build.resolve_mode()?;
        let mut found = build.resolve_image_for(reference, &platform, mode).await?;
        if found.digest.is_empty() {
            // An engine tells no digest of an image that it has in a store without manifests; its registry does.
            let mode = ResolveMode::ForcePull;
            found = build.resolve_image_for(reference, &platform, mode).await?;
        }
        if found.digest.is_empty() {
            let text = format!("the engine tells no digest of the image `{reference}`");
            return Err(Error::msg(text)
                .hint("an engine with containerd's image store does, and a BuildKit of its own"));
        }
        digests.insert(reference.to_owned(), found.digest);
    }
    Ok(digests)
}

/// Build arguments that name proxies, as BuildKit knows them. Each may also be written in small letters.
pub(crate) const PROXIES: [&str; 5] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "FTP_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
];

/// The proxies that a build was given, as `docker build` gives them to frontends.
fn proxy(build: &Build) -> Option<ProxyEnv> {
    let value = |name: &str| {
        let given = build
            .build_arg(name)
            .or_else(|| build.build_arg(&name.to_lowercase()));
        given.unwrap_or_default().to_owned()
    };
    let [http_proxy, https_proxy, ftp_proxy, no_proxy, all_proxy] = PROXIES.map(value);
    let proxy = ProxyEnv {
        http_proxy,
        https_proxy,
        ftp_proxy,
        no_proxy,
        all_proxy,
    };
    (proxy != ProxyEnv::default()).then_some(proxy)
}
