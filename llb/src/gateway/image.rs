//! What a build function makes.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::json;

use super::build::Build;
use super::conversion;
use super::error::{Error, Result};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::state::{Platforms, State};
use crate::value::Platform;

const CONFIG: &str = "containerimage.config";

/// What a build function makes: a state with its image config, or one for each of several platforms.
///
/// ```
/// use llb::gateway::Image;
/// use llb::prelude::{State, image};
///
/// let one: Image = image("debian").cmd(["bash"]).into();
/// let several = Image::platforms(["linux/amd64", "linux/arm64"].map(|platform| {
///     (platform.parse().unwrap(), image("debian"))
/// }));
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    content: Content,
    metadata: BTreeMap<String, Bytes>,
    attestations: Vec<Attestation>,
}

#[derive(Clone, Debug)]
enum Content {
    One(State),
    Several(Vec<(Platform, State)>),
    /// The answer to a subrequest, which has no files.
    Nothing,
}

/// A statement about an image that travels with it: an SBOM, a provenance of one's own, test results.
#[derive(Clone, Debug)]
pub struct Attestation {
    state: State,
    path: String,
    predicate_type: String,
    platform: Option<Platform>,
}

impl Attestation {
    /// An in-toto statement about the image: its predicate is the JSON file at a path of a state, its type a URI such
    /// as `https://spdx.dev/Document`.
    pub fn in_toto(
        predicate_type: impl Into<String>,
        state: impl Into<State>,
        path: impl Into<String>,
    ) -> Self {
        Self {
            state: state.into(),
            path: path.into(),
            predicate_type: predicate_type.into(),
            platform: None,
        }
    }

    /// For the image of one platform only.
    #[must_use = "this returns the changed attestation"]
    pub fn platform(mut self, platform: Platform) -> Self {
        self.platform = Some(platform);
        self
    }
}

impl Image {
    /// An image for the one platform that is built for.
    pub fn new(state: impl Into<State>) -> Self {
        Self::of(Content::One(state.into()))
    }

    /// An index of images, one for each platform.
    pub fn platforms(images: impl IntoIterator<Item = (Platform, State)>) -> Self {
        Self::of(Content::Several(images.into_iter().collect()))
    }

    /// Texts and no image: the answer to a subrequest. Clients show `result.txt`, programs read `result.json`.
    pub(super) fn texts(texts: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        let mut image = Self::of(Content::Nothing);
        for (name, text) in texts {
            image = image.metadata(name, text.into_bytes());
        }
        image
    }

    fn of(content: Content) -> Self {
        Self {
            content,
            metadata: BTreeMap::new(),
            attestations: Vec::new(),
        }
    }

    /// Adds a statement about the image. Docker engines without containerd's image store keep none.
    #[must_use = "this returns the changed image"]
    pub fn attestation(mut self, attestation: Attestation) -> Self {
        self.attestations.push(attestation);
        self
    }

    /// Anything else that exporters take beside a result, by BuildKit's name.
    #[must_use = "this returns the changed image"]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.metadata.insert(name.into(), value.into().into());
        self
    }

    /// What was set with [`metadata`](Self::metadata), by name.
    pub fn metadata_value(&self, name: &str) -> Option<&[u8]> {
        self.metadata.get(name).map(|value| &**value)
    }

    /// The states of the image, each with its platform if it was given one.
    pub fn states(&self) -> impl Iterator<Item = (Option<&Platform>, &State)> {
        let (one, several) = match &self.content {
            Content::One(state) => (Some(state), &[][..]),
            Content::Several(states) => (None, &states[..]),
            Content::Nothing => (None, &[][..]),
        };
        let several = several
            .iter()
            .map(|(platform, state)| (Some(platform), state));
        one.map(|state| (None, state)).into_iter().chain(several)
    }

    /// The state of the image: of the first platform, if there are several. Scratch for the answer to a subrequest.
    pub fn state(&self) -> State {
        let first = self.states().next();
        first.map_or_else(State::scratch, |(_, state)| state.clone())
    }

    /// Solves everything, all platforms at once, into what ends a build.
    pub(super) async fn solve(self, build: &Build) -> Result<wire::Result> {
        let mut result = wire::Result {
            metadata: self.metadata,
            ..wire::Result::default()
        };
        let asked = build.platforms();
        let (states, is_index) = match self.content {
            Content::Nothing => return Ok(result),
            Content::One(state) => {
                if asked.len() > 1 {
                    let names: Vec<_> = asked.iter().map(ToString::to_string).collect();
                    return Err(Error::msg(format!(
                        "the build was asked for {}, but makes one image",
                        names.join(", ")
                    ))
                    .hint("build for one platform, or return `Image::platforms` from the build function"));
                }
                let is_index = build.is_multi_platform(1)?;
                (vec![(asked[0].clone(), state)], is_index)
            }
            Content::Several(states) => {
                if states.is_empty() {
                    return Err(Error::msg(
                        "the build function made an image for no platform",
                    ));
                }
                let is_index = build.is_multi_platform(states.len())?;
                (states, is_index)
            }
        };
        let mut platforms = Vec::new();
        let mut solving = Vec::new();
        for (platform, state) in states {
            let platform = platform.normalized();
            let labeled = build
                .labels()
                .fold(state, |state, (name, value)| state.label(name, value));
            platforms.push(platform.clone());
            solving.push(async move {
                let solved = build.solve_for(labeled, &platform).await?;
                let config = solved.to_state().image_config().to_json(&platform);
                Ok::<_, Error>((platform_id(&platform), solved, Bytes::from(config)))
            });
        }
        let mut refs = BTreeMap::new();
        for solved in join_all(solving).await {
            let (id, solved, config) = solved?;
            let reference = wire::Ref {
                id: solved.id().to_owned(),
                def: None,
            };
            let key = if is_index {
                format!("{CONFIG}/{id}")
            } else {
                CONFIG.to_owned()
            };
            result.metadata.entry(key).or_insert(config);
            if refs.insert(id.clone(), reference).is_some() {
                return Err(Error::msg(format!(
                    "the build function made two images for {id}"
                )));
            }
        }
        result.result = Some(match refs.len() {
            1 if !is_index => {
                wire::result::Result::Ref(refs.into_values().next().unwrap_or_default())
            }
            _ => wire::result::Result::Refs(wire::RefMap { refs }),
        });
        result
            .metadata
            .insert("refs.platforms".to_owned(), platform_list(&platforms));
        for attestation in self.attestations {
            attest(build, &mut result, &platforms, attestation).await?;
        }
        Ok(result)
    }
}

impl<S: Into<State>> From<S> for Image {
    fn from(state: S) -> Self {
        Self::new(state)
    }
}

impl From<Platforms> for Image {
    fn from(states: Platforms) -> Self {
        Self::platforms(states)
    }
}

async fn attest(
    build: &Build,
    result: &mut wire::Result,
    platforms: &[Platform],
    attestation: Attestation,
) -> Result<()> {
    let solved = build.solve(attestation.state).await?;
    for platform in platforms {
        let is_wanted = attestation
            .platform
            .as_ref()
            .is_none_or(|wanted| wanted.clone().normalized() == *platform);
        if !is_wanted {
            continue;
        }
        let entry = result.attestations.entry(platform_id(platform));
        entry.or_default().attestation.push(wire::Attestation {
            kind: wire::AttestationKind::InToto.into(),
            r#ref: Some(wire::Ref {
                id: solved.id().to_owned(),
                def: None,
            }),
            path: attestation.path.clone(),
            in_toto_predicate_type: attestation.predicate_type.clone(),
            ..wire::Attestation::default()
        });
    }
    Ok(())
}

/// A platform as exporters know it.
fn platform_id(platform: &Platform) -> String {
    let mut id = platform.to_string();
    if !platform.os_version.is_empty() {
        let (os, rest) = id.split_at(platform.os.len());
        id = format!("{os}({}){rest}", platform.os_version);
    }
    id
}

/// The platforms of a result (`refs.platforms`).
fn platform_list(platforms: &[Platform]) -> Bytes {
    let list: Vec<_> = platforms
        .iter()
        .map(|platform| {
            let message = conversion::to_wire(platform);
            let mut fields = json!({"architecture": message.architecture, "os": message.os});
            if !message.variant.is_empty() {
                fields["variant"] = json!(message.variant);
            }
            if !message.os_version.is_empty() {
                fields["os.version"] = json!(message.os_version);
            }
            if !message.os_features.is_empty() {
                fields["os.features"] = json!(message.os_features);
            }
            json!({"ID": platform_id(platform), "Platform": fields})
        })
        .collect();
    json!({"Platforms": list}).to_string().into()
}

/// Runs all futures at once; the results are in their order.
pub(super) async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures
        .into_iter()
        .map(|future| Some(Box::pin(future)))
        .collect();
    let mut results: Vec<_> = running.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (slot, result) in running.iter_mut().zip(&mut results) {
            if let Some(future) = slot
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
                *slot = None;
            }
        }
        if running.iter().all(Option::is_none) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
