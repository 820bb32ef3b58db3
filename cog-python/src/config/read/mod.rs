//! From the tree of the file to a [`Config`], all mistakes collected.
//!
//! Every key has one method that reads it and reports what is wrong with it. A method gives
//! `None` when its value cannot be used; whether a config exists is decided at the end, by the
//! report alone.

mod commands;
mod extension;
mod gpu;
mod node;
mod python;
mod top;
mod weights;

use std::collections::BTreeMap;

use super::keys;
use super::{Build, Config, SystemPackage};
use crate::diagnostic::{Report, Source, Span, Spanned};
use crate::files::ProjectFiles;
use crate::sdk::{self, SdkVersion};
use crate::yaml::{self, Kind, Node, Value};
use node::Entries;

/// Reads a configuration. The config is there exactly when the report has no errors.
///
/// `sdk` is the SDK version of the command line, which overrules `build.sdk_version`.
pub fn read(
    source: &Source,
    files: &dyn ProjectFiles,
    sdk: Option<&SdkVersion>,
) -> (Option<Config>, Report) {
    let (config, report) = draft(source, files, sdk);
    (config.filter(|_| !report.has_errors()), report)
}

/// Reads as much of a configuration as can be read, so that [`contradictions`](crate::resolution::contradictions) in it
/// can be told together with its other mistakes. What is wrong is missing; in the place of a wrong Python version is one
/// that the runtime knows.
pub fn draft(
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
        sources: BTreeMap::from([(source.name().to_owned(), source.clone())]),
    };
    let config = reader.root(root.as_ref());
    (config, reader.report)
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
    /// Files that were read, by name.
    sources: BTreeMap<String, Source>,
}

impl Reader<'_> {
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
        let model = self.model(&entries);
        let run = self.run_reference(&entries);
        let train = self.train_reference(&entries);
        let weights = self.weights(&entries);
        let extension = self.extension(&entries);
        let key = entries.get("build").map_or(START, |(key, _)| key.span);
        // Without the section, `.python-version` can say all that must be said.
        let build = self.build(entries.value("build").unwrap_or(&empty), key);
        let python = build.as_ref().map(|build| build.python_version.value);
        let concurrency = self.concurrency(&entries, python);
        Some(Config {
            file: self.source.name().to_owned(),
            build: build?,
            environment,
            image,
            model,
            run,
            train,
            concurrency,
            weights,
            extension,
            sources: std::mem::take(&mut self.sources),
        })
    }

    fn build(&mut self, node: &Node, key: Span) -> Option<Build> {
        let entries = self.mapping(node, "build", &keys::BUILD)?;
        let gpu = self.gpu(&entries);
        let (cuda, cudnn) = self.cuda(&entries, gpu);
        let python_version = self.python_version(&entries, key);
        let python_version_of_file = entries.value("python_version").is_none();
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
        let chosen = python_version.as_ref().map(|version| version.value);
        let (python, requirements) = self.python_packages(&entries, &sdk, chosen);
        let system_packages = self.system_packages(&entries);
        let run = self.run_commands(&entries);
        let pre_install = self.pre_install(&entries);
        Some(Build {
            gpu,
            cuda,
            cudnn,
            python_version: python_version
                .unwrap_or_else(|| Spanned::new(sdk::python_declared_up_to(), key)),
            python_version_of_file,
            python,
            requirements,
            system_packages,
            run,
            pre_install,
            sdk_version,
        })
    }

    fn system_packages(&mut self, entries: &Entries<'_>) -> Vec<Spanned<SystemPackage>> {
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
}
