//! Runs one build to its end.
//!
//! Everything a build needs on this side runs inside the future of the solve: the call itself, its
//! progress, its session and, for builds that talk to the gateway, a companion. Dropping the future
//! drops them all, which resets the calls, and the daemon cancels the build.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tonic::Status;

use super::Client;
use super::cache::Direction;
use super::cancel::Cancel;
use super::error::{Error, ErrorKind};
use super::failure::{build_error, call_error};
use super::layouts::Layouts;
use super::outcome::Outcome;
use super::proxies;
use super::push::push;
use super::result::{self, Build};
use super::solve::Solve;
use super::unique::{Sent, make_unique};
use super::watch::{End, Watch};
use crate::progress::{Event, Progress};
use crate::proto::moby::buildkit::v1 as wire;
#[cfg(feature = "gateway")]
use crate::proto::moby::buildkit::v1::frontend::CacheOptionsEntry as CacheImport;
use crate::proto::pb;
use crate::session::{Logins, Problem, Services, Session, Targets, docker_config, hex, random_id};

impl Client {
    /// Runs one build and waits for its end. Progress is reported as it happens.
    ///
    /// Where the daemon lacks something that the graph needs, such as merges, the graph is [lowered](crate::lower) first:
    /// see [`Solve::lowering`].
    ///
    /// Dropping the future cancels the build, and so does its [`Cancel`]. A build that fails leaves none of its local outputs
    /// behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Build`] with the failed [step](Error::step) if the build itself fails;
    /// [`ErrorKind::Request`], [`ErrorKind::LocalFile`], [`ErrorKind::Secret`] or
    /// [`ErrorKind::Export`] for what is wrong on this side, mostly before anything is sent;
    /// [`ErrorKind::ConnectionLost`] if the daemon goes away; [`ErrorKind::Canceled`] if it was
    /// stopped.
    pub async fn solve<P>(&self, solve: Solve, progress: &mut P) -> Result<Outcome, Error>
    where
        P: Progress + ?Sized,
    {
        solve.check()?;
        let mut solve = solve;
        #[cfg(feature = "gateway")]
        if solve.check_merges && !self.capabilities().await?.has_diff() {
            return Err(Error::new(ErrorKind::Unsupported, NO_DIFFS).hint(WHERE_DIFFS_ARE));
        }
        let lowerings = self.lower(&mut solve, progress).await?;
        #[cfg(feature = "gateway")]
        if solve.on_failure.is_some() || solve.check_merges {
            let result = self.solve_over_gateway(solve, progress).await;
            return result.map(|outcome| outcome.with_lowerings(lowerings));
        }
        let mut job = Job::new(self, solve)?;
        let mut forward = |event: &Event| progress.event(event);
        let companion = job.companion(self);
        // Boxed: callers of a build should not carry the weight of its state.
        let result = Box::pin(job.run(self, &mut forward, companion)).await;
        progress.finish();
        result.map(|outcome| outcome.with_lowerings(lowerings))
    }
}

/// Why merges cannot be checked.
#[cfg(feature = "gateway")]
pub(crate) const NO_DIFFS: &str = "this daemon has no diffs, so merges cannot be checked";
/// What to do about it.
#[cfg(feature = "gateway")]
pub(crate) const WHERE_DIFFS_ARE: &str =
    "check on buildkitd, or on a Docker engine with containerd's image store";

type Companion = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A build that is ready to be sent.
pub(crate) struct Job {
    request: wire::SolveRequest,
    services: Services,
    session_key: String,
    /// Names of images that the engine pushes after the build.
    pushes: Vec<String>,
    /// Image config for the result, on engines whose exporters take none.
    result_config: Option<String>,
    /// Time for the image configs of the result, on engines whose exporters take none, in seconds since 1970.
    result_time: Option<i64>,
    cancel: Cancel,
    sent: Sent,
    layouts: Layouts,
}

impl Job {
    /// Checks and opens everything a build needs of this machine.
    pub(crate) fn new(client: &Client, solve: Solve) -> Result<Self, Error> {
        let mut services = Services {
            logins: Logins::with_docker_config(solve.logins),
            ..Services::default()
        };
        for (name, directory) in &solve.directories {
            let directory = directory.open(name)?;
            services.directories.insert(name.clone(), directory);
        }
        for (name, upload) in solve.uploads {
            upload.check(&name)?;
            services.uploads.insert(name, upload);
        }
        for (id, secret) in &solve.secrets {
            services.secrets.insert(id.clone(), secret.read(id)?);
        }
        for (id, agent) in &solve.agents {
            services.agents.insert(id.clone(), agent.open(id)?);
        }
        let mut exporters = Vec::new();
        let mut pushes = Vec::new();
        let mut result_config = None;
        let mut result_time = None;
        let mut targets = Targets::default();
        let mut directories = Vec::new();
        for (position, export) in solve.exports.iter().enumerate() {
            let resolved = export.resolve(client.engine(), position)?;
            exporters.push(resolved.exporter);
            pushes.extend(resolved.push);
            result_time = result_time.or(solve.epoch.filter(|_| resolved.needs_time));
            if let Some(config) = resolved.config {
                if result_config.as_ref().is_some_and(|other| *other != config) {
                    return Err(Error::new(
                        ErrorKind::Request,
                        "this engine gives all images of a build one config, the exports have several",
                    ));
                }
                result_config = Some(config);
            }
            directories.extend(resolved.layout);
            if let Some(target) = resolved.target {
                targets.insert(position, target);
            }
        }
        services.targets = targets;
        let mut layouts = Layouts::default();
        for (name, directory) in &solve.layouts {
            layouts.add_source(name, directory)?;
        }
        for directory in directories {
            layouts.add_export(&directory)?;
        }
        let cache_to = layouts.open_caches(&solve.cache_to, Direction::Write)?;
        let cache_from = layouts.open_caches(&solve.cache_from, Direction::Read)?;
        services.layouts = layouts.served();

        let mut attributes = solve.attributes;
        if solve.docker_proxies
            && let Some(directory) = docker_config::directory()
        {
            proxies::add(&mut attributes, &directory, &client.address().to_string())
                .map_err(|reason| Error::new(ErrorKind::Request, reason))?;
        }
        if let Some(seconds) = solve.epoch {
            attributes
                .entry("build-arg:SOURCE_DATE_EPOCH".to_owned())
                .or_insert_with(|| seconds.to_string());
            for exporter in &mut exporters {
                let attributes = exporter.attrs.entry("source-date-epoch".to_owned());
                attributes.or_insert_with(|| seconds.to_string());
            }
        }
        let mut definition = solve.definition;
        let session = new_id()?;
        let renamed = definition.as_mut().map(|one| make_unique(one, &session));
        let mut inputs = solve.inputs;
        for input in inputs.values_mut() {
            make_unique(input, &session);
        }
        if solve.no_cache {
            match &mut definition {
                Some(definition) => ignore_cache(definition),
                None => drop(attributes.insert("no-cache".to_owned(), String::new())),
            }
        }
        let sent = Sent {
            definition: definition.clone(),
            renamed: renamed.unwrap_or_default(),
        };
        if !solve.frontend.is_empty() && !cache_from.is_empty() {
            attributes.insert("cache-imports".to_owned(), cache_imports(&cache_from));
        }
        let session_key = solve.session_key.unwrap_or_else(|| default_key(&services));
        let first = exporters.first().cloned().unwrap_or_default();
        let request = wire::SolveRequest {
            r#ref: new_id()?,
            definition,
            exporter_deprecated: first.r#type,
            exporter_attrs_deprecated: first.attrs,
            session,
            frontend: solve.frontend,
            frontend_attrs: attributes,
            cache: Some(wire::CacheOptions {
                exports: cache_to,
                imports: cache_from,
                ..wire::CacheOptions::default()
            }),
            entitlements: solve
                .entitlements
                .iter()
                .map(|entitlement| entitlement.as_str().to_owned())
                .collect(),
            frontend_inputs: inputs,
            exporters,
            ..wire::SolveRequest::default()
        };
        Ok(Self {
            request,
            services,
            session_key,
            pushes,
            result_config,
            result_time,
            cancel: solve.cancel,
            sent,
            layouts,
        })
    }

    /// What runs beside the build. For most nothing, which never ends.
    ///
    /// Where an image config can only come with the result, the build has to be one that makes its
    /// result over the gateway.
    fn companion(&mut self, client: &Client) -> Companion {
        let Some(config) = self.result_config.take() else {
            return Box::pin(std::future::pending());
        };
        let config = match self.result_time {
            Some(seconds) => result::with_time(&config, seconds),
            None => config,
        };
        let request = self.take_build();
        let bridge = client.bridge(self.reference());
        Box::pin(result::with_config(bridge, request, config))
    }

    /// What is built, for those who build it over the gateway.
    pub(crate) fn take_build(&mut self) -> Build {
        Build {
            definition: self.request.definition.take(),
            frontend: std::mem::take(&mut self.request.frontend),
            // The daemon keeps its own: what they say of attestations is for it.
            attributes: self.request.frontend_attrs.clone(),
            inputs: std::mem::take(&mut self.request.frontend_inputs),
            caches: self
                .request
                .cache
                .iter()
                .flat_map(|cache| cache.imports.clone())
                .collect(),
        }
    }

    /// The time that the image configs of the result have to say, on engines whose exporters take none.
    #[cfg(feature = "gateway")]
    pub(crate) fn result_time(&self) -> Option<i64> {
        self.result_time
    }

    /// The image config that the result has to carry, on engines whose exporters take none.
    #[cfg(feature = "gateway")]
    pub(crate) fn take_result_config(&mut self) -> Option<String> {
        self.result_config.take()
    }

    /// The attributes of the build, which a build function gets instead of a frontend. The daemon gets them too: what
    /// they say of attestations is for it.
    #[cfg(feature = "gateway")]
    pub(crate) fn attributes(&self) -> BTreeMap<String, String> {
        self.request.frontend_attrs.clone()
    }

    /// The id of the session.
    #[cfg(feature = "gateway")]
    pub(crate) fn session(&self) -> &str {
        &self.request.session
    }

    /// The caches to read.
    #[cfg(feature = "gateway")]
    pub(crate) fn cache_imports(&self) -> Vec<CacheImport> {
        let caches = self.request.cache.iter();
        caches
            .flat_map(|cache| cache.imports.clone())
            .map(|cache| CacheImport {
                r#type: cache.r#type,
                attrs: cache.attrs,
            })
            .collect()
    }

    /// The id of the build, by which the gateway knows it.
    pub(crate) fn reference(&self) -> &str {
        &self.request.r#ref
    }

    /// Runs the build. The companion runs beside it; its error ends the build.
    pub(crate) async fn run(
        self,
        client: &Client,
        forward: &mut (dyn FnMut(&Event) + Send),
        companion: impl Future<Output = Result<(), Error>>,
    ) -> Result<Outcome, Error> {
        let services = Arc::new(self.services);
        let mut control = client.control();
        let id = self.request.session.clone();
        let session = Session::open(&mut control, id, &self.session_key, Arc::clone(&services))
            .await
            .map_err(|status| call_error("opening a session", &status))?;
        debug_assert_eq!(session.id(), self.request.session);
        let mut watch = Watch::new(forward, self.sent);
        for note in self.layouts.notes() {
            watch.report(&Event::Warning(note));
        }
        let end = watch
            .follow(
                &mut control,
                self.request,
                &session,
                &services,
                companion,
                &self.cancel,
            )
            .await;
        if matches!(end, End::Done(Ok(_))) {
            services.targets.settled().await;
        }
        session.close().await;
        match end {
            End::Done(Ok(response)) => {
                let mut answers = response.exporter_response;
                for name in &self.pushes {
                    let digest = push(client, name, &services.logins, &mut watch).await?;
                    answers
                        .extend(digest.map(|digest| ("containerimage.digest".to_owned(), digest)));
                }
                services.targets.commit()?;
                self.layouts.commit(&answers)?;
                Ok(Outcome::new(answers, watch.summary))
            }
            End::Done(Err(status)) => {
                let error = build_error(&status, &watch.summary, &watch.sent);
                Err(explain(error, &status, services.problems.first()))
            }
            End::Broken(error) => Err(error),
        }
    }
}

/// The error of a failed build, with its cause on this machine if that is what failed it.
fn explain(error: Error, status: &Status, problem: Option<Problem>) -> Error {
    match problem {
        Some(problem)
            if error.kind() == ErrorKind::Build
                && (matches!(problem, Problem::LocalFile(_) | Problem::Export(_))
                    || status.message().contains(problem.message())) =>
        {
            Error::from(problem)
                .with_step(error.step().cloned())
                .caused_by(status.clone())
        }
        _ => error,
    }
}

fn new_id() -> Result<String, Error> {
    random_id().map_err(|error| {
        Error::new(
            ErrorKind::Request,
            format!("the system gives no random numbers: {error}"),
        )
    })
}

/// Marks every op to be run again. That is metadata, so no digest changes.
pub(crate) fn ignore_cache(definition: &mut pb::Definition) {
    for op in &definition.def {
        let digest = format!("sha256:{}", hex(&Sha256::digest(op)));
        definition.metadata.entry(digest).or_default().ignore_cache = true;
    }
}

/// A key that is the same for the same directories.
fn default_key(services: &Services) -> String {
    if services.directories.is_empty() {
        return String::new();
    }
    let mut hash = Sha256::new();
    for (name, directory) in &services.directories {
        for part in [
            name.as_bytes(),
            directory.root.as_os_str().as_encoded_bytes(),
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
    }
    hex(&hash.finalize())
}

/// The caches to read, as frontends take them.
fn cache_imports(entries: &[wire::CacheOptionsEntry]) -> String {
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            let attributes: BTreeMap<_, _> = entry.attrs.iter().collect();
            serde_json::json!({"Type": entry.r#type, "Attrs": attributes})
        })
        .collect();
    serde_json::Value::from(entries).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_op_is_run_again_without_cache() {
        let mut definition = pb::Definition {
            def: vec![b"a".as_slice().into(), b"b".as_slice().into()],
            ..pb::Definition::default()
        };
        ignore_cache(&mut definition);
        assert_eq!(definition.metadata.len(), 2);
        assert!(
            definition
                .metadata
                .values()
                .all(|metadata| metadata.ignore_cache)
        );
    }
}
