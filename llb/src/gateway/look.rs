//! Looking at sources, and solving states.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use prost::Message as _;

use super::build::Build;
use super::conversion;
use super::error::{Error, Result};
use super::filesystem::Filesystem;
use super::reference::Ref;
use super::transport::Method;
use crate::Constrain as _;
use crate::client::{ResolvedImage, ignore_cache, resolve_image_request, resolved_image};
use crate::definition::{Definition, MarshalOptions};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::proto::pb;
use crate::source::{Image, ResolveMode};
use crate::state::State;
use crate::value::{Digest, ImageRef, Platform};

/// What a source is right now; made by [`Build::resolve_source`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ResolvedSource {
    /// The source as BuildKit names it, pinned where that is possible: `docker-image://...@sha256:...`.
    pub identifier: String,
    /// What is known about it.
    pub kind: ResolvedSourceKind,
}

/// What is known about a [`ResolvedSource`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ResolvedSourceKind {
    /// An image.
    Image {
        /// Digest of its manifest or index.
        digest: String,
        /// Its config for the platform, as JSON.
        config: Vec<u8>,
    },
    /// A Git repository.
    Git {
        /// What the reference points to: a commit, or a tag object.
        checksum: String,
        /// The commit behind a tag object; empty if the checksum is that of a commit.
        commit_checksum: String,
        /// The full reference: `refs/heads/main`.
        reference: String,
    },
    /// A download.
    Http {
        /// Digest of the content.
        checksum: String,
        /// The name of the file, from the server or the URL.
        filename: String,
        /// When it was last changed, if the server says so.
        last_modified: Option<SystemTime>,
    },
    /// Another source, of which the daemon tells nothing.
    Other,
}

/// # Looking at sources
impl Build {
    /// An image, pinned to the digest it has now, with its image config: what `FROM` of a Dockerfile gives.
    ///
    /// It is looked up for the first [platform](Self::platform) to build for. A named context of the same name takes its
    /// place (`docker build --build-context debian=docker-image://me/debian`).
    ///
    /// # Errors
    ///
    /// There is no such image, or its registry does not answer.
    #[track_caller]
    pub fn image(&self, reference: &str) -> impl Future<Output = Result<State>> + Send {
        self.image_for(reference, self.platform())
    }

    /// An image for a platform, pinned to the digest it has now, with its image config.
    ///
    /// # Errors
    ///
    /// There is no such image for the platform, or its registry does not answer.
    #[track_caller]
    pub fn image_for(
        &self,
        reference: &str,
        platform: &Platform,
    ) -> impl Future<Output = Result<State>> + Send {
        let source = Image::new(reference).platform(platform.clone());
        let (build, reference, platform) = (self.clone(), reference.to_owned(), platform.clone());
        async move {
            match build.named_context_for(&reference, &platform).await? {
                Some(state) => Ok(state),
                None => build.pin(source, &reference, &platform).await,
            }
        }
    }

    /// An image as a named context has it, which no other named context replaces.
    pub(super) async fn pinned_image(&self, reference: &str, platform: &Platform) -> Result<State> {
        let source = Image::new(reference).platform(platform.clone());
        self.pin(source, reference, platform).await
    }

    async fn pin(&self, source: Image, reference: &str, platform: &Platform) -> Result<State> {
        let mode = self.resolve_mode()?;
        let found = self.resolve_image_for(reference, platform, mode).await?;
        let pinned = match found.digest.as_str() {
            // An image that only the engine's own store has.
            "" => found.reference,
            digest => {
                let digest = Digest::parse(digest)?;
                let reference = ImageRef::parse(&found.reference)?;
                reference.with_digest(&digest).as_str().to_owned()
            }
        };
        let image = source.rename(pinned).resolve_mode(mode).state();
        Ok(image.with_image_config(&found.config)?)
    }

    /// Looks up an image for the first [platform](Self::platform) to build for: its digest and its config. Nothing but
    /// the config is fetched.
    ///
    /// # Errors
    ///
    /// There is no such image, or its registry does not answer.
    pub async fn resolve_image(&self, reference: &str) -> Result<ResolvedImage> {
        let mode = self.resolve_mode()?;
        self.resolve_image_for(reference, self.platform(), mode)
            .await
    }

    /// Looks up an image for a platform.
    ///
    /// # Errors
    ///
    /// There is no such image for the platform, or its registry does not answer.
    pub async fn resolve_image_for(
        &self,
        reference: &str,
        platform: &Platform,
        mode: ResolveMode,
    ) -> Result<ResolvedImage> {
        let reference = ImageRef::parse(reference)
            .map_err(|error| Error::from(error).context(format!("image {reference:?}")))?;
        let request = resolve_image_request(&reference, platform, mode);
        let what = || format!("looking up image {:?} for {platform}", reference.as_str());
        let answer = self
            .call(Method::ResolveImageConfig, &request, what)
            .await?;
        Ok(resolved_image(reference.as_str(), answer))
    }

    /// How images are found if nothing else is said (option `image-resolve-mode`).
    ///
    /// # Errors
    ///
    /// The option has a value that is none.
    pub fn resolve_mode(&self) -> Result<ResolveMode> {
        match self.option("image-resolve-mode").unwrap_or_default() {
            "" | "default" => Ok(ResolveMode::Default),
            "pull" => Ok(ResolveMode::ForcePull),
            "local" => Ok(ResolveMode::PreferLocal),
            other => Err(Error::msg(format!(
                "option `image-resolve-mode` is {other:?}, expected default, pull or local"
            ))),
        }
    }

    /// Asks what a source is right now: an image, a Git repository or a download. Files are not fetched, except that a
    /// download has to be read to know its digest.
    ///
    /// ```
    /// # use llb::gateway::{Build, ResolvedSourceKind, Result};
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let found = cx.resolve_source(llb::git("https://github.com/moby/buildkit").reference("master")).await?;
    /// if let ResolvedSourceKind::Git { checksum, .. } = &found.kind {
    ///     println!("building {checksum}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The state is more than a source, there is no such source, or it does not answer.
    pub async fn resolve_source(&self, source: impl Into<State>) -> Result<ResolvedSource> {
        let definition = source.into().marshal(&self.marshal_options())?;
        let op = match definition.ops() {
            [source, _end] => pb::Op::decode(source.bytes())?,
            _ => {
                return Err(Error::msg(
                    "only a source can be looked up, this state is made of several ops",
                ));
            }
        };
        let Some(pb::op::Op::Source(source)) = op.op else {
            return Err(Error::msg(
                "only a source can be looked up, this state is made by a step",
            ));
        };
        let identifier = source.identifier.clone();
        let request = wire::ResolveSourceMetaRequest {
            log_name: format!("resolve {identifier}"),
            source: Some(source),
            platform: op.platform,
            resolve_mode: self
                .option("image-resolve-mode")
                .unwrap_or_default()
                .to_owned(),
            ..wire::ResolveSourceMetaRequest::default()
        };
        let what = || format!("looking up {identifier}");
        let answer: wire::ResolveSourceMetaResponse =
            self.call(Method::ResolveSourceMeta, &request, what).await?;
        let kind = if let Some(image) = answer.image {
            ResolvedSourceKind::Image {
                digest: image.digest,
                config: image.config.to_vec(),
            }
        } else if let Some(git) = answer.git {
            ResolvedSourceKind::Git {
                checksum: git.checksum,
                commit_checksum: git.commit_checksum,
                reference: git.r#ref,
            }
        } else if let Some(http) = answer.http {
            ResolvedSourceKind::Http {
                checksum: http.checksum,
                filename: http.filename,
                last_modified: http
                    .last_modified
                    .and_then(|time| SystemTime::try_from(time).ok()),
            }
        } else {
            ResolvedSourceKind::Other
        };
        let mut identifier = answer.source.map_or(identifier, |source| source.identifier);
        if let ResolvedSourceKind::Image { digest, .. } = &kind
            && !digest.is_empty()
            && !identifier.contains('@')
        {
            identifier = format!("{identifier}@{digest}");
        }
        Ok(ResolvedSource { identifier, kind })
    }
}

/// # Solving states
impl Build {
    /// Solves a state, to look at its files or to build on its result.
    ///
    /// It is lazy: the daemon runs it when something of it is wanted, so an error of a step comes from the first look.
    /// What is looked at and later part of the image runs once.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let (amd64, arm64) = tokio::try_join!(
    ///     cx.solve(image("debian").run(sh("dpkg --print-architecture > /arch"))),
    ///     cx.solve(image("alpine").run(sh("apk --print-arch > /arch"))),
    /// )?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The graph has mistakes, or needs what the daemon cannot do.
    pub async fn solve(&self, state: impl Into<State>) -> Result<Ref> {
        self.solve_with(&state.into(), &self.marshal_options())
            .await
    }

    /// Solves a state for a platform.
    ///
    /// # Errors
    ///
    /// As [`solve`](Self::solve).
    pub async fn solve_for(&self, state: impl Into<State>, platform: &Platform) -> Result<Ref> {
        let options = self.marshal_options().platform(platform.clone());
        self.solve_with(&state.into(), &options).await
    }

    async fn solve_with(&self, state: &State, options: &MarshalOptions) -> Result<Ref> {
        let state = state.resolve(options);
        let (definition, warnings) = self.lower(&state.marshal(options)?)?;
        for warning in warnings {
            self.warn(warning).await?;
        }
        let mut message = pb::Definition::from(definition.clone());
        // `docker build --no-cache`; with a value it names stages, which states do not have.
        if self.option("no-cache") == Some("") {
            ignore_cache(&mut message);
        }
        let id = self.solve_message(&definition, message).await?;
        Ok(Ref::new(self.clone(), id, state, definition))
    }

    /// The id of a solved definition; empty for scratch. `whole` is what its steps are named by in errors.
    pub(super) async fn solve_message(
        &self,
        whole: &Definition,
        message: pb::Definition,
    ) -> Result<String> {
        if message.def.is_empty() {
            return Ok(String::new());
        }
        let request = wire::SolveRequest {
            definition: Some(message),
            allow_result_return: true,
            allow_result_array_ref: true,
            cache_imports: self.cache_imports().to_vec(),
            ..wire::SolveRequest::default()
        };
        let answer: wire::SolveResponse = self
            .call_raw(Method::Solve, &request)
            .await
            .map_err(|status| super::reference::step_error(&status, whole))?;
        match answer.result.and_then(|result| result.result) {
            Some(wire::result::Result::Ref(reference)) => Ok(reference.id),
            Some(wire::result::Result::RefDeprecated(id)) => Ok(id),
            _ => Err(Error::msg(
                "the daemon answered a solve with several results",
            )),
        }
    }

    /// A state as a read-only file system, which is solved when something is read.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let files = cx.filesystem(local("context"));
    /// let has_lock = files.exists("/uv.lock").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn filesystem(&self, state: impl Into<State>) -> Filesystem {
        Filesystem::new(self.clone(), state.into())
    }

    /// Builds with a frontend of the daemon, such as `dockerfile.v0`, or `gateway.v0` with the option `source` for one
    /// from an image. Gives its image for one platform.
    ///
    /// ```
    /// # use llb::gateway::{Build, Image, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<Image> {
    /// let dockerfile = scratch().mkfile("/Dockerfile", 0o644, "FROM debian\nRUN apt-get update\n");
    /// let base = cx.solve_frontend("dockerfile.v0", [], [("dockerfile", &dockerfile)]).await?;
    /// Ok(base.run(sh("apt-get install -y git")).into())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The frontend fails, or makes images for several platforms.
    pub async fn solve_frontend<'a>(
        &self,
        name: &str,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        inputs: impl IntoIterator<Item = (&'a str, &'a State)>,
    ) -> Result<State> {
        let result = self.frontend_result(name, options, inputs).await?;
        let reference = match result.result {
            Some(wire::result::Result::Ref(reference)) => reference,
            Some(wire::result::Result::Refs(refs)) if refs.refs.len() == 1 => {
                refs.refs.into_values().next().unwrap_or_default()
            }
            _ => {
                return Err(Error::msg(format!(
                    "frontend {name} made images for several platforms, expected one"
                ))
                .hint("ask it for one with the option `platform`"));
            }
        };
        let state = match &reference.def {
            Some(definition) => conversion::definition(definition)?.state(),
            None => State::scratch(),
        };
        let is_config = |(key, _): &(&String, &Bytes)| {
            key.as_str() == "containerimage.config" || key.starts_with("containerimage.config/")
        };
        match result.metadata.iter().find(is_config) {
            Some((_, config)) => Ok(state.with_image_config(config)?),
            None => Ok(state),
        }
    }

    /// Asks a frontend for what it tells beside images: subrequests such as `frontend.outline`, with the option
    /// `requestid`. Gives its texts by name: `result.txt` is for people, `result.json` for programs.
    ///
    /// # Errors
    ///
    /// The frontend does not know the request.
    pub async fn ask_frontend<'a>(
        &self,
        name: &str,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        inputs: impl IntoIterator<Item = (&'a str, &'a State)>,
    ) -> Result<BTreeMap<String, Vec<u8>>> {
        let result = self.frontend_result(name, options, inputs).await?;
        let texts = result.metadata.into_iter();
        Ok(texts.map(|(name, text)| (name, text.to_vec())).collect())
    }

    async fn frontend_result<'a>(
        &self,
        name: &str,
        options: impl IntoIterator<Item = (&'a str, &'a str)>,
        inputs: impl IntoIterator<Item = (&'a str, &'a State)>,
    ) -> Result<wire::Result> {
        let marshal = self.marshal_options();
        let mut request = wire::SolveRequest {
            frontend: name.to_owned(),
            frontend_opt: options
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            allow_result_return: true,
            allow_result_array_ref: true,
            cache_imports: self.cache_imports().to_vec(),
            ..wire::SolveRequest::default()
        };
        for (name, state) in inputs {
            let (definition, _) = self.lower(&state.marshal(&marshal)?)?;
            request
                .frontend_inputs
                .insert(name.to_owned(), definition.into());
        }
        let answer: wire::SolveResponse = self
            .call_raw(Method::Solve, &request)
            .await
            .map_err(|status| super::reference::step_error(&status, &Definition::default()))?;
        Ok(answer.result.unwrap_or_default())
    }
}
