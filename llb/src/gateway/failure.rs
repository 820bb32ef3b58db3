//! Steps that failed, in builds that have not ended yet.

use std::collections::BTreeSet;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::build::Build;
use super::container::Container;
use super::error::{Error, Result};
use super::image::join_all;
use super::reference::Ref;
use crate::client::{self, FailedExec, FailedStep, Solve};
use crate::definition::Definition;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::state::State;

/// A command of a step that failed, while the daemon still has what the step left behind.
#[derive(Clone)]
pub struct Failure {
    build: Build,
    failed: FailedExec,
    message: String,
    step: Option<FailedStep>,
}

/// What is done with a step that failed, before its build ends; see [`Solve::on_failure`].
#[derive(Clone)]
pub(crate) struct OnFailure(Arc<Inspect>);

type Inspect = dyn Fn(Failure) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

impl Solve {
    /// Looks into a step whose command failed, before the build ends: its files are there as the step left them, and
    /// commands can run among them ([`Failure::container`]). The build then fails as it would have.
    ///
    /// Such a build is driven over the gateway, so its results are made before they are exported. The step may be in the graph, in
    /// one that a frontend of the daemon made, or in one of a build function. Steps that a frontend from an image
    /// looked at itself cannot be entered.
    ///
    /// ```
    /// use llb::client::Solve;
    ///
    /// let solve = Solve::frontend("dockerfile.v0").on_failure(|failure| async move {
    ///     let Ok(container) = failure.container().await else { return };
    ///     let list = container.command_with(["ls", "-l"]).output().await;
    ///     if let Ok(output) = list {
    ///         eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    ///     }
    /// });
    /// ```
    #[must_use = "the settings are in the value returned"]
    pub fn on_failure<F, W>(mut self, inspect: F) -> Self
    where
        F: Fn(Failure) -> W + Send + Sync + 'static,
        W: Future<Output = ()> + Send + 'static,
    {
        self.on_failure = Some(OnFailure(Arc::new(move |failure| {
            Box::pin(inspect(failure))
        })));
        self
    }
}

impl Build {
    /// The failed command behind an error; `None` if the error is not that of a command that a step ran.
    ///
    /// ```
    /// # use llb::gateway::{Build, Result};
    /// # use llb::prelude::*;
    /// # async fn example(cx: &mut Build) -> Result<()> {
    /// let solved = cx.solve(image("debian").run(sh("make > /make.log"))).await?;
    /// if let Err(error) = solved.evaluate().await {
    ///     if let Some(failure) = cx.failure(&error) {
    ///         let container = failure.container().await?;
    ///         let log = container.command_with(["tail", "/make.log"]).output().await?;
    ///         eprintln!("{}", log.stdout_text()?);
    ///     }
    ///     return Err(error);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn failure(&self, error: &Error) -> Option<Failure> {
        let failed = error.status().and_then(FailedExec::read)?;
        let step = error
            .downcast_ref::<client::Error>()
            .and_then(client::Error::step);
        Some(Failure {
            build: self.clone(),
            failed,
            message: error.to_string(),
            step: step.cloned(),
        })
    }
}

impl Failure {
    /// A container as the failed step left it: its mounts with what the step had written, its variables, directory
    /// and user. Its command is that of the step.
    ///
    /// # Errors
    ///
    /// The daemon makes no container, or no longer has what the step left.
    pub async fn container(&self) -> Result<Container> {
        let (op, mounts) = (&self.failed.op, &self.failed.mounts);
        self.build
            .container_of(&Definition::default(), op, mounts)
            .await
    }

    /// What went wrong, as the error of the build says it.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The step, if the daemon says which it was. What it printed last is in the error that the build ends with.
    pub fn step(&self) -> Option<&FailedStep> {
        self.step.as_ref()
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables may be private.
        formatter
            .debug_tuple("Failure")
            .field(&self.message)
            .finish()
    }
}

impl OnFailure {
    /// Looks into the failure behind an error, if there is one.
    pub(super) async fn inspect(&self, build: &Build, error: &Error) {
        if let Some(failure) = build.failure(error) {
            (self.0)(failure).await;
        }
    }
}

impl fmt::Debug for OnFailure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("OnFailure")
    }
}

/// Makes everything of a result, so that a step that fails does so while it can be looked into.
pub(super) async fn evaluate(build: &Build, result: &wire::Result) -> Result<()> {
    let references = result.result.iter().flat_map(references);
    let attestations = result
        .attestations
        .values()
        .flat_map(|all| &all.attestation);
    let attested = attestations.filter_map(|one| Some(one.r#ref.as_ref()?.id.clone()));
    let ids: BTreeSet<_> = references.chain(attested).collect();
    let looks = ids.into_iter().map(|id| {
        let reference = Ref::new(build.clone(), id, State::scratch(), Definition::default());
        async move { reference.evaluate().await }
    });
    join_all(looks.collect()).await.into_iter().collect()
}

/// The ids in a result, in all forms that daemons have had for them.
fn references(result: &wire::result::Result) -> Vec<String> {
    match result {
        wire::result::Result::RefDeprecated(id) => vec![id.clone()],
        wire::result::Result::RefsDeprecated(ids) => ids.refs.values().cloned().collect(),
        wire::result::Result::Ref(reference) => vec![reference.id.clone()],
        wire::result::Result::Refs(refs) => refs.refs.values().map(|one| one.id.clone()).collect(),
    }
}
