//! From the tree of the file to a [`Config`], all mistakes collected.
//!
//! Every key has one method that reads it and reports what is wrong with it. A method gives
//! `None` when its value cannot be used; whether a config exists is decided at the end, by the
//! report alone.

use super::environment::{is_reserved, sounds_secret, split};
use super::keys::{self, Mapping};
use super::{Build, Config, PythonPackages, PythonVersion, RunCommand, SecretMount, Variable};
use crate::diagnostic::{Report, Source, Span, Spanned};
use crate::files::ProjectFiles;
use crate::requirement::{self, Requirements, Statement};
use crate::sdk::{self, SdkVersion};
use crate::yaml::{self, Kind, Node, Value};

/// Reads a configuration. The config is there exactly when the report has no errors.
///
/// `sdk` is the SDK version of the command line, which overrules `build.sdk_version`.
pub fn read(
    source: &Source,
    files: &dyn ProjectFiles,
    sdk: Option<&SdkVersion>,
) -> (Option<Config>, Report) {
    let mut report = Report::new();
    let root = match yaml::parse(source, &mut report) {
        Ok(root) => root,
        Err(finding) => {
            report.push(finding);
            return (None, report);
        }
    };
    let mut reader = Reader {
        source,
        files,
        sdk,
        report,
    };
    let config = reader.root(root.as_ref());
    let report = reader.report;
    (config.filter(|_| !report.has_errors()), report)
}

/// A key in backquotes; `KEY item` names an element of its list.
fn quoted(name: &str) -> String {
    match name.strip_suffix(" item") {
        Some(key) => format!("`{key}` item"),
        None => format!("`{name}`"),
    }
}

const START: Span = Span {
    line: 1,
    column: 1,
    length: 1,
};

struct Reader<'a> {
    source: &'a Source,
    files: &'a dyn ProjectFiles,
    sdk: Option<&'a SdkVersion>,
    report: Report,
}

/// The entries of a mapping that are read, by key.
struct Entries<'n>(Vec<(&'n Spanned<String>, &'n Node)>);

impl<'n> Entries<'n> {
    fn get(&self, name: &str) -> Option<(&'n Spanned<String>, &'n Node)> {
        self.0.iter().copied().find(|(key, _)| key.value == name)
    }

    /// The value of a key, unless it is written without one.
    fn value(&self, name: &str) -> Option<&'n Node> {
        self.get(name)
            .map(|(_, node)| node)
            .filter(|node| node.kind() != Kind::Null)
    }
}

impl Reader<'_> {
    // Helpers: what every key needs.

    fn error(&mut self, span: Span, message: impl Into<String>) {
        self.report.push(self.source.error(span, message));
    }

    fn error_hint(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report
            .push(self.source.error(span, message).hint(hint));
    }

    fn warn(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.report
            .push(self.source.warning(span, message).hint(hint));
    }

    fn expected(&mut self, node: &Node, name: &str, expected: &str) {
        self.error(
            node.span,
            format!(
                "{} must be {expected}, found {}",
                quoted(name),
                node.kind().name()
            ),
        );
    }

    fn mapping<'n>(&mut self, node: &'n Node, name: &str, known: &Mapping) -> Option<Entries<'n>> {
        let Value::Mapping(entries) = &node.value else {
            self.expected(node, name, "a mapping");
            return None;
        };
        let mut read = Vec::new();
        for (key, value) in entries {
            match known.check(self.source, key) {
                Ok(()) => read.push((key, value)),
                Err(finding) => self.report.push(finding),
            }
        }
        Some(Entries(read))
    }

    fn list<'n>(&mut self, node: &'n Node, name: &str) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.expected(node, name, "a list");
        &[]
    }

    /// A string, or a number taken as it is written: `3.10` stays `3.10`.
    fn text(&mut self, node: &Node, name: &str) -> Option<Spanned<String>> {
        match (&node.value, node.kind()) {
            (Value::Scalar { text, .. }, Kind::String | Kind::Number) => {
                Some(Spanned::new(text.clone(), node.span))
            }
            (Value::Scalar { .. }, Kind::Null) => {
                self.error(
                    node.span,
                    format!("{} must be a string, but it is empty", quoted(name)),
                );
                None
            }
            (Value::Scalar { text, .. }, Kind::Boolean) => {
                self.error_hint(
                    node.span,
                    format!("{} must be a string, found a boolean", quoted(name)),
                    format!("quote it if you mean the word: \"{text}\""),
                );
                None
            }
            _ => {
                self.expected(node, name, "a string");
                None
            }
        }
    }

    fn texts(&mut self, entries: &Entries<'_>, name: &str, full: &str) -> Vec<Spanned<String>> {
        let Some(node) = entries.value(name) else {
            return Vec::new();
        };
        let items = self.list(node, full);
        items
            .iter()
            .filter_map(|item| self.text(item, &format!("{full} item")))
            .collect()
    }

    /// Parses a text, reporting why it is not what the key wants.
    fn parsed<T>(&mut self, text: &Spanned<String>, name: &str) -> Option<Spanned<T>>
    where
        T: std::str::FromStr,
        T::Err: std::fmt::Display,
    {
        match text.value.parse() {
            Ok(value) => Some(Spanned::new(value, text.span)),
            Err(error) => {
                self.error(
                    text.span,
                    format!("{} {error}, found `{}`", quoted(name), text.value),
                );
                None
            }
        }
    }

    // The file, key by key.

    fn root(&mut self, root: Option<&Node>) -> Option<Config> {
        let empty = Node {
            value: Value::Mapping(Vec::new()),
            span: START,
        };
        let root = root
            .filter(|node| node.kind() != Kind::Null)
            .unwrap_or(&empty);
        let entries = self.mapping(root, "cog.yaml", &keys::ROOT)?;
        let environment = self.environment(&entries);
        let image = entries
            .value("image")
            .and_then(|node| self.text(node, "image"))
            .and_then(|text| self.parsed(&text, "image"));
        let run = self.run_reference(&entries);
        let key = entries.get("build").map_or(START, |(key, _)| key.span);
        let build = if let Some(node) = entries.value("build") {
            self.build(node, key)
        } else {
            self.missing_python_version(key);
            None
        };
        Some(Config {
            file: self.source.name().to_owned(),
            build: build?,
            environment,
            image,
            run,
        })
    }

    fn build(&mut self, node: &Node, key: Span) -> Option<Build> {
        let entries = self.mapping(node, "build", &keys::BUILD)?;
        self.gpu(&entries);
        let python_version = self.python_version(&entries, key);
        let sdk_version = entries
            .value("sdk_version")
            .and_then(|node| self.text(node, "sdk_version"))
            .and_then(|text| self.parsed::<SdkVersion>(&text, "sdk_version"));
        let sdk = self
            .sdk
            .or(sdk_version.as_ref().map(|version| &version.value))
            .cloned()
            .unwrap_or_else(SdkVersion::default_release);
        if sdk == SdkVersion::Prerelease
            && self.sdk.is_none()
            && let Some(version) = &sdk_version
        {
            self.warn(
                version.span,
                "`sdk_version: prerelease` installs whatever is newest on the day of the build",
                "name a version to get the same image again",
            );
        }
        let (python, requirements) = self.python_packages(&entries, &sdk);
        let system_packages = self.system_packages(&entries);
        let run = self.run_commands(&entries);
        let pre_install = self.pre_install(&entries);
        Some(Build {
            python_version: python_version?,
            python,
            requirements,
            system_packages,
            run,
            pre_install,
            sdk_version,
        })
    }

    fn gpu(&mut self, entries: &Entries<'_>) {
        let Some(node) = entries.value("gpu") else {
            return;
        };
        match &node.value {
            Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("false") => {}
            Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("true") => self
                .error_hint(
                    node.span,
                    "`gpu: true` is a feature of Cog that this program does not build yet",
                    "set it to false, or remove it, to build an image that runs on CPU",
                ),
            _ => self.expected(node, "gpu", "a boolean"),
        }
    }

    fn missing_python_version(&mut self, span: Span) {
        self.error_hint(
            span,
            "`build.python_version` is required",
            "add it under `build`, for example `python_version: \"3.13\"`",
        );
    }

    fn python_version(
        &mut self,
        entries: &Entries<'_>,
        build: Span,
    ) -> Option<Spanned<PythonVersion>> {
        let Some(node) = entries.value("python_version") else {
            let span = entries
                .get("python_version")
                .map_or(build, |(key, _)| key.span);
            self.missing_python_version(span);
            return None;
        };
        let text = self.text(node, "python_version")?;
        // What a tool that takes 3.10 for a number leaves of it.
        if text.value == "3.1" {
            self.error_hint(
                text.span,
                "`python_version` must be at least 3.10, found `3.1`",
                "if you mean 3.10, write \"3.10\" in quotes",
            );
            return None;
        }
        let version = self.parsed::<PythonVersion>(&text, "python_version")?;
        let declared = sdk::python_declared_up_to();
        if version.value.minor() > declared.minor() {
            self.warn(
                version.span,
                format!("Cog's runtime declares to support Python up to {declared}"),
                "expect packages without ready-made wheels for newer versions",
            );
        }
        Some(version)
    }

    fn python_packages(
        &mut self,
        entries: &Entries<'_>,
        sdk: &SdkVersion,
    ) -> (PythonPackages, Requirements) {
        let list = entries.value("python_packages");
        let file = entries.value("python_requirements");
        if let (Some(list), Some(_)) = (list, file) {
            self.error_hint(
                list.span,
                "`python_packages` and `python_requirements` cannot both be set",
                "move the packages into the requirements file",
            );
        }
        if let Some((key, _)) = entries.get("python_packages").filter(|_| list.is_some()) {
            self.warn(
                key.span,
                "`python_packages` is deprecated",
                "list the packages in a file and name it with `python_requirements`",
            );
        }
        let packages = self.texts(entries, "python_packages", "build.python_packages");
        let path = file.and_then(|node| self.text(node, "python_requirements"));
        let text = path
            .as_ref()
            .and_then(|path| match self.files.read(&path.value) {
                Ok(text) => Some(Source::new(path.value.clone(), text)),
                Err(problem) => {
                    self.error_hint(
                        path.span,
                        format!("requirements file `{}` {problem}", path.value),
                        "the path is relative to the folder of cog.yaml",
                    );
                    None
                }
            });
        let mut reader = requirement::Reader::new(self.files, &mut self.report, sdk.requirement());
        if let Some(source) = &text {
            reader.file(source);
        }
        for package in &packages {
            reader.statement(
                self.source,
                &Statement {
                    text: &package.value,
                    span: package.span,
                },
            );
        }
        let requirements = reader.finish();
        let python = match (path, list) {
            (Some(path), _) => PythonPackages::File(path),
            (None, Some(_)) => PythonPackages::List(packages),
            (None, None) => PythonPackages::None,
        };
        (python, requirements)
    }

    fn system_packages(&mut self, entries: &Entries<'_>) -> Vec<Spanned<super::SystemPackage>> {
        let mut packages = Vec::new();
        for text in self.texts(entries, "system_packages", "build.system_packages") {
            if text.value.trim().contains(char::is_whitespace) {
                self.error_hint(
                    text.span,
                    format!(
                        "a system package must be one name, found `{}`",
                        text.value.trim()
                    ),
                    "write each package as its own list item",
                );
            } else if let Some(package) = self.parsed(&text, "build.system_packages item") {
                packages.push(package);
            }
        }
        packages
    }

    fn run_commands(&mut self, entries: &Entries<'_>) -> Vec<RunCommand> {
        let Some(node) = entries.value("run") else {
            return Vec::new();
        };
        let items = self.list(node, "build.run");
        items
            .iter()
            .filter_map(|item| self.run_command(item))
            .collect()
    }

    fn run_command(&mut self, node: &Node) -> Option<RunCommand> {
        if !matches!(node.value, Value::Mapping(_)) {
            if node.kind() == Kind::List {
                self.expected(
                    node,
                    "build.run item",
                    "a string or a mapping with `command`",
                );
                return None;
            }
            let text = self.text(node, "build.run item")?;
            return self.command(&text, Vec::new());
        }
        let entries = self.mapping(node, "build.run item", &keys::RUN)?;
        let mut mounts = Vec::new();
        if let Some(node) = entries.value("mounts") {
            for item in self.list(node, "mounts") {
                mounts.extend(self.secret_mount(item));
            }
        }
        let command = self.required(&entries, "command", node.span)?;
        self.command(&command, mounts)
    }

    fn command(&mut self, text: &Spanned<String>, mounts: Vec<SecretMount>) -> Option<RunCommand> {
        let command = text.value.trim();
        if command.is_empty() {
            self.error(text.span, "a command must not be empty");
            return None;
        }
        if command.contains('\0') {
            self.error(text.span, "a command must not hold a NUL character");
            return None;
        }
        Some(RunCommand {
            command: command.to_owned(),
            mounts,
            span: text.span,
        })
    }

    fn required(
        &mut self,
        entries: &Entries<'_>,
        name: &str,
        mapping: Span,
    ) -> Option<Spanned<String>> {
        if let Some(node) = entries.value(name) {
            return self.text(node, name);
        }
        let span = entries.get(name).map_or(mapping, |(key, _)| key.span);
        self.error(span, format!("`{name}` is required"));
        None
    }

    fn secret_mount(&mut self, node: &Node) -> Option<SecretMount> {
        let entries = self.mapping(node, "mounts item", &keys::MOUNT)?;
        let kind = self.required(&entries, "type", node.span);
        let id = self.required(&entries, "id", node.span);
        let target = self.required(&entries, "target", node.span);
        if let Some(kind) = kind.filter(|kind| kind.value != "secret") {
            self.error(
                kind.span,
                format!("mount type must be `secret`, found `{}`", kind.value),
            );
            return None;
        }
        let (id, target) = (id?, target?);
        if id.value.is_empty()
            || id.value.contains([',', '='])
            || id.value.contains(char::is_control)
        {
            self.error(id.span, "`id` must be a name without `,` and `=`");
            return None;
        }
        let clean = target.value.starts_with('/')
            && target.value.len() > 1
            && target.value[1..]
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."));
        if !clean {
            self.error_hint(
                target.span,
                format!(
                    "`target` must be the absolute path of a file, found `{}`",
                    target.value
                ),
                format!("for example `/run/secrets/{}`", id.value),
            );
            return None;
        }
        Some(SecretMount {
            id: id.value,
            target: target.value,
        })
    }

    fn pre_install(&mut self, entries: &Entries<'_>) -> Vec<RunCommand> {
        if let Some((key, _)) = entries
            .get("pre_install")
            .filter(|(_, node)| node.kind() != Kind::Null)
        {
            self.warn(
                key.span,
                "`pre_install` is deprecated; in spite of its name it runs after Python packages \
                 are installed and after `run`",
                "move the commands to the end of `run`",
            );
        }
        let commands = self.texts(entries, "pre_install", "build.pre_install");
        commands
            .iter()
            .filter_map(|text| self.command(text, Vec::new()))
            .collect()
    }

    fn environment(&mut self, entries: &Entries<'_>) -> Vec<Spanned<Variable>> {
        let mut variables: Vec<Spanned<Variable>> = Vec::new();
        let Some(node) = entries.value("environment") else {
            return variables;
        };
        if node.kind() == Kind::Mapping {
            let finding = self
                .source
                .error(node.span, "`environment` must be a list, found a mapping");
            let hint = "write each variable as an item: `- NAME=value`";
            self.report.push(finding.without_excerpt().hint(hint));
            return variables;
        }
        for item in self.list(node, "environment") {
            // Values may be secrets: no message holds more than the name.
            if !matches!(item.kind(), Kind::String | Kind::Number) {
                let found = item.kind().name();
                let message = format!("`environment` item must be a string, found {found}");
                let finding = self.source.error(item.span, message).without_excerpt();
                self.report.push(finding.hint("write it as `- NAME=value`"));
                continue;
            }
            let Some(text) = self.text(item, "environment item") else {
                continue;
            };
            let Some((name, value)) = split(&text.value) else {
                let finding = self
                    .source
                    .error(
                        text.span,
                        "an environment variable must be written as NAME=value",
                    )
                    .masked_after('=');
                self.report
                    .push(finding.hint("names are letters, digits and `_`"));
                continue;
            };
            let span = Span {
                length: name.chars().count(),
                ..text.span
            };
            let problem = if is_reserved(name) {
                Some(format!(
                    "environment variable `{name}` is reserved for the runtime"
                ))
            } else if variables.iter().any(|known| known.value.name == name) {
                Some(format!("environment variable `{name}` is given twice"))
            } else if value.contains('\0') {
                Some(format!("the value of `{name}` holds a NUL character"))
            } else {
                None
            };
            if let Some(problem) = problem {
                self.report
                    .push(self.source.error(span, problem).masked_after('='));
                continue;
            }
            if sounds_secret(name) && !value.is_empty() {
                self.report.push(
                    self.source
                        .warning(span, format!("`{name}` sounds like a secret, and everyone who has the image can read it"))
                        .masked_after('=')
                        .hint("give it to the container when it starts, or to a `build.run` command as a secret mount"),
                );
            }
            let variable = Variable {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            variables.push(Spanned::new(variable, span));
        }
        variables
    }

    fn run_reference(&mut self, entries: &Entries<'_>) -> Option<Spanned<super::RunReference>> {
        let (name, node) = match (entries.value("run"), entries.get("predict")) {
            (Some(_), Some((key, node))) if node.kind() != Kind::Null => {
                self.error_hint(
                    key.span,
                    "`run` and its old name `predict` cannot both be set",
                    "remove `predict`",
                );
                return None;
            }
            (Some(node), _) => ("run", node),
            (None, Some((key, node))) if node.kind() != Kind::Null => {
                self.warn(key.span, "`predict` is deprecated", "call it `run`");
                ("predict", node)
            }
            (None, _) => {
                self.report.push(
                    self.source
                        .warning(START, "there is no `run`: the image has nothing to serve")
                        .without_excerpt()
                        .hint("add for example `run: run.py:Runner`"),
                );
                return None;
            }
        };
        let text = self.text(node, name)?;
        let reference = self.parsed::<super::RunReference>(&text, name)?;
        if let Err(problem) = self.files.check_file(reference.value.file()) {
            let span = Span {
                length: reference.value.file().chars().count(),
                ..reference.span
            };
            self.error_hint(
                span,
                format!("file `{}` {problem}", reference.value.file()),
                "the path is relative to the folder of cog.yaml",
            );
            return None;
        }
        Some(reference)
    }
}
