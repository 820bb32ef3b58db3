//! `build`: plan, graph, solve.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use llb::client::{Client, Engine, Entitlement, Export, Outcome, Secret, Solve, SshAgent};
use llb::gateway::Build;
use llb::progress::{Display, Recorder};

use super::advice::{Circumstances, advice};
use super::args::{BackendOption, BuildArgs, BuildCommand, PlanArgs};
use super::output::OutputOption;
use super::project::{self, Project};
use super::{Failure, Interrupts, print, runtime};
use crate::ca;
use crate::engine;
use crate::factory::{self, BuildInfo, Complete, DockerfileFactory, LlbFactory, ModelFactory};
use crate::lock::Login;
use crate::plan::{Network, Plan};
use crate::secret::{SecretOption, SecretOrigin};

/// Runs the command.
pub(super) fn build(command: &BuildCommand) -> Result<(), Failure> {
    let project = project::load(&command.plan)?;
    let outputs = outputs(&command.output, command.push);
    let builder = Builder::new(&project, &command.build)?;
    let exports = outputs
        .iter()
        .map(|output| export(output, &project.plan.image))
        .collect();
    let outcome = run(async {
        let client = connect(command.build.addr.as_deref(), None).await?;
        builder.build(&client, exports).await.1
    })?;
    print(&result(&outputs, &project.plan.image, &outcome))
}

/// What becomes of a build: what the user named, or an image in the engine.
pub(super) fn outputs(named: &[OutputOption], push: bool) -> Vec<OutputOption> {
    let mut outputs = named.to_vec();
    if push || outputs.is_empty() {
        outputs.push(OutputOption::Image { name: None, push });
    }
    outputs
}

/// Asks a builder for what the plan of a project leaves open.
pub(super) fn complete(project: &Project, args: &BuildArgs) -> Result<Complete, Failure> {
    let builder = Builder::new(project, args)?;
    run(async {
        let client = connect(args.addr.as_deref(), None).await?;
        builder.complete(&client).await
    })
}

/// Builds an image into the engine that will run it; gives its name.
///
/// Without an address of its own the build runs in that engine's BuildKit.
pub(super) fn build_for_engine(
    plan: &PlanArgs,
    args: &BuildArgs,
    docker_host: Option<&str>,
) -> Result<String, Failure> {
    let project = project::load(plan)?;
    let builder = Builder::new(&project, args)?;
    let name = project.plan.image.clone();
    run(async {
        let client = connect(args.addr.as_deref(), docker_host).await?;
        if matches!(client.engine(), Engine::Docker { .. }) {
            let export = Export::image(&name);
            return builder.build(&client, vec![export]).await.1.map(drop);
        }
        // A BuildKit of its own has no images an engine could run: hand it over as an archive.
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        let archive = folder.path().join("image.tar");
        let export = Export::docker_archive(&archive).name(&name);
        builder.build(&client, vec![export]).await.1?;
        engine::Engine::connect(docker_host)
            .await?
            .load(&archive)
            .await
    })?;
    Ok(name)
}

/// Runs something that waits for daemons, until it ends or the user ends it.
pub(super) fn run<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    runtime()?.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        // Dropping a solve cancels the build.
        tokio::select! {
            result = work => result,
            failure = interrupts.wait() => Err(failure),
        }
    })
}

pub(super) async fn connect(
    address: Option<&str>,
    engine: Option<&str>,
) -> Result<Client, Failure> {
    let client = match address.or(engine) {
        Some(address) => {
            let address = address.parse().map_err(|error| failure(&error, None))?;
            Client::connect(&address).await
        }
        None => Client::discover().await,
    };
    client.map_err(|error| failure(&error, None))
}

pub(super) fn export(output: &OutputOption, image: &str) -> Export {
    match output {
        OutputOption::Image { name, push } => {
            let name = name.as_ref().map_or(image, |name| name.as_str());
            Export::image(name).push(*push)
        }
        OutputOption::Oci(path) => Export::oci(path).name(image),
        OutputOption::Docker(path) => Export::docker_archive(path).name(image),
        OutputOption::Tar(path) => Export::tar(path),
        OutputOption::Local(path) => Export::local(path),
    }
}

/// What was made, one line each: the image with its digest, or the path.
pub(super) fn result(outputs: &[OutputOption], image: &str, outcome: &Outcome) -> String {
    let digest = outcome
        .image_digest()
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    outputs.iter().fold(String::new(), |mut text, output| {
        let line = match output {
            OutputOption::Image { name, .. } => {
                let name = name.as_ref().map_or(image, |name| name.as_str());
                format!("{name}{digest}")
            }
            OutputOption::Oci(path)
            | OutputOption::Docker(path)
            | OutputOption::Tar(path)
            | OutputOption::Local(path) => path.display().to_string(),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{line}");
        text
    })
}

/// Everything of a build that is known before a daemon is asked.
struct Builder<'a> {
    plan: &'a Plan,
    root: &'a Path,
    args: &'a BuildArgs,
    secrets: Vec<(String, Secret)>,
    agents: Vec<(String, SshAgent)>,
}

impl<'a> Builder<'a> {
    fn new(project: &'a Project, args: &'a BuildArgs) -> Result<Self, Failure> {
        let plan = &project.plan;
        let mut secrets = Vec::new();
        let mut options = Vec::new();
        for text in &args.secret {
            // Parsed here, because the command line's own errors repeat what was written.
            let option: SecretOption = text
                .parse()
                .map_err(|error| Failure::usage(format!("--secret: {error}")))?;
            let secret = match &option.origin {
                SecretOrigin::File(path) => Secret::file(path),
                SecretOrigin::Variable(name) => Secret::env(name),
            };
            secrets.push((option.id.clone(), secret));
            options.push(option);
        }
        check_secrets(plan, &secrets)?;
        secrets.extend(logins(plan, &options));
        let agents = args.ssh.iter().map(|text| match text.split_once('=') {
            Some((id, socket)) => (id.to_owned(), SshAgent::socket(socket)),
            None => (text.clone(), SshAgent::env()),
        });
        secrets.extend(certificates(args)?);
        Ok(Self {
            plan,
            root: &project.root,
            args,
            secrets,
            agents: agents.collect(),
        })
    }

    /// Builds the image into what `exports` name. What is known of the build is returned in any case.
    async fn build(
        &self,
        client: &Client,
        exports: Vec<Export>,
    ) -> (BuildInfo, Result<Outcome, Failure>) {
        match self.args.backend {
            BackendOption::Llb => self.build_by(client, exports, &LlbFactory::default()).await,
            BackendOption::Dockerfile => self.build_by(client, exports, &DockerfileFactory).await,
        }
    }

    async fn build_by(
        &self,
        client: &Client,
        exports: Vec<Export>,
        factory: &impl ModelFactory,
    ) -> (BuildInfo, Result<Outcome, Failure>) {
        let started = Instant::now();
        let solve = exports.into_iter().fold(self.solve(), Solve::export);
        let mut shown = Display::stderr(self.args.progress);
        let mut recorder = Recorder::new();
        let mut progress = (&mut shown, &mut recorder);
        let work = async |build: &mut Build| factory::image(build, factory, self.plan, true).await;
        let result = client.build(solve, &mut progress, work).await;
        let result = result.map_err(|error| self.failure(&error));
        let summary = recorder.summary();
        let digest = result.as_ref().ok().and_then(Outcome::image_digest);
        let info = BuildInfo {
            build_id: uuid::Uuid::now_v7().to_string(),
            builder: client.address().to_string(),
            backend: factory.backend(),
            duration: started.elapsed(),
            executed: summary.executed(),
            cached: summary.cached(),
            digest: digest.map(str::to_owned),
        };
        (info, result)
    }

    /// Finds out what the plan leaves open, and makes nothing of it.
    async fn complete(&self, client: &Client) -> Result<Complete, Failure> {
        let mut complete = None;
        let mut shown = Display::stderr(self.args.progress);
        let work = async |build: &mut Build| {
            complete = Some(factory::complete(build, self.plan).await?);
            Ok(llb::scratch())
        };
        let result = client.build(self.solve(), &mut shown, work).await;
        result.map_err(|error| self.failure(&error))?;
        complete.ok_or_else(|| Failure::new("the build ended before packages were chosen"))
    }

    fn failure(&self, error: &llb::client::Error) -> Failure {
        let failure = failure(error, Some(self.root));
        let output = error.step().map_or(&[][..], |step| &step.output);
        match advice(&error.to_string(), output, self.circumstances()) {
            Some(advice) => failure.hint(advice),
            None => failure,
        }
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances {
            has_certificates: self.secrets.iter().any(|(id, _)| id == ca::BUNDLE_SECRET),
            has_host_network: self.plan.network == Network::Host,
        }
    }

    fn solve(&self) -> Solve {
        // The project: its copy, packages of it, and what commands see of it.
        let mut solve = Solve::build()
            .attribute("platform", self.plan.platform.as_str())
            .source_date_epoch(0)
            .local("context", self.root);
        for (id, agent) in &self.agents {
            solve = solve.ssh(id, agent.clone());
        }
        for (id, secret) in &self.secrets {
            solve = solve.secret(id, secret.clone());
        }
        if self.plan.network == Network::Host {
            solve = solve.allow(Entitlement::NetworkHost);
        }
        if self.args.no_cache {
            solve = solve.no_cache();
        }
        solve
    }
}

/// Refuses a build whose steps would fail, minutes later, for lack of a secret.
fn check_secrets(plan: &Plan, given: &[(String, Secret)]) -> Result<(), Failure> {
    let missing: Vec<&str> = plan
        .required_secrets()
        .into_iter()
        .filter(|id| given.iter().all(|(known, _)| known != id))
        .collect();
    let Some(first) = missing.first() else {
        return Ok(());
    };
    Err(Failure::new(format!(
        "the build needs secrets that are not given: {}",
        missing.join(", ")
    ))
    .hint(format!(
        "add `--secret id={first},src=FILE` or `--secret id={first},env=VARIABLE`"
    )))
}

/// The headers that log in to hosts of wheels, as secrets. Their values are nowhere else.
fn logins(plan: &Plan, options: &[SecretOption]) -> Vec<(String, Secret)> {
    let value = |name: &str| {
        let option = options.iter().rfind(|option| option.id == name)?;
        let text = match &option.origin {
            SecretOrigin::File(path) => std::fs::read_to_string(path).ok()?,
            SecretOrigin::Variable(name) => std::env::var(name).ok()?,
        };
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    let logins = plan
        .wheels()
        .into_iter()
        .flat_map(|(_, install)| &install.logins);
    let header = |login: &Login| {
        let (user, password) = login.expand(value)?;
        let encoded = crate::base64::encode(format!("{user}:{password}").as_bytes());
        let header = format!("Basic {encoded}");
        Some((login.secret(), Secret::bytes(header.as_bytes())))
    };
    logins.filter_map(header).collect()
}

/// The certificate bundle as secrets, where there is one.
fn certificates(args: &BuildArgs) -> Result<Vec<(String, Secret)>, Failure> {
    let found = ca::find(&ca::Disk, args.ca_cert.as_deref(), args.ca_only)?;
    for problem in &found.passed_over {
        // Nothing is left to tell a person whose terminal is gone.
        let _ = writeln!(io::stderr().lock(), "warning: certificates of {problem}");
    }
    let secrets = found.bundle.iter().flat_map(|bundle| {
        bundle
            .secrets()
            .map(|(id, value)| (id.to_owned(), Secret::bytes(value)))
    });
    Ok(secrets.collect())
}

/// A failure of the client, with the line of the project that asked for the failed step.
pub(super) fn failure(error: &llb::client::Error, root: Option<&Path>) -> Failure {
    /// Most characters of one line of output that are shown.
    const WIDTH: usize = 400;
    let text = error.to_string();
    // What follows the first line is the step's output and the hint, which are told below.
    let message = match error.step() {
        Some(_) => text.lines().next().unwrap_or_default(),
        None => text.split("\nhint: ").next().unwrap_or_default(),
    };
    // A step that could not even start is named by its whole command, scripts and all.
    let mut failure = match message.split_once("did not complete successfully: ") {
        Some((_, reason)) if error.step().is_none_or(|step| step.exit_code.is_none()) => {
            let name = error
                .step()
                .map(|step| step.name.as_str())
                .filter(|name| !name.is_empty());
            let step = name.map_or_else(|| "a step".to_owned(), |name| format!("step `{name}`"));
            Failure::new(format!("build failed: {step} could not be run: {reason}"))
        }
        _ => Failure::new(message),
    };
    for source in error.sources() {
        let file = root.map(|root| root.join(&source.filename));
        let text = file
            .and_then(|file| std::fs::read_to_string(file).ok())
            .unwrap_or_default();
        for &(line, _) in &source.ranges {
            let line = usize::try_from(line).unwrap_or_default();
            let excerpt = line
                .checked_sub(1)
                .and_then(|index| text.lines().nth(index));
            failure = failure.place(&source.filename, line, excerpt);
        }
    }
    for line in error.step().iter().flat_map(|step| &step.output) {
        failure = match line.char_indices().nth(WIDTH) {
            Some((end, _)) => failure.detail(&format!("{}…", &line[..end])),
            None => failure.detail(line),
        };
    }
    match error.hint_text() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
