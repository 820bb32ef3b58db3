//! `environment`, and `run` with its old name `predict`.

use super::node::Entries;
use super::{Reader, START};
use crate::config::environment::{is_reserved, sounds_secret, split};
use crate::config::{ImageName, PythonVersion, RunReference, Variable, keys};
use crate::diagnostic::{Span, Spanned, Topic};
use crate::yaml::{Kind, Node};

impl Reader<'_> {
    pub(super) fn environment(&mut self, entries: &Entries<'_>) -> Vec<Spanned<Variable>> {
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

    pub(super) fn run_reference(&mut self, entries: &Entries<'_>) -> Option<Spanned<RunReference>> {
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
                self.deprecated(key.span, "`predict` is deprecated", "call it `run`");
                ("predict", node)
            }
            (None, _) => {
                if entries.value("train").is_none() {
                    self.report.push(
                        self.source
                            .warning(START, "there is no `run`: the image has nothing to serve")
                            .without_excerpt()
                            .hint("add for example `run: run.py:Runner`"),
                    );
                }
                return None;
            }
        };
        self.reference(name, node)
    }

    pub(super) fn train_reference(
        &mut self,
        entries: &Entries<'_>,
    ) -> Option<Spanned<RunReference>> {
        let node = entries.value("train")?;
        self.reference("train", node)
    }

    /// The repository of the model, which names neither tag nor digest.
    pub(super) fn model(&mut self, entries: &Entries<'_>) -> Option<Spanned<ImageName>> {
        let node = entries.value("model")?;
        let text = self.text(node, "model")?;
        if let Some((key, _)) = entries
            .get("image")
            .filter(|_| entries.value("image").is_some())
        {
            self.error_hint(
                key.span,
                "`model` and `image` cannot both be set",
                "keep `model`: it names the image, too",
            );
        }
        let model = self.parsed::<ImageName>(&text, "model")?;
        if model.value.tag().is_some() {
            self.error_hint(
                model.span,
                format!(
                    "`model` must be a repository without a tag, found `{}`",
                    model.value
                ),
                "the tag is chosen when the model is pushed, by `COG_MODEL_TAG` or the time",
            );
            return None;
        }
        Some(model)
    }

    pub(super) fn concurrency(
        &mut self,
        entries: &Entries<'_>,
        python: Option<PythonVersion>,
    ) -> Option<Spanned<u32>> {
        /// First minor version of Python 3 with what concurrent predictions need.
        const MINIMUM_MINOR: u8 = 11;
        let (key, _) = entries.get("concurrency")?;
        let node = entries.value("concurrency")?;
        let mapping = self.mapping(node, "concurrency", &keys::CONCURRENCY)?;
        let Some(max) = mapping.value("max") else {
            self.error(key.span, "`concurrency.max` is required");
            return None;
        };
        self.deprecated(
            key.span,
            "`concurrency.max` is deprecated",
            "decorate the async `run()` with `@cog.concurrent(max=N)`, which replaces it: `@cog.concurrent(max=...)`",
        );
        let text = self.text(max, "concurrency.max")?;
        let Some(number) = text.value.parse::<u32>().ok().filter(|number| *number > 0) else {
            self.error(
                text.span,
                format!(
                    "`concurrency.max` must be a whole number from 1 on, found `{}`",
                    text.value
                ),
            );
            return None;
        };
        if number > 1 && python.is_some_and(|python| python.minor() < MINIMUM_MINOR) {
            self.error_hint(
                text.span,
                format!("`concurrency.max` of {number} needs Python 3.{MINIMUM_MINOR} or newer"),
                "raise `build.python_version`, or set `max` to 1",
            );
        }
        Some(Spanned::new(number, text.span))
    }

    fn reference(&mut self, name: &str, node: &Node) -> Option<Spanned<RunReference>> {
        let text = self.text(node, name)?;
        let reference = self.parsed::<RunReference>(&text, name)?;
        if let Err(problem) = self.files.check_file(reference.value.file()) {
            let span = Span {
                length: reference.value.file().chars().count(),
                ..reference.span
            };
            let message = format!("file `{}` {problem}", reference.value.file());
            let finding = self
                .source
                .error(span, message)
                .hint("the path is relative to the folder of cog.yaml");
            self.report.push(finding.about(Topic::Reference));
            return None;
        }
        Some(reference)
    }
}
