//! A plan as a Dockerfile that needs no other file.
//!
//! Every step is a stage of its name, and does what the graph does: the same commands, mounts, secrets and trees. What a
//! step would be given as a file is written into its stage by a here-document, and stays there. Trees are copied where the
//! graph merges them, and binutils strip what `llb-helper` strips in the graph.

use std::fmt::Write;

use llb::value::ImageRef;

use super::{
    Action, CopyWeights, EXCLUDED, InstallWheels, LockPackages, Mount, Network, Plan, Source, Step,
    WeightFiles, WeightOrigin, literal,
};
use crate::ca;
use crate::config::AptSnapshot;
use crate::layer::{
    SSH_COMMAND, WEIGHTS_ENDPOINT as ENDPOINT, WEIGHTS_FETCH as FETCH, WEIGHTS_FETCHER as FETCHER,
    WEIGHTS_LOGINS as LOGINS, WEIGHTS_TOKEN as TOKEN, artifact_words, scripts,
};
use crate::lock::dialect;
use crate::netrc;

const SYNTAX: &str = "# syntax=docker/dockerfile:1";
use crate::layer::REQUIREMENTS_FOLDER as REQUIREMENTS;
/// The stage of wheels that are stripped in a later one.
const UNSTRIPPED: &str = "wheels-unstripped";

impl Plan {
    /// The plan as a Dockerfile, to be built with the project as its context: `docker build -f Dockerfile .`
    pub fn to_dockerfile(&self) -> String {
        let mut writer = Writer {
            plan: self,
            text: format!("{SYNTAX}\n"),
            has_path: false,
        };
        for step in &self.steps {
            // One step installs what the graph chooses, builds and installs in several.
            if !matches!(step.action, Action::Lock(_) | Action::Build(_)) {
                writer.step(step);
            }
        }
        writer.text
    }
}

struct Writer<'a> {
    plan: &'a Plan,
    text: String,
    /// Whether the stages that the image is made of have its `PATH`.
    has_path: bool,
}

impl<'a> Writer<'a> {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn step(&mut self, step: &Step) {
        self.text.push('\n');
        if let Some(place) = &step.source {
            self.line(format!("# {place}"));
        }
        match &step.action {
            Action::Base { reference } => {
                let reference = self.plan.pinned(reference);
                self.line(format!("FROM {reference} AS {}", step.name));
            }
            Action::Source(source) => self.source(step, source),
            Action::Weights(weights) => self.weights(step, weights),
            Action::Write { path, text } => {
                self.line(format!("FROM scratch AS {}", step.name));
                self.file(path, text);
            }
            action => {
                let environment = self.ground(step);
                match action {
                    Action::Apt {
                        packages,
                        recommends,
                        snapshot,
                    } => {
                        let packages = packages.iter().map(ToString::to_string);
                        self.apt(packages, *recommends, snapshot.as_ref());
                    }
                    Action::Python {
                        version,
                        uv,
                        downloads,
                        ..
                    } => {
                        let version = version.to_string();
                        let uv = self.plan.pinned(&uv.image);
                        self.python(step, &version, &uv, downloads.as_deref());
                    }
                    Action::Venv {
                        interpreter,
                        version,
                        path,
                        site_packages,
                        replaced,
                    } => {
                        let version = version.to_string();
                        let replaced = replaced.join(" ");
                        let mut words = vec![
                            "/bin/sh",
                            "-ec",
                            scripts::VENV,
                            "venv",
                            interpreter,
                            &version,
                            scripts::SETTLE,
                            path,
                            &replaced,
                        ];
                        if *site_packages {
                            words.push("--system-site-packages");
                        }
                        self.run("--network=none ", &environment, &words);
                    }
                    Action::Wheels(install) => {
                        self.wheels(install, environment);
                        if install.strip {
                            self.strip(step, install);
                        }
                        if install.precompile {
                            let python = format!("{}/bin/python", install.venv);
                            self.run(
                                "--network=none ",
                                &[],
                                &[&python, "-B", "-c", scripts::COMPILE, &install.venv, ""],
                            );
                        }
                    }
                    Action::Run {
                        command,
                        mounts,
                        network,
                        environment: own,
                    } => {
                        let mut environment = environment;
                        environment
                            .extend(own.iter().map(|(name, value)| format!("{name}={value}")));
                        if let Some(folder) = &step.writes {
                            self.run("--network=none ", &[], &["mkdir", "-p", folder]);
                        }
                        // Such a stage is no part of the image: others do not take over its variables.
                        let has_path = self.has_path;
                        if step.writes.is_some() {
                            self.has_path = false;
                        }
                        self.command(command, mounts, *network, &environment);
                        if step.writes.is_some() {
                            self.has_path = has_path;
                        }
                    }
                    Action::Schema {
                        path,
                        working_directory,
                        environment: own,
                    } => {
                        let folder = path.rsplit_once('/').map_or("/", |(folder, _)| folder);
                        let mut environment = environment;
                        environment
                            .extend(own.iter().map(|(name, value)| format!("{name}={value}")));
                        self.line(format!(
                            "ENV PATH={}:$PATH",
                            self.plan.config.path.join(":")
                        ));
                        self.line(format!("WORKDIR {folder}"));
                        self.line(format!("WORKDIR {working_directory}"));
                        self.run(
                            "--network=none ",
                            &environment,
                            &["/bin/sh", "-ec", scripts::ASK, "schema", path],
                        );
                    }
                    _ => self.image(),
                }
            }
        }
    }

    /// The stage a step runs in: the whole file system it comes after, with the trees it sees.
    fn ground(&mut self, step: &Step) -> Vec<String> {
        let steps = step.after.iter().filter_map(|name| self.plan.step(name));
        let (trees, wholes): (Vec<&Step>, Vec<&Step>) =
            steps.partition(|step| step.writes.is_some());
        let base = wholes.last().map_or("scratch", |step| step.name.as_str());
        // Wheels are installed by the interpreter of their environment.
        if let Action::Wheels(install) = &step.action {
            let name = if install.strip {
                UNSTRIPPED
            } else {
                step.name.as_str()
            };
            let (ground, pythons) = self.wheels_ground();
            self.line(format!("FROM {ground} AS {name}"));
            self.copies(&pythons);
            self.copies(&[("venv", &install.venv)]);
            return Vec::new();
        }
        self.line(format!("FROM {base} AS {}", step.name));
        // Of a tree that goes on from another, only the last is there.
        for (index, tree) in trees.iter().enumerate() {
            let Some(path) = &tree.writes else { continue };
            let replaced = trees[index + 1..].iter().any(|later| {
                later.writes.as_ref() == Some(path) && later.after.contains(&tree.name)
            });
            if !replaced {
                self.line(format!("COPY --from={} {path} {path}", tree.name));
            }
        }
        Vec::new()
    }

    /// The stage that wheels are installed on, and stages of interpreters with their folders.
    fn wheels_ground(&self) -> (&'a str, Vec<(&'a str, &'a str)>) {
        let plan = self.plan;
        let lock = plan.lock().map(|(lock, _)| lock);
        let lock = lock.or_else(|| plan.step("venv"));
        let after = lock.map_or(&[][..], |lock| lock.after.as_slice());
        let steps = after.iter().filter_map(|name| plan.step(name));
        let ground = steps.clone().rfind(|step| step.writes.is_none());
        let ground = ground.map_or("base", |step| step.name.as_str());
        let pythons = steps.filter_map(|step| Some((step.name.as_str(), step.writes.as_deref()?)));
        (ground, pythons.collect())
    }

    /// Folders of stages, at the same place.
    fn copies(&mut self, folders: &[(&str, &str)]) {
        for (name, path) in folders {
            self.line(format!("COPY --from={name} {path} {path}"));
        }
    }

    /// A stage with what the one before it has installed, stripped; binutils stay there.
    fn strip(&mut self, step: &Step, install: &InstallWheels) {
        let (ground, pythons) = self.wheels_ground();
        let day = self.plan.steps.iter().find_map(|step| match &step.action {
            Action::Apt { snapshot, .. } => snapshot.as_ref(),
            _ => None,
        });
        self.text.push('\n');
        self.line(format!("FROM {ground} AS {}", step.name));
        self.apt(std::iter::once("binutils".to_owned()), false, day);
        self.copies(&pythons);
        self.copies(&[(UNSTRIPPED, &install.venv)]);
        let python = format!("{}/bin/python", install.venv);
        let script = format!("{}{}", scripts::STRIP, scripts::SETTLE);
        self.run(
            "--network=none ",
            &[],
            &[&python, "-B", "-c", &script, &install.venv],
        );
    }

    fn file(&mut self, path: &str, text: &str) {
        let mut end = String::from("EOF");
        while text.lines().any(|line| line == end) {
            end.push('F');
        }
        self.line(format!("COPY <<'{end}' {path}"));
        self.text.push_str(text);
        if !text.ends_with('\n') {
            self.text.push('\n');
        }
        self.line(end);
    }

    /// Options of a step that fetches something: its network and the secrets of certificates.
    fn connected(&self) -> String {
        let mut options = match self.plan.network {
            Network::Default => String::new(),
            Network::Host => "--network=host ".to_owned(),
            Network::None => return "--network=none ".to_owned(),
        };
        let _ = write!(
            options,
            "--mount=type=secret,id={},target={},mode=0444 ",
            ca::BUNDLE_SECRET,
            ca::BUNDLE_PATH
        );
        for (name, id) in ca::VARIABLES {
            let _ = write!(options, "--mount=type=secret,id={id},env={name} ");
        }
        options
    }

    fn run(&mut self, options: &str, environment: &[String], words: &[&str]) {
        let env = (!environment.is_empty())
            .then(|| std::iter::once("/usr/bin/env").chain(environment.iter().map(String::as_str)));
        let all: Vec<&str> = env
            .into_iter()
            .flatten()
            .chain(words.iter().copied())
            .collect();
        self.line(format!("RUN {options}{}", serde_json::json!(all)));
    }

    fn apt(
        &mut self,
        packages: impl Iterator<Item = String>,
        recommends: bool,
        snapshot: Option<&AptSnapshot>,
    ) {
        let packages: Vec<String> = packages.collect();
        let script = scripts::apt(snapshot.is_some());
        let mut words = vec!["/bin/sh", "-ec", &script, "apt"];
        if !recommends {
            words.push("--no-install-recommends");
        }
        words.push("--");
        words.extend(packages.iter().map(String::as_str));
        // The settings are a stage of their own, so that they are mounted and not part of the image.
        let stage = "FROM scratch AS apt-settings\n";
        if !self.text.contains(stage) {
            let settings = format!(
                "{stage}COPY <<'EOF' /apt.conf\n{}EOF\n\n",
                scripts::APT_SETTINGS
            );
            let stage = self.text.rfind("FROM ").unwrap_or_default();
            self.text.insert_str(stage, &settings);
        }
        let options = format!(
            "{}--mount=type=bind,from=apt-settings,source=/,target=/run/cog-python/apt \
             --mount=type=cache,id=cog-python-apt-cache,target=/var/cache/apt,sharing=locked \
             --mount=type=cache,id=cog-python-apt-lists,target=/var/lib/apt/lists,sharing=locked ",
            self.connected()
        );
        let mut environment = vec!["DEBIAN_FRONTEND=noninteractive".to_owned()];
        environment.extend(snapshot.map(|day| format!("{}={day}", scripts::APT_SNAPSHOT)));
        self.run(&options, &environment, &words);
    }

    fn python(&mut self, step: &Step, version: &str, uv: &str, downloads: Option<&str>) {
        let folder = step.writes.clone().unwrap_or_default();
        let mut environment = vec![
            format!("UV_PYTHON_INSTALL_DIR={folder}"),
            "UV_PYTHON_PREFERENCE=only-managed".to_owned(),
            "UV_NO_CONFIG=1".to_owned(),
            "UV_CACHE_DIR=/root/.cache/uv".to_owned(),
        ];
        environment.extend(downloads.map(|list| format!("UV_PYTHON_DOWNLOADS_JSON_URL={list}")));
        let options = format!(
            "{}--mount=type=bind,from={uv},source=/uv,target=/usr/local/bin/uv \
             --mount=type=cache,id=cog-python-uv,target=/root/.cache/uv ",
            self.connected()
        );
        self.run(
            &options,
            &environment,
            &[
                "/bin/sh",
                "-ec",
                scripts::UV,
                "uv",
                version,
                &folder,
                scripts::SETTLE,
            ],
        );
    }

    /// All packages in one step: those of the lock, if there is one, else what uv chooses.
    fn wheels(&mut self, install: &InstallWheels, mut environment: Vec<String>) {
        let text = |lines: &[String]| lines.join("\n") + "\n";
        let lock = self.plan.lock().map(|(_, lock)| lock.clone());
        let needs_agent = self.plan.needs_agent();
        let told = dialect(&match &lock {
            Some(lock) => lock.requirements.clone(),
            None => pinned(install),
        });
        self.file(
            &format!("{REQUIREMENTS}/requirements.txt"),
            &text(&told.lines),
        );
        let LockPackages {
            constraints,
            secrets,
            local,
            environment: own,
            uv,
            ..
        } = lock.unwrap_or_else(|| LockPackages {
            interpreter: String::new(),
            uv: crate::resolution::uv_program(self.plan.machine()),
            requirements: Vec::new(),
            constraints: Vec::new(),
            secrets: install.secrets(),
            local: Vec::new(),
            environment: indexmap::IndexMap::new(),
            site_packages: false,
        });
        if !constraints.is_empty() {
            self.file(
                &format!("{REQUIREMENTS}/constraints.txt"),
                &text(&dialect(&constraints).lines),
            );
        }
        let mut options = self.connected();
        if self.plan.network != Network::None {
            let _ = write!(
                options,
                "--mount=type=secret,id={},target={} ",
                netrc::SECRET,
                netrc::PATH
            );
            environment.push(format!("{}={}", netrc::VARIABLE, netrc::PATH));
        }
        options.push_str("--mount=type=cache,id=cog-python-uv,target=/root/.cache/uv ");
        let from = match &uv.wheel {
            // A stage of its own, so that the wheel is mounted and not part of the image.
            Some(wheel) => {
                let fetch = format!(
                    "FROM scratch AS uv-wheel\nADD --checksum=sha256:{} {} /uv\n\n",
                    wheel.sha256, wheel.url
                );
                let stage = self.text.rfind("\nFROM ").map_or(0, |start| start + 1);
                self.text.insert_str(stage, &fetch);
                "uv-wheel".into()
            }
            None => self.plan.pinned(&uv.image),
        };
        let _ = write!(
            options,
            "--mount=type=bind,from={from},source=/uv,target=/run/cog-python/uv \
             --mount=type=tmpfs,target=/tmp "
        );
        if needs_agent {
            options.push_str("--mount=type=ssh,required=true ");
            environment.push(format!("GIT_SSH_COMMAND={SSH_COMMAND}"));
        }
        for name in &secrets {
            let _ = write!(
                options,
                "--mount=type=secret,id={name},env={name},required=true "
            );
        }
        for path in &local {
            let target = crate::requirement::LOCAL_FOLDER;
            let _ = write!(
                options,
                "--mount=type=bind,source={path},target={target}/{path},rw "
            );
        }
        environment.extend(
            [
                "UV_NO_CONFIG=1",
                "UV_CACHE_DIR=/root/.cache/uv",
                "UV_LINK_MODE=copy",
            ]
            .map(String::from),
        );
        environment.extend(own.iter().map(|(name, value)| format!("{name}={value}")));
        let python = format!("{}/bin/python", install.venv);
        let required = format!("{REQUIREMENTS}/requirements.txt");
        let constrained = format!("{REQUIREMENTS}/constraints.txt");
        let mut words = vec![
            "/bin/sh",
            "-ec",
            scripts::INSTALL,
            "install",
            scripts::SETTLE,
            &install.venv,
            &python,
            "--index-strategy",
            "unsafe-best-match",
        ];
        words.extend(told.options.iter().map(String::as_str));
        if !constraints.is_empty() {
            words.extend(["--constraints", &constrained]);
        }
        words.extend(["--requirements", &required]);
        self.run(&options, &environment, &words);
    }

    fn command(
        &mut self,
        command: &str,
        mounts: &[Mount],
        network: Option<Network>,
        environment: &[String],
    ) {
        let mut options = match network {
            Some(Network::None) => "--network=none ".to_owned(),
            _ => self.connected(),
        };
        for mount in mounts {
            let _ = match mount {
                Mount::Secret {
                    id,
                    target,
                    required,
                } => write!(
                    options,
                    "--mount=type=secret,id={id},target={target},required={required} "
                ),
                Mount::Ssh { id, required } => {
                    write!(options, "--mount=type=ssh,id={id},required={required} ")
                }
                Mount::Cache { id, target } => {
                    write!(options, "--mount=type=cache,id={id},target={target} ")
                }
                Mount::Bind {
                    source,
                    target,
                    from: None,
                } => {
                    let source = if source.is_empty() { "." } else { source };
                    write!(
                        options,
                        "--mount=type=bind,source={source},target={target},rw "
                    )
                }
                Mount::Bind {
                    source,
                    target,
                    from: Some(from),
                } => write!(
                    options,
                    "--mount=type=bind,from={},source=/{source},target={target} ",
                    self.plan.pinned(from)
                ),
            };
        }
        // The image has the same folders first, in the same order; later commands take them over.
        if !std::mem::replace(&mut self.has_path, true) {
            let path = self.plan.config.path.join(":");
            self.line(format!("ENV PATH={path}:$PATH"));
        }
        let flags = if command.contains('\n') { "-ec" } else { "-c" };
        self.run(&options, environment, &["/bin/sh", flags, command]);
    }

    fn source(&mut self, step: &Step, source: &Source) {
        self.line(format!("FROM scratch AS {}", step.name));
        // The patterns of `.dockerignore` are the frontend's to apply.
        let exclude = EXCLUDED
            .map(|pattern| format!("--exclude={pattern} "))
            .concat();
        let steps = self.plan.steps.iter();
        let weights = steps.filter_map(|step| match &step.action {
            Action::Weights(weights) if weights.name.is_none() => Some(&weights.files),
            _ => None,
        });
        let paths = weights.flatten().filter_map(|files| match &files.origin {
            WeightOrigin::Project { path } => Some(format!("--exclude={} ", literal(path))),
            _ => None,
        });
        let exclude = exclude + &paths.collect::<String>();
        self.line(format!("COPY {exclude}. {}", source.destination));
        if let Some(file) = &source.config_file {
            self.line(format!("COPY {file} {}/cog.yaml", source.destination));
        }
    }

    /// Weights, each origin laid over those before it.
    fn weights(&mut self, step: &Step, weights: &CopyWeights) {
        let environment = if weights.files.iter().any(WeightFiles::is_fetched) {
            let mut environment = self.ground(step);
            environment.extend([
                format!("FETCHER={FETCHER}"),
                "UV_NO_CONFIG=1".to_owned(),
                "UV_CACHE_DIR=/root/.cache/uv".to_owned(),
                "UV_PYTHON_DOWNLOADS=never".to_owned(),
                format!("UV_PYTHON={}", weights.interpreter),
                "HF_HUB_DISABLE_TELEMETRY=1".to_owned(),
            ]);
            let own = weights.environment.iter();
            environment.extend(own.map(|(name, value)| format!("{name}={value}")));
            environment
        } else {
            self.line(format!("FROM scratch AS {}", step.name));
            Vec::new()
        };
        let folder = format!("{}/", weights.destination);
        for files in &weights.files {
            match &files.origin {
                WeightOrigin::Project { path } => {
                    let target = match weights.name {
                        Some(_) => &folder,
                        None => &weights.destination,
                    };
                    let options = taken(files);
                    let words = serde_json::json!([path, target]);
                    self.line(format!("COPY {options}{words}"));
                }
                WeightOrigin::Image { reference, path } => {
                    let options = taken(files);
                    let reference = self.plan.pinned(reference);
                    let words = serde_json::json!([format!("/{path}"), folder]);
                    self.line(format!("COPY --from={reference} {options}{words}"));
                }
                WeightOrigin::Url { url, sha256 } => {
                    let words = serde_json::json!([url, folder]);
                    self.line(format!(
                        "ADD --checksum=sha256:{sha256} --chmod=644 {words}"
                    ));
                }
                WeightOrigin::Artifact { reference, path } => {
                    let Ok(reference) = ImageRef::parse(reference) else {
                        continue;
                    };
                    let options = format!(
                        "{}--mount=type=secret,id={LOGINS},env={LOGINS} ",
                        self.connected()
                    );
                    let patterns = [&*files.include, &*files.exclude];
                    let words = artifact_words(&reference, path, &weights.destination, patterns);
                    let words = words.iter().map(String::as_str);
                    let words: Vec<&str> = std::iter::once(&*weights.interpreter)
                        .chain(words)
                        .collect();
                    self.run(&options, &[], &words);
                }
                WeightOrigin::HuggingFace {
                    repository,
                    revision,
                } => {
                    let options = format!(
                        "{}--mount=type=bind,from={},source=/uv,target=/usr/local/bin/uv \
                         --mount=type=cache,id=cog-python-uv,target=/root/.cache/uv \
                         --mount=type=secret,id={TOKEN},env={TOKEN} \
                         --mount=type=secret,id={ENDPOINT},env={ENDPOINT} ",
                        self.connected(),
                        self.plan.pinned(&weights.uv.image)
                    );
                    let mut words = vec![
                        "/bin/sh",
                        "-ec",
                        FETCH,
                        "fetch",
                        repository,
                        revision,
                        &weights.destination,
                    ];
                    for pattern in &files.include {
                        words.extend(["--include", pattern]);
                    }
                    for pattern in &files.exclude {
                        words.extend(["--exclude", pattern]);
                    }
                    self.run(&options, &environment, &words);
                }
            }
        }
    }

    fn image(&mut self) {
        let config = &self.plan.config;
        let mut lines = Vec::new();
        if !self.has_path && !config.path.is_empty() {
            lines.push(format!("ENV PATH={}:$PATH", config.path.join(":")));
        }
        lines.extend(
            config
                .environment
                .iter()
                .map(|(name, value)| format!("ENV {name}={}", quoted(value))),
        );
        lines.extend(
            config
                .labels
                .iter()
                .map(|(name, value)| format!("LABEL {name}={}", quoted(value))),
        );
        lines.extend(
            config
                .exposed_ports
                .iter()
                .map(|port| format!("EXPOSE {port}")),
        );
        lines.push(format!("WORKDIR {}", config.working_directory));
        lines.push(format!(
            "ENTRYPOINT {}",
            serde_json::json!(config.entrypoint)
        ));
        lines.push(format!("CMD {}", serde_json::json!(config.command)));
        for line in lines {
            self.line(line);
        }
    }
}

/// Options that copy what is taken: all that is not left out.
fn taken(files: &WeightFiles) -> String {
    let all = (!files.include.is_empty()).then(|| "**".to_owned());
    let taken = files.include.iter().map(|pattern| format!("!{pattern}"));
    let patterns = all.into_iter().chain(taken).chain(files.exclude.clone());
    patterns.fold(String::new(), |options, pattern| {
        options + "--exclude=" + &pattern + " "
    })
}

/// Requirement lines for exactly the wheels of a lock.
fn pinned(install: &InstallWheels) -> Vec<String> {
    let mut wheels: Vec<_> = install.wheels().collect();
    wheels.sort_by(|one, other| one.package.cmp(&other.package));
    let line = |wheel: &super::Wheel| match &wheel.from {
        super::WheelOrigin::Remote { sha256, .. } => {
            let version = wheel.file.split('-').nth(1).unwrap_or_default();
            format!("{}=={version} --hash=sha256:{sha256}", wheel.package)
        }
        super::WheelOrigin::Project { path } => {
            format!("{}/{path}", crate::requirement::LOCAL_FOLDER)
        }
        super::WheelOrigin::Built { .. } => wheel.package.clone(),
    };
    install
        .options
        .iter()
        .cloned()
        .chain(wheels.into_iter().map(line))
        .collect()
}

/// A value as the frontend reads it back.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}
