//! `build`: plan, graph, solve.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Instant;

use llb::client::{
    CacheOption, Client, Engine, Entitlement, LocalDirectory, Outcome, Secret, Solve, SshAgent,
};
use llb::command_line::{self, OnError};
use llb::gateway::Build;
use llb::progress::{Display, Recorder};
use llb::value::ImageRef;

use super::advice::{Circumstances, advice};
use super::args::{BackendOption, BuildArgs, BuildCommand};
use super::explain::{Record, Surroundings};
use super::helper::Helpers;
use super::logins::{self, Logins};
use super::output::{OutputKind, OutputOption};
use super::project::{self, Project};
use super::{Failure, Interrupts, layers, print, runtime};
use crate::ca;
use crate::config::ImageName;
use crate::engine;
use crate::factory::{
    self, BuildInfo, Complete, DockerfileFactory, ImageSize, LlbFactory, ModelFactory,
};
use crate::plan::{Network, Plan};
use crate::secret::{SecretOption, SecretOrigin};

/// What becomes of a build beside its options.
#[derive(Default)]
pub(super) struct Target<'a> {
    /// Plans of the same project for other platforms: an index is made of all.
    pub(super) plans: &'a [Plan],
    /// What is done in a step that fails.
    pub(super) on_error: Option<OnError>,
    /// Where the result goes.
    pub(super) outputs: Vec<OutputOption>,
    /// Names of the image beside the plan's.
    pub(super) tags: &'a [ImageName],
    /// Annotations of the image's manifest.
    pub(super) annotations: &'a [(String, String)],
}

/// A build that succeeded.
pub(super) struct Built {
    pub(super) info: BuildInfo,
    outcome: Outcome,
}

/// Runs the command.
pub(super) fn build(command: &BuildCommand) -> Result<(), Failure> {
    let (project, plans) = project::load_platforms(&command.plan)?;
    let target = Target {
        plans: &plans[1..],
        on_error: command.on_error,
        outputs: outputs(&command.output, command.push, command.load),
        tags: command.plan.tag.get(1..).unwrap_or_default(),
        annotations: &command.annotation,
    };
    let builder = Builder::new(&project, &command.build, &target)?;
    let (built, plan) = std::thread::scope(|scope| {
        // Reads the files of the project, while the builder is at work.
        let record = scope.spawn(|| Record::of_project(&project));
        let built = run(async {
            let client = connect(command.build.builder.addr.as_deref(), None).await?;
            let (mut info, built) = builder.build(&client).await;
            if let (true, Ok((outcome, _))) = (command.size_report, &built) {
                info.sizes = builder.sizes(&client, outcome).await;
            }
            write_metadata(command, &info, built.as_ref().ok().map(|built| &built.0))?;
            let (outcome, plan) = built?;
            Ok((Built { info, outcome }, plan))
        });
        let (built, mut plan) = built?;
        // The next build is compared without its secrets.
        plan.log_in(&[]);
        let seen = Surroundings {
            base: built.info.base.clone(),
            helpers: builder.helpers.digest(),
        };
        // A build is no failure because the next one cannot be compared with it.
        if let Ok(Ok(record)) = record.join()
            && let Ok(record) = record.built(&plan, seen)
        {
            record.write(&project.root);
        }
        Ok::<_, Failure>((built, plan))
    })?;
    if command.json {
        return print(&json(&built.info)?);
    }
    let mut text = result(&target, &project.plan.image, &built.outcome);
    text.extend(built.info.sizes.iter().map(|size| size.report(&plan)));
    if target.outputs.iter().any(OutputOption::is_stdout) {
        // Standard output is the archive.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        return Ok(());
    }
    print(&text)
}

/// What becomes of a build: what the user named, what is pushed, or an image in the engine.
pub(super) fn outputs(named: &[OutputOption], push: bool, load: bool) -> Vec<OutputOption> {
    let mut outputs = named.to_vec();
    if push && !load {
        outputs.push(OutputOption::pushed());
    } else if load || outputs.is_empty() {
        outputs.push(OutputOption::image(push));
    }
    outputs
}

/// Asks a builder for what the plan of a project leaves open, and for the digests of its images if they are wanted.
pub(super) fn complete(
    project: &Project,
    args: &BuildArgs,
    pin_images: bool,
) -> Result<Complete, Failure> {
    let target = Target::default();
    let builder = Builder::new(project, args, &target)?;
    run(async {
        let client = connect(args.builder.addr.as_deref(), None).await?;
        builder.complete(&client, pin_images).await
    })
}

/// What is known of a build as JSON, with a line feed at its end.
pub(super) fn json(info: &BuildInfo) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(info)
        .map_err(|error| Failure::new(format!("the build cannot be described: {error}")))?;
    Ok(format!("{text}\n"))
}

/// `--metadata-file` and `--iidfile`. A build that failed has metadata, and no image.
fn write_metadata(
    command: &BuildCommand,
    info: &BuildInfo,
    outcome: Option<&Outcome>,
) -> Result<(), Failure> {
    let write = |path: &Path, text: &str| {
        fs::write(path, text)
            .map_err(|error| Failure::new(format!("cannot write `{}`: {error}", path.display())))
    };
    if let Some(path) = &command.metadata_file {
        let mut metadata = outcome.map_or_else(|| serde_json::json!({}), Outcome::metadata);
        metadata["cog-python.build"] = serde_json::json!(info);
        write(path, &format!("{metadata:#}\n"))?;
    }
    if let (Some(path), Some(outcome)) = (&command.iidfile, outcome) {
        let digest = outcome.image_digest().or(outcome.config_digest());
        let digest = digest.ok_or_else(|| {
            Failure::new("--iidfile: the build made no image")
                .hint("an output of files has no digest")
        })?;
        write(path, digest)?;
    }
    Ok(())
}

/// Builds an image and pushes it.
pub(super) fn push_image(
    project: &Project,
    args: &BuildArgs,
    target: &Target<'_>,
) -> Result<Built, Failure> {
    let target = Target {
        outputs: vec![OutputOption::image(true)],
        ..*target
    };
    let builder = Builder::new(project, args, &target)?;
    run(async {
        let client = connect(args.builder.addr.as_deref(), None).await?;
        let (info, built) = builder.build(&client).await;
        let (outcome, _) = built?;
        Ok(Built { info, outcome })
    })
}

/// Builds an image into the engine that will run it.
///
/// Without an address of its own the build runs in that engine's BuildKit.
pub(super) fn build_for_engine(
    project: &Project,
    args: &BuildArgs,
    docker_host: Option<&str>,
) -> Result<(), Failure> {
    run(async {
        let client = connect(args.builder.addr.as_deref(), docker_host).await?;
        let mut target = Target::default();
        if matches!(client.engine(), Engine::Docker { .. }) {
            target.outputs.push(OutputOption::image(false));
            let builder = Builder::new(project, args, &target)?;
            return builder.run_once().build(&client).await.1.map(drop);
        }
        // A BuildKit of its own has no images an engine could run: hand it over as an archive.
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::new(format!("cannot make a temporary folder: {error}")))?;
        let archive = folder.path().join("image.tar");
        target.outputs.push(OutputOption {
            kind: OutputKind::Docker,
            dest: Some(archive.clone()),
            ..OutputOption::image(false)
        });
        let builder = Builder::new(project, args, &target)?;
        builder.run_once().build(&client).await.1?;
        engine::Engine::connect(docker_host)
            .await?
            .load(&archive)
            .await
    })
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
            // buildx's word: a builder by its name.
            let is_name = address
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
            let named = is_name.then(|| format!("buildx://{address}"));
            let address = named.as_deref().unwrap_or(address);
            let address = address.parse().map_err(|error| failure(&error, None))?;
            Client::connect(&address).await
        }
        None => Client::discover().await,
    };
    client.map_err(|error| failure(&error, None))
}

/// What was made, one line each: the image with its digest, or the path.
pub(super) fn result(target: &Target<'_>, image: &str, outcome: &Outcome) -> String {
    let digest = outcome
        .image_digest()
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    let mut lines = Vec::new();
    for output in &target.outputs {
        match (&output.dest, &output.name) {
            (Some(path), _) => lines.push(path.display().to_string()),
            (None, Some(name)) => lines.push(format!("{name}{digest}")),
            (None, None) => {
                let names = target.tags.iter().map(ImageName::as_str);
                let names = std::iter::once(image).chain(names);
                lines.extend(names.map(|name| format!("{name}{digest}")));
            }
        }
    }
    lines.join("\n") + "\n"
}

/// Everything of a build that is known before a daemon is asked.
pub(super) struct Builder<'a> {
    /// One for each platform, at least one.
    plans: Vec<Plan>,
    root: &'a Path,
    args: &'a BuildArgs,
    target: &'a Target<'a>,
    secrets: Vec<(String, Secret)>,
    agents: Vec<(String, SshAgent)>,
    caches: Caches,
    helpers: Helpers,
    /// Time of the image, in seconds since 1970, instead of now.
    epoch: Option<i64>,
    /// Whether the image is one that people and programs ask what it is.
    told: bool,
}

/// Caches that are read, and those that are written.
#[derive(Default)]
struct Caches {
    from: Vec<CacheOption>,
    to: Vec<CacheOption>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        project: &'a Project,
        args: &'a BuildArgs,
        target: &'a Target<'a>,
    ) -> Result<Self, Failure> {
        let mut plans = vec![project.plan.clone()];
        plans.extend_from_slice(target.plans);
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
            if let Some(version) = &option.version {
                for plan in &mut plans {
                    plan.set_secret_version(&option.id, version);
                }
            }
            secrets.push((option.id.clone(), secret));
            options.push(option);
        }
        // Secrets are the same for every platform.
        check_secrets(&plans[0], &secrets)?;
        if plans[0].needs_agent() && args.ssh.is_empty() {
            return Err(Failure::new(
                "the build needs an SSH agent: a requirement names a repository that is fetched over ssh",
            )
            .hint("add `--ssh default`"));
        }
        let logins = Logins::find(&project.root, &options)?;
        let machines = logins.hosts();
        for plan in &mut plans {
            plan.log_in(&machines);
        }
        // Of two for one name, the later one counts.
        secrets.extend(logins.secrets());
        secrets.extend(logins::of_indexes(&plans[0], &options));
        let agents = args.ssh.iter().map(|text| {
            let (id, agent) = command_line::ssh(text);
            (id.to_owned(), agent)
        });
        let cache = |option, texts: &[String]| {
            let caches = texts.iter().map(|text| command_line::cache(option, text));
            caches
                .collect::<Result<Vec<_>, _>>()
                .map_err(Failure::usage)
        };
        let caches = Caches {
            from: cache("--cache-from", &args.cache_from)?,
            to: cache("--cache-to", &args.cache_to)?,
        };
        secrets.extend(certificates(args)?);
        Ok(Self {
            plans,
            root: &project.root,
            args,
            secrets,
            agents: agents.collect(),
            target,
            caches,
            helpers: Helpers::find()?,
            epoch: epoch(args)?,
            told: true,
        })
    }

    /// An image that is run and not looked at: what it says about itself is not found out.
    fn run_once(self) -> Self {
        Self {
            told: false,
            ..self
        }
    }

    /// Builds the image into where it goes. What is known of the build is returned in any case, and the plan with what was
    /// found out for it.
    pub(super) async fn build(
        &self,
        client: &Client,
    ) -> (BuildInfo, Result<(Outcome, Plan), Failure>) {
        match self.args.backend {
            BackendOption::Llb => self.build_by(client, &self.factory()).await,
            BackendOption::Dockerfile => self.build_by(client, &DockerfileFactory).await,
        }
    }

    async fn build_by(
        &self,
        client: &Client,
        factory: &impl ModelFactory,
    ) -> (BuildInfo, Result<(Outcome, Plan), Failure>) {
        let started = Instant::now();
        let mut shown = Display::stderr(self.args.progress);
        let solve = match self.target.on_error {
            Some(OnError::Shell) => command_line::open_shell(self.solve(), &shown),
            None => self.solve(),
        };
        let mut recorder = Recorder::new();
        let mut progress = (&mut shown, &mut recorder);
        let mut plan = self.plan().clone();
        let mut base = None;
        let keeps_image = self
            .target
            .outputs
            .iter()
            .any(|output| output.is_kept_by(client.engine()));
        let is_docker = matches!(client.engine(), Engine::Docker { .. });
        let work = async |build: &mut Build| {
            // It would be found out when everything is built.
            if self.plans.len() > 1 && keeps_image && is_docker && !build.capabilities().has_merge()
            {
                return Err(llb::gateway::Error::msg(
                    "this engine has a graph driver and keeps images of one platform only",
                )
                .hint("turn on containerd's image store in its settings, take another `--builder`, or build into an archive: `-o type=oci,dest=FILE`"));
            }
            let product = match self.plans.as_slice() {
                [plan] => factory::image(build, factory, plan, self.told).await?,
                plans => factory::index(build, factory, plans, self.told).await?,
            };
            base = product.base;
            if let Some(found) = product.plans.into_iter().next() {
                plan = found;
            }
            Ok(product.image)
        };
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
            base,
            digest: digest.map(str::to_owned),
            sizes: Vec::new(),
        };
        (info, result.map(|outcome| (outcome, plan)))
    }

    /// Finds out what the plan leaves open, and makes nothing of it.
    async fn complete(&self, client: &Client, pin_images: bool) -> Result<Complete, Failure> {
        let mut complete = None;
        let mut shown = Display::stderr(self.args.progress);
        let work = async |build: &mut Build| {
            let mut found = self.factory().complete(build, self.plan()).await?;
            if let (true, Some(lock)) = (pin_images, &mut found.lock) {
                lock.images = factory::digests(build, self.plan()).await?;
            }
            complete = Some(found);
            Ok(llb::scratch())
        };
        let result = client.build(self.solve(), &mut shown, work).await;
        result.map_err(|error| self.failure(&error))?;
        complete.ok_or_else(|| Failure::new("the build ended before packages were chosen"))
    }

    /// Sizes of the image. A build is no failure because they are not known.
    async fn sizes(&self, client: &Client, outcome: &Outcome) -> Vec<ImageSize> {
        let plans = self.plans.iter();
        let platforms: Vec<&str> = plans.map(|plan| plan.platform.as_str()).collect();
        let outputs = &self.target.outputs;
        let name = self.plan().image.as_str();
        match layers::sizes(client, outputs, &platforms, name, outcome, self.args).await {
            Ok(sizes) => sizes,
            Err(failure) => {
                let text = failure.to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                let _ = writeln!(
                    io::stderr().lock(),
                    "warning: --size-report: {}",
                    text.trim_end()
                );
                Vec::new()
            }
        }
    }

    fn factory(&self) -> LlbFactory {
        LlbFactory {
            helpers: self.helpers.lent(),
            ..LlbFactory::default()
        }
    }

    fn failure(&self, error: &llb::client::Error) -> Failure {
        let failure = failure(error, Some(self.root));
        let output = error.step().map_or(&[][..], |step| &step.output);
        match advice(&error.to_string(), output, self.circumstances()) {
            Some(advice) => failure.hint(advice),
            None => match self.lacking_context(&error.to_string()) {
                Some(name) => failure.hint(format!(
                    "nothing is given by the name `{name}`: add `--build-context {name}=FOLDER`"
                )),
                None => failure,
            },
        }
    }

    /// A name that a command mounts, that no context was given by, and that the failure is about as the name of an image.
    fn lacking_context(&self, message: &str) -> Option<&str> {
        let given = |name: &str| {
            self.args
                .build_context
                .iter()
                .any(|(known, _)| known == name)
        };
        let is_image =
            |name: &str| ImageRef::parse(name).is_ok_and(|image| message.contains(image.as_str()));
        let mut names = self.plan().mounted_names().into_iter();
        names.find(|name| !given(name) && is_image(name))
    }

    fn circumstances(&self) -> Circumstances {
        Circumstances {
            has_certificates: self.secrets.iter().any(|(id, _)| id == ca::BUNDLE_SECRET),
            has_host_network: self.plan().network == Network::Host,
            has_logins: self.plan().wheels().is_some_and(|(_, install)| {
                !install.logins.is_empty() || !install.machines.is_empty()
            }),
        }
    }

    /// The plan of the first platform, whose options the others share.
    fn plan(&self) -> &Plan {
        &self.plans[0]
    }

    fn solve(&self) -> Solve {
        let platforms: Vec<&str> = self
            .plans
            .iter()
            .map(|plan| plan.platform.as_str())
            .collect();
        // The project: its copy, packages of it, and what commands see of it.
        let project = LocalDirectory::new(self.root);
        let project = if self.args.fixed_modes {
            project.fixed_modes()
        } else {
            project
        };
        let mut solve = Solve::build()
            .attribute("platform", platforms.join(","))
            .source_date_epoch(0)
            .local("context", project)
            .docker_proxies();
        solve = self.helpers.give(solve);
        for (id, agent) in &self.agents {
            solve = solve.ssh(id, agent.clone());
        }
        for (id, secret) in &self.secrets {
            solve = solve.secret(id, secret.clone());
        }
        if self.plan().network == Network::Host {
            solve = solve.allow(Entitlement::NetworkHost);
        }
        if self.args.no_cache {
            solve = solve.no_cache();
        }
        if self.args.proxy {
            for name in factory::PROXIES {
                let value = std::env::var(name)
                    .or_else(|_| std::env::var(name.to_lowercase()))
                    .unwrap_or_default();
                if !value.is_empty() {
                    solve = solve.attribute(format!("build-arg:{name}"), value);
                }
            }
        }
        for (name, value) in &self.args.build_context {
            solve = context(solve, name, value);
        }
        solve = self
            .caches
            .from
            .iter()
            .cloned()
            .fold(solve, Solve::cache_from);
        solve = self.caches.to.iter().cloned().fold(solve, Solve::cache_to);
        if let Some(epoch) = self.epoch {
            solve = solve.source_date_epoch(epoch);
        }
        let tags = self.target.tags.iter().map(ImageName::as_str);
        let names: Vec<&str> = std::iter::once(self.plan().image.as_str())
            .chain(tags)
            .collect();
        let names = names.join(",");
        self.target.outputs.iter().fold(solve, |solve, output| {
            let is_image = output.kind.is_image();
            let annotations = self.target.annotations.iter().filter(|_| is_image);
            let export = annotations.fold(output.export(&names), |export, (key, value)| {
                export.annotation(key, value)
            });
            solve.export(export)
        })
    }
}

/// `--build-context NAME=VALUE`, in the words of docker: a folder, or an address of an image, a layout, a repository or a
/// download.
fn context(solve: Solve, name: &str, value: &str) -> Solve {
    let key = format!("context:{name}");
    if value.contains("://") || value.starts_with("git@") {
        if let Some(layout) = value.strip_prefix("oci-layout://") {
            let path = layout.split_once('@').map_or(layout, |(path, _)| path);
            let store = format!("context-{name}");
            let reference = layout.replacen(path, &store, 1);
            return solve
                .oci_layout(store, path)
                .attribute(key, format!("oci-layout://{reference}"));
        }
        return solve.attribute(key, value);
    }
    let local = format!("context-{name}");
    solve
        .attribute(key, format!("local:{local}"))
        .local(local, value)
}

/// `--timestamp`, or `SOURCE_DATE_EPOCH`.
fn epoch(args: &BuildArgs) -> Result<Option<i64>, Failure> {
    if args.timestamp.is_some() {
        return Ok(args.timestamp);
    }
    let variable = std::env::var("SOURCE_DATE_EPOCH").unwrap_or_default();
    if variable.is_empty() {
        return Ok(None);
    }
    let seconds = variable.parse().map_err(|_| {
        Failure::usage(format!(
            "SOURCE_DATE_EPOCH: must be seconds since 1970, found \"{variable}\""
        ))
    })?;
    Ok(Some(seconds))
}

/// Refuses a build whose steps would fail, minutes later, for lack of a secret.
fn check_secrets(plan: &Plan, given: &[(String, Secret)]) -> Result<(), Failure> {
    let missing: Vec<String> = plan
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
    let (message, said) = match (error.step(), text.split_once("\nhint: ")) {
        (Some(_), _) => (text.lines().next().unwrap_or_default(), None),
        (None, Some((message, hint))) => (message, Some(hint)),
        (None, None) => (text.as_str(), None),
    };
    // What was to be read of a step that failed is no news.
    let inner = message.strip_prefix("build failed: reading ");
    let inner = inner.and_then(|rest| rest.split_once("\": "));
    let message = inner.map_or(message, |(_, inner)| inner);
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
        // A step that no line of the project asks for has its place in this program.
        if file.as_ref().is_some_and(|file| !file.is_file()) {
            continue;
        }
        let text = file
            .and_then(|file| fs::read_to_string(file).ok())
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
    // An error of the build's own has its hint in its text.
    match error.hint_text().or(said) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
