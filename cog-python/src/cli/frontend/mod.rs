//! The program as a BuildKit frontend: `docker build -f cog.yaml .` with nothing else installed.
//!
//! ```yaml
//! # syntax=registry.example.com/cog-python:1
//! build:
//!   python_version: "3.12"
//! run: run.py:Runner
//! ```
//!
//! What the command line says elsewhere, build arguments say here: `--build-arg PYTHON_PROVIDER=uv`. Files of the project
//! are read through the gateway, and no others than those that the plan is made of are sent before it stands.

mod arguments;
mod files;

use std::process::ExitCode;

use llb::gateway::{
    Build, Error, Frontend, Image, Inspect, Inspection, MainContext, Result, Warning,
};
use llb::{Range, SourceLocation, SourceMap};

use super::Failure;
use super::args::NetworkOption;
use super::project;
use crate::diagnostic::{Diagnostic, Report};
use crate::factory::{self, LlbFactory};
use crate::layer::Context;
use crate::plan::Plan;
use crate::resolution::Options;
use files::KnownFiles;

/// The file that is read if no other is named.
const FILE: &str = "cog.yaml";

/// Serves one build to the BuildKit that has started this process.
pub(super) fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = match runtime {
        Ok(runtime) => runtime.block_on(frontend().serve()),
        Err(error) => Err(Error::new(error)),
    };
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            use std::io::Write as _;
            // It ends up in the daemon's log; there is nobody else to tell.
            let _ = writeln!(std::io::stderr().lock(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The frontend, with what it tells about itself.
fn frontend() -> Frontend<impl AsyncFn(&mut Build) -> Result<Image>, impl Inspect> {
    let frontend = Frontend::new(build)
        .describe("a Cog model from its cog.yaml")
        .inspect(inspect);
    arguments::known()
        .into_iter()
        .fold(frontend, |frontend, argument| {
            frontend.argument(argument.name, argument.default, argument.help)
        })
}

/// What is known of a project when its plan stands.
struct Read {
    known: KnownFiles,
    context: MainContext,
    /// What is doubtful, with the name of what it is about.
    warnings: Vec<(&'static str, Warning)>,
    /// A plan for each platform, or what is wrong.
    plans: Result<Vec<Plan>>,
}

/// Reads the project, and plans it for every platform that is asked for.
async fn read(cx: &mut Build) -> Result<Read> {
    let file = cx.source_file(FILE).await?;
    let (mut arguments, unknown) = arguments::read(cx.build_args())?;
    arguments.network = match cx.option("force-network-mode") {
        Some("host") => NetworkOption::Host,
        Some("none") => NetworkOption::None,
        _ => NetworkOption::Default,
    };
    let context = cx.main_context().await?;
    let mut read = Read {
        known: KnownFiles::new(&file.name, &file.text),
        context,
        warnings: unknown
            .into_iter()
            .map(|warning| ("BuildArgument", warning))
            .collect(),
        plans: Ok(Vec::new()),
    };
    let machines = arguments::machines(cx.build_args());
    let mut plans = Vec::new();
    for platform in cx.platforms() {
        let mut arguments = arguments.clone();
        arguments.platform = vec![
            platform
                .to_string()
                .parse()
                .map_err(|error| Error::new(error).context(format!("platform {platform}")))?,
        ];
        let plan =
            |files: &KnownFiles| project::plan(&file.name, &arguments, files, files, around(cx));
        let (planned, report) = read
            .known
            .fill(cx, &read.context, plan)
            .await?
            .map_err(|failure| told(&failure))?;
        // What is wrong is wrong for every platform alike; the first one tells it.
        if plans.is_empty() {
            for warning in report.warnings() {
                let rule = read.known.rule(warning);
                let warning = read.known.warning(warning, &file.map);
                read.warnings.push((rule, warning));
            }
        }
        let Some(planned) = planned else {
            read.plans = Err(rejected(&report, &read.known, &file.map));
            return Ok(read);
        };
        let mut plan = planned.plan;
        plan.log_in(&machines);
        plans.push(plan);
    }
    read.plans = Ok(plans);
    Ok(read)
}

/// Builds the model for every platform that is asked for.
async fn build(cx: &mut Build) -> Result<Image> {
    let read = read(cx).await?;
    for (_, warning) in read.warnings {
        cx.warn(warning).await?;
    }
    let plans = read.plans?;
    let factory = LlbFactory {
        project: Some(match read.context {
            MainContext::Directory(directory) => Context::Folder(directory),
            MainContext::Files(files) => Context::Files(files),
        }),
        texts: read.known.texts(),
        helpers: Vec::new(),
    };
    let product = match plans.as_slice() {
        [plan] => factory::image(cx, &factory, plan, true).await?,
        plans => factory::index(cx, &factory, plans, true).await?,
    };
    let image = product.image;
    // The exporter gives this time to the image and its layers.
    Ok(match cx.build_arg("SOURCE_DATE_EPOCH") {
        Some(epoch) if !epoch.is_empty() => image.metadata("source.date.epoch", epoch),
        _ => image,
    })
}

/// What a build would warn of, why it would fail, and what it takes.
async fn inspect(cx: &mut Build) -> Result<Inspection> {
    let read = match read(cx).await {
        Ok(read) => read,
        Err(error) => return Ok(Inspection::new().error(error)),
    };
    let warnings = read.warnings.into_iter();
    let inspection = warnings.fold(Inspection::new(), |inspection, (rule, warning)| {
        inspection.warning(rule, warning)
    });
    let plans = match read.plans {
        Ok(plans) => plans,
        Err(error) => return Ok(inspection.error(error)),
    };
    let Some(plan) = plans.first() else {
        return Ok(inspection);
    };
    let secrets = plan.secrets().into_iter();
    let inspection = secrets.fold(inspection, |inspection, (id, required)| {
        inspection.secret(id, required)
    });
    let agents = plan.agents().into_iter();
    Ok(agents.fold(inspection, |inspection, (id, required)| {
        inspection.ssh(id, required)
    }))
}

/// What is known of the build beside its arguments.
fn around(cx: &Build) -> Options {
    let revision = cx
        .option("vcs:revision")
        .filter(|revision| !revision.is_empty());
    Options {
        revision: revision.map(str::to_owned),
        ..Options::default()
    }
}

/// The error of a project with mistakes: all of them, each at its line.
fn rejected(report: &Report, known: &KnownFiles, config: &SourceMap) -> Error {
    let errors: Vec<&Diagnostic> = report.errors();
    let texts: Vec<String> = errors.iter().map(|error| short(error)).collect();
    let error = errors
        .iter()
        .filter_map(|error| known.place(error, config))
        .fold(Error::msg(texts.join("\n")), Error::at);
    match errors.as_slice() {
        [one] => one
            .advice()
            .map(str::to_owned)
            .into_iter()
            .fold(error, Error::hint),
        _ => error,
    }
}

/// A finding without the line it is about, which BuildKit shows.
fn short(finding: &Diagnostic) -> String {
    match finding.place() {
        Some(place) => format!("{}:{}: {}", place.file, place.span.line, finding.message()),
        None => finding.message().to_owned(),
    }
}

impl KnownFiles {
    /// The place of a finding in the file it is about, if that was read.
    fn place(&self, finding: &Diagnostic, config: &SourceMap) -> Option<SourceLocation> {
        let place = finding.place()?;
        let line = i32::try_from(place.span.line).ok()?;
        let map = if self.is_config(&place.file) {
            config.clone()
        } else {
            let text = self.text(&place.file)?;
            let language = place.file.rsplit(['/', '.']).next().unwrap_or_default();
            SourceMap::new(&place.file, language, text)
        };
        Some(map.location([Range::lines(line, line)]))
    }

    /// What a finding is about, as a check of the project calls it.
    fn rule(&self, finding: &Diagnostic) -> &'static str {
        match finding.place() {
            Some(place) if self.is_config(&place.file) => "Configuration",
            Some(_) => "Requirements",
            None => "Project",
        }
    }

    fn warning(&self, finding: &Diagnostic, config: &SourceMap) -> Warning {
        let warning = Warning::new(finding.message());
        let warning = match finding.advice() {
            Some(advice) => warning.detail(format!("hint: {advice}")),
            None => warning,
        };
        match self.place(finding, config) {
            Some(place) => warning.at(place),
            None => warning,
        }
    }
}

/// The error of a project that cannot be read, as BuildKit shows it.
fn told(failure: &Failure) -> Error {
    let text = failure.to_string();
    Error::msg(text.strip_prefix("error: ").unwrap_or(&text))
}
