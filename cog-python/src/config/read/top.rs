//! `environment`, and `run` with its old name `predict`.

use super::node::Entries;
use super::{Reader, START};
use crate::config::environment::{is_reserved, sounds_secret, split};
use crate::config::{RunReference, Variable};
use crate::diagnostic::{Span, Spanned};
use crate::yaml::Kind;

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
        let reference = self.parsed::<RunReference>(&text, name)?;
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
