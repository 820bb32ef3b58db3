//! Follows a build: its progress, and whether it still goes on.
//!
//! A solve must never hang, so it is ended from here if a problem on this side does not end it, if
//! nothing happens after a vertex has failed, and if the daemon stops to check the session's health.
//! Progress that goes on after its build has ended is cut off.

use std::collections::BTreeSet;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, interval, timeout, timeout_at};
use tonic::{Status, Streaming};

use super::ControlClient;
use super::cancel::Cancel;
use super::connect::LARGEST_MESSAGE;
use super::error::{Error, ErrorKind};
use super::failure;
use super::unique::Sent;
use crate::progress::{Event, Summary, Vertex, events};
use crate::proto::moby::buildkit::v1 as wire;
use crate::session::{Services, Session};

/// How long progress may stay silent after its build has ended.
const STATUS_SILENCE: Duration = Duration::from_secs(5);
/// How long progress of a build that failed outside of its steps may take to begin. One that failed at once has none.
const STATUS_BEGIN: Duration = Duration::from_millis(500);
/// How long a daemon may take to end a build after a problem on this side. Some never do: an
/// exporter that fails leaves their progress open, and the solve waits for its end.
const PROBLEM_GRACE: Duration = Duration::from_secs(3);
/// How long a daemon may take to stop a build.
const STOPPING: Duration = Duration::from_secs(30);
/// How long nothing may happen after a vertex has failed and none runs.
const FAILURE_SILENCE: Duration = Duration::from_secs(30);
/// How long a daemon may leave the session's health unchecked, once it has checked it.
const PULSE_SILENCE: Duration = Duration::from_secs(90);
const WATCH: Duration = Duration::from_secs(2);

/// How following a build ended.
pub(super) enum End {
    Done(Result<wire::SolveResponse, Status>),
    Broken(Error),
}

/// Follows the progress of a build.
pub(super) struct Watch<'a> {
    forward: &'a mut (dyn FnMut(&Event) + Send),
    pub(super) summary: Summary,
    pub(super) sent: Sent,
    running: BTreeSet<String>,
    failed: Option<String>,
    last_event: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn new(forward: &'a mut (dyn FnMut(&Event) + Send), sent: Sent) -> Self {
        Self {
            forward,
            sent,
            summary: Summary::default(),
            running: BTreeSet::new(),
            failed: None,
            last_event: Instant::now(),
        }
    }

    /// Follows a build from its request to its end.
    pub(super) async fn follow(
        &mut self,
        control: &mut ControlClient,
        request: wire::SolveRequest,
        session: &Session,
        services: &Services,
        companion: impl Future<Output = Result<(), Error>>,
        cancel: &Cancel,
    ) -> End {
        let mut status_control = control.clone().max_decoding_message_size(LARGEST_MESSAGE);
        let status_request = wire::StatusRequest {
            r#ref: request.r#ref.clone(),
        };
        let mut solving = Box::pin(control.solve(request));
        let mut opening = pin!(status_control.status(status_request));
        let mut companion = Box::pin(companion);
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
                () = cancel.canceled() => {
                    // What the daemon does for a call ends with the call.
                    drop((solving, companion));
                    return End::Broken(self.stopped(&mut status).await);
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
        let begin = match &result {
            Err(status) if !failure::names_step(status) => STATUS_BEGIN,
            _ => STATUS_SILENCE,
        };
        if status.is_opening()
            && let Ok(Ok(opened)) = timeout(begin, &mut opening).await
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

    /// Waits until the daemon has ended a build that was canceled.
    async fn stopped(&mut self, status: &mut Messages) -> Error {
        let end = Instant::now() + STOPPING;
        while status.is_open() {
            let Ok(message) = timeout_at(end, status.next()).await else {
                let text = format!(
                    "the build was canceled; the daemon has not stopped it within {} seconds",
                    STOPPING.as_secs()
                );
                return Error::new(ErrorKind::Canceled, text)
                    .hint("a step that cannot be killed may still run there");
            };
            self.take(message, status);
        }
        Error::new(
            ErrorKind::Canceled,
            "the build was canceled, and the daemon has stopped it",
        )
    }

    fn take(&mut self, message: Option<wire::StatusResponse>, status: &mut Messages) {
        let Some(message) = message else {
            *status = Messages::Over;
            return;
        };
        self.last_event = Instant::now();
        for mut event in events(message) {
            self.sent.translate(&mut event);
            if let Event::Vertex(vertex) = &event {
                self.count(vertex);
            }
            self.report(&event);
        }
    }

    /// Reports an event of the build, or of what the client adds to it.
    pub(super) fn report(&mut self, event: &Event) {
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
        let mut watch = Watch::new(&mut ignore, Sent::default());
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
        let watch = Watch::new(&mut ignore, Sent::default());
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
}
