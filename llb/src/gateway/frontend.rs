//! Build functions as frontends.
//!
//! BuildKit starts the image of a frontend and speaks gRPC with it over stdin and stdout: the frontend asks, BuildKit
//! answers, and what the frontend returns is the result of the build. What it was given comes in the environment
//! (`frontend/gateway/gateway.go`, August 2026).

use std::any::Any;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::unix::pipe;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};

use super::build::{Build, Given};
use super::error::{Error, Result};
use super::image::Image;
use super::inspection::{Inspect, Inspection, Inspector, Unknown};
use super::run;
use super::subrequest::{LINT, OUTLINE, Outline};
use super::transport::Daemon;
use crate::proto::moby::buildkit::v1::frontend as wire;
use crate::state::State;

/// What a client may ask for that a frontend of this crate has.
const CAPABILITIES: [&str; 4] = [
    "moby.buildkit.frontend.inputs",
    "moby.buildkit.frontend.subrequests",
    "moby.buildkit.frontend.contexts",
    "moby.buildkit.frontend.gitquerystring",
];

/// Whether this process was started by BuildKit as a frontend.
///
/// A program that is a command as well asks this first.
pub fn is_frontend() -> bool {
    ["BUILDKIT_SESSION_ID", "BUILDKIT_WORKERS"]
        .iter()
        .all(|name| std::env::var_os(name).is_some())
}

/// The image of a frontend: a program without dependencies, and the labels that tell BuildKit what it can do.
///
/// Export it with [`Export::image`](crate::client::Export::image), and it is what `# syntax=` names.
///
/// ```
/// use llb::gateway::frontend_image;
/// use llb::prelude::*;
///
/// let program = local("target").include(["app-frontend"]);
/// let image = frontend_image(program, "/app-frontend");
/// assert_eq!(image.image_config().entrypoint.as_deref(), Some(&["/frontend".to_owned()][..]));
/// ```
#[track_caller]
pub fn frontend_image(files: impl Into<State>, program: &str) -> State {
    State::scratch()
        .file(crate::file::copy(files, program, "/frontend").mode(0o755))
        .entrypoint(["/frontend"])
        .label("moby.buildkit.frontend.network.none", "true")
        .label("moby.buildkit.frontend.caps", CAPABILITIES.join(","))
}

/// A build function with what it tells about itself.
///
/// ```no_run
/// use llb::gateway::{Build, Frontend, Image, Result};
///
/// async fn build(cx: &mut Build) -> Result<Image> {
///     let file = cx.source_file("app.toml").await?;
///     // ...
///     # let _ = file;
///     # Ok(llb::scratch().into())
/// }
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<()> {
///     Frontend::new(build)
///         .describe("an image of an app")
///         .argument("PYTHON", "3.13", "version of Python")
///         .secret("netrc", false)
///         .serve()
///         .await
/// }
/// ```
///
/// Standard output belongs to BuildKit; what is written to standard error is in the daemon's log. To tell the user
/// something, [`Build::warn`].
#[derive(Clone, Debug)]
pub struct Frontend<F, I = Unknown> {
    build: F,
    outline: Outline,
    inspect: I,
}

impl<F> Frontend<F> {
    /// A build function.
    pub fn new(build: F) -> Self {
        Self {
            build,
            outline: Outline::default(),
            inspect: Unknown,
        }
    }
}

impl<F, I> Frontend<F, I> {
    /// A function that looks at a project without building it: `docker build --call=check` shows what it finds, and
    /// `--call=outline` lists secrets and agents that it tells beside those of every build.
    #[must_use = "this returns the changed frontend"]
    pub fn inspect<J>(self, inspect: J) -> Frontend<F, Inspector<J>>
    where
        J: AsyncFn(&mut Build) -> Result<Inspection>,
    {
        Frontend {
            build: self.build,
            outline: self.outline,
            inspect: Inspector(inspect),
        }
    }

    /// What it builds, in one line.
    #[must_use = "this returns the changed frontend"]
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.outline.description = description.into();
        self
    }

    /// What it says that it builds; empty if it does not say.
    pub fn description(&self) -> &str {
        &self.outline.description
    }

    /// A build argument that it knows: its name, what it is without being given, and what it means.
    #[must_use = "this returns the changed frontend"]
    pub fn argument(
        mut self,
        name: impl Into<String>,
        default: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        let argument = (name.into(), default.into(), description.into());
        self.outline.arguments.push(argument);
        self
    }

    /// A secret that it takes, and whether it needs it.
    #[must_use = "this returns the changed frontend"]
    pub fn secret(mut self, id: impl Into<String>, required: bool) -> Self {
        self.outline.secrets.push((id.into(), required));
        self
    }

    /// An ssh agent that it takes, and whether it needs it.
    #[must_use = "this returns the changed frontend"]
    pub fn ssh(mut self, id: impl Into<String>, required: bool) -> Self {
        self.outline.agents.push((id.into(), required));
        self
    }

    /// A target that it knows (`docker build --target`). The first one is built if none is named.
    #[must_use = "this returns the changed frontend"]
    pub fn target(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.outline.targets.push((name.into(), description.into()));
        self
    }

    /// Answers what was asked for: the image, or a subrequest (`docker build --call=outline`).
    ///
    /// # Errors
    ///
    /// Those of the build function; a capability, a subrequest or a target that there is not.
    pub async fn build<T>(&self, context: &mut Build) -> Result<Image>
    where
        F: AsyncFn(&mut Build) -> Result<T>,
        T: Into<Image>,
        I: Inspect,
    {
        check_capabilities(context)?;
        let request = context.option("requestid").map(str::to_owned);
        let inspection = match request.as_deref() {
            Some(LINT) => {
                self.outline.check_target(context)?;
                self.inspect.inspect(context).await?
            }
            // A project with mistakes has build arguments all the same.
            Some(OUTLINE) => self.inspect.inspect(context).await.ok().flatten(),
            _ => None,
        };
        let answer = self
            .outline
            .answer(context, inspection.as_ref(), I::IS_KNOWN)?;
        if let Some(answer) = answer {
            return Ok(answer);
        }
        self.outline.check_target(context)?;
        Ok((self.build)(context).await?.into())
    }

    /// Serves one build over stdin and stdout. For the `main` of a frontend image.
    ///
    /// A build that fails is reported to BuildKit and no error here.
    ///
    /// # Errors
    ///
    /// The process was not started by BuildKit, or the connection breaks.
    pub async fn serve<T>(self) -> Result<()>
    where
        F: AsyncFn(&mut Build) -> Result<T>,
        T: Into<Image>,
        I: Inspect,
    {
        if !is_frontend() {
            return Err(Error::msg("this is a frontend, which BuildKit starts").hint(
                "put it into an image, and name that in `# syntax=` or with the frontend gateway.v0",
            ));
        }
        let given = Given {
            options: options(std::env::vars()),
            session: std::env::var("BUILDKIT_SESSION_ID").unwrap_or_default(),
            ..Given::default()
        };
        let daemon = Daemon::of_frontend(connect().await?);
        let transport = Arc::new(daemon);
        let end = match Build::start(transport.clone(), given).await {
            Ok(mut context) => {
                let building = run::run(&mut context, async |context: &mut Build| {
                    self.build(context).await
                });
                without_panic(building).await
            }
            Err(error) => Err(error),
        };
        let end = match end {
            Ok(result) => wire::ReturnRequest {
                result: Some(result),
                error: None,
            },
            Err(error) => error.to_return(),
        };
        run::finish(&*transport, &end).await?;
        Ok(())
    }
}

/// The options of a build, as BuildKit writes them into the environment: `BUILDKIT_FRONTEND_OPT_3=name=value`.
fn options(environment: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    environment
        .filter(|(variable, _)| variable.starts_with("BUILDKIT_FRONTEND_OPT_"))
        .map(|(_, option)| match option.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (option, String::new()),
        })
        .collect()
}

/// The connection over stdin and stdout. There is only one: it cannot be made again.
async fn connect() -> Result<Channel> {
    let explain = |error: io::Error| {
        Error::new(error)
            .context("speaking with BuildKit over stdin and stdout")
            .hint("BuildKit gives a frontend pipes for both")
    };
    // Pipes are waited for; tokio's own stdin would keep a thread reading after the build has ended.
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(explain)?;
    let output = io::stdout().as_fd().try_clone_to_owned().map_err(explain)?;
    let input = pipe::Receiver::from_owned_fd(input).map_err(explain)?;
    let output = pipe::Sender::from_owned_fd(output).map_err(explain)?;
    let once = Arc::new(Mutex::new(Some(tokio::io::join(input, output))));
    let connector = tower::service_fn(move |_| {
        let pipe = once.lock().ok().and_then(|mut once| once.take());
        async move {
            let broken = || io::Error::new(io::ErrorKind::BrokenPipe, "BuildKit has gone away");
            Ok::<_, io::Error>(TokioIo::new(pipe.ok_or_else(broken)?))
        }
    });
    // The authority is never looked at.
    let endpoint = Endpoint::from_static("http://localhost");
    Ok(endpoint.connect_with_connector(connector).await?)
}

/// A client asks for nothing that it may not get.
fn check_capabilities(context: &Build) -> Result<()> {
    let wanted = context.option("frontend.caps").unwrap_or_default();
    for wanted in wanted.split(',').filter(|wanted| !wanted.is_empty()) {
        let name = wanted.split('+').next().unwrap_or_default();
        if !CAPABILITIES.contains(&name) {
            let message = format!("this frontend lacks the capability {name}");
            let value = json!({"name": name});
            let code = Code::Unimplemented;
            return Err(Error::typed(code, "errdefs.FrontendCap", &value, &message));
        }
    }
    Ok(())
}

/// A panic is the error of a build function too: only so its user hears of it.
async fn without_panic<T>(building: impl Future<Output = Result<T>>) -> Result<T> {
    let mut building = pin!(building);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| building.as_mut().poll(context))) {
            Ok(polled) => polled,
            Err(panic) => Poll::Ready(Err(Error::msg(panic_text(&*panic)))),
        },
    )
    .await
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or(panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    format!("the frontend panicked, which is a mistake in it: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_in_the_environment() {
        let environment = [
            ("BUILDKIT_FRONTEND_OPT_0", "build-arg:A=b=c"),
            ("BUILDKIT_FRONTEND_OPT_11", "no-cache"),
            ("PATH", "/bin"),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let expected = [("build-arg:A", "b=c"), ("no-cache", "")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(options(environment.into_iter()), expected.into());
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let building = async {
            let text: Option<&str> = std::hint::black_box(None);
            Err::<(), _>(Error::msg(text.expect("x")))
        };
        let error = without_panic(building).await.unwrap_err();
        assert!(error.to_string().ends_with("a mistake in it: x"), "{error}");
    }
}
