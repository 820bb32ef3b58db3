//! Runs one build to its end.
//!
//! Everything a build needs on this side runs inside the future of the solve: the call itself, its
//! progress, its session and, for builds that talk to the gateway, a companion. Dropping the future
//! drops them all, which resets the calls, and the daemon cancels the build.
//!
//! A solve must never hang, so it is ended from here if a problem on this side does not end it, if
//! nothing happens after a vertex has failed, and if the daemon stops to check the session's health.
//! Progress that goes on after its build has ended is cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, interval, timeout};
use tonic::{Status, Streaming};

use super::connect::LARGEST_MESSAGE;
use super::error::{Error, ErrorKind};
use super::failure::{build_error, call_error};
use super::outcome::Outcome;
use super::push::push;
use super::result::{self, Build};
use super::solve::{CacheOption, Solve};
use super::{Client, ControlClient};
use crate::progress::{Event, Progress, Summary, Vertex, events};
use crate::proto::moby::buildkit::v1 as wire;
use crate::proto::pb;
use crate::session::{Logins, Problem, Services, Session, Targets, hex, random_id};

/// How long progress may stay silent after its build has ended.
const STATUS_SILENCE: Duration = Duration::from_secs(5);
/// How long a daemon may take to end a build after a problem on this side. Some never do: an
/// exporter that fails leaves their progress open, and the solve waits for its end.
const PROBLEM_GRACE: Duration = Duration::from_secs(3);
/// How long nothing may happen after a vertex has failed and none runs.
const FAILURE_SILENCE: Duration = Duration::from_secs(30);
/// How long a daemon may leave the session's health unchecked, once it has checked it.
const PULSE_SILENCE: Duration = Duration::from_secs(90);
const WATCH: Duration = Duration::from_secs(2);

impl Client {
    /// Runs one build and waits for its end. Progress is reported as it happens.
    ///
    /// Dropping the future cancels the build. A build that fails leaves none of its local outputs
    /// behind.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Build`] with the failed [step](Error::step) if the build itself fails;
    /// [`ErrorKind::Request`], [`ErrorKind::LocalFile`], [`ErrorKind::Secret`] or
    /// [`ErrorKind::Export`] for what is wrong on this side, mostly before anything is sent;
    /// [`ErrorKind::ConnectionLost`] if the daemon goes away.
    pub async fn solve<P>(&self, solve: Solve, progress: &mut P) -> Result<Outcome, Error>
    where
        P: Progress + ?Sized,
    {
        solve.check()?;
        let mut job = Job::new(self, solve)?;
        let mut forward = |event: &Event| progress.event(event);
        let companion = job.companion(self);
        // Boxed: callers of a build should not carry the weight of its state.
        let result = Box::pin(job.run(self, &mut forward, companion)).await;
        progress.finish();
        result
    }
}

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
        for (id, secret) in &solve.secrets {
            services.secrets.insert(id.clone(), secret.read(id)?);
        }
        for (id, agent) in &solve.agents {
            services.agents.insert(id.clone(), agent.find(id)?);
        }
        let mut exporters = Vec::new();
        let mut pushes = Vec::new();
        let mut result_config = None;
        let mut targets = Targets::default();
        for (position, export) in solve.exports.iter().enumerate() {
            let resolved = export.resolve(client.engine(), position)?;
            exporters.push(resolved.exporter);
            pushes.extend(resolved.push);
            if let Some(config) = resolved.config {
                if result_config.as_ref().is_some_and(|other| *other != config) {
                    return Err(Error::new(
                        ErrorKind::Request,
                        "this engine gives all images of a build one config, the exports have several",
                    ));
                }
                result_config = Some(config);
            }
            if let Some(target) = resolved.target {
                targets.insert(position, target);
            }
        }
        services.targets = targets;

        let mut attributes = solve.attributes;
        let mut definition = solve.definition;
        if solve.no_cache {
            match &mut definition {
                Some(definition) => ignore_cache(definition),
                None => drop(attributes.insert("no-cache".to_owned(), String::new())),
            }
        }
        let cache_from = entries(solve.cache_from);
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
            session: new_id()?,
            frontend: solve.frontend,
            frontend_attrs: attributes,
            cache: Some(wire::CacheOptions {
                exports: entries(solve.cache_to),
                imports: cache_from,
                ..wire::CacheOptions::default()
            }),
            entitlements: solve
                .entitlements
                .iter()
                .map(|entitlement| entitlement.as_str().to_owned())
                .collect(),
            frontend_inputs: solve.inputs,
            exporters,
            ..wire::SolveRequest::default()
        };
        Ok(Self {
            request,
            services,
            session_key,
            pushes,
            result_config,
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
        let request = Build {
            definition: self.request.definition.take(),
            frontend: std::mem::take(&mut self.request.frontend),
            attributes: std::mem::take(&mut self.request.frontend_attrs),
            inputs: std::mem::take(&mut self.request.frontend_inputs),
            caches: self
                .request
                .cache
                .iter()
                .flat_map(|cache| cache.imports.clone())
                .collect(),
        };
        let bridge = client.bridge(self.reference());
        Box::pin(result::with_config(bridge, request, config))
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
        let mut watch = Watch::new(forward);
        let end = watch
            .follow(&mut control, self.request, &session, &services, companion)
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
                Ok(Outcome::new(answers, watch.summary))
            }
            End::Done(Err(status)) => {
                Err(explain(&status, services.problems.first(), &watch.summary))
            }
            End::Broken(error) => Err(error),
        }
    }
}

/// How following a build ended.
enum End {
    Done(Result<wire::SolveResponse, Status>),
    Broken(Error),
}

/// Follows the progress of a build.
pub(crate) struct Watch<'a> {
    forward: &'a mut (dyn FnMut(&Event) + Send),
    summary: Summary,
    running: BTreeSet<String>,
    failed: Option<String>,
    last_event: Instant,
}

impl<'a> Watch<'a> {
    fn new(forward: &'a mut (dyn FnMut(&Event) + Send)) -> Self {
        Self {
            forward,
            summary: Summary::default(),
            running: BTreeSet::new(),
            failed: None,
            last_event: Instant::now(),
        }
    }

    async fn follow(
        &mut self,
        control: &mut ControlClient,
        request: wire::SolveRequest,
        session: &Session,
        services: &Services,
        companion: impl Future<Output = Result<(), Error>>,
    ) -> End {
        let mut status_control = control.clone().max_decoding_message_size(LARGEST_MESSAGE);
        let status_request = wire::StatusRequest {
            r#ref: request.r#ref.clone(),
        };
        let mut solving = pin!(control.solve(request));
        let mut opening = pin!(status_control.status(status_request));
        let mut companion = pin!(companion);
        let mut accompanied = true;
        let mut status = Messages::Opening;
        let mut watch = interval(WATCH);
        let result = loop {
            tokio::select! {
                result = &mut solving => break result,
                opened = &mut opening, if status.is_opening() => {
                    // Without progress the build still goes on.
                    status = opened.map_or(Messages::Over, |opened| {
                        Messages::Open(Box::new(opened.into_inner()))
                    });
                }
                message = status.next(), if status.is_open() => self.take(message, &mut status),
                result = &mut companion, if accompanied => {
                    accompanied = false;
                    if let Err(error) = result {
                        return End::Broken(error);
                    }
                }
                _ = watch.tick() => {
                    if let Some(problem) = services.problems.fatal(PROBLEM_GRACE) {
                        return End::Broken(problem.into());
                    }
                    if let Some(error) = self.silence(session.last_heard()) {
                        return End::Broken(error);
                    }
                }
            }
        };
        if status.is_opening()
            && let Ok(Ok(opened)) = timeout(STATUS_SILENCE, &mut opening).await
        {
            status = Messages::Open(Box::new(opened.into_inner()));
        }
        while status.is_open() {
            match timeout(STATUS_SILENCE, status.next()).await {
                Ok(message) => self.take(message, &mut status),
                Err(_) => break,
            }
        }
        End::Done(result.map(tonic::Response::into_inner))
    }

    fn take(&mut self, message: Option<wire::StatusResponse>, status: &mut Messages) {
        let Some(message) = message else {
            *status = Messages::Over;
            return;
        };
        self.last_event = Instant::now();
        for event in events(message) {
            if let Event::Vertex(vertex) = &event {
                self.count(vertex);
            }
            self.report(&event);
        }
    }

    /// Reports an event of the build, or of what the client adds to it.
    pub(crate) fn report(&mut self, event: &Event) {
        self.summary.take(event);
        (self.forward)(event);
    }

    fn count(&mut self, vertex: &Vertex) {
        match (vertex.started, vertex.completed) {
            (Some(_), None) => {
                self.running.insert(vertex.digest.clone());
            }
            (_, Some(_)) => {
                self.running.remove(&vertex.digest);
            }
            (None, None) => {}
        }
        if let Some(error) = &vertex.error {
            self.failed = Some(format!("{}: {error}", vertex.name));
        }
    }

    /// The error of a build that has gone silent.
    fn silence(&self, last_heard: Option<Instant>) -> Option<Error> {
        if last_heard.is_some_and(|last| last.elapsed() > PULSE_SILENCE) {
            let seconds = PULSE_SILENCE.as_secs();
            return Some(
                Error::new(
                    ErrorKind::ConnectionLost,
                    format!("the daemon has been silent for {seconds} seconds in mid-build"),
                )
                .hint("it may be stopped or overloaded; see its log and build again"),
            );
        }
        let failed = self.failed.as_ref()?;
        (self.running.is_empty() && self.last_event.elapsed() > FAILURE_SILENCE).then(|| {
            Error::new(ErrorKind::Build, format!("build failed: {failed}"))
                .hint("the daemon did not end the build after this, so the client did")
        })
    }
}

/// The messages of a progress stream.
enum Messages {
    Opening,
    Open(Box<Streaming<wire::StatusResponse>>),
    Over,
}

impl Messages {
    fn is_opening(&self) -> bool {
        matches!(self, Self::Opening)
    }

    fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }

    /// The next message; a stream that breaks has ended, the solve tells why.
    async fn next(&mut self) -> Option<wire::StatusResponse> {
        match self {
            Self::Open(stream) => stream.message().await.ok().flatten(),
            _ => None,
        }
    }
}

/// The error of a failed build, with its cause on this machine if that is what failed it.
fn explain(status: &Status, problem: Option<Problem>, summary: &Summary) -> Error {
    let error = build_error(status, summary);
    match problem {
        Some(problem)
            if error.kind() == ErrorKind::Build
                && (matches!(problem, Problem::LocalFile(_))
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
fn ignore_cache(definition: &mut pb::Definition) {
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

fn entries(options: Vec<CacheOption>) -> Vec<wire::CacheOptionsEntry> {
    options
        .into_iter()
        .map(|option| wire::CacheOptionsEntry {
            r#type: option.kind,
            attrs: option.attributes,
        })
        .collect()
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
    use std::time::SystemTime;

    use super::*;

    fn vertex(watch: &mut Watch<'_>, digest: &str, running: bool, error: Option<&str>) {
        let now = Some(SystemTime::UNIX_EPOCH);
        watch.count(&Vertex {
            digest: digest.into(),
            name: format!("step {digest}"),
            started: now,
            completed: if running { None } else { now },
            error: error.map(str::to_owned),
            ..Vertex::default()
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_that_ends_nothing_ends_the_build() {
        let mut ignore = |_: &Event| {};
        let mut watch = Watch::new(&mut ignore);
        vertex(&mut watch, "a", true, None);
        vertex(&mut watch, "b", false, Some("not supported by the client"));
        tokio::time::advance(FAILURE_SILENCE * 2).await;
        assert!(watch.silence(None).is_none(), "another step still runs");
        vertex(&mut watch, "a", false, None);
        let error = watch.silence(None).unwrap();
        assert!(error.is_build());
        assert!(
            error.to_string().contains("step b: not supported"),
            "{error}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_daemon_that_has_gone_silent_is_lost() {
        let mut ignore = |_: &Event| {};
        let watch = Watch::new(&mut ignore);
        let heard = Some(Instant::now());
        tokio::time::advance(PULSE_SILENCE / 2).await;
        assert!(watch.silence(heard).is_none());
        tokio::time::advance(PULSE_SILENCE).await;
        let error = watch.silence(heard).unwrap();
        assert_eq!(error.kind(), ErrorKind::ConnectionLost);
        assert!(
            watch.silence(None).is_none(),
            "a daemon without health checks is never silent"
        );
    }

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
