//! From configuration and resolution to the plan.
//!
//! The shape of every plan:
//!
//! ```text
//! base ─┬─ apt ────────────────────────────┬─ run… ─┬─ image
//!       └─ [python] ─┬─ venv ──────────────┤        │
//!                    └─ lock ┄ wheels ─────┘        │
//! source ───────────────────────────────────────────┘
//! ```
//!
//! Where compilers are in the build alone, `lock` and commands that say which folder they write come after `compilers`,
//! another image with the same system packages; only wheels and these folders are taken over.
//!
//! `wheels` takes nothing of `lock` but the names of files: its groups run on nothing, so that a change of the base or of a
//! system package touches none. `lock` also comes after `apt` when a system package may be needed to build a Python
//! package.

use indexmap::IndexMap;

use super::certificates;
use super::{
    Action, CopyWeights, CudaTwice, Decision, ImageConfig, InstallWheels, LockPackages, Measured,
    Mount, Network, PLAN_VERSION, Pip, Plan, PythonProvider, Source, Step, WeightFiles,
};
use crate::ca::Certificates;
use crate::config::{Config, PythonPackages, label};
use crate::diagnostic::{Diagnostic, Report, Severity, Span};
use crate::labels::{CogBase, Facts};
use crate::lock::{self, Lock};
use crate::requirement::{hashes, indexes};
use crate::resolution::{BaseKind, Options, Resolution, resolve};
use crate::sdk::SdkVersion;
use crate::wheel::Grouping;

/// Folder of the virtual environment.
pub(crate) const VENV: &str = "/opt/venv";
/// Folder of a Python that uv installs.
pub(crate) const PYTHON: &str = "/opt/python";
/// Step of the image with compilers, where that is not the base.
const COMPILERS: &str = "compilers";
/// Step of the system packages on it.
const COMPILERS_APT: &str = "compilers-apt";
/// Folder of the project in the image; Cog's tools expect it there.
pub(super) const SOURCE: &str = "/src";
/// The program that runs as `python -m pip` where nothing is to be installed.
const PIP_SHIM: &str =
    "import sys\n\nprint(\"pip: nothing is installed in this image\", file=sys.stderr)\n";
/// What never belongs to an image. `.dockerignore` can take a pattern back with `!`.
pub(crate) const EXCLUDED: [&str; 4] = [".git", ".cog", ".venv", "**/__pycache__"];

impl Plan {
    /// Plans a build. The plan is there exactly when the report has no errors.
    pub fn new(config: &Config, options: &Options) -> (Option<Self>, Report) {
        let (resolution, mut report) = resolve(config, options);
        let mut plan = resolution.map(|resolution| Self::of(config, options, resolution));
        if let (Some(plan), Some(lock)) = (&mut plan, &config.build.requirements.lock) {
            let open = plan.pin(&lock.images);
            plan.decisions.extend(digests(config, plan));
            for image in open {
                report.push(no_digest(config, lock, &image));
            }
        }
        if let Some(twice) = plan.as_ref().and_then(Self::cuda_twice) {
            report.push(cuda_twice(config, &twice));
        }
        (plan, report)
    }

    fn of(config: &Config, options: &Options, resolution: Resolution) -> Self {
        let environment: IndexMap<String, String> = config
            .environment
            .iter()
            .map(|entry| (entry.value.name.clone(), entry.value.value.clone()))
            .collect();
        let mut maker = Maker {
            config,
            environment,
            steps: Vec::new(),
        };
        maker.system(&resolution);
        let packages = maker.python(&resolution);
        let below = maker.commands(&resolution, packages);
        let pip = (resolution.pip == Pip::Shim).then(|| maker.pip_shim());
        let weights = maker.weights(&resolution, options);
        let source = (!options.no_source).then(|| maker.source(options));
        let image_config = maker.image_config(&resolution, options);
        let certificates = maker.certificates(options);
        let schema = match &options.schema {
            Some(schema) => Some(maker.schema(schema)),
            None if options.ask_schema && !options.no_source => {
                Some(maker.ask_schema(&below, &image_config.environment))
            }
            None => None,
        };
        maker.steps.push(Step {
            name: "image".into(),
            after: below
                .into_iter()
                .chain(pip)
                .chain(certificates)
                .chain(weights)
                .chain(source)
                .chain(schema)
                .collect(),
            source: None,
            writes: None,
            action: Action::Assemble {},
        });
        let plan = Self {
            version: PLAN_VERSION,
            image: resolution.image.to_string(),
            platform: resolution.platform.as_str().to_owned(),
            network: options.network,
            decisions: resolution.decisions,
            steps: maker.steps,
            config: image_config,
            digests: std::collections::BTreeMap::new(),
        };
        plan.frozen(config, &resolution.sdk, resolution.base.kind)
            .unwrap_or(plan)
    }

    /// The plan with the wheels of the project's own lock, when that says all there is to know.
    fn frozen(&self, config: &Config, sdk: &SdkVersion, base: BaseKind) -> Option<Self> {
        let lock = config.build.requirements.lock.as_ref()?;
        let SdkVersion::Release(version) = sdk else {
            return None;
        };
        // A lock without the SDK, or with another, is resolved again together with it.
        if lock.version("cog") != Some(version) {
            return None;
        }
        let facts = lock::Facts {
            python: config.build.python_version.value.to_string(),
            machine: self.machine().to_owned(),
            glibc: glibc(base).to_owned(),
            installed: Vec::new(),
        };
        let ties = lock.ties.clone().unwrap_or_default();
        self.with_lock(lock, &facts, &Measured::default(), &ties)
            .ok()
    }

    /// What Python calls the machine.
    pub(super) fn machine(&self) -> &'static str {
        if self.platform.contains("arm64") {
            "aarch64"
        } else {
            "x86_64"
        }
    }
}

/// The glibc that a base image has at least: of the oldest Debian or Ubuntu that images of its kind are made of.
fn glibc(base: BaseKind) -> &'static str {
    match base {
        BaseKind::Python | BaseKind::Debian => "2.36",
        BaseKind::Cuda => "2.31",
        BaseKind::Cog => "2.35",
        BaseKind::Named => "2.28",
    }
}

struct Maker<'a> {
    config: &'a Config,
    environment: IndexMap<String, String>,
    steps: Vec<Step>,
}

impl Maker<'_> {
    fn place(&self, span: Span) -> String {
        format!("{}:{}", self.config.file, span.line)
    }

    fn push(
        &mut self,
        name: &str,
        after: &[&str],
        source: Option<String>,
        writes: Option<&str>,
        action: Action,
    ) {
        self.steps.push(Step {
            name: name.to_owned(),
            after: after.iter().map(|name| (*name).to_owned()).collect(),
            source,
            writes: writes.map(str::to_owned),
            action,
        });
    }

    fn system(&mut self, resolution: &Resolution) {
        let reference = resolution.base.reference.clone();
        self.push("base", &[], None, None, Action::Base { reference });
        let place = self
            .config
            .build
            .system_packages
            .first()
            .map(|package| self.place(package.span));
        let packages = resolution.system_packages.clone();
        let install = (!packages.is_empty()).then(|| Action::Apt {
            packages,
            recommends: resolution.recommends,
            snapshot: resolution.apt_snapshot.clone(),
        });
        if let Some(install) = &install {
            self.push("apt", &["base"], place.clone(), None, install.clone());
        }
        let Some(reference) = resolution.compilers.clone() else {
            return;
        };
        self.push(COMPILERS, &[], None, None, Action::Base { reference });
        if let Some(install) = install {
            self.push(COMPILERS_APT, &[COMPILERS], place, None, install);
        }
    }

    /// The step that compiles on, for one that comes after the system packages.
    fn compiling<'n>(&self, ground: &'n str) -> &'n str {
        let has = |name: &str| self.steps.iter().any(|step| step.name == name);
        match ground {
            "apt" if has(COMPILERS_APT) => COMPILERS_APT,
            _ if has(COMPILERS) => COMPILERS,
            ground => ground,
        }
    }

    /// Python and its packages; gives the steps whose results the image is made of.
    fn python(&mut self, resolution: &Resolution) -> Vec<String> {
        let version = self.config.build.python_version.value;
        let place = Some(self.place(self.config.build.python_version.span));
        let (interpreter, below) = match resolution.python_provider {
            PythonProvider::Base => ("python3".to_owned(), "base"),
            PythonProvider::Uv => {
                let interpreter = format!("{PYTHON}/bin/python3");
                let uv = resolution.uv.clone();
                let action = Action::Python {
                    version,
                    uv,
                    downloads: resolution.uv_downloads.clone(),
                    interpreter: interpreter.clone(),
                };
                self.push("python", &["base"], place.clone(), Some(PYTHON), action);
                (interpreter, "python")
            }
        };
        let after: &[&str] = if below == "base" {
            &["base"]
        } else {
            &["base", "python"]
        };
        let action = Action::Venv {
            interpreter: interpreter.clone(),
            version,
            path: VENV.into(),
            site_packages: resolution.base.kind == BaseKind::Cog,
            replaced: Vec::new(),
        };
        self.push("venv", after, place, Some(VENV), action);

        let requirements = &self.config.build.requirements;
        let apt = !resolution.system_packages.is_empty();
        let ground = if apt && resolution.pip_after_apt {
            "apt"
        } else {
            "base"
        };
        // One resolution for all: a conflict with the SDK is then an error, not a downgrade.
        let mut lines = resolution.requirements.clone();
        if resolution.pip == Pip::Real {
            lines.push("pip".to_owned());
        }
        lines.push(resolution.sdk.requirement());
        let mut local = requirements.local.clone();
        local.extend(resolution.sdk.path().map(str::to_owned));
        let python = (below == "python").then_some("python");
        let place = self.requirements_place();
        let lock = LockPackages {
            interpreter,
            uv: resolution.uv.clone(),
            requirements: lines,
            constraints: requirements.constraints.clone(),
            secrets: requirements.secrets.clone(),
            local: local.into_iter().collect(),
            environment: self.environment.clone(),
            site_packages: resolution.base.kind == BaseKind::Cog,
        };
        let after: Vec<&str> = [self.compiling(ground)].into_iter().chain(python).collect();
        let install = InstallWheels {
            venv: VENV.into(),
            python: version.line(),
            groups: None,
            budget: Grouping::default().budget,
            precompile: resolution.precompile,
            strip: resolution.strip,
            options: options_of(&lock.requirements),
            logins: logins(&lock.requirements),
            machines: Vec::new(),
            hashes: hashes(&lock.requirements),
            places: requirements
                .packages
                .iter()
                .map(|package| {
                    let place = &package.place;
                    let place = format!("{}:{}", place.file, place.span.line);
                    (package.name.clone(), place)
                })
                .collect(),
            distributions: None,
        };
        self.push("lock", &after, place.clone(), None, Action::Lock(lock));
        let mut after = vec!["lock"];
        if install.precompile {
            after.push("base");
            after.extend(python);
        }
        self.push("wheels", &after, place, Some(VENV), Action::Wheels(install));
        [if apt { "apt" } else { "base" }]
            .into_iter()
            .chain(python)
            .chain(["venv", "wheels"])
            .map(str::to_owned)
            .collect()
    }

    fn requirements_place(&self) -> Option<String> {
        match &self.config.build.python {
            PythonPackages::None => None,
            PythonPackages::File(path) => Some(self.place(path.span)),
            PythonPackages::List(packages) => {
                packages.first().map(|package| self.place(package.span))
            }
        }
    }

    /// Commands of the user, one on top of the other; gives what the image is laid on. Those that say which folder they
    /// write are beside the others: they see packages, and what others like them have written.
    fn commands(&mut self, resolution: &Resolution, packages: Vec<String>) -> Vec<String> {
        let ground = if resolution.system_packages.is_empty() {
            "base"
        } else {
            "apt"
        };
        let mut seen = packages.clone();
        self.compiling(ground).clone_into(&mut seen[0]);
        let mut below = packages;
        let config = self.config;
        let build = &config.build;
        let plain = build.run.iter().chain(&build.pre_install).map(|run| {
            let secret = |mount: &crate::config::SecretMount| Mount::Secret {
                id: mount.id.clone(),
                target: mount.target.clone(),
                required: true,
            };
            let mounts = run.mounts.iter().map(secret).collect();
            (&run.command, mounts, None::<Network>, None, run.span)
        });
        let extended = config.extension.run.iter();
        let extended = extended.map(|step| {
            let mounts = step.mounts.clone();
            let writes = step.writes.as_ref().map(|folder| folder.value.clone());
            (&step.command, mounts, step.network, writes, step.span)
        });
        for (index, (command, mounts, network, writes, span)) in plain.chain(extended).enumerate() {
            let name = format!("run-{}", index + 1);
            let after = if writes.is_some() {
                let after = seen.clone();
                seen.push(name.clone());
                below.push(name.clone());
                after
            } else {
                std::mem::replace(&mut below, vec![name.clone()])
            };
            self.steps.push(Step {
                name,
                after,
                source: Some(self.place(span)),
                writes,
                action: Action::Run {
                    command: command.clone(),
                    mounts,
                    network,
                    environment: self.environment.clone(),
                },
            });
        }
        below
    }

    /// Weights of the project, each in a step of its own: a change of the source, or of other weights, leaves them alone.
    /// So are those of cog.yaml, when they are to be in the image.
    fn weights(&mut self, resolution: &Resolution, options: &Options) -> Vec<String> {
        let has_python = self.steps.iter().any(|step| step.name == "python");
        let interpreter = if has_python {
            format!("{PYTHON}/bin/python3")
        } else {
            "python3".to_owned()
        };
        let copy = |name, files, destination| CopyWeights {
            name,
            files,
            destination,
            interpreter: interpreter.clone(),
            uv: resolution.uv.clone(),
            environment: self.environment.clone(),
        };
        let found = options.weights.iter().filter(|_| !options.no_source);
        let found = found.map(|path| {
            let files = vec![WeightFiles::of_project(path)];
            (copy(None, files, format!("{SOURCE}/{path}")), None)
        });
        let named = resolution.weights.iter().map(|weights| {
            let place = self.place(weights.span);
            let (files, target) = (weights.files.clone(), weights.target.clone());
            (copy(Some(weights.name.clone()), files, target), Some(place))
        });
        let all: Vec<(CopyWeights, Option<String>)> = found.chain(named).collect();
        let mut names = Vec::new();
        for (number, (weights, place)) in (1..).zip(all) {
            let name = format!("weights-{number}");
            let after: &[&str] = match weights.files.iter().any(WeightFiles::is_fetched) {
                true if has_python => &["base", "python"],
                true => &["base"],
                false => &[],
            };
            let destination = weights.destination.clone();
            let action = Action::Weights(weights);
            self.push(&name, after, place, Some(&destination), action);
            names.push(name);
        }
        names
    }

    fn source(&mut self, options: &Options) -> String {
        let mut exclude: Vec<String> = EXCLUDED.iter().map(|&pattern| pattern.to_owned()).collect();
        exclude.extend(options.ignore.iter().flat_map(|text| ignore_patterns(text)));
        exclude.extend(options.weights.iter().map(|path| literal(path)));
        let config_file = (self.config.file != "cog.yaml").then(|| self.config.file.clone());
        let action = Action::Source(Source {
            context: "context".into(),
            exclude,
            destination: SOURCE.into(),
            config_file,
        });
        self.push("source", &[], None, Some(SOURCE), action);
        "source".into()
    }

    /// Certificates that the image trusts; gives the steps that the image is made of.
    fn certificates(&mut self, options: &Options) -> Vec<String> {
        let Some(certificates) = trusted(self.config, options) else {
            return Vec::new();
        };
        let key = self.config.extension.ca_cert.as_ref();
        let place = key.map(|key| self.place(key.span));
        let has_apt = self.steps.iter().any(|step| step.name == "apt");
        let ground = if has_apt { "apt" } else { "base" };
        let steps = certificates::steps(&certificates, ground, place.as_deref());
        let names = steps.iter().map(|step| step.name.clone()).collect();
        self.steps.extend(steps);
        names
    }

    /// What runs as `pip` and does nothing.
    fn pip_shim(&mut self) -> String {
        let python = self.config.build.python_version.value.line();
        let folder = format!("{VENV}/lib/python{python}/site-packages/pip");
        let place = self.config.extension.pip.as_ref();
        let place = place.map(|pip| self.place(pip.span));
        let action = Action::Write {
            path: format!("{folder}/__main__.py"),
            text: PIP_SHIM.into(),
        };
        self.push("pip", &[], place, Some(&folder), action);
        "pip".into()
    }

    /// The OpenAPI document, where Cog's runtime reads it.
    fn schema(&mut self, schema: &str) -> String {
        let action = Action::Write {
            path: format!("{SOURCE}/.cog/openapi_schema.json"),
            text: format!("{schema}\n"),
        };
        self.push("schema", &[], None, Some(&format!("{SOURCE}/.cog")), action);
        "schema".into()
    }

    /// The OpenAPI document, from the model itself.
    fn ask_schema(&mut self, below: &[String], environment: &IndexMap<String, String>) -> String {
        let action = Action::Schema {
            path: format!("{SOURCE}/.cog/openapi_schema.json"),
            working_directory: SOURCE.into(),
            environment: environment.clone(),
        };
        let after: Vec<&str> = below.iter().map(String::as_str).chain(["source"]).collect();
        let span = self.config.run.as_ref().or(self.config.train.as_ref());
        let place = span.map(|reference| self.place(reference.span));
        let folder = format!("{SOURCE}/.cog");
        self.push("schema", &after, place, Some(&folder), action);
        "schema".into()
    }

    fn image_config(&self, resolution: &Resolution, options: &Options) -> ImageConfig {
        let mut environment = IndexMap::new();
        environment.insert("PYTHONUNBUFFERED".into(), "1".into());
        environment.insert("VIRTUAL_ENV".into(), VENV.into());
        if trusted(self.config, options).is_some() {
            let variables = certificates::variables();
            environment.extend(variables.map(|(name, path)| (name.to_owned(), path.to_owned())));
        }
        environment.extend(self.environment.clone());
        if let Some(run) = &self.config.run {
            environment.insert("COG_PREDICT_TYPE_STUB".into(), run.value.to_string());
        }
        if let Some(train) = &self.config.train {
            environment.insert("COG_TRAIN_TYPE_STUB".into(), train.value.to_string());
        }
        let concurrency =
            options
                .concurrency
                .or(self.config.concurrency.as_ref().map(|given| given.value));
        if let Some(concurrency) = concurrency {
            environment.insert("COG_MAX_CONCURRENCY".into(), concurrency.to_string());
        }
        if resolution.cuda.is_some() {
            environment.insert("NVIDIA_DRIVER_CAPABILITIES".into(), "all".into());
        }
        let (cuda, cudnn) = (resolution.cuda.as_ref(), resolution.cudnn.as_ref());
        let cog_base = (resolution.base.kind == BaseKind::Cog).then(|| CogBase {
            name: resolution.base.reference.clone(),
            layers: Vec::new(),
        });
        let facts = Facts {
            version: resolution.sdk.version(),
            config: label(self.config, cuda, cudnn),
            schema: options.schema.clone(),
            pip_freeze: None,
            has_init: true,
            cog_base,
            revision: options.revision.clone(),
            release: options.release.clone(),
            push: None,
        };
        let mut labels = facts.labels();
        labels.extend(options.labels.iter().cloned());
        ImageConfig {
            environment,
            path: vec![format!("{VENV}/bin")],
            entrypoint: vec![init(resolution.base.kind).into(), "--".into()],
            command: ["python", "-m", "cog.server.http"]
                .map(String::from)
                .to_vec(),
            working_directory: SOURCE.into(),
            exposed_ports: vec!["5000/tcp".into()],
            labels,
        }
    }
}

/// Certificates that the image trusts besides those of its base: of the project, and of the command line.
fn trusted(config: &Config, options: &Options) -> Option<Certificates> {
    let key = config.extension.ca_cert.as_ref().map(|key| &key.value);
    let mut all = key.cloned().unwrap_or_default();
    all.extend(options.ca_cert.clone().unwrap_or_default());
    (!all.is_empty()).then_some(all)
}

/// The decision about images whose digests are locked.
fn digests(config: &Config, plan: &Plan) -> Option<Decision> {
    let images = plan.digests.keys().map(|image| plan.pinned(image));
    let images: Vec<_> = images.collect();
    (!images.is_empty()).then(|| Decision {
        subject: "image digests".into(),
        choice: images.join(", "),
        reason: format!("`{}` has them", lock_name(config)),
        rejected: Vec::new(),
    })
}

/// The warning that a lock with images was made with others.
fn no_digest(config: &Config, lock: &Lock, image: &str) -> Diagnostic {
    let names: Vec<_> = lock.images.keys().map(|name| format!("`{name}`")).collect();
    let message = format!(
        "`{}` has no digest of the image `{image}`, only of {}: it is taken as its tag stands when the build runs",
        lock_name(config),
        names.join(", ")
    );
    at_packages(config, message)
        .hint("make the lock again, for this image, with `cog-python lock --pin-images`")
}

/// The file that the packages are locked in.
fn lock_name(config: &Config) -> &str {
    match &config.build.python {
        PythonPackages::File(path) => &path.value,
        _ => "the lock",
    }
}

/// The warning that CUDA is in the image twice, at the line that names the packages.
fn cuda_twice(config: &Config, twice: &CudaTwice) -> Diagnostic {
    at_packages(config, twice.to_string()).hint(CudaTwice::ADVICE)
}

/// A warning at the line that names the packages.
fn at_packages(config: &Config, message: String) -> Diagnostic {
    let place = match &config.build.python {
        PythonPackages::File(path) => Some(path.span),
        PythonPackages::List(packages) => packages.first().map(|package| package.span),
        PythonPackages::None => None,
    };
    let source = config.sources.get(&config.file);
    match source.zip(place) {
        Some((source, span)) => source.warning(span, message),
        None => Diagnostic::of(Severity::Warning, message),
    }
}

/// Lines that are options.
fn options_of(lines: &[String]) -> Vec<String> {
    let is_option = |line: &&String| line.starts_with('-');
    lines.iter().filter(is_option).cloned().collect()
}

/// Logins of the indexes, each host once.
fn logins(lines: &[String]) -> Vec<lock::Login> {
    let mut logins: Vec<lock::Login> = indexes(lines).filter_map(lock::login).collect();
    logins.sort();
    logins.dedup_by(|one, other| one.host == other.host);
    logins
}

/// The init program: of the package, or of Cog's base images.
fn init(base: BaseKind) -> &'static str {
    if base == BaseKind::Cog {
        "/sbin/tini"
    } else {
        "/usr/bin/tini"
    }
}

/// The patterns of a `.dockerignore`: without comments and blanks, cleaned as Docker does.
pub(crate) fn ignore_patterns(text: &str) -> Vec<String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut patterns = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let line = line.trim();
        let (mark, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern.trim()),
            None => ("", line),
        };
        if pattern.is_empty() {
            continue;
        }
        patterns.push(format!("{mark}{}", clean(pattern)));
    }
    patterns
}

/// A path as a pattern that nothing else matches.
pub(crate) fn literal(path: &str) -> String {
    let mut pattern = String::with_capacity(path.len());
    for character in path.chars() {
        if matches!(character, '*' | '?' | '[' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// Removes `.`, `..` and repeated or leading `/`, as Go's `path.Clean` does for a rooted path.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    if parts.is_empty() {
        ".".to_owned()
    } else {
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignore_files_are_cleaned() {
        assert_eq!(
            ignore_patterns(
                "# c\n\n /data/ \n!data/keep.txt\r\n!\n./a/../b//c\n**/*.bin\n  # not a comment\n"
            ),
            [
                "data",
                "!data/keep.txt",
                "b/c",
                "**/*.bin",
                "# not a comment"
            ]
        );
    }
}
