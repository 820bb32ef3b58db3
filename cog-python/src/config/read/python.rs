//! `build.python_version`, `build.python_requirements`, `build.python_packages`.

use super::Reader;
use super::node::Entries;
use crate::config::{PythonPackages, PythonVersion};
use crate::diagnostic::{Source, Span, Spanned};
use crate::requirement::{self, Requirements, Statement};
use crate::sdk::{self, SdkVersion};

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

    pub(super) fn missing_python_version(&mut self, span: Span) {
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
