//! `build.python_version`, `build.python_requirements`, `build.python_packages`.

use super::Reader;
use super::node::Entries;
use crate::config::{PythonPackages, PythonVersion};
use crate::diagnostic::{Source, Span, Spanned};
use crate::files::FileProblem;
use crate::requirement::{self, Requirements, Statement};
use crate::sdk::{self, SdkVersion};

/// What pyenv and uv read the version of a project from.
const VERSION_FILE: &str = ".python-version";

impl Reader<'_> {
    pub(super) fn python_version(
        &mut self,
        entries: &Entries<'_>,
        build: Span,
    ) -> Option<Spanned<PythonVersion>> {
        let Some(node) = entries.value("python_version") else {
            let span = entries
                .get("python_version")
                .map_or(build, |(key, _)| key.span);
            return self.python_version_of_file(span);
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
        self.declared(version.value, self.source, version.span);
        Some(version)
    }

    /// The first line of the version file that is one, where the key is missing: `span` is where it should be.
    fn python_version_of_file(&mut self, span: Span) -> Option<Spanned<PythonVersion>> {
        let text = match self.files.read(VERSION_FILE) {
            Ok(text) => text,
            Err(FileProblem::Missing) => {
                self.missing_python_version(span);
                return None;
            }
            Err(problem) => {
                self.error_hint(
                    span,
                    format!("`build.python_version` is missing, and `{VERSION_FILE}` {problem}"),
                    "add it under `build`, for example `python_version: \"3.13\"`",
                );
                return None;
            }
        };
        let source = Source::new(VERSION_FILE, text);
        let mut lines = source.text().lines().enumerate();
        let (index, line) = lines
            .find(|(_, line)| !line.trim().is_empty() && !line.trim().starts_with('#'))
            .unwrap_or_default();
        let version = line.trim();
        let at = Span {
            line: index + 1,
            column: line.chars().take_while(|c| c.is_whitespace()).count() + 1,
            length: version.chars().count(),
        };
        match version.parse::<PythonVersion>() {
            Ok(version) => {
                self.declared(version, &source, at);
                self.sources.insert(VERSION_FILE.to_owned(), source);
                Some(Spanned::new(version, span))
            }
            Err(error) => {
                let message = format!("the version in `{VERSION_FILE}` {error}, found `{version}`");
                let finding = source.error(at, message);
                self.report
                    .push(finding.hint("or name one in cog.yaml, under `build`: `python_version`"));
                None
            }
        }
    }

    /// Warns of a version that Cog's runtime does not declare to support.
    fn declared(&mut self, version: PythonVersion, source: &Source, span: Span) {
        let declared = sdk::python_declared_up_to();
        if version.minor() > declared.minor() {
            let message = format!("Cog's runtime declares to support Python up to {declared}");
            self.report.push(
                source
                    .warning(span, message)
                    .hint("expect packages without ready-made wheels for newer versions"),
            );
        }
    }

    fn missing_python_version(&mut self, span: Span) {
        self.error_hint(
            span,
            "`build.python_version` is required",
            "add it under `build`, for example `python_version: \"3.13\"`",
        );
    }

    pub(super) fn python_packages(
        &mut self,
        entries: &Entries<'_>,
        sdk: &SdkVersion,
        python: Option<PythonVersion>,
    ) -> (PythonPackages, Requirements) {
        let list = entries.value("python_packages");
        let file = entries.value("python_requirements");
        let packages = self.texts(entries, "python_packages", "build.python_packages");
        if let (Some(list), Some(_)) = (list, file)
            && !packages.is_empty()
        {
            self.error_hint(
                list.span,
                "`python_packages` and `python_requirements` cannot both be set",
                "move the packages into the requirements file",
            );
        }
        if let Some((key, _)) = entries.get("python_packages").filter(|_| list.is_some()) {
            self.deprecated(
                key.span,
                "`python_packages` is deprecated",
                "list the packages in a file and name it with `python_requirements`",
            );
        }
        let path = file.and_then(|node| self.text(node, "python_requirements"));
        let path = path.filter(|path| !path.value.is_empty());
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
        reader.collect(&mut self.sources);
        if let Some(python) = python {
            reader.python(python);
        }
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
}
