//! Finding and reading a project on the disk.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use llb::session::PatternSet;

use super::Failure;
use super::args::PlanArgs;
use super::weights;
use crate::ca;
use crate::config::{self, Config};
use crate::diagnostic::{Diagnostic, Report, Severity, Source, Spanned};
use crate::doctor::{Changed, Changes};
use crate::files::{FileProblem, ProjectFiles, TEXT_LIMIT};
use crate::plan::{Action, EXCLUDED, Plan};
use crate::resolution::{Options, contradictions, resolve};
use crate::schema::Schema;
use crate::sdk::SdkVersion;
use crate::tables::{Release, Tables};

/// The configuration file when none is named.
const CONFIG_FILE: &str = "cog.yaml";
/// How many parent folders are searched for it.
const PARENT_LIMIT: usize = 100;

/// A project that was read without errors.
pub(crate) struct Project {
    /// Folder of the configuration file.
    pub(crate) root: PathBuf,
    /// What will be done.
    pub(crate) plan: Plan,
    /// What `cog.yaml` calls the image and the model.
    pub(crate) names: Names,
    /// torch of a GPU build, and the CUDA of its wheel.
    pub(crate) torch: Option<(String, Option<Release>)>,
    /// The tables of `--tables`.
    pub(crate) tables: Option<Arc<Tables>>,
}

/// A project as it was found, with or without mistakes.
pub(crate) struct Examined {
    /// Folder of the configuration file.
    pub(crate) root: PathBuf,
    /// Name of the configuration file.
    pub(crate) file: String,
    /// What is configured, as far as it can be told.
    pub(crate) config: Option<Config>,
    /// The version of Cog's package that the arguments name.
    pub(crate) sdk: Option<SdkVersion>,
    /// The project, if it has no mistakes.
    pub(crate) project: Option<Project>,
    /// All findings.
    pub(crate) report: Report,
}

/// Names in `cog.yaml`.
pub(crate) struct Names {
    /// `image`.
    pub(crate) image: Option<String>,
    /// `model`.
    pub(crate) model: Option<String>,
}

/// Reads the project, writes its warnings to stderr, and plans the build for every platform that is asked for; the plan of
/// the project is that of the first.
pub(crate) fn load_platforms(args: &PlanArgs) -> Result<(Project, Vec<Plan>), Failure> {
    let mut platforms = args.platform.clone();
    platforms.dedup();
    let mut of_platform = platforms.into_iter().map(|platform| PlanArgs {
        platform: vec![platform],
        ..args.clone()
    });
    let Some(first) = of_platform.next() else {
        let project = load(args)?;
        let plans = vec![project.plan.clone()];
        return Ok((project, plans));
    };
    let project = load(&first)?;
    let mut plans = vec![project.plan.clone()];
    for args in of_platform {
        // What is wrong is wrong for every platform alike; the first one tells it.
        plans.push(read(&args)?.0.plan);
    }
    Ok((project, plans))
}

/// Reads the project, writes its warnings to stderr, and plans the build.
pub(crate) fn load(args: &PlanArgs) -> Result<Project, Failure> {
    if args.platform.len() > 1 {
        return Err(Failure::usage(
            "--platform: only `build` and `push` take several platforms",
        ));
    }
    let (project, report) = read(args)?;
    let mut stderr = io::stderr().lock();
    for warning in report.warnings() {
        // Nothing is left to tell a person whose terminal is gone.
        let _ = writeln!(stderr, "{warning}\n");
    }
    Ok(project)
}

/// Reads the project and plans the build.
fn read(args: &PlanArgs) -> Result<(Project, Report), Failure> {
    let Examined {
        project, report, ..
    } = examine(args, &Changes::new())?;
    match project {
        Some(project) => Ok((project, report)),
        None => Err(rejected(&report)),
    }
}

/// Reads the project as it would be with changes to its files, and plans the build.
pub(crate) fn examine(args: &PlanArgs, changes: &Changes) -> Result<Examined, Failure> {
    let (root, file) = locate(args.file.as_deref())?;
    let args = &with_wheel_of_project(args, &root)?;
    let (revision, release) = revision(&root);
    let folder = root
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let disk = Disk { root: &root };
    let disk = Changed {
        files: &disk,
        changes,
    };
    let weights = if args.separate_weights {
        let ignore = disk.read(".dockerignore").unwrap_or_default();
        weights::find(&root, &ignore)?
    } else {
        Vec::new()
    };
    let around = Options {
        weights,
        folder: folder.unwrap_or_default(),
        revision,
        release,
        ..Options::default()
    };
    // What the command line names lies where the user is.
    let here = Disk {
        root: Path::new(""),
    };
    let (planned, report) = plan(&file, args, &disk, &here, around)?;
    let Some(planned) = planned else {
        let sdk = sdk(args, &disk)?;
        let text = disk.read(&file).unwrap_or_default();
        let (config, _) = config::draft(&Source::new(&file, text), &disk, sdk.as_ref());
        return Ok(Examined {
            root: root.clone(),
            file,
            config,
            sdk,
            project: None,
            report,
        });
    };
    let (resolution, _) = resolve(&planned.config, &planned.options);
    let torch = resolution
        .filter(|chosen| chosen.cuda.is_some())
        .and_then(|chosen| chosen.torch);
    let name = |name: &Option<Spanned<config::ImageName>>| {
        name.as_ref().map(|name| name.value.to_string())
    };
    let names = Names {
        image: name(&planned.config.image),
        model: name(&planned.config.model),
    };
    let project = Project {
        root: root.clone(),
        plan: planned.plan,
        names,
        torch,
        tables: planned.options.tables,
    };
    Ok(Examined {
        root: root.clone(),
        file,
        config: Some(planned.config),
        sdk: planned.options.sdk_version,
        project: Some(project),
        report,
    })
}

/// A project without mistakes, and what is built of it.
pub(crate) struct Planned {
    pub(crate) config: Config,
    pub(crate) options: Options,
    pub(crate) plan: Plan,
}

/// Plans a build: of the files of a project, and of those that the arguments name. The plan is there exactly when the
/// report has no errors. `around` says what the arguments do not: where the project is, and at which commit.
pub(crate) fn plan(
    file: &str,
    args: &PlanArgs,
    files: &dyn ProjectFiles,
    named: &dyn ProjectFiles,
    around: Options,
) -> Result<(Option<Planned>, Report), Failure> {
    let text = files
        .read(file)
        .map_err(|problem| Failure::new(format!("configuration file `{file}` {problem}")))?;
    let sdk = sdk(args, files)?;
    let (config, mut report) = config::draft(&Source::new(file, text), files, sdk.as_ref());
    let Some(config) = config else {
        return Ok((None, report));
    };
    let is_right = !report.has_errors();
    let ignore = match files.read(".dockerignore") {
        Ok(text) => Some(text),
        Err(FileProblem::Missing) => None,
        Err(problem) => return Err(Failure::new(format!("file `.dockerignore` {problem}"))),
    };
    let mut options = options(args, named, around)?;
    options.ignore = ignore;
    options.sdk_version = sdk;
    schema(&config, args, files, named, &mut options, &mut report)?;
    if !is_right {
        report.extend(contradictions(&config, &options));
        return Ok((None, report));
    }
    let (plan, findings) = Plan::new(&config, &options);
    report.extend(findings);
    let Some(plan) = plan.filter(|_| !report.has_errors()) else {
        return Ok((None, report));
    };
    check_excluded(&config, &plan)?;
    let planned = Planned {
        config,
        options,
        plan,
    };
    Ok((Some(planned), report))
}

/// Refuses a project whose `.dockerignore` keeps out what the image starts with.
fn check_excluded(config: &Config, plan: &Plan) -> Result<(), Failure> {
    for step in &plan.steps {
        let Action::Source(source) = &step.action else {
            continue;
        };
        let excluded = PatternSet::new(&source.exclude)
            .map_err(|error| Failure::new(format!("file `.dockerignore`: {error}")))?;
        let file = config.run.as_ref().map(|run| run.value.file());
        if let Some(file) = file.filter(|file| excluded.matches(file)) {
            return Err(Failure::new(format!(
                "`{file}` is not copied into the image, because a pattern of `.dockerignore` or \
                 a default one ({}) excludes it",
                EXCLUDED.join(", ")
            ))
            .hint(format!(
                "take it back with a line `!{file}` at the end of `.dockerignore`"
            )));
        }
    }
    Ok(())
}

/// The OpenAPI schema: a file that is named, or what the code says.
fn schema(
    config: &Config,
    args: &PlanArgs,
    files: &dyn ProjectFiles,
    named: &dyn ProjectFiles,
    options: &mut Options,
    report: &mut Report,
) -> Result<(), Failure> {
    if let Some(file) = args.openapi_schema() {
        let text = text_of(named, file)?;
        let document: serde_json::Value = serde_json::from_str(&text)
            .map_err(|error| Failure::new(format!("`{}` is no JSON: {error}", file.display())))?;
        if !document["openapi"]
            .as_str()
            .is_some_and(|version| version.starts_with("3.0"))
        {
            return Err(Failure::new(format!(
                "`{}` is no OpenAPI 3.0 document",
                file.display()
            )));
        }
        options.schema = Some(document.to_string());
        return Ok(());
    }
    let run = config.run.as_ref().map(|run| &run.value);
    let train = config.train.as_ref().map(|train| &train.value);
    if run.is_none() && train.is_none() {
        return Ok(());
    }
    let sdk = options.sdk_version.as_ref().or(config
        .build
        .sdk_version
        .as_ref()
        .map(|sdk| &sdk.value));
    let sdk = sdk.cloned().unwrap_or_else(SdkVersion::default_release);
    match Schema::read(run, train, files, &sdk.version()) {
        Ok(schema) => {
            options.schema = Some(schema.document.to_string());
            options.concurrency = schema.concurrency;
        }
        Err(findings) if args.skip_schema_validation => {
            for finding in findings.sorted() {
                report.push(Diagnostic::of(
                    Severity::Warning,
                    format!("no schema: {}", finding.message()),
                ));
            }
        }
        Err(findings) if sdk.tells_schema() && !args.no_source => {
            for finding in findings.sorted() {
                report.push(Diagnostic::of(
                    Severity::Warning,
                    format!(
                        "the model will be asked for its schema in the build: {}",
                        finding.message()
                    ),
                ));
            }
            options.ask_schema = true;
        }
        Err(findings) => report.extend(findings),
    }
    Ok(())
}

/// The SDK that the arguments name: an origin before a version.
fn sdk(args: &PlanArgs, files: &dyn ProjectFiles) -> Result<Option<SdkVersion>, Failure> {
    let origin = args.sdk_wheel.as_deref().map(str::trim);
    let Some(origin) = origin.filter(|origin| !origin.is_empty()) else {
        return Ok(args.sdk_version.clone());
    };
    let wrong = |problem: &dyn std::fmt::Display| {
        Failure::usage(format!("--sdk-wheel: `{origin}` {problem}"))
    };
    let sdk = SdkVersion::from_origin(origin).map_err(|error| wrong(&error))?;
    if let Some(path) = sdk.path() {
        files.check_file(path).map_err(|problem| wrong(&problem))?;
    }
    Ok(Some(sdk))
}

/// The arguments with the path of a wheel as it is in the project. Of a folder, its only wheel of Cog's package is meant.
fn with_wheel_of_project(args: &PlanArgs, root: &Path) -> Result<PlanArgs, Failure> {
    let mut args = args.clone();
    let Some(origin) = args.sdk_wheel.as_deref().map(str::trim) else {
        return Ok(args);
    };
    // What is no file here may be something else.
    let Ok(mut path) = Path::new(origin).canonicalize() else {
        return Ok(args);
    };
    let wrong = |problem: &str| Failure::usage(format!("--sdk-wheel: `{origin}` {problem}"));
    if path.is_dir() {
        let entries = fs::read_dir(&path).map_err(|error| wrong(&error.to_string()))?;
        let mut wheels = entries.filter_map(Result::ok).filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.starts_with("cog-") && name.ends_with(".whl")
        });
        path = match (wheels.next(), wheels.next()) {
            (Some(only), None) => only.path(),
            (None, _) => return Err(wrong("holds no wheel called cog-VERSION-….whl")),
            (Some(_), Some(_)) => {
                return Err(wrong("holds several wheels called cog-VERSION-….whl"));
            }
        };
    }
    let root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let inside = path.strip_prefix(root).ok().and_then(Path::to_str);
    let inside = inside.ok_or_else(|| {
        wrong("is outside of the project, which is all that the builder is given")
            .hint("copy the wheel into the project, or name its address")
    })?;
    args.sdk_wheel = Some(inside.to_owned());
    Ok(args)
}

/// Commit and release of the project: what a build service says, or git.
fn revision(root: &Path) -> (Option<String>, Option<String>) {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git")
            .arg("-C")
            .arg(root)
            .args(arguments)
            .output()
            .ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.trim().to_owned()).filter(|text| output.status.success() && !text.is_empty())
    };
    let commit = variable("GITHUB_SHA").or_else(|| git(&["rev-parse", "HEAD"]));
    let release = variable("GITHUB_REF_NAME").or_else(|| git(&["describe", "--tags", "--dirty"]));
    (commit, release)
}

/// What the arguments decide, laid over what is known around them.
fn options(args: &PlanArgs, named: &dyn ProjectFiles, around: Options) -> Result<Options, Failure> {
    let tables = args
        .tables
        .as_deref()
        .map(|file| tables(named, file))
        .transpose()?;
    let tables = match args.registry() {
        Some(registry) => {
            let mut own = tables.map_or_else(|| Tables::built_in().clone(), Arc::unwrap_or_clone);
            registry.clone_into(&mut own.cog_base.registry);
            Some(Arc::new(own))
        }
        None => tables,
    };
    let ca_cert = args
        .image_ca_cert
        .as_deref()
        .map(|value| ca::read(&ca::Disk, "--image-ca-cert", value))
        .transpose()?;
    Ok(Options {
        ca_cert,
        tag: args.tag.first().cloned(),
        platform: args.platform.first().cloned(),
        python_provider: args.python_provider.map(Into::into),
        base: args
            .base
            .as_ref()
            .map(|base| base.without_default_tag().to_owned()),
        cog_base: args.use_cog_base_image,
        cuda_base: args.use_cuda_base_image.and_then(Into::into),
        compilers: args.compilers.map(Into::into),
        gpu_architectures: args.gpu_arch.clone(),
        driver: args.driver.clone(),
        tables,
        uv_image: args
            .uv_image
            .as_ref()
            .map(|image| image.without_default_tag().to_owned()),
        precompile: args.precompile,
        strip: args.strip,
        uv_downloads: args.uv_downloads.clone(),
        network: args.network.into(),
        pip_after_apt: args.pip_after_apt,
        no_recommends: args.no_recommends,
        apt_snapshot: args.apt_snapshot.clone(),
        no_source: args.no_source,
        include_weights: args.include_weights,
        labels: args.label.clone(),
        ..around
    })
}

/// The built-in tables with those of a file laid over them.
fn tables(named: &dyn ProjectFiles, file: &Path) -> Result<Arc<Tables>, Failure> {
    let text = text_of(named, file)?;
    let tables = Tables::built_in().with(&file.display().to_string(), &text);
    tables
        .map(Arc::new)
        .map_err(|error| Failure::new(error.to_string()))
}

/// A text file that an argument names.
fn text_of(named: &dyn ProjectFiles, file: &Path) -> Result<String, Failure> {
    let path = file.display().to_string();
    named
        .read(&path)
        .map_err(|problem| Failure::new(format!("file `{path}` {problem}")))
}

fn rejected(report: &Report) -> Failure {
    let errors = report.sorted().len() - report.warnings().len();
    let noun = if errors == 1 { "error" } else { "errors" };
    Failure::report(format!("{report}\n\n{errors} {noun}: nothing was built"))
}

/// The project folder and the name of the configuration file in it.
fn locate(named: Option<&Path>) -> Result<(PathBuf, String), Failure> {
    let start = absolute(Path::new("."))?;
    if let Some(named) = named {
        let path = absolute(named)?;
        let folder = path.parent().map(Path::to_owned);
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned);
        let (Some(folder), Some(name)) = (folder, name) else {
            return Err(Failure::new(format!(
                "`{}` does not name a file",
                named.display()
            )));
        };
        if !path.exists() {
            let message = format!("configuration file `{}` does not exist", named.display());
            return Err(Failure::new(message));
        }
        return Ok((folder, name));
    }
    start
        .ancestors()
        .take(PARENT_LIMIT)
        .find(|folder| folder.join(CONFIG_FILE).is_file())
        .map(|folder| (folder.to_owned(), CONFIG_FILE.to_owned()))
        .ok_or_else(|| {
            Failure::new(format!(
                "there is no {CONFIG_FILE} in `{}` or a folder above it",
                start.display()
            ))
            .hint("go to the project, or name the file with `--file`")
        })
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::new(format!("cannot resolve `{}`: {error}", path.display())))
}

/// The files of a project folder.
pub(super) struct Disk<'a> {
    pub(super) root: &'a Path,
}

impl Disk<'_> {
    /// Python files of the project by their path, without those of hidden folders.
    pub(super) fn scripts(&self) -> Result<Vec<String>, String> {
        const LIMIT: usize = 20_000;
        let (mut scripts, mut folders, mut seen) = (Vec::new(), vec![String::new()], 0);
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(self.root.join(&folder));
            let entries = entries.map_err(|error| format!("`{folder}` cannot be read: {error}"))?;
            for entry in entries.filter_map(Result::ok) {
                seen += 1;
                if seen > LIMIT {
                    return Err(
                        "the project has too many files to look for others that use it".into(),
                    );
                }
                let name = entry.file_name().to_string_lossy().into_owned();
                let path = format!("{folder}{name}");
                let kind = entry.file_type().map_err(|error| error.to_string())?;
                let is_hidden = name.starts_with('.') || name == "__pycache__";
                if kind.is_dir() && !is_hidden {
                    folders.push(path + "/");
                } else if Path::new(&path).extension().is_some_and(|it| it == "py") {
                    scripts.push(path);
                }
            }
        }
        scripts.sort();
        Ok(scripts)
    }

    fn metadata(&self, path: &str) -> Result<fs::Metadata, FileProblem> {
        let metadata = fs::metadata(self.root.join(path)).map_err(|error| problem(&error))?;
        if metadata.is_file() {
            Ok(metadata)
        } else {
            Err(FileProblem::NotAFile)
        }
    }
}

impl ProjectFiles for Disk<'_> {
    fn read(&self, path: &str) -> Result<String, FileProblem> {
        if self.metadata(path)?.len() > TEXT_LIMIT {
            return Err(FileProblem::TooLarge);
        }
        let bytes = fs::read(self.root.join(path)).map_err(|error| problem(&error))?;
        String::from_utf8(bytes).map_err(|_| FileProblem::NotText)
    }

    fn check_file(&self, path: &str) -> Result<(), FileProblem> {
        self.metadata(path)?;
        fs::File::open(self.root.join(path))
            .map(drop)
            .map_err(|error| problem(&error))
    }
}

fn problem(error: &io::Error) -> FileProblem {
    match error.kind() {
        io::ErrorKind::NotFound => FileProblem::Missing,
        _ => FileProblem::Other(error.to_string()),
    }
}
