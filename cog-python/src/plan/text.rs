//! The plan as people read it.

use std::borrow::Cow;
use std::fmt;

use super::{Action, InstallWheels, Mount, Plan, Step, UvProgram};

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{} for {}", self.image, self.platform)?;
        writeln!(formatter, "\nDecisions")?;
        let width = self
            .decisions
            .iter()
            .map(|decision| decision.subject.len())
            .max()
            .unwrap_or(0);
        for decision in &self.decisions {
            writeln!(
                formatter,
                "  {:width$}  {}",
                decision.subject, decision.choice
            )?;
            writeln!(formatter, "  {:width$}    because {}", "", decision.reason)?;
            // The other form, for those who ask why: every alternative.
            if formatter.alternate() {
                for rejected in &decision.rejected {
                    writeln!(
                        formatter,
                        "  {:width$}    not {}: {}",
                        "", rejected.choice, rejected.reason
                    )?;
                }
            }
        }
        writeln!(formatter, "\nSteps")?;
        let width = self
            .steps
            .iter()
            .map(|step| step.name.len())
            .max()
            .unwrap_or(0);
        for step in &self.steps {
            write_step(formatter, self, step, width)?;
            let is_on_packages = matches!(step.action, Action::Run { .. })
                && step.writes.is_none()
                && step.after.iter().any(|name| name == "wheels");
            if is_on_packages {
                let cost = "runs on all packages: their files are laid out for it whenever one of them changes";
                writeln!(formatter, "  {:width$}    {cost}", "")?;
            }
        }
        writeln!(formatter, "\nImage")?;
        for folder in &self.config.path {
            writeln!(formatter, "  path        {folder} first")?;
        }
        for (name, value) in &self.config.environment {
            writeln!(formatter, "  env         {name}={}", shown(name, value))?;
        }
        writeln!(
            formatter,
            "  entrypoint  {}",
            self.config.entrypoint.join(" ")
        )?;
        writeln!(formatter, "  command     {}", self.config.command.join(" "))?;
        writeln!(formatter, "  directory   {}", self.config.working_directory)?;
        for port in &self.config.exposed_ports {
            writeln!(formatter, "  port        {port}")?;
        }
        for (name, value) in &self.config.labels {
            // The configuration holds the environment, which was shown above.
            let value = match name.as_str() {
                "run.cog.config" => "(cog.yaml as JSON)",
                "run.cog.openapi_schema" => "(OpenAPI document)",
                _ => value,
            };
            writeln!(formatter, "  label       {name}={value}")?;
        }
        Ok(())
    }
}

fn write_step(
    formatter: &mut fmt::Formatter<'_>,
    plan: &Plan,
    step: &Step,
    width: usize,
) -> fmt::Result {
    let mut lines = describe(plan, &step.action).into_iter();
    let first = lines.next().unwrap_or_default();
    let after = match step.after.as_slice() {
        [] => String::new(),
        after => format!("  (after {})", after.join(", ")),
    };
    let place = step
        .source
        .as_ref()
        .map(|place| format!("  [{place}]"))
        .unwrap_or_default();
    writeln!(formatter, "  {:width$}  {first}{after}{place}", step.name)?;
    for line in lines {
        writeln!(formatter, "  {:width$}    {line}", "")?;
    }
    if let (Action::Run { .. }, Some(folder)) = (&step.action, &step.writes) {
        writeln!(formatter, "  {:width$}    takes over {folder} alone", "")?;
    }
    Ok(())
}

/// What an action does, first line first.
fn describe(plan: &Plan, action: &Action) -> Vec<String> {
    match action {
        Action::Base { reference } => vec![plan.pinned(reference).into_owned()],
        Action::Apt {
            packages,
            recommends,
            snapshot,
        } => {
            let names: Vec<_> = packages.iter().map(ToString::to_string).collect();
            let recommends = if *recommends {
                ", and what they recommend"
            } else {
                ""
            };
            let day = snapshot.as_ref().map(|day| format!(", as of {day}"));
            let day = day.unwrap_or_default();
            vec![format!("install {}{recommends}{day}", names.join(" "))]
        }
        Action::Python { version, uv, .. } => {
            vec![format!(
                "install Python {version} with uv from {}",
                program(plan, uv)
            )]
        }
        Action::Venv {
            interpreter,
            version,
            path,
            site_packages,
            replaced,
        } => {
            let mut lines = vec![String::new()];
            if !replaced.is_empty() {
                lines.push(format!(
                    "without {}, which wheels bring",
                    replaced.join(" and ")
                ));
            }
            let seen = if *site_packages {
                ", with the packages it has"
            } else {
                ""
            };
            lines[0] =
                format!("make {path} with {interpreter}, which must be Python {version}{seen}");
            lines
        }
        Action::Lock(lock) => {
            let mut lines = vec![format!(
                "choose packages with uv from {}",
                program(plan, &lock.uv)
            )];
            lines.extend(lock.requirements.iter().cloned());
            lines.extend(
                lock.constraints
                    .iter()
                    .map(|line| format!("constraint {line}")),
            );
            lines.extend(lock.secrets.iter().map(|name| format!("secret {name}")));
            lines.extend(lock.local.iter().map(|path| format!("project file {path}")));
            lines
        }
        Action::Build(build) => vec![format!("build a wheel of {}", build.requirement)],
        Action::Wheels(install) => wheels(install),
        Action::Run {
            command,
            mounts,
            network,
            ..
        } => {
            let mut lines: Vec<_> = command.lines().map(str::to_owned).collect();
            lines.extend(mounts.iter().map(mount));
            lines.extend(network.iter().map(|_| "no network".to_owned()));
            lines
        }
        Action::Weights(weights) => {
            let shown = |files: &super::WeightFiles| {
                format!("copy {} to {} alone", files.shown(), weights.destination)
            };
            weights.files.iter().map(shown).collect()
        }
        Action::Write { path, text } => vec![format!("write {path}, {} bytes", text.len())],
        Action::Schema { path, .. } => {
            vec![format!("import the model and write its schema to {path}")]
        }
        Action::Assemble {} => vec!["lay the steps over each other".into()],
        Action::Source(source) => {
            let mut lines = vec![format!("copy the project to {}", source.destination)];
            lines.push(format!("without {}", source.exclude.join(" ")));
            lines.extend(
                source
                    .config_file
                    .iter()
                    .map(|file| format!("{file} as cog.yaml")),
            );
            lines
        }
    }
}

/// Where uv is from.
fn program<'u>(plan: &Plan, uv: &'u UvProgram) -> Cow<'u, str> {
    match &uv.wheel {
        Some(wheel) => Cow::Borrowed(&wheel.name),
        None => plan.pinned(&uv.image),
    }
}

/// The groups, lowest layer first.
fn wheels(install: &InstallWheels) -> Vec<String> {
    let mut how = String::new();
    for (is_so, word) in [
        (install.precompile, "compiled"),
        (install.strip, "stripped"),
    ] {
        if is_so {
            how = format!("{how}, {word}");
        }
    }
    let Some(groups) = &install.groups else {
        return vec![
            format!("install into {}, in layers of their own{how}", install.venv),
            format!(
                "wheels are known in the middle of the build, and share about {} layers",
                install.budget
            ),
        ];
    };
    let mut lines = vec![format!(
        "install {} wheels into {}, in {} layers{how}",
        install.wheels().count(),
        install.venv,
        groups.len()
    )];
    for group in groups {
        let size: u64 = group.wheels.iter().map(|wheel| wheel.size).sum();
        let names: Vec<&str> = group
            .wheels
            .iter()
            .map(|wheel| wheel.file.as_str())
            .collect();
        lines.push(format!("{:>9}  {}", in_units(size), names.join(" ")));
    }
    let secrets = install.secrets().into_iter();
    lines.extend(secrets.map(|name| format!("secret {name}")));
    lines
}

/// A size as people read it.
fn in_units(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

fn mount(mount: &Mount) -> String {
    match mount {
        Mount::Secret { id, target, .. } => format!("secret {id} at {target}"),
        Mount::Ssh { id, .. } => format!("SSH agent {id}"),
        Mount::Cache { id, target } => format!("cache {id} at {target}"),
        Mount::Bind {
            source,
            target,
            from,
        } => match (from, source.as_str()) {
            (None, "") => format!("project at {target}"),
            (None, source) => format!("project file {source} at {target}"),
            (Some(from), "") => format!("{from} at {target}"),
            (Some(from), source) => format!("{source} of {from} at {target}"),
        },
    }
}

/// The value of a variable, unless its name says it is a secret: terminals are recorded.
fn shown<'v>(name: &str, value: &'v str) -> &'v str {
    if crate::config::sounds_secret(name) && !value.is_empty() {
        "***"
    } else {
        value
    }
}
