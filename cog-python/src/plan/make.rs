//! From configuration and resolution to the plan.
//!
//! The shape of every plan:
//!
//! ```text
//! base ─┬─ apt ──────────────────────────┬─ run… ─┬─ image
//!       └─ [python] ─ venv ─ pip ─ [sdk] ┘        │
//! source ─────────────────────────────────────────┘
//! ```
//!
//! `pip` also comes after `apt` when a system package may be needed to build a Python package.

use indexmap::IndexMap;

use super::{
    Action, ImageConfig, Mount, Network, PLAN_VERSION, Pip, Plan, PythonProvider, Source, Step,
};
use crate::config::{Config, label};
use crate::diagnostic::{Report, Span};
use crate::labels::{CogBase, Facts};
use crate::resolution::{BaseKind, Options, Resolution, resolve};

/// Folder of the virtual environment.
const VENV: &str = "/opt/venv";
/// Folder of a Python that uv installs.
const PYTHON: &str = "/opt/python";
/// Folder of the project in the image; Cog's tools expect it there.
const SOURCE: &str = "/src";
/// What never belongs to an image. `.dockerignore` can take a pattern back with `!`.
pub(crate) const EXCLUDED: [&str; 4] = [".git", ".cog", ".venv", "**/__pycache__"];

impl Plan {
    /// Plans a build. The plan is there exactly when the report has no errors.
    pub fn new(config: &Config, options: &Options) -> (Option<Self>, Report) {
        let (resolution, report) = resolve(config, options);
        let plan = resolution.map(|resolution| Self::of(config, options, resolution));
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
        let below = maker.commands(packages);
        let source = (!options.no_source).then(|| maker.source(options));
        let image_config = maker.image_config(&resolution, options);
        let schema = match &options.schema {
            Some(schema) => Some(maker.schema(schema)),
            None if options.ask_schema && !options.no_source => {
                Some(maker.ask_schema(&below, &image_config.environment))
            }
            None => None,
        };
        maker.steps.push(Step {
            name: "image".into(),
            after: below.into_iter().chain(source).chain(schema).collect(),
            source: None,
            writes: None,
            action: Action::Assemble {},
        });
        Self {
            version: PLAN_VERSION,
            image: resolution.image.to_string(),
            platform: resolution.platform.as_str().to_owned(),
            network: options.network,
            decisions: resolution.decisions,
            steps: maker.steps,
            config: image_config,
        }
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
        if packages.is_empty() {
            return;
        }
        self.push(
            "apt",
            &["base"],
            place,
            None,
            Action::Apt {
                packages,
                recommends: resolution.recommends,
            },
        );
    }

    /// Python and its packages; gives the steps whose results the image is made of.
    fn python(&mut self, resolution: &Resolution) -> Vec<String> {
        let version = self.config.build.python_version.value;
        let place = Some(self.place(self.config.build.python_version.span));
        let (interpreter, below) = match resolution.python_provider {
            PythonProvider::Base => ("python3".to_owned(), "base"),
            PythonProvider::Uv => {
                let interpreter = format!("{PYTHON}/bin/python3");
                let uv = resolution.uv_image.clone();
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
            interpreter,
            version,
            path: VENV.into(),
            site_packages: resolution.base.kind == BaseKind::Cog,
        };
        self.push("venv", after, place, Some(VENV), action);

        let requirements = &self.config.build.requirements;
        let sdk = resolution.sdk.requirement();
        let apt = !resolution.system_packages.is_empty();
        let ground = if apt && resolution.pip_after_apt {
            "apt"
        } else {
            "base"
        };
        let mut after: Vec<&str> = vec![ground];
        after.extend((below == "python").then_some("python"));
        let with_venv = |venv| after.iter().copied().chain([venv]).collect::<Vec<_>>();
        let pip = |lines: Vec<String>, environment: &IndexMap<String, String>| Pip {
            venv: VENV.into(),
            requirements: lines,
            constraints: requirements.constraints.clone(),
            secrets: requirements.secrets.clone(),
            local: requirements.local.iter().cloned().collect(),
            environment: environment.clone(),
        };
        let results = |last: &str| {
            let python = (below == "python").then_some("python");
            [if apt { "apt" } else { "base" }]
                .into_iter()
                .chain(python)
                .chain([last])
                .map(str::to_owned)
                .collect()
        };
        let place = self.requirements_place();
        if requirements.hashed {
            // With one hash pip demands hashes for all packages, and nobody has listed the SDK's.
            let action = Action::Pip(pip(resolution.requirements.clone(), &self.environment));
            self.push("pip", &with_venv("venv"), place, Some(VENV), action);
            let action = Action::Pip(Pip {
                constraints: Vec::new(),
                secrets: Vec::new(),
                local: Vec::new(),
                ..pip(vec![sdk], &self.environment)
            });
            self.push("sdk", &with_venv("pip"), None, Some(VENV), action);
            return results("sdk");
        }
        // One resolution for all: a conflict with the SDK is then an error, not a downgrade.
        let mut lines = resolution.requirements.clone();
        lines.push(sdk);
        let action = Action::Pip(pip(lines, &self.environment));
        self.push("pip", &with_venv("venv"), place, Some(VENV), action);
        results("pip")
    }

    fn requirements_place(&self) -> Option<String> {
        use crate::config::PythonPackages;
        match &self.config.build.python {
            PythonPackages::None => None,
            PythonPackages::File(path) => Some(self.place(path.span)),
            PythonPackages::List(packages) => {
                packages.first().map(|package| self.place(package.span))
            }
        }
    }

    /// Commands of the user, one on top of the other; gives what the image is laid on.
    fn commands(&mut self, mut below: Vec<String>) -> Vec<String> {
        let config = self.config;
        let build = &config.build;
        let plain = build.run.iter().chain(&build.pre_install).map(|run| {
            let secret = |mount: &crate::config::SecretMount| Mount::Secret {
                id: mount.id.clone(),
                target: mount.target.clone(),
                required: true,
            };
            let mounts = run.mounts.iter().map(secret).collect();
            (&run.command, mounts, None::<Network>, run.span)
        });
        let extended = config.extension.run.iter();
        let extended =
            extended.map(|step| (&step.command, step.mounts.clone(), step.network, step.span));
        for (index, (command, mounts, network, span)) in plain.chain(extended).enumerate() {
            let name = format!("run-{}", index + 1);
            self.steps.push(Step {
                name: name.clone(),
                after: std::mem::take(&mut below),
                source: Some(self.place(span)),
                writes: None,
                action: Action::Run {
                    command: command.clone(),
                    mounts,
                    network,
                    environment: self.environment.clone(),
                },
            });
            below = vec![name];
        }
        below
    }

    fn source(&mut self, options: &Options) -> String {
        let mut exclude: Vec<String> = EXCLUDED.iter().map(|&pattern| pattern.to_owned()).collect();
        exclude.extend(options.ignore.iter().flat_map(|text| ignore_patterns(text)));
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
            version: resolution.sdk.to_string(),
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

/// The init program: of the package, or of Cog's base images.
fn init(base: BaseKind) -> &'static str {
    if base == BaseKind::Cog {
        "/sbin/tini"
    } else {
        "/usr/bin/tini"
    }
}

/// The patterns of a `.dockerignore`: without comments and blanks, cleaned as Docker does.
fn ignore_patterns(text: &str) -> Vec<String> {
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
