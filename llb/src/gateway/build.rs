//! What a build function gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;
use tokio::sync::OnceCell;
use tonic::{Code, Status};

use super::conversion;
use super::error::{Error, Result};
use super::transport::{Method, Transport};
use super::warning::Warning;
use crate::Constrain as _;
use crate::client::{Capabilities, call_error};
use crate::definition::{Definition, MarshalOptions};
use crate::lower::{Helper, Policy};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::sourcemap::CallerLocations;
use crate::state::State;
use crate::value::Platform;

/// What a build is given, and what it may ask while it runs.
///
/// A build function gets one; see the [module](super). It is a handle: clones are the same build, and every method
/// takes `&self`, so that several questions can be asked at once:
///
/// ```
/// # use llb::gateway::{Build, Result};
/// # async fn example(cx: &mut Build) -> Result<()> {
/// let (python, node) = tokio::try_join!(cx.image("python:3.13-slim"), cx.image("node:24-slim"))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Build(Arc<Inner>, MarshalOptions);

struct Inner {
    transport: Arc<dyn Transport>,
    given: Given,
    capabilities: Capabilities,
    build_platform: Platform,
    platforms: Vec<Platform>,
    inputs: OnceCell<BTreeMap<String, State>>,
    containers: AtomicU64,
}

/// What a build was started with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Given {
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) session: String,
    pub(crate) cache_imports: Vec<wire::CacheOptionsEntry>,
    /// Whether ops get the line of the program that made them.
    pub(crate) caller_locations: CallerLocations,
    /// What may replace ops that the daemon lacks; what provably makes the same files and the helpers of this machine
    /// if not given.
    pub(crate) lowering: Option<Policy>,
}

impl Build {
    /// A build over anything that answers.
    pub(crate) async fn start(transport: Arc<dyn Transport>, given: Given) -> Result<Self> {
        let ping = wire::PingRequest {};
        let pong = transport
            .call(Method::Ping, ping.encode_to_vec().into())
            .await;
        let pong = pong.and_then(|answer| decode::<wire::PongResponse>(&answer));
        let pong = pong.map_err(|status| call_error("asking for capabilities", &status))?;
        Self::new(transport, given, pong)
    }

    /// A build over something that has said what it can do.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        mut given: Given,
        pong: wire::PongResponse,
    ) -> Result<Self> {
        let build_platform = pong
            .workers
            .first()
            .and_then(|worker| worker.platforms.first())
            .map_or(Platform::LINUX_AMD64, |platform| {
                conversion::from_wire(platform.clone()).normalized()
            });
        let capabilities = Capabilities::new(pong);
        if given.cache_imports.is_empty() {
            given.cache_imports = cache_imports(&given.options)?;
        }
        let platforms = platforms(&given.options)?.unwrap_or_else(|| vec![build_platform.clone()]);
        let mut marshal = MarshalOptions::new(platforms[0].clone()).caps(capabilities.known());
        if !given.session.is_empty() {
            marshal = marshal.local_unique_id(given.session.as_str());
        }
        marshal = marshal.caller_locations(given.caller_locations.clone());
        // A value names stages, of which only a frontend knows.
        if given.options.get("no-cache").is_some_and(String::is_empty) {
            marshal = marshal.ignore_cache();
        }
        let inner = Arc::new(Inner {
            transport,
            given,
            capabilities,
            build_platform,
            platforms,
            inputs: OnceCell::new(),
            containers: AtomicU64::new(0),
        });
        Ok(Self(inner, marshal))
    }

    /// What the build was started with.
    #[cfg(feature = "testing")]
    pub(crate) fn given(&self) -> &Given {
        &self.0.given
    }

    pub(crate) fn transport(&self) -> &Arc<dyn Transport> {
        &self.0.transport
    }

    pub(super) fn cache_imports(&self) -> &[wire::CacheOptionsEntry] {
        &self.0.given.cache_imports
    }

    /// Asks a question. What it was about is for the error.
    pub(super) async fn call<A: Message + Default>(
        &self,
        method: Method,
        message: &impl Message,
        what: impl FnOnce() -> String,
    ) -> Result<A> {
        self.call_raw(method, message).await.map_err(|status| {
            let status = explain(method, status);
            Error::from(call_error(&what(), &status))
        })
    }

    /// Asks a question; an error is what the daemon says.
    pub(super) async fn call_raw<A: Message + Default>(
        &self,
        method: Method,
        message: &impl Message,
    ) -> std::result::Result<A, Status> {
        let answer = self
            .transport()
            .call(method, message.encode_to_vec().into());
        decode(&answer.await?)
    }

    /// A definition that the daemon can run; see [`lower`](crate::lower). Warnings are for where files may differ.
    pub(super) fn lower(&self, definition: &Definition) -> Result<(Definition, Vec<Warning>)> {
        let caps = self.capabilities().known();
        if !definition.needs_lowering(caps) {
            return Ok((definition.clone(), Vec::new()));
        }
        let policy = match &self.0.given.lowering {
            Some(policy) => policy.clone(),
            None => Helper::find_all()?
                .into_iter()
                .fold(Policy::new(), Policy::helper),
        };
        let lowered = definition.lower(caps, &policy)?;
        let replaced = lowered.report.iter();
        let warnings = replaced
            .filter(|lowering| lowering.is_warning())
            .map(|lowering| Warning::new(lowering.to_string()));
        Ok((lowered.definition, warnings.collect()))
    }

    /// A number that no other container of this build has.
    pub(super) fn next_container(&self) -> u64 {
        self.0.containers.fetch_add(1, Ordering::Relaxed)
    }
}

/// # What it was given
impl Build {
    /// All options, by BuildKit's names: those of the frontend, of `--opt` and of `docker build`.
    pub fn options(&self) -> &BTreeMap<String, String> {
        &self.0.given.options
    }

    /// One option.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options().get(name).map(String::as_str)
    }

    /// A build argument (`docker build --build-arg name=value`).
    pub fn build_arg(&self, name: &str) -> Option<&str> {
        self.option(&format!("build-arg:{name}"))
    }

    /// All build arguments with their values, by name.
    pub fn build_args(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_prefix("build-arg:")
    }

    /// All labels that the image is to have (`docker build --label name=value`), by name.
    /// [`Image`](super::Image) gets them without being told.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        self.with_prefix("label:")
    }

    pub(super) fn with_prefix(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.options()
            .iter()
            .filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    /// What to build of several things (`docker build --target`); `None` if it was not said.
    pub fn target(&self) -> Option<&str> {
        self.option("target").filter(|target| !target.is_empty())
    }

    /// The platforms to build for (`docker build --platform`), else the one that the daemon runs on. Never empty.
    pub fn platforms(&self) -> &[Platform] {
        &self.0.platforms
    }

    /// The first of the [platforms](Self::platforms) to build for: the only one in most builds.
    pub fn platform(&self) -> &Platform {
        &self.0.platforms[0]
    }

    /// Whether the result has to be an index even for one platform, or may be one for several.
    pub(super) fn is_multi_platform(&self, platforms: usize) -> Result<bool> {
        let option = self
            .build_arg("BUILDKIT_MULTI_PLATFORM")
            .or(self.option("multi-platform"))
            .filter(|text| !text.is_empty());
        match option {
            None => Ok(platforms > 1),
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") if platforms <= 1 => Ok(false),
            Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Err(Error::msg(format!(
                "option `multi-platform` is off, but the build makes {platforms} platforms"
            ))),
            Some(other) => Err(Error::msg(format!(
                "option `multi-platform` is {other:?}, expected true or false"
            ))),
        }
    }

    /// The platform that the daemon runs on, where steps run without emulation.
    pub fn build_platform(&self) -> &Platform {
        &self.0.build_platform
    }

    /// What the daemon can do.
    pub fn capabilities(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The id of the session that has the local directories and secrets.
    pub fn session_id(&self) -> &str {
        &self.0.given.session
    }

    /// What [`solve`](Self::solve) marshals states with: the first platform to build for, the daemon's capabilities, and an id by which
    /// local sources of this build share nothing with those of another.
    pub fn marshal_options(&self) -> MarshalOptions {
        self.1.clone()
    }

    /// Whether ops get the lines of the program that made them, and how; see
    /// [`MarshalOptions::caller_locations`]. A program's build has positions, a frontend's has none: its users wrote
    /// another file.
    pub fn set_caller_locations(&mut self, locations: CallerLocations) {
        self.1 = self.marshal_options().caller_locations(locations);
    }

    /// The graphs that the build was given, by name (`Solve::input`).
    ///
    /// # Errors
    ///
    /// The daemon does not answer, or a graph is none.
    pub async fn inputs(&self) -> Result<BTreeMap<String, State>> {
        let ask = async || {
            if !self.capabilities().frontend().contains("frontend.inputs") {
                return Ok(BTreeMap::new());
            }
            let request = wire::InputsRequest {};
            let what = || "asking for inputs".to_owned();
            let answer: wire::InputsResponse = self.call(Method::Inputs, &request, what).await?;
            let mut inputs = BTreeMap::new();
            for (name, message) in answer.definitions {
                let state = self.input_state(&name, &message)?;
                inputs.insert(name, state);
            }
            Ok::<_, Error>(inputs)
        };
        Ok(self.0.inputs.get_or_try_init(ask).await?.clone())
    }

    /// One graph that the build was given.
    ///
    /// # Errors
    ///
    /// As [`inputs`](Self::inputs).
    pub async fn input(&self, name: &str) -> Result<Option<State>> {
        Ok(self.inputs().await?.remove(name))
    }

    /// An input with the image config that came beside it.
    fn input_state(&self, name: &str, message: &crate::proto::pb::Definition) -> Result<State> {
        let fail = |error: Error| error.context(format!("input {name:?}"));
        let state = conversion::definition(message).map_err(fail)?.state();
        let Some(metadata) = self.option(&format!("input-metadata:{name}")) else {
            return Ok(state);
        };
        let metadata: BTreeMap<String, String> = serde_json::from_str(metadata)
            .map_err(|error| fail(error.into()).context("its metadata"))?;
        let config = metadata.get("containerimage.config");
        let config = config.and_then(|encoded| crate::session::base64_decode(encoded));
        match config {
            Some(config) => Ok(state.with_image_config(&config)?),
            None => Ok(state),
        }
    }
}

impl std::fmt::Debug for Build {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values of build arguments may be private.
        formatter
            .debug_struct("Build")
            .field("options", &self.options().keys())
            .finish_non_exhaustive()
    }
}

/// A daemon that does not know a call says so in terms of the protocol.
fn explain(method: Method, status: Status) -> Status {
    if status.code() == Code::Unimplemented && status.message().starts_with("unknown method") {
        let name = method.name();
        return Status::unimplemented(format!("the daemon's BuildKit is too old for `{name}`"));
    }
    status
}

fn decode<M: Message + Default>(bytes: &[u8]) -> std::result::Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::internal(format!("the answer is malformed: {error}")))
}

/// The platforms that an option asks for.
fn platforms(options: &BTreeMap<String, String>) -> Result<Option<Vec<Platform>>> {
    let Some(text) = options.get("platform").filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let parse = |text: &str| {
        let platform = Platform::parse(text.trim());
        platform.map_err(|error| Error::from(error).context("option `platform`"))
    };
    text.split(',').map(parse).collect::<Result<_>>().map(Some)
}

/// The caches to read, as `docker build` hands them to frontends.
fn cache_imports(options: &BTreeMap<String, String>) -> Result<Vec<wire::CacheOptionsEntry>> {
    let mut entries = Vec::new();
    if let Some(text) = options.get("cache-imports").filter(|text| !text.is_empty()) {
        let fail = || {
            Error::msg(format!(
                "option `cache-imports` is {text:?}, expected a list of caches as JSON"
            ))
        };
        let list: serde_json::Value = serde_json::from_str(text).map_err(|_| fail())?;
        for entry in list.as_array().ok_or_else(fail)? {
            let kind = entry.get("Type").and_then(|kind| kind.as_str());
            let attributes = entry
                .get("Attrs")
                .and_then(|attributes| attributes.as_object());
            entries.push(wire::CacheOptionsEntry {
                r#type: kind.ok_or_else(fail)?.to_owned(),
                attrs: attributes
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
                    .collect(),
            });
        }
    }
    let references = options
        .get("cache-from")
        .map(String::as_str)
        .unwrap_or_default();
    for reference in references.split(',').filter(|text| !text.is_empty()) {
        entries.push(wire::CacheOptionsEntry {
            r#type: "registry".to_owned(),
            attrs: [("ref".to_owned(), reference.to_owned())].into(),
        });
    }
    Ok(entries)
}
