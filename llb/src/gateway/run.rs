//! Running a build function over the connection of a client.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::build::{Build, Given};
use super::conversion;
use super::error::Result;
use super::failure::{OnFailure, evaluate};
use super::image::Image;
use super::reference::step_error;
use super::transport::{Daemon, Method};
use crate::client::{self, Client, Job, Outcome, Solve};
use crate::definition::Definition;
use crate::progress::{Event, Progress};
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::sourcemap::CallerLocations;

impl Client {
    /// Runs a build function and exports what it makes.
    ///
    /// The solve says everything but what to build: what the build is given, and what becomes of the result. Its
    /// attributes are the options of the build, its inputs the inputs.
    ///
    /// ```no_run
    /// use llb::client::{Client, Export, Solve};
    /// use llb::gateway::{Build, Image, Result};
    /// use llb::prelude::*;
    ///
    /// async fn build(cx: &mut Build) -> Result<Image> {
    ///     let base = cx.image("debian:bookworm-slim").await?;
    ///     let release = cx.filesystem(&base).read_to_string("/etc/debian_version").await?;
    ///     Ok(base.label("debian", release.trim()).into())
    /// }
    ///
    /// # async fn example() -> std::result::Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::discover().await?;
    /// let solve = Solve::build().local("context", ".").export(Export::image("me/app"));
    /// client.build(solve, &mut (), build).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Dropping the future cancels the build.
    ///
    /// # Errors
    ///
    /// As [`solve`](Self::solve). If the build function returns an error, that is the
    /// [source](std::error::Error::source) of this one.
    pub async fn build<F, T, P>(
        &self,
        solve: Solve,
        progress: &mut P,
        build: F,
    ) -> std::result::Result<Outcome, client::Error>
    where
        F: AsyncFnOnce(&mut Build) -> Result<T>,
        T: Into<Image>,
        P: Progress + ?Sized,
    {
        solve.check_function()?;
        let made = async |context: &mut Build| run(context, build).await;
        self.drive_over_gateway(solve, progress, |_| made).await
    }

    /// Runs a build as [`solve`](Self::solve) does, but over the gateway, where what failed can be looked into.
    pub(crate) async fn solve_over_gateway<P>(
        &self,
        solve: Solve,
        progress: &mut P,
    ) -> std::result::Result<Outcome, client::Error>
    where
        P: Progress + ?Sized,
    {
        let check_merges = solve.check_merges;
        let made = |job: &mut Job| {
            let request = job.take_build().into_request();
            async move |context: &mut Build| {
                let answer: wire::SolveResponse =
                    context
                        .call_raw(Method::Solve, &request)
                        .await
                        .map_err(|status| step_error(&status, &Definition::default()))?;
                if let Some(graph) = request.definition.filter(|_| check_merges) {
                    let graph = conversion::definition(&graph)?;
                    context.warn_of_conflicts(&graph).await?;
                }
                Ok(answer.result.unwrap_or_default())
            }
        };
        self.drive_over_gateway(solve, progress, made).await
    }

    /// Starts a build, makes its result over the gateway, and ends it.
    async fn drive_over_gateway<P, F>(
        &self,
        mut solve: Solve,
        progress: &mut P,
        make: impl FnOnce(&mut Job) -> F,
    ) -> std::result::Result<Outcome, client::Error>
    where
        P: Progress + ?Sized,
        F: AsyncFnOnce(&mut Build) -> Result<wire::Result>,
    {
        let lowering = solve.lowering.clone();
        let on_failure = solve.on_failure.take();
        let mut job = Job::new(self, solve)?;
        let make = make(&mut job);
        let (config, time) = (job.take_result_config(), job.result_time());
        let given = Given {
            options: job.attributes(),
            session: job.session().to_owned(),
            cache_imports: job.cache_imports(),
            caller_locations: CallerLocations::Positions,
            lowering,
        };
        let daemon = Daemon::of_build(self.channel(), job.reference())
            .map_err(|status| client::call_error("building over the gateway", &status))?;
        let failure = Mutex::new(None);
        let companion = async {
            let transport = Arc::new(daemon);
            let made = match Build::start(transport.clone(), given).await {
                Ok(mut context) => make_or_inspect(&mut context, make, on_failure).await,
                Err(error) => Err(error),
            };
            let end = match made {
                Ok(mut result) => {
                    if let Some(config) = config {
                        client::give_config(&mut result, config);
                    }
                    if let Some(seconds) = time {
                        client::give_time(&mut result, seconds);
                    }
                    wire::ReturnRequest {
                        result: Some(result),
                        error: None,
                    }
                }
                Err(error) => {
                    let end = error.to_return();
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    end
                }
            };
            finish(&*transport, &end)
                .await
                .map_err(|status| client::call_error("ending the build", &status))
        };
        let mut forward = |event: &Event| progress.event(event);
        // Boxed: callers of a build should not carry the weight of its state.
        let result = Box::pin(job.run(self, &mut forward, companion)).await;
        progress.finish();
        let failure = failure.into_inner().unwrap_or_else(PoisonError::into_inner);
        match (result, failure) {
            // What the daemon said about a step, the progress of the build tells best.
            (Err(error), Some(failure)) if error.is_build() && !failure.is_of_daemon() => {
                Err(client::function_error(&error, failure))
            }
            (result, _) => result,
        }
    }
}

/// Makes the result of a build; lets a step that failed be looked into.
async fn make_or_inspect(
    context: &mut Build,
    make: impl AsyncFnOnce(&mut Build) -> Result<wire::Result>,
    on_failure: Option<OnFailure>,
) -> Result<wire::Result> {
    let Some(on_failure) = on_failure else {
        return make(context).await;
    };
    let made = make(context).await;
    let made = match made {
        Ok(result) => evaluate(context, &result).await.map(|()| result),
        failed => failed,
    };
    if let Err(error) = &made {
        on_failure.inspect(context, error).await;
    }
    made
}

/// Runs a build function to what ends its build.
pub(super) async fn run<F, T>(context: &mut Build, build: F) -> Result<wire::Result>
where
    F: AsyncFnOnce(&mut Build) -> Result<T>,
    T: Into<Image>,
{
    let image: Image = build(context).await?.into();
    image.solve(context).await
}

/// Ends a build.
pub(super) async fn finish(
    transport: &dyn super::transport::Transport,
    end: &wire::ReturnRequest,
) -> std::result::Result<(), tonic::Status> {
    use prost::Message as _;
    let message = Bytes::from(end.encode_to_vec());
    transport.call(Method::Return, message).await?;
    Ok(())
}
